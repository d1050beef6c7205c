"""Train a classifier written with mlx.nn on handwritten digits, in PyTorch's words, on MLX.

    python examples/digits.py [--epochs 15] [--batch-size 32] [--lr 0.015] [--seed 0] [--out out]

The same training runs twice: with `zero_grad()`, `backward()`, `step()`, and with MLX's own words,
`optimizer.update(model, grads)`. Both must give the same weights. Where torch is installed, torch runs it
too, from the same initial weights and on the same batches, and its curve is drawn over ours.
Writes OUT/digits.png and a checkpoint, OUT/digits.pt.
"""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C during them ends in one line too

    def stop(*_: object) -> None:
        sys.stderr.write("\nInterrupted; nothing was left half written.\n")
        sys.exit(130)

    signal.signal(signal.SIGINT, stop)

import argparse
import importlib.util
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mlx.utils import tree_flatten
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import torchish_mlx
from torchish_mlx import checkpoint, optim

TORCH = importlib.util.find_spec("torch") is not None
if TORCH:
    import torch

WANTED_ACCURACY = 0.97


class Classifier(nn.Module):
    """Two convolutions and a linear layer: 8 x 8 grey values -> 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(16 * 4 * 4, 10)

    def __call__(self, x: mx.array) -> mx.array:
        x = nn.relu(self.conv1(x))
        x = self.pool(nn.relu(self.conv2(x)))
        return self.head(x.reshape(x.shape[0], -1))


def loss_fn(model: nn.Module, x: mx.array, y: mx.array) -> mx.array:
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


@dataclass
class Data:
    """Images (n, 8, 8, 1) in [0, 1] and labels (n,), as NumPy arrays."""

    x_train: np.ndarray
    x_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray

    @classmethod
    def digits(cls) -> Data:
        images, labels = load_digits(return_X_y=True)
        images = (images / 16).astype(np.float32).reshape(-1, 8, 8, 1)
        labels = labels.astype(np.int32)
        return cls(*train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels))


@dataclass
class Plan:
    """What every run has in common: the batches of each epoch and the learning rate of each step."""

    epochs: int
    batch_size: int
    peak: float
    seed: int
    samples: int

    @property
    def steps(self) -> int:
        return self.epochs * math.ceil(self.samples / self.batch_size)

    def batches(self, epoch: int) -> Iterator[np.ndarray]:
        """The indices of each batch; the last one is smaller."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.samples)
        for start in range(0, self.samples, self.batch_size):
            yield order[start : start + self.batch_size]

    def learning_rate(self, step: int) -> float:
        """Linear warm-up over a tenth of the steps, then half a cosine down to nothing."""
        warmup = max(1, self.steps // 10)
        if step < warmup:
            return self.peak * (step + 1) / warmup
        return self.peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, self.steps - warmup)))


@dataclass
class Curve:
    """Training loss and test accuracy of each epoch."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)


def new_model(seed: int) -> Classifier:
    mx.random.seed(seed)
    model = Classifier()
    mx.eval(model.parameters())
    return model


def decay_groups(named: dict[str, Any]) -> list[dict[str, Any]]:
    """Two parameter groups: weights decay, biases do not."""
    weights = [p for name, p in named.items() if name.endswith("weight")]
    biases = [p for name, p in named.items() if name.endswith("bias")]
    return [{"params": weights, "weight_decay": 0.05}, {"params": biases, "weight_decay": 0.0}]


def new_optimizer(model: nn.Module, lr: float) -> optim.AdamW:
    return optim.AdamW(decay_groups(dict(torchish_mlx.named_parameters(model))), lr=lr)


def accuracy(model: nn.Module, data: Data) -> float:
    predicted = np.array(mx.argmax(model(mx.array(data.x_test)), axis=1))
    return float((predicted == data.y_test).mean())


def torch_step(model: nn.Module, optimizer: optim.AdamW, x: mx.array, y: mx.array) -> float:
    """PyTorch's words."""
    optimizer.zero_grad()
    loss = torchish_mlx.backward(model, loss_fn, x, y)
    optimizer.step()
    return loss.item()


def mlx_step(model: nn.Module, optimizer: optim.AdamW, x: mx.array, y: mx.array) -> float:
    """MLX's words, the same optimizer."""
    loss, grads = nn.value_and_grad(model, loss_fn)(model, x, y)
    optimizer.update(model, grads)
    mx.eval(model.parameters(), optimizer.state)
    return loss.item()


