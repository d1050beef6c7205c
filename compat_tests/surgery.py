"""Random programs that take an optimizer apart and put it together again, as pruning, densifying and regrouping do.

A program is a list of operations, drawn from a seed. A session runs it on one side, in torch's words.
"""

from __future__ import annotations

import copy
import pickle
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import torch

import torchish_mlx
from compat_tests.bridge import difference, to_torch
from torchish_mlx.optimizers import RowSparse
from torchish_mlx.parity.sides import OURS, Side, values

Operation = tuple[str, dict[str, Any]]

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.3}, {"momentum": 0.5, "nesterov": True}],
    "Adam": [{}, {"amsgrad": True}, {"weight_decay": 0.1}],
    "AdamW": [{}, {"amsgrad": True}],
    "Adamax": [{}, {"weight_decay": 0.1}],
    "NAdam": [{}, {"decoupled_weight_decay": True, "weight_decay": 0.1}],
    "RAdam": [{}, {"weight_decay": 0.1}],
    "RMSprop": [{}, {"momentum": 0.9, "centered": True}],
    "Adagrad": [{}, {"lr_decay": 0.1}],
    "Adadelta": [{}],
    "Rprop": [{}],
    "ASGD": [{}, {"lambd": 0.1}],
    "Adafactor": [{}],
    "Muon": [{}],
    "SparseAdam": [{}],
    "LBFGS": [{"max_iter": 3}, {"max_iter": 3, "line_search_fn": "strong_wolfe"}],
}  # fmt: skip
WITHIN = {"Muon": 1e-3, "LBFGS": 1e-3}  # of parameters, relative to their largest element or to 0.1; the others:
TOLERANCE = 2e-5


def program(seed: int) -> tuple[str, dict[str, Any], bool, list[tuple[int, ...]], list[int], list[Operation]]:
    """(optimizer, options, whether ours is over an ``mlx.nn`` model, shapes, groups, operations)."""
    rng = random.Random(seed)
    name = rng.choice(list(OPTIONS))
    shapes = [
        rng.choice([(3, 4), (4, 2)] if name == "Muon" else [(3, 4), (4,), (2, 3), (5,)])
        for _ in range(rng.randint(1, 4))
    ]
    cuts = 1 if name == "LBFGS" else rng.randint(1, min(3, len(shapes)))
    group_of = [i % cuts for i in range(len(shapes))]
    kinds: list[str] = ["step"] * 6 + LBFGS_KINDS + ([] if name == "LBFGS" else KINDS)
    operations = [("step", {})]
    for _ in range(rng.randint(4, 14)):
        kind = rng.choice(kinds)
        operations.append((kind, {"a": rng.random(), "b": rng.random(), "seed": rng.randrange(2**31)}))
    operations += [("step", {"seed": 1}), ("step", {"seed": 2, "all": True})]
    return name, rng.choice(OPTIONS[name]), rng.random() < 0.5, shapes, group_of, operations


LBFGS_KINDS = [
    "pop_and_put",
    "hold_delete_put",
    "clear_state",
    "new_state",
    "reload",
    "deepcopied_entries",
    "loose",
    "copied",
]
KINDS = [
    "pickled_entries", "zeroed_entries", "counted_on", "emptied", "other_rate", "resized", "given_to_another", "moved",
    "group_removed_and_added", "groups_reversed", "groups_as_dicts", "merged", "rebuilt", "restored", "deleted",
]  # fmt: skip


