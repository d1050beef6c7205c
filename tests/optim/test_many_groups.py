"""Many groups are taken as one where rule and choices are the same: the same bits as each by itself."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from tests.cases import RULES, assert_close, assert_same, flat, only_matrices
from tests.marks import mostly_long
from torchish_mlx import optim
from torchish_mlx import optimizers as rules
from torchish_mlx.optim import lr_scheduler
from torchish_mlx.optimizers import _step
from torchish_mlx.optimizers._hyper import Static

COUNT = 12
ULPS = 8  # as in test_rules_compile.py
SIZES = [(3,), (2, 4), (), (5,), (1,), (0,), (3, 1, 2), (3, 3)]
OTHER: dict[str, Any] = {  # a number for group i of the options that may differ
    "lr": lambda i, v: v * (1 + i % 3),
    "betas": lambda i, v: (v[0] * (1 - 0.1 * (i % 2)), v[1] * (1 - 0.05 * (i % 4))),
    "eps": lambda i, v: tuple(e * (1 + i) for e in v) if isinstance(v, tuple) else v * (1 + i),
    "weight_decay": lambda i, v: v + 0.01 * (i % 3),
    "momentum": lambda i, v: v * (1 - 0.1 * (i % 3)),
    "dampening": lambda i, v: v * (1 + 0.1 * (i % 2)),
    "momentum_decay": lambda i, v: v * (1 + i % 2),
    "lr_decay": lambda i, v: v * (1 + i % 3),
    "rho": lambda i, v: v * (1 - 0.1 * (i % 2)),
    "alpha": lambda i, v: v * (1 - 0.1 * (i % 2)),
    "etas": lambda i, v: (v[0], v[1] + 0.1 * (i % 2)),
    "step_sizes": lambda i, v: (v[0], v[1] - i % 2),
    "lambd": lambda i, v: v * (1 + i % 2),
    "t0": lambda i, v: v + i % 2,
    "d": lambda i, v: v * (1 + i % 2),
    "beta2_decay": lambda i, v: v * (1 - 0.1 * (i % 2)),
}
TOGETHER = [case for case, (name, _) in RULES.items() if name != "SparseAdam"]


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Whether groups are taken by themselves from now on."""
    return lambda yes: monkeypatch.setattr(_step, "MANY", 10**9 if yes else 8)


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many groups each task of a step has."""
    seen: list[int] = []

    class Spy(_step.Task):
        def __init__(self, shares: Any, *args: Any) -> None:
            seen.append(len(shares))
            super().__init__(shares, *args)

    monkeypatch.setattr(_step, "Task", Spy)
    return seen


def groups(case: str, differ: bool, dtype: mx.Dtype, count: int = COUNT) -> list[dict[str, Any]]:
    """One to three small parameters in each group, with numbers of its own."""
    name, kwargs = RULES[case]
    fields = getattr(rules, name).fields()
    options = {key: kwargs.get("learning_rate" if key == "lr" else key, field.default) for key, field in fields.items()}
    options = {
        key: value for key, value in options.items() if key not in ("initial_accumulator_value", "bias_correction")
    }
    made = []
    for i in range(count):
        sizes = [size for size in SIZES if len(size) == 2] if only_matrices(case) else SIZES
        ps = [param((i, j), sizes[(i + j) % len(sizes)], dtype) for j in range(1 + i % 3)]
        moved = [key for key in options if differ and key in OTHER and not isinstance(fields[key], Static)]
        own = {key: OTHER[key](i, options[key]) for key in moved if options[key]}
        made.append({"params": ps, **options, **own})
    return made


def param(key: Any, shape: Any, dtype: mx.Dtype) -> torch.Parameter:
    return torch.Parameter(mx.array(np.random.default_rng(key).normal(size=shape).astype("f4")).astype(dtype))


def give(optimizer: Any, step: int, missing: Callable[[int, int], bool] = lambda i, j: False) -> None:
    for i, group in enumerate(optimizer.param_groups):
        for j, p in enumerate(group["params"]):
            g = np.random.default_rng((step + 1, i, j)).normal(size=p.shape).astype("f4")
            p.grad = None if missing(i, j) else mx.array(g).astype(p.array.dtype)


def held(optimizer: Any) -> dict[str, np.ndarray]:
    return flat(
        {"p": [[p.array for p in group["params"]] for group in optimizer.param_groups], "s": optimizer.state_tree()}
    )


def run(case: str, steps: int, apart: bool, set_apart: Any, event: Any = None, **kwargs: Any) -> dict[str, np.ndarray]:
    """Weights and state after the steps; ``event(optimizer, i)`` happens before step i."""
    set_apart(apart)
    more = {key: kwargs.pop(key) for key in ("fused", "foreach") if key in kwargs}
    missing = kwargs.pop("missing", lambda step, i, j: False)
    optimizer = getattr(optim, RULES[case][0])(groups(case, **kwargs), **more)
    for step in range(steps):
        if event is not None:
            event(optimizer, step)
        give(optimizer, step, lambda i, j, step=step: missing(step, i, j))
        optimizer.step()
    return held(optimizer)


@pytest.mark.parametrize("differ", mostly_long([True, False], lambda differ: differ), ids=["different", "equal"])
@pytest.mark.parametrize("case", TOGETHER)
def test_the_same_bits_as_each_by_itself(case, differ, apart, shares):
    for dtype in (mx.float32, mx.bfloat16) if differ else (mx.float32,):
        shares.clear()
        together = run(case, 6, False, apart, differ=differ, dtype=dtype)
        assert COUNT in shares
        shares.clear()
        assert_same(together, run(case, 6, True, apart, differ=differ, dtype=dtype))
        assert set(shares) == {1}


@pytest.mark.parametrize("case", ["SGD-momentum", "Adam", "NAdam", "ASGD", "Rprop", "Adafactor", "Muon"])
def test_parameters_that_miss_steps(case, apart, shares):
    """Some come late, some miss one; whole groups too, and the counts are their own."""

    def missing(step: int, i: int, j: int) -> bool:
        return (step < 2 and i % 4 == 1) or (step in (3, 4) and i % 3 == 0) or (step == 5 and j == 1)

    outcomes = [run(case, 8, alone, apart, differ=True, dtype=mx.float32, missing=missing) for alone in (False, True)]
    assert max(shares) >= 8
    assert_same(*outcomes)


@pytest.mark.parametrize("case", ["SGD", "SGD-momentum", "AdamW", "ASGD", "Adafactor"])
def test_what_is_written_between_steps(case, apart):
    """Numbers, a choice of some groups, tensors as numbers, an array that is changed in place, a new group."""

    def event(optimizer: Any, step: int) -> None:
        all_groups = optimizer.param_groups
        if step == 1:
            all_groups[3]["lr"] = 0.5
            all_groups[4]["weight_decay"] = 0.1
        if step == 2:
            for group in all_groups[:3]:
                group["maximize"] = True
        if step == 3:
            all_groups[5]["lr"] = torch.tensor(0.25)
            if "betas" in all_groups[0]:
                all_groups[6]["betas"] = (torch.tensor(0.5), torch.tensor(0.75))
        if step == 4:
            all_groups[5]["lr"].mul_(0.5)
            rate = optimizer.state_tree().groups[7]["lr"]
            rate *= 3
            optimizer.state_tree().groups[8]["lr"] = mx.array(0.125)
        if step == 5:
            optimizer.add_param_group({"params": [param(99, (4,), mx.float32)]})
        if step == 6:
            optimizer.load_state_dict(optimizer.state_dict())

    outcomes = [run(case, 8, alone, apart, event, differ=True, dtype=mx.float32) for alone in (False, True)]
    assert_same(*outcomes)


def test_numbers_that_sgd_does_not_read(apart, shares):
    """Without momentum dampening is not read; with momentum from the third step on it is."""

    def event(optimizer: Any, step: int) -> None:
        if step == 2:
            for i, group in enumerate(optimizer.param_groups):
                group["momentum"] = 0.5 + 0.01 * i

    outcomes = []
    for alone in (False, True):
        apart(alone)
        optimizer = optim.SGD(
            [{**group, "dampening": 0.05 * (i + 1)} for i, group in enumerate(groups("SGD", True, mx.float32))]
        )
        for step in range(5):
            event(optimizer, step)
            give(optimizer, step)
            optimizer.step()
        outcomes.append(held(optimizer))
    assert shares[:5] == [COUNT] * 5
    assert_same(*outcomes)


@pytest.mark.parametrize("name", ["SGD", "Adafactor"])
def test_each_group_has_its_own_tensor_as_lr(name, apart):
    outcomes = []
    for alone in (False, True):
        apart(alone)
        made = [
            {"params": [param(i, (5,) if i % 2 else (2, 3), mx.float32)], "lr": torch.tensor(0.1 / (i + 1))}
            for i in range(COUNT)
        ]
        optimizer = getattr(optim, name)(made, weight_decay=0.1)
        for step in range(4):
            give(optimizer, step)
            optimizer.step()
            made[3]["lr"].mul_(0.5)
        outcomes.append(held(optimizer))
    assert_same(*outcomes)


@pytest.mark.parametrize("count", [1, 64])
def test_parameters_of_one_shape_are_one_stack(count):
    """In one group and in a group for each, Adafactor's formula runs once."""
    ps = [param(i, (3, 4), mx.float32) for i in range(64)]
    optimizer = optim.Adafactor([{"params": ps[i::count], "lr": 0.1 * (i + 1)} for i in range(count)])
    give(optimizer, 0)
    optimizer.step()
    (plan,) = optimizer.state_tree().plans.values()
    assert [len(bucket.members) for bucket in plan.buckets] == [64]
    assert not plan.alone


