"""Configurations of every scheduler, built on either side by the same words: ``case(side, optimizer)``."""

from __future__ import annotations

import copy
import functools
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import mlx.optimizers
import torch

import torchish_mlx
from torchish_mlx import optim

from .sides import OURS, Side

Case = Callable[[Side, Any], Any]
LRS = (0.1, 0.5, 0.003)  # of three groups


class Each(tuple[Any, ...]):
    """A value per group: as many as there are."""


class Warmup:
    """A callable object, whose state the state dict keeps."""

    def __init__(self, length: float) -> None:
        self.length = length

    def __call__(self, epoch: float) -> float:
        return min(1.0, (epoch + 1) / self.length)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Warmup) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


def plain(name: str, **kwargs: Any) -> Case:
    """The class ``name`` with these arguments; callable objects among them are copied."""

    def build(side: Side, optimizer: Any, **more: Any) -> Any:
        count = len(optimizer.param_groups)
        given = {k: list(v[:count]) if isinstance(v, Each) else v for k, v in copy.deepcopy(kwargs).items()}
        return named(side, name)(optimizer, **given, **more)

    return build


def named(side: Side, name: str) -> Any:
    """A scheduler class, or one of those below that a user could have written."""
    if name in ("Noam", "Cosine", "Restless"):
        return USERS[name](side)
    return getattr(side.optim.swa_utils if name == "SWALR" else side.optim.lr_scheduler, name)


@functools.cache
def noam(side: Side) -> type:
    class Noam(side.optim.lr_scheduler.LRScheduler):  # type: ignore[name-defined]
        """Warm-up and inverse square root; asks for the learning rate as the base class recommends."""

        def __init__(self, optimizer: Any, warmup: int, last_epoch: int = -1) -> None:
            self.warmup = warmup
            super().__init__(optimizer, last_epoch)

        def get_lr(self) -> list[Any]:
            n = max(self.last_epoch, 1)
            return [lr * min(n**-0.5, n * self.warmup**-1.5) for lr in self.base_lrs]

    return Noam


@functools.cache
def cosine(side: Side) -> type:
    class Cosine(side.optim.lr_scheduler._LRScheduler):  # type: ignore[name-defined]
        """The older style: reads private attributes, and has a closed form of its own."""

        def __init__(self, optimizer: Any, cycle: int, last_epoch: int = -1) -> None:
            self.cycle = cycle
            self.seen: list[Any] = []
            super().__init__(optimizer, last_epoch)

        def get_lr(self) -> list[Any]:
            self.seen = [self._step_count, self._get_lr_called_within_step, self._is_initial]
            return self._get_closed_form_lr()

        def _get_closed_form_lr(self) -> list[Any]:
            half = (1 + math.cos(math.pi * (self.last_epoch % self.cycle) / self.cycle)) / 2
            return [lr * half for lr in self.base_lrs]

    return Cosine


@functools.cache
def restless(side: Side) -> type:
    class Restless(side.optim.lr_scheduler._LRScheduler):  # type: ignore[name-defined]
        """Overrides ``step`` and writes the groups itself, as schedulers of old did."""

        def __init__(self, optimizer: Any, warmup: int, last_epoch: int = -1) -> None:
            self.warmup = warmup
            super().__init__(optimizer, last_epoch)

        def get_lr(self) -> list[Any]:
            return [lr * min(1.0, (self.last_epoch + 1) / self.warmup) for lr in self.base_lrs]

        def step(self, epoch: int | None = None) -> None:
            self._step_count += 1
            self.last_epoch: int = self.last_epoch + 1 if epoch is None else epoch
            for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
                group["lr"] = lr
            self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    return Restless


USERS = {"Noam": noam, "Cosine": cosine, "Restless": restless}


def composite(name: str, *members: Case, milestones: list[int] | None = None) -> Case:
    """``SequentialLR`` (with milestones) or ``ChainedScheduler`` of other cases."""

    def build(side: Side, optimizer: Any, **more: Any) -> Any:
        schedulers = [member(side, optimizer) for member in members]
        cls = getattr(side.optim.lr_scheduler, name)
        if name == "ChainedScheduler":
            return cls(schedulers, optimizer=optimizer, **more)
        return cls(optimizer, schedulers, list(milestones or []), **more)

    return build


