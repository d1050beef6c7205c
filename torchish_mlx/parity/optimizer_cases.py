"""One optimizer, run by torch and by us on the same inputs, and the difference of everything that it keeps.

The cases are torch's own: ``optim_db``, 91 configurations of 15 optimizers. Gradients are given (random, fixed), so the
difference is the optimizer's alone. Tolerances come from torch itself: its float32 result against its float64 result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import torch
from torch.testing._internal.common_optimizers import optim_db

import torchish_mlx
from torchish_mlx import optim
from torchish_mlx.optimizers import RowSparse
from torchish_mlx.testing import as_numpy

from .sides import Differs

SHAPES: list[tuple[int, ...]] = [(7, 5), (5,), (), (0,), (3, 4, 2), (8, 3, 2, 2)]
MATRICES: list[tuple[int, ...]] = [(7, 5), (5, 7), (6, 6)]  # Muon takes nothing else
INFO = {info.optim_cls.__name__: info for info in optim_db}
COUNTED = {name for name in INFO if name not in ("SGD", "Muon", "LBFGS")}
ROOM = 4  # how often torch's own rounding we may differ
LIMIT = 1e-5  # ... and never more than this, relative to the largest element of the tensor


@dataclass(frozen=True)
class Case:
    """A row of optim_db."""

    name: str
    number: int

    @property
    def kwargs(self) -> dict[str, Any]:
        return dict(INFO[self.name].optim_inputs_func(device="cpu")[self.number].kwargs)

    @property
    def ours(self) -> dict[str, Any]:
        return {k: torchish_mlx.tensor(v.item()) if isinstance(v, torch.Tensor) else v for k, v in self.kwargs.items()}

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        if self.name == "Muon":
            return MATRICES
        if self.name == "Adafactor":  # torch divides by the number of elements
            return [s for s in SHAPES if s != (0,)]
        return SHAPES

    def __repr__(self) -> str:
        kwargs = {k: v.item() if isinstance(v, torch.Tensor) else v for k, v in self.kwargs.items()}
        return f"{self.name}-{','.join(f'{k}={v}' for k, v in kwargs.items()) or 'default'}"


CASES = [Case(name, i) for name, info in INFO.items() for i in range(len(info.optim_inputs_func(device="cpu")))]
RULES = [case for case in CASES if case.name != "LBFGS"]


@dataclass(frozen=True)
class Scenario:
    """What happens in addition to steps: numbers that move, two groups, gradients that are missing."""

    steps: int = 20
    moving: bool = False
    groups: bool = False
    missing: bool = False

    def has_gradient(self, i: int, j: int) -> bool:
        return not self.missing or ((i + j) % 3 != 0 and not (j == 1 and i < 5))


@functools.cache
def inputs(shapes: tuple[tuple[int, ...], ...], steps: int) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Initial parameters, and the gradients of each step."""
    rng = np.random.default_rng(1)
    return [rng.standard_normal(s).astype("f4") for s in shapes], [
        [rng.standard_normal(s).astype("f4") for s in shapes] for _ in range(steps)
    ]


def rows(i: int, j: int, shape: tuple[int, ...]) -> np.ndarray:
    """The rows that the sparse gradient of step ``i``, parameter ``j`` has; one index occurs twice."""
    n = shape[0] if shape else 1
    return np.array([(i + j) % n, (2 * i) % n, (i + j) % n]) if n else np.zeros(0, int)


def moved(i: int, base: dict[str, Any]) -> dict[str, Any]:
    """What moves in the step ``i`` of a group that was constructed with ``base``."""
    wave = 1 + 0.5 * float(np.sin(i))
    new: dict[str, Any] = {"lr": float(base["lr"]) * wave}
    if "betas" in base:
        new["betas"] = (base["betas"][0] * (1 - 0.05 * (i % 3)), base["betas"][1] * (1 - 1e-3 * (i % 2)))
    if base.get("momentum"):
        new["momentum"] = base["momentum"] * (1 - 0.05 * (i % 3))
    if "weight_decay" in base:
        new["weight_decay"] = base["weight_decay"] + 0.01 * (i % 4)
    return new


def split(params: list[Any], case: Case, scenario: Scenario) -> Any:
    """The parameters as the constructor's first argument."""
    if not scenario.groups:
        return params
    second: dict[str, Any] = {"params": params[1::2], "lr": 0.005}
    if case.name not in ("SparseAdam", "Rprop"):
        second["weight_decay"] = 0.05
    return [{"params": params[0::2]}, second]


