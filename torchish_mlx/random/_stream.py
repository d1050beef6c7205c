"""The words of a generator, and its state in bytes: MT19937, which NumPy has with the same words as torch."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

#: How many bytes a state has.
SIZE = 5056
#: How many words are drawn ahead for small draws, which are those of at most ``SMALL`` words: few at first, and more
#: where draw after draw is small, because a table of more words takes less time for each.
_AHEAD, _MORE = 4096, 32768
SMALL = 1024
#: From this number of words on it takes less time to put back what was drawn ahead than to copy the words.
_LARGE = 1 << 16
_MASK = np.uint64(2**53 - 1)
#: The bits of a word that a number in float32 has.
LOW_BITS = np.uint32(2**24 - 1)
_HEAD, _KEY, _NORMAL, _FLOAT = "<QiiQ", 24, 24 + 624 * 8, 5048


#: Makes other numbers of words.
Make = Callable[[np.ndarray], np.ndarray]


class Stream:
    """The words that come one after another, and the normal number that is kept for the next call.

    A word has 32 bits. Two words, the first one high, make one of 64 bits.

    Attributes:
        initial: the seed, of which MT19937 takes the lower 32 bits.
        kept: the second of two normals that are made together, until it is asked for; or None.
    """

    __slots__ = (
        "_ahead",
        "_at",
        "_before",
        "_fresh",
        "_kept_float",
        "_rows",
        "_same",
        "_tables",
        "_words",
        "initial",
        "kept",
    )

    def __init__(self, seed: int) -> None:
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Begin again with the words of ``seed``, from 0 to 2^64 - 1."""
        self.initial = seed
        self._begin(np.random.RandomState(seed & 0xFFFFFFFF))
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
        other._put_back()
        words = np.random.RandomState(0)
        words.set_state(other._words.get_state())
        self._begin(words)

    # -- words -------------------------------------------------------------------------------------------

    def _begin(self, words: np.random.RandomState) -> None:
        """Go on with these words, of which none was drawn ahead."""
        self._words = words
        self._ahead = np.empty(0, np.uint32)
        self._at = 0
        self._before: Any = None
        self._tables: dict[Any, np.ndarray] = {}
        self._same: Any = None  # the draw that would be the same again: (make, number of words, where they begin)
        self._rows: Iterator[np.ndarray] = iter(())

    def _put_back(self) -> None:
        """Have NumPy's generator where this one is: at the first word that was drawn ahead and not used."""
        if self._at < len(self._ahead):
            self._words.set_state(self._before)
            self._words.randint(0, 2**32, size=self._at, dtype=np.uint32)
            self._begin(self._words)

    def words(self, n: int) -> np.ndarray:
        """``n`` words of 32 bits, in an array that must not be changed."""
        if n <= SMALL:
            return self.looked_up(n, np.asarray)
        self._fresh = False
        if n <= len(self._ahead) - self._at:
            self._at += n
            return self._ahead[self._at - n : self._at]
        if n >= _LARGE:
            self._put_back()
        first = self._ahead[self._at :]
        self._begin(self._words)
        rest = self._drawn(n - len(first))
        return np.concatenate([first, rest]) if len(first) else rest

    def skip(self, n: int) -> None:
        """Leave out ``n`` words."""
        if 0 < n <= len(self._ahead) - self._at:
            self._at += n
        elif n:
            self.words(n)

    def _drawn(self, n: int) -> np.ndarray:
        """The next ``n`` words of NumPy's generator."""
        drawn: np.ndarray = self._words.randint(0, 2**32, size=n, dtype=np.uint32)
        return drawn

    def looked_up(self, n: int, each: Make, size: int = 1, blocks: Make | None = None) -> np.ndarray:
        """``each`` of the next ``n`` words, of ``SMALL`` at most: it is computed of all that are drawn ahead at once.

        ``each`` keeps the axis of the words, as its last one. With ``blocks`` it is ``blocks`` of that: a row for every
        ``size`` words, which divides ``n``. The array must not be changed.
        """
        self._fresh = self._fresh and not n
        at, end = self._at, self._at + n
        if end > len(self._ahead):
            made = each(self._over_the_end(n))
            return made if blocks is None else blocks(made)
        self._at = end
        if blocks is None:
            return self._table(each)[..., at:end]
        first = at % size
        table = self._tables.get((blocks, first))
        if table is None:
            whole = (len(self._ahead) - first) // size * size
            table = self._tables[blocks, first] = blocks(self._table(each)[..., first : first + whole])
        return table[at // size : at // size + n // size]

    def repeated(self, n: int, make: Make) -> np.ndarray | None:
        """``make`` of the next ``n`` words where the draw before was the same, else None: then draw them otherwise.

        Where a draw is repeated, ``make`` is computed of all words that are drawn ahead: of rows of ``n`` words, a row
        for each. It takes less time than a table, in which each word has all that it might be needed for. The array
        must not be changed.
        """
        at = self._at
        same, self._same = self._same == (make, n, at), (make, n, at + n)
        if not same:
            self._rows = iter(())
            return None
        row = next(self._rows, None)
        if row is None:
            count = (len(self._ahead) - at) // n
            if count and self._tables:
                return None  # they are there already
            words = self._ahead[at : at + count * n].reshape(-1, n) if count else self._over_the_end(n)[None]
            rows = iter(make(words))
            row = next(rows)
            if not count:
                self._same = (make, n, self._at)
                return row
            self._rows = rows
        self._at = at + n
        return row

    def _over_the_end(self, n: int) -> np.ndarray:
        """The next ``n`` words, of which there are fewer ahead: the others come from the next ones that are drawn."""
        first = self._ahead[self._at :]
        self._draw_ahead()
        self._at = n - len(first)
        return np.concatenate([first, self._ahead[: self._at]])

    def _draw_ahead(self) -> None:
        size = _MORE if len(self._ahead) else _AHEAD
        self._begin(self._words)
        self._before = self._words.get_state()
        self._ahead = self._drawn(size)

    def _table(self, each: Make) -> np.ndarray:
        """``each`` of all words that were drawn ahead."""
        table = self._tables.get(each)
        if table is None:
            table = self._tables[each] = each(self._ahead)
        return table

    def long_words(self, n: int) -> np.ndarray:
        """``n`` words of 64 bits, in an array that must not be changed."""
        if 2 * n <= SMALL:
            return self.looked_up(2 * n, np.asarray, 2, _long)
        if 2 * n >= _LARGE:
            self._put_back()
        if self._at == len(self._ahead):
            self._fresh = False
            drawn: np.ndarray = self._words.randint(0, 2**64, size=n, dtype=np.uint64)
            return drawn
        return _long(self.words(2 * n))

    def singles(self, n: int) -> np.ndarray:
        """``n`` numbers from 0 up to 1 in float32, of 24 bits of a word each, in an array that must not be changed."""
        return self.looked_up(n, as_singles) if n <= SMALL else as_singles(self.words(n))

    def low_bits(self, n: int) -> np.ndarray:
        """The lower 53 bits of ``n`` words of 64, as integers in an array that must not be changed."""
        if 2 * n <= SMALL:
            return self.looked_up(2 * n, np.asarray, 2, _low_bits)
        return self.long_words(n) & _MASK

    def doubles(self, n: int) -> np.ndarray:
        """``n`` numbers from 0 up to 1 in float64, of 53 bits of two words each. The array must not be changed."""
        if 2 * n <= SMALL:
            return self.looked_up(2 * n, np.asarray, 2, _doubles_of)
        return _doubles(self.long_words(n))

    def next_doubles(self, n: int) -> np.ndarray:
        """Some of the numbers that :meth:`doubles` gives next, at least one and at most ``n``: none of them is used up.

        For those of which it is not known before how many are used: :meth:`use` says it.
        """
        if len(self._ahead) - self._at < 2:
            self._put_back()
            self._draw_ahead()
        n = min(n, (len(self._ahead) - self._at) // 2)
        return _doubles(_long(self._ahead[self._at : self._at + 2 * n]))

    def use(self, n: int) -> None:
        """Use up ``n`` of the numbers that :meth:`next_doubles` has given."""
        self._fresh = self._fresh and not n
        self._at += 2 * n

    # -- the state ---------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The state as torch writes it."""
        self._put_back()
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
        self._begin(words)
        self._fresh, self.initial = fresh, initial
        self.kept = kept if valid else None
        self._kept_float = kept_float if float_valid else None


def _long(words: np.ndarray) -> np.ndarray:
    """Two words as one of 64 bits, the first one high."""
    out = words[::2].astype(np.uint64) << np.uint64(32)
    out |= words[1::2]
    return out


def _low_bits(words: np.ndarray) -> np.ndarray:
    """The lower 53 bits of two words each."""
    return _long(words) & _MASK


def _doubles_of(words: np.ndarray) -> np.ndarray:
    """The numbers in float64 of two words each."""
    return _doubles(_long(words))


def _doubles(long: np.ndarray) -> np.ndarray:
    """The numbers in float64 of 53 bits of each word of 64."""
    out = (long & _MASK).astype(np.float64)
    out *= 2.0**-53
    return out


def as_singles(words: np.ndarray) -> np.ndarray:
    """The numbers in float32 of 24 bits of each word."""
    out = (words & LOW_BITS).astype(np.float32)
    out *= np.float32(2**-24)
    return out
