"""How a Tensor prints: torch's layout, and its options."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.dtypes import OF_MLX
from .._core.promotion import DEFAULTS, FLOATING

_PREFIX = "tensor("


@dataclasses.dataclass
class _Options:
    """What ``set_printoptions`` sets."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": _Options(),
    "short": _Options(precision=2, edgeitems=2),
    "full": _Options(threshold=math.inf),
}
_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how Tensors print; what is None stays as it is, but for ``sci_mode``.

    Args:
        precision: how many digits are behind the point (4).
        threshold: from more elements than these on, a Tensor is summarized (1000).
        edgeitems: how many elements at each end of each dimension a summary has (3).
        linewidth: after how many characters lines are broken (80).
        profile: ``"default"``, ``"short"`` (2 digits, 2 elements at each end) or ``"full"`` (nothing is summarized);
            the other arguments change it.
        sci_mode: whether floats have exponents. None: where they differ too much in size, which this is set to in every
            call that does not say otherwise.

    Raises:
        ValueError: another profile.

    Source: ``torch.set_printoptions``.

    >>> import torchish_mlx as torch
    >>> torch.set_printoptions(precision=2)
    >>> torch.tensor([1.12345])
    tensor([1.12])
    >>> torch.set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions(): profile {profile!r}: there are {', '.join(map(repr, _PROFILES))}")
        vars(_options).update(vars(_PROFILES[profile]))
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    vars(_options).update({name: value for name, value in given.items() if value is not None})
    _options.sci_mode = sci_mode


#: Text of a number, and how many characters each number has at least.
Format = tuple[Callable[[Any], str], int]


def _format(values: np.ndarray) -> Format:
    """How torch prints a real number among ``values``."""
    if values.dtype.kind != "f":
        return str, max(map(len, map(str, values.ravel().tolist())), default=1)
    values = values.astype(np.float64).ravel()
    counted = values[np.isfinite(values) & (values != 0)]
    if not counted.size:
        return _pointed, 1
    sizes = np.abs(counted)
    largest, smallest = sizes.max(), sizes.min()
    whole = bool((counted == np.ceil(counted)).all())
    exponents = largest / smallest > 1000 or largest > 1e8 or (not whole and smallest < 1e-4)
    if _options.sci_mode is not None:
        exponents = _options.sci_mode
    precision = _options.precision
    text: Callable[[Any], str] = _pointed
    if exponents:
        text = f"{{:.{precision}e}}".format
    elif not whole:
        text = f"{{:.{precision}f}}".format
    return text, max(map(len, map(text, counted.tolist())))


def _pointed(value: float) -> str:
    """A whole number with its point."""
    return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"


def _elements(values: np.ndarray) -> Format:
    """The text of each element of ``values``, to the width that all of them have, and that width."""
    if values.dtype.kind != "c":
        text, width = _format(values)
        return lambda v: text(v).rjust(width), width
    (real, width), (imag, imag_width) = _format(np.real(values)), _format(np.imag(values))

    def both(v: complex) -> str:
        behind = imag(v.imag).rjust(imag_width).lstrip() + "j"
        return real(v.real).rjust(width) + ("" if behind[0] in "+-" else "+") + behind

    return both, width + imag_width + 1


def _nested(values: np.ndarray, text: Callable[[Any], str], width: int, indent: int, summarized: bool) -> str:
    """Nested brackets, with as many elements in a line as fit."""
    if not values.ndim:
        return text(values.item())
    edge = _options.edgeitems
    short = summarized and (len(values) > 2 * edge or not edge)
    shown = [*values[:edge], *values[len(values) - edge :]] if short else list(values)
    if values.ndim == 1:
        parts = [text(v.item()) for v in shown]
        if short:
            parts.insert(edge, " ..." if edge else "...")
        a_line = max(1, math.floor((_options.linewidth - indent) / (width + 2)))
        lines = [", ".join(parts[i : i + a_line]) for i in range(0, len(parts), a_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = [_nested(v, text, width, indent + 1, summarized) for v in shown]
    if short:
        parts.insert(edge, "...")
    return "[" + ("," + "\n" * (values.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _ends(values: np.ndarray) -> np.ndarray:
    """What a summary has of an array: some at each end along each axis."""
    edge = _options.edgeitems
    for axis, n in enumerate(values.shape):
        if n > 2 * edge:
            values = np.take(values, [*range(edge), *range(n - edge, n)], axis)
    return values


def tensor_repr(tensor: Any) -> str:
    """``tensor([1., 2.], requires_grad=True)``."""
    array = tensor.array
    suffixes = [] if tensor.is_cpu else [f"device='{tensor.device}'"]
    default = DEFAULTS[FLOATING]
    plain = array.dtype in (default, mx.int64, mx.bool_) or (array.dtype == mx.complex64 and default == mx.float32)
    if array.ndim != 1 if not array.size else not _options.edgeitems:
        suffixes.append(f"size={tuple(array.shape)}")
    if not array.size:
        out = _PREFIX + "[]"
        plain = array.dtype == default
    else:
        values = np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)
        summarized = values.size > _options.threshold
        text, width = _elements(_ends(values) if summarized else values)
        out = _PREFIX + _nested(values, text, width, len(_PREFIX), summarized)
    if not plain:
        suffixes.append(f"dtype={OF_MLX[array.dtype]}")
    if tensor.grad_fn is not None:
        suffixes.append(f"grad_fn=<{tensor.grad_fn.name()}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    column = len(out) - out.rfind("\n") + 1
    for suffix in suffixes:
        if column + len(suffix) + 2 > _options.linewidth:
            out += ",\n" + " " * len(_PREFIX) + suffix
            column = len(_PREFIX) + len(suffix)
        else:
            out += ", " + suffix
            column += len(suffix) + 2
    return out + ")"
