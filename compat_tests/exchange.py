"""A model, an optimizer and a scheduler on one side: trained on given gradients, saved, and loaded on the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx
from compat_tests.sides import DTYPES
from compat_tests.twin import our_quadratic, their_quadratic
from compat_tests.two_sides import OURS, THEIRS, Side
from torchish_mlx.parity.optimizer_cases import (
    CASES,
    INFO,
    Case,
    Holder,
    Scenario,
    as_leaf,
    inputs,
    our_gradient,
    split,
    torch_gradient,
)
from torchish_mlx.parity.scheduler_cases import made
from torchish_mlx.parity.scheduler_pair import advance

FIRST, MORE = 10, 10  # steps before the file, and after it
EPOCH = 3


@dataclass(frozen=True)
class Variant(Case):
    """A row of optim_db with more options."""

    more: tuple[tuple[str, Any], ...] = ()

    @property
    def kwargs(self) -> dict[str, Any]:
        return {**super().kwargs, **{k: v() if callable(v) else v for k, v in self.more}}

    __repr__ = Case.__repr__


def variant(name: str, **more: Any) -> Variant:
    return Variant(name, 0, tuple(more.items()))


VARIANTS = [
    variant("Adam", foreach=True),
    variant("Adam", fused=True),
    variant("Adam", amsgrad=True, decoupled_weight_decay=True),
    variant("Adam", lr=lambda: torch.tensor(0.01)),
    variant("AdamW", fused=True, amsgrad=True),
    variant("AdamW", foreach=False, lr=lambda: torch.tensor(0.01)),
    variant("Adagrad", foreach=True),
    variant("Adagrad", fused=True),
    variant("ASGD", foreach=True),
    variant("NAdam", foreach=True, decoupled_weight_decay=True),
    variant("RAdam", foreach=True),
    variant("RMSprop", foreach=True, momentum=0.9),
    variant("RMSprop", centered=True),
    variant("Rprop", foreach=True),
    variant("Adadelta", foreach=True),
    variant("Adamax", foreach=True),
    variant("Adafactor", eps=(1e-30, 1e-3), d=2.0),
    variant("SGD", foreach=True, momentum=0.9, nesterov=True),
    variant("SGD", fused=True),
    variant("Muon", nesterov=False, adjust_lr_fn="match_rms_adamw"),
    variant("LBFGS", history_size=3, max_iter=2),
]


@dataclass(frozen=True)
class Small(Variant):
    """A row of optim_db over a few small parameters."""

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [(3,), (2, 2), ()]

    __repr__ = Case.__repr__


DEFAULTS = [Case(name, 0) for name in INFO]
ALL = [*CASES, *VARIANTS]


class Mirror(torch.nn.Module):
    """``parity.Holder`` in torch: the same names in the same order."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        super().__init__()
        self.step, self.learning_rate = map(torch.nn.Parameter, tensors[:2])
        self.rest = torch.nn.ModuleList(torch.nn.Module() for _ in tensors[2:])
        for cell, tensor in zip(self.rest, tensors[2:], strict=True):
            cell.weight = torch.nn.Parameter(tensor)


