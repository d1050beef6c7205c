"""``fused`` and ``foreach``: whether the formulas of a step run one by one, or compiled.

==================  ===================================================================================================
``foreach=False``   one parameter after the other, each operation by itself; with ``fused=True`` compiled
``foreach=True``    small parameters joined, each operation by itself
``fused=False``     the same
``fused=True``      small parameters joined, all of it one compiled function
neither             as ``fused=True`` where the parameters with a gradient have SMALL elements or more, else as
                    ``foreach=True``: what a small model gains would not repay the seconds that a C++ compiler takes
==================  ===================================================================================================
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import mlx.core as mx

from .._core.evaluation import traced
from .._docs import see
from ._core import Inputs, Results, Task, formulas
from ._hyper import STRUCTURE
from ._kernels import on_cpu

SMALL = 2**20  # elements
KINDS = 8  # how many different sets of parameters a group compiles for by itself


def run(tasks: Sequence[Task], inputs: Sequence[Inputs]) -> list[Results]:
    """The results of the formulas of each task."""
    large = sum(task.plan.elements for task in tasks) >= SMALL
    compiled = [_is_compiled(task, large) for task in tasks]
    together = [i for i, yes in enumerate(compiled) if yes]
    results: list[Any] = [None] * len(tasks)
    if together:
        function = _compiled(tuple(_Frozen(tasks[i]) for i in together))
        for i, result in zip(together, function([inputs[i] for i in together]), strict=True):
            results[i] = result
    for i, task in enumerate(tasks):
        if not compiled[i]:
            results[i] = formulas(task.rule, task.values, apart=task.joins)(*inputs[i])
    return results


def _is_compiled(task: Task, large: bool) -> bool:
    fused = task.values.get("fused")
    if fused is None:
        known = task.rule.elementwise or task.rule.traceable
        fused = large and known and task.values.get("foreach") is None and _varies_little(task)
    return bool(fused) and task.plan.dense and not traced(task.arrays[STRUCTURE]) and _can_compile(on_cpu())


def _varies_little(task: Task) -> bool:
    """Whether few different sets of parameters had gradients so far: each is a trace of its own, and is kept."""
    kinds = task.state.kinds.setdefault(id(task.arrays), set())
    if len(kinds) < KINDS:
        kinds.add(task.plan.paths)
    return task.plan.paths in kinds


@cache
def _can_compile(cpu: bool) -> bool:
    """Whether MLX can compile; on the CPU it calls a C++ compiler, and only when it evaluates a step."""
    problem = ""
    if cpu and shutil.which("g++") is None:
        problem = "no C++ compiler (g++) was found, which MLX compiles by on the CPU"
    elif cpu:
        try:
            mx.eval(mx.compile(lambda x: 2 * x + 1)(mx.ones(2)))
        except RuntimeError as error:
            problem = f"the C++ compiler (g++) that MLX compiles by on the CPU failed ({error})"
    if problem:
        warnings.warn(
            f"{problem}: steps run uncompiled, and slower. Install one, or construct the optimizer with fused=False to "
            "turn this warning off." + see("no-c-compiler"),
            RuntimeWarning,
            stacklevel=2,
        )
    return not problem


class _Frozen:
    """A task's rule and the Python values that its formula depends on, as a key of the compiled formulas.

    The shape of the group's empty array represents the values, as it does in a step that a user compiles.
    """

    def __init__(self, task: Task) -> None:
        self.task: Any = task
        self.rule, self.key = task.rule, (task.rule, task.arrays[STRUCTURE].shape)

    def formulas(self) -> Any:
        """The formulas, with values of their own."""
        values = {name: self.task.values[name] for name in self.rule.fields() if name in self.task.values}
        self.task = None
        return formulas(self.rule, values)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self.key == other.key


@lru_cache(maxsize=64)
def _compiled(groups: tuple[_Frozen, ...]) -> Any:
    """The formulas of several groups as one compiled function, kept per rules and choices."""
    run = [group.formulas() for group in groups]
    return mx.compile(lambda inputs: [each(*given) for each, given in zip(run, inputs, strict=True)])
