"""Optimizers of named parameters, for the tests of loading."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

import torchish_mlx as torch
from tests.cases import for_rule, gradients
from tests.refused import adapted
from torchish_mlx import optim

OPTIONS = {"lr": 0.0123, "maximize": True}


def named(case: str, model: nn.Module, split: Any = None, **options: Any) -> Any:
    """An optimizer of named parameters; ``split`` gives the groups: lists of names, of which the odd have OPTIONS."""
    pairs = dict(torch.named_parameters(model))
    split = split or [[name for i, name in enumerate(pairs) if i % 2 == k] for k in range(2)]
    groups = [{"params": [(name, pairs[name]) for name in names]} for names in split]
    for group in groups:
        if list(pairs).index(group["params"][0][0]) % 2:
            group.update({k: v for k, v in OPTIONS.items() if k != "maximize" or not case.startswith("Muon")})
    return adapted(case, groups, **options)


def train(optimizer: Any, model: nn.Module, steps: range, skip: bool = True) -> None:
    """Steps, in the second of which some parameters have no gradient."""
    for i in steps:
        model.unfreeze()
        if i == 1 and skip:
            model.freeze(keys=["bias", "step"])
        optimizer.update(model, for_rule(optimizer.rule, gradients(model, i)))
    model.unfreeze()


def lone(name: str = "AdamW", **options: Any) -> tuple[nn.Module, Any]:
    """A model and an optimizer that has made two steps."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    optimizer = getattr(optim, name)(torch.named_parameters(model), lr=0.1, **options)
    for i in range(2):
        optimizer.update(model, gradients(model, i))
    for path, p in torch.named_parameters(model):
        p.grad = mx.full(p.shape, float(len(path)))
    return model, optimizer
