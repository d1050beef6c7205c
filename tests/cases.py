"""The table of rules that the tests run over, with the model, the gradients and the comparisons that they share."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_map, tree_unflatten

import torchish_mlx.optimizers as rules
from torchish_mlx.optimizers import Rule

# id -> (class, arguments). Learning rates at which ``test_learns`` converges.
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"learning_rate": 0.1}),
    "SGD-momentum": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-4, "dampening": 0.1}),
    "SGD-nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    "Adam": ("Adam", {"learning_rate": 0.02}),
    "Adam-amsgrad": ("Adam", {"learning_rate": 0.02, "amsgrad": True, "weight_decay": 1e-4}),
    "AdamW": ("AdamW", {"learning_rate": 0.02, "weight_decay": 1e-3}),
    "Adamax": ("Adamax", {"learning_rate": 0.03, "weight_decay": 1e-4}),
    "NAdam": ("NAdam", {"learning_rate": 0.02}),
    "NAdam-decoupled": ("NAdam", {"learning_rate": 0.02, "weight_decay": 1e-3, "decoupled_weight_decay": True}),
    "RAdam": ("RAdam", {"learning_rate": 0.03, "weight_decay": 1e-4}),
    "Adagrad": ("Adagrad", {"learning_rate": 0.3, "lr_decay": 1e-3, "initial_accumulator_value": 0.1}),
    "Adadelta": ("Adadelta", {"learning_rate": 4.0, "rho": 0.9}),
    "RMSprop": ("RMSprop", {"learning_rate": 0.01}),
    "RMSprop-centered": ("RMSprop", {"learning_rate": 0.003, "centered": True, "momentum": 0.5, "alpha": 0.9}),
    "Rprop": ("Rprop", {"learning_rate": 0.01}),
    "ASGD": ("ASGD", {"learning_rate": 0.1, "lambd": 1e-4, "t0": 3}),
    "Adafactor": ("Adafactor", {"learning_rate": 0.1, "eps": (1e-12, 1e-3)}),
    "Muon": ("Muon", {"learning_rate": 0.02, "weight_decay": 1e-3}),
    "SparseAdam": ("SparseAdam", {"learning_rate": 0.02}),
}


def build(case: str, **changes: Any) -> rules.Rule:
    """The rule of a row of the table, with some arguments changed."""
    name, kwargs = RULES[case]
    return getattr(rules, name)(**{**kwargs, **changes})


def only_matrices(case: str) -> bool:
    return RULES[case][0] == "Muon"


class Net(nn.Module):
    """Layers in a list, one of them without parameters; parameters named step and learning_rate; a nested dict."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.layers = [nn.Linear(3, 4, bias=bias), nn.ReLU(), nn.Linear(4, 3, bias=bias)]
        self.step = mx.full((1, 3), 0.1)
        self.learning_rate = mx.full((1, 3), 0.9)
        self.extra = {"gain": mx.ones((1, 3)), "empty": {}, "none": []}
        self.update(tree_map_with_key(lambda key, p: 0.5 * mx.random.normal(p.shape, key=key), self.parameters(), 7))

    def __call__(self, x: mx.array) -> mx.array:
        for layer in self.layers:
            x = layer(x)
        return x * self.learning_rate * self.extra["gain"] + self.step


def net(case: str) -> Net:
    return Net(bias=not only_matrices(case))


def inputs(step: int = 0, rows: int = 8) -> mx.array:
    return mx.random.normal((rows, 3), key=mx.random.key(1000 + step))


def squared_error(model: nn.Module, x: mx.array) -> mx.array:
    """Learn to rotate the coordinates."""
    return mx.mean((model(x) - x[:, ::-1]) ** 2)


def tree_map_with_key(function: Any, tree: Any, seed: int) -> Any:
    """``function(key, leaf)`` over the leaves, with random keys of their own."""
    leaves = tree_flatten(tree)
    keys = mx.random.split(mx.random.key(seed), max(len(leaves), 1))
    mapped = iter([function(key, leaf) for key, (_, leaf) in zip(keys, leaves, strict=False)])
    return tree_map(lambda _: next(mapped), tree)


def gradients(model: Any, step: int, dtype: mx.Dtype | None = None) -> Any:
    """Arrays like the parameters of ``model`` (a module or a tree), of the same numbers at every call."""
    tree = model.trainable_parameters() if isinstance(model, nn.Module) else model
    return tree_map_with_key(lambda key, p: mx.random.normal(p.shape, key=key).astype(dtype or p.dtype), tree, step)


def for_rule(rule: Any, tree: Any) -> Any:
    """A tree of gradients as ``rule`` takes them: SparseAdam gets rows, one of which comes twice."""
    if not rule.sparse:
        return tree

    def rows(g: mx.array) -> rules.RowSparse:
        last = (g.shape or (1,))[0] - 1
        indices = mx.array([last, 0, last] if last else [0])
        return rules.RowSparse(indices, (g if g.ndim else g.reshape(1))[indices], g.shape)

    return tree_map(rows, tree)


def take_steps(rule: Any, model: nn.Module, steps: range, dtype: mx.Dtype | None = None) -> None:
    """Updates by the gradients of those steps, each evaluated."""
    for i in steps:
        rule.update(model, for_rule(rule, gradients(model, i, dtype)))
        mx.eval(model.parameters(), rule.state)


def flat(tree: Any) -> dict[str, np.ndarray]:
    """path -> a copy of the array, as NumPy (half precision widened); what is no array stays as it is."""
    leaves = tree_flatten(tree.parameters() if isinstance(tree, nn.Module) else tree, destination={})
    leaves = {path: leaf for path, leaf in leaves.items() if not path.endswith("_structure")}  # it has no numbers
    return {path: numpy(leaf) if isinstance(leaf, mx.array) else leaf for path, leaf in leaves.items()}


def is_slot(optimizer: Any, path: str) -> bool:
    """Whether the array at ``path`` of an optimizer's state is of a parameter, and not a number of all of them."""
    return not path.startswith("_groups") and not (isinstance(optimizer, Rule) and path in ("step", "learning_rate"))


def numpy(array: mx.array) -> np.ndarray:
    return np.array(array.astype(mx.float32) if array.dtype in (mx.float16, mx.bfloat16) else array)


def assert_same(a: Any, b: Any) -> None:
    """The same tree, bit for bit."""
    a, b = flat(a), flat(b)
    assert a.keys() == b.keys()
    for path, value in a.items():
        np.testing.assert_array_equal(value, b[path], err_msg=path, strict=True)


def assert_close(a: Any, b: Any, ulps: float) -> None:
    """The same tree, each element within ``ulps`` units in the last place of the largest element of its array."""
    a, b = flat(a), flat(b)
    assert a.keys() == b.keys()
    for path, value in a.items():
        assert value.shape == b[path].shape, path
        if value.size:
            unit = np.spacing(np.float32(np.abs(b[path]).max()))
            worst = np.abs(value.astype(np.float64) - b[path].astype(np.float64)).max() / unit
            assert worst <= ulps, f"{path}: {worst} ulps"


def assert_changed(a: Any, b: Any) -> None:
    """Every array of the two trees differs somewhere."""
    a, b = flat(a), flat(b)
    assert a.keys() == b.keys()
    assert a
    for path, value in a.items():
        assert np.any(value != b[path]), path


def saved(tree: Any) -> Any:
    """A tree with arrays of its own, as a checkpoint holds them."""
    return tree_unflatten(tree_flatten(tree_map(lambda a: a + 0 if isinstance(a, mx.array) else a, tree)))
