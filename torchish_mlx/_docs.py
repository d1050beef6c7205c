"""Where the docs explain an error: the end of a message, which names a section of the page of pitfalls."""

from __future__ import annotations

PAGE = "docs/pitfalls.md"  # in the repository and in the sdist; it can be an address once the docs have one


def see(anchor: str) -> str:
    """The end of a message that the section ``anchor`` of the page explains.

    >>> see("whole-modules")
    ' (docs/pitfalls.md#whole-modules)'
    """
    return f" ({PAGE}#{anchor})"
