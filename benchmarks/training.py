"""Whole training steps of models in torch's words, next to the same models in ``mlx.nn`` with ``mlx.optimizers``.

    python benchmarks/training.py [--rounds 15] [--growth 2000]

Both sides have the same sizes, the same optimizer (AdamW) and the same batches. A step is forward, backward and update,
evaluated. Times are those of the processor: the least and the median of rounds that take turns, in one process.
``--growth`` runs that many steps of the torch side instead. After each tenth of them it prints the median time of a
step, the memory of the process, that of MLX's arrays, and how many objects Python's collector tracks: nothing may grow.
"""

from __future__ import annotations

import argparse
import gc
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as mnn
import mlx.optimizers as moptim
import numpy as np

import torchish_mlx as torch
from torchish_mlx import nn
from torchish_mlx.nn import functional as F

Step = Callable[[], Any]


def say(line: str) -> None:
    """Write a line of the tables."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# A GPT ----------------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """Attention and a perceptron, each behind a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        n, length, width = x.shape
        parts = self.qkv(self.ln1(x)).split(width, dim=2)
        q, k, v = (t.view(n, length, self.heads, width // self.heads).transpose(1, 2) for t in parts)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(a.transpose(1, 2).reshape(n, length, width))
        return x + self.down(F.gelu(self.up(self.ln2(x))))


class GPT(nn.Module):
    """A language model."""

    def __init__(self, layers: int, length: int, width: int, heads: int, words: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)

    def forward(self, x: Any) -> Any:
        h = self.words(x) + self.places(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


class MLXBlock(mnn.Module):
    """The same in MLX's words."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = mnn.LayerNorm(width), mnn.LayerNorm(width)
        self.qkv, self.out = mnn.Linear(width, 3 * width), mnn.Linear(width, width)
        self.up, self.down = mnn.Linear(width, 4 * width), mnn.Linear(4 * width, width)

    def __call__(self, x: mx.array, mask: mx.array) -> mx.array:
        n, length, width = x.shape
        parts = mx.split(self.qkv(self.ln1(x)), 3, axis=2)
        q, k, v = (t.reshape(n, length, self.heads, width // self.heads).transpose(0, 2, 1, 3) for t in parts)
        a = mx.fast.scaled_dot_product_attention(q, k, v, scale=(width // self.heads) ** -0.5, mask=mask)
        x = x + self.out(a.transpose(0, 2, 1, 3).reshape(n, length, width))
        return x + self.down(mnn.gelu(self.up(self.ln2(x))))


class MLXGPT(mnn.Module):
    """The same in MLX's words."""

    def __init__(self, layers: int, length: int, width: int, heads: int, words: int) -> None:
        super().__init__()
        self.words, self.places = mnn.Embedding(words, width), mnn.Embedding(length, width)
        self.blocks = [MLXBlock(width, heads) for _ in range(layers)]
        self.norm, self.head = mnn.LayerNorm(width), mnn.Linear(width, words, bias=False)
        self.mask = mnn.MultiHeadAttention.create_additive_causal_mask(length)
        self.freeze(keys="mask", recurse=False)

    def __call__(self, x: mx.array) -> mx.array:
        h = self.words(x) + self.places(mx.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h, self.mask)
        return self.head(self.norm(h))


# A convolutional network ----------------------------------------------------------------------------------------------


def cnn(channels: int) -> Any:
    """Three convolutions with BatchNorm, in torch's words."""
    layers: list[Any] = []
    for into, out in ((3, channels), (channels, 2 * channels), (2 * channels, 2 * channels)):
        layers += [nn.Conv2d(into, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * channels * 16, 10))


def mlx_cnn(channels: int) -> Any:
    """The same in MLX's words."""
    layers: list[Any] = []
    for into, out in ((3, channels), (channels, 2 * channels), (2 * channels, 2 * channels)):
        layers += [mnn.Conv2d(into, out, 3, padding=1), mnn.BatchNorm(out), mnn.ReLU(), mnn.MaxPool2d(2)]
    return mnn.Sequential(*layers, lambda x: x.reshape(x.shape[0], -1), mnn.Linear(2 * channels * 16, 10))


# Steps ----------------------------------------------------------------------------------------------------------------


def torchs(model: Any, x: np.ndarray, y: np.ndarray) -> Step:
    """A step in torch's words."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    inputs, targets = torch.tensor(x), torch.tensor(y)

    def step() -> Any:
        optimizer.zero_grad()
        out = model(inputs)
        loss = F.cross_entropy(out.reshape(-1, out.shape[-1]), targets.reshape(-1))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def mlxs(model: Any, x: np.ndarray, y: np.ndarray) -> Step:
    """A step in MLX's words."""
    optimizer = moptim.AdamW(learning_rate=1e-3)
    inputs, targets = mx.array(x), mx.array(y)

    def loss_fn(model: Any, inputs: mx.array, targets: mx.array) -> mx.array:
        out = model(inputs)
        return mnn.losses.cross_entropy(out.reshape(-1, out.shape[-1]), targets.reshape(-1), reduction="mean")

    both = mnn.value_and_grad(model, loss_fn)

    def step() -> Any:
        loss, gradients = both(model, inputs, targets)
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state, loss)
        return loss.item()

    return step


def compared(title: str, ours: Step, theirs: Step, rounds: int) -> None:
    """A line of the table."""
    times: dict[str, list[float]] = {"ours": [], "mlx": []}
    pairs = [("ours", ours), ("mlx", theirs)]
    for _ in range(3):
        ours(), theirs()
    gc.disable()
    for turn in range(rounds):
        for name, step in pairs if turn % 2 else pairs[::-1]:
            start = time.process_time()
            step()
            times[name].append(time.process_time() - start)
        gc.collect()
    gc.enable()
    least, middle = ({k: f(v) * 1e3 for k, v in times.items()} for f in (min, statistics.median))
    say(
        f"{title:44}{least['ours']:9.1f}{least['mlx']:9.1f}{least['ours'] / least['mlx']:7.2f}"
        f"{middle['ours']:10.1f}{middle['mlx']:9.1f}{middle['ours'] / middle['mlx']:7.2f}"
    )


def growth(title: str, step: Step, steps: int) -> None:
    """What a step takes, and what there is, after each tenth of the steps."""
    say(f"{title:44}{'ms':>9}{'MiB at most':>13}{'MiB of arrays':>15}{'objects':>9}")
    each = max(1, steps // 10)
    times: list[float] = []
    for i in range(1, steps + 1):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
        if i % each == 0:
            middle = statistics.median(times) * 1e3
            times.clear()
            gc.collect()
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            arrays = mx.get_active_memory() / 2**20
            say(f"{f'step {i}':44}{middle:9.2f}{most:13.1f}{arrays:15.3f}{len(gc.get_objects()):9}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--growth", type=int, default=0, metavar="STEPS")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 512, (8, 65))
    small = rng.integers(0, 64, (1, 9))
    images, classes = rng.standard_normal((32, 3, 32, 32)).astype(np.float32), rng.integers(0, 10, 32)
    last = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    if options.growth:
        for title, step in (
            ("CNN with BatchNorm, 8 channels, batch 4", torchs(cnn(8), images[:4], classes[:4])),
            ("GPT, 2 layers, 32 wide, batch 1 x 8", torchs(GPT(2, 8, 32, 2, 64), small[:, :-1], small[:, 1:])),
        ):
            growth(title, step, options.growth)
        return
    say(f"{'ms for a step, eager':44}{'ours':>9}{'mlx':>9}{'x':>7}{'median':>10}{'mlx':>9}{'x':>7}")
    for name, sizes, data in (
        ("GPT, 4 layers, 128 wide, batch 8 x 64", (4, 64, 128, 4, 512), tokens),
        ("GPT, 2 layers, 32 wide, batch 1 x 8", (2, 8, 32, 2, 64), small),
    ):
        given = (data[:, :-1], data[:, 1:])
        compared(name, torchs(GPT(*sizes), *given), mlxs(MLXGPT(*sizes), *given), options.rounds)
    for channels in (16, 64):
        title = f"CNN with BatchNorm, {channels} channels, batch 32"
        compared(title, torchs(cnn(channels), images, classes), mlxs(mlx_cnn(channels), last, classes), options.rounds)


if __name__ == "__main__":
    main()
