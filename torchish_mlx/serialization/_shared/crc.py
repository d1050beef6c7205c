"""CRC-32 of long data on all cores: pieces are summed at the same time, and their sums are combined.

Source: ISO 3309; ``zlib.crc32`` for the pieces. Data is a polynomial over GF(2) and its sum is the remainder modulo P,
so the sum of two pieces in a row is ``sum(first) * x**(8 * len(second)) + sum(second)``.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

PIECE = 1 << 22  # bytes
_AHEAD = 16  # pieces
_P, _ONE, _X = 0xEDB88320, 1 << 31, 1 << 30  # the highest power is the lowest bit


class Summer:
    """Sums pieces in threads of its own, from the first long one on, until it is closed.

    >>> data = bytes(range(256)) * 40_000
    >>> with Summer() as summer:
    ...     wait = summer.summing(memoryview(data))
    ...     wait() == zlib.crc32(data)
    True
    """

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[int]] = deque()

    def __enter__(self) -> Summer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown()

    def summing(
        self, memory: memoryview, ready: Callable[[memoryview, int], object] | None = None
    ) -> Callable[[], int]:
        """The function that is returned waits for the sum of ``memory``, which must not change until then.

        ``ready(piece, start)`` is called in this thread for each piece in turn, before the piece is summed: it can read
        the piece from a file, or write it to one.
        """
        ready = ready or _as_it_is
        if len(memory) <= PIECE:
            ready(memory, 0)
            crc = zlib.crc32(memory)
            return lambda: crc
        if self._threads is None:
            self._threads = ThreadPoolExecutor(os.cpu_count())
        while len(self._waiting) > _AHEAD:  # otherwise the memory of all of them would be held
            self._waiting.popleft().result()
        sums: list[Future[int]] = []
        for start in range(0, len(memory), PIECE):
            piece = memory[start : start + PIECE]
            ready(piece, start)
            sums.append(self._threads.submit(zlib.crc32, piece))
        self._waiting += sums
        shift, last = _power(8 * PIECE), _power(8 * (len(memory) - start))

        def wait() -> int:
            out = sums[0].result()
            for found in sums[1:-1]:
                out = _product(shift, out) ^ found.result()
            return _product(last, out) ^ sums[-1].result()

        return wait


def _as_it_is(_piece: memoryview, _start: int) -> None:
    """The bytes are there already."""


def _product(a: int, b: int) -> int:
    """``a * b`` modulo P."""
    out = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            out ^= b
        b = b >> 1 ^ (_P if b & 1 else 0)
    return out


def _power(n: int) -> int:
    """``x**n`` modulo P."""
    out, square = _ONE, _X
    while n:
        if n & 1:
            out = _product(out, square)
        square = _product(square, square)
        n >>= 1
    return out
