"""Fine-tune a classifier: a learning rate per layer, and layers that are unfrozen one by one.

    python examples/fine_tuning.py [--epochs 40] [--samples 3] [--lr 0.003] [--decay 0.6] [--out out] [--quick]

The network learns upright digits, then slanted ones, of which there are only 3 of each. Each layer below the head has
0.6 times the learning rate of the one above, and the layers are unfrozen from the head downwards. For comparison, a
network that begins with nothing learns the same images.
Writes OUT/fine_tuning.json, its curves, and OUT/fine_tuning.png.
"""

from __future__ import annotations

import common

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from matplotlib.axes import Axes
from sklearn.datasets import load_digits
from torch import nn, optim
from tqdm import tqdm

UPRIGHT = 1000  # images to learn first; the others are slanted


class Classifier(nn.Module):
    """Four linear layers: 64 grey values -> 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 128), nn.Linear(128, 128), nn.Linear(128, 128), nn.Linear(128, 10)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *body, head = self.layers
        for layer in body:
            x = torch.relu(layer(x))
        return head(x)


def loss_fn(model: Classifier, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(model(x), y)


@torch.no_grad()
def accuracy(model: Classifier, x: torch.Tensor, y: torch.Tensor) -> float:
    return (model(x).argmax(1) == y).float().mean().item()


def data(samples: int) -> list[torch.Tensor]:
    """Upright images (n, 64) in [0, 1] and labels (n,); slanted ones, ``samples`` of each digit; those to test on."""
    digits = load_digits()
    images, labels = (digits.images / 16).astype(np.float32), digits.target
    for row, shift in enumerate((1, 1, 0, 0, 0, 0, -1, -1)):
        images[UPRIGHT:, row] = np.roll(images[UPRIGHT:, row], shift, axis=1)
    few = np.concatenate([UPRIGHT + np.flatnonzero(labels[UPRIGHT:] == digit)[:samples] for digit in range(10)])
    rest = np.setdiff1d(np.arange(UPRIGHT, len(images)), few)
    parts = (np.arange(UPRIGHT), few, rest)
    return [torch.tensor(array[part]) for part in parts for array in (images.reshape(-1, 64), labels)]


def learn(
    model: Classifier, optimizer: optim.Optimizer, x: torch.Tensor, y: torch.Tensor, batches: Iterator[np.ndarray]
) -> float:
    """One epoch; returns the mean loss."""
    total = 0.0
    for batch in batches:
        optimizer.zero_grad()
        loss = loss_fn(model, x[batch], y[batch])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(x)


def draw(axes: Axes, log: common.Log, beside: list[float], unfrozen: list[int]) -> None:
    """The test accuracy, and that of a network that began with nothing."""
    axes.plot(*np.transpose(log.curves["test_accuracy"]), label="fine-tuned")
    axes.plot(range(1, len(beside) + 1), beside, label="from nothing")
    for epoch in unfrozen:
        axes.axvline(epoch, color="gray", linestyle=":", label="a layer unfrozen" if epoch == unfrozen[0] else None)
    axes.set(title="test accuracy, and that of a new network", xlabel="epoch")
    axes.grid(alpha=0.3)
    axes.legend()


def options() -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("--first-epochs", type=common.count, default=10, help="passes over the upright images")
    parser.add_argument("--epochs", type=common.count, default=40, help="passes over the slanted images")
    parser.add_argument("--samples", type=common.count, default=3, help="slanted images of each digit")
    parser.add_argument("--lr", type=common.positive, default=0.003, help="the head's learning rate")
    parser.add_argument("--decay", type=common.positive, default=0.6, help="a layer's rate, by that of the one above")
    return common.parse(parser, quick={"first_epochs": 3, "epochs": 8})


def train(args: argparse.Namespace) -> None:
    x_first, y_first, x_few, y_few, x_test, y_test = data(args.samples)
    log = common.Log(__file__, args)

    torch.manual_seed(args.seed)
    model = Classifier()
    optimizer = optim.AdamW(model.parameters(), lr=2e-3)
    for epoch in tqdm(range(args.first_epochs), "upright images", leave=False, disable=None):
        learn(model, optimizer, x_first, y_first, common.batches(len(x_first), 50, args.seed, epoch))
    print(f"{len(x_first)} upright images: accuracy {accuracy(model, x_first, y_first):.4f}")
    print(f"{len(x_test)} slanted ones: accuracy {accuracy(model, x_test, y_test):.4f}")

    *body, head = model.layers
    groups = [{"params": head.parameters()}]
    for depth, layer in enumerate(reversed(body), 1):
        groups.append({"params": layer.parameters(), "lr": args.lr * args.decay**depth})
        layer.requires_grad_(False)
    optimizer = optim.AdamW(groups, lr=args.lr)
    every = max(1, args.epochs // 8)
    unfrozen = []
    for epoch in log.steps(args.epochs, "epoch"):
        if epoch % every == 0 and body:
            body.pop().requires_grad_(True)
            unfrozen.append(epoch)
        loss = learn(model, optimizer, x_few, y_few, common.batches(len(x_few), 10, args.seed, epoch))
        log.add(epoch, loss=loss, test_accuracy=accuracy(model, x_test, y_test))

    new = Classifier()
    optimizer = optim.AdamW(new.parameters(), lr=args.lr)
    beside = []
    for epoch in tqdm(range(1, args.epochs + 1), "from nothing", leave=False, disable=None):
        learn(new, optimizer, x_few, y_few, common.batches(len(x_few), 10, args.seed, epoch))
        beside.append(accuracy(new, x_test, y_test))
    tuned = log.curves["test_accuracy"][-1][1]
    print(f"after {len(x_few)} slanted images: accuracy {tuned:.4f}, and {beside[-1]:.4f} from nothing")

    log.save(
        f"Fine-tuning on {len(x_few)} slanted digits",
        log_scale=["loss"],
        draw=lambda axes: draw(axes, log, beside, unfrozen),
    )


if __name__ == "__main__":
    train(options())
