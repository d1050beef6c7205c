"""What there is to resume: optimizers, schedulers, and the cases that ``test_exact_resume.py`` makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import mlx.optimizers

import torchish_mlx as torch
from torchish_mlx import optim, optimizers
from torchish_mlx.optim import lr_scheduler, swa_utils

Make = Callable[[list[dict[str, Any]]], Any]


def of(cls: Any, **options: Any) -> Make:
    return lambda groups: cls(groups, **options)


def several(groups: list[dict[str, Any]]) -> Any:
    """MLX's MultiOptimizer: its filters make the groups."""
    params = [item for group in groups for item in group["params"]]
    members = [optimizers.Muon(learning_rate=0.02), optimizers.AdamW(learning_rate=0.01), mlx.optimizers.Lion(1e-2)]
    return optim.MultiOptimizer(params, members, [lambda path, a: path == "first.weight", lambda path, a: a.ndim == 1])


class Users(optim.Optimizer):
    """As people write them for torch: a count that is an int, a list of tensors, options read in Python."""

    def __init__(self, params: Any, lr: float = 0.05) -> None:
        super().__init__(params, {"lr": lr, "weights": (0.5, 0.3)})

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    state["step"] = state.get("step", 0) + 1
                    state["last"] = [p.grad.clone(), *state.get("last", [])][:2]
                    state["total"] = state.get("total", torch.zeros_like(p)) + p.grad
                    for weight, grad in zip(group["weights"], state["last"], strict=False):
                        p.data.add_(grad, alpha=-group["lr"] * weight / state["step"])
                    p.data.add_(state["total"], alpha=-group["lr"] / 10)


#: The fifteen optimizers of torch, in the variants whose states differ.
TORCH: dict[str, Make] = {
    "Adadelta": of(optim.Adadelta, lr=0.5, weight_decay=0.01),
    "Adafactor": of(optim.Adafactor, lr=0.05),
    "Adagrad": of(optim.Adagrad, lr=0.1, lr_decay=0.01, initial_accumulator_value=0.1),
    "Adam": of(optim.Adam, lr=0.01, weight_decay=0.01),
    "Adam-amsgrad": of(optim.Adam, lr=0.01, amsgrad=True),
    "AdamW": of(optim.AdamW, lr=0.01, betas=(0.8, 0.99)),
    "AdamW-amsgrad-maximize": of(optim.AdamW, lr=0.001, amsgrad=True, maximize=True),
    "AdamW-fused": of(optim.AdamW, lr=0.01, fused=True),
    "Adamax": of(optim.Adamax, lr=0.02, weight_decay=0.01),
    "ASGD": of(optim.ASGD, lr=0.05, t0=4, lambd=0.01),
    "LBFGS": of(optim.LBFGS, lr=0.1, max_iter=3, history_size=4),
    "LBFGS-wolfe": of(optim.LBFGS, max_iter=2, history_size=3, line_search_fn="strong_wolfe"),
    "Muon": of(optim.Muon, lr=0.02, momentum=0.9),
    "NAdam": of(optim.NAdam, lr=0.01),
    "NAdam-decoupled": of(optim.NAdam, lr=0.01, weight_decay=0.01, decoupled_weight_decay=True),
    "RAdam": of(optim.RAdam, lr=0.01, betas=(0.9, 0.9)),
    "RAdam-decoupled": of(optim.RAdam, lr=0.01, weight_decay=0.01, decoupled_weight_decay=True),
    "RMSprop": of(optim.RMSprop, lr=0.005),
    "RMSprop-centered": of(optim.RMSprop, lr=0.005, centered=True, momentum=0.5),
    "Rprop": of(optim.Rprop, lr=0.01),
    "SGD": of(optim.SGD, lr=0.05, weight_decay=0.01),
    "SGD-momentum": of(optim.SGD, lr=0.05, momentum=0.9, dampening=0.1),
    "SGD-nesterov": of(optim.SGD, lr=0.05, momentum=0.9, nesterov=True),
    "SparseAdam": of(optim.SparseAdam, lr=0.02),
}
#: MLX's classes with torch's face.
MLX: dict[str, Make] = {
    "Lion": of(optim.Lion, lr=0.01),
    "MultiOptimizer": several,
    **{
        f"mlx.{name}": of(optim.from_mlx(getattr(mlx.optimizers, name)), **options)
        for name, options in {
            "SGD": {"lr": 0.05, "momentum": 0.9},
            "RMSprop": {"lr": 0.005},
            "Adagrad": {"lr": 0.1},
            "AdaDelta": {"lr": 0.5},
            "Adam": {"lr": 0.01, "bias_correction": True},
            "AdamW": {"lr": 0.01},
            "Adamax": {"lr": 0.02},
            "Adafactor": {"lr": 0.05, "relative_step": False},
            "Muon": {"lr": 0.02},
        }.items()
    },
}
OPTIMIZERS = {**TORCH, **MLX, "users": Users}


