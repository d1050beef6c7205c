"""Images of other sizes: ``interpolate`` and its older names.

Each way is linear in the image and works along one axis at a time, so it is a matrix for each axis, and the gradient
is the product with the transposed matrices.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from .._core.promotion import FLOATS, NAMES, cast, widened
from .._tensor.tensor import Tensor
from ._arguments import Truth
from ._declare import composed, op
from ._op import Array
from ._recorded import call_it
from ._sizes import integers
from .pooling import AREA
from .windows import along_each

_DIMS = {"linear": 3, "bilinear": 4, "trilinear": 5, "bicubic": 4, "lanczos": 4}
#: What torch calls what it has not for integers.
_KERNELS = {
    "linear": "compute_indices_weights_linear",
    "trilinear": "compute_indices_weights_linear",
    "bilinear": "upsample_bilinear2d_channels_last",
    "bicubic": "compute_indices_weights_cubic",
}


class Way(NamedTuple):
    """How one axis is resized: the mode, the sizes, the factor where it was given, and the two switches."""

    mode: str
    size: int
    new: int
    factor: float | None
    align: bool
    antialias: bool


def _linear(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    x = np.abs(x)
    inner, outer = ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, inner, np.where(x < 2, outer, 0))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


#: Of each mode with ``antialias``: the filter, and how far it reaches.
_FILTERS: dict[str, Any] = {
    "bilinear": (_linear, 1),
    "bicubic": (functools.partial(_cubic, a=-0.5), 2),
    "lanczos": (_lanczos, 3),
}


def _scale(way: Way, kind: Any) -> Any:
    """How far two neighbours of the result are apart in the image."""
    if way.align:
        return kind(way.size - 1) / kind(way.new - 1) if way.new > 1 else kind(0)
    return kind(1 / way.factor) if way.factor else kind(way.size) / kind(way.new)


@functools.lru_cache(256)
def _nearest(way: Way, double: bool) -> mx.array:
    """Which element of the image each of the result is."""
    kind = np.float64 if double else np.float32
    at = np.arange(way.new).astype(kind) + kind(0.5 if way.mode == "nearest-exact" else 0)
    return mx.array(np.minimum(np.floor(at * _scale(way, kind)).astype(np.int32), way.size - 1))


@functools.lru_cache(256)
def _matrix(way: Way, double: bool) -> mx.array:
    """The matrix (new, size) that resizes an axis."""
    kind = np.float64 if double else np.float32
    made = np.zeros((way.new, way.size), np.float64)
    rows, scale = np.arange(way.new), _scale(way, kind)
    if way.mode.startswith("nearest"):
        made[rows, np.array(_nearest(way, double))] = 1
    elif way.antialias:
        filtered, reach = _FILTERS[way.mode]
        wide = max(float(scale), 1.0)
        centers = float(scale) * (rows + 0.5)
        first = np.maximum((centers - reach * wide + 0.5).astype(np.int64), 0)
        last = np.minimum((centers + reach * wide + 0.5).astype(np.int64), way.size)
        at = np.arange(way.size)
        weights = filtered((at - centers[:, None] + 0.5) / wide)
        weights = np.where((at >= first[:, None]) & (at < last[:, None]), weights, 0)
        made = weights / weights.sum(axis=1, keepdims=True)
    else:
        at = rows.astype(kind) * scale if way.align else scale * (rows.astype(kind) + kind(0.5)) - kind(0.5)
        if way.mode == "bicubic":
            begin = np.floor(at)
            for k in range(-1, 3):
                where = np.clip(begin.astype(np.int64) + k, 0, way.size - 1)
                np.add.at(made, (rows, where), _cubic((at - begin) - k, -0.75))
        else:
            at = np.maximum(at, kind(0))
            begin = np.minimum(at.astype(np.int64), way.size - 1)
            part = np.clip(at - begin, 0, 1)
            np.add.at(made, (rows, begin), 1 - part)
            np.add.at(made, (rows, np.minimum(begin + 1, way.size - 1)), part)
    return mx.array(made, mx.float64 if double else mx.float32)


def _matrices(ways: Sequence[Way], dtype: mx.Dtype) -> list[mx.array]:
    return [_matrix(way, dtype == mx.float64) for way in ways]


def _back(g: mx.array, input_shape: Sequence[int], ways: Any) -> mx.array:
    if not g.size:
        return mx.zeros(input_shape, g.dtype)
    return cast(along_each(widened(g), [mx.transpose(m) for m in _matrices(ways, g.dtype)]), g.dtype)


@op(grad={"input": _back}, channels="last", name="image.resize", function=False, method=False)
def _resized(input: Array, ways: Any) -> mx.array:
    """``input`` (n, *sizes, c) with each of its sizes made another one; ``ways`` has a ``Way`` for each."""
    if not input.size:
        return mx.zeros((input.shape[0], *[way.new for way in ways], input.shape[-1]), input.dtype)
    if ways[0].mode.startswith("nearest"):
        for axis, way in enumerate(ways, start=1):
            input = mx.take(input, _nearest(way, input.dtype == mx.float64), axis=axis)
        return input
    return cast(along_each(widened(input), _matrices(ways, input.dtype)), input.dtype)


# What torch refuses ---------------------------------------------------------------------------------------------------


def _new_sizes(
    input: Tensor, size: Any, scale_factor: Any, mode: str, recompute: bool | None
) -> tuple[tuple[int, ...], list[float | None]]:
    """The sizes of the result, and the factors where they count."""
    sizes = list(input.shape[2:])
    n = len(sizes)
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    form = "Please provide input tensor in (N, C, d1, d2, ...,dK) format and"
    if size is not None:
        if isinstance(size, (list, tuple)) and len(size) != n:
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but got input with spatial "
                f"dimensions of {sizes} and output size of {size}. {form} output size in (o1, o2, ...,oK) format."
            )
        if isinstance(size, (list, tuple)) and not all(isinstance(s, (int, np.integer)) for s in size):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], but got "
                f"size with types {[type(s) for s in size]}"
            )
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        found = integers("interpolate", "size", size)
        return ((found,) * n if isinstance(found, int) else found), [None] * n
    if isinstance(scale_factor, (list, tuple)) and len(scale_factor) != n:
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
            f"dimensions of {sizes} and scale_factor of shape {scale_factor}. {form} scale_factor in "
            "(s1, s2, ...,sK) format."
        )
    factors: list[Any] = list(scale_factor) if isinstance(scale_factor, (list, tuple)) else [scale_factor] * n
    new = tuple([math.floor(s * f) for s, f in zip(sizes, factors, strict=True)])
    used: list[float | None] = [None] * n if recompute or mode == "area" else [float(f) for f in factors]
    return new, used


def _shown(sizes: Sequence[int]) -> str:
    axes = {1: "W", 2: "HW", 3: "DHW"}[len(sizes)]
    return f"({', '.join(f'{a}: {s}' for a, s in zip(axes, sizes, strict=True))})"


def _check(input: Tensor, new: Sequence[int], mode: str, antialias: bool) -> None:
    shape, dtype = list(input.shape), input.array.dtype
    if min(*shape[2:], *new) <= 0:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {_shown(shape[2:])} "
            f"{'and ' if len(new) == 1 else ''}output {_shown(new)}"
        )
    if 0 in shape[1:]:
        raise RuntimeError(f"Non-empty {len(shape)}D data tensor expected but got a tensor with sizes {shape}")
    bytes_too = dtype == mx.uint8 and mode not in ("linear", "trilinear")
    if dtype not in FLOATS and not bytes_too:
        kernel = "compute_index_ranges_weights" if antialias else _KERNELS.get(mode, f"upsample_nearest{len(new)}d")
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{NAMES[dtype]}'")
    if bytes_too and not mode.startswith("nearest"):
        raise NotImplementedError(
            f"interpolate() of uint8 with mode={mode!r} is not here: torch rounds its weights for it; use input.float()"
        )


@composed(module="nn.functional", method=False, shape="``(n, c, *size)``")
def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: Truth | None = None,
    antialias: Truth = False,
) -> Tensor:
    """``input``, which is ``(n, c, *sizes)``, with other sizes.

    ``mode`` is ``"nearest"``, ``"nearest-exact"``, ``"area"``, ``"linear"`` (for one size), ``"bilinear"``,
    ``"bicubic"`` or ``"lanczos"`` (for two), or ``"trilinear"`` (for three). With ``align_corners`` the centers of the
    outermost elements stay where they are, otherwise their outer edges do. ``antialias`` widens the filters of a
    smaller image.

    Raises:
        ValueError: not one of ``size`` and ``scale_factor``, or another number of sizes; options of other modes.
        NotImplementedError: a mode for another number of dimensions.

    >>> import torchish_mlx as torch
    >>> import torchish_mlx.nn.functional as F
    >>> F.interpolate(torch.tensor([[[0.0, 1.0]]]), 4, mode="linear")
    tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])
    """
    nearest = mode in ("nearest", "area", "nearest-exact")
    if nearest and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    new, factors = _new_sizes(input, size, scale_factor, mode, recompute_scale_factor)
    if antialias and not (mode in _FILTERS and input.ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    n = input.ndim
    if n not in (3, 4, 5) or not (nearest or mode in _DIMS) or (n != 4 and mode in ("bicubic", "lanczos")):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {n}D) for the modes: nearest | linear | "
            f"bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
        )
    if not nearest and _DIMS[mode] != n:
        raise NotImplementedError(f"Got {n}D input, but {mode} mode needs {_DIMS[mode]}D input")
    if mode == "area":
        pooled: Tensor = AREA[n - 2](input, new)
        return pooled
    if mode == "lanczos" and align_corners:
        raise ValueError("Lanczos mode does not support align_corners=True")
    if mode == "lanczos" and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")
    _check(input, new, mode, antialias)
    each = zip(input.shape[2:], new, factors, strict=True)
    ways = [Way(mode, old, count, factor, bool(align_corners), antialias) for old, count, factor in each]
    made: Tensor = _resized(input, tuple(ways))
    call_it(f"Upsample{mode.title().replace('-', '')}{n - 2}D{'Aa' if antialias else ''}Backward0", made)
    return made


def _older(name: str) -> None:
    warnings.warn(f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=4)


@composed(module="nn.functional", method=False, shape="``(n, c, *size)``")
def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """``interpolate``, which is its new name."""
    _older("upsample")
    made: Tensor = interpolate(input, size, scale_factor, mode, align_corners)
    return made


@composed(module="nn.functional", method=False, shape="``(n, c, *size)``")
def upsample_nearest(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """``interpolate`` with ``mode="nearest"``, which is its new name."""
    _older("upsample_nearest")
    made: Tensor = interpolate(input, size, scale_factor, "nearest")
    return made


@composed(module="nn.functional", method=False, shape="``(n, c, *size)``")
def upsample_bilinear(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """``interpolate`` with ``mode="bilinear"`` and ``align_corners=True``, which is its new name."""
    _older("upsample_bilinear")
    made: Tensor = interpolate(input, size, scale_factor, "bilinear", True)
    return made
