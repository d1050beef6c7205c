"""Views and in-place writes against torch: who sees whose writes, strides, and the gradients that follow."""

from __future__ import annotations

import copy
import math
import pickle
import random
from collections.abc import Callable
from typing import Any

import hypothesis
import mlx.core as mx
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import torchish_mlx as tm
from compat_tests.sides import SIDES, to_array, values
from tests.marks import examples
from torchish_mlx._tensor.views import reshaped_strides

Call = Callable[..., Any]

#: Every way to make a view, for a tensor of shape (3, 4).
VIEWS: dict[str, Call] = {
    "view": lambda x: x.view(2, 6),
    "view -1": lambda x: x.view(-1),
    "view_as": lambda x: x.view_as(x.view(12)),
    "reshape": lambda x: x.reshape(4, 3),
    "flatten": lambda x: x.flatten(),
    "t": lambda x: x.t(),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "transpose": lambda x: x.transpose(0, 1),
    "permute": lambda x: x.permute(1, 0),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x.unsqueeze(0).squeeze(0),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "select": lambda x: x.select(0, 1),
    "row": lambda x: x[1],
    "column": lambda x: x[:, 1],
    "block": lambda x: x[1:, ::2],
    "element": lambda x: x[1, 2],
    "none": lambda x: x[None, 1],
    "ellipsis": lambda x: x[..., 1:3],
    "empty": lambda x: x[1:1],
    "view of t of t": lambda x: x.t().t().view(6, 2),
    "row of t": lambda x: x.t()[2],
    "t of a block": lambda x: x[:2, 1:].t(),
    "detach": lambda x: x.detach().view(-1),
    "data": lambda x: x.data.t(),
    "contiguous": lambda x: x.contiguous().view(-1),
}


def base(side: Any) -> Any:
    return side.leaf(np.arange(12.0).reshape(3, 4), torch.float32, False)