class Warmup:
    """A callable object, whose attributes a scheduler's state dict keeps."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, epoch: int) -> float:
        return min(1.0, (epoch + 1) / self.length)


class Noam(lr_scheduler.LRScheduler):
    """A scheduler of a user."""

    def get_lr(self) -> list[Any]:
        n = max(self.last_epoch, 1)
        return [lr * min(n**-0.5, n * 7**-1.5) for lr in self.base_lrs]


def sequential(o: Any) -> Any:
    parts = [lr_scheduler.LinearLR(o, 0.1, total_iters=5), lr_scheduler.CosineAnnealingLR(o, 30)]
    return lr_scheduler.SequentialLR(o, [*parts, lr_scheduler.ExponentialLR(o, 0.9)], [7, 12])


def chained(o: Any) -> Any:
    parts = [lr_scheduler.ConstantLR(o, 0.3, 12), lr_scheduler.PolynomialLR(o, 30, 0.9)]
    return lr_scheduler.ChainedScheduler([*parts, lr_scheduler.MultiStepLR(o, [4, 13, 13], 0.5)], o)


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, Warmup(13)),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda n: 0.93 if n % 3 else 1.1),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3, 0.7),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [4, 13, 13, 17], 0.3),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.3, 14),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=17),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.97),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 30, 0.9),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 17, 1e-4),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 1e-3, 0.05, 3, base_momentum=0.7, mode="triangular2"),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.05, total_steps=25, base_momentum=0.7),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, "max", 0.5, patience=1, cooldown=2),
    "SequentialLR": sequential,
    "ChainedScheduler": chained,
    "SWALR": lambda o: swa_utils.SWALR(o, 0.02, anneal_epochs=15),
    "FromSchedule": lambda o: lr_scheduler.FromSchedule(o, optimizers.cosine_decay(0.05, 18)),
    "LRScheduler": Noam,
}
_MOVES_MOMENTUM = ("CyclicLR", "OneCycleLR")
_SIMILAR = ("AdamW-amsgrad-maximize", "NAdam-decoupled", "RAdam-decoupled")  # compiled, kernels cost seconds


class Case(NamedTuple):
    """What is trained, and how.

    ``step``: by ``step()``; ``closure``: by ``step(closure)``; ``update``: by ``update(model, grads)``; ``compiled``:
    by that in a compiled function; ``whole``: with the loss and its gradients in that function too.
    """

    optimizer: str
    how: str
    scheduler: str | None
    scaler: bool = False
    dtype: str = "float32"
    wide: bool = False  # moments in float32 of a model in half precision

    def __repr__(self) -> str:
        more = [word for word, there in (("scaler", self.scaler), ("float32-moments", self.wide)) if there]
        return "-".join([self.optimizer, self.how, self.scheduler or "constant", *more, self.dtype])


def cases() -> list[Case]:
    """Each optimizer by each way to step, with schedulers in turn; each scheduler with AdamW."""
    return list(dict.fromkeys(_cases()))


def _cases() -> Iterator[Case]:
    plain = [name for name in SCHEDULERS if name not in _MOVES_MOMENTUM]
    for i, name in enumerate(OPTIMIZERS):
        scheduler, other = plain[i % len(plain)], plain[(i + 5) % len(plain)]
        if name.startswith("LBFGS"):
            yield Case(name, "closure", scheduler)
            yield Case(name, "closure", None)
            continue
        yield Case(name, "step", scheduler, scaler=name != "SparseAdam")
        yield Case(name, "update", None, dtype="bfloat16")
        if name not in _SIMILAR and (name in TORCH or name in ("Lion", "MultiOptimizer", "mlx.RMSprop")):
            yield Case(name, "compiled", other)
    for name in SCHEDULERS:
        yield Case("AdamW", "step", name, scaler=True)
    for name in _MOVES_MOMENTUM:
        yield Case("SGD-momentum", "update", name, dtype="bfloat16")
        yield Case("mlx.Adam", "step", name)
    yield Case("AdamW", "step", "OneCycleLR", dtype="bfloat16", wide=True)
    yield Case("AdamW", "whole", "OneCycleLR")
