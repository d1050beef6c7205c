"""The words of a generator, and its state in bytes: MT19937, which NumPy has with the same words as torch."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

#: How many bytes a state has.
SIZE = 5056
_HEAD, _KEY, _NORMAL, _FLOAT = "<QiiQ", 24, 24 + 624 * 8, 5048


class Stream:
    """The words that come one after another, and the normal number that is kept for the next call.

    A word has 32 bits. Two words, the first one high, make one of 64 bits.

    Attributes:
        initial: the seed, of which MT19937 takes the lower 32 bits.
        kept: the second of two normals that are made together, until it is asked for; or None.
    """

    __slots__ = ("_fresh", "_kept_float", "_words", "initial", "kept")

    def __init__(self, seed: int) -> None:
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Begin again with the words of ``seed``, from 0 to 2^64 - 1."""
        self.initial = seed
        self._words = np.random.RandomState(seed & 0xFFFFFFFF)
        self._fresh = True  # nothing was drawn, which the state says in a way of its own
        self.kept: float | None = None
        self._kept_float: float | None = None

    def copy(self) -> Stream:
        """Another stream with the same state."""
        new = Stream.__new__(Stream)
        new.restore(self)
        return new

    def restore(self, other: Stream) -> None:
        """Take over the state of ``other``."""
        self.initial, self._fresh = other.initial, other._fresh
        self.kept, self._kept_float = other.kept, other._kept_float
        self._words = np.random.RandomState(0)
        self._words.set_state(other._words.get_state())

    # -- words -------------------------------------------------------------------------------------------

    def words(self, n: int) -> np.ndarray:
        """``n`` words of 32 bits."""
        self._fresh = self._fresh and not n
        drawn: np.ndarray = self._words.randint(0, 2**32, size=n, dtype=np.uint32)
        return drawn

    def long_words(self, n: int) -> np.ndarray:
        """``n`` words of 64 bits."""
        self._fresh = self._fresh and not n
        drawn: np.ndarray = self._words.randint(0, 2**64, size=n, dtype=np.uint64)
        return drawn

    def singles(self, n: int) -> np.ndarray:
        """``n`` numbers from 0 up to 1 in float32, of 24 bits of a word each."""
        out = (self.words(n) & np.uint32(0xFFFFFF)).astype(np.float32)
        out *= np.float32(2**-24)
        return out

    def doubles(self, n: int) -> np.ndarray:
        """``n`` numbers from 0 up to 1 in float64, of 53 bits of two words each."""
        out = (self.long_words(n) & np.uint64(2**53 - 1)).astype(np.float64)
        out *= 2.0**-53
        return out

    # -- the state ---------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The state as torch writes it."""
        state: Any = self._words.get_state()
        _, key, position = state[:3]
        # torch counts the words that are left; before the first draw it says that the next word is the first
        left, following = (1, 0 if self._fresh else 624) if position == 624 else (625 - position, position)
        return b"".join(
            (
                struct.pack(_HEAD, self.initial, left, 1, following),
                key.astype("<u8").tobytes(),
                struct.pack("<dddi4x", 0.0, self.kept or 0.0, 0.0, self.kept is not None),
                struct.pack("<f?3x", self._kept_float or 0.0, self._kept_float is not None),
            )
        )

    def from_bytes(self, raw: bytes) -> None:
        """Take over a state that torch or :meth:`to_bytes` wrote.

        Raises RuntimeError for another number of bytes, and for what is no state.
        """
        if len(raw) != SIZE:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {SIZE} but found the input RNG state size to be {len(raw)}"
            )
        initial, left, seeded, following = struct.unpack_from(_HEAD, raw, 0)
        fresh = left == 1 and following == 0
        if seeded != 1 or not (fresh or (1 <= following <= 624 and left == 625 - following)):
            raise RuntimeError("Invalid mt19937 state")
        key = np.frombuffer(raw, "<u8", 624, _KEY).astype(np.uint32)
        words = np.random.RandomState(0)
        words.set_state(("MT19937", key, 624 if left == 1 else int(following), 0, 0.0))
        kept, valid = struct.unpack_from("<8xd8xi", raw, _NORMAL)
        kept_float, float_valid = struct.unpack_from("<f?", raw, _FLOAT)
        self._words, self._fresh, self.initial = words, fresh, initial
        self.kept = kept if valid else None
        self._kept_float = kept_float if float_valid else None
