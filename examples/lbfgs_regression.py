"""Ridge regression with L-BFGS and a closure, compared with AdamW.

    python examples/lbfgs_regression.py [--steps 6] [--evaluations 400] [--ridge 0.01] [--out out] [--quick]

How far diabetes went in a year, from 10 measurements, their squares and their products: 65 columns, some of which are
nearly the same as others. The exact minimum is known, and AdamW needs many evaluations to come near it.
Writes OUT/lbfgs_regression.json, its curves, and OUT/lbfgs_regression.png.
"""

from __future__ import annotations

import common

import argparse
import copy

import numpy as np
import torch
from matplotlib.axes import Axes
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import PolynomialFeatures, scale
from torch import nn, optim


class Regression(nn.Module):
    """65 columns -> how far the disease went. Without a bias: all columns and the target have mean 0."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(65, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


def loss_fn(model: Regression, x: torch.Tensor, y: torch.Tensor, ridge: float) -> torch.Tensor:
    return 0.5 * ((model(x) - y) ** 2).mean() + 0.5 * ridge * (model.linear.weight**2).sum()


def data() -> tuple[np.ndarray, np.ndarray]:
    """Columns (442, 65) and target (442, 1), each with mean 0 and variance 1, in double precision."""
    x, y = load_diabetes(return_X_y=True)
    x = PolynomialFeatures(degree=2, include_bias=False).fit_transform(scale(x))
    return scale(x), scale(y[:, None])


def minimum(x: np.ndarray, y: np.ndarray, ridge: float) -> float:
    """The smallest loss there is, from the normal equations."""
    weight = np.linalg.solve(x.T @ x / len(x) + ridge * np.eye(x.shape[1]), x.T @ y / len(x))
    return 0.5 * float(((x @ weight - y) ** 2).mean() + ridge * (weight**2).sum())


def draw(axes: Axes, log: common.Log, least: float) -> None:
    """Both curves, down to float32's rounding."""
    for name, label in (("loss", "L-BFGS"), ("loss_of_AdamW", "AdamW")):
        evaluations, losses = np.transpose(log.curves[name])
        axes.loglog(evaluations, np.maximum(losses - least, 1e-7), label=label)
    axes.set(title="loss - smallest loss", xlabel="evaluation")
    axes.grid(alpha=0.3)
    axes.legend()


def options() -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("--steps", type=common.count, default=6, help="steps of L-BFGS, each of 10 iterations")
    parser.add_argument("--evaluations", type=common.count, default=400, help="steps of AdamW")
    parser.add_argument("--ridge", type=common.positive, default=0.01, help="weight of the penalty")
    parser.add_argument("--lr", type=common.positive, default=0.03, help="AdamW's learning rate")
    return common.parse(parser, quick={"steps": 2, "evaluations": 100})


def train(args: argparse.Namespace) -> None:
    columns, target = data()
    least = minimum(columns, target, args.ridge)
    x, y = torch.tensor(columns.astype(np.float32)), torch.tensor(target.astype(np.float32))
    print(f"{len(x)} people, {x.shape[1]} columns; the smallest loss is {least:.7f}")
    log = common.Log(__file__, args)
    evaluations = 0

    torch.manual_seed(args.seed)
    model = Regression()
    other = copy.deepcopy(model)
    optimizer = optim.LBFGS(model.parameters(), max_iter=10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        nonlocal evaluations
        evaluations += 1
        optimizer.zero_grad()
        loss = loss_fn(model, x, y, args.ridge)
        loss.backward()
        log.add(evaluations, loss=loss.item())
        return loss

    for _ in log.steps(args.steps):
        optimizer.step(closure)

    adamw = optim.AdamW(other.parameters(), lr=args.lr, weight_decay=0)
    for evaluation in log.steps(args.evaluations, "evaluation"):
        adamw.zero_grad()
        loss = loss_fn(other, x, y, args.ridge)
        loss.backward()
        adamw.step()
        log.add(evaluation, loss_of_AdamW=loss.item())

    for name, curve in log.curves.items():
        apart = abs(curve[-1][1] - least)
        print(f"{name.replace('_', ' ')}: {apart:.0e} from the smallest after {len(curve)} evaluations")

    log.save("Ridge regression", draw=lambda axes: draw(axes, log, least))


if __name__ == "__main__":
    train(options())
