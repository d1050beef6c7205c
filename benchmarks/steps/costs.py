"""What surrounds a step: clipping, schedulers, hooks, parameter groups."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.optimizers

import torchish_mlx
from torchish_mlx import optim, optimizers
from torchish_mlx.nn.utils import clip_grad_norm_

from .on_mlx import FUSED, IN_COMPILE, OPTIONS, OURS, OnMLX, Ours, make, wait
from .rounds import Clock, Contestant, Rows, scaled
from .sets import Case, case, equal
from .sides import torch_side

GROUPS = (1, 2, 50)
MANY = 2000  # groups, of one small tensor each
MANY_OF: dict[str, tuple[str, dict[str, Any]]] = {  # the name of a row -> optimizer, options
    "sgd without momentum": ("sgd", {"momentum": 0}),
    "sgd": ("sgd", {}),
    "adamw": ("adamw", {}),
    "adafactor": ("adafactor", {}),
}
SCHEDULES = ("StepLR", "CosineAnnealingLR")
INNER = 20  # calls of a turn where one is too short to clock


class ClipParameters(Ours):
    """``nn.utils.clip_grad_norm_`` on Parameters."""

    def call(self) -> None:
        self.norm = clip_grad_norm_(self.named.values(), 1.0)

    def end(self) -> None:
        wait([p.grad.array for p in self.named.values()], self.norm.array)


class ClipTree(OnMLX):
    """A function ``(tree, max_norm) -> (tree, norm)``."""

    def __init__(self, given: Case, base: Any, clip: Callable[..., Any]) -> None:
        super().__init__(given, base)
        self.clip = clip

    def call(self) -> None:
        self.clipped = self.clip(self.grads, 1.0)

    def end(self) -> None:
        wait(self.clipped)
        del self.clipped


def clipping(sets: list[str], dtypes: list[str], with_torch: bool, clock: Clock) -> Rows:
    """One row for each function, set and dtype."""
    rows: Rows = []
    for given in (case("adamw", name, dtype, clock.quick) for name in sets for dtype in dtypes):
        base = given.arrays(2, 0.01)
        named: dict[str, Contestant] = {
            "ours clip_grad_norm_": ClipParameters(given, base),
            "ours clip_grad_norm (tree)": ClipTree(given, base, optimizers.clip_grad_norm),
            "mlx clip_grad_norm": ClipTree(given, base, mlx.optimizers.clip_grad_norm),
        }
        if with_torch:
            named["torch clip_grad_norm_"] = torch_side().Clip(given, torch_side().base(given))
        rows += clock.rows(f"clipping {given.set} {given.dtype}", named, set=given.set, dtype=given.dtype)
    return rows


class Schedule(Contestant):
    """``scheduler.step()`` over so many groups."""

    calls = INNER

    def __init__(self, kind: str, groups: int) -> None:
        params = [torchish_mlx.Parameter(mx.ones(1)) for _ in range(groups)]
        optimizer = optim.AdamW([{"params": [p]} for p in params])
        self.scheduler = getattr(optim.lr_scheduler, kind)(optimizer, 1000)
        optimizer.step()

    def call(self) -> None:
        for _ in range(INNER):
            self.scheduler.step()


def schedulers(with_torch: bool, clock: Clock) -> Rows:
    """Microseconds of host time for each group and step of a scheduler."""
    rows: Rows = []
    for kind in SCHEDULES:
        for groups in (1, 50):
            named: dict[str, Contestant] = {"ours": Schedule(kind, groups)}
            if with_torch:
                named["torch"] = torch_side().Schedule(kind, groups, INNER)
            for row in clock.rows(f"{kind} over {groups} groups", named, scheduler=kind, groups=groups):
                host = row.pop("host")
                del row["total"]
                rows.append({**row, "us per group": scaled(host, 1e3 / groups)})
    return rows


def python_calls(contestant: Contestant, turn: int) -> int:
    """How many Python functions one call runs. A new trace runs the formula of every parameter again."""
    count = 0

    def seen(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal count
        count += event == "call"

    contestant.give(turn)
    sys.setprofile(seen)
    try:
        contestant.call()
    finally:
        sys.setprofile(None)
    contestant.end()
    contestant.drop()
    return count


def traces(clock: Clock) -> Rows:
    """Python functions that a step runs, without and after a scheduler's step: as many if nothing is traced."""
    rows: Rows = []
    for path in (OURS, FUSED, IN_COMPILE):
        contestant = make(path, case("adamw", "gpt", "float32", clock.quick))
        assert contestant is not None
        scheduler = optim.lr_scheduler.CosineAnnealingLR(contestant.optimizer, 1000)
        begun = [python_calls(contestant, turn) for turn in range(3)]
        plain = [python_calls(contestant, turn) for turn in range(3)]
        moved = []
        for turn in range(3):
            scheduler.step()
            moved.append(python_calls(contestant, turn))
        rows.append(
            {
                "path": path,
                "first step": begun[0],
                "a later step": max(plain),
                "after scheduler.step()": max(moved),
                "new trace": max(moved) > 1.05 * max(plain) + 10,
            }
        )
    return rows


class Hooked(Ours):
    """``step()`` of one tensor, several times; with what looks for hooks, or without."""

    calls = INNER

    def __init__(self, bare: bool) -> None:
        super().__init__(Case("adamw", "one tensor", "float32", {"weight": (8,)}))
        step = type(self.optimizer).step
        self.step = step.__wrapped__ if bare else step

    def call(self) -> None:
        for _ in range(INNER):
            self.step(self.optimizer)


def hooks(clock: Clock) -> Rows:
    """Microseconds of ``step()`` on one tensor as it is, with no hook registered, and without the wrapper around it."""
    named: dict[str, Contestant] = {"step()": Hooked(bare=False), "step() without its wrapper": Hooked(bare=True)}
    rows = clock.rows("hooks, none registered", named)
    return [{"path": row["path"], "us": scaled(row["host"], 1e3)} for row in rows]


def groups(sets: list[str], clock: Clock) -> Rows:
    """``step()`` with the same parameters in 1, 2 and 50 groups."""
    rows: Rows = []
    for name in sets:
        given = case("adamw", name, "float32", clock.quick)
        base = given.arrays(2, 0.01)
        several = {n: min(n, len(given.shapes)) for n in GROUPS}
        for path in (OURS, FUSED):
            named: dict[str, Contestant] = {str(n): Ours(given, base, m, **OPTIONS[path]) for n, m in several.items()}
            found = clock.rows(f"groups of {name}, {path}", named)
            rows += [{"set": name, "path": path, "groups": int(row.pop("path")), **row} for row in found]
    return rows


def many_groups(with_torch: bool, clock: Clock) -> Rows:
    """``step()`` of thousands of groups of one tensor of 64 numbers each, compared with torch with the same groups."""
    rows: Rows = []
    count = 20 if clock.quick else MANY
    for name, (optimizer, options) in MANY_OF.items():
        given = Case(optimizer, "tensors", "float32", equal(count, 64))
        named: dict[str, Contestant] = {OURS: Ours(given, given.arrays(2, 0.01), count, **options)}
        if with_torch:
            named["torch"] = torch_side().Step(given, torch_side().base(given), count, **options)
        rows += clock.rows(f"{name}, {count} groups", named, optimizer=name, groups=count)
    return rows
