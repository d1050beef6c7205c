"""How saved names differ from a model's: by a prefix, a wrapper's name, or the ``layers.`` of ``mlx.nn.Sequential``."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

#: What torch's wrappers put into the names of the modules that they hold: DataParallel, compile, FSDP, checkpointing.
_WRAPPERS = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
_FEW = 3


class Renaming(NamedTuple):
    """A rule by which saved names become names of the model.

    Attributes:
        what: the rule in words, without a capital letter.
        expression: the new name, as an expression of ``name``; None for a rule that is not the same for every name.
        condition: an expression that is true of the names that the rule makes fit; "" where these are all names, or
            where it would be long.
        rest: the saved names that do not fit then either.
        missing: the names of the model that no saved name becomes.
    """

    what: str
    expression: str | None
    condition: str
    rest: list[str]
    missing: list[str]


class _Candidate(NamedTuple):
    words: str  # what follows "every saved name"
    expression: str | None
    prefix: str  # what the names begin with that the rule is made for
    names: dict[str, str]  # saved name -> new name, where that is one of the model's


Fits = Callable[[str, str], bool]


def renaming(own: Collection[str], given: Collection[str], fits: Fits = lambda _, __: True) -> Renaming | None:
    """The rule that makes the most names of ``given`` names of ``own``; None where there is none, or more than one.

    It makes at least half of the names fit, and more than fit without it. ``fits(own name, given name)`` says whether
    the values may be the same. Where several sets of names have a prefix each, it is the rule of the first.

    >>> renaming(["a.w", "a.b"], ["module.a.w", "module.a.b", "epoch"]).expression
    'name.removeprefix("module.")'
    >>> renaming(["layers.0.w", "layers.1.w"], ["0.w", "1.w"]).expression
    '"layers." + name'
    """
    wanted = set(own)
    most = max(len(wanted & {*given}) + 1, (min(len(wanted), len(given)) + 1) // 2)
    best: list[_Candidate] = []
    for rule in _rules(wanted, given, fits):
        if len(rule.names) > most or not best:
            best = [rule] if len(rule.names) >= most else []
            most = max(most, len(rule.names))
        elif len(rule.names) == most and all(rule.names != other.names for other in best):
            best.append(rule)
    if not best or (len(best) > 1 and not all(rule.prefix for rule in best)):
        return None
    rule = best[0]
    rest, met = [name for name in given if name not in rule.names], {*rule.names.values()}
    missing = [name for name in own if name not in met]
    if len(best) > 1:
        prefixes = " or with ".join(_quoted(rule.prefix) for rule in best)
        what = f"the names here are saved with {prefixes} before them. Choose one of these sets"
    elif len(rest) > _FEW:
        what = f"each of {len(rule.names)} of the {len(given)} saved names {rule.words}"
    else:
        but = f" but {' and '.join(map(_quoted, rest))}" if rest else ""
        what = f"every saved name{but} {rule.words}"
    return Renaming(what, rule.expression, _condition(rule, given, rest), rest, missing)


def _condition(rule: _Candidate, given: Collection[str], rest: list[str]) -> str:
    """An expression of ``name`` that tells the names that fit from ``rest``, where there is a short one."""
    if not rest or rule.expression is None:
        return ""
    if rule.prefix and all(name.startswith(rule.prefix) == (name in rule.names) for name in given):
        return f"name.startswith({_quoted(rule.prefix)})"
    return f"name not in [{', '.join(map(_quoted, rest))}]" if len(rest) <= _FEW else ""


def advice(found: Renaming, source: str) -> str:
    """What to do about the names of ``source``, an expression of (name, value) pairs, in words."""
    hint = "rename the saved ones"
    if found.expression is not None:
        condition = f" if {found.condition}" if found.condition else ""
        hint = f"load {{{found.expression}: value for name, value in {source}{condition}}}"
    out = f"{found.what[0].upper()}{found.what[1:]}: {hint}."
    if found.missing:
        few = ", ".join(map(_quoted, found.missing[:_FEW])) + (", ..." if len(found.missing) > _FEW else "")
        return f"{out} Then {few} {'is' if len(found.missing) == 1 else 'are'} missing still: pass strict=False, too."
    if found.rest and not found.condition:
        return f"{out} For the other saved names pass strict=False, too."
    return out


def _rules(own: set[str], given: Collection[str], fits: Fits) -> Iterator[_Candidate]:
    """The rules that make some of ``given`` names of ``own``, simple ones first."""
    plain = {name: name for name in given}
    yield from _by_prefix(own, plain, "", "name", fits)
    if wrappers := [f"{part}." for part in _WRAPPERS if any(part in name.split(".") for name in given)]:
        bare = {name: functools.reduce(lambda n, part: n.replace(part, ""), wrappers, name) for name in given}
        words = (
            f"is the one here but for {' and '.join(map(_quoted, wrappers))}, which torch's wrappers put into names,"
        )
        removed = "name" + "".join(f'.replace({_quoted(part)}, "")' for part in wrappers)
        yield from _by_prefix(own, bare, words, removed, fits)
    yield from _by_layers(own, given, fits)


def _by_prefix(own: set[str], given: Mapping[str, str], words: str, name: str, fits: Fits) -> Iterator[_Candidate]:
    """A prefix of the saved names away, one of the model's names before them, or one in place of the other."""
    first = [""] if words else []  # without a wrapper's name, to change nothing is no rule
    added = [lead for lead, _ in _leads(own, {*given.values()}).most_common(_FEW)]
    for prefix in dict.fromkeys(["", *added, *_shared(own)]):
        short = {n.removeprefix(prefix) for n in own if n.startswith(prefix)}
        voted = [lead for lead, _ in _leads(given.values(), short).most_common(_FEW)]
        for away in dict.fromkeys([*first, *voted]):
            if not (away or prefix or words):
                continue
            new = {n: prefix + value.removeprefix(away) for n, value in given.items()}
            what = words or "is the one here"
            what = what if away or prefix else what.rstrip(",")
            if away and prefix:
                what += f" with {_quoted(away)} before it in place of {_quoted(prefix)}"
            elif away or prefix:
                what += f" {'with' if away else 'without'} {_quoted(away or prefix)} before it"
            expression = f"{name}.removeprefix({_quoted(away)})" if away else name
            expression = f"{_quoted(prefix)} + {expression}" if prefix else expression
            yield from _made(own, new, what, expression, "" if words else away, fits)


