"""Compiled steps are traced once for all that a training run changes, and for few sets of parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cases import assert_close
from tests.joining import ELEMENTWISE, Loop, numbers
from tests.optimizers.test_rules_compile import ULPS
from tests.resume_cases import OPTIMIZERS, of
from torchish_mlx import optim
from torchish_mlx.optim import lr_scheduler
from torchish_mlx.optimizers import _paths

SGD = of(optim.SGD, lr=0.1)  # the fewest kernels


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The rules whose formulas were run in Python: by each eager step, and by each trace."""
    run: list[str] = []
    original = _paths.formulas

    def spy(rule: Any, values: Any, **options: Any) -> Any:
        formulas = original(rule, values, **options)
        return lambda *given: (run.append(rule.__name__), formulas(*given))[1]

    monkeypatch.setattr(_paths, "formulas", spy)
    _paths._compiled.cache_clear()
    yield run
    _paths._compiled.cache_clear()


@pytest.mark.parametrize("name", ["SGD-momentum", "Adam", "mlx.Adam"])
@pytest.mark.parametrize("fused", [True, None])
def test_a_schedule_makes_no_new_trace(name, fused, traces, large):
    """The rate, and momentum or betas, are arguments of the compiled function."""
    held, seen = [], []
    for loop in (Loop(OPTIMIZERS[name], None, fused=fused), Loop(OPTIMIZERS[name], False)):
        scheduler = lr_scheduler.OneCycleLR(loop.optimizer, 0.1, total_steps=10, base_momentum=0.7)
        traces.clear()
        for i in range(8):
            loop.step(i)
            scheduler.step()
            seen.append(loop.optimizer.param_groups[0]["lr"])
            if i == 0:
                first = len(traces)
        held.append(loop.held())
        if loop.foreach is None:
            assert first == 1
            assert len(traces) == (2 if name == "SGD-momentum" else 1)  # its first step makes the buffers
    assert len(set(seen)) == 8
    assert_close(*held, 8 * ULPS)


def groups_of(params: list[Any]) -> list[dict[str, Any]]:
    return [
        {"params": params[:3], "lr": 0.1},
        {"params": params[3:6], "betas": (0.5, 0.7), "amsgrad": True},
        {"params": params[6:], "maximize": True, "weight_decay": 0.1},
    ]


def test_groups_are_compiled_as_one(compiled, traces):
    """With options of their own, that move by themselves."""
    loops = [
        Loop(lambda given: optim.Adam(groups_of(given[0]["params"]), lr=0.01), foreach, fused=fused)
        for foreach, fused in ((None, True), (False, False))
    ]
    for i in range(6):
        for loop in loops:
            loop.optimizer.param_groups[1]["lr"] = 0.01 * (i + 1)
            loop.optimizer.param_groups[2]["weight_decay"] = 0.1 * i
            loop.step(i)
        assert_close(loops[0].held(), loops[1].held(), 2 * ULPS)
    assert compiled == [["Adam"] * 3] * 6
    assert len(traces) == 3 + 3 * 6  # a trace, and the groups of each eager step


def test_groups_that_differ_in_the_path(compiled):
    loop = Loop(lambda given: optim.SGD(groups(given[0]["params"]), lr=0.1), None)
    for group, fused in zip(loop.optimizer.param_groups, (True, False, None, True), strict=True):
        group["fused"] = fused
    plain = Loop(lambda given: optim.SGD(groups(given[0]["params"]), lr=0.1), False)
    for i in range(2):
        loop.step(i)
        plain.step(i)
    assert compiled == [["SGD"] * 2] * 2
    assert_close(loop.held(), plain.held(), ULPS)


def groups(params: list[Any]) -> list[dict[str, Any]]:
    return [{"params": params[i::4]} for i in range(4)]


def test_two_optimizers_share_a_trace(traces):
    """Of the same rule, choices and shapes; the numbers are arguments."""
    for lr in (0.1, 0.2, 0.3):
        loop = Loop(of(optim.SGD, lr=lr), None, [(3,), (2,)], fused=True)
        loop.step(0)
        assert loop.params[0].array.tolist() == pytest.approx(
            (numbers(-1, 0, (3,)) - lr * numbers(0, 0, (3,))).tolist(), rel=1e-6
        )
    assert len(traces) == 1


@pytest.mark.parametrize("option", ["maximize", "nesterov", "momentum"])
def test_an_option_that_is_switched_is_seen(option):
    """It is part of the trace: another one is made, and the first is found again."""
    values = {"maximize": (True, False), "nesterov": (True, False), "momentum": (0.0, 0.9)}[option]
    make = of(optim.SGD, lr=0.1, momentum=0.9)
    fused, plain = Loop(make, None, fused=True), Loop(make, False)
    for i in range(5):
        for loop in (fused, plain):
            if i in (2, 4):
                loop.optimizer.param_groups[0][option] = values[i // 2 - 1]
            loop.step(i)
        assert_close(fused.held(), plain.held(), 2 * ULPS)


def test_few_sets_of_parameters_are_compiled_for(compiled, large, monkeypatch):
    """Each is a trace that is kept: after KINDS of them, only those; ``fused=True`` compiles for each."""
    monkeypatch.setattr(_paths, "KINDS", 3)
    loop, plain, fused = Loop(SGD, None), Loop(SGD, False), Loop(SGD, None, fused=True)
    found = []
    for i in [0, 1, 1, 2, 3, 4, 0, 3, 2, 5]:
        for each in (loop, plain, fused):
            compiled.clear()
            each.step(i, lambda j, g, i=i: g if (j + i) % 6 < 2 else None)
            if each is loop:
                found.append(bool(compiled))
            assert bool(compiled) == (each is fused or (each is loop and i < 3))
    assert found == [True, True, True, True, False, False, True, False, True, False]
    assert_close(loop.held(), plain.held(), 4 * ULPS)
    assert_close(fused.held(), plain.held(), 4 * ULPS)


def test_groups_count_their_sets_by_themselves(compiled, large, monkeypatch):
    monkeypatch.setattr(_paths, "KINDS", 1)
    loop = Loop(lambda given: optim.SGD(groups(given[0]["params"]), lr=0.1), None)
    loop.step(0)
    loop.step(1, lambda j, g: None if j == 0 else g)  # another set of the first group
    assert compiled == [["SGD"] * 4, ["SGD"] * 3]


@pytest.mark.parametrize("name", ["SGD-momentum", "Adam", "RMSprop", "mlx.SGD", "mlx.Adam", "mlx.RMSprop", "Lion"])
def test_the_numbers_are_not_those_of_the_trace(name):
    """One that was made for another optimizer of the class, with other options."""
    for factor in (1.0, 0.9, 0.7):
        loops = [Loop(ELEMENTWISE[name], None, fused=True), Loop(ELEMENTWISE[name], False)]
        for loop in loops:
            for option in ("lr", "momentum", "dampening", "betas", "alpha", "weight_decay", "eps"):
                value = loop.optimizer.param_groups[0].get(option)
                if isinstance(value, (tuple, list)):
                    loop.optimizer.param_groups[0][option] = type(value)(factor * v for v in value)
                elif value:
                    loop.optimizer.param_groups[0][option] = factor * value
            for i in range(2):
                loop.step(i)
        assert_close(loops[0].held(), loops[1].held(), 2 * ULPS)
