"""A training run of a case of ``tests/resume_cases.py``, and all that it holds, bit for bit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_map

import torchish_mlx as torch
from tests.cases import tree_map_with_key
from tests.resume_cases import OPTIMIZERS, SCHEDULERS, Case
from torchish_mlx import amp, optimizers
from torchish_mlx.optim import lr_scheduler, swa_utils

HALF, END = 10, 20  # a run is saved after the first, and ends with the second
CHANGED = 5  # the step before which weight decay, or a rate that no scheduler moves, is written by hand
UNFROZEN = 13  # the step before which the frozen weight becomes trainable, and begins a count of its own
NO_GRADIENT = {0, 4, 12, 15}  # steps in which "last.weight" has none, so that it has a count of its own
INFINITE = {6, 14}  # steps whose gradients are infinite, where there is a scaler


#: Entries that stand once for a group, or with a parameter that has another count: ``state_dict()`` says which it has.
CLOCK = {"step", "mu_product", "eta", "mu", "_structure"}


class Net(nn.Module):
    """Buffers (BatchNorm), random numbers (dropout), a frozen weight; matrices only, as Muon needs, or biases too."""

    def __init__(self, seed: int, bias: bool) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4, bias=bias)
        self.norm = nn.BatchNorm(4, affine=False)
        self.dropout = nn.Dropout(0.25)
        self.middle = nn.Linear(4, 4, bias=False)
        self.last = nn.Linear(4, 3, bias=bias)
        self.update(tree_map_with_key(lambda key, p: mx.random.normal(p.shape, key=key), self.parameters(), seed))
        self.norm.running_var = mx.ones(4)
        self.middle.freeze()

    def __call__(self, x: mx.array) -> mx.array:
        return self.last(self.middle(self.dropout(nn.relu(self.norm(self.first(x))))))


def loss_of(model: nn.Module, x: mx.array) -> mx.array:
    return mx.mean((model(x) - x[:, ::-1]) ** 2)


def batch(i: int, dtype: mx.Dtype) -> mx.array:
    return mx.random.normal((8, 3), key=mx.random.key(100 + i)).astype(dtype)


class Run:
    """A case, built as a script builds it; ``seed`` is of the first weights, which a file replaces."""

    def __init__(self, case: Case, seed: int) -> None:
        mx.random.seed(seed)
        self.case, self.dtype, self.done = case, getattr(mx, case.dtype), 0
        self.model = Net(seed, bias=not case.optimizer.endswith("Muon"))
        self.model.set_dtype(self.dtype)
        self.optimizer = OPTIMIZERS[case.optimizer](self._groups())
        if case.wide:
            self.optimizer.init(self.model)
            for entries in self.optimizer.state_tree().slots.values():
                entries.update({name: a.astype(mx.float32) for name, a in entries.items()})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")  # a composite's parts are stepped
            self.scheduler = SCHEDULERS[case.scheduler](self.optimizer) if case.scheduler else None
        self.scaler = amp.GradScaler(init_scale=256.0, growth_interval=3) if case.scaler else None
        average = {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.9)} if case.scheduler else {}
        self.ema = swa_utils.AveragedModel(self.model, use_buffers=bool(case.scheduler), **average)
        self.state = [self.model.state, self.optimizer.state, mx.random.state]
        self.whole = mx.compile(self._train, inputs=self.state, outputs=self.state)
        self.compiled = mx.compile(self._take, inputs=self.state, outputs=self.state)
        self.seen: list[Any] = []  # losses and rates of each step

    def _groups(self) -> list[dict[str, Any]]:
        named = list(torch.named_parameters(self.model))
        if self.case.optimizer.startswith("LBFGS"):
            return [{"params": named}]
        first = [item for item in named if item[0].startswith("first")]
        lr = {"lr": 0.03}
        return [{"params": first}, {"params": [item for item in named if item not in first], **lr}]

    # A step

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self._before()
            loss = {"step": self._step, "closure": self._closure}.get(self.case.how, self._update)()
            rates = [dict(group) for group in self.optimizer.param_groups]
            self.seen.append([loss, [{k: v for k, v in group.items() if k != "params"} for group in rates]])
            self.ema.update_parameters(self.model)
            if self.scheduler is not None:
                plateau = isinstance(self.scheduler, lr_scheduler.ReduceLROnPlateau)
                self.scheduler.step(*([(self.done * 7 % 5) / 4] if plateau else []))
            self.done += 1
            mx.eval(self.model.state, self.optimizer.state, self.ema.state)

    def _before(self) -> None:
        if self.done == UNFROZEN:
            self.model.middle.unfreeze()
        if self.done == CHANGED:
            group = self.optimizer.param_groups[-1]
            if "weight_decay" in self.optimizer.state["_groups"][-1]:  # MLX's recipe saves numbers, and no choices
                group["weight_decay"] = 0.1 / 3
            if self.scheduler is None:
                group["lr"] *= 0.7

    def _batch(self) -> mx.array:
        return batch(self.done, self.dtype)

    def _step(self) -> Any:
        self.optimizer.zero_grad()
        x = self._batch()
        if self.scaler is None:
            loss = torch.backward(self.model, loss_of, x)
        else:
            factor = mx.inf if self.done in INFINITE else 1.0
            loss = torch.backward(self.model, lambda model, x: self.scaler.scale(loss_of(model, x) * factor), x)
        if self.done in NO_GRADIENT:
            torch.locate(self.model, "last.weight").grad = None
        if self.case.optimizer == "SparseAdam":
            for p in torch.parameters(self.model):
                p.grad = None if p.grad is None else rows(p.grad.array)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss

    def _update(self) -> Any:
        x = self._batch()
        if self.case.how == "whole":
            return self.whole(x, self.done in NO_GRADIENT, self.done >= UNFROZEN)
        loss, grads = self._gradients(x, self.done in NO_GRADIENT)
        (self.compiled if self.case.how == "compiled" else self._take)(grads)
        return loss

    def _gradients(self, x: mx.array, without: bool) -> Any:
        loss, grads = nn.value_and_grad(self.model, loss_of)(self.model, x)
        if without:
            del grads["last"]["weight"]
        return loss, grads

    def _take(self, grads: Any) -> None:
        self.optimizer.update(self.model, tree_map(rows, grads) if self.case.optimizer == "SparseAdam" else grads)

    def _train(self, x: mx.array, without: bool, unfrozen: bool) -> Any:
        loss, grads = self._gradients(x, without)
        self._take(grads)
        return loss

    def _closure(self) -> Any:
        x = self._batch()

        def closure() -> Any:
            self.optimizer.zero_grad()
            return torch.backward(self.model, loss_of, x)

        return self.optimizer.step(closure)

    # What it holds

    def record(self) -> dict[str, str]:
        """Everything, bit for bit."""
        held = {
            "model": dict(tree_flatten(self.model.parameters())),
            "ema": dict(tree_flatten(self.ema.parameters())),
            "state": {k: v for k, v in tree_flatten(self.optimizer.state) if k.split(".")[-1] not in CLOCK},
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler and self.scheduler.state_dict(),
            "scaler": self.scaler and self.scaler.state_dict(),
            "random": [random_key()],
            "seen": self.seen,
        }
        return dict(written(held, ""))


def rows(g: mx.array) -> Any:
    """A gradient as SparseAdam takes it: of some rows, one of which comes twice."""
    last = g.shape[0] - 1
    indices = mx.array([last, 0, last])
    return optimizers.RowSparse(indices, g[indices], g.shape)


def random_key() -> mx.array:
    return next(iter(mx.random.state))


def set_random_key(key: mx.array) -> None:
    high, low = np.array(key).tolist()
    mx.random.seed(high << 32 | low)


def written(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, text) of everything in a tree: types, and the bits of numbers."""
    if isinstance(value, dict):
        yield path, f"dict of {sorted(map(repr, value))}"
        for key, child in value.items():
            yield from written(child, f"{path}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        yield path, f"{type(value).__name__} of {len(value)}"
        for i, child in enumerate(value):
            yield from written(child, f"{path}[{i}]")
    elif isinstance(value, (mx.array, torch.Tensor)):
        array = value.array if isinstance(value, torch.Tensor) else value
        bits = array.view(mx.uint16) if array.dtype == mx.bfloat16 else array
        yield path, f"{array.dtype} {array.shape} {np.array(bits).tobytes().hex()}"
    else:
        yield path, f"{type(value).__name__} {value.hex() if isinstance(value, float) else repr(value)}"
