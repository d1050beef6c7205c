"""What `make demo` runs last: mlx_digits.py, the same training in MLX's words, and its checkpoint read back.

    python examples/demo.py [options of mlx_digits.py]

Both trainings must give the same weights, bit for bit, and the checkpoint the same accuracy and the same next step.
"""

from __future__ import annotations

import common

import argparse
import math
import sys

import mlx.core as mx
import mlx_digits as digits
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten

import torchish_mlx
from torchish_mlx import checkpoint, optim

WANTED_ACCURACY = 0.97


def train_in_mlxs_words(args: argparse.Namespace) -> digits.Classifier:
    """digits.train with `optimizer.update(model, grads)`."""
    x_train, _, y_train, _ = digits.data()
    model = digits.Classifier(args.seed)
    optimizer, scheduler = digits.optimizer_and_scheduler(model, args, len(x_train))
    for epoch in range(1, args.epochs + 1):
        for batch in common.batches(len(x_train), args.batch_size, args.seed, epoch):
            x, y = x_train[mx.array(batch)], y_train[mx.array(batch)]
            _, grads = nn.value_and_grad(model, digits.loss_fn)(model, x, y)
            optimizer.update(model, grads)
            scheduler.step()
            mx.eval(model.parameters(), optimizer.state)
    return model


def largest_difference(one: nn.Module, other: nn.Module) -> float:
    """The largest absolute difference of any weight; 0.0 exactly where all are equal bit for bit."""
    others = dict(tree_flatten(other.parameters()))
    pairs = [(np.array(a), np.array(others[name])) for name, a in tree_flatten(one.parameters())]
    if all(a.tobytes() == b.tobytes() for a, b in pairs):
        return 0.0
    return max(float(np.abs(a - b).max()) for a, b in pairs) or math.ulp(0.0)


def check_checkpoint(args: argparse.Namespace, model: digits.Classifier, optimizer: optim.Optimizer) -> None:
    """Read mlx_digits.pt into a model of other weights; training must go on the same."""
    x_train, x_test, y_train, y_test = digits.data()
    again = digits.Classifier(args.seed + 1)
    resumed, _ = digits.optimizer_and_scheduler(again, args, len(x_train))
    checkpoint.resume(args.out / "mlx_digits.pt", model=again, optimizer=resumed)
    before, after = digits.accuracy(model, x_test, y_test), digits.accuracy(again, x_test, y_test)
    if before != after:
        sys.exit(f"The checkpoint gives a test accuracy of {after:.4f} instead of {before:.4f}.")
    for net, its in ((model, optimizer), (again, resumed)):
        its.zero_grad()
        torchish_mlx.backward(net, digits.loss_fn, x_train[: args.batch_size], y_train[: args.batch_size])
        its.step()
    if largest_difference(model, again) != 0:
        sys.exit("The next step from the checkpoint differs from the next step without it.")


def main() -> int:
    args = digits.options()
    print("zero_grad(), backward(), step():")
    model, optimizer = digits.train(args)
    _, x_test, _, y_test = digits.data()
    reached = digits.accuracy(model, x_test, y_test)

    print("\nThe same training through optimizer.update(model, grads):")
    difference = largest_difference(model, train_in_mlxs_words(args))
    print("the same weights, bit for bit" if difference == 0 else f"weights differ by up to {difference:.2g}")
    check_checkpoint(args, model, optimizer)
    print("the checkpoint read back: same test accuracy, same next step")

    wish = "" if reached >= WANTED_ACCURACY else f" (with the default settings it is at least {WANTED_ACCURACY})"
    print(f"\ntest accuracy {reached:.4f}{wish}")
    return 1 if difference > 1e-6 else 0


if __name__ == "__main__":
    sys.exit(main())