@pytest.mark.parametrize("name", VIEWS)
def test_writes_go_both_ways(name: str) -> None:
    found = []
    for side in SIDES:
        x = base(side)
        v = VIEWS[name](x)
        v.mul_(2).add_(1)
        first = values(x)
        x.sub_(3)
        x[0, 0] = 100
        v.copy_(v + 0.5)
        found.append((first, values(x), values(v), tuple(v.stride()), v.is_contiguous(), tuple(v.shape)))
    for mine, theirs in zip(found[1], found[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", [n for n in VIEWS if n not in ("detach", "data")])
def test_writes_are_recorded(name: str) -> None:
    """In-place on a view changes the gradient of what it shows, and the reverse; to the last bit."""
    found = []
    for side in SIDES:
        x = base(side).requires_grad_()
        w = side.leaf(np.array(3.0), torch.float32, True)
        y = x * 2
        v = VIEWS[name](y)
        v.mul_(w)  # the view writes what it shows
        y.add_(w)  # and sees what is written to that
        u = VIEWS[name](y)
        u.sub_(1)
        (v.sum() * 5 + (y * y).sum()).backward()
        found.append((values(v), values(y), values(x.grad), values(w.grad)))
    for mine, theirs in zip(found[1], found[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_what_is_a_copy() -> None:
    for call in (lambda x: x.t().reshape(-1), lambda x: x.t().contiguous(), lambda x: x.clone(), lambda x: x[[0, 1]]):
        found = []
        for side in SIDES:
            x = base(side)
            call(x).zero_()
            found.append(values(x))
        np.testing.assert_array_equal(found[1], found[0])
        assert found[0].any()


def test_setitem() -> None:
    calls: list[Call] = [
        lambda x, y: x.__setitem__(1, y),
        lambda x, y: x.__setitem__((slice(None), 1), 7.0),
        lambda x, y: x.__setitem__((slice(None, 2), slice(2, None)), y[2:] * 2),
        lambda x, y: x.__setitem__(Ellipsis, y),
        lambda x, y: x.__setitem__([0, 2], y),
        lambda x, y: x.__setitem__(([0, 2], [1, 3]), y[:2]),
    ]
    for call in calls:
        found = []
        for side in SIDES:
            leaf = base(side).requires_grad_()
            y = side.leaf(np.arange(4.0), torch.float32, True)
            x = leaf * 1
            call(x, y)
            (x * x).sum().backward()
            found.append((values(x), values(leaf.grad), None if y.grad is None else values(y.grad)))
        for mine, theirs in zip(found[1], found[0], strict=True):
            np.testing.assert_array_equal(mine, theirs)


# -- random programs --------------------------------------------------------------------------------------------------

STEPS: list[tuple[str, Call]] = [
    ("view", lambda x: x.view(-1)),
    ("reshape", lambda x: x.reshape(-1, 2) if x.numel() % 2 == 0 else x.reshape(-1)),
    ("t", lambda x: x.transpose(0, -1) if x.dim() else x.t()),
    ("tail", lambda x: x[1:] if x.dim() else x.unsqueeze(0)),
    ("first", lambda x: x[0] if x.dim() and x.shape[0] else x),
    ("stride", lambda x: x[..., ::2] if x.dim() else x),
    ("unsqueeze", lambda x: x.unsqueeze(-1)),
    ("squeeze", lambda x: x.squeeze()),
]
WRITES: list[tuple[str, Call]] = [
    ("mul_", lambda x, w: x.mul_(w)),
    ("add_", lambda x, w: x.add_(1.5)),
    ("fill_", lambda x, w: x.fill_(w)),
    ("exp_", lambda x, w: x.mul_(0.1).exp_()),
    ("copy_", lambda x, w: x.copy_(x * w + 1)),
    ("zero_", lambda x, w: x.zero_()),
]
action = st.tuples(
    st.sampled_from(["view", "write", "detached"]), st.integers(0, 5), st.integers(0, max(len(STEPS), len(WRITES)) - 1)
)


@hypothesis.settings(max_examples=examples(150), deadline=None, derandomize=True)
@hypothesis.given(st.lists(action, min_size=1, max_size=8), st.booleans())
def test_programs(actions: list[tuple[str, int, int]], recorded: bool) -> None:
    """Any sequence of views and writes: every tensor, its strides and the leaves' gradients are torch's."""
    found: list[list[Any]] = []
    for side in SIDES:
        leaf = base(side).requires_grad_(recorded)
        w = side.leaf(np.array(1.25), torch.float32, recorded)
        tensors = [leaf * 0.5]
        seen: list[Any] = []
        for kind, which, what in actions:
            x = tensors[which % len(tensors)]
            try:
                if kind == "view":
                    tensors.append(STEPS[what % len(STEPS)][1](x))
                elif kind == "write":
                    WRITES[what % len(WRITES)][1](x, w)
                else:
                    x.detach().mul_(0.5)
            except (RuntimeError, IndexError) as error:
                seen.append(type(error))
        seen += [values(t) for t in tensors]
        seen += [np.array(t.stride()) for t in tensors if t.numel()]
        if recorded:
            total = sum((t * t).sum() for t in tensors)
            try:
                total.backward()
                seen += [values(leaf.grad), np.zeros(()) if w.grad is None else values(w.grad)]
            except RuntimeError as error:
                seen.append("inplace operation" in str(error))
        found.append(seen)
    theirs, mine = found
    assert len(mine) == len(theirs)
    for m, t in zip(mine, theirs, strict=True):
        if isinstance(t, (type, bool)):
            assert m is t
        else:
            np.testing.assert_allclose(m, t, rtol=2e-6, atol=1e-6)  # 4e-7 measured: sums in another order


# -- storage ----------------------------------------------------------------------------------------------------------


def test_an_array_goes_in_and_out_without_a_copy() -> None:
    array = mx.array([1.0, 2.0])
    assert tm.Tensor(array).array is array
    assert tm.as_tensor(array).array is array
    assert tm.Parameter(array).array is array
    assert tm.Tensor(array).detach().array is array
    assert tm.Tensor(array).data.array is array


def test_data_shares_and_is_not_counted() -> None:
    x = tm.tensor([2.0, 3.0], requires_grad=True)
    y = (x * x).sum()
    x.data.mul_(10)  # autograd does not see it
    y.backward()
    assert x.tolist() == [20.0, 30.0]
    assert x.grad.tolist() == [4.0, 6.0]  # the derivative where y was computed
    z = (x * x).sum()
    x.detach().mul_(10)  # autograd sees it
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


def test_a_view_of_the_data_of_a_view_knows_its_strides() -> None:
    for side in SIDES:
        v = side.leaf(np.arange(12.0).reshape(3, 4), torch.float32, False).t().data[:2]
        assert (tuple(v.stride()), v.is_contiguous()) == ((1, 4), False)
        with pytest.raises(RuntimeError, match="view size is not compatible"):
            v.view(-1)


def test_the_strides_of_any_view_in_another_shape() -> None:
    """Of axes of size 1 too, where torch goes by the strides that they happen to have; and which views there are."""
    rng = random.Random(0)
    refused = 0
    for _ in range(3000):
        shape, strides, step = [rng.choice([1, 1, 2, 3, 4]) for _ in range(rng.randint(0, 4))], [], rng.choice([1, 2])
        for n in shape:
            strides.append(step * rng.choice([1, 1, 1, 2]))
            step = strides[-1] * n
        new, left = [1] * rng.randint(0, 2), math.prod(shape)
        while left > 1:
            new.append(rng.choice([n for n in range(2, left + 1) if left % n == 0]))
            left //= new[-1]
        rng.shuffle(new)
        given = torch.empty(10_000).as_strided(shape[::-1], strides[::-1])
        try:
            expected = given.view(new).stride()
        except RuntimeError:
            expected = None
            refused += 1
        assert reshaped_strides(tuple(given.shape), given.stride(), tuple(new)) == expected
    assert 100 < refused < 2900


def test_data_assignment() -> None:
    for side in SIDES:
        x = side.leaf(np.ones(2), torch.float32, True)
        t = side.leaf(np.full(3, 2.0), torch.float32, False)
        x.data = t
        t.mul_(2)
        assert x.tolist() == [4.0, 4.0, 4.0]
        assert x.requires_grad
        x.data = x.data.add_(1)
        assert t.tolist() == [5.0, 5.0, 5.0]


def test_deepcopy_keeps_sharing() -> None:
    x = tm.tensor([[1.0, 2.0]], requires_grad=True)
    x.grad = tm.ones(1, 2)
    x.tag = "kept"
    v = x.detach().t()
    x2, v2 = copy.deepcopy((x, v))
    v2.mul_(3)
    assert x2.tolist() == [[3.0, 6.0]]
    assert x.tolist() == [[1.0, 2.0]]
    assert x2.requires_grad
    assert x2.grad.tolist() == [[1.0, 1.0]]
    assert x2.tag == "kept"
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)


def test_pickle() -> None:
    for dtype in (tm.float32, tm.bfloat16, tm.int64):
        x = tm.ones(2, 3, dtype=dtype)
        y = pickle.loads(pickle.dumps([x, x.t()]))
        y[1].fill_(5)
        assert y[0].dtype == dtype
        assert y[0].tolist() == [[5.0] * 3] * 2


def test_write_to_a_view_made_without_recording() -> None:
    """Torch's error, which says what to do."""
    for side in SIDES:
        x = base(side)
        w = side.leaf(np.array(2.0), torch.float32, True)
        with side.library.no_grad():
            v = x.view(-1)
        with pytest.raises(RuntimeError, match=r"A view was created in no_grad mode"):
            v.mul_(w)


def test_numpy_and_mlx_take_tensors() -> None:
    x = tm.tensor([1.0, 2.0])
    assert np.asarray(x).tolist() == [1.0, 2.0]
    assert mx.array(x).tolist() == [1.0, 2.0]
    assert (mx.array([1.0, 1.0]) + x).tolist() == [2.0, 3.0]
    assert isinstance(x + mx.array([1.0, 1.0]), tm.Tensor)
    assert (x * np.float32(2)).dtype == mx.float32
    assert isinstance(np.float32(2) * x, tm.Tensor)
    for one in (tm.tensor([2.0]), tm.tensor(2.0), tm.tensor([2.0]).bfloat16()):
        product = mx.ones(3, one.array.dtype) * one  # one element is no complex number
        assert (product.dtype, product.tolist()) == (one.dtype, [2.0, 2.0, 2.0])
    assert (mx.array([0.1], mx.float64) * tm.tensor([0.1, 1.0], dtype=mx.float64))[0].item() == 0.1 * 0.1
    assert np.from_dlpack(x).tolist() == [1.0, 2.0]
    x.requires_grad_()
    with pytest.raises(RuntimeError, match="would not be recorded"):
        mx.array([1.0, 1.0]) * x
    with pytest.warns(UserWarning, match="would not be recorded"), pytest.raises(BufferError, match="Can't export"):
        np.from_dlpack(x)
    with pytest.warns(UserWarning, match="would not be recorded"):
        mx.array([1.0, 1.0]) * x[:1]
    with tm.no_grad():
        assert (mx.array([1.0, 1.0]) * x).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "given",
    [
        1.5,
        [1.0, 2.0],
        [[0.1, 100.0]],
        [1e-5, 1.0],
        [1e9],
        3,
        [1, 20],
        [True, False],
        [],
        [float("nan"), 1.0],
        [[-1.5, 2.0], [3.0, 4.0]],
    ],
    ids=str,
)
def test_repr(given: Any) -> None:
    theirs = torch.tensor(given)
    assert repr(tm.tensor(given)) == repr(theirs)
    if theirs.is_floating_point():
        wide = torch.ones(3, 4, 5) * theirs.sum()
        assert repr(tm.Tensor(to_array(wide))) == repr(wide)
        assert repr(tm.Tensor(to_array(wide[0, 0])).requires_grad_()) == repr(wide[0, 0].requires_grad_())
        assert repr(tm.tensor(given, requires_grad=True)) == repr(theirs.requires_grad_())
        assert repr(tm.tensor(given, requires_grad=True) * 2) == repr(theirs * 2)


def test_dtype_of_data() -> None:
    for given in (True, 3, 2.5, [1, 2], [1.0], np.array([1, 2]), np.array([1, 2], np.int8), np.ones(2, np.float16)):
        assert str(tm.tensor(given).dtype).split(".")[-1].rstrip("_") == str(torch.tensor(given).dtype).split(".")[-1]
    assert tm.tensor(np.ones(2)).dtype == mx.float32  # torch's is float64, which an Apple GPU has not
    assert tm.tensor(np.ones(2), dtype=mx.float64).dtype == mx.float64
    assert tm.tensor([tm.ones(2), tm.zeros(2)]).shape == (2, 2)


def test_creation() -> None:
    x = tm.ones(2, 3, dtype=tm.bfloat16)
    for made in (
        tm.zeros_like(x),
        tm.ones_like(x),
        tm.empty_like(x),
        tm.full_like(x, 3),
        x.new_zeros(2, 3),
        x.new_full((2, 3), 3),
    ):
        assert (made.shape, made.dtype) == (x.shape, x.dtype)
    assert tm.zeros_like(x, memory_format=tm.preserve_format, dtype=tm.float32).dtype == tm.float32
    assert tm.full((2,), 3).dtype == torch_name(torch.full((2,), 3))
    with pytest.raises(RuntimeError, match="memory_format"):
        tm.zeros_like(x, memory_format="channels_last")
    with pytest.raises(AssertionError, match="not compiled with XPU"):
        tm.zeros(2, device="xpu")
    assert x.to("cpu") is x
    assert x.to(tm.bfloat16) is x
    assert x.to(x.device, tm.float32).dtype == tm.float32


def torch_name(t: torch.Tensor) -> mx.Dtype:
    return getattr(mx, str(t.dtype).split(".")[-1])


def test_a_tensor_as_an_argument_of_a_view_is_read_each_time() -> None:
    for T in (torch, tm):
        x, start = T.arange(5), T.tensor(1)
        assert x.narrow(0, start, 2).tolist() == [1, 2]
        start += 2
        assert x.narrow(0, start, 2).tolist() == [3, 4]
