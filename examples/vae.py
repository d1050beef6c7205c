"""Train a variational autoencoder on handwritten digits.

    python examples/vae.py [--epochs 40] [--batch-size 64] [--lr 0.005] [--seed 0] [--out out] [--quick]

Writes OUT/vae.json, its curves, and OUT/vae.png.
"""

from __future__ import annotations

import common

import argparse

import numpy as np
import torch
from matplotlib.axes import Axes
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn, optim
from torch.optim.lr_scheduler import CosineAnnealingLR

LATENT = 8


class VAE(nn.Module):
    """64 grey values -> mean and log variance of a code of 8 numbers -> 64 logits of grey values."""

    def __init__(self) -> None:
        super().__init__()
        self.encode1 = nn.Linear(64, 256)
        self.encode2 = nn.Linear(256, 2 * LATENT)
        self.decode1 = nn.Linear(LATENT, 256)
        self.decode2 = nn.Linear(256, 64)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        code = self.encode2(torch.relu(self.encode1(x)))
        return code[:, :LATENT], code[:, LATENT:]

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.decode2(torch.relu(self.decode1(z)))


def loss_fn(model: VAE, x: torch.Tensor) -> torch.Tensor:
    """The negative evidence lower bound, in nats per image: reconstruction and Kullback-Leibler divergence."""
    mean, log_variance = model.encode(x)
    logits = model.decode(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean))
    reconstruction = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = 0.5 * (mean**2 + torch.exp(log_variance) - 1 - log_variance).sum()
    return (reconstruction + divergence) / len(x)


def data() -> list[torch.Tensor]:
    """Images (n, 64) in [0, 1] to train and to test on."""
    images = (load_digits().data / 16).astype(np.float32)
    return [torch.tensor(part) for part in train_test_split(images, test_size=0.2, random_state=0)]


@torch.no_grad()
def draw(axes: Axes, model: VAE, images: torch.Tensor) -> None:
    """Ten images above what the model makes of them, and fifty images that it makes of noise."""
    mean, _ = model.encode(images[:10])
    made = torch.sigmoid(model.decode(torch.cat([mean, torch.randn(50, LATENT)])))
    tiles = np.concatenate([images[:10], made]).reshape(7, 10, 8, 8)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1)))
    axes.imshow(tiles.swapaxes(1, 2).reshape(70, 100), cmap="gray", vmin=0, vmax=1)
    axes.axhline(19.5, color="white")
    axes.set(title="reconstructions and samples", xticks=[])
    axes.set_yticks([4.5, 14.5, 44.5], ["test images", "reconstructed", "from noise"])


def options() -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("--epochs", type=common.count, default=40, help="passes over the training images")
    parser.add_argument("--batch-size", type=common.count, default=64, help="images per step")
    parser.add_argument("--lr", type=common.positive, default=0.005, help="the highest learning rate")
    return common.parse(parser, quick={"epochs": 3})


def train(args: argparse.Namespace) -> None:
    x_train, x_test = data()
    torch.manual_seed(args.seed)
    model = VAE()
    optimizer = optim.AdamW(model.parameters(), lr=args.lr)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs)
    print(f"{len(x_train)} images to train on, {len(x_test)} to test on, {args.epochs} epochs")

    log = common.Log(__file__, args)
    for epoch in log.steps(args.epochs, "epoch"):
        total = 0.0
        for batch in common.batches(len(x_train), args.batch_size, args.seed, epoch):
            optimizer.zero_grad()
            loss = loss_fn(model, x_train[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        scheduler.step()
        with torch.no_grad():
            test_loss = loss_fn(model, x_test).item()
        log.add(epoch, loss=total / len(x_train), test_loss=test_loss)

    log.save("Variational autoencoder", draw=lambda axes: draw(axes, model, x_test))


if __name__ == "__main__":
    train(options())
