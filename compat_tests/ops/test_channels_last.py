"""Channels-last memory changes nothing that a program can see: values, dtypes, shapes, strides and gradients.

The first half calls every function with images in this memory, over torch's samples; the second half is programs next
to torch.
"""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.ops.test_op_db import (
    ENTRIES,
    apart,
    by_entry,
    by_part,
    called,
    flat,
    near,
    ours,
    part_of,
    samples,
    values,
)
from torchish_mlx._tensor.channels import ChannelsLast, to_last
from torchish_mlx.ops._declare import FUNCTIONAL, REGISTRY

#: What these functions are made of has ``channels``, so their samples go through it.
MADE_OF_IMAGES = ("conv", "pool", "interpolate", "upsample", "norm")


def with_images(name: str) -> bool:
    entry = REGISTRY.get(name)
    if entry is not None and entry.op is not None:
        return bool(entry.op.channels)
    return name.startswith(FUNCTIONAL) and any(part in name for part in MADE_OF_IMAGES)


HERE = [entry for entry in ENTRIES if with_images(entry.name)]


def in_memory(leaf: Any, how: str) -> Any:
    """A result of ``leaf`` with the same values whose memory is channels-last."""
    ndim = leaf.array.ndim
    if how == "convolution" and leaf.dtype == mx.float32 and ndim in (3, 4, 5) and leaf.array.size:
        channels = leaf.shape[1]
        eye = np.eye(channels, dtype=np.float32).reshape(channels, channels, *[1] * (ndim - 2))
        made = getattr(tm, f"conv{ndim - 2}d")(leaf, tm.Tensor(mx.array(eye)))
        assert type(made._storage) is ChannelsLast
        return made
    made = tm.Tensor.__new__(tm.Tensor)
    made._storage = ChannelsLast(mx.contiguous(mx.transpose(leaf.array, to_last(ndim))))
    made._requires_grad, made._edge = leaf._requires_grad, leaf._to() if leaf._requires_grad else None
    return made


def placed(value: Any, how: str) -> Any:
    """``value`` with every Tensor of 3 to 5 dimensions in channels-last memory."""
    if isinstance(value, tm.Tensor):
        return in_memory(value, how) if value.array.ndim in (3, 4, 5) else value
    if isinstance(value, dict):
        return {key: placed(v, how) for key, v in value.items()}
    return type(value)([placed(v, how) for v in value]) if type(value) in (list, tuple) else value


def outcome(function: Callable[..., Any], sample: Any, how: str, second: bool) -> list[Any]:
    """Results, their strides, gradients, and second derivatives, with arguments that are ``how`` in memory."""
    leaves: list[tuple[Any, Any]] = []
    args, kwargs = [ours(x, leaves) for x in ((sample.input, *sample.args), sample.kwargs)]
    if how != "plain":
        args, kwargs = placed(args, how), placed(kwargs, how)
    results = flat(function(*args, **kwargs))
    found: list[Any] = [(r.dtype, tuple(r.shape), r.stride(), values(r)) for r in results if isinstance(r, tm.Tensor)]
    wanted = [r for r in results if isinstance(r, tm.Tensor) and r.requires_grad]
    for twice in (False, True)[: 1 + second] if wanted else ():
        rng = np.random.default_rng(0)
        for leaf, _ in leaves:
            leaf.grad = None
        terms = [(r * tm.Tensor(mx.array(rng.random(tuple(r.shape)).astype(np.float32)))).sum() for r in wanted]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        total.backward(retain_graph=True, create_graph=twice)
        if twice:
            grads = [leaf.grad for leaf, _ in leaves]
            for leaf, _ in leaves:
                leaf.grad = None
            for g in grads:
                if g is not None and g.requires_grad:
                    (g * g).sum().backward(retain_graph=True)
        found += [None if leaf.grad is None else values(leaf.grad) for leaf, _ in leaves]
    return found


def images(entry: Any) -> Iterator[Any]:
    for sample in samples(entry, torch.float32):
        tensors = [t for t in flat([sample.input, *sample.args]) if isinstance(t, torch.Tensor)]
        if any(t.ndim in (3, 4, 5) for t in tensors):
            yield sample


def same(mine: Any, plain: Any) -> None:
    if isinstance(plain, tuple):
        assert mine[:3] == plain[:3]
        mine, plain = mine[3], plain[3]
    if mine is None or plain is None:
        rest = [v for v in (mine, plain) if v is not None]
        assert not any(v.any() for v in rest)
        return
    finite = plain[np.isfinite(plain)] if plain.dtype.kind in "fc" else plain[:0]
    scale = max(1.0, np.abs(finite).max(initial=0.0))
    np.testing.assert_allclose(mine, plain, rtol=0, atol=2e-5 * scale if plain.dtype.kind in "fc" else 0)


