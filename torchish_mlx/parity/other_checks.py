"""The checks of everything except the optimizers: schedulers, pure schedules, clipping, half precision."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
from torch.nn import utils as torch_utils

import torchish_mlx
from torchish_mlx.nn import utils

from .clip_cases import DTYPES, INF, ORDERS, SHAPES, exact, same_gradients, same_norm, tensors
from .half_cases import ALLOWED, CONFIGURATIONS, HALVES, Half, half_errors
from .optimizer_cases import marks
from .rates import near
from .rows import Check, Measured, Point, off
from .schedule_cases import CONFIGS, Config, factory, label, torchs_rates
from .scheduler_cases import CASES, LRS, TABLE
from .scheduler_pair import Pair
from .sides import Side, to_array, values


class MeasuredPair(Pair):
    """A pair of schedulers that notes how far the learning rates are apart before it compares them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.errors: list[float] = []  # of each step, in ulps of a Python float, or of float32 where lr is a tensor
        super().__init__(*args, **kwargs)

    def check_rates(self) -> None:
        mine, theirs = ([float(group["lr"]) for group in o.param_groups] for o in self.optimizers)
        dtype = "f8" if isinstance(self.optimizers[1].param_groups[0]["lr"], (float, int)) else "f4"
        self.errors.append(off(np.array(mine), np.array(theirs), dtype, "element")[0])
        super().check_rates()


def as_tensors(side: Side) -> list[Any]:
    return [side.tensor(lr) for lr in LRS]


def compare_scheduler(name: str, steps: int, groups: int, lr_tensors: bool) -> Measured:
    """Learning rates, momentum, state and warnings after every step: equal to the last bit."""
    pair = MeasuredPair(CASES[name], groups=groups, **({"lrs": as_tensors} if lr_tensors else {}))
    try:
        pair.run(steps)
        wrong = ""
    except AssertionError as error:
        wrong = f"step {len(pair.errors)}: {error}"[:500]
    errors = pair.errors
    worst = np.maximum.accumulate(errors)
    points = [Point(n, float(worst[n - 1])) for n in marks(len(errors))] if errors else []
    where = f"step {int(np.argmax(errors)) + 1}" if any(errors) else ""
    return Measured(points, where, "", wrong)


def compare_schedule(config: Config, steps: int, compiled: bool) -> Measured:
    """A pure function of the step, in float32 on MLX's device, against torch's scheduler, which computes in double."""
    theirs, schedule = torchs_rates(config, steps), factory(config)
    mine = (mx.compile(schedule) if compiled else schedule)(mx.arange(len(theirs)))
    wrong = ""
    try:
        near(mine, theirs, "schedule")
    except AssertionError as error:
        wrong = str(error)
    found = np.array(mine).astype("f8")
    looked = marks(len(theirs))
    errors = [off(found[:n], theirs[:n], "f4", "element") for n in looked]
    points = [Point(n, error) for n, (error, _) in zip(looked, errors, strict=True)]
    return Measured(points, f"step {errors[-1][1].strip('[]')}", "", wrong)


def both_sides(grads: list[Any]) -> tuple[list[Any], list[Any]]:
    """Parameters of both sides with these gradients."""
    theirs = [Parameter(g) for g in grads]
    ours = [torchish_mlx.Parameter(mx.zeros_like(to_array(g))) for g in grads]
    for p, g in zip(ours, grads, strict=True):
        p.grad = to_array(g)
    return ours, theirs


def Parameter(grad: Any) -> Any:
    p = grad.new_zeros(grad.shape).requires_grad_()
    p.grad = grad.clone()
    return p


def compare_norms(dtype: Any, order: float) -> Measured:
    """The norm, and the gradients clipped to a third of it, to more than it, and to nearly nothing."""
    shapes = SHAPES if order >= 0 and order != INF else [shape for shape in SHAPES if shape != (0,)]
    grads = tensors(shapes, dtype)
    norm = exact(grads, order)
    of_norm, of_gradient, of_torch = 0.0, [(0.0, "")], 0.0
    for limit in (norm / 3, norm * 2, 1e-3):
        mine, others = both_sides(grads)
        found = utils.clip_grad_norm_(mine, limit, order)
        torch_utils.clip_grad_norm_(others, limit, order)
        same_norm(found, norm, order)
        same_gradients(mine, others)
        of_norm = max(of_norm, off(np.float64(norm), np.asarray(found.item()))[0])
        _, doubles = both_sides([g.double() for g in grads])
        torch_utils.clip_grad_norm_(doubles, limit, order)
        for j, (p, q, d) in enumerate(zip(mine, others, doubles, strict=True)):
            error, index = dtype_off(values(p.grad), q.grad)
            of_gradient.append((error, f"limit {limit:.3g}, gradient {j}{index}"))
            of_torch = max(of_torch, dtype_off(values(d.grad), q.grad)[0])
    worst, where = max(of_gradient)
    return Measured([Point(1, worst, of_torch, of_norm)], where)


