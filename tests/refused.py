"""That a refusal changes nothing: parameters, state and groups before and after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx as torch
from tests.cases import RULES, build, flat, for_rule, gradients
from torchish_mlx import optim

NAN = float("nan")
SIDES = ["rule", "adapter"]


def adapted(case: str, params: Any, **changes: Any) -> Any:
    """The adapter of a row of the table of rules."""
    name, kwargs = RULES[case]
    kwargs = {"lr" if key == "learning_rate" else key: value for key, value in {**kwargs, **changes}.items()}
    return getattr(optim, name)(params, **kwargs)


def make(side: str, case: str, model: nn.Module) -> Any:
    """An optimizer that has taken two steps on ``model``, with a gradient in every Parameter."""
    optimizer = build(case) if side == "rule" else adapted(case, model)
    rule = optimizer if side == "rule" else optimizer.rule
    for i in range(2):
        optimizer.update(model, for_rule(rule, gradients(model, i)))
    for path, p in torch.named_parameters(model):
        p.grad = mx.full(p.shape, float(len(path)))
    return optimizer


def everything(optimizer: Any, model: nn.Module) -> dict[str, Any]:
    """Copies of all that must not change."""
    seen: dict[str, Any] = {
        "parameters": flat(model),
        "grads": {path: np.array(p.grad.array) for path, p in torch.named_parameters(model)},
        "state": flat(optimizer.state),
    }
    if isinstance(optimizer, optim.Optimizer):
        seen["groups"] = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        seen["params"] = [[id(p) for p in group["params"]] for group in optimizer.param_groups]
        seen["entries"] = {
            path: {k: np.array(v) for k, v in optimizer.state[p].items()} for path, p in torch.named_parameters(model)
        }
    else:
        seen["values"] = dict(optimizer.values)
    return seen


def assert_equal(a: Any, b: Any, where: str = "") -> None:
    if isinstance(a, tuple):
        a, b = dict(enumerate(a)), dict(enumerate(b))
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key, value in a.items():
            assert_equal(value, b[key], f"{where}.{key}")
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b, err_msg=where, strict=True)
    else:
        assert a == b, where


@contextmanager
def refused(error: type[Exception], match: str, optimizer: Any, model: nn.Module) -> Iterator[None]:
    """The error comes, and nothing has changed; the state and its dicts are the same objects."""
    before, identities = everything(optimizer, model), [id(optimizer.state), *map(id, optimizer.state.values())]
    with pytest.raises(error, match=match):
        yield
    assert_equal(before, everything(optimizer, model))
    assert identities == [id(optimizer.state), *map(id, optimizer.state.values())]