@by_part
@pytest.mark.parametrize("how", ["memory", pytest.param("convolution", marks=pytest.mark.long)])
@by_entry(HERE)
def test_every_function_takes_images_in_either_memory(entry: Any, how: str, part: str) -> None:
    if torch.float32 not in entry.dtypes or apart(entry, torch.float32):
        return
    torch.manual_seed(0)
    found = [*images(entry)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in part_of(found, part, 8):
            plain, mine = [outcome(called(entry), found[i], h, entry.supports_gradgrad) for h in ("plain", how)]
            assert len(mine) == len(plain), f"sample {i}"
            for a, b in zip(mine, plain, strict=True):
                same(a, b)


def test_there_are_many_of_them() -> None:
    names = {entry.name for entry in HERE}
    assert {"add", "cat", "softmax", "nn.functional.relu", "nn.functional.conv2d", "nn.functional.max_pool2d"} <= names
    declared = {
        name for name, entry in REGISTRY.items() if entry.op is not None and entry.op.channels and "." not in name
    }
    assert len(names) > 60
    assert len({name for name in declared if not name.endswith("_")} - names) < 30


# Programs -------------------------------------------------------------------------------------------------------------


class Side:
    """torch, or this package, with the same numbers."""

    def __init__(self, lib: Any) -> None:
        self.lib, self.F, self.rng = lib, lib.nn.functional, np.random.default_rng(0)

    def leaf(self, *shape: int, wants: bool = True, dtype: str = "float32") -> Any:
        array = np.round(self.rng.uniform(-2, 2, shape), 2).astype(np.float32)
        made = torch.tensor(array) if self.lib is torch else tm.Tensor(mx.array(array))
        return made.to(getattr(self.lib, dtype)).requires_grad_(wants)

    def image(self, n: int = 2, dtype: str = "float32") -> tuple[Any, Any, Any]:
        """A convolution's result (n, 4, 5, 5), and the leaves that it is of."""
        x, w = self.leaf(n, 3, 6, 6, dtype=dtype), self.leaf(4, 3, 2, 2, dtype=dtype)
        return self.lib.conv2d(x, w), x, w


Program = Callable[[Side], list[Any]]
PROGRAMS: list[Program] = []


def program(fn: Program) -> Program:
    PROGRAMS.append(fn)
    return fn


@program
def hooks(s: Side) -> list[Any]:
    y, x, w = s.image()
    seen: list[Any] = []
    y.register_hook(lambda g: seen.append(g * 1))
    y.register_hook(lambda g: g * 3)
    y.retain_grad()
    (s.F.relu(y) * s.leaf(2, 4, 5, 5, wants=False)).sum().backward()
    return [seen[0], y.grad, x.grad, w.grad]


@program
def hooks_where_only_torchs_order_is_used(s: Side) -> list[Any]:
    y, x, w = s.image()
    y.retain_grad()
    y.register_hook(lambda g: g.flip(3))
    (y.reshape(2, -1) * s.leaf(2, 100, wants=False)).sum().backward()
    return [y.grad, x.grad, w.grad]


@program
def used_in_both_orders(s: Side) -> list[Any]:
    y, x, w = s.image()
    y.retain_grad()
    k, m = s.leaf(5, 3, wants=False), s.leaf(2, 4, 5, 5, wants=False)
    ((s.F.relu(y) * m).sum() + (y @ k).sum() + (y.transpose(1, 3) * m.transpose(1, 3)).sum() + y[0, 1].sum()).backward()
    return [y.grad, x.grad, w.grad]


@program
def writes(s: Side) -> list[Any]:
    y, x, w = s.image()
    y.mul_(2)
    y.add_(s.leaf(4, 1, 1, wants=False))
    y[:, 1] = 0
    y[0, 2, 1:3].mul_(3)
    y.select(1, 3).copy_(s.leaf(2, 5, 5))
    z = s.F.relu(y)
    (z * s.leaf(2, 4, 5, 5, wants=False)).sum().backward()
    return [y, z, x.grad, w.grad]


@program
def a_view_sees_a_write(s: Side) -> list[Any]:
    y, x, w = s.image()
    part, flat = y[:, 1:3], y.reshape(2, 4, 25)
    y.mul_(2)
    (s.F.relu(y).sum() + (part * part).sum()).backward()
    return [part, flat, x.grad, w.grad]


@program
def data_and_detach(s: Side) -> list[Any]:
    y, _, _ = s.image()
    cut = y.detach()
    z = s.F.relu(cut.clone().requires_grad_())
    z.sum().backward()
    y.data.mul_(2)
    y.data[:, 0] = 1
    return [cut, y, y.data, cut.requires_grad, (y * 1).sum(), z]


@program
def detached_wants_a_gradient(s: Side) -> list[Any]:
    y, _, _ = s.image()
    leaf = y.detach().requires_grad_()
    (s.F.avg_pool2d(s.F.gelu(leaf), 2) ** 2).sum().backward()
    return [leaf.grad, leaf.is_leaf]


@program
def differentiated_twice(s: Side) -> list[Any]:
    y, x, w = s.image()
    z = s.F.max_pool2d(s.F.silu(y) * y.sigmoid(), 2) + y.mean((2, 3), keepdim=True)
    z.pow(2).sum().backward(create_graph=True)
    first = [x.grad, w.grad]
    x.grad = w.grad = None
    (first[0] ** 2).sum().backward(retain_graph=True)
    (first[1] ** 2).sum().backward()
    return [*[g.detach() for g in first], x.grad, w.grad]


@program
def twice_with_a_hook(s: Side) -> list[Any]:
    y, x, w = s.image()
    y.register_hook(lambda g: g * g)
    (s.F.gelu(y).sum() + (y.reshape(2, -1) ** 3).sum()).backward(create_graph=True)
    g = w.grad
    x.grad = w.grad = None
    g.sum().backward()
    return [g.detach(), x.grad, w.grad]


@program
def without_recording(s: Side) -> list[Any]:
    with s.lib.no_grad():
        y, _, _ = s.image()
        z = s.F.relu(y)
        z.add_(1)
    return [y, z, y.requires_grad, z.is_leaf, y.numpy(), y.tolist()]


@program
def copies(s: Side) -> list[Any]:
    with s.lib.no_grad():
        y, _, _ = s.image()
    deep, pickled = copy.deepcopy(y), pickle.loads(pickle.dumps(y))
    y.mul_(2)
    deep.add_(1)
    return [y, deep, pickled, copy.deepcopy([y, y])[1]]


@program
def copies_of_a_leaf(s: Side) -> list[Any]:
    leaf = s.image()[0].detach().requires_grad_()
    s.F.relu(leaf).sum().backward()
    deep = copy.deepcopy(leaf)
    s.F.relu(deep).sum().backward()
    return [deep, deep.grad, leaf.grad, deep.requires_grad]


@program
def saved_and_loaded(s: Side) -> list[Any]:
    y = s.image()[0].detach()
    file = io.BytesIO()
    s.lib.save({"image": y, "part": y[:, 1]}, file)
    file.seek(0)
    loaded = s.lib.load(file)
    loaded["part"].mul_(2)
    return [loaded["image"], loaded["part"]]


@program
def a_parameter_of_it(s: Side) -> list[Any]:
    y = s.image()[0].detach()
    p = (s.lib.nn if s.lib is torch else s.lib).Parameter(y)
    s.F.relu(p).sum().backward()
    p.data.sub_(p.grad)
    q = s.leaf(2, 4, 5, 5)
    q.data = y
    q.data.add_(1)
    s.F.relu(q).sum().backward()
    return [p, p.grad, y, q, q.grad]


@program
def mixed_memory(s: Side) -> list[Any]:
    y, x, w = s.image()
    plain = s.leaf(2, 4, 5, 5)
    z = s.lib.cat([y, plain, y * 2], 1)
    z = s.lib.cat([z, plain.repeat(1, 3, 1, 1)], -1)
    (s.lib.maximum(y, plain).sum() + z.pow(2).sum() + s.lib.stack([y, plain], 2).sum()).backward()
    return [z, x.grad, w.grad, plain.grad]


@program
def broadcast(s: Side) -> list[Any]:
    y, x, w = s.image()
    others = [s.leaf(*shape) for shape in [(4, 1, 1), (1, 4, 1, 1), (5,), (), (2, 1, 5, 5), (5, 5), (2, 4, 1, 1), (1,)]]
    found = [y]
    for other in others:
        found += [y * other, other - y]
    sum((f * f).sum() for f in found).backward()
    large = y.unsqueeze(0) + s.leaf(3, 1, 1, 1, 1, wants=False)
    return [*found, large, x.grad, w.grad, *[o.grad for o in others]]


@program
def broadcast_the_other_way(s: Side) -> list[Any]:
    x, w = s.leaf(1, 3, 2, 2), s.leaf(4, 3, 2, 2)
    y = s.lib.conv2d(x, w)  # (1, 4, 1, 1)
    z = y * s.leaf(2, 4, 3, 3) + y.squeeze(0)
    z.pow(2).sum().backward()
    return [z, x.grad, w.grad]


@program
def nothing_in_the_batch(s: Side) -> list[Any]:
    y, x, w = s.image(n=0)
    z = s.F.max_pool2d(s.F.relu(y * s.leaf(4, 1, 1)), 2)
    z.sum().backward()
    return [y, z, x.grad, w.grad]


@program
def half_precision(s: Side) -> list[Any]:
    found = []
    for dtype in ("float16", "bfloat16"):
        y, x, w = s.image(dtype=dtype)
        z = s.F.avg_pool2d(s.F.relu(y) + y, 2)
        z.sum().backward()
        found += [y, z, x.grad, w.grad]
    return found


@program
def casts(s: Side) -> list[Any]:
    y, x, w = s.image()
    z = y.double() * 2 + y.to(s.lib.bfloat16).float()
    z.sum().backward()
    return [z, y > 0, y.argmax(1), y.long(), x.grad, w.grad]


@program
def sequences_and_volumes(s: Side) -> list[Any]:
    found = []
    for n in (1, 3):
        x, w = s.leaf(2, 3, *[4] * n), s.leaf(4, 3, *[2] * n)
        y = getattr(s.lib, f"conv{n}d")(x, w)
        z = s.F.relu(y).softmax(1) * y.flip(-1)
        z.pow(2).sum().backward()
        found += [z, x.grad, w.grad]
    return found


@program
def without_a_batch_dimension(s: Side) -> list[Any]:
    x, w = s.leaf(3, 6, 6), s.leaf(4, 3, 2, 2)
    y = s.lib.conv2d(x, w)
    z = s.F.max_pool2d(s.F.relu(y) * y, 2)
    y.detach().mul_(2)
    return [y, z]


@program
def its_strides(s: Side) -> list[Any]:
    y, _, _ = s.image()
    return [
        y.stride(),
        s.F.relu(y).stride(),
        y.transpose(1, 2).stride(),
        y.is_contiguous(),
        y.permute(0, 2, 3, 1).shape,
    ]


def compare(mine: Any, theirs: Any, what: str) -> None:
    if isinstance(theirs, torch.Tensor):
        assert (mine is None) == (theirs is None), what
        half = theirs.dtype in (torch.float16, torch.bfloat16)
        assert str(theirs.dtype)[6:] in str(mine.dtype), what
        assert tuple(mine.shape) == tuple(theirs.shape), what
        assert mine.requires_grad == theirs.requires_grad, what
        near(mine, theirs, 2e-2 if half else 2e-5)
    elif isinstance(theirs, (np.ndarray, list)):
        np.testing.assert_allclose(np.array(mine), np.array(theirs), atol=1e-5)
    else:
        assert mine == theirs, what


@pytest.mark.parametrize("fn", PROGRAMS, ids=lambda fn: fn.__name__)
def test_programs(fn: Program) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, theirs = fn(Side(tm)), fn(Side(torch))
    assert len(mine) == len(theirs)
    for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        compare(a, b, f"result {i}")


def spoiled_by_relu(s: Side) -> Any:
    y, _, _ = s.image()
    return y, s.F.relu(y), lambda z: z.mul_(2)


def spoiled_argument(s: Side) -> Any:
    y, _, _ = s.image()
    return y, y * y, lambda z: y.add_(1)


def spoiled_by_a_view(s: Side) -> Any:
    y, _, _ = s.image()
    return y, s.F.silu(y), lambda z: y[:, 1].zero_()


def spoiled_input(s: Side) -> Any:
    x, w = s.leaf(2, 3, 6, 6), s.leaf(4, 3, 2, 2)
    y = x * 1
    return y, s.lib.conv2d(y, w), lambda z: y.mul_(2)


@pytest.mark.parametrize("fn", [spoiled_by_relu, spoiled_argument, spoiled_by_a_view, spoiled_input])
def test_what_was_kept_may_not_be_written(fn: Any) -> None:
    for side in (Side(torch), Side(tm)):
        _, z, spoil = fn(side)
        spoil(z)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.sum().backward()


def test_a_small_net_is_compiled() -> None:
    side = Side(tm)
    x, w, v, bias = side.leaf(2, 3, 6, 6), side.leaf(4, 3, 3, 3), side.leaf(2, 4, 2, 2), side.leaf(4, 1, 1)

    def step(*arrays: mx.array) -> list[mx.array]:
        a, b, c, d = leaves = [tm.Tensor(array, requires_grad=True) for array in arrays]
        hidden = tm.nn.functional.max_pool2d(tm.nn.functional.relu(tm.conv2d(a, b, padding=1) + d), 2)
        loss = (tm.conv2d(hidden, c) ** 2).mean()
        loss.backward()
        return [loss.array, *[leaf.grad.array for leaf in leaves]]

    arrays = [t.array for t in (x, w, v, bias)]
    for eager, compiled in zip(step(*arrays), mx.compile(step)(*arrays), strict=True):
        np.testing.assert_allclose(np.array(eager), np.array(compiled), rtol=1e-5, atol=1e-5)
