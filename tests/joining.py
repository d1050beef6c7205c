"""The same loop twice, with small parameters joined and one by one, for the tests of what joining must not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import torchish_mlx as torch
from tests.cases import Net, assert_same, flat
from tests.resume_cases import OPTIMIZERS, Make
from torchish_mlx.optimizers import RowSparse, _core, _paths

SHAPES = [(4, 3), (4,), (), (0,), (1,), (2, 3, 2, 2), (7, 1), (3,), (3, 3)]
#: Those whose formula is not elementwise, or that evaluate it otherwise.
APART = ("LBFGS", "LBFGS-wolfe", "Muon", "Adafactor", "SparseAdam", "MultiOptimizer", "mlx.Adafactor", "mlx.Muon")
ELEMENTWISE = {
    name: make for name, make in OPTIMIZERS.items() if name not in (*APART, "AdamW-fused", "users")
}  # fused=True compiles, and a step that a user wrote has no rule


def several(groups: list[dict[str, Any]]) -> Any:
    """MultiOptimizer: the first parameter is Muon's, vectors are AdamW's, the others Lion's."""
    named = [("first.weight" if i == 0 else str(i), p) for i, p in enumerate(groups[0]["params"])]
    return OPTIMIZERS["MultiOptimizer"]([{"params": named}])


#: All that step by a rule.
STEPPING: dict[str, Make] = {
    **{name: make for name, make in OPTIMIZERS.items() if not name.startswith("LBFGS") and name != "users"},
    "MultiOptimizer": several,
}


def shapes_for(name: str) -> list[tuple[int, ...]]:
    """SHAPES, or the matrices that Muon takes."""
    if name == "MultiOptimizer":
        return [(4, 3), (4,), (3,), (5, 2), (2, 2)]
    return [s for s in SHAPES if len(s) == 2] if name.endswith("Muon") else SHAPES


def for_optimizer(name: str) -> Callable[[int, Any], Any]:
    """What a parameter of this optimizer gets in place of a gradient: rows, one of them twice, for SparseAdam."""

    def rows(_: int, g: mx.array) -> Any:
        if name != "SparseAdam":
            return g
        last = (g.shape or (1,))[0] - 1
        indices = mx.array([last, 0, last] if last > 0 else [0] * (last + 1), mx.int32)
        return RowSparse(indices, (g if g.ndim else g.reshape(1))[indices], g.shape)

    return rows


#: One of each kind of state: none, made by the first step, two moments and a third, numbers that go by the count.
KINDS = ["SGD", "SGD-momentum", "Adam-amsgrad", "NAdam", "ASGD", "Lion"]


def numbers(step: int, i: int, shape: Sequence[int], dtype: mx.Dtype = mx.float32) -> mx.array:
    """The gradient of parameter ``i`` in ``step``; its first value is -1."""
    return mx.array(np.random.default_rng([step + 1, i]).standard_normal(shape).astype("f4")).astype(dtype)


class Loop:
    """Parameters by themselves, or those of a module, and an optimizer that joins them, or (False) does not."""

    def __init__(
        self,
        make: Make,
        foreach: bool | None,
        shapes: Sequence[Any] = SHAPES,
        dtypes: Sequence[mx.Dtype] = (mx.float32,),
        model: Any = None,
        fused: bool | None = None,
    ) -> None:
        self.model, self.foreach, self.fused = model, foreach, fused
        if model is None:
            arrays = [numbers(-1, i, s, dtypes[i % len(dtypes)]) for i, s in enumerate(shapes)]
            self.params: list[Any] = [torch.Parameter(a) for a in arrays]
        else:
            self.params = list(torch.parameters(model))
        self.optimizer = make([{"params": self.params}])
        self.choose()

    def choose(self) -> None:
        """Set the path of every group."""
        for group in self.optimizer.param_groups:
            group["foreach"] = self.foreach
            if self.fused is not None:
                group["fused"] = self.fused

    def gradients(self, step: int) -> list[Any]:
        return [numbers(step, i, p.shape, p.array.dtype) for i, p in enumerate(self.params)]

    def step(self, i: int, change: Callable[[int, Any], Any] = lambda j, g: g) -> None:
        """A step by the gradients of ``i``; ``change(j, g)`` is what parameter ``j`` gets in place of ``g``."""
        for j, (p, g) in enumerate(zip(self.params, self.gradients(i), strict=True)):
            p.grad = change(j, g) if p.requires_grad else None
        self.optimizer.step()

    def held(self) -> dict[str, np.ndarray]:
        """Weights and state."""
        return flat({"params": [p.array for p in self.params], "state": self.optimizer.state_tree()})

    def joined(self) -> int:
        """How many parameters the last step has joined."""
        buckets = [bucket for plan in self.optimizer.state_tree().plans.values() for bucket in plan.buckets]
        return sum(len(bucket.members) for bucket in buckets)


def net() -> Any:
    """A model whose parameters are all trained and small."""
    return Net()


Event = Callable[[Loop, int], None]


def assert_joins_alike(
    make: Make, steps: int = 5, event: Event | None = None, step: Event = Loop.step, joins: bool = True, **where: Any
) -> tuple[Loop, Loop]:
    """After every step weights and state are the same bits, joined and one by one.

    ``event(loop, i)`` happens before step ``i``, ``step(loop, i)`` is the step; ``model`` is called for each loop.
    """
    model = where.pop("model", None)
    one, other = (Loop(make, foreach, model=model and model(), **where) for foreach in (True, False))
    for i in range(steps):
        for loop in (one, other):
            if event is not None:
                event(loop, i)
            step(loop, i)
        assert_same(one.held(), other.held())
        assert other.joined() == 0
    assert not joins or one.joined() > 1  # or nothing was compared
    return one, other


@contextmanager
def kept_apart() -> Iterator[None]:
    """Kernels of small parameters are kept apart as well, as those of large ones are on the CPU."""
    clear = _paths._compiled.cache_clear
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_core, "WORTHWHILE", 1)
        clear()
        yield
    clear()
