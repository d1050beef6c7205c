"""How saved names differ from a model's: a prefix more or less, or the ``layers.`` of ``mlx.nn.Sequential``."""

from __future__ import annotations

from collections.abc import Collection


def renaming(own: Collection[str], given: Collection[str]) -> tuple[str, str | None] | None:
    """What makes every name of ``given`` one of ``own``, in words and as an expression of ``name``; None for no rule.

    There is no expression for a rule that is not the same for every name.

    >>> renaming(["a.w", "a.b"], ["module.a.w", "module.a.b"])[1]
    'name.removeprefix("module.")'
    >>> renaming(["layers.0.w", "layers.1.w"], ["0.w", "1.w"])[1]
    '"layers." + name'
    """
    wanted = set(own)
    if not given or not wanted:
        return None
    for prefix in _prefixes(given):
        if {name.removeprefix(prefix) for name in given} == wanted:
            return f'every saved name is the one here with "{prefix}" before it', f'name.removeprefix("{prefix}")'
    for prefix in _prefixes(own):
        if {prefix + name for name in given} == wanted:
            return f'every name here is the saved one with "{prefix}" before it', f'"{prefix}" + name'
    short = {_without_layers(name): name for name in wanted}
    for prefix in ("", *_prefixes(given)):
        renamed = {name: short.get(_without_layers(name.removeprefix(prefix))) for name in given}
        old, new = next(((old, new) for old, new in renamed.items() if old.removeprefix(prefix) != new), (None, None))
        if new is not None and set(renamed.values()) == wanted:
            lead = f'every saved name has "{prefix}" before it, and ' if prefix else ""
            what = (
                'the names differ by "layers.", under which mlx.nn.Sequential keeps its modules and torch\'s does not'
            )
            return f'{lead}{what}, as "{old}" and "{new}"', None
    return None


def _prefixes(names: Collection[str]) -> list[str]:
    """``a.`` and ``a.b.``, as far as every name begins with it."""
    parts = next(iter(names)).split(".")
    leads = [".".join(parts[:n]) + "." for n in range(1, len(parts))]
    return [lead for lead in leads if all(name.startswith(lead) for name in names)]


def _without_layers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "layers")
