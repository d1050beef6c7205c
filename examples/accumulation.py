"""Gradient accumulation: batches of 256 handwritten digits in 8 pieces, one step for each.

    python examples/accumulation.py [--epochs 40] [--micro-batch 32] [--pieces 8] [--lr 0.2] [--out out] [--quick]

Writes OUT/accumulation.json, its curves, and OUT/accumulation.png.
"""

from __future__ import annotations

import common

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn, optim
from torch.optim.lr_scheduler import CosineAnnealingLR


class Classifier(nn.Module):
    """Three linear layers: 64 grey values -> 10 logits."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))


def loss_fn(model: Classifier, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(model(x), y)


def accuracy(model: Classifier, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def data() -> list[torch.Tensor]:
    """Images (n, 64) in [0, 1] to train and to test on, and their labels (n,)."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    parts = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    return [torch.tensor(part) for part in parts]


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

    torch.manual_seed(args.seed)
    model = Classifier()
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, nesterov=True)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs * steps)

    log = common.Log(__file__, args)
    for epoch in log.steps(args.epochs, "epoch"):
        total = 0.0
        pieces = common.batches(len(x_train), args.micro_batch, args.seed, epoch)
        for _ in range(steps):
            optimizer.zero_grad()
            for _ in range(args.pieces):
                piece = torch.tensor(next(pieces))
                loss = loss_fn(model, x_train[piece], y_train[piece]) / args.pieces
                loss.backward()
                total += loss.item() / steps
            optimizer.step()
            scheduler.step()
        log.add(epoch, loss=total, test_accuracy=accuracy(model, x_test, y_test))

    log.save("Handwritten digits, a batch in pieces", log_scale=["loss"])


if __name__ == "__main__":
    main()
