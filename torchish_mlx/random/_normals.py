"""Normal numbers: pairs one after another, and blocks of 16 for contiguous tensors of 16 numbers and more."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np

from . import _cephes
from ._rounding import DIGITS, VECTOR_KERNELS, Exact, by_libm, log_of, rounded, scaled32, scaled64, settled
from ._stream import Stream

BLOCK = 16
#: How many numbers are transformed at a time, so that they stay in the cache of the processor.
_CHUNK = 1 << 15


def _pair(u: list[float]) -> tuple[float, float]:
    """Two normals of two uniforms, by the libm."""
    radius, angle = math.sqrt(-2.0 * math.log1p(-u[1])), 2.0 * math.pi * u[0]
    return radius * math.cos(angle), radius * math.sin(angle)


def pairs(stream: Stream, n: int, dtype: mx.Dtype) -> tuple[np.ndarray, Exact | None]:
    """``n`` standard normals in float64, made two at a time, of which one may be kept; one that was kept is the first.

    They are near to what the libm gives, which the function in the result computes for given places; None where they
    are that already: a few numbers, and those that are wanted in float64.
    """
    first = [] if stream.kept is None or not n else [stream.kept]
    if first:
        stream.kept = None
    count = n - len(first)
    u = stream.doubles((count + 1) // 2 * 2).reshape(-1, 2)
    if count % 2:
        stream.kept = _pair(u[-1].tolist())[1]
    if dtype == mx.float64 or n < 2 * BLOCK:
        return np.array([*first, *[x for one in u.tolist() for x in _pair(one)]][:n], np.float64), None
    radius, angle = np.sqrt(-2.0 * np.log1p(-u[:, 1])), 2.0 * math.pi * u[:, 0]
    made = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()[:count]

    def exact(places: np.ndarray) -> list[float]:
        at = (places - len(first)).tolist()
        return [first[0] if i < 0 else _pair(u[i // 2].tolist())[i % 2] for i in at]

    return np.concatenate([np.array(first), made]), exact


def log_normal(stream: Stream, n: int, mean: float, std: float, dtype: mx.Dtype) -> np.ndarray:
    """``n`` times e to the power of a normal, always of pairs."""
    near, exact = pairs(stream, n, dtype)
    power = scaled64(near, std, mean)
    if exact is None:
        return rounded(by_libm(math.exp, power), dtype)
    return settled(
        np.exp(power),
        lambda at: by_libm(math.exp, scaled64(np.array(exact(at)), std, mean)).tolist(),
        lambda x: rounded(x, dtype),
        1 + np.abs(power) + abs(mean),
    )


def normal(stream: Stream, n: int, mean: float, std: float, dtype: mx.Dtype, contiguous: bool = True) -> np.ndarray:
    """``n`` normal numbers in the order of the memory of the tensor that they are for.

    Complex numbers are two of them, which have half of the variance each, and the mean each, as in torch.
    """
    if dtype == mx.complex64:
        return normal(stream, 2 * n, mean, std / math.sqrt(2), mx.float32, contiguous).view(np.complex64)
    if n < BLOCK or not contiguous:
        return settled(*pairs(stream, n, dtype), lambda x: rounded(scaled64(x, std, mean), dtype))
    draw, turn = (stream.doubles, _doubles) if dtype == mx.float64 else (stream.singles, _singles)
    whole = n // BLOCK * BLOCK
    # torch draws a word for each number (in halves for those of whole blocks), and makes the last 16 again of new ones
    uniform = draw(n if DIGITS[dtype] > 11 else whole)
    if n % BLOCK:
        uniform = np.concatenate([uniform[:whole], draw(BLOCK)])
    made = np.empty_like(uniform)
    for start in range(0, len(made), _CHUNK):
        part = uniform[start : start + _CHUNK]
        made[start : start + _CHUNK] = turn(part.reshape(-1, BLOCK), mean, std).ravel()
    out = made[:n]
    if n % BLOCK:
        out = np.concatenate([made[: n - BLOCK], made[-BLOCK:]])
    return rounded(out, dtype)


def _singles(u: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Rows of 16 uniforms in float32 as normals: of the first and of the last eight of each."""
    f32 = np.float32
    a = f32(1) - u[:, :8]
    if VECTOR_KERNELS:
        radius = np.sqrt(f32(-2) * _cephes.log(a))
        sine, cosine = _cephes.sine_and_cosine(f32(2 * math.pi) * u[:, 8:])
    else:  # the float functions of the libm, which are those of float64 rounded, but for a share of a percent
        angle = (2 * math.pi * u[:, 8:].astype(np.float64)).astype(f32).astype(np.float64)
        radius = np.sqrt(f32(-2) * np.log(a.astype(np.float64)).astype(f32))
        sine, cosine = np.sin(angle).astype(f32), np.cos(angle).astype(f32)
    return scaled32(np.concatenate([radius * cosine, radius * sine], 1), std, mean)


def _doubles(u: np.ndarray, mean: float, std: float) -> np.ndarray:
    """The same in float64, by the libm."""
    angle = 2 * math.pi * u[:, 8:]
    radius = np.sqrt(-2 * by_libm(log_of, 1 - u[:, :8]))
    both = [radius * by_libm(math.cos, angle), radius * by_libm(math.sin, angle)]
    return scaled64(np.concatenate(both, 1), std, mean)
