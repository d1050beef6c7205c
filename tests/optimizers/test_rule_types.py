"""The types that are written next to a rule, for editors, have the entries that the rule has, and no others."""

from __future__ import annotations

import sys
from itertools import product
from types import SimpleNamespace
from typing import Any, get_type_hints

import mlx.core as mx
import pytest

from torchish_mlx import optimizers
from torchish_mlx.optimizers import Rule
from torchish_mlx.optimizers._hyper import FIRST, Hypers, Static

RULES = [r for name in optimizers.__all__ if isinstance(r := getattr(optimizers, name), type) and issubclass(r, Rule)]
RULES = sorted({*RULES} - {Rule}, key=lambda rule: rule.__name__)
SOMETIMES = {"momentum": (0, 0.9), "dampening": (0, 0.5)}  # numbers on which slots depend


def values_of(rule: Any) -> list[dict[str, Any]]:
    """The defaults, and every combination of flags and of such numbers."""
    given = {name: field.default for name, field in rule.fields().items()}
    options = {
        n: (False, True) for n, f in rule.fields().items() if isinstance(f, Static) and isinstance(f.default, bool)
    }
    options |= {name: SOMETIMES[name] for name in given.keys() & SOMETIMES.keys()}
    return [{**given, **dict(zip(options, chosen, strict=True))} for chosen in product(*options.values())]


def hints(rule: Any) -> dict[str, Any]:
    return get_type_hints(rule.formula, vars(sys.modules[rule.__module__]))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_h(rule):
    declared = get_type_hints(hints(rule)["h"])
    for values in values_of(rule):
        h: SimpleNamespace = rule.hypers(values, rule.carried(values))
        assert declared.keys() == vars(h).keys() | {"first"}
        for name, kind in declared.items():
            if name in rule.fields() and kind is mx.array:
                assert isinstance(getattr(h, name), mx.array)
            if kind in (bool, int, float):
                assert type(getattr(h, name)) is kind
    assert Hypers in hints(rule)["h"].__mro__


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_s(rule):
    found: set[str] = set()
    for values, shape in product(values_of(rule), [(2,), (2, 3)]):
        h = rule.hypers(values, rule.carried(values))
        found |= rule.early_slots(h, mx.ones(shape)).keys()
    assert get_type_hints(hints(rule)["s"]).keys() == found - {FIRST}