def test_large_and_small_parameters_in_the_same_groups(apart, shares):
    """Large ones are not joined, and take the numbers of their group."""
    outcomes = []
    for alone in (False, True):
        apart(alone)
        made = [
            {"params": [param(i, (129, 128), mx.float32), param((i, 1), (7,), mx.float32)], "lr": 0.01 * (i + 1)}
            for i in range(9)
        ]
        optimizer = optim.AdamW(made)
        for step in range(3):
            give(optimizer, step)
            optimizer.step()
        outcomes.append(held(optimizer))
    assert 9 in shares
    assert_same(*outcomes)


@pytest.mark.parametrize("case", ["SGD-momentum", "AdamW", "ASGD"])
def test_fused(case, apart, shares):
    """One compiled function of the joined parameters."""
    fused = run(case, 4, False, apart, differ=True, dtype=mx.float32, **_fused(case))
    plain = run(case, 4, True, apart, differ=True, dtype=mx.float32)
    assert COUNT in shares
    assert_close(fused, plain, ULPS)


def _fused(case: str) -> dict[str, Any]:
    return {} if case == "ASGD" else {"fused": True}


@pytest.mark.parametrize("case", ["SGD-momentum", "Adam", "ASGD", "Adafactor"])
def test_a_users_compiled_step(case, apart):
    """It is traced once, and reads numbers that are written afterwards."""
    outcomes = []
    for alone in (False, True):
        apart(alone)
        optimizer, traces = getattr(optim, RULES[case][0])(groups(case, True, mx.float32)), []
        params = {optimizer.state_tree().paths[p]: p for group in optimizer.param_groups for p in group["params"]}
        optimizer.init({path: p.array for path, p in params.items()})

        def update(gradients: Any, arrays: Any, optimizer: Any = optimizer, traces: Any = traces) -> Any:
            traces.append(1)
            return optimizer.apply_gradients(gradients, arrays)

        compiled = mx.compile(update, inputs=optimizer.state, outputs=optimizer.state)
        for step in range(5):
            optimizer.param_groups[step]["lr"] = 0.3 / (step + 1)
            give(optimizer, step)
            gradients = {path: p.grad.array for path, p in params.items()}
            new = compiled(gradients, {path: p.array for path, p in params.items()})
            for path, array in new.items():
                params[path].array = array
        assert len(traces) == 1
        outcomes.append(held(optimizer))
    assert_close(*outcomes, ULPS)


