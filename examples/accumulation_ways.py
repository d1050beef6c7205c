"""Four ways to train with a batch in k pieces: the weights of the whole batch, in the memory of a piece.

    python examples/accumulation_ways.py [--epochs 40] [--batch-size 512] [--micro-batches 16] [--lr 0.1] [--seed 0]

The same training runs four times, from the same weights and on the same batches: with whole batches; with k calls of
`backward()` before each `step()`; and in MLX's own words, adding trees of gradients, plain and under `mx.compile`.
All must give the same weights, to rounding. Prints the test accuracy and the peak memory of each.
"""

from __future__ import annotations

import common

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_map
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import torchish_mlx
from torchish_mlx import optim

Step = Callable[[mx.array, mx.array], Any]
ROUNDING = 1e-4  # of the largest weight, after training; measured: 8e-7


class Classifier(nn.Module):
    """Three linear layers: 64 grey values -> 10 logits."""

    def __init__(self, seed: int, width: int = 256) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 10)
        for name, p in torchish_mlx.named_parameters(self):
            p.data = mx.array(common.initial(name, p.shape, seed))

    def __call__(self, x: mx.array) -> mx.array:
        return self.last(mx.tanh(self.second(mx.tanh(self.first(x)))))


def loss_fn(model: nn.Module, x: mx.array, y: mx.array) -> mx.array:
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def accuracy(model: nn.Module, x: mx.array, y: mx.array) -> float:
    return (model(x).argmax(1) == y).mean().item()


