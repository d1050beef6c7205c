"""Train a classifier on handwritten digits: two parameter groups, warm-up and a cosine.

    python examples/digits.py [--epochs 15] [--batch-size 32] [--lr 0.015] [--seed 0] [--out out] [--quick]

Writes OUT/digits.json, its curves, OUT/digits.png, and OUT/digits.pt, a checkpoint.
"""

from __future__ import annotations

import common

import argparse
import math

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn, optim
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR


class Classifier(nn.Module):
    """Two convolutions and a linear layer: 8 x 8 grey values -> 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(16 * 4 * 4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv1(x))
        x = self.pool(torch.relu(self.conv2(x)))
        return self.head(x.flatten(1))


def loss_fn(model: Classifier, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(model(x), y)


def accuracy(model: Classifier, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def data() -> list[torch.Tensor]:
    """Images (n, 1, 8, 8) in [0, 1] to train and to test on, and their labels (n,)."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    parts = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    return [torch.tensor(part) for part in parts]


def optimizer_and_scheduler(
    model: Classifier, args: argparse.Namespace, samples: int
) -> tuple[optim.Optimizer, SequentialLR]:
    """Two parameter groups: weights decay, biases do not. Linear warm-up over a tenth of the steps, then a cosine."""
    named = dict(model.named_parameters())
    weights = [p for name, p in named.items() if name.endswith("weight")]
    biases = [p for name, p in named.items() if name.endswith("bias")]
    groups = [{"params": weights, "weight_decay": 0.05}, {"params": biases, "weight_decay": 0.0}]
    optimizer = optim.AdamW(groups, lr=args.lr)
    steps = args.epochs * math.ceil(samples / args.batch_size)
    first = LinearLR(optimizer, 0.1, total_iters=max(1, steps // 10))
    then = CosineAnnealingLR(optimizer, T_max=max(1, steps - first.total_iters))
    return optimizer, SequentialLR(optimizer, [first, then], milestones=[first.total_iters])


def options() -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("--epochs", type=common.count, default=15, help="passes over the training images")
    parser.add_argument("--batch-size", type=common.count, default=32, help="images per step")
    parser.add_argument("--lr", type=common.positive, default=0.015, help="the highest learning rate")
    return common.parse(parser, quick={"epochs": 3})


def train(args: argparse.Namespace) -> None:
    x_train, x_test, y_train, y_test = data()
    torch.manual_seed(args.seed)
    model = Classifier()
    optimizer, scheduler = optimizer_and_scheduler(model, args, len(x_train))
    print(f"{len(x_train)} images to train on, {len(x_test)} to test on, {args.epochs} epochs")

    log = common.Log(__file__, args)
    for epoch in log.steps(args.epochs, "epoch"):
        total = 0.0
        for batch in common.batches(len(x_train), args.batch_size, args.seed, epoch):
            x, y = x_train[batch], y_train[batch]
            optimizer.zero_grad()
            loss = loss_fn(model, x, y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(batch)
        log.add(epoch, loss=total / len(x_train), test_accuracy=accuracy(model, x_test, y_test))

    log.save("Handwritten digits", log_scale=["loss"])
    place = args.out / "digits.pt"
    with common.whole(place) as file:
        torch.save({"step": args.epochs, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    common.wrote(place)
    print(f"test accuracy {accuracy(model, x_test, y_test):.4f}")


if __name__ == "__main__":
    train(options())