def test_what_is_not_taken_together(shares):
    """Few groups, another choice, classes of MLX, numbers that are nested otherwise."""
    ps = [torch.Parameter(mx.ones(2)) for _ in range(24)]

    def counts(optimizer: Any) -> list[int]:
        shares.clear()
        give(optimizer, 0)
        optimizer.step()
        return sorted(shares)

    assert counts(optim.SGD([{"params": [p]} for p in ps[:7]])) == [1] * 7
    assert counts(optim.SGD([{"params": [p], "maximize": i % 2 == 0} for i, p in enumerate(ps)])) == [12, 12]
    assert counts(optim.SGD([{"params": [p], "foreach": i < 12} for i, p in enumerate(ps)])) == [12, 12]
    assert counts(optim.Lion([{"params": [p]} for p in ps], lr=0.1)) == [1] * 24
    tensors = {"betas": (torch.tensor(0.5), torch.tensor(0.9))}
    assert counts(optim.AdamW([{"params": [p], **(tensors if i < 12 else {})} for i, p in enumerate(ps)])) == [1] * 24
    assert counts(optim.AdamW([{"params": [p], "lr": 0.1 * i} for i, p in enumerate(ps)])) == [24]


def test_a_scheduler_and_schedules(apart):
    """Numbers that move at each step, by a scheduler or by functions of the step."""
    for make in (
        lambda gs: optim.AdamW([{**group, "lr": rules.exponential_decay(0.1, 0.5)} for group in gs]),
        lambda gs: optim.AdamW([{**g, "lr": rules.linear_schedule(0.1, 0.0, 3 + i)} for i, g in enumerate(gs)]),
        lambda gs: optim.AdamW(gs),
    ):
        outcomes = []
        for alone in (False, True):
            apart(alone)
            optimizer = make(groups("AdamW", True, mx.float32))
            scheduler = None
            if "lr_step" not in optimizer.param_groups[0]:
                scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
            for step in range(5):
                give(optimizer, step)
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
            outcomes.append(held(optimizer))
        assert_same(*outcomes)


