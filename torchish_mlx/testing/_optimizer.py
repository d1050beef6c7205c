"""``assert_optimizer_parity`` gives two optimizers the same gradients, and compares everything that they keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.sparse import RowSparse
from .._tensor.tensor import Tensor
from ..optim import LBFGS, Muon, Optimizer, SparseAdam
from ._close import shortest
from ._ulps import as_numpy, common_dtype, distances, dtype_name, largest, unit

#: (step, number of the parameter, its shape) -> gradient, or None for a parameter that has none in this step.
Gradients = Callable[[int, int, tuple[int, ...]], Any]

WAYS = ("foreach", "fused", "capturable", "differentiable")  # how a step is computed, not what
NOT_OPTIONS = ("params", "param_names", *WAYS)


@dataclass(frozen=True)
class Worst:
    """The largest error of one entry over all steps: how many ulps, in which step, of which parameter, where in it."""

    ulps: float
    step: int
    parameter: str
    index: tuple[int, ...]


@dataclass
class OptimizerParity:
    """What :func:`assert_optimizer_parity` measured; ``print`` shows it as a table.

    Attributes:
        steps: how many were compared.
        allowed: the error that was allowed, in ulps.
        moved: how far the parameter that moved most is from where it began, in ulps.
        entries: by name, "param" and the entries of the state, the worst error.
    """

    steps: int
    allowed: float
    moved: float = 0.0
    entries: dict[str, Worst] = field(default_factory=dict)

    @property
    def ulps(self) -> float:
        """The worst error of all."""
        return max((worst.ulps for worst in self.entries.values()), default=0.0)

    def __str__(self) -> str:
        lines = [f"{self.steps} steps, {self.allowed:g} ulps allowed"]
        for name, w in self.entries.items():
            lines.append(f"{name:<16} {w.ulps:8.3g} ulps  step {w.step}, parameter {w.parameter} at {w.index}")
        return "\n".join(lines)


def assert_optimizer_parity(
    ours: Optimizer,
    theirs: Any,
    *,
    steps: int = 20,
    ulps: float | None = None,
    gradients: Gradients | None = None,
    seed: int = 0,
    sparse: bool | None = None,
    entries: Mapping[str, str] | None = None,
) -> OptimizerParity:
    """Give the same gradients to two optimizers, step both, and compare all that they keep after every step.

    Compared are the options of the groups (all but how a step is computed: ``foreach``, ``fused``, ``capturable``,
    ``differentiable``), every entry of the state, and the parameters. An error is measured in units in the last place
    of the largest element that the array has had so far: an average that passes zero is a difference of larger numbers.

    Args:
        ours: an optimizer of this package, or your own subclass.
        theirs: a ``torch.optim`` optimizer, or another of this package, with parameters of the same shapes, dtypes and
            values in the same order and groups. Both are stepped, and their gradients replaced.
        steps: how many, 1 or more.
        ulps: the error that is allowed, in units in the last place, 0 or more. None is 32, and for Muon, whose matrix
            iteration runs in bfloat16, 2**18 times its lr. Half precision has no usual error: torch rounds there after
            every operation, and this package once.
        gradients: ``gradients(step, number, shape)``, steps from 1, gives the gradient of a parameter: an array, None
            for none, a ``RowSparse``. Left out: normally distributed random numbers.
        seed: of the random gradients.
        sparse: whether gradients are given as rows: those that are not all 0. None: where ``ours`` is a SparseAdam.
        entries: what an entry of the state is called in ``ours``, and what in ``theirs``; only these are compared, with
            {} none. None: all, by the same names.

    Returns:
        The worst error of each entry.

    Raises:
        AssertionError: the first step in which something differs, what, where and by how much; or that no parameter
            moved by more than the error that is allowed, so that nothing was shown.
        TypeError, ValueError: no optimizers, other parameters, L-BFGS; nothing is changed then.

    >>> import mlx.core as mx
    >>> from torchish_mlx import Parameter, optim
    >>> ours = optim.AdamW([Parameter(mx.ones((3, 2)))], lr=1e-2)
    >>> theirs = optim.AdamW([Parameter(mx.ones((3, 2)))], lr=1e-2, foreach=False)
    >>> assert_optimizer_parity(ours, theirs).ulps
    0.0
    """
    pairs = _checked(ours, theirs, steps, ulps)
    if ulps is None:
        ulps = _usual(ours, pairs)
    rows = isinstance(ours, SparseAdam) if sparse is None else sparse
    draw = gradients or _random(seed, rows)
    comparison = _Comparison(ours, theirs, pairs, OptimizerParity(steps, ulps), entries)
    comparison.compare(0)
    for step in range(1, steps + 1):
        given = [draw(step, number, tuple(p.shape)) for number, (p, _) in enumerate(pairs)]
        gradients_of_both = [[_converted(g, x, rows) for x in pair] for g, pair in zip(given, pairs, strict=True)]
        for (p, q), (mine, his) in zip(pairs, gradients_of_both, strict=True):
            p.grad, q.grad = mine, his
        ours.step()
        theirs.step()
        comparison.compare(step)
    return comparison.finished()


# -- what is given -------------------------------------------------------------------------------------------


def _checked(ours: Any, theirs: Any, steps: int, ulps: float | None) -> list[tuple[Any, Any]]:
    """The parameters in pairs."""
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps is an int of 1 or more, not {steps!r}")
    if ulps is not None and not ulps >= 0:
        raise ValueError(f"ulps is a number of 0 or more, not {ulps!r}")
    if not isinstance(ours, Optimizer):
        raise TypeError(f"the first argument is an optimizer of torchish_mlx.optim, not {_kind(ours)}")
    if not all(hasattr(theirs, name) for name in ("param_groups", "state", "step")):
        raise TypeError(f"the second argument is an optimizer as torch's, not {_kind(theirs)}")
    if isinstance(ours, LBFGS):
        raise TypeError(
            "L-BFGS asks a closure for losses and gradients where it likes, so it can't be given any: compare two "
            "trainings by assert_training_parity"
        )
    sizes = [[len(group["params"]) for group in opt.param_groups] for opt in (ours, theirs)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"ours has groups of {sizes[0]} parameters, theirs of {sizes[1]}")
    mine, his = ([p for group in opt.param_groups for p in group["params"]] for opt in (ours, theirs))
    pairs = list(zip(mine, his, strict=True))
    for number, (p, q) in enumerate(pairs):
        if not hasattr(q, "new_tensor"):
            raise TypeError(f"parameter {number} of theirs is no tensor like torch's, but {_kind(q)}")
        if tuple(p.shape) != tuple(q.shape):
            raise ValueError(f"parameter {number} has shape {list(p.shape)} in ours and {list(q.shape)} in theirs")
        if dtype_name(p) != dtype_name(q):
            raise ValueError(f"parameter {number} is of {dtype_name(p)} in ours and of {dtype_name(q)} in theirs")
        if not np.array_equal(as_numpy(p), as_numpy(q), equal_nan=True):
            raise ValueError(
                f"parameter {number} is not the same at the start. Copy theirs into ours (float32), for each pair of "
                "parameters: p.array = mx.array(q.detach().numpy())"
            )
    return pairs


def _usual(ours: Optimizer, pairs: list[tuple[Any, Any]]) -> float:
    """The error that is allowed.

    Measured on the CPU over 20 and 100 steps of all of torch's own configurations, against torch: up to 6 ulps, 21 of
    Adadelta's average of its steps, and 1e5 times the lr of Muon's parameters. 100 steps are no worse than 20.
    """
    for number, (p, _) in enumerate(pairs):
        if dtype_name(p) in ("float16", "bfloat16"):
            raise ValueError(
                f"parameter {number} is of {dtype_name(p)}, where torch rounds after every operation and this package "
                "once: compare the optimizers in float32, or say how many ulps you allow"
            )
    if isinstance(ours, Muon):
        return float(2**18 * max(float(group["lr"]) for group in ours.param_groups))
    return 32.0


def _random(seed: int, rows: bool) -> Gradients:
    rng = np.random.default_rng(seed)

    def draw(step: int, number: int, shape: tuple[int, ...]) -> np.ndarray:  # noqa: ARG001 - as users' functions
        gradient = rng.standard_normal(shape).astype(np.float32)
        if rows and shape:
            gradient[rng.random(shape[0]) < 0.5] = 0
        return gradient

    return draw


def _converted(gradient: Any, p: Any, rows: bool) -> Any:
    """``gradient`` as ``p`` takes it: in its library, its dtype and on its device."""
    if gradient is None:
        return None
    rows = rows or isinstance(gradient, RowSparse)
    dense = as_numpy(gradient)
    if dense.shape != tuple(p.shape):
        raise ValueError(f"a gradient of shape {list(dense.shape)} for a parameter of shape {list(p.shape)}")
    if dtype_name(p) != "float64":
        dense = dense.astype(np.float32)
    if not isinstance(p, Tensor):
        made = p.detach().new_tensor(dense)
        return made.to_sparse(min(1, dense.ndim)) if rows else made
    array = mx.array(dense, p.array.dtype)
    if not rows:
        return array
    where = np.flatnonzero(np.any(dense.reshape(len(dense), -1), axis=1)) if dense.ndim else np.zeros(1, int)
    values = array[mx.array(where)] if dense.ndim else array[None]
    return RowSparse(mx.array(where.astype(np.int32)), values, tuple(p.shape))


# -- what is compared ----------------------------------------------------------------------------------------


class _Comparison:
    """Two optimizers, what was measured of them, and how large each array has been."""

    def __init__(
        self,
        ours: Optimizer,
        theirs: Any,
        pairs: list[tuple[Any, Any]],
        found: OptimizerParity,
        entries: Mapping[str, str] | None,
    ) -> None:
        self.ours, self.theirs, self.pairs, self.found, self.entries = ours, theirs, pairs, found, entries
        self.largest: dict[tuple[str, int], Any] = {}
        self.start = [as_numpy(q) for _, q in pairs]
        self.names = [
            name or getattr(p, "path", None)
            for group in ours.param_groups
            for p, name in zip(group["params"], group.get("param_names") or [None] * len(group["params"]), strict=True)
        ]

    def compare(self, step: int) -> None:
        """Raise AssertionError where anything differs now."""
        faults = [*self.options(), *self.states(step), *self.parameters(step)]
        if faults:
            when = f"step {step}" if step else "before the first step"
            also = f"\n(and {len(faults) - 1} more differences, the last one {faults[-1]})" if len(faults) > 1 else ""
            raise AssertionError(f"{when}: {faults[0]}{also}")

    def options(self) -> Iterator[str]:
        for i, (mine, his) in enumerate(zip(self.ours.param_groups, self.theirs.param_groups, strict=True)):
            for key in mine:
                if key not in NOT_OPTIONS and key in his and not _same_option(mine[key], his[key]):
                    yield f"param_groups[{i}][{key!r}] is {_plain(mine[key])!r} in ours, {_plain(his[key])!r} in theirs"

    def states(self, step: int) -> Iterator[str]:
        for number, (p, q) in enumerate(self.pairs):
            mine, his = dict(self.ours.state.get(p, {})), dict(self.theirs.state.get(q, {}))
            names = self.entries
            if names is None:
                if mine.keys() != his.keys():
                    yield f"{self.named(number)} has the state {sorted(mine)} in ours, {sorted(his)} in theirs"
                    continue
                names = {name: name for name in his}
            for name, theirs in names.items():
                if (name in mine) != (theirs in his):
                    yield f"{self.named(number)} has the state {sorted(mine)} in ours, {sorted(his)} in theirs"
                elif name in mine:
                    yield from self.errors(step, number, name, mine[name], his[theirs])

    def parameters(self, step: int) -> Iterator[str]:
        for number, (p, q) in enumerate(self.pairs):
            yield from self.errors(step, number, "param", p, q)
            if q.numel():
                moved = np.abs(as_numpy(q) - self.start[number]) / self.unit("param", number, q)
                self.found.moved = max(self.found.moved, float(np.max(moved)))

    def errors(self, step: int, number: int, name: str, a: Any, b: Any) -> Iterator[str]:
        where = self.named(number) + ("" if name == "param" else f", state[{name!r}]")
        if a is None or b is None:
            if a is not b:
                yield f"{where}: ours {a}, theirs {b}"
            return
        mine, his = as_numpy(a), as_numpy(b)
        if mine.shape != his.shape:
            yield f"{where}: ours has shape {list(mine.shape)}, theirs {list(his.shape)}"
            return
        errors = distances(mine, his, self.unit(name, number, b, common_dtype(a, b)))
        if not errors.size:
            return
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(errors)), errors.shape))
        worst = Worst(float(errors[index]), step, self.named(number).removeprefix("parameter "), index)
        if name not in self.found.entries or worst.ulps > self.found.entries[name].ulps:
            self.found.entries[name] = worst
        if worst.ulps > self.found.allowed:
            yield (
                f"{where} is {worst.ulps:.3g} ulps off at {index}, {self.found.allowed:g} are allowed: ours "
                f"{shortest(a, index)}, theirs {shortest(b, index)}"
            )

    def unit(self, name: str, number: int, value: Any, dtype: str | None = None) -> np.ndarray:
        """The ulp of the largest element that the array has had so far."""
        now = largest(as_numpy(value))
        self.largest[name, number] = now = np.maximum(self.largest.get((name, number), now), now)
        return unit(now, dtype or common_dtype(value, value))

    def named(self, number: int) -> str:
        return f"parameter {number}" + (f" ({self.names[number]})" if self.names[number] else "")

    def finished(self) -> OptimizerParity:
        if not self.found.moved > self.found.allowed:
            raise AssertionError(
                f"no parameter of theirs moved by more than {self.found.moved:.3g} ulps in {self.found.steps} steps, "
                f"where {self.found.allowed:g} are allowed: this shows nothing. Take a larger lr or more steps"
            )
        return self.found


def _plain(option: Any) -> Any:
    """An option of a group as Python's numbers."""
    if isinstance(option, (tuple, list)):
        return [_plain(value) for value in option]
    return as_numpy(option).item() if hasattr(option, "dtype") else option


def _same_option(a: Any, b: Any) -> bool:
    """Whether two options are equal; numbers within float32's rounding."""
    a, b = _plain(a), _plain(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same_option, a, b))
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return bool(np.isclose(a, b, rtol=2**-22, atol=0))
    return bool(a == b)


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