def chained(*members: Case) -> Case:
    return composite("ChainedScheduler", *members)


def sequential(milestones: list[int], *members: Case) -> Case:
    return composite("SequentialLR", *members, milestones=milestones)


step30 = plain("StepLR", step_size=30, gamma=0.5)
exponential = plain("ExponentialLR", gamma=0.99)
constant = plain("ConstantLR", factor=0.2, total_iters=10)
linear = plain("LinearLR", start_factor=0.1, total_iters=20)
polynomial = plain("PolynomialLR", total_iters=60, power=0.9)
anneal = plain("CosineAnnealingLR", T_max=50, eta_min=1e-4)
restarts = plain("CosineAnnealingWarmRestarts", T_0=10, T_mult=2)
multistep = plain("MultiStepLR", milestones=[15, 40, 41], gamma=0.3)
cyclic = plain("CyclicLR", base_lr=1e-3, max_lr=0.1, step_size_up=7)
onecycle = plain("OneCycleLR", max_lr=0.5, total_steps=90)
lambdas = plain("LambdaLR", lr_lambda=Warmup(25))
multiplicative = plain("MultiplicativeLR", lr_lambda=lambda e: 0.95 if e % 3 else 1.02)


def inverse(epoch: int) -> float:
    return 1 / (1 + 0.1 * epoch)


