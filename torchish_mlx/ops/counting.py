"""Counts: distinct elements, how often numbers occur, histograms. Shapes depend on values: each is one evaluation."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.promotion import INEXACT, widened
from .._core.trace import of_a_trace
from ._arguments import Scalar
from ._declare import op
from ._dtypes import floating_only
from ._op import Array
from .reduction import axis


def known(x: mx.array) -> np.ndarray[Any, Any]:
    """The values of ``x``, on which the shape of a result depends. RuntimeError in a traced step, which has none."""
    try:
        return np.array(widened(x))
    except (ValueError, RuntimeError) as error:
        if not of_a_trace(error):
            raise
        raise RuntimeError(
            "the shape of the result depends on the values of the tensor, which a traced step does not have"
        ) from None


def _answers(
    input: mx.array, out: Any, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool
) -> mx.array | tuple[mx.array, ...]:
    """The distinct elements alone, or with what is asked for."""
    found = [mx.array(out, input.dtype)]
    found += [
        mx.array(x.astype(np.int64)) for x, asked in ((inverse, return_inverse), (counts, return_counts)) if asked
    ]
    return tuple(found) if len(found) > 1 else found[0]


def _along(name: str, input: mx.array, dim: int) -> int:
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    where = axis(input.ndim, dim)
    if not input.size and input.shape[where]:
        raise RuntimeError(
            f"There are 0 sized dimensions, and they aren't selected by `dim`, so {name} cannot be applied"
        )
    return where


def _refused(name: str) -> Any:
    """The formula of a derivative that torch does not have: its error comes when a gradient arrives."""

    def refuse(g: mx.array) -> mx.array:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return refuse


@op(
    grad={"input": lambda g, dim: _refused("_unique2" if dim is None else "unique_dim")(g)},
    shape="the number of distinct elements, or that of ``input`` with fewer along ``dim``",
)
def unique(
    input: Array,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements, or parts along ``dim``, in order; each NaN is one of its own.

    With ``return_inverse`` also where each element went, with ``return_counts`` how often each occurs.
    """
    del sorted
    where = None if dim is None else _along("unique", input, dim)
    x = known(input)
    if where is None:
        out, _, inverse, counts = np.unique(x, True, True, True, equal_nan=False)
        inverse = inverse.reshape(x.shape)
    else:
        out, _, inverse, counts = np.unique(x, True, True, True, axis=where, equal_nan=False)
        inverse = inverse.reshape(-1)
    return _answers(input, out, inverse, counts, return_inverse, return_counts)


@op(
    grad={"input": _refused("unique_consecutive")},
    shape="the number of runs, or that of ``input`` with fewer along ``dim``",
)
def unique_consecutive(
    input: Array, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The first element, or part along ``dim``, of each run of equal ones.

    With ``return_inverse`` also the run of each element, with ``return_counts`` the length of each run.
    """
    where = None if dim is None else _along("unique_consecutive", input, dim)
    x = known(input)
    flat = x.reshape(-1) if where is None else np.moveaxis(x, where, 0)
    begins = np.ones(len(flat), bool)
    begins[1:] = (flat[1:] != flat[:-1]).any(axis=tuple(range(1, flat.ndim)))
    places = np.flatnonzero(begins)
    out, inverse = flat[places], np.cumsum(begins) - 1
    if where is None:
        inverse = inverse.reshape(x.shape)
    else:
        out = np.moveaxis(out, 0, where)
    return _answers(input, out, inverse, np.diff(np.append(places, len(flat))), return_inverse, return_counts)


@op(shape="as many elements as the largest one and one more, or ``minlength``")
def bincount(input: Array, weights: Array | None = None, minlength: int = 0) -> mx.array:
    """How often each number from 0 on is in ``input``, or the sum of its weights."""
    if input.ndim != 1 or input.dtype in INEXACT:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if input.dtype == mx.bool_:
        raise NotImplementedError("\"bincount_cpu\" not implemented for 'Bool'")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    numbers = known(input)
    if (numbers < 0).any():
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    size = max(minlength, int(numbers.max(initial=-1)) + 1)
    if not input.size or weights is None:
        return mx.array(np.bincount(numbers.astype(np.int64), minlength=size).astype(np.int64), mx.int64)
    w = weights if weights.dtype == mx.float32 else weights.astype(mx.float64)
    return mx.zeros((size,), w.dtype).at[input.astype(mx.int64)].add(w)


@op(shape="(``bins``)")
def histc(input: Array, bins: int = 100, min: Scalar = 0, max: Scalar = 0) -> mx.array:
    """How many elements are in each of ``bins`` equal parts from ``min`` to ``max``, or from the least to the most."""
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    if not (math.isfinite(min) and math.isfinite(max)):
        raise RuntimeError(f"range of [{min}, {max}] is not finite")
    if min > max:
        raise RuntimeError("max must be larger than min")
    floating_only("histogram_cpu", input.dtype)
    if not input.size:
        return mx.zeros((bins,), input.dtype)
    x = mx.reshape(input, (-1,))
    low, high = mx.array(min, x.dtype), mx.array(max, x.dtype)
    if min == max:
        low, high = mx.min(x), mx.max(x)
        low, high = mx.where(low == high, low - 1, low), mx.where(low == high, high + 1, high)
    counted = (x >= low) & (x <= high)
    place = (mx.where(counted, x, low) - low) * mx.array(bins, x.dtype) / (high - low)
    at = mx.clip(place.astype(mx.int64), 0, bins - 1)
    return mx.zeros((bins,), mx.float32).at[at].add(counted.astype(mx.float32)).astype(x.dtype)