def data() -> list[mx.array]:
    """Images (n, 64) in [0, 1] to train and to test on, and their labels (n,)."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    parts = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    return [mx.array(part) for part in parts]


def share_of_loss(model: nn.Module, x: mx.array, y: mx.array, share: mx.array | float) -> mx.array:
    """What a piece adds to the mean over its batch; with k equal pieces, share is 1/k."""
    return loss_fn(model, x, y) * share


def pieces(x: mx.array, y: mx.array, k: int) -> Iterator[tuple[mx.array, mx.array, float]]:
    """A batch in ``k`` pieces, of equal size where that is possible: (images, labels, share of the batch)."""
    for part in np.array_split(np.arange(len(x)), min(k, len(x))):
        yield x[mx.array(part)], y[mx.array(part)], len(part) / len(x)


# Four ways to make one step ----------------------------------------------------------------------------------------


def whole_batches(model: nn.Module, optimizer: optim.Optimizer, k: int) -> Step:  # noqa: ARG001 - has no pieces
    """One `backward()` of the whole batch."""

    def step(x: mx.array, y: mx.array) -> None:
        optimizer.zero_grad()
        torchish_mlx.backward(model, loss_fn, x, y)
        optimizer.step()

    return step


def pieces_in_torchs_words(model: nn.Module, optimizer: optim.Optimizer, k: int) -> Step:
    """`backward()` adds into `.grad`, and evaluates the sum so far; nothing else is needed."""

    def step(x: mx.array, y: mx.array) -> None:
        optimizer.zero_grad()
        for piece in pieces(x, y, k):
            torchish_mlx.backward(model, share_of_loss, *piece)
        optimizer.step()

    return step


def pieces_in_mlxs_words(model: nn.Module, optimizer: optim.Optimizer, k: int) -> Step:
    """Trees of gradients, which only `mx.eval` keeps from piling up. `optimizer` may be one of `mlx.optimizers`."""
    value_and_grad = nn.value_and_grad(model, share_of_loss)

    def step(x: mx.array, y: mx.array) -> None:
        total: Any = None
        for piece in pieces(x, y, k):
            _, gradients = value_and_grad(model, *piece)
            total = gradients if total is None else tree_map(mx.add, total, gradients)
            mx.eval(total)
        optimizer.update(model, total)
        mx.eval(model.parameters(), optimizer.state)

    return step


def pieces_compiled(model: nn.Module, optimizer: optim.Optimizer, k: int) -> Step:
    """The same with a compiled piece: it takes the sum so far, and gives the next."""
    value_and_grad = nn.value_and_grad(model, share_of_loss)

    @partial(mx.compile, inputs=[model.state], outputs=[model.state])
    def add(total: Any, x: mx.array, y: mx.array, share: mx.array) -> Any:
        return tree_map(mx.add, total, value_and_grad(model, x, y, share)[1])

    def step(x: mx.array, y: mx.array) -> None:
        total = tree_map(mx.zeros_like, model.trainable_parameters())
        for images, labels, share in pieces(x, y, k):
            total = add(total, images, labels, mx.array(share))
            mx.eval(total)
        optimizer.update(model, total)
        mx.eval(model.parameters(), optimizer.state)

    return step


WAYS = {
    "the whole batch": whole_batches,
    "backward() k times": pieces_in_torchs_words,
    "trees, tree_map(add)": pieces_in_mlxs_words,
    "trees, under mx.compile": pieces_compiled,
}


# Training ----------------------------------------------------------------------------------------------------------


@dataclass
class Result:
    model: nn.Module
    accuracy: float
    peak: int  # bytes above what was in memory before the first step
    seconds: float


def train(way: str, args: argparse.Namespace) -> Result:
    x_train, x_test, y_train, y_test = data()
    model = Classifier(args.seed)
    optimizer = optim.SGD(model, lr=args.lr, momentum=0.9)
    optimizer.init(model)
    mx.eval(model.parameters(), optimizer.state, x_train, y_train)
    step = WAYS[way](model, optimizer, args.micro_batches)
    steps = args.epochs * math.ceil(len(x_train) / args.batch_size)
    mx.synchronize()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    began = time.perf_counter()
    with tqdm(total=steps, desc=way, leave=False, disable=not sys.stderr.isatty()) as bar:
        for epoch in range(1, args.epochs + 1):
            for batch in common.batches(len(x_train), args.batch_size, args.seed, epoch):
                step(x_train[mx.array(batch)], y_train[mx.array(batch)])
                bar.update()
    mx.synchronize()
    seconds, peak = time.perf_counter() - began, mx.get_peak_memory() - before
    return Result(model, accuracy(model, x_test, y_test), peak, seconds)


def difference(one: nn.Module, other: nn.Module) -> float:
    """The largest difference of any weight, relative to the largest of its array."""
    others = dict(tree_flatten(other.parameters()))
    pairs = [(array, others[path]) for path, array in tree_flatten(one.parameters())]
    return max((mx.abs(a - b).max() / mx.abs(b).max()).item() for a, b in pairs)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Accumulate gradients over micro-batches, in PyTorch's words and in MLX's.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--epochs", type=common.count, default=40, help="passes over the training images")
    parser.add_argument("--batch-size", type=common.count, default=512, help="images per step")
    parser.add_argument("--micro-batches", type=common.count, default=16, help="pieces of a batch, k")
    parser.add_argument("--lr", type=common.positive, default=0.1, help="the learning rate")
    parser.add_argument("--seed", type=common.seed, default=0, help="for the weights and the order of the batches")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    weights = sum(a.nbytes for _, a in tree_flatten(Classifier(args.seed).parameters()))
    print(f"batches of {args.batch_size} in {args.micro_batches} pieces")
    print(f"the weights take {weights / 2**20:.2f} MiB, and one copy of the gradients the same\n")
    print(f"{'':24}  test accuracy  peak memory      time  weights differ by")
    first: Result | None = None
    worst = 0.0
    for way in WAYS:
        result = train(way, args)
        first = first or result
        apart = difference(result.model, first.model)
        worst = max(worst, apart)
        print(
            f"{way:24}  {result.accuracy:13.4f}  {result.peak / 2**20:7.2f} MiB  {result.seconds:6.1f} s  {apart:17.1g}"
        )
    print(f"\nlargest difference {worst:.1g}, relative to the largest weight: rounding is below {ROUNDING:.0e}")
    return 0 if worst <= ROUNDING else 1


if __name__ == "__main__":
    sys.exit(main())
