"""``torch.version``: the version of torch whose names these are, and what torch would be built with."""

from __future__ import annotations

import re as _re

__all__ = ["cuda", "debug", "git_version", "hip", "rocm", "xpu"]


class TorchVersion(str):
    """A version that compares with strings and tuples by its numbers.

    Source: ``torch.torch_version.TorchVersion``.

    >>> from torchish_mlx.version import TorchVersion
    >>> TorchVersion("2.13.0+mlx") > "2.9", TorchVersion("2.13.0") >= (2, 13)
    (True, True)
    """

    __slots__ = ()

    def _pair(self, other: object) -> tuple[_Key, _Key] | None:
        given = ".".join(map(str, other)) if isinstance(other, (tuple, list)) else other
        found = _key(given) if isinstance(given, str) else None
        mine = _key(str(self))
        return None if found is None or mine is None else (mine, found)

    def __lt__(self, other: object) -> bool:
        pair = self._pair(other)
        return str.__lt__(self, str(other)) if pair is None else pair[0] < pair[1]

    def __le__(self, other: object) -> bool:
        pair = self._pair(other)
        return str.__le__(self, str(other)) if pair is None else pair[0] <= pair[1]

    def __gt__(self, other: object) -> bool:
        pair = self._pair(other)
        return str.__gt__(self, str(other)) if pair is None else pair[0] > pair[1]

    def __ge__(self, other: object) -> bool:
        pair = self._pair(other)
        return str.__ge__(self, str(other)) if pair is None else pair[0] >= pair[1]

    def __eq__(self, other: object) -> bool:
        pair = self._pair(other)
        return str.__eq__(self, other) is True if pair is None else pair[0] == pair[1]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)


_Key = tuple[tuple[int, ...], int, str]


def _key(text: str) -> _Key | None:
    """The numbers without zeros at the end, whether it is a release, and what is built into it; None for other text."""
    found = _re.fullmatch(r"v?(\d+(?:\.\d+)*)((?:a|b|rc|\.dev)\d*)?(?:\+([\w.]+))?", text)
    if found is None:
        return None
    numbers = [int(part) for part in found[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers), 0 if found[2] else 1, found[3] or ""


__version__ = TorchVersion("2.13.0+mlx")
debug = False
cuda: str | None = None
git_version: str | None = None
hip: str | None = None
rocm: str | None = None
xpu: str | None = None
