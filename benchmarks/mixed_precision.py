"""What half precision does to a training run on handwritten digits; prints the tables of docs/mixed_precision.md.

    python benchmarks/mixed_precision.py [--epochs 20] [--seeds 3]

A network of 64-128-128-10 with AdamW, in several precisions: the mean cross-entropy over the training set at the end,
computed in float32 from the parameters as they are, and the bytes of parameters and state.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
from digits_task import EPOCH, batches, digits, loss_and_accuracy
from mlx import nn
from mlx.utils import tree_flatten, tree_map

import torchish_mlx
from torchish_mlx import optim

Parameters = Any
RATES = (1e-2, 1e-3, 1e-4)


def network(seed: int) -> nn.Module:
    mx.random.seed(seed)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


def cast(dtype: mx.Dtype) -> Callable[[nn.Module, mx.array, mx.array], mx.array]:
    """A loss that is computed in ``dtype`` on the parameters as they are, its last step in float32."""

    def loss_fn(model: nn.Module, x: mx.array, y: mx.array) -> mx.array:
        kept = model.trainable_parameters()
        model.update(tree_map(lambda p: p.astype(dtype), kept))
        logits = model(x.astype(dtype)).astype(mx.float32)
        model.update(kept)
        return nn.losses.cross_entropy(logits, y, reduction="mean")

    return loss_fn


def train(name: str, lr: float, seed: int, epochs: int, factor: float) -> tuple[float, int, int]:
    """(final loss, bytes of parameters and state, steps left out); ``factor`` multiplies the loss."""
    model = network(seed)
    arithmetic, kept, scaled = {
        "float32": (mx.float32, mx.float32, False),
        "bfloat16 parameters": (mx.bfloat16, mx.bfloat16, False),
        "bfloat16, float32 parameters": (mx.bfloat16, mx.float32, False),
        "float16 parameters": (mx.float16, mx.float16, False),
        "float16, float32 parameters": (mx.float16, mx.float32, False),
        "float16, float32 parameters, GradScaler": (mx.float16, mx.float32, True),
    }[name]
    model.set_dtype(kept)
    optimizer = optim.AdamW(model, lr=lr)
    scaler = torchish_mlx.amp.GradScaler(enabled=scaled)
    loss_fn = cast(arithmetic)
    (images, labels), _ = digits()
    x, y, left_out = mx.array(images), mx.array(labels), 0
    for index in batches(epochs * EPOCH, seed):
        chosen = mx.array(index)
        optimizer.zero_grad()
        torchish_mlx.backward(model, lambda m, a, b: scaler.scale(factor * loss_fn(m, a, b)), x[chosen], y[chosen])
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        left_out += scaler.get_scale() < before
    size = sum(a.nbytes for _, a in tree_flatten([model.parameters(), optimizer.state]))
    final = copy.deepcopy(model)
    final.set_dtype(mx.float32)
    return loss_and_accuracy(np.array(final(x)), labels)[0], size, left_out


NAMES = (
    "float32",
    "bfloat16 parameters",
    "bfloat16, float32 parameters",
    "float16 parameters",
    "float16, float32 parameters",
    "float16, float32 parameters, GradScaler",
)


def table(epochs: int, seeds: int, factor: float, names: tuple[str, ...]) -> None:
    say = sys.stdout.write
    say(f"\nThe loss times {factor:g}. Median final loss of {seeds} seeds, {epochs} epochs.\n\n")
    say("| | " + " | ".join(f"lr {lr:g}" for lr in RATES) + " | bytes |\n")
    say("|---|" + "---|" * (len(RATES) + 1) + "\n")
    for name in names:
        runs = [[train(name, lr, seed, epochs, factor) for seed in range(seeds)] for lr in RATES]
        losses = [f"{np.median([loss for loss, _, _ in each]):.2g}" for each in runs]
        say(f"| {name} | " + " | ".join(losses) + f" | {runs[0][0][1]:,} |\n")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    table(args.epochs, args.seeds, 1.0, NAMES)
    table(args.epochs, args.seeds, 1e-5, (NAMES[0], *NAMES[4:]))


if __name__ == "__main__":
    main()
