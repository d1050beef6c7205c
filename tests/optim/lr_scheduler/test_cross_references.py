"""A scheduler's class, its pure function and its curve lead to one another. (`make docs` fails at a dead reference.)"""

from __future__ import annotations

import inspect
import re

import pytest

from torchish_mlx.optim import lr_scheduler, swa_utils
from torchish_mlx.optim.lr_scheduler._schedule import FORMS
from torchish_mlx.optimizers import schedules

CLASSES = {name: getattr(lr_scheduler, name) for name in lr_scheduler.__all__} | {"SWALR": swa_utils.SWALR}
# Without a pure function: the base class, a class that is made of a function, and two whose rates depend on the past.
WITHOUT = {"LRScheduler", "FromSchedule", "MultiplicativeLR", "ReduceLROnPlateau"}


def function_of(name: str) -> str:
    """The name of the pure function: ``StepLR`` gives ``step_lr``."""
    words = {"SWALR": "SwaLR"}.get(name, name).removesuffix("LR")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", words).lower() + ("_lr" if name.endswith("LR") else "")


PAIRS = {name: function_of(name) for name in sorted(CLASSES.keys() - WITHOUT)}


def text(value: object) -> str:
    return " ".join((inspect.getdoc(value) or "").split())


def test_every_function_belongs_to_a_class():
    assert set(PAIRS.values()) == set(schedules.__all__) - {"Schedule"}


def test_every_class_has_a_curve():
    assert set(FORMS) == set(CLASSES.values())


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_class_and_curve(name):
    curve = FORMS[CLASSES[name]]
    where = "this file" if curve.__module__ == CLASSES[name].__module__ else "``_closed_forms.py``"
    assert f"``{curve.__name__}`` in {where}" in text(CLASSES[name])
    assert "as_schedule`" in text(CLASSES[name]) or "is no function of the step" in text(CLASSES[name])
    assert re.search(rf":class:`\.?{name}`", text(curve))


@pytest.mark.parametrize(("name", "function"), PAIRS.items())
def test_class_and_pure_function(name, function):
    module = "swa_utils" if name == "SWALR" else "lr_scheduler"
    assert f":func:`~torchish_mlx.optimizers.schedules.{function}`" in text(CLASSES[name])
    assert f":class:`~torchish_mlx.optim.{module}.{name}`" in text(getattr(schedules, function))
    assert FORMS[CLASSES[name]].__name__ == f"{function}_curve"
    assert f":func:`.{function}`" in text(FORMS[CLASSES[name]])
