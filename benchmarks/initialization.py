"""How ``torch.nn`` and ``mlx.nn`` initialize their layers, and what the differences do to a training run.

    python benchmarks/initialization.py [--seeds 10] [--quick]

Prints the two tables of docs/differences.md. The first has the standard deviation and the largest absolute value of
each parameter of a large layer, times the square root of its number of inputs (of a recurrent layer: of its hidden
size; of an embedding: as they are). *std 0.58, max 1.00* is the uniform distribution in +-1/sqrt(inputs). The second
trains two small networks on handwritten digits, on MLX, from weights that MLX drew and from weights that torch drew.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import torch
from digits_task import EPOCH, batches, digits, loss_and_accuracy

from torchish_mlx import optim

# What, torch's layer, MLX's layer, n, torch's parameter -> MLX's
Row = tuple[str, torch.nn.Module, nn.Module, int, dict[str, str]]


def layers() -> list[Row]:
    """Large ones, so that the figures are those of the distribution."""
    torch.manual_seed(0)
    mx.random.seed(0)
    return [
        ("Linear", torch.nn.Linear(500, 2000), nn.Linear(500, 2000), 500, {"weight": "weight", "bias": "bias"}),
        (
            "Conv2d, 3 x 3",
            torch.nn.Conv2d(50, 2000, 3),
            nn.Conv2d(50, 2000, 3),
            450,
            {"weight": "weight", "bias": "bias"},
        ),
        (
            "ConvTranspose2d, 3 x 3",
            torch.nn.ConvTranspose2d(50, 2000, 3),
            nn.ConvTranspose2d(50, 2000, 3),
            450,
            {"weight": "weight", "bias": "bias"},
        ),
        ("Embedding", torch.nn.Embedding(2000, 100), nn.Embedding(2000, 100), 1, {"weight": "weight"}),
        (
            "LSTM",
            torch.nn.LSTM(100, 400),
            nn.LSTM(100, 400),
            400,
            {"weight_ih_l0": "Wx", "weight_hh_l0": "Wh", "bias_ih_l0": "bias", "bias_hh_l0": ""},
        ),
        (
            "GRU",
            torch.nn.GRU(100, 400),
            nn.GRU(100, 400),
            400,
            {"weight_ih_l0": "Wx", "weight_hh_l0": "Wh", "bias_ih_l0": "b", "bias_hh_l0": "bhn"},
        ),
        (
            "RNN",
            torch.nn.RNN(100, 400),
            nn.RNN(100, 400),
            400,
            {"weight_ih_l0": "Wxh", "weight_hh_l0": "Whh", "bias_ih_l0": "bias", "bias_hh_l0": ""},
        ),
        (
            "MultiheadAttention",
            torch.nn.MultiheadAttention(400, 4),
            nn.MultiHeadAttention(400, 4, bias=True),
            400,
            {
                "in_proj_weight": "query_proj.weight",
                "in_proj_bias": "query_proj.bias",
                "out_proj.weight": "out_proj.weight",
                "out_proj.bias": "out_proj.bias",
            },
        ),
        ("LayerNorm", torch.nn.LayerNorm(400), nn.LayerNorm(400), 1, {"weight": "weight", "bias": "bias"}),
        ("BatchNorm2d", torch.nn.BatchNorm2d(400), nn.BatchNorm(400), 1, {"weight": "weight", "bias": "bias"}),
        ("PReLU", torch.nn.PReLU(), nn.PReLU(), 1, {"weight": "weight"}),
    ]


def figures(values: np.ndarray | None, n: int) -> str:
    """Of one parameter: standard deviation and largest absolute value, times sqrt(n); or its one value."""
    if values is None:
        return "none"
    if values.min() == values.max():
        return f"all {values.flat[0]:g}"
    return f"std {values.std() * math.sqrt(n):.2f}, max {np.abs(values).max() * math.sqrt(n):.2f}"


def of_mlx(layer: nn.Module, path: str) -> np.ndarray | None:
    if not path:
        return None
    for key in path.split("."):
        layer = layer[key]
    return np.array(layer)


def distributions() -> list[list[str]]:
    return [
        [name, theirs, mine, figures(dict(one.named_parameters())[theirs].detach().numpy(), n), figures(found, n)]
        for name, one, other, n, names in layers()
        for theirs, mine in names.items()
        for found in [of_mlx(other, mine)]
    ]


class Convolutions(nn.Module):
    """Two convolutions and a linear layer, over the image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, stride=2)
        self.head = nn.Linear(256, 10)

    def __call__(self, x: mx.array) -> mx.array:
        x = nn.relu(self.conv2(nn.relu(self.conv1(x.reshape(-1, 8, 8, 1)))))
        return self.head(x.reshape(len(x), -1))

    def as_torch_draws(self) -> None:
        first, second, head = torch.nn.Conv2d(1, 8, 3), torch.nn.Conv2d(8, 16, 3), torch.nn.Linear(256, 10)
        for mine, theirs in ((self.conv1, first), (self.conv2, second), (self.head, head)):
            weight = theirs.weight.detach().numpy()
            mine.weight = mx.array(weight.transpose(0, 2, 3, 1) if weight.ndim == 4 else weight)
            mine.bias = mx.array(theirs.bias.detach().numpy())


