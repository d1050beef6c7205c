"""A scheduler of torch and one of ours, driven together and compared after every operation."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

import torchish_mlx

from .scheduler_cases import LRS, METRICS, Case, optimizer_of, train
from .sides import OURS, THEIRS, Differs, Side

SIDES = (OURS, THEIRS)
#: What schedulers read and write in a group.
KEYS = ("lr", "initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr", "momentum", "betas")
MOVING = ("lr", "momentum", "betas")


def outcome(call: Callable[[], Any]) -> tuple[Any, list[str]]:
    """(type and text of what ``call`` raises, or None), and the warnings that it gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call()
            error = None
        except Exception as e:
            error = type(e).__name__, str(e)
    return error, [f"{w.category.__name__}: {w.message}" for w in caught]


def words(value: Any) -> Any:
    """``value`` in terms that are the same on both sides, types included: numbers and tensors become strings."""
    if isinstance(value, (torch.Tensor, torchish_mlx.Tensor)):
        return f"tensor {str(value.dtype).split('.')[-1]} {tuple(value.shape)} {float(value)!r}"
    if isinstance(value, Mapping):
        return type(value).__name__, {key: words(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [words(v) for v in value]
    return repr(value)


def same(ours: Any, theirs: Any) -> None:
    """Raises ``Differs`` unless they are equal."""
    if ours != theirs:
        raise Differs(f"{ours}, torch: {theirs}")


def is_plateau(scheduler: Any) -> bool:
    return hasattr(scheduler, "num_bad_epochs")


def advance(scheduler: Any, *epoch: Any) -> None:
    """One step; one that goes by a metric gets METRICS in turn."""
    if is_plateau(scheduler):
        scheduler.step(METRICS[int(scheduler.last_epoch) % len(METRICS)], *epoch)
    else:
        scheduler.step(*epoch)


class Pair:
    """The two sides of a case. Every method does the same on both, compares what happens, and says if it worked."""

    def __init__(
        self, case: Case, kind: str = "SGD", groups: int = 1, lrs: Callable[[Side], Any] = lambda _: LRS, **more: Any
    ) -> None:
        self.case, self.kind, self.groups, self.lrs = case, kind, groups, lrs
        self.optimizers = [optimizer_of(side, kind, groups, lrs(side)) for side in SIDES]
        self.schedulers: list[Any] = [None, None]
        self.made = self.build(**more)

    def both(self, action: Callable[[int], Any]) -> bool:
        (ours, warned), (theirs, warned_too) = outcome(lambda: action(0)), outcome(lambda: action(1))
        if theirs == ("NotImplementedError", ""):  # torch says nothing more
            same((ours or [None])[0], theirs[0])
        else:
            same(ours, theirs)
        same(warned, warned_too)
        return ours is None

    def build(self, **more: Any) -> bool:
        """Make the scheduler again, on the optimizer as it is."""

        def make(i: int) -> None:
            self.schedulers[i] = self.case(SIDES[i], self.optimizers[i], **more)

        return self.both(make)

    def train(self) -> None:
        for optimizer in self.optimizers:
            train(optimizer)

    def step(self, *epoch: Any) -> bool:
        return self.both(lambda i: advance(self.schedulers[i], *epoch))

    def run(self, steps: int, full: int = 25) -> int:
        """Steps, compared one by one, up to the first that both refuse; how many there were."""
        self.check()
        self.train()
        for i in range(steps):
            if not self.step():
                return i
            self.check_rates()
            if i % full == 0:
                self.check()
        self.check()
        return steps

    def check_rates(self) -> None:
        """What ``check`` compares, without the state and the entries that never move."""
        ours, theirs = (
            [[words(group.get(key)) for key in MOVING] for group in o.param_groups] for o in self.optimizers
        )
        same(ours, theirs)

    def facts(self, i: int) -> dict[str, Any]:
        """All that a user can see of one side."""
        optimizer, scheduler = self.optimizers[i], self.schedulers[i]
        return {
            "groups": [{key: group[key] for key in KEYS if key in group} for group in optimizer.param_groups],
            "last_lr": scheduler.get_last_lr(),
            "last_epoch": getattr(scheduler, "last_epoch", None),
            "step_count": getattr(scheduler, "_step_count", None),
            "base_lrs": getattr(scheduler, "base_lrs", None),
            "state_dict": scheduler.state_dict(),
        }

    def check(self) -> None:
        """Equal: the same types, and floats to the last bit."""
        ours, theirs = (words(self.facts(i)) for i in (0, 1))
        same(ours, theirs)

    def saved(self) -> list[tuple[Any, Any]]:
        """Copies of (the scheduler's, the optimizer's) state dict, of both sides."""
        pairs = zip(self.schedulers, self.optimizers, strict=True)
        return [(copy.deepcopy(s.state_dict()), copy.deepcopy(o.state_dict())) for s, o in pairs]

    def resumed(self, saved: list[tuple[Any, Any]], order: str) -> Pair:
        """A fresh pair with this state: "before" loads the optimizer before the scheduler is made."""
        fresh = Pair.__new__(Pair)
        fresh.case, fresh.kind, fresh.groups, fresh.lrs = self.case, self.kind, self.groups, self.lrs
        fresh.optimizers = [optimizer_of(side, self.kind, self.groups, self.lrs(side)) for side in SIDES]
        fresh.schedulers = [None, None]

        def load_optimizer() -> None:
            same(fresh.both(lambda i: fresh.optimizers[i].load_state_dict(saved[i][1])), True)

        def load_scheduler() -> None:
            same(fresh.both(lambda i: fresh.schedulers[i].load_state_dict(saved[i][0])), True)

        if order == "before":
            load_optimizer()
        fresh.made = fresh.build()
        if order == "after":
            load_optimizer()
        load_scheduler()
        if order == "last":
            load_optimizer()
        fresh.train()
        return fresh