def _by_layers(own: set[str], given: Collection[str], fits: Fits) -> Iterator[_Candidate]:
    """Names that differ by ``layers.``, and maybe by a prefix."""
    bare = {name: _without_layers(name) for name in given}
    for lead in ["", *_shared(own)]:
        short = {_without_layers(name.removeprefix(lead)): name for name in own}
        if len(short) < len(own):
            continue
        for prefix, _ in _leads(bare.values(), short).most_common(_FEW):
            new = {n: short.get(v.removeprefix(prefix), "") for n, v in bare.items()}
            changed = [(old, name) for old, name in new.items() if name and old.removeprefix(prefix) != name]
            if not changed:
                continue
            old, name = changed[0]
            words = f"has {_quoted(prefix)} before it, and " if prefix else "is one here, but "
            words += (
                'the names differ by "layers.", under which mlx.nn.Sequential keeps its modules and torch\'s does '
                f"not, as {_quoted(old)} and {_quoted(name)}"
            )
            yield from _made(own, new, words, None, "", fits)


def _made(
    own: set[str], new: Mapping[str, str], words: str, expression: str | None, prefix: str, fits: Fits
) -> Iterator[_Candidate]:
    """The rule, if no two saved names become one; of two, the one without the prefix is left out."""
    names = {old: name for old, name in new.items() if name in own and fits(name, old)}
    if prefix and len({*names.values()}) < len(names):
        names = {old: name for old, name in names.items() if old.startswith(prefix)}
    if names and len({*names.values()}) == len(names):
        yield _Candidate(words, expression, prefix, names)


def _leads(names: Collection[str] | Iterator[str], wanted: Collection[str]) -> Counter[str]:
    """``a.`` and ``a.b.``, and "": how often what follows it in a name is in ``wanted``."""
    votes: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for n in range(len(parts)):
            if ".".join(parts[n:]) in wanted:
                votes["".join(f"{part}." for part in parts[:n])] += 1
    return votes


def _shared(names: Collection[str]) -> list[str]:
    """``a.`` and ``a.b.``, as far as every name begins with it."""
    parts = next(iter(names), "").split(".")
    leads = ["".join(f"{part}." for part in parts[:n]) for n in range(1, len(parts))]
    return [lead for lead in leads if all(name.startswith(lead) for name in names)]


def _without_layers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "layers")


def _quoted(name: str) -> str:
    return f'"{name}"'