def torch_gradient(case: Case, i: int, j: int, g: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    if case.name != "SparseAdam":
        return torch.tensor(g, dtype=dtype)
    index = rows(i, j, g.shape)
    values = torch.tensor(g.reshape(-1, *g.shape[1:])[index] if g.ndim else np.repeat(g[None], len(index)), dtype=dtype)
    if not g.ndim:  # torch's sparse scalar has no index at all
        return torch.sparse_coo_tensor(
            torch.zeros((0, len(index)), dtype=torch.long), values, (), check_invariants=True
        )
    return torch.sparse_coo_tensor(torch.tensor(index)[None], values, g.shape, check_invariants=True)


def our_gradient(case: Case, i: int, j: int, g: np.ndarray) -> Any:
    """An array, or for SparseAdam (indices, values): what a compiled function takes as an argument."""
    if case.name != "SparseAdam":
        return mx.array(g)
    index = rows(i, j, g.shape)
    values = g[index] if g.ndim else np.repeat(g[None], len(index))
    return mx.array(index.astype("i4")), mx.array(values)


def as_leaf(gradient: Any, p: Any) -> Any:
    if not isinstance(gradient, tuple):
        return gradient
    indices, values = gradient
    return RowSparse(indices, values, tuple(p.shape))


Result = dict[str, list[np.ndarray]]  # "param" and the names of state entries -> one array a parameter
Trajectory = dict[int, Result]  # after how many steps -> what there was


def collected(params: list[Any], state: Any) -> Result:
    out: Result = {"param": [as_numpy(p) for p in params]}
    for p in params:
        for name, value in dict(state.get(p, {})).items():
            out.setdefault(name, []).append(as_numpy(value))
    return out


def marks(steps: int) -> tuple[int, ...]:
    """After which steps the report compares: 1, 2, 5, 10, 20, 50, ... and the last."""
    return (*(n for power in range(9) for digit in (1, 2, 5) if (n := digit * 10**power) < steps), steps)


def drive(
    scenario: Scenario,
    opt: Any,
    step: Callable[[int], None],
    look: Callable[[], Result],
    at: tuple[int, ...] = (),
) -> Trajectory:
    """Make all steps of a scenario; gives what is kept after the last one and after those of ``at``."""
    base, seen = based(opt), {}
    for i in range(scenario.steps):
        if scenario.moving:
            for group, start in zip(opt.param_groups, base, strict=True):
                group.update(moved(i, start))
        step(i)
        if i + 1 in (*at, scenario.steps):
            seen[i + 1] = look()
    return seen


def based(opt: Any) -> list[dict[str, Any]]:
    """The groups as constructed (a tensor lr as a float: this test then writes floats)."""
    return [{k: v for k, v in group.items() if k != "params"} for group in opt.param_groups]


def theirs(case: Case, scenario: Scenario, double: bool = False) -> Result:
    """torch's result."""
    return their_trajectory(case, scenario, double)[scenario.steps]


@functools.cache
def their_trajectory(case: Case, scenario: Scenario, double: bool = False) -> Trajectory:
    """torch's results at ``marks``."""
    dtype = torch.float64 if double else torch.float32
    init, grads = inputs(tuple(case.shapes), scenario.steps)
    params = [torch.nn.Parameter(torch.tensor(a, dtype=dtype)) for a in init]
    opt = INFO[case.name].optim_cls(split(params, case, scenario), **case.kwargs)

    def step(i: int) -> None:
        for j, p in enumerate(params):
            p.grad = torch_gradient(case, i, j, grads[i][j], dtype) if scenario.has_gradient(i, j) else None
        opt.step()

    return drive(scenario, opt, step, lambda: collected(params, opt.state), marks(scenario.steps))


class Cell(nn.Module):
    def __init__(self, array: mx.array) -> None:
        super().__init__()
        self.weight = array


class Holder(nn.Module):
    """A module with the parameters of a case: in a list of layers, and under the names that break others."""

    def __init__(self, arrays: list[mx.array]) -> None:
        super().__init__()
        self.step, self.learning_rate = arrays[0], arrays[1]
        self.rest = [Cell(array) for array in arrays[2:]]

    def tree(self, leaves: list[Any]) -> dict[str, Any]:
        """A tree of gradients; what is missing is left out, as MLX leaves out frozen layers."""
        named = {"step": leaves[0], "learning_rate": leaves[1]}
        tree: dict[str, Any] = {k: v for k, v in named.items() if v is not None}
        return tree | {"rest": [{} if v is None else {"weight": v} for v in leaves[2:]]}

    def ordered(self) -> list[Any]:
        return list(torchish_mlx.parameters(self))


def ours(
    case: Case,
    scenario: Scenario,
    doors: tuple[str, ...] = ("step",),
    compiled: bool = False,
    path: dict[str, bool] | None = None,
    **more: Any,
) -> tuple[Result, int]:
    """Our result, by the given doors in turn, and how often the step was traced."""
    seen, traces = our_trajectory(case, scenario, doors, compiled, path, **more)
    return seen[scenario.steps], traces


def our_trajectory(
    case: Case,
    scenario: Scenario,
    doors: tuple[str, ...] = ("step",),
    compiled: bool = False,
    path: dict[str, bool] | None = None,
    at: tuple[int, ...] = (),
    **more: Any,
) -> tuple[Trajectory, int]:
    """Our results after the last step and those of ``at``, and how often the step was traced.

    ``path`` is ``foreach`` or ``fused`` of every group; what the case itself says of them comes first.
    """
    init, grads = inputs(tuple(case.shapes), scenario.steps)
    model = Holder([mx.array(a) for a in init])
    params = model.ordered()
    opt = getattr(optim, case.name)(split(params, case, scenario), **{**case.ours, **more})
    for group in opt.param_groups:
        group.update({option: on for option, on in (path or {}).items() if option not in case.kwargs})
    traces = []

    def advance(leaves: list[Any], door: str) -> None:
        traces.append(door)
        leaves = [as_leaf(g, p) for g, p in zip(leaves, params, strict=True)]
        if door == "step":
            for p, g in zip(params, leaves, strict=True):
                p.grad = g
            opt.step()
        elif door == "update":
            opt.update(model, model.tree(leaves))
        else:
            model.update(opt.apply_gradients(model.tree(leaves), model.parameters()))

    captured = [model.state, opt.state]
    calls: dict[str, Any] = {
        door: mx.compile(functools.partial(advance, door=door), inputs=captured, outputs=captured)
        if compiled
        else functools.partial(advance, door=door)
        for door in doors
    }

    def step(i: int) -> None:
        leaves = [our_gradient(case, i, j, g) if scenario.has_gradient(i, j) else None for j, g in enumerate(grads[i])]
        calls[doors[i % len(doors)]](leaves)
        mx.eval(captured)

    return drive(scenario, opt, step, lambda: collected(params, opt.state), at), len(traces)


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """max |a - b| / max |b|"""
    if not a.size:
        return 0.0
    return float(np.abs(a - b).max() / max(np.abs(b).max(), np.finfo("f4").tiny))


def worst(a: Result, b: Result) -> dict[str, float]:
    """Per kind of entry, the largest relative difference over the tensors."""
    if a.keys() != b.keys():
        raise Differs(f"entries {sorted(a)}, torch's are {sorted(b)}")
    out = {}
    for name in a:
        shapes, expected = ([x.shape for x in side[name]] for side in (a, b))
        if shapes != expected:
            raise Differs(f"{name} has the shapes {shapes}, torch's are {expected}")
        out[name] = max((relative(x, y) for x, y in zip(a[name], b[name], strict=True)), default=0.0)
    return out


@functools.cache
def rounding(case: Case, scenario: Scenario) -> float:
    """torch's own rounding on this case: the largest relative difference of its float32 from its float64 result."""
    return max(worst(theirs(case, scenario), theirs(case, scenario, double=True)).values())


def allowed_error(case: Case, scenario: Scenario) -> float:
    """4 times torch's own rounding, and at most 1e-5.

    Muon's Newton-Schulz iteration runs in bfloat16: one product that rounds to the other side turns an element of the
    update by units of bfloat16 in its last place, 2**-8, and later steps add to it (measured: 2.3e-2 * lr in 100 steps;
    torch's own bfloat16, between a float32 and a float64 gradient, 2.2e-2 * lr).
    """
    if case.name == "Muon":
        return 4e-2 * float(case.kwargs.get("lr", 1e-3))
    return min(ROOM * rounding(case, scenario), LIMIT)


def failures(result: Result, case: Case, scenario: Scenario) -> Iterator[str]:
    """What differs by more than is allowed."""
    allowed = allowed_error(case, scenario)
    for name, error in worst(result, theirs(case, scenario)).items():
        if not error <= allowed:
            yield f"{name}: {error:.2e} > {allowed:.2e} (torch's own rounding: {rounding(case, scenario):.2e})"
