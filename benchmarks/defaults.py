"""What the default settings of ``torch.optim`` and ``mlx.optimizers`` do to a training run.

    python benchmarks/defaults.py [--epochs 10] [--seeds 3] [--quick]

A network of two layers learns handwritten digits. torch trains it with each of torch's classes at its defaults, MLX
with its own class of that name at its defaults, and MLX with the class of ``torchish_mlx.optim``; from equal weights,
on equal batches, at equal learning rates (torch's defaults, because most of MLX's classes have none). Where MLX's class
can be given torch's settings, that is run too: what is left then does not come from settings.

Prints the table of docs/differences.md: training loss and test accuracy at the end, means over the seeds. *Apart* is
the distance between MLX's parameters and torch's after one epoch, as a share of the way that torch's went.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import torch
from digits_task import EPOCH, Data, batches, digits, loss_and_accuracy
from mlx.utils import tree_flatten, tree_unflatten

import torchish_mlx
from torchish_mlx import optim

Weights = Mapping[str, np.ndarray]
NAMES = {"layers.0.weight": (64, 64), "layers.0.bias": (64,), "layers.2.weight": (10, 64), "layers.2.bias": (10,)}


@dataclass(frozen=True)
class Case:
    """One optimizer: what torch is given, what MLX is given, and what makes the two equal."""

    name: str
    lr: float | None  # for MLX; None: its own
    torch: Mapping[str, Any] = field(default_factory=dict)
    mlx: Mapping[str, Any] = field(default_factory=dict)
    equal_mlx: Mapping[str, Any] | None = None  # added on MLX's side ...
    equal_torch: Mapping[str, Any] = field(default_factory=dict)  # ... and on torch's
    mlx_name: str = ""
    matrices: bool = False  # train the matrices only

    @property
    def title(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in self.torch.items())
        return f"{self.name}({given})" if given else self.name


CASES = (
    Case("SGD", 1e-3, equal_mlx={}),
    Case("SGD", 1e-3, {"momentum": 0.9}, {"momentum": 0.9}, equal_mlx={}),
    Case("SGD", 1e-3, {"momentum": 0.9, "dampening": 0.5}, {"momentum": 0.9, "dampening": 0.5}),
    Case("Adam", 1e-3, equal_mlx={"bias_correction": True}),
    Case("AdamW", 1e-3, equal_mlx={"bias_correction": True}),
    Case("Adamax", 2e-3),
    Case("RMSprop", 1e-2, equal_mlx={}),
    Case("Adagrad", 1e-2, equal_mlx={"eps": 1e-10}),
    Case("Adadelta", 1.0, mlx_name="AdaDelta", equal_mlx={}),
    Case("Adafactor", None, equal_mlx={}, equal_torch={"eps": (1e-15, 1e-3)}),
    Case("Muon", 1e-3, equal_mlx={"weight_decay": 0.0}, equal_torch={"weight_decay": 0.0}, matrices=True),
)


def initial_weights(seed: int) -> Weights:
    """torch's nn.Linear, by its own generator."""
    torch.manual_seed(seed)
    layers = torch.nn.Linear(64, 64), torch.nn.Linear(64, 10)
    values = [p.detach().numpy().copy() for layer in layers for p in (layer.weight, layer.bias)]
    return dict(zip(NAMES, values, strict=True))


def trained(case: Case) -> list[str]:
    return [name for name, shape in NAMES.items() if len(shape) == 2 or not case.matrices]


def on_torch(case: Case, more: Mapping[str, Any], start: Weights, data: Data, steps: int, seed: int) -> Weights:
    """The weights after ``steps`` by torch itself."""
    p = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    optimizer = getattr(torch.optim, case.name)([p[name] for name in trained(case)], **{**case.torch, **more})
    x, y = map(torch.from_numpy, data)
    for batch in batches(steps, seed):
        optimizer.zero_grad()
        hidden = (x[batch] @ p["layers.0.weight"].T + p["layers.0.bias"]).relu()
        logits = hidden @ p["layers.2.weight"].T + p["layers.2.bias"]
        torch.nn.functional.cross_entropy(logits, y[batch]).backward()
        optimizer.step()
    return {name: value.detach().numpy() for name, value in p.items()}


