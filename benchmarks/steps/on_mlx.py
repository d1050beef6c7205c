"""The contestants on MLX: this package's paths and ``mlx.optimizers``."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.optimizers
from mlx.utils import tree_unflatten

import torchish_mlx
from torchish_mlx import optim

from .rounds import Contestant
from .sets import Case, module

OURS, FUSED, LOOP = "ours step()", "ours step(), fused=True", "ours step(), foreach=False"
IN_COMPILE, EAGER, COMPILED = "ours update() in mx.compile", "mlx eager", "mlx in mx.compile"
PATHS = (OURS, FUSED, LOOP, IN_COMPILE, EAGER, COMPILED)
OPTIONS: dict[str, dict[str, Any]] = {OURS: {}, FUSED: {"fused": True}, LOOP: {"foreach": False}}

_adam: dict[str, Any] = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
_lion: dict[str, Any] = {"betas": (0.9, 0.99), "weight_decay": 0.0}
_muon: dict[str, Any] = {"momentum": 0.95, "weight_decay": 0.1, "nesterov": True, "ns_steps": 5}
#: name -> (this package's class, MLX's class, lr, the options of both, those of MLX alone). What is not named here is
#: each library's default: MLX's AdamW leaves out the bias correction, which this package and torch always make.
OPTIMIZERS: dict[str, tuple[Any, Any, float, dict[str, Any], dict[str, Any]]] = {
    "sgd": (optim.SGD, mlx.optimizers.SGD, 1e-3, {"momentum": 0.9}, {}),
    "adamw": (optim.AdamW, mlx.optimizers.AdamW, 1e-3, _adam, {}),
    "lion": (optim.Lion, mlx.optimizers.Lion, 1e-4, _lion, {}),
    "adafactor": (optim.Adafactor, mlx.optimizers.Adafactor, 1e-2, {}, {"relative_step": False}),
    "muon": (optim.Muon, mlx.optimizers.Muon, 1e-3, _muon, {}),
}


def on_gpu() -> bool:
    """Whether MLX computes on a GPU."""
    return mx.default_device().type == mx.DeviceType.gpu


def wait(*trees: Any) -> None:
    """Evaluate, and on a GPU wait for its end."""
    mx.eval(*trees)
    if on_gpu():
        mx.synchronize()


class OnMLX(Contestant):
    """A model, an optimizer and gradients; ``base`` are gradients that the contestants of a case share."""

    optimizer: Any

    def __init__(self, case: Case, base: dict[str, mx.array] | None = None) -> None:
        self.case, self.base = case, base
        self.model = module(case.arrays(1, 0.02))
        self.grads: Any = None

    def fresh(self, turn: int) -> dict[str, mx.array]:
        """name -> gradient; new arrays in each turn."""
        if self.base is None:
            return self.case.arrays(2 + turn, 0.01)
        made = {name: g * (1 + 0.001 * (turn % 100)) for name, g in self.base.items()}
        wait(made)
        return made

    def give(self, turn: int) -> None:
        self.grads = tree_unflatten(list(self.fresh(turn).items()))

    def end(self) -> None:
        wait(self.model.state, self.optimizer.state)

    def drop(self) -> None:
        self.grads = None


class Ours(OnMLX):
    """torch's words: ``step()`` on ``.grad``; the parameters dealt out to ``groups`` groups."""

    def __init__(self, case: Case, base: Any = None, groups: int = 1, **options: Any) -> None:
        super().__init__(case, base)
        make, _, lr, both, _ = OPTIMIZERS[case.optimizer]
        self.named = dict(torchish_mlx.named_parameters(self.model))
        held = list(self.named.values())
        split: Any = [{"params": held[i::groups]} for i in range(groups)] if groups > 1 else self.model
        self.optimizer = make(split, lr=lr, **{**both, **options})

    def give(self, turn: int) -> None:
        for name, g in self.fresh(turn).items():
            self.named[name].grad = g

    def call(self) -> None:
        self.optimizer.step()

    def drop(self) -> None:
        self.optimizer.zero_grad()


class Updated(OnMLX):
    """MLX's words, ``update(model, gradients)``; compiled as MLX documents it, with the state captured."""

    def __init__(self, case: Case, base: Any, ours: bool, compiled: bool) -> None:
        super().__init__(case, base)
        make, native, lr, both, only = OPTIMIZERS[case.optimizer]
        self.optimizer = make(self.model, lr=lr, **both) if ours else native(learning_rate=lr, **both, **only)
        self.optimizer.init(self.model.trainable_parameters())
        wait(self.optimizer.state)
        state = [self.model.state, self.optimizer.state]
        update = self.updated
        self.update = partial(mx.compile, inputs=state, outputs=state)(update) if compiled else update

    def updated(self, grads: Any) -> None:
        self.optimizer.update(self.model, grads)

    def call(self) -> None:
        self.update(self.grads)


def make(path: str, case: Case, base: dict[str, mx.array] | None = None) -> OnMLX | None:
    """The contestant of that name, or None where the class has no such option."""
    if path not in OPTIONS:
        return Updated(case, base, ours=path == IN_COMPILE, compiled=path != EAGER)
    options = OPTIONS[path]
    known = inspect.signature(OPTIMIZERS[case.optimizer][0]).parameters
    return Ours(case, base, **options) if options.keys() <= known.keys() else None