def dtype_off(actual: np.ndarray, expected: Any) -> tuple[float, str]:
    """In ulps of torch's tensor ``expected``, whatever its dtype; numpy has no bfloat16."""
    if not actual.size:
        return 0.0, ""
    errors = torchish_mlx.testing.ulps(actual, expected)
    index = np.unravel_index(int(np.argmax(errors)), errors.shape)
    return float(errors[index]), f"[{', '.join(map(str, index))}]" if index else ""


def compare_values(dtype: Any, bound: float) -> Measured:
    """``clip_grad_value_``: bit for bit."""
    mine, others = both_sides(tensors(SHAPES, dtype))
    utils.clip_grad_value_(mine, bound)
    torch_utils.clip_grad_value_(others, bound)
    worst, where = max(
        (error, f"gradient {j}{index}")
        for j, (p, q) in enumerate(zip(mine, others, strict=True))
        for error, index in [dtype_off(values(p.grad), q.grad)]
    )
    return Measured([Point(1, worst)], where if worst else "", "", f"{where} differs" if worst else "")


def compare_half(name: str, kwargs: dict[str, Any], half: Half) -> Measured:
    """20 steps, each from torch's state."""
    points = [Point(i + 1, float(errors.max())) for i, errors in enumerate(half_errors(name, kwargs, half))]
    worst = max(points, key=lambda point: point.error)
    wrong = "" if worst.error <= ALLOWED else f"step {worst.step}: {worst.error:.2f} ulps > {ALLOWED}"
    return Measured(points, f"step {worst.step}", "", wrong)


def scheduler_checks(quick: bool) -> Iterator[Check]:
    for subject, cases in TABLE.items():
        for configuration in cases:
            name = f"{subject}-{configuration}"
            for groups, lr_tensors in [(3, False)] if quick else [(1, False), (3, False), (3, True)]:
                steps = 60 if quick or lr_tensors else 500
                way = f"{groups} group{'s' if groups > 1 else ''}, {steps} steps"
                mode = "lr a tensor" if lr_tensors else "lr a float"
                run = partial(compare_scheduler, name, steps, groups, lr_tensors)
                yield Check("lr_scheduler", subject, configuration, mode, way, run)


def schedule_checks(quick: bool) -> Iterator[Check]:
    seen = set()
    steps = 500 if quick else 10_000
    for config in CONFIGS:
        check = partial(Check, "schedules", config[0], label(config).partition("-")[2])
        yield check("eager", f"{steps} steps", partial(compare_schedule, config, steps, False))
        if config[0] not in seen and not quick:
            yield check("compiled", f"{steps} steps", partial(compare_schedule, config, steps, True))
        seen.add(config[0])


def clip_checks(quick: bool) -> Iterator[Check]:
    for dtype in DTYPES:
        kind = str(dtype).rpartition(".")[2]
        for order in (1, 2, INF) if quick else ORDERS:
            run = partial(compare_norms, dtype, order)
            yield Check("clip_grad", "clip_grad_norm_", f"norm_type={order:g}", kind, "three limits", run)
        for bound in (0.1, 0.3, 1.0, INF):
            run = partial(compare_values, dtype, bound)
            yield Check("clip_grad", "clip_grad_value_", f"clip_value={bound:g}", kind, "one call", run)


def half_checks() -> Iterator[Check]:
    for name, kwargs in CONFIGURATIONS:
        configuration = ",".join(f"{key}={value}" for key, value in kwargs.items())
        for half in HALVES:
            run = partial(compare_half, name, copy.copy(kwargs), half)
            yield Check("half", name, configuration, half.name, "step, 20 steps", run)