def loss_fn(model: nn.Module, x: mx.array, y: mx.array) -> mx.array:
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def on_mlx(make: Callable[[nn.Module], Any], case: Case, start: Weights, data: Data, steps: int, seed: int) -> Weights:
    """The weights after ``steps`` on MLX by the optimizer that ``make`` makes."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    model.update(tree_unflatten([(name, mx.array(value)) for name, value in start.items()]))
    if case.matrices:
        model.apply_to_modules(lambda _, module: module.freeze(keys=["bias"], recurse=False, strict=False))
    optimizer = make(model)
    value_and_grad = nn.value_and_grad(model, loss_fn)
    x, y = map(mx.array, data)
    for batch in batches(steps, seed):
        chosen = mx.array(batch)
        optimizer.update(model, value_and_grad(model, x[chosen], y[chosen])[1])
        mx.eval(model.parameters(), optimizer.state)
    return {name: np.array(value) for name, value in tree_flatten(model.parameters())}


def native(case: Case, more: Mapping[str, Any], _: nn.Module) -> mlx.optimizers.Optimizer:
    rate = {} if case.lr is None else {"learning_rate": case.lr}
    return getattr(mlx.optimizers, case.mlx_name or case.name)(**rate, **{**case.mlx, **more})


def ours(case: Case, model: nn.Module) -> optim.Optimizer:
    named = dict(torchish_mlx.named_parameters(model))
    return getattr(optim, case.name)([named[name] for name in trained(case)], **case.torch)


def apart(one: Weights, other: Weights, start: Weights) -> float:
    """The distance from ``one`` to ``other`` as a share of the way from the start to ``one``."""

    def flat(weights: Weights) -> np.ndarray:
        return np.concatenate([weights[name].ravel().astype(np.float64) for name in NAMES])

    return float(np.linalg.norm(flat(other) - flat(one)) / np.linalg.norm(flat(one) - flat(start)))


def ends(weights: Weights, train: Data, test: Data) -> tuple[float, float]:
    """Training loss and test accuracy."""

    def logits(x: np.ndarray) -> np.ndarray:
        hidden = np.maximum(x @ weights["layers.0.weight"].T + weights["layers.0.bias"], 0)
        return hidden @ weights["layers.2.weight"].T + weights["layers.2.bias"]

    return loss_and_accuracy(logits(train[0]), train[1])[0], loss_and_accuracy(logits(test[0]), test[1])[1]


def measured(case: Case, first: int, last: int, seeds: int) -> list[str]:
    """One row of the table."""
    train, test = digits()
    found: dict[str, list[float]] = {}

    def note(key: str, value: float) -> None:
        found.setdefault(key, []).append(value)

    for seed in range(seeds):
        start = initial_weights(seed)
        by_torch = partial(on_torch, case, start=start, data=train, seed=seed)
        by_mlx = partial(on_mlx, case=case, start=start, data=train, seed=seed)
        for steps, is_end in ((first, False), (last, True)):
            a = by_torch({}, steps=steps)
            b = by_mlx(partial(native, case, {}), steps=steps)
            if is_end:
                for side, weights in (("torch", a), ("mlx", b)):
                    loss, accuracy = ends(weights, train, test)
                    note(f"{side} loss", loss)
                    note(f"{side} accuracy", accuracy)
                continue
            note("apart", apart(a, b, start))
            note("ours", apart(a, by_mlx(partial(ours, case), steps=steps), start))
            if case.equal_mlx is not None:
                c = by_torch(case.equal_torch, steps=steps)
                note("equal", apart(c, by_mlx(partial(native, case, case.equal_mlx), steps=steps), start))
    mean = {key: float(np.mean(values)) for key, values in found.items()}
    return [
        case.title,
        f"{mean['torch loss']:.3f} / {100 * mean['torch accuracy']:.1f} %",
        f"{mean['mlx loss']:.3f} / {100 * mean['mlx accuracy']:.1f} %",
        f"{mean['apart']:.2g}",
        f"{mean['equal']:.2g}" if "equal" in mean else "no setting",
        f"{mean['ours']:.2g}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10, help="passes over the 1,437 images, of 45 steps each")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each, whose means are printed")
    parser.add_argument("--quick", action="store_true", help="5 steps, and one seed")
    args = parser.parse_args()
    first = 5 if args.quick else EPOCH
    last, seeds = (first, 1) if args.quick else (EPOCH * args.epochs, args.seeds)
    heads = ["", "torch's defaults", "MLX's defaults", f"apart after {first} steps", "equal settings", "torchish_mlx"]
    sys.stdout.write("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|\n")
    for case in CASES:
        sys.stdout.write("| " + " | ".join(measured(case, first, last, seeds)) + " |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