class Session:
    """One side of a program."""

    def __init__(
        self, side: Side, name: str, options: dict[str, Any], in_module: bool, shapes: Any, group_of: Any
    ) -> None:
        self.side, self.name, self.options = side, name, options
        rng = np.random.default_rng(7)
        arrays = [rng.standard_normal(shape).astype("f4") for shape in shapes]
        self.model: Any = None
        if side is OURS and in_module:
            self.model = nn.Module()
            for i, a in enumerate(arrays):
                self.model[f"w{i}"] = mx.array(a)
            self.params = list(torchish_mlx.parameters(self.model))
        else:
            self.params = [side.parameter(a) for a in arrays]
        groups = [
            {"params": [p for p, g in zip(self.params, group_of, strict=True) if g == i]}
            for i in range(max(group_of) + 1)
        ]
        for i, group in enumerate(groups[1:]):
            group["lr"] = 0.02 * (i + 1)
        self.opt = self.made(groups)

    def made(self, groups: Any) -> Any:
        return getattr(self.side.optim, self.name)(groups, **self.options)

    def run(self, operation: Operation) -> None:
        kind, arguments = operation
        getattr(self, kind)(**arguments)

    def chosen(self, a: float) -> Any:
        return self.params[int(a * len(self.params))]

    def owner(self, p: Any) -> Any:
        return next(g for g in self.opt.param_groups if any(q is p for q in g["params"]))

    # steps ----------------------------------------------------------------------------------------------------------

    def step(self, seed: int = 0, all: bool = False, **_: Any) -> None:  # noqa: A002
        rng = np.random.default_rng(seed)
        if self.name == "LBFGS":
            self.opt.step(self.closure)
            return
        for p in self.params:
            skipped = rng.random() < 0.25 and not all
            g = rng.standard_normal(tuple(p.shape)).astype("f4")
            p.grad = None if skipped else self.gradient(g)
        self.opt.step()

    def closure(self) -> Any:
        loss: Any = 0.0
        for p in self.params:
            d = values(p).astype("f4") - 1
            h = 1 + np.arange(d.size, dtype="f4").reshape(d.shape) / d.size
            p.grad = self.gradient(h * d)
            loss += float((h * d * d).sum() / 2)
        return self.side.tensor(loss)

    def gradient(self, g: np.ndarray) -> Any:
        if self.name != "SparseAdam":
            return self.side.library.tensor(g)
        rows = np.arange(0, len(g), 2)
        if self.side is OURS:
            return RowSparse(mx.array(rows), mx.array(g[rows]), g.shape)
        return torch.sparse_coo_tensor(torch.tensor(rows)[None], torch.tensor(g[rows]), g.shape, check_invariants=True)

    # entries --------------------------------------------------------------------------------------------------------

    def pop_and_put(self, a: float, **_: Any) -> None:
        p = self.chosen(a)
        if p in self.opt.state:
            self.opt.state[p] = self.opt.state.pop(p)

    def hold_delete_put(self, a: float, **_: Any) -> None:
        p = self.chosen(a)
        if p in self.opt.state:
            held = self.opt.state[p]
            del self.opt.state[p]
            self.opt.state[p] = held
            assert self.opt.state[p] is held

    def deleted(self, a: float, **_: Any) -> None:
        self.opt.state.pop(self.chosen(a), None)

    def deepcopied_entries(self, a: float, **_: Any) -> None:
        p = self.chosen(a)
        if p in self.opt.state:
            self.opt.state[p] = copy.deepcopy(self.opt.state[p])

    def pickled_entries(self, a: float, **_: Any) -> None:
        p = self.chosen(a)
        if p in self.opt.state:
            self.opt.state[p] = pickle.loads(pickle.dumps(self.opt.state[p]))

    def zeroed_entries(self, a: float, **_: Any) -> None:
        for name, value in self.opt.state.get(self.chosen(a), {}).items():
            if hasattr(value, "zero_") and not (self.name == "ASGD" and name in ("step", "eta")):  # see differences.md
                value.zero_()

    def counted_on(self, a: float, b: float, **_: Any) -> None:
        p = self.chosen(a)
        if "step" in self.opt.state.get(p, {}) and hasattr(self.opt.state[p]["step"], "add_"):
            self.opt.state[p]["step"] += int(10 * b)

    def emptied(self, a: float, b: float, **_: Any) -> None:
        p = self.chosen(a)
        if b < 0.5:
            self.opt.state[p] = {}
        else:
            self.opt.state[p].clear()

    def clear_state(self, **_: Any) -> None:
        self.opt.state.clear()

    def new_state(self, **_: Any) -> None:
        self.opt.state = defaultdict(dict)

    def loose(self, b: float, **_: Any) -> None:
        self.opt.state["k"] = self.opt.state["k"] + 1 if "k" in self.opt.state else int(10 * b)

    # parameters -----------------------------------------------------------------------------------------------------

    def resized(self, a: float, b: float, seed: int, **_: Any) -> None:
        """A parameter with fewer rows, or with more, and its entries like it."""
        p = self.chosen(a)
        rows = int(b * 2 * len(p))
        if self.name in ("Adafactor", "Muon") or rows == 0:
            return
        index = np.random.default_rng(seed).integers(0, len(p), rows)

        def part(t: Any) -> Any:
            return self.side.library.tensor(values(t)[index].astype("f4")) if tuple(t.shape) == tuple(p.shape) else t

        entries = {k: part(v) if hasattr(v, "shape") else v for k, v in self.opt.state.get(p, {}).items()}
        if self.model is not None:
            self.model[p.key] = mx.array(values(p)[index].astype("f4"))
            p.grad = None
            if p in self.opt.state:
                self.opt.state[p] = entries
            return
        held = self.opt.state.get(p, None)
        new, group = self.side.parameter(values(p)[index]), self.owner(p)
        if held is not None:
            for k, v in entries.items():
                held[k] = v
            del self.opt.state[p]
        self.replace(p, new, group)
        if held is not None:
            self.opt.state[new] = held

    def given_to_another(self, a: float, **_: Any) -> None:
        """A new Parameter in place of one, with the entries of that one, as ``state[q] = state[p]; del state[p]``."""
        p = self.chosen(a)
        if self.model is not None:
            return
        new = self.side.parameter(values(p))
        self.replace(p, new, self.owner(p))
        if p in self.opt.state:
            self.opt.state[new] = self.opt.state[p]
            del self.opt.state[p]

    def replace(self, p: Any, new: Any, group: Any) -> None:
        i = next(i for i, q in enumerate(group["params"]) if q is p)
        group["params"][i] = new
        self.params[next(i for i, q in enumerate(self.params) if q is p)] = new

    # groups ---------------------------------------------------------------------------------------------------------

    def other_rate(self, a: float, b: float, **_: Any) -> None:
        self.owner(self.chosen(a))["lr"] = 0.01 + 0.1 * b

    def moved(self, a: float, b: float, **_: Any) -> None:
        p, groups = self.chosen(a), self.opt.param_groups
        group = self.owner(p)
        if len(group["params"]) > 1:
            group["params"] = [q for q in group["params"] if q is not p]
            groups[int(b * len(groups))]["params"].append(p)

    def group_removed_and_added(self, a: float, b: float, **_: Any) -> None:
        groups = self.opt.param_groups
        group = groups.pop(int(a * len(groups)))
        self.opt.add_param_group({"params": group["params"], "lr": 0.01 + 0.05 * b})

    def groups_reversed(self, **_: Any) -> None:
        self.opt.param_groups.reverse()

    def groups_as_dicts(self, **_: Any) -> None:
        self.opt.param_groups = [dict(group) for group in self.opt.param_groups]

    def merged(self, **_: Any) -> None:
        first, *others = self.opt.param_groups
        for group in others:
            first["params"] += group["params"]
        del self.opt.param_groups[1:]

    # the whole ------------------------------------------------------------------------------------------------------

    def reload(self, **_: Any) -> None:
        self.opt.load_state_dict(copy.deepcopy(self.opt.state_dict()))

    def rebuilt(self, **_: Any) -> None:
        """Another optimizer over the same groups, which takes over the state."""
        old = self.opt
        self.opt = self.made([{"params": list(g["params"]), "lr": g["lr"]} for g in old.param_groups])
        self.opt.load_state_dict(old.state_dict())

    def restored(self, **_: Any) -> None:
        """Another optimizer over the same groups, which is given the entries of each parameter."""
        old = self.opt
        self.opt = self.made([{"params": list(g["params"]), "lr": g["lr"]} for g in old.param_groups])
        for p in self.params:
            if p in old.state:
                self.opt.state[p] = old.state[p]

    def copied(self, **_: Any) -> None:
        if self.model is None:
            self.params, self.opt = copy.deepcopy((self.params, self.opt))

    # what there is to see -------------------------------------------------------------------------------------------

    def seen(self) -> list[Any]:
        """Parameters, entries, groups, rates, and the entry that belongs to no parameter."""
        state = self.opt.state
        entries = [{k: v for k, v in state.get(p, {}).items() if v is not None} for p in self.params]
        if self.name == "LBFGS":  # near the minimum its directions are rounding errors
            entries = [{k: v for k, v in each.items() if k in ("n_iter", "func_evals")} for each in entries]
        groups = [
            [next(i for i, q in enumerate(self.params) if q is p) for p in g["params"]] for g in self.opt.param_groups
        ]
        return [list(self.params), entries, groups, [g["lr"] for g in self.opt.param_groups], state.get("k")]


def attempt(call: Callable[[], Any]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def distance(mine: list[Any], his: list[Any]) -> float:
    """The largest difference of what two sessions have ``seen``. Raises AssertionError where the structure differs."""
    params = [
        float(np.abs(values(a) - values(b)).max()) / max(0.1, float(np.abs(values(b)).max()))
        for a, b in zip(mine[0], his[0], strict=True)
    ]
    return max(*params, difference(to_torch(mine[1:]), his[1:]), 0.0)
