"""Padding: values around a tensor, constant or taken from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.promotion import INEXACT, NAMES, cast, widened
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._op import Array
from .shaping import copied

Widths = tuple[tuple[int, int], ...]

_COMBINATIONS = (
    "Supported combinations for non-constant padding:\n"
    "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
    "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
    "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
)


def _padded(x: mx.array, widths: Widths, value: Any) -> mx.array:
    """Constant values around x; a negative width takes some of it away."""
    kept = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths, strict=True))]
    more = [(max(a, 0), max(b, 0)) for a, b in widths]
    if not kept.size:
        shape = [n + a + b for n, (a, b) in zip(kept.shape, more, strict=True)]
        return mx.broadcast_to(mx.array(value, x.dtype), shape)
    return mx.pad(kept, more, constant_values=mx.array(value, x.dtype))


def _opposite(g: mx.array, widths: Widths) -> mx.array:
    return _padded(g, tuple((-a, -b) for a, b in widths), 0)


@op(grad={"input": _opposite}, name="pad.constant", node="ConstantPadNdBackward0", function=False, method=False)
def _constant(input: Array, widths: Widths, value: Any) -> mx.array:
    return _padded(input, widths, value)


def _source(n: int, before: int, after: int, mode: str) -> mx.array:
    """Where each element along a dimension comes from."""
    at = np.arange(-before, n + after)
    if mode == "reflect":
        at = np.abs(at)
        at = np.where(at >= n, 2 * (n - 1) - at, at)
    elif mode == "replicate":
        at = np.clip(at, 0, n - 1)
    else:  # what is left of it goes on at its other end
        kept = np.arange(max(-before, 0), n - max(-after, 0))
        at = kept[np.arange(-max(before, 0), len(kept) + max(after, 0)) % len(kept)] if len(kept) else kept
    return mx.array(at)


def _taken(x: mx.array, widths: Widths, mode: str) -> mx.array:
    for d, (a, b) in enumerate(widths):
        if a or b:
            if not x.size or x.shape[d] + a + b <= 0:
                return mx.zeros([n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)], x.dtype)
            x = mx.take(x, _source(x.shape[d], a, b, mode), axis=d)
    return x


def _given_back(g: mx.array, input_shape: Sequence[int], widths: Widths, mode: str) -> mx.array:
    """Each element gets what went to its copies."""
    out = widened(g)
    if not g.size:
        return mx.zeros(input_shape, g.dtype)
    for d, (a, b) in reversed(list(enumerate(widths))):
        if a or b:
            shape = [input_shape[d] if i == d else n for i, n in enumerate(out.shape)]
            key = (slice(None),) * d + (_source(input_shape[d], a, b, mode),)
            out = mx.zeros(shape, out.dtype).at[key].add(out)
    return cast(out, g.dtype)


def _padded_node(_tensors: Any, _input: Any, widths: Widths, mode: str) -> str:
    """Torch has a call for each number of dimensions; its circular padding is made of writes."""
    if mode == "circular":
        return "CopySlices"
    first = next((d for d, pair in enumerate(widths) if pair != (0, 0)), len(widths) - 1)
    return f"{'Reflection' if mode == 'reflect' else 'Replication'}Pad{len(widths) - first}DBackward0"


@op(grad={"input": _given_back}, name="pad.copies", node=_padded_node, function=False, method=False)
def _copies(input: Array, widths: Widths, mode: str) -> mx.array:
    return _taken(input, widths, mode)


def _check_copies(size: list[int], pad: Sequence[int], widths: Widths, mode: str) -> None:
    """Refuse what torch does for none of reflect, replicate and circular."""
    ndim, spatial = len(size), len(pad) // 2
    if spatial not in (1, 2, 3) or ndim not in (spatial + 1, spatial + 2):
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {ndim}D input tensor.\n{_COMBINATIONS}"
        )
    if mode != "circular" and 0 in size[ndim - spatial - 1 :]:
        raise RuntimeError(
            f"Expected {spatial + 1}D or {spatial + 2}D (batch mode) tensor with possibly 0 batch size and other "
            f"non-zero dimensions for input, but got: {size}"
        )
    for d in reversed(range(ndim - spatial, ndim)):
        n, (a, b) = size[d], widths[d]
        if mode == "reflect" and (a >= n or b >= n):
            raise RuntimeError(
                f"Argument #{4 + 2 * (ndim - 1 - d)}: Padding size should be less than the corresponding input "
                f"dimension, but got: padding ({a}, {b}) at dimension {d} of input {size}"
            )
        if mode == "circular" and (a > n or b > n):
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if mode == "circular" and n + min(a, 0) + min(b, 0) <= 0 < n + a + b:
            raise RuntimeError(f"nothing is left of dimension {d} to go round: torch gives numbers that it never wrote")
        if mode == "circular" and n + a + b < 0:
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
    if mode != "circular":
        names = "DHW"[3 - spatial :]
        sizes = [size[ndim - spatial + i] for i in range(spatial)]
        out = [n + sum(widths[ndim - spatial + i]) for i, n in enumerate(sizes)]
        if min(out) < 1:
            before = " ".join(f"{k}: {n}" for k, n in zip(names, sizes, strict=True))
            after = " ".join(f"{k}: {n}" for k, n in zip(names, out, strict=True))
            raise RuntimeError(f"input ({before}) is too small. Calculated output {after}")


@composed(module="nn.functional", shape="that of ``input``, with the widths added to the last dimensions")
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """``input`` with values around it.

    ``pad`` has two widths for each of some dimensions, the last dimension first: before and after. A negative one takes
    elements away. The mode is ``"constant"``, of ``value`` or 0; or the values are taken from ``input``:
    ``"reflect"`` mirrors it without the edge, ``"replicate"`` repeats the edge, ``"circular"`` goes on at the other
    end.

    Raises:
        RuntimeError: widths that are not pairs, too many, or too large for the mode.
        NotImplementedError: a mode that is not there, or not for so many dimensions.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.pad(torch.tensor([[1.0, 2.0, 3.0]]), (1, 2))
    tensor([[0., 1., 2., 3., 0., 0.]])
    >>> F.pad(torch.tensor([[1.0, 2.0, 3.0]]), (1, 2), mode="reflect")
    tensor([[2., 1., 2., 3., 2., 1.]])
    """
    if not isinstance(pad, (tuple, list)):
        raise TypeError(f"pad(): argument 'pad' (position 2) must be tuple of ints, not {type(pad).__name__}")
    size = list(input.shape)
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * len(size):
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {len(size)}"
        )
    pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    widths = ((0, 0),) * (len(size) - len(pairs)) + tuple(pairs)
    out: Tensor
    if mode == "constant":
        for n, (a, b) in zip(size, widths, strict=True):
            if n + min(a, 0) + min(b, 0) < 0 or -a > n or -b > n:
                raise RuntimeError("narrow(): length must be non-negative.")
        of_dtype = bool if input.dtype == mx.bool_ else int
        fill = 0 if value is None else value if input.dtype in INEXACT else of_dtype(value)
        out = _constant(input, widths, fill) if pairs else copied(input)
        return out
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    _check_copies(size, pad, widths, mode)
    if input.dtype == mx.bool_ and mode != "circular":
        kernel = {"reflect": "reflection", "replicate": "replication"}[mode]
        raise NotImplementedError(f"\"{kernel}_pad{len(pad) // 2}d\" not implemented for '{NAMES[input.array.dtype]}'")
    out = _copies(input, widths, mode)
    return out