TABLE: dict[str, dict[str, Case]] = {
    "LRScheduler": {
        "noam": plain("Noam", warmup=40),
        "noam-1": plain("Noam", warmup=1),
        "cosine": plain("Cosine", cycle=37),
        "cosine-1": plain("Cosine", cycle=1),
        "own-step": plain("Restless", warmup=60),
        "own-step-1": plain("Restless", warmup=1),
    },
    "LambdaLR": {
        "power": plain("LambdaLR", lr_lambda=lambda e: 0.97**e),
        "object": lambdas,
        "each": plain("LambdaLR", lr_lambda=Each((lambda e: 0.95**e, inverse, Warmup(30)))),
        "int": plain("LambdaLR", lr_lambda=lambda e: e // 30),
        "negative": plain("LambdaLR", lr_lambda=lambda e: -1.0 if e % 2 else 2),
        "partial": plain("LambdaLR", lr_lambda=functools.partial(pow, 0.9)),
        "root": plain("LambdaLR", lr_lambda=lambda e: 1 / math.sqrt(max(e, 1))),
    },
    "MultiplicativeLR": {
        "constant": plain("MultiplicativeLR", lr_lambda=lambda _: 0.95),
        "by-epoch": multiplicative,
        "each": plain("MultiplicativeLR", lr_lambda=Each((lambda _: 0.99, lambda _: 1.001, inverse))),
        "object": plain("MultiplicativeLR", lr_lambda=Warmup(12)),
        "negative": plain("MultiplicativeLR", lr_lambda=lambda _: -1),
        "zero": plain("MultiplicativeLR", lr_lambda=lambda e: 0 if e == 50 else 1.0),
    },
    "StepLR": {
        "30": step30,
        "1": plain("StepLR", step_size=1, gamma=0.98),
        "default": plain("StepLR", step_size=100),
        "up": plain("StepLR", step_size=7, gamma=1.05),
        "zero": plain("StepLR", step_size=50, gamma=0),
        "negative": plain("StepLR", step_size=3, gamma=-0.9),
        "beyond": plain("StepLR", step_size=1000),
        "size-0": plain("StepLR", step_size=0),
    },
    "MultiStepLR": {
        "two": plain("MultiStepLR", milestones=[30, 80]),
        "zero": plain("MultiStepLR", milestones=[0, 5], gamma=0.5),
        "duplicates": plain("MultiStepLR", milestones=[10, 10, 10, 60, 60], gamma=0.7),
        "unsorted": plain("MultiStepLR", milestones=[300, 2, 77], gamma=0.3),
        "none": plain("MultiStepLR", milestones=[]),
        "range": plain("MultiStepLR", milestones=range(0, 500, 3), gamma=0.99),
        "up": plain("MultiStepLR", milestones=(1, 2, 3), gamma=2),
        "negative": plain("MultiStepLR", milestones=[-1, 20], gamma=-0.5),
    },
    "ConstantLR": {
        "default": plain("ConstantLR"),
        "fifty": plain("ConstantLR", factor=0.7, total_iters=50),
        "iters-0": plain("ConstantLR", factor=0.5, total_iters=0),
        "iters-1": plain("ConstantLR", factor=0.3, total_iters=1),
        "factor-1": plain("ConstantLR", factor=1.0, total_iters=9),
        "factor-0": plain("ConstantLR", factor=0, total_iters=30),
        "long": plain("ConstantLR", factor=0.1, total_iters=499),
    },
    "LinearLR": {
        "default": plain("LinearLR"),
        "warm": linear,
        "down": plain("LinearLR", start_factor=1.0, end_factor=0.01, total_iters=400),
        "to-0": plain("LinearLR", start_factor=0.5, end_factor=0, total_iters=30),
        "iters-0": plain("LinearLR", start_factor=0.5, total_iters=0),
        "iters-1": plain("LinearLR", start_factor=0.25, end_factor=0.5, total_iters=1),
        "flat": plain("LinearLR", start_factor=0.4, end_factor=0.4, total_iters=17),
        "tiny": plain("LinearLR", start_factor=1e-9, total_iters=100),
    },
    "ExponentialLR": {
        "99": exponential,
        "half": plain("ExponentialLR", gamma=0.5),
        "up": plain("ExponentialLR", gamma=1.01),
        "1": plain("ExponentialLR", gamma=1),
        "0": plain("ExponentialLR", gamma=0.0),
        "negative": plain("ExponentialLR", gamma=-0.999),
    },
    "PolynomialLR": {
        "default": plain("PolynomialLR"),
        "power": polynomial,
        "square": plain("PolynomialLR", total_iters=500, power=2),
        "power-0": plain("PolynomialLR", total_iters=40, power=0),
        "root": plain("PolynomialLR", total_iters=499, power=0.5),
        "iters-0": plain("PolynomialLR", total_iters=0),
        "iters-1": plain("PolynomialLR", total_iters=1, power=3.0),
        "power-negative": plain("PolynomialLR", total_iters=40, power=-1.0),
    },
    "CosineAnnealingLR": {
        "fifty": anneal,
        "all": plain("CosineAnnealingLR", T_max=500),
        "odd": plain("CosineAnnealingLR", T_max=37, eta_min=0.05),
        "one": plain("CosineAnnealingLR", T_max=1, eta_min=0.01),
        "two": plain("CosineAnnealingLR", T_max=2),
        "fraction": plain("CosineAnnealingLR", T_max=7.5, eta_min=1e-3),
        "negative-min": plain("CosineAnnealingLR", T_max=20, eta_min=-0.1),
    },
    "CosineAnnealingWarmRestarts": {
        "10-2": restarts,
        "10": plain("CosineAnnealingWarmRestarts", T_0=10),
        "1": plain("CosineAnnealingWarmRestarts", T_0=1, eta_min=0.01),
        "1-2": plain("CosineAnnealingWarmRestarts", T_0=1, T_mult=2),
        "7-3": plain("CosineAnnealingWarmRestarts", T_0=7, T_mult=3, eta_min=1e-3),
        "all": plain("CosineAnnealingWarmRestarts", T_0=500, eta_min=1),
        "min-int": plain("CosineAnnealingWarmRestarts", T_0=33, T_mult=1, eta_min=2),
    },
    "CyclicLR": {
        "triangular": cyclic,
        "triangular2": plain("CyclicLR", base_lr=0.01, max_lr=0.2, step_size_up=20, mode="triangular2"),
        "exp": plain("CyclicLR", base_lr=0.01, max_lr=0.2, step_size_up=13, mode="exp_range", gamma=0.99),
        "down": plain("CyclicLR", base_lr=0.01, max_lr=0.2, step_size_up=3, step_size_down=31),
        "each": plain(
            "CyclicLR",
            base_lr=Each((0.01, 0.02, 0.03)),
            max_lr=Each((0.1, 0.3, 0.2)),
            step_size_up=11,
            base_momentum=Each((0.5, 0.6, 0.7)),
            max_momentum=Each((0.9, 0.95, 0.8)),
        ),
        "no-momentum": plain("CyclicLR", base_lr=0.01, max_lr=0.2, step_size_up=9, cycle_momentum=False),
        "function": plain(
            "CyclicLR", base_lr=0.01, max_lr=0.2, step_size_up=9, scale_fn=lambda x: 0.5**x, scale_mode="cycle"
        ),
        "object": plain(
            "CyclicLR", base_lr=0.01, max_lr=0.2, step_size_up=9, scale_fn=Warmup(50), scale_mode="iterations"
        ),
        "own-mode": plain("CyclicLR", base_lr=0, max_lr=1, step_size_up=4, mode="any", scale_fn=lambda _: 1),
        "fraction": plain("CyclicLR", base_lr=0.3, max_lr=0.1, step_size_up=2.5, step_size_down=0.5),
        "default": plain("CyclicLR", base_lr=0.001, max_lr=0.01),
    },
    "OneCycleLR": {
        "all": plain("OneCycleLR", max_lr=0.5, total_steps=500),
        "linear": plain("OneCycleLR", max_lr=0.5, total_steps=500, anneal_strategy="linear"),
        "three": plain("OneCycleLR", max_lr=0.5, total_steps=500, three_phase=True),
        "three-linear": plain(
            "OneCycleLR", max_lr=1, total_steps=501, pct_start=0.4, anneal_strategy="linear", three_phase=True
        ),
        "each": plain(
            "OneCycleLR",
            max_lr=Each((0.1, 1.0, 2.0)),
            epochs=5,
            steps_per_epoch=100,
            base_momentum=Each((0.1, 0.2, 0.3)),
            max_momentum=Each((0.9, 0.8, 0.7)),
        ),
        "no-momentum": plain(
            "OneCycleLR", max_lr=0.5, total_steps=500, cycle_momentum=False, div_factor=3, final_div_factor=1
        ),
        "past-the-end": onecycle,
        "pct-0": plain("OneCycleLR", max_lr=0.5, total_steps=500, pct_start=0.0),
        "pct-1": plain("OneCycleLR", max_lr=0.5, total_steps=500, pct_start=1.0),
        "one-step": plain("OneCycleLR", max_lr=0.5, total_steps=1),
    },
    "ReduceLROnPlateau": {
        "default": plain("ReduceLROnPlateau"),
        "max": plain("ReduceLROnPlateau", mode="max", factor=0.5, patience=2),
        "abs": plain("ReduceLROnPlateau", threshold_mode="abs", threshold=0.05, factor=0.7, patience=0),
        "max-abs": plain("ReduceLROnPlateau", mode="max", threshold_mode="abs", threshold=0.3, patience=5, cooldown=3),
        "cooldown": plain("ReduceLROnPlateau", factor=0.9, patience=1, cooldown=10),
        "min": plain("ReduceLROnPlateau", factor=0.3, patience=3, min_lr=Each((0.01, 0.2, 1e-3))),
        "eps": plain("ReduceLROnPlateau", factor=0.5, patience=0, eps=1e-3, min_lr=1e-5),
        "factor-0": plain("ReduceLROnPlateau", factor=0.0, patience=30),
        "negative": plain("ReduceLROnPlateau", factor=-0.5, patience=4, threshold=-0.1, min_lr=-1.0),
    },
    "SequentialLR": {
        "warm-cosine": sequential([20], linear, anneal),
        "three": sequential([10, 40], constant, exponential, step30),
        "one": sequential([], step30),
        "chained-first": sequential([30], chained(linear, exponential), anneal),
        "nested-first": sequential([50], sequential([20], linear, exponential), polynomial),
        "cyclic": sequential([25], lambdas, cyclic),
        "onecycle": sequential([25], multiplicative, onecycle),
        "restarts": sequential([33], restarts, restarts),
        "milestone-0": sequential([0, 12], linear, step30, exponential),
        "same-milestone": sequential([12, 12], linear, step30, exponential),
        "user": sequential([15, 60], plain("Noam", warmup=10), plain("Cosine", cycle=21), anneal),
        "deep": sequential([40], chained(chained(linear, step30), sequential([13], constant, exponential)), restarts),
        "chained-later": sequential([7], linear, chained(exponential, constant)),
        "nested-later": sequential([7], linear, sequential([5], constant, exponential)),
    },
    "ChainedScheduler": {
        "one": chained(step30),
        "two": chained(constant, exponential),
        "three": chained(linear, multistep, multiplicative),
        "of-sequential": chained(sequential([12], linear, exponential), step30),
        "of-chained": chained(chained(constant, exponential), chained(linear)),
        "cyclic": chained(cyclic, exponential),
        "cosine": chained(anneal, polynomial),
        "lambda": chained(lambdas, restarts),
        "deep": chained(sequential([25], chained(linear, sequential([9], constant, exponential)), anneal), multistep),
    },
    "SWALR": {
        "default": plain("SWALR", swa_lr=0.05),
        "linear": plain("SWALR", swa_lr=0.05, anneal_epochs=100, anneal_strategy="linear"),
        "each": plain("SWALR", swa_lr=Each((0.01, 0.02, 0.03)), anneal_epochs=30),
        "0": plain("SWALR", swa_lr=0.05, anneal_epochs=0),
        "1": plain("SWALR", swa_lr=0.05, anneal_epochs=1),
        "all": plain("SWALR", swa_lr=1, anneal_epochs=500),
        "chained": chained(multiplicative, plain("SWALR", swa_lr=0.2, anneal_epochs=40)),
    },
}
CASES = {f"{name}-{label}": case for name, cases in TABLE.items() for label, case in cases.items()}
METRICS = [10 / (1 + 0.02 * i) + 0.5 * math.sin(1.7 * i) for i in range(500)]


def made(case: str, side: Side, optimizer: Any) -> Any:
    """The scheduler of a case. Where one composite begins with another, constructing it steps the one that exists
    already, and warns of that, in torch and here.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
        return CASES[case](side, optimizer)


def class_of(case: str) -> str:
    return case.split("-")[0]


def native(cls: type, theirs: type) -> Callable[[Side], type]:
    return lambda side: optim.from_mlx(cls) if side is OURS else theirs


class Kind(NamedTuple):
    """An optimizer that schedulers are tried with."""

    cls: Callable[[Side], type]
    kwargs: dict[str, Any]


OPTIMIZERS = {
    "SGD": Kind(lambda side: side.optim.SGD, {"momentum": 0.9}),
    "Adam": Kind(lambda side: side.optim.Adam, {}),
    "AdamW": Kind(lambda side: side.optim.AdamW, {"betas": (0.8, 0.99)}),
    "RMSprop": Kind(lambda side: side.optim.RMSprop, {}),
    "Adagrad": Kind(lambda side: side.optim.Adagrad, {}),  # no momentum: what cycles it is refused
    "LBFGS": Kind(lambda side: side.optim.LBFGS, {}),
    "mlx.SGD": Kind(native(mlx.optimizers.SGD, torch.optim.SGD), {"momentum": 0.9}),
    "mlx.AdamW": Kind(native(mlx.optimizers.AdamW, torch.optim.AdamW), {"betas": (0.8, 0.99)}),
}


def optimizer_of(side: Side, kind: str = "SGD", groups: int = 1, lrs: Any = LRS) -> Any:
    """An optimizer with ``groups`` groups and the learning rates ``lrs``."""
    cls, kwargs = OPTIMIZERS[kind].cls(side), OPTIMIZERS[kind].kwargs
    params = [{"params": [side.parameter([float(i + 1)])], "lr": lrs[i]} for i in range(groups)]
    return cls(params, lr=lrs[0], **kwargs)


def train(optimizer: Any) -> None:
    """A step without gradients: nothing moves."""
    if isinstance(optimizer, (torch.optim.LBFGS, torchish_mlx.optim.LBFGS)):
        optimizer.step(lambda: 0.0)
    else:
        optimizer.step()
