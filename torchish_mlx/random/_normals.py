"""Normal numbers: pairs one after another, and blocks of 16 for contiguous tensors of 16 numbers and more."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from . import _cephes
from ._rounding import DIGITS, VECTOR_KERNELS, Exact, by_libm, log_of, rounded, scaled32, scaled64, settled
from ._stream import SMALL, Stream, as_singles

BLOCK = 16
_HALF = BLOCK // 2
#: How many numbers are transformed at a time, so that they stay in the cache of the processor.
_CHUNK = 1 << 14
#: From this many numbers in float32 on, those of all 2^24 uniforms are computed first and then looked up.
_MANY = 1 << 25


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
    whole = n // BLOCK * BLOCK
    # torch draws a word for each number (in halves for those of whole blocks), and makes the last 16 again of new ones
    surplus = n - whole if DIGITS[dtype] > 11 else 0
    if n <= SMALL - BLOCK and dtype != mx.float64:
        polar = stream.looked_up(whole + surplus + (BLOCK if n % BLOCK else 0), _polar)
        return rounded(scaled32(_few(polar, n, whole), std, mean), dtype)
    turn, kind, scaled = _kernel(stream, n, dtype)
    out: np.ndarray = np.empty(n, kind)
    for start in range(0, whole, _CHUNK):
        count = min(_CHUNK, whole - start)
        out[start : start + count] = scaled(turn(count), std, mean).ravel()
    if n % BLOCK:
        (stream.doubles if dtype == mx.float64 else stream.words)(surplus)
        out[n - BLOCK :] = scaled(turn(BLOCK), std, mean).ravel()
    return rounded(out, dtype)


def _kernel(stream: Stream, n: int, dtype: mx.Dtype) -> tuple[Callable[[int], np.ndarray], type, Callable[..., Any]]:
    """What gives standard normals in rows of 16, of which dtype they are, and the function that scales them."""
    if dtype == mx.float64:
        return lambda count: _doubles(stream.doubles(count).reshape(-1, BLOCK)), np.float64, scaled64
    if n < _MANY:
        return lambda count: _singles(stream.singles(count).reshape(-1, BLOCK)), np.float32, scaled32
    radii, points = np.empty(2**24, np.float32), np.empty(2**24, np.complex64)
    for start in range(0, 2**24, _CHUNK):
        part = slice(start, start + _CHUNK)
        radii[part], points[part].real, points[part].imag = _polar(np.arange(start, start + _CHUNK, dtype=np.uint32))

    def found(count: int) -> np.ndarray:
        places = (stream.words(count) & np.uint32(2**24 - 1)).reshape(-1, 2, _HALF)
        out = np.empty(places.shape, np.float32)
        # none is outside: without mode NumPy looks
        radius, point = radii.take(places[:, 0], mode="clip"), points.take(places[:, 1], mode="clip")
        np.multiply(radius, point.real, out=out[:, 0])
        np.multiply(radius, point.imag, out=out[:, 1])
        return out

    return found, np.float32, scaled32


def _radii(u: np.ndarray) -> np.ndarray:
    """The distances from 0 of normals, of uniforms in float32."""
    a = np.float32(1) - u
    # without vector kernels: the float functions of the libm are those of float64 rounded, but for a share of a percent
    log = _cephes.log(a) if VECTOR_KERNELS else np.log(a.astype(np.float64)).astype(np.float32)
    radii: np.ndarray = np.sqrt(np.float32(-2) * log)
    return radii


def _directions(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cosines and sines of normals, of uniforms in float32."""
    if VECTOR_KERNELS:
        sine, cosine = _cephes.sine_and_cosine(np.float32(2 * math.pi) * u)
        return cosine, sine
    angle = (2 * math.pi * u.astype(np.float64)).astype(np.float32).astype(np.float64)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def _singles(u: np.ndarray) -> np.ndarray:
    """Rows of 16 uniforms in float32 as normals: of the first and of the last eight of each."""
    radius = _radii(u[:, :_HALF])
    cosine, sine = _directions(u[:, _HALF:])
    return np.concatenate([radius * cosine, radius * sine], 1)


def _polar(words: np.ndarray) -> np.ndarray:
    """Radius, cosine and sine of the uniform of each word: of two, one's radius and the other's direction count."""
    u = as_singles(words)
    return np.stack([_radii(u), *_directions(u)])


def _few(polar: np.ndarray, n: int, whole: int) -> np.ndarray:
    """Normals of looked-up radii and directions; those of the last block are behind the others."""
    out = np.empty(n, np.float32)
    _multiplied(polar[:, :whole], out[:whole])
    if n % BLOCK:
        _multiplied(polar[:, -BLOCK:], out[-BLOCK:])
    return out


def _multiplied(polar: np.ndarray, out: np.ndarray) -> None:
    """The radius of each of the first eight of a block, times the direction of the last eight."""
    halves = polar.reshape(3, -1, 2, _HALF)
    np.multiply(halves[:1, :, 0], halves[1:, :, 1], out=out.reshape(-1, 2, _HALF).swapaxes(0, 1))


def _doubles(u: np.ndarray) -> np.ndarray:
    """Rows of 16 uniforms in float64 as normals, by the libm."""
    angle = 2 * math.pi * u[:, _HALF:]
    radius = np.sqrt(-2 * by_libm(log_of, 1 - u[:, :_HALF]))
    return np.concatenate([radius * by_libm(math.cos, angle), radius * by_libm(math.sin, angle)], 1)
