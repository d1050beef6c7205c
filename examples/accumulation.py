"""Gradient accumulation: batches of 256 handwritten digits in 8 pieces, one step for each. Under mx.compile.

    python examples/accumulation.py [--epochs 40] [--micro-batch 32] [--pieces 8] [--lr 0.2] [--out out] [--quick]

Writes OUT/accumulation.json, its curves, and OUT/accumulation.png, with accumulation_torch.py's curves over them.
"""

from __future__ import annotations

import common

from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_map
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import torchish_mlx
from torchish_mlx import optim
from torchish_mlx.optim.lr_scheduler import CosineAnnealingLR


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


def loss_fn(model: Classifier, x: mx.array, y: mx.array) -> mx.array:
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def accuracy(model: Classifier, x: mx.array, y: mx.array) -> float:
    return (model(x).argmax(1) == y).mean().item()


def data() -> list[mx.array]:
    """Images (n, 64) in [0, 1] to train and to test on, and their labels (n,)."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    parts = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    return [mx.array(part) for part in parts]


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--epochs", type=common.count, default=40, help="passes over the training images")
    parser.add_argument("--micro-batch", type=common.count, default=32, help="images per piece")
    parser.add_argument("--pieces", type=common.count, default=8, help="pieces per step")
    parser.add_argument("--lr", type=common.positive, default=0.2, help="the highest learning rate")
    args = common.parse(parser, quick={"epochs": 5})
    x_train, x_test, y_train, y_test = data()
    steps = len(x_train) // args.micro_batch // args.pieces  # of an epoch; what is left over is left out
    if steps == 0:
        parser.error(f"--micro-batch times --pieces must be {len(x_train)}, the number of images, or less")
    print(f"{len(x_train)} images, {steps} steps an epoch, each of {args.pieces} pieces of {args.micro_batch} images")

    model = Classifier(args.seed)
    optimizer = optim.SGD(model, lr=args.lr, momentum=0.9, nesterov=True)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs * steps)

    @partial(mx.compile, inputs=[model.state], outputs=[model.state])
    def add(total: Any, x: mx.array, y: mx.array) -> tuple[mx.array, Any]:
        loss, grads = nn.value_and_grad(model, loss_fn)(model, x, y)
        return loss / args.pieces, tree_map(lambda t, g: t + g / args.pieces, total, grads)

    @partial(mx.compile, inputs=[model.state, optimizer.state], outputs=[model.state, optimizer.state])
    def update(grads: Any) -> None:
        optimizer.update(model, grads)

    log = common.Log(__file__, args)
    for epoch in log.steps(args.epochs, "epoch"):
        total = 0.0
        pieces = common.batches(len(x_train), args.micro_batch, args.seed, epoch)
        for _ in range(steps):
            grads = tree_map(mx.zeros_like, model.trainable_parameters())
            for _ in range(args.pieces):
                piece = mx.array(next(pieces))
                loss, grads = add(grads, x_train[piece], y_train[piece])
                mx.eval(loss, grads)  # or the activations of all pieces would be in memory at once
                total += loss.item() / steps
            update(grads)
            scheduler.step()
        log.add(epoch, loss=total, test_accuracy=accuracy(model, x_test, y_test))

    log.save("Handwritten digits, a batch in pieces", log_scale=["loss"])


if __name__ == "__main__":
    main()