def train(
    label: str,
    plan: Plan,
    data: Data,
    step: Callable[[np.ndarray, np.ndarray, float], float],
    test: Callable[[], float],
    verbose: bool = True,
) -> Curve:
    """The loop around `step(x, y, lr) -> loss`: batches, learning rate, progress bar and a line per epoch."""
    curve, count = Curve(), 0
    with tqdm(total=plan.steps, desc=label, unit="step", leave=False, disable=None) as bar:
        for epoch in range(plan.epochs):
            total = 0.0
            for batch in plan.batches(epoch):
                lr = plan.learning_rate(count)
                total += step(data.x_train[batch], data.y_train[batch], lr) * len(batch)
                count += 1
                bar.update()
            curve.loss.append(total / plan.samples)
            curve.accuracy.append(test())
            if verbose:
                bar.write(
                    f"epoch {epoch + 1:3}/{plan.epochs}  lr {lr:.1e}  "
                    f"loss {curve.loss[-1]:.4f}  test accuracy {curve.accuracy[-1]:.4f}"
                )
    return curve


def train_mlx(
    label: str,
    one_step: Callable[[nn.Module, optim.AdamW, mx.array, mx.array], float],
    plan: Plan,
    data: Data,
    verbose: bool = True,
) -> tuple[Classifier, optim.AdamW, Curve]:
    """A new model, trained by `torch_step` or `mlx_step`."""
    model = new_model(plan.seed)
    optimizer = new_optimizer(model, plan.peak)

    def step(x: np.ndarray, y: np.ndarray, lr: float) -> float:
        for group in optimizer.param_groups:
            group["lr"] = lr
        return one_step(model, optimizer, mx.array(x), mx.array(y))

    return model, optimizer, train(label, plan, data, step, lambda: accuracy(model, data), verbose)


def train_torch(plan: Plan, data: Data) -> Curve:
    """The same training by torch itself, from the same initial weights and on the same batches."""
    weights = {}
    for name, array in tree_flatten(new_model(plan.seed).parameters()):
        tensor = torch.from_numpy(np.array(array))
        if tensor.ndim == 4:  # a convolution: MLX keeps channels last, torch keeps them second
            tensor = tensor.permute(0, 3, 1, 2).contiguous()
        weights[name] = tensor.requires_grad_()
    optimizer = torch.optim.AdamW(decay_groups(weights), lr=plan.peak)

    def logits(x: torch.Tensor) -> torch.Tensor:
        x = x.permute(0, 3, 1, 2)
        x = torch.conv2d(x, weights["conv1.weight"], weights["conv1.bias"], padding=1).relu()
        x = torch.conv2d(x, weights["conv2.weight"], weights["conv2.bias"], padding=1).relu()
        x = torch.max_pool2d(x, 2).permute(0, 2, 3, 1).flatten(1)
        return x @ weights["head.weight"].T + weights["head.bias"]

    def step(x: np.ndarray, y: np.ndarray, lr: float) -> float:
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits(torch.from_numpy(x)), torch.from_numpy(y).long())
        loss.backward()
        optimizer.step()
        return loss.item()

    def test() -> float:
        with torch.no_grad():
            predicted = logits(torch.from_numpy(data.x_test)).argmax(1).numpy()
        return float((predicted == data.y_test).mean())

    return train("torch", plan, data, step, test, verbose=False)


def largest_difference(one: nn.Module, other: nn.Module) -> float:
    """The largest absolute difference of any weight; 0.0 exactly where all are equal bit for bit."""
    others = dict(tree_flatten(other.parameters()))
    pairs = [(np.array(a), np.array(others[name])) for name, a in tree_flatten(one.parameters())]
    if all(a.tobytes() == b.tobytes() for a, b in pairs):
        return 0.0
    return max(float(np.abs(a - b).max()) for a, b in pairs) or math.ulp(0.0)


def save(model: nn.Module, optimizer: optim.AdamW, data: Data, plan: Plan, out: Path) -> Path:
    """Write a checkpoint, read it into a model of other weights, and check that training goes on the same."""
    place = checkpoint.save(out / "digits.pt", step=plan.steps, model=model, optimizer=optimizer)

    again = new_model(plan.seed + 1)
    resumed = new_optimizer(again, plan.peak)
    checkpoint.resume(place, model=again, optimizer=resumed)
    before, after = accuracy(model, data), accuracy(again, data)
    if before != after:
        raise SystemExit(f"The checkpoint gives a test accuracy of {after:.4f} instead of {before:.4f}.")

    x, y = mx.array(data.x_train[: plan.batch_size]), mx.array(data.y_train[: plan.batch_size])
    torch_step(model, optimizer, x, y)
    torch_step(again, resumed, x, y)
    if largest_difference(model, again) != 0:
        raise SystemExit("The next step from the checkpoint differs from the next step without it.")
    return place


