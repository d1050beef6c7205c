"""Normal numbers: pairs one after another, and blocks of 16 for contiguous tensors of 16 numbers and more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx
import numpy as np

from . import _cephes
from ._rounding import (
    DIGITS,
    VECTOR_KERNELS,
    Exact,
    by_libm,
    log_of,
    rounded,
    scaled32,
    scaled64,
    settled,
    silent,
)
from ._stream import LOW_BITS, SMALL, Stream

BLOCK = 16
_HALF = BLOCK // 2
#: How many numbers are transformed at a time, so that they stay in the cache of the processor.
_CHUNK = 1 << 15
#: Eight numbers or words.
_EIGHT = np.dtype("V32")
#: Means and deviations up to this size give numbers that float32 has.
_LARGE = 1e30


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


@silent
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
    """``n`` normal numbers in the order of the memory of the tensor that they are for, which must not be changed.

    Complex numbers are two of them, which have half of the variance each, and the mean each, as in torch.
    """
    if BLOCK <= n <= SMALL and contiguous and dtype == mx.float32 and std < _LARGE > abs(mean):
        made = stream.repeated(n + BLOCK if n % BLOCK else n, _rows)
        if made is None:
            made = _few(stream, n, True)
        return made if std == 1 and mean == 0 else scaled32(made, std, mean)
    return _any_normal(stream, n, mean, std, dtype, contiguous)


@silent
def _any_normal(stream: Stream, n: int, mean: float, std: float, dtype: mx.Dtype, contiguous: bool) -> np.ndarray:
    if dtype == mx.complex64:
        return normal(stream, 2 * n, mean, std / math.sqrt(2), mx.float32, contiguous).view(np.complex64)
    if n < BLOCK or not contiguous:
        return settled(*pairs(stream, n, dtype), lambda x: rounded(scaled64(x, std, mean), dtype))
    single = DIGITS[dtype] > 11
    if n <= SMALL and dtype != mx.float64:
        return rounded(scaled32(_few(stream, n, single), std, mean), dtype)
    whole = n // BLOCK * BLOCK
    if dtype == mx.float64:
        out = np.empty(n)
        for start in range(0, whole, _CHUNK):
            part = out[start : min(start + _CHUNK, whole)]
            part[:] = _doubles(stream.doubles(len(part)), std, mean)
        if n % BLOCK:
            stream.long_words(n - whole)
            out[-BLOCK:] = _doubles(stream.doubles(BLOCK), std, mean)
        return out
    out = np.empty(n, np.float32)
    with _work() as work:
        for start in range(0, whole, _CHUNK):
            part = out[start : min(start + _CHUNK, whole)]
            work.normals(stream.words(len(part)), std, mean, part)
        if n % BLOCK:
            stream.skip(n - whole if single else 0)
            work.normals(stream.words(BLOCK), std, mean, out[-BLOCK:])
    return rounded(out, dtype)


def _few(stream: Stream, n: int, single: bool) -> np.ndarray:
    """``n`` standard normals that are looked up.

    torch draws a word for each number (in halves for those of whole blocks), and makes the last 16 again of new ones.
    """
    rest = n % BLOCK
    made = stream.looked_up(n - rest, _polar, BLOCK, _blocks).ravel()
    if not rest:
        return made
    if single:
        stream.skip(rest)
    out = np.empty(n, np.float32)
    out[:-rest] = made
    out[-BLOCK:] = stream.looked_up(BLOCK, _polar, BLOCK, _blocks)[0]
    return out


def _rows(words: np.ndarray) -> np.ndarray:
    """The standard normals of rows of words: as many as words, or 16 fewer where the last 16 were made again."""
    n = words.shape[1]
    rest = n % BLOCK
    n -= BLOCK if rest else 0
    out = np.empty((len(words), n), np.float32)
    with _work() as work:
        for part, place in ((words[:, : n - rest], slice(n - rest)), (words[:, n:], slice(n - BLOCK, n))):
            if part.size:
                made = np.empty(part.shape, np.float32)
                work.normals(np.ascontiguousarray(part).ravel(), 1, 0, made.ravel())
                out[:, place] = made
    return out


def _polar(words: np.ndarray) -> np.ndarray:
    """Radius, cosine and sine of the uniform of each word: of two, one's radius and the other's direction count."""
    out = np.empty((3, len(words)), np.float32)
    with _work() as work:
        for start in range(0, len(words), _CHUNK // 2):
            part = words[start : start + _CHUNK // 2]
            work.polar(part, part, out[:, start : start + len(part)])
    return out


def _blocks(polar: np.ndarray) -> np.ndarray:
    """Rows of 16 normals: the radius of each of the first eight words, times the direction of the last eight."""
    halves = polar.reshape(3, -1, 2, _HALF)
    out = np.empty((halves.shape[1], BLOCK), np.float32)
    np.multiply(halves[:1, :, 0], halves[1:, :, 1], out=out.reshape(-1, 2, _HALF).swapaxes(0, 1))
    out += np.float32(0)  # which is no -0
    return out


class _Work:
    """What makes normals of up to ``_CHUNK`` words at a time, with the memory for it."""

    def __init__(self) -> None:
        self._room = _cephes.Room(_CHUNK // 2)
        self._words = np.empty(_CHUNK // 2, np.uint32)
        self._polar = np.empty((3, _CHUNK // 2), np.float32)

    def normals(self, words: np.ndarray, std: float, mean: float, out: np.ndarray) -> None:
        """Write normals: of each 16 words, the first eight give the radii and the last eight the directions."""
        polar = self._polar[:, : len(words) // 2]
        eights, results = words.view(_EIGHT), out.view(_EIGHT)
        self.polar(eights[::2], eights[1::2], polar)
        polar[1:] *= polar[0]
        results[::2], results[1::2] = polar[1:].view(_EIGHT)
        scaled32(out, std, mean, out)

    def polar(self, radii: np.ndarray, directions: np.ndarray, out: np.ndarray) -> None:
        """Write the radii of some words, and the cosines and sines of others."""
        radius, cosine, sine = out
        self._uniforms(radii, radius)
        np.subtract(np.float32(1), radius, out=radius)
        if VECTOR_KERNELS:
            _cephes.log(radius, self._room)
        else:  # the float functions of the libm are those of float64 rounded, but for a share of a percent
            radius[:] = np.log(radius.astype(np.float64))
        radius *= np.float32(-2)
        np.sqrt(radius, out=radius)
        self._uniforms(directions, cosine)
        if VECTOR_KERNELS:
            cosine *= np.float32(2 * math.pi)
            sine[:], cosine[:] = _cephes.sine_and_cosine(cosine, self._room)
        else:
            angle = (2 * math.pi * cosine.astype(np.float64)).astype(np.float32).astype(np.float64)
            cosine[:], sine[:] = np.cos(angle), np.sin(angle)

    def _uniforms(self, words: np.ndarray, out: np.ndarray) -> None:
        """Write the numbers from 0 up to 1 of some words, which may be eight in one."""
        whole = self._words[: len(out)]
        whole.view(words.dtype)[:] = words
        whole &= LOW_BITS
        np.copyto(out, whole, casting="unsafe")
        out *= np.float32(2**-24)


#: Nobody's memory at the moment.
_spare: list[_Work] = []


@contextmanager
def _work() -> Iterator[_Work]:
    """A ``_Work`` that no other thread uses. New memory would take as long as the numbers of a small Tensor."""
    try:
        work = _spare.pop()
    except IndexError:
        work = _Work()
    yield work
    _spare.append(work)


def _doubles(u: np.ndarray, std: float, mean: float) -> np.ndarray:
    """Normals of uniforms in float64, by the libm."""
    u = u.reshape(-1, BLOCK)
    angle = 2 * math.pi * u[:, _HALF:]
    radius = np.sqrt(-2 * by_libm(log_of, 1 - u[:, :_HALF]))
    made = np.concatenate([radius * by_libm(math.cos, angle), radius * by_libm(math.sin, angle)], 1)
    return scaled64(made, std, mean).ravel()
