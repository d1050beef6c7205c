"""Calls at the edges of functions next to torch, which random programs found: empty inputs, mixed dtypes, overlaps.

Each gives the same dtype, shape, values and ``requires_grad``, or is refused with the same type.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.ops.test_channels_last import in_memory
from torchish_mlx.parity.sides import DTYPES, to_array, values

Call = Callable[[Any, Any], Any]


def empty(T: Any, *shape: int, wants: bool = True) -> Any:
    return T.zeros(*shape).requires_grad_(wants)


CALLS: dict[str, Call] = {
    "permute by name": lambda T, F: T.permute(T.ones(2, 3), dims=(1, 0)),
    "permute by name, a method": lambda T, F: T.ones(2, 3).permute(dims=(1, 0)),
    "permute by another name": lambda T, F: T.permute(T.ones(2, 3), order=(1, 0)),
    "permute of both": lambda T, F: T.ones(2, 3).permute(1, 0, dims=(1, 0)),
    "diff of nothing": lambda T, F: T.diff(empty(T, 0)),
    "diff of nothing, more": lambda T, F: T.diff(empty(T, 2, 0, 3), n=2, dim=1),
    "diff of one": lambda T, F: T.diff(T.ones(1).requires_grad_(), n=2),
    "diff of no times": lambda T, F: T.diff(T.ones(3).requires_grad_(), n=0),
    **{
        f"trapezoid of {shape} {dtype}": lambda T, F, shape=shape, dtype=dtype: T.trapezoid(
            T.zeros(shape).to(getattr(T, dtype))
        )
        for shape in ((0,), (1,), (3,), (0, 2), (2, 0))
        for dtype in ("bool", "int32", "float32", "bfloat16")
    },
    "trapezoid of nothing that wants a gradient": lambda T, F: T.trapezoid(empty(T, 0)),
    "trapezoid at booleans": lambda T, F: T.trapezoid(T.zeros(3), T.zeros(3).bool()),
    "cumulative_trapezoid of nothing": lambda T, F: T.cumulative_trapezoid(empty(T, 0, 3), dim=0),
    "cumulative_trapezoid of booleans": lambda T, F: T.cumulative_trapezoid(T.zeros(2, 1).bool()),
    **{
        f"{name} of {shape} {dtype}": lambda T, F, name=name, shape=shape, dtype=dtype: getattr(F, name)(
            T.zeros(shape).to(getattr(T, dtype)), 0
        )
        for name in ("softmax", "log_softmax")
        for shape in ((0,), (0, 3), (2,))
        for dtype in ("bool", "int32")
    },
    **{
        f"kthvalue of nothing, {keepdim}": lambda T, F, keepdim=keepdim: T.kthvalue(empty(T, 5, 0, 10), 1, -1, keepdim)[
            0
        ]
        for keepdim in (False, True)
    },
    "topk of booleans": lambda T, F: T.topk(T.zeros(3).bool(), 1),
    **{
        f"cross of {a} and {b}": lambda T, F, a=a, b=b: T.cross(
            T.ones(3).to(getattr(T, a)), T.ones(3).to(getattr(T, b)), 0
        )
        for a, b in (("int32", "float32"), ("bfloat16", "float32"), ("bool", "float32"), ("bool", "bool"))
    },
    "cross of numbers": lambda T, F: T.cross(T.tensor(1), T.ones(()), -1),
    **{
        f"{name} of {a} and {b}, {reduction}": lambda T, F, name=name, a=a, b=b, reduction=reduction: getattr(F, name)(
            T.tensor([2, 0]).to(getattr(T, a)), T.tensor([1, -1]).to(getattr(T, b)), reduction=reduction
        )
        for name in ("l1_loss", "huber_loss", "hinge_embedding_loss", "soft_margin_loss")
        for a, b in itertools.product(("float32", "bfloat16", "int64"), ("float32", "int64"))
        for reduction in ("none", "sum", "mean")
    },
    **{
        f"{name} of booleans and {b}": lambda T, F, name=name, b=b: getattr(F, name)(
            T.ones(2).bool(), T.ones(2).to(getattr(T, b))
        )
        for name in ("l1_loss", "huber_loss")
        for b in ("float32", "int64", "bool")
    },
    "hinge_embedding_loss: a margin is rounded": lambda T, F: F.hinge_embedding_loss(
        T.tensor([2, 0]), T.tensor([-1, -1]), margin=2.5, reduction="none"
    ),
    **{
        f"cosine_similarity of {shape} {dtype}": lambda T, F, shape=shape, dtype=dtype: F.cosine_similarity(
            T.ones(shape).to(getattr(T, dtype)), T.ones(shape) * 2
        )
        for shape in ((0, 3), (2, 3), (2,), (2, 0))
        for dtype in ("bool", "int64")
    },
    "bilinear: dtypes": lambda T, F: F.bilinear(T.zeros(2, 3).int(), T.zeros(2, 3), T.zeros(3, 3, 3)),
    "bilinear: dtypes first": lambda T, F: F.bilinear(T.zeros(2, 3).int(), T.zeros(2, 3), T.zeros(3)),
    "bilinear: a vector": lambda T, F: F.bilinear(T.zeros(2, 3), T.zeros(2, 3), T.zeros(3)),
    "bilinear: four": lambda T, F: F.bilinear(T.zeros(2, 3), T.zeros(2, 3), T.zeros(3, 3, 3, 3)),
    "bilinear: dtype of the bias": lambda T, F: F.bilinear(
        T.ones(2, 3), T.ones(2, 3), T.ones(3, 3, 3), T.ones(3).int()
    ),
    **{
        f"{name} with statistics {kind}": lambda T, F, name=name, make=make: getattr(F, name)(
            T.arange(24.0).reshape(2, 3, 4), *make(T)
        )
        for name in ("batch_norm", "instance_norm")
        for kind, make in {
            "one": lambda T: (T.zeros(3), None),
            "the other": lambda T: (None, T.zeros(3)),
            "mean with a gradient": lambda T: (T.zeros(3).requires_grad_(), T.ones(3)),
            "variance with a gradient": lambda T: (T.zeros(3), T.ones(3).requires_grad_()),
        }.items()
    },
    "batch_norm trains with one": lambda T, F: F.batch_norm(T.rand(2, 3, 4), T.zeros(3), None, training=True),
    "batch_norm of nothing: dtype": lambda T, F: F.batch_norm(T.zeros(0, 3).int(), T.zeros(3), T.ones(3), T.ones(3)),
    "batch_norm of nothing: no weight": lambda T, F: F.batch_norm(T.zeros(0, 3).int(), T.zeros(3), T.ones(3)),
    "lp_pool1d: a sequence": lambda T, F: F.lp_pool1d(T.ones(1, 3), 2.0, (2,)),
    "lp_pool2d: one": lambda T, F: F.lp_pool2d(T.ones(1, 3, 3), 2.0, (2,)),
    "unfold: one": lambda T, F: F.unfold(T.ones(2, 2, 3), [2]),
    "unfold: one padding": lambda T, F: F.unfold(T.ones(2, 2, 3), 2, padding=[1]),
    "unfold: a matrix": lambda T, F: F.unfold(T.ones(3, 3), 2),
    "unfold: a matrix and one": lambda T, F: F.unfold(T.ones(3, 3), 2, dilation=[2]),
    **{
        f"norm along {dim}, {p}": lambda T, F, dim=dim, p=p: T.norm(T.ones(2, 2, 2, 2), p, dim)
        for dim in ([2, 3, 0], [0, 1])
        for p in ("fro", None, 2)
    },
    "repeat_interleave: a matrix": lambda T, F: T.repeat_interleave(T.ones(2, 1).long()),
    "repeat_interleave: a size": lambda T, F: T.repeat_interleave(T.ones(2).long(), output_size=3),
    "repeat_interleave: negative": lambda T, F: T.repeat_interleave(T.tensor([1, -1])),
    **{
        f"{name} of nothing": lambda T, F, name=name: getattr(F, name)(T.zeros(4, 0, 2), 2)
        for name in ("pixel_shuffle", "pixel_unshuffle")
    },
    "diag_embed of a number along one": lambda T, F: T.diag_embed(T.ones(()), dim1=0),
    "repeat_interleave: a dimension": lambda T, F: T.repeat_interleave(T.ones(2).long(), dim=0),
    **{f"{name} of a number": lambda T, F, name=name: getattr(T, name)(T.ones(()), dim=0) for name in ("unique",)},
    "unique_consecutive of a number": lambda T, F: T.unique_consecutive(T.ones(()), dim=-1),
    "diag_embed of a number": lambda T, F: T.diag_embed(T.ones(())),
    "adaptive_avg_pool1d of no integers": lambda T, F: T.adaptive_avg_pool1d(T.zeros(0, 3).long(), 2),
    "adaptive_avg_pool1d of integers": lambda T, F: T.adaptive_avg_pool1d(T.zeros(2, 3).long(), 2),
    **{
        f"pad of {shape}, {mode}": lambda T, F, shape=shape, mode=mode: F.pad(T.zeros(shape), (0, 1), mode)
        for shape in ((2, 0, 3), (0, 3), (0, 2, 3))
        for mode in ("reflect", "replicate", "circular")
    },
    "pad of booleans": lambda T, F: F.pad(T.zeros(2).bool(), (1, 1), value=0.5),
    "pad of integers": lambda T, F: F.pad(T.zeros(2).long(), (1, 1), value=1.5),
    "index_put of nothing": lambda T, F: T.index_put(
        T.zeros(5, 5), (T.zeros(5).bool(),), T.ones(5).requires_grad_(), accumulate=True
    ),
}


def outcome(call: Call, T: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(T, T.nn.functional)
        except Exception as error:
            return error


@pytest.mark.parametrize("name", CALLS)
def test_the_same_result_or_the_same_refusal(name: str) -> None:
    theirs, mine = (outcome(CALLS[name], T) for T in (torch, tm))
    if isinstance(theirs, Exception):
        assert isinstance(mine, Exception), mine
        assert isinstance(theirs, type(mine)) or isinstance(mine, type(theirs)), (mine, theirs)
        return
    assert not isinstance(mine, Exception), mine
    assert (tuple(mine.shape), mine.dtype) == (tuple(theirs.shape), DTYPES[theirs.dtype])
    assert (mine.requires_grad, mine.is_leaf) == (theirs.requires_grad, theirs.is_leaf)
    if theirs.numel() and "batch_norm trains" not in name:
        np.testing.assert_allclose(values(mine), values(theirs), atol=1e-5)


def both(*shape: int) -> tuple[torch.Tensor, Any]:
    theirs = torch.rand(shape)
    return theirs.requires_grad_(), tm.Tensor(to_array(theirs)).requires_grad_()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_dilated_windows_that_overlap(n: int) -> None:
    """MLX reduces such windows wrongly unless they are copied: one that begins between two elements of another."""
    torch.manual_seed(0)
    grid = itertools.product(range(3, 12 if n == 1 else 7), (2, 3), (1, 2), (2, 3), (1, 2))
    checked = 0
    for size, kernel, stride, dilation, channels in grid:
        if dilation * (kernel - 1) >= size:
            continue
        theirs, mine = both(2, channels, *[4] * (n - 1), size)
        args = [(first,) * (n - 1) + (each,) for first, each in ((1, kernel), (1, stride), (0, 0), (1, dilation))]
        found = [
            getattr(T.nn.functional, f"max_pool{n}d")(x, *args, return_indices=True)
            for T, x in ((torch, theirs), (tm, mine))
        ]
        for a, b in zip(found[1], found[0], strict=True):
            np.testing.assert_array_equal(values(a), values(b))
        for result, _ in found:
            (result * result).sum().backward()
        np.testing.assert_allclose(values(mine.grad), values(theirs.grad), atol=1e-5)
        checked += 1
    assert checked > 20


@pytest.mark.parametrize("name", ["pixel_shuffle", "pixel_unshuffle", "channel_shuffle"])
@pytest.mark.parametrize("memory", ["plain", "channels-last"])
@pytest.mark.parametrize("recorded", [True, False])
def test_shuffled_channels_are_a_copy(name: str, memory: str, recorded: bool) -> None:
    """Also where nothing moves: a write to the result leaves the input as it is, and no_grad() gives no history."""
    for shape in ((1, 1, 1, 1), (2, 3, 2, 2)):
        x = tm.ones(*shape)
        if memory == "channels-last":
            x = tm.conv2d(x, tm.ones(shape[1], shape[1], 1, 1))
        before = values(x)
        x.requires_grad_()
        with tm.no_grad() if not recorded else tm.enable_grad():
            made = getattr(tm.nn.functional, name)(x, 1)
        assert made.requires_grad == recorded
        made.mul_(3)
        np.testing.assert_array_equal(values(x), before)
        np.testing.assert_array_equal(values(made), 3 * before)


def test_no_rows_are_not_taken_for_channels() -> None:
    """(0, 3) broadcasts with an image (2, 0, 1) in channels-last memory to (2, 0, 3)."""
    image = in_memory(tm.zeros(2, 0, 1), "memory")
    assert tuple(tm.maximum(image, tm.zeros(0, 3, dtype=mx.bfloat16)).shape) == (2, 0, 3)


def test_atan2_of_booleans_is_differentiated() -> None:
    """torch's formula negates the booleans, which it refuses."""
    other = tm.tensor([2.0]).requires_grad_()
    tm.atan2(tm.tensor([True]), other).backward()
    np.testing.assert_allclose(values(other.grad), [-0.2], atol=1e-6)


def test_shuffled_channels_made_without_recording_take_what_wants_a_gradient() -> None:
    with tm.no_grad():
        made = tm.nn.functional.pixel_shuffle(tm.ones(1, 4, 1, 1).requires_grad_() * 1, 2)
    weight = tm.ones(1, 1, 2, 2).requires_grad_()
    made.mul_(weight)
    made.sum().backward()
    np.testing.assert_array_equal(values(weight.grad), np.ones((1, 1, 2, 2)))


def test_a_circle_of_nothing_is_refused() -> None:
    """What is cut off at one side leaves nothing for the other; torch's result has memory that it never wrote."""
    with pytest.raises(RuntimeError, match="to go round"):
        tm.nn.functional.pad(tm.ones(2, 1), (-1, 1), "circular")
    kept = tm.nn.functional.pad(tm.tensor([[0.0, 1.0, 2.0]]), (-2, 2), "circular")
    np.testing.assert_array_equal(values(kept), [[2, 2, 2]])