def plot(ours: Curve, theirs: Curve | None, path: Path) -> None:
    """Two panels: training loss and test accuracy by epoch; torch's curve, if any, dashed over ours."""
    figure = Figure(figsize=(10, 4.2), dpi=150, layout="constrained")
    figure.suptitle("Handwritten digits: one training loop, " + ("MLX and PyTorch" if theirs else "on MLX"))
    panels = figure.subplots(1, 2)
    for curve, name, style in (
        (ours, "torchish_mlx", {"color": "#1f77b4", "linewidth": 5, "alpha": 0.45}),
        (theirs, "torch", {"color": "#d62728", "linewidth": 1.5, "linestyle": "--"}),
    ):
        if curve is not None:
            epochs = range(1, len(curve.loss) + 1)
            panels[0].plot(epochs, curve.loss, label=name, **style)
            panels[1].plot(epochs, curve.accuracy, label=name, **style)
    panels[0].set(title="Training loss", ylabel="cross-entropy (log scale)", yscale="log")
    panels[1].set(title="Test accuracy", ylabel="share of images read correctly")
    panels[1].yaxis.labelpad = 10
    panels[1].axhline(WANTED_ACCURACY, color="grey", linewidth=1, linestyle=":", label=f"{WANTED_ACCURACY}")
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        figure.savefig(Path(folder) / path.name)
        (Path(folder) / path.name).replace(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train on handwritten digits in PyTorch's words, on MLX.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--epochs", type=int, default=15, help="passes over the training images")
    parser.add_argument("--batch-size", type=int, default=32, help="images per step")
    parser.add_argument("--lr", type=float, default=0.015, help="the highest learning rate")
    parser.add_argument("--seed", type=int, default=0, help="for the weights and the order of the batches")
    parser.add_argument("--out", type=Path, default=Path("out"), help="where the plot and the checkpoint go")
    args = parser.parse_args()
    for name in ("epochs", "batch_size", "lr"):
        if not getattr(args, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be greater than 0, got {getattr(args, name)}")
    return args


def main() -> int:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    data = Data.digits()
    plan = Plan(args.epochs, args.batch_size, args.lr, args.seed, len(data.x_train))
    print(f"{len(data.x_train)} images to train on, {len(data.x_test)} to test on, {plan.steps} steps")

    print("\nzero_grad(), backward(), step():")
    model, optimizer, curve = train_mlx("step()", torch_step, plan, data)

    print("\nThe same training through optimizer.update(model, grads):")
    twin, _, _ = train_mlx("update()", mlx_step, plan, data, verbose=False)
    difference = largest_difference(model, twin)
    print("the same weights, bit for bit" if difference == 0 else f"weights differ by up to {difference:.2g}")

    theirs = None
    if TORCH:
        print("\nThe same training by torch, from the same weights and on the same batches:")
        theirs = train_torch(plan, data)
        apart = [abs(a - b) for a, b in zip(curve.loss, theirs.loss, strict=True)]
        print(f"test accuracy {theirs.accuracy[-1]:.4f}; rounding differs: losses are {apart[0]:.1g} apart after one")
        print(f"epoch and {max(apart):.1g} at most, where training has made the difference grow")
    else:
        print("\ntorch is not installed here, so the plot shows one curve.")

    plot(curve, theirs, args.out / "digits.png")
    place = save(model, optimizer, data, plan, args.out)
    reached = curve.accuracy[-1]
    wish = "" if reached >= WANTED_ACCURACY else f" (with the default settings it is at least {WANTED_ACCURACY})"
    print(f"\ntest accuracy {reached:.4f}{wish}")
    print(f"plot          {args.out / 'digits.png'}")
    print(f"time          {time.perf_counter() - began:.0f} s")
    print(f"checkpoint    {place} (read back: same test accuracy, same next step)")
    return 1 if difference > 1e-6 else 0


if __name__ == "__main__":
    sys.exit(main())