def test_another_thread_goes_on():
    """A step leaves nothing unevaluated: not the counts of single groups, nor the rates of schedules."""
    schedules = (rules.exponential_decay(0.1, 0.9), rules.linear_schedule(0.1, 0.0, 9))
    optimizer = optim.AdamW([{**g, "lr": schedules[i % 2]} for i, g in enumerate(groups("AdamW", True, mx.float32))])
    failed: list[BaseException] = []

    def work(step: int) -> None:
        try:
            give(optimizer, step, lambda i, j: (step < 2 and i % 4 == 1) or (step == 3 and i % 3 == 0))
            optimizer.step()
        except BaseException as error:
            failed.append(error)

    for step in range(5):
        thread = threading.Thread(target=work, args=(step,))
        thread.start()
        thread.join()
    assert not failed
    counts = {float(group["step"].item()) for group in optimizer.state_tree().groups}
    assert counts == {2.0, 3.0, 4.0, 5.0}
    assert all(np.isfinite(array).all() for array in held(optimizer).values())


def test_a_refused_gradient_changes_nothing():
    optimizer = optim.Adam(groups("Adam", True, mx.float32))
    give(optimizer, 0)
    optimizer.step()
    before = held(optimizer)
    parameters = optimizer.state_tree().parameters
    path = list(parameters)[5]
    arrays = {p: q.array for p, q in parameters.items()}
    gradients = {p: mx.ones_like(a) for p, a in arrays.items()}
    gradients[path] = mx.ones((9, 9))
    with pytest.raises(ValueError, match=r"has shape \(9, 9\)"):
        optimizer.apply_gradients(gradients, arrays)
    assert_same(held(optimizer), before)


def test_the_work_of_a_step_does_not_grow_with_the_groups():
    """As many operations as in one group, for all of the groups: counted in the graph of a step."""
    operations = []
    for count in (1, 64):
        ps = [torch.Parameter(mx.ones(8)) for _ in range(64)]
        optimizer = optim.AdamW([{"params": ps[i::count]} for i in range(count)])
        for _ in range(2):
            give(optimizer, 0)
            optimizer.step()
            mx.eval([p.array for p in ps], optimizer.state)
        give(optimizer, 1)
        parameters = optimizer.state_tree().parameters
        arrays = {path: p.array for path, p in parameters.items()}
        new = optimizer.apply_gradients({path: p.grad.array for path, p in parameters.items()}, arrays)
        operations.append(_operations([a for _, a in tree_flatten(new)]))
    assert operations[1] < 1.2 * operations[0]


def _operations(arrays: list[mx.array]) -> int:
    text = io.StringIO()
    mx.export_to_dot(text, *arrays)
    return text.getvalue().count("label")