class Tokens(nn.Module):
    """An embedding of the 17 grey values, and a linear layer over all 64 places."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(17, 32)
        self.head = nn.Linear(64 * 32, 10)

    def __call__(self, x: mx.array) -> mx.array:
        return self.head(self.embedding((x * 16).astype(mx.int32)).reshape(len(x), -1))

    def as_torch_draws(self) -> None:
        self.embedding.weight = mx.array(torch.nn.Embedding(17, 32).weight.detach().numpy())
        head = torch.nn.Linear(64 * 32, 10)
        self.head.weight, self.head.bias = (mx.array(p.detach().numpy()) for p in (head.weight, head.bias))


def loss_fn(model: nn.Module, x: mx.array, y: mx.array) -> mx.array:
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def losses(make: Callable[[], Any], by_torch: bool, seed: int, ends: tuple[int, ...]) -> list[float]:
    """The training loss at the start and after each of ``ends`` steps of Adam, and at the end the test accuracy."""
    mx.random.seed(seed)
    torch.manual_seed(seed)
    model = make()
    if by_torch:
        model.as_torch_draws()
    optimizer = optim.Adam(model, lr=1e-3)
    train, test = digits()
    x, y = map(mx.array, train)
    value_and_grad = nn.value_and_grad(model, loss_fn)
    found = [loss_fn(model, x, y).item()]
    for step, batch in enumerate(batches(max(ends), seed), 1):
        chosen = mx.array(batch)
        optimizer.update(model, value_and_grad(model, x[chosen], y[chosen])[1])
        mx.eval(model.parameters(), optimizer.state)
        if step in ends:
            found.append(loss_fn(model, x, y).item())
    return [*found, loss_and_accuracy(np.array(model(mx.array(test[0]))), test[1])[1]]


def effects(seeds: int, ends: tuple[int, ...]) -> list[list[str]]:
    rows = []
    for name, make in (("Conv2d (bias)", Convolutions), ("Embedding (scale)", Tokens)):
        for by_torch in (False, True):
            runs = np.array([losses(make, by_torch, seed, ends) for seed in range(seeds)])
            mean, spread = runs.mean(0), runs.std(0)
            cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean[:-1], spread[:-1], strict=True)]
            accuracy = f"{100 * mean[-1]:.1f} ± {100 * spread[-1]:.1f} %"
            rows.append([name, "torch's" if by_torch else "MLX's", *cells, accuracy])
    return rows


def table(heads: list[str], rows: list[list[str]]) -> None:
    sys.stdout.write("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|\n")
    for row in rows:
        sys.stdout.write("| " + " | ".join(row) + " |\n")
    sys.stdout.write("\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="runs of each, whose means and deviations are printed")
    parser.add_argument("--quick", action="store_true", help="two seeds, a few steps")
    args = parser.parse_args()
    seeds, ends = (2, (2, 4)) if args.quick else (args.seeds, (EPOCH, 5 * EPOCH))
    table(["", "torch's parameter", "MLX's", "torch", "MLX"], distributions())
    heads = ["", "initial values", "loss at the start", *(f"after {n} steps" for n in ends), "test accuracy"]
    table(heads, effects(seeds, ends))


if __name__ == "__main__":
    main()