class Run:
    """One side of an exchange.

    ``fresh(side)`` is a run as one would build it to load a file: of other weights and, but for Small, with the default
    options, for all that matters must be in the file.
    """

    def __init__(
        self,
        side: Side,
        case: Case,
        scheduler: str = "StepLR-30",
        dtype: torch.dtype = torch.float32,
        named: bool = False,
        empty: bool = False,
    ) -> None:
        self.side, self.case, self.kind, self.dtype, self.named = side, case, scheduler, dtype, named
        self.scenario = Scenario(FIRST + MORE, groups=case.name != "LBFGS", missing=case.name != "LBFGS")
        init, self.gradients = inputs(tuple(case.shapes), FIRST + MORE)
        tensors = [(torch.zeros(a.shape) if empty else torch.tensor(a)).to(dtype) for a in init]
        if side is OURS:
            self.model: Any = Holder([mx.array(t.float().numpy()).astype(DTYPES[dtype]) for t in tensors])
            pairs = list(torchish_mlx.named_parameters(self.model))
        else:
            self.model = Mirror(tensors)
            pairs = list(self.model.named_parameters())
        self.params = [p for _, p in pairs]
        given = split(pairs if named else self.params, case, self.scenario)
        self.optimizer = getattr(side.optim, case.name)(given, **(case.ours if side is OURS else case.kwargs))
        self.scheduler = made(scheduler, side, self.optimizer)
        self.done = 0

    def fresh(self, side: Side) -> Run:
        case = self.case if isinstance(self.case, Small) else Case(self.case.name, 0)
        run = Run(side, case, self.kind, self.dtype, self.named, empty=True)
        run.case, run.done = self.case, self.done
        return run

    def train(self, steps: int) -> None:
        for _ in range(steps):
            i, self.done = self.done, self.done + 1
            if self.case.name == "LBFGS":
                self.optimizer.step(self.closure)
            else:
                for j, p in enumerate(self.params):
                    p.grad = self.gradient(i, j, p) if self.scenario.has_gradient(i, j) else None
                self.optimizer.step()
            advance(self.scheduler)

    def closure(self) -> Any:
        quadratic = our_quadratic if self.side is OURS else their_quadratic
        return quadratic(self.params, self.gradients[0])

    def gradient(self, i: int, j: int, p: Any) -> Any:
        if self.side is THEIRS:
            return torch_gradient(self.case, i, j, self.gradients[i][j], p.dtype)
        gradient = our_gradient(self.case, i, j, self.gradients[i][j])
        if isinstance(gradient, tuple):
            return as_leaf((gradient[0], gradient[1].astype(p.array.dtype)), p)
        return gradient.astype(p.array.dtype)

    def saved(self) -> dict[str, Any]:
        """What a training script saves."""
        model = torchish_mlx.state_dict(self.model) if self.side is OURS else self.model.state_dict()
        optimizer, scheduler = self.optimizer.state_dict(), self.scheduler.state_dict()
        return {"model": model, "optimizer": optimizer, "scheduler": scheduler, "epoch": EPOCH}

    def load(self, saved: Mapping[str, Any]) -> Run:
        if self.side is OURS:
            torchish_mlx.load_state_dict(self.model, saved["model"])
        else:
            self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        assert saved["epoch"] == EPOCH
        return self


def save(obj: Any, side: Side, file: Path, **options: Any) -> Path:
    """``file``, with ``obj`` in it."""
    side.library.save(obj, file, **options)
    return file


def load(side: Side, file: Path) -> Any:
    return side.library.load(file, weights_only=True)


def carried(run: Run, target: Side, folder: Path) -> Run:
    """The same run on the other side, from a file, and there and back once.

    What is read from each file and what is loaded from it is ``run``'s to the bit; of torch's older format too.
    """
    expected = exact(run.saved())

    def through(run: Run, target: Side, name: str, **options: Any) -> Run:
        loaded = load(target, save(run.saved(), run.side, folder / name, **options))
        assert exact(loaded) == expected
        other = run.fresh(target).load(loaded)
        assert exact(other.saved()) == expected
        return other

    if run.side is THEIRS:
        through(run, target, "older.pt", _use_new_zipfile_serialization=False)
    other = through(run, target, "run.pt")
    through(other, run.side, "back.pt")
    return other


def exact(value: Any, where: str = "", leaf: Callable[[Any], str] = repr) -> list[tuple[str, Any]]:
    """``value`` in terms that are the same on both sides, place by place: types, dtypes, shapes, bytes, order of keys.

    One order has no meaning and is not kept here: the parameters in an optimizer's ``state`` (torch has the one that
    got a gradient first in front), and the entries of LBFGS.
    """
    if isinstance(value, (torch.Tensor, torchish_mlx.Tensor)):
        kind = "Parameter" if isinstance(value, (torch.nn.Parameter, torchish_mlx.Parameter)) else "Tensor"
        return [(where, (kind, *content(value)))]
    if isinstance(value, (Mapping, list, tuple)):
        items: Any = value.items() if isinstance(value, Mapping) else enumerate(value)
        if where.endswith("['state']") or (isinstance(value, Mapping) and "func_evals" in value):
            items = sorted(items)
        found = [(where, (type(value).__name__, len(value)))]
        return found + [place for key, v in items for place in exact(v, f"{where}[{key!r}]", leaf)]
    return [(where, leaf(value))]


def content(t: Any) -> tuple[str, tuple[int, ...], bytes]:
    """(dtype, shape, bytes) of a tensor."""
    if isinstance(t, torch.Tensor):
        flat = t.detach().contiguous().reshape(-1)
        return str(DTYPES[t.dtype]), tuple(t.shape), flat.view(torch.uint8).numpy().tobytes() if t.numel() else b""
    flat = mx.contiguous(t.array.reshape(-1))
    return str(t.array.dtype), tuple(t.shape), np.array(flat.view(mx.uint8)).tobytes() if t.array.size else b""


def outline(value: Any) -> list[tuple[str, Any]]:
    """``exact`` without what training changes: of a tensor the dtype and shape, of a float that it is one."""
    found = exact(value, leaf=lambda v: "float" if isinstance(v, float) else repr(v))
    return [(where, what[:3] if isinstance(what, tuple) else what) for where, what in found]
