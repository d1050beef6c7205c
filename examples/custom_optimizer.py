"""Train with an optimizer of one's own, LAMB, that is written against optim.Optimizer.

    python examples/custom_optimizer.py [--epochs 40] [--batch-size 512] [--lr 0.03] [--out out] [--quick]

LAMB (You et al. 2020, https://arxiv.org/abs/1904.00962) makes each array's step as long as a share lr of the array, in
Adam's direction: made for large batches, here of 512 handwritten digits.
Writes OUT/custom_optimizer.json, its curves, and OUT/custom_optimizer.png.
"""

from __future__ import annotations

import common

import argparse
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn, optim
from torch.optim.lr_scheduler import OneCycleLR


class Lamb(optim.Optimizer):
    """p -= lr * |p| / |u| * u, with u = m / (sqrt(v) + eps) + weight_decay * p, and m and v as Adam has them."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["exp_avg"] = torch.zeros_like(p)
                    state["exp_avg_sq"] = torch.zeros_like(p)
                state["step"] += 1
                exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
                exp_avg.mul_(beta1).add_(p.grad, alpha=1 - beta1)
                exp_avg_sq.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                root = (exp_avg_sq / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
                update = exp_avg / (1 - beta1 ** state["step"]) / root
                update.add_(p, alpha=group["weight_decay"])
                length, size = p.norm(), update.norm()
                trust = torch.where((length > 0) & (size > 0), length / size, torch.ones_like(size))
                p.addcmul_(update, trust, value=-group["lr"])
        return loss


class Classifier(nn.Module):
    """Three linear layers: 64 grey values -> 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 256), nn.Linear(256, 256), nn.Linear(256, 10)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *body, head = self.layers
        for layer in body:
            x = torch.tanh(layer(x))
        return head(x)


def loss_fn(model: Classifier, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(model(x), y)


@torch.no_grad()
def accuracy(model: Classifier, x: torch.Tensor, y: torch.Tensor) -> float:
    return (model(x).argmax(1) == y).float().mean().item()


def data() -> list[torch.Tensor]:
    """Images (n, 64) in [0, 1] to train and to test on, and their labels (n,)."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    parts = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    return [torch.tensor(part) for part in parts]


def options() -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("--epochs", type=common.count, default=40, help="passes over the training images")
    parser.add_argument("--batch-size", type=common.count, default=512, help="images per step")
    parser.add_argument("--lr", type=common.positive, default=0.03, help="LAMB's highest learning rate")
    return common.parse(parser, quick={"epochs": 5})


def train(args: argparse.Namespace) -> tuple[Classifier, Lamb]:
    x_train, x_test, y_train, y_test = data()
    torch.manual_seed(args.seed)
    model = Classifier()
    optimizer = Lamb(model.parameters(), lr=args.lr)
    steps_per_epoch = math.ceil(len(x_train) / args.batch_size)
    scheduler = OneCycleLR(optimizer, max_lr=args.lr, epochs=args.epochs, steps_per_epoch=steps_per_epoch)
    print(f"{len(x_train)} images to train on, {len(x_test)} to test on, {args.epochs} epochs")

    log = common.Log(__file__, args)
    for epoch in log.steps(args.epochs, "epoch"):
        total = 0.0
        for batch in common.batches(len(x_train), args.batch_size, args.seed, epoch):
            optimizer.zero_grad()
            loss = loss_fn(model, x_train[batch], y_train[batch])
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(batch)
        log.add(epoch, loss=total / len(x_train), test_accuracy=accuracy(model, x_test, y_test))

    log.save("LAMB, an optimizer of one's own", log_scale=["loss"])
    return model, optimizer


if __name__ == "__main__":
    train(options())
