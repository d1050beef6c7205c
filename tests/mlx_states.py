"""Optimizers of MLX and ours in pairs, and MLX's recipe of saving, for the tests of ``mlx_state``."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten

from tests.cases import flat, gradients, is_slot, tree_map_with_key
from torchish_mlx import optim
from torchish_mlx import optimizers as rules
from torchish_mlx.optimizers import Rule

SIDES = ["rule", "adapter"]
# id -> MLX's class and arguments, ours, {MLX's slot: ours}
CASES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any], dict[str, str]]] = {
    "SGD": ("SGD", {"weight_decay": 0.01}, "SGD", {"weight_decay": 0.01}, {}),
    "SGD-momentum": (
        "SGD",
        {"momentum": 0.9, "dampening": 0.2},
        "SGD",
        {"momentum": 0.9, "dampening": 0.2},
        {"v": "momentum_buffer"},
    ),
    "SGD-nesterov": (
        "SGD",
        {"momentum": 0.9, "nesterov": True},
        "SGD",
        {"momentum": 0.9, "nesterov": True},
        {"v": "momentum_buffer"},
    ),
    "Adam": (
        "Adam",
        {"betas": [0.8, 0.95], "bias_correction": True},
        "Adam",
        {"betas": (0.8, 0.95)},
        {"m": "exp_avg", "v": "exp_avg_sq"},
    ),
    "Adam-plain": ("Adam", {}, "Adam", {}, {"m": "exp_avg", "v": "exp_avg_sq"}),
    "AdamW": (
        "AdamW",
        {"weight_decay": 0.1, "bias_correction": True},
        "AdamW",
        {"weight_decay": 0.1},
        {"m": "exp_avg", "v": "exp_avg_sq"},
    ),
    "Adamax": ("Adamax", {}, "Adamax", {}, {"m": "exp_avg", "v": "exp_inf"}),
    "RMSprop": ("RMSprop", {"alpha": 0.9}, "RMSprop", {"alpha": 0.9}, {"v": "square_avg"}),
    "Adagrad": ("Adagrad", {"eps": 1e-9}, "Adagrad", {"eps": 1e-9}, {"v": "sum"}),
    "AdaDelta": ("AdaDelta", {"rho": 0.8}, "Adadelta", {"rho": 0.8}, {"v": "square_avg", "u": "acc_delta"}),
    "Adafactor": (
        "Adafactor",
        {},
        "Adafactor",
        {"eps": (0, 1e-3)},
        {"exp_avg_sq": "variance", "exp_avg_sq_row": "row_var", "exp_avg_sq_col": "col_var"},
    ),
    "Muon": ("Muon", {"weight_decay": 0.0}, "Muon", {"weight_decay": 0.0}, {"v": "momentum_buffer"}),
}
# Those whose next steps are MLX's own, and how far parameters are off after ten, in ulps of the largest entry.
SAME = {
    "SGD": 4,
    "SGD-momentum": 4,
    "SGD-nesterov": 4,
    "Adam": 4,
    "AdamW": 48,  # MLX takes 1 - 0.999**t in float32
    "RMSprop": 4,
    "Adagrad": 4,
    "AdaDelta": 4,
    "Adafactor": 4,
}
every_case = pytest.mark.parametrize("case", CASES)
both = pytest.mark.parametrize("side", SIDES)


class Net(nn.Module):
    """Lists in lists, dicts, entries without parameters; matrices only, if asked. No name is one of MLX's entries."""

    def __init__(self, matrices: bool = False) -> None:
        super().__init__()
        self.layers = [nn.Linear(3, 4, bias=not matrices), nn.ReLU(), nn.Linear(4, 3, bias=not matrices)]
        self.nested = {"towers": [[mx.ones((2, 3))], [mx.ones((1, 3)), mx.ones((3, 2))]], "empty": {}, "none": []}
        if not matrices:
            self.extra = {"gain": mx.ones((3,)), "cube": mx.ones((2, 3, 4)), "scalar": mx.array(0.5)}
        self.update(tree_map_with_key(lambda key, p: 0.5 * mx.random.normal(p.shape, key=key), self.parameters(), 7))


def net(case: str = "") -> Net:
    return Net(matrices=case.startswith("Muon"))


def of_mlx(case: str, lr: Any = 0.01) -> Any:
    name, kwargs, *_ = CASES[case]
    return getattr(native, name)(**kwargs) if name == "Adafactor" else getattr(native, name)(lr, **kwargs)


def of_ours(side: str, case: str, model: nn.Module, lr: Any = 0.01) -> Any:
    _, _, name, kwargs, _ = CASES[case]
    return getattr(rules, name)(lr, **kwargs) if side == "rule" else getattr(optim, name)(model, lr=lr, **kwargs)


def take_steps(optimizer: Any, model: nn.Module, steps: range) -> None:
    for i in steps:
        optimizer.update(model, gradients(model, i))
        mx.eval(model.parameters(), optimizer.state)


def through_file(state: Any, path: Any) -> Any:
    """MLX's recipe, word for word."""
    # A new file each time: MLX reads it only when a number is needed, which may be while it is written again.
    file = str(path / f"optimizer-{len(list(path.iterdir()))}.safetensors")
    mx.save_safetensors(file, dict(tree_flatten(state)))
    return tree_unflatten(list(mx.load(file).items()))


def take_over(optimizer: Any, tree: Any) -> str:
    """The one warning of loading ``tree``."""
    with pytest.warns(UserWarning, match=r"comes from mlx\.optimizers") as caught:
        optimizer.state = tree
    assert len(caught) == 1
    assert caught[0].filename == __file__
    return str(caught[0].message)


def trained(case: str, steps: int = 10, lr: Any = 0.01) -> tuple[Any, Net]:
    optimizer, model = of_mlx(case, lr), net(case)
    take_steps(optimizer, model, range(steps))
    return optimizer, model


def ours_of(flat_mlx: dict[str, np.ndarray], names: dict[str, str]) -> dict[str, np.ndarray]:
    """MLX's slots under our names and shapes."""
    axes = {"row_var": -1, "col_var": -2}
    made = {}
    for path, value in flat_mlx.items():
        parameter, _, name = path.rpartition(".")
        if name in names:
            ours = names[name]
            made[f"{parameter}.{ours}"] = np.expand_dims(value, axes[ours]) if ours in axes else value
    return made


def slots_of(optimizer: Any) -> dict[str, np.ndarray]:
    """path -> slot, as an array of NumPy."""
    return {path: value for path, value in flat(optimizer.state).items() if is_slot(optimizer, path)}


def numbers_of(optimizer: Any) -> dict[str, mx.array]:
    """The learning rate, the count and the other numbers of the (first) group."""
    return optimizer.arrays if isinstance(optimizer, Rule) else optimizer.state["_groups"][0]
