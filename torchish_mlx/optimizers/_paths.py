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
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.cpu import on_cpu
from .._core.trace import traced
from .._docs import see
from ._core import Inputs, Results, Task, formulas
from ._hyper import STRUCTURE

SMALL = 2**20  # elements
KINDS = 8  # for how many different sets of parameters a group is compiled by default


def run(tasks: Sequence[Task], inputs: Sequence[Inputs]) -> list[Results]:
    """The results of the formulas of each task."""
    large = sum(task.plan.elements for task in tasks) >= SMALL
    compiled = [_is_compiled(task, large) for task in tasks]
    together = [i for i, yes in enumerate(compiled) if yes]
    results: list[Any] = [None] * len(tasks)
    if together:
        function = _compiled(tuple(_kind(tasks[i]) for i in together))
        found = function([tasks[i] for i in together], [inputs[i] for i in together])
        for i, result in zip(together, found, strict=True):
            results[i] = result
    for i, task in enumerate(tasks):
        if not compiled[i]:
            results[i] = formulas(task.rule, task.values, apart=task.joins, stacks=task.plan.stacks)(*inputs[i])
    return results


def _is_compiled(task: Task, large: bool) -> bool:
    fused = task.values.get("fused")
    if fused is None:
        known = task.rule.elementwise or task.rule.traceable
        fused = large and known and task.values.get("foreach") is None and _varies_little(task)
    return bool(fused) and task.plan.dense and not traced(task.arrays[STRUCTURE]) and _can_compile(on_cpu())


def _varies_little(task: Task) -> bool:
    """Whether the parameters that have gradients now are one of the first few sets that had them.

    Each set is a trace of its own, which is kept. So the sets are noted here, up to KINDS of them.
    """
    sets = task.state.kinds.setdefault(id(task.arrays), set())
    if len(sets) < KINDS:
        sets.add(task.plan.paths)
    return task.plan.paths in sets


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


class _Kind(NamedTuple):
    """What the compiled formulas of a task depend on; ``stacks`` is how many parameters are stacks of several.

    The shape of the group's empty array represents the Python values, as it does in a step that a user compiles.
    """

    rule: Any
    shape: tuple[int, ...]
    stacks: int


def _kind(task: Task) -> _Kind:
    return _Kind(task.rule, task.arrays[STRUCTURE].shape, task.plan.stacks)


class _Function:
    """The formulas of several tasks as one function. The first call compiles it, with the options of that call's tasks:
    later tasks of the same kinds have equal ones.
    """

    def __init__(self) -> None:
        self._compiled: Any = None

    def __call__(self, tasks: Sequence[Task], inputs: Sequence[Inputs]) -> list[Results]:
        if self._compiled is None:
            each = [formulas(task.rule, _values(task), stacks=task.plan.stacks) for task in tasks]

            def run(inputs: Sequence[Inputs]) -> list[Results]:
                return [formula(*given) for formula, given in zip(each, inputs, strict=True)]

            self._compiled = mx.compile(run)
        results: list[Results] = self._compiled(inputs)
        return results


def _values(task: Task) -> dict[str, Any]:
    """The options of the rule, without the group that they are in: what is compiled must not keep its parameters."""
    return {name: task.values[name] for name in task.rule.fields() if name in task.values}


@lru_cache(maxsize=64)
def _compiled(kinds: tuple[_Kind, ...]) -> _Function:  # noqa: ARG001 - lru_cache looks the function up by them
    """The one function for tasks of these kinds; it is the same object for equal kinds."""
    return _Function()
