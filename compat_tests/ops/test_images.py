"""Functions of images that ``op_db`` does not have, or of which it does not have these calls, next to torch."""

from __future__ import annotations

import warnings
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import torchish_mlx as tm
from compat_tests.ops.test_op_db import near, ours

G = tm.nn.functional
SIZES = {1: (9,), 2: (9, 7), 3: (5, 6, 4)}


def image(n: int, channels: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(2, channels, *SIZES[n], dtype=dtype)


def check(name: str, *args: Any, module: tuple[Any, Any] = (F, G), second: bool = True, **kwargs: Any) -> None:
    """The same values, gradients and second derivatives."""
    leaves: list[tuple[Any, Any]] = []
    args = tuple([a.requires_grad_() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args])
    given = ours(args, leaves)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(module[0], name)(*args, **kwargs)
        mine = getattr(module[1], name)(*given, **kwargs)
    if isinstance(theirs, tuple):
        near(mine[1], theirs[1], 0)
        mine, theirs = mine[0], theirs[0]
    near(mine, theirs, 1e-5)
    weight = torch.randn(theirs.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of create_graph
        differentiate(mine, theirs, weight, leaves, second)


def differentiate(mine: Any, theirs: Any, weight: Any, leaves: list[tuple[Any, Any]], second: bool) -> None:
    """The gradients, and the derivatives of them."""
    for total, twice in (((theirs * weight).sum(), second), ((mine * ours(weight, [])).sum(), second)):
        total.backward(create_graph=twice)
    for a, b in leaves:
        near(a.grad, b.grad, 1e-5)
    if second and any(b.grad.requires_grad for _, b in leaves):
        firsts = [[leaf[side].grad for leaf in leaves] for side in (0, 1)]
        for pair in leaves:
            for leaf in pair:
                leaf.grad = None
        for grads in firsts:
            terms = [(g * g).sum() for g in grads if g.requires_grad]
            if terms:  # otherwise the derivative is zero
                sum(terms).backward()
        for a, b in leaves:
            near(0 * a if a.grad is None else a.grad, 0 * b if b.grad is None else b.grad, 1e-4)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("kwargs", [{}, {"stride": 1}, {"stride": 2, "ceil_mode": True}, {"ceil_mode": True}], ids=str)
@pytest.mark.parametrize("power", [1, 2, 2.5, 3])
def test_pools_of_powers(n: int, kwargs: dict[str, Any], power: float) -> None:
    torch.manual_seed(0)
    x = image(n)
    check(f"lp_pool{n}d", x.abs() if power == 2.5 else x, power, 2, second=power not in (1, 3), **kwargs)


@pytest.mark.parametrize(
    "kwargs", [{}, {"stride": 2}, {"padding": 1}, {"dilation": (2, 1)}, {"stride": 3, "padding": 1}]
)
@pytest.mark.parametrize("kernel", [2, (3, 2)])
def test_unfold_and_fold(kernel: Any, kwargs: dict[str, Any]) -> None:
    torch.manual_seed(0)
    x = image(2)
    check("unfold", x, kernel, **kwargs)
    check("unfold", x[0].detach(), kernel, **kwargs)
    columns = torch.randn(F.unfold(x, kernel, **kwargs).shape)
    check("fold", columns, (9, 7), kernel, **kwargs)
    check("fold", columns[0].detach(), (9, 7), kernel, **kwargs)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_unpooling_by_what_a_pool_here_found(n: int) -> None:
    torch.manual_seed(0)
    for size in (None, SIZES[n]):
        x = image(n) if size else image(n)[(..., *[slice(k // 2 * 2) for k in SIZES[n]])]
        found, places = getattr(F, f"max_pool{n}d")(x, 2, return_indices=True)
        check(f"max_unpool{n}d", found.detach(), places, 2, output_size=size)
        check(f"max_unpool{n}d", found[0].detach(), places[0], 2, output_size=size)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_place_outside_is_refused(n: int) -> None:
    found, places = getattr(F, f"max_pool{n}d")(image(n), 2, return_indices=True)
    for wrong in (places + 1000, places - 1000):
        with pytest.raises(RuntimeError, match="Found an invalid max index"):
            getattr(G, f"max_unpool{n}d")(ours(found, []), ours(wrong, []), 2)


def test_max_pool1d_with_indices() -> None:
    torch.manual_seed(0)
    for kwargs in ({}, {"stride": 1}, {"padding": 1, "dilation": 2}, {"ceil_mode": True}):
        check("max_pool1d_with_indices", image(1), 3, module=(torch, tm), **kwargs)


WAYS = [("nearest", 1), ("nearest", 2), ("nearest-exact", 3), ("area", 2), ("linear", 1), ("bilinear", 2)]
WAYS += [("trilinear", 3), ("bicubic", 2), ("lanczos", 2)]


@pytest.mark.parametrize("size", [{"size": 7}, {"size": 1}, {"scale_factor": 1.7}, {"scale_factor": 0.6}], ids=str)
@pytest.mark.parametrize("mode", WAYS, ids=lambda m: m[0])
def test_every_way_of_another_size(mode: tuple[str, int], size: dict[str, Any]) -> None:
    torch.manual_seed(0)
    name, n = mode
    plain = name in ("nearest", "nearest-exact", "area")
    smooth = [name == "lanczos"] if name not in ("bilinear", "bicubic") else [False, True]
    for align in (None,) if plain else (False,) if name == "lanczos" else (False, True):
        for antialias in smooth:
            for recompute in (None, True) if "scale_factor" in size else (None,):
                kwargs = {"mode": name, "align_corners": align, "antialias": antialias, **size}
                check("interpolate", image(n), recompute_scale_factor=recompute, **kwargs)


def test_the_older_names_warn_and_do_the_same() -> None:
    x = ours(image(2), [])
    for name, kwargs in (("upsample", {"mode": "bilinear"}), ("upsample_nearest", {}), ("upsample_bilinear", {})):
        check(name, image(2), size=5, **kwargs)
        with pytest.warns(UserWarning, match=f"`nn.functional.{name}` is deprecated"):
            getattr(G, name)(x, size=5, **kwargs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floats(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, w = image(2).to(dtype), torch.randn(4, 3, 3, 2).to(dtype)
    tolerance = {torch.float64: 1e-12, torch.float16: 2**-9, torch.bfloat16: 2**-6}[dtype]
    for name, args in (
        ("conv2d", (x, w)),
        ("avg_pool2d", (x, 3)),
        ("max_pool2d", (x, 3)),
        ("adaptive_avg_pool2d", (x, 2)),
    ):
        near(getattr(G, name)(*ours(args, [])), getattr(F, name)(*args), tolerance)


@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("more", [(1, 0), (1, 2), (2, 2)])
@pytest.mark.parametrize("groups", [1, 2])
def test_an_output_padding_up_to_the_dilation(padding: int, more: Any, groups: int) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(2, 4, 5, 6), torch.randn(4, 3, 2, 3)
    kwargs = {"stride": (1, 2), "padding": padding, "output_padding": more, "dilation": 3, "groups": groups}
    check("conv_transpose2d", x, w, torch.randn(3 * groups), **kwargs)
    whole = [torch.randint(-4, 5, t.shape) for t in (x, w)]
    near(G.conv_transpose2d(*ours(whole, []), **kwargs), F.conv_transpose2d(*whole, **kwargs), 0)


IMAGE = torch.ones(2, 4, 6, 6)
WEIGHT = torch.ones(4, 4, 3, 3)
REFUSED: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("conv2d", (IMAGE, WEIGHT.bfloat16()), {}),
    ("conv2d", (IMAGE, WEIGHT, torch.ones(4).bfloat16()), {}),
    ("conv2d", (IMAGE.long(), WEIGHT), {}),
    ("conv2d", (IMAGE, WEIGHT, torch.ones(5)), {}),
    ("conv2d", (IMAGE, WEIGHT), {"groups": 3}),
    ("conv2d", (IMAGE, WEIGHT), {"groups": 0}),
    ("conv2d", (IMAGE, WEIGHT), {"padding": "full"}),
    ("conv2d", (IMAGE, WEIGHT), {"padding": "same", "stride": 2}),
    ("conv2d", (IMAGE, WEIGHT), {"dilation": 3}),
    ("conv2d", (IMAGE, WEIGHT), {"stride": (1, 1, 1)}),
    ("conv2d", (IMAGE[0, 0], WEIGHT), {}),
    ("conv2d", (IMAGE[:, :, :0], WEIGHT), {"padding": 3}),
    ("conv_transpose2d", (IMAGE, WEIGHT), {"output_padding": 1}),
    ("conv_transpose2d", (IMAGE, WEIGHT), {"output_padding": (0, 2), "stride": 2}),
    ("conv_transpose2d", (IMAGE, WEIGHT, None, 1, "same"), {}),
    ("conv_transpose2d", (IMAGE, WEIGHT, torch.ones(5)), {}),
    ("conv_transpose2d", (IMAGE.bool(), WEIGHT.bool()), {}),
    ("max_pool2d", (IMAGE, 3), {"padding": 2}),
    ("max_pool2d", (IMAGE, 3), {"dilation": 2, "padding": 2}),
    ("max_pool2d", (IMAGE, 3), {"dilation": (1, 1, 1)}),
    ("max_pool2d", (IMAGE, 3.0), {}),
    ("avg_pool2d", (IMAGE.int(), 3), {}),
    ("avg_pool2d", (IMAGE, 3), {"divisor_override": 0}),
    ("avg_pool2d", (IMAGE, 3, None, 0, False, True, 2.0), {}),
    ("adaptive_avg_pool2d", (IMAGE[:, :, :0], 2), {}),
    ("adaptive_max_pool2d", (IMAGE.long(), 2), {}),
    ("unfold", (IMAGE, 7), {}),
    ("unfold", (IMAGE, 2), {"stride": 0}),
    ("fold", (torch.ones(2, 15, 25), 6, 2), {}),
    ("fold", (torch.ones(2, 16, 25), 7, 2), {}),
    ("interpolate", (IMAGE,), {}),
    ("interpolate", (IMAGE, 2), {"mode": "linear"}),
    ("interpolate", (IMAGE, 2), {"align_corners": True}),
    ("interpolate", (IMAGE, 0), {}),
    ("interpolate", (IMAGE, (2, 2, 2)), {}),
]


@pytest.mark.parametrize(
    ("name", "args", "kwargs"), REFUSED, ids=lambda v: str(v) if isinstance(v, (str, dict)) else ""
)
def test_refused_in_torchs_words(name: str, args: Any, kwargs: Any) -> None:
    with pytest.raises(Exception) as theirs:
        getattr(F, name)(*args, **kwargs)
    with pytest.raises(theirs.type) as mine:
        getattr(G, name)(*ours(args, []), **kwargs)
    assert str(mine.value) == str(theirs.value)


def test_what_torch_can_and_is_not_here_says_what_to_do() -> None:
    x = tm.Tensor(mx.zeros((1, 1, 4, 4), mx.complex64))
    with pytest.raises(NotImplementedError, match="convolve their real and imaginary parts"):
        G.conv2d(x, x)
    with pytest.raises(NotImplementedError, match=r"use input\.float\(\)"):
        G.interpolate(tm.Tensor(mx.zeros((1, 1, 4, 4), mx.uint8)), 2, mode="bilinear")
    assert np.array_equal(G.interpolate(tm.Tensor(mx.ones((1, 1, 4, 4), mx.uint8)), 2).numpy(), np.ones((1, 1, 2, 2)))
