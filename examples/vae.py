"""Train a variational autoencoder on handwritten digits. Ported to MLX.

    python examples/vae.py [--epochs 40] [--batch-size 64] [--lr 0.005] [--seed 0] [--out out] [--quick]

The noise comes from NumPy, so that both sides train on the same numbers.
Writes OUT/vae.json, its curves, and OUT/vae.png, with vae_torch.py's curves over them.
"""

from __future__ import annotations

import common

import argparse

import mlx.core as mx
import numpy as np
from matplotlib.axes import Axes
from mlx import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import torchish_mlx
from torchish_mlx import optim
from torchish_mlx.optim.lr_scheduler import CosineAnnealingLR

LATENT = 8


class VAE(nn.Module):
    """64 grey values -> mean and log variance of a code of 8 numbers -> 64 logits of grey values."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.encode1 = nn.Linear(64, 256)
        self.encode2 = nn.Linear(256, 2 * LATENT)
        self.decode1 = nn.Linear(LATENT, 256)
        self.decode2 = nn.Linear(256, 64)
        for name, p in torchish_mlx.named_parameters(self):
            p.data = mx.array(common.initial(name, p.shape, seed))

    def encode(self, x: mx.array) -> tuple[mx.array, mx.array]:
        code = self.encode2(nn.relu(self.encode1(x)))
        return code[:, :LATENT], code[:, LATENT:]

    def decode(self, z: mx.array) -> mx.array:
        return self.decode2(nn.relu(self.decode1(z)))


def loss_fn(model: VAE, x: mx.array, noise: mx.array) -> mx.array:
    """The negative evidence lower bound, in nats per image: reconstruction and Kullback-Leibler divergence."""
    mean, log_variance = model.encode(x)
    logits = model.decode(mean + mx.exp(0.5 * log_variance) * noise)
    reconstruction = nn.losses.binary_cross_entropy(logits, x, with_logits=True, reduction="sum")
    divergence = 0.5 * (mean**2 + mx.exp(log_variance) - 1 - log_variance).sum()
    return (reconstruction + divergence) / len(x)


def data() -> list[mx.array]:
    """Images (n, 64) in [0, 1] to train and to test on."""
    images = (load_digits().data / 16).astype(np.float32)
    return [mx.array(part) for part in train_test_split(images, test_size=0.2, random_state=0)]


def normal(samples: int, *seed: int) -> mx.array:
    """Standard normal codes (samples, 8)."""
    return mx.array(np.random.default_rng(seed).standard_normal((samples, LATENT), dtype=np.float32))


def draw(axes: Axes, model: VAE, images: mx.array, seed: int) -> None:
    """Ten images above what the model makes of them, and fifty images that it makes of noise."""
    mean, _ = model.encode(images[:10])
    made = mx.sigmoid(model.decode(mx.concatenate([mean, normal(50, seed)])))
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


def train(args: argparse.Namespace) -> VAE:
    x_train, x_test = data()
    model = VAE(args.seed)
    optimizer = optim.AdamW(model, lr=args.lr)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs)
    print(f"{len(x_train)} images to train on, {len(x_test)} to test on, {args.epochs} epochs")

    log = common.Log(__file__, args)
    for epoch in log.steps(args.epochs, "epoch"):
        total = 0.0
        noise = normal(len(x_train), args.seed, epoch, 1)
        for batch in common.batches(len(x_train), args.batch_size, args.seed, epoch):
            optimizer.zero_grad()
            loss = torchish_mlx.backward(model, loss_fn, x_train[mx.array(batch)], noise[mx.array(batch)])
            optimizer.step()
            total += loss.item() * len(batch)
        scheduler.step()
        test_loss = loss_fn(model, x_test, normal(len(x_test), args.seed)).item()
        log.add(epoch, loss=total / len(x_train), test_loss=test_loss)

    log.save("Variational autoencoder", draw=lambda axes: draw(axes, model, x_test, args.seed))
    return model


if __name__ == "__main__":
    train(options())
