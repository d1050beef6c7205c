"""10 steps, a file, a new process and 10 more steps: bit for bit what 20 steps give.

One process makes all runs of ``tests/resume_cases.py`` and saves them half-way; another one, started after it, loads
every file and goes on. Compared are weights, buffers, averages, the optimizer's state and its groups, the scheduler's
and the scaler's state, the random state, and the losses and rates of every step.

=================================================  =========================================  ========================
what                                               how it steps                               through which files
=================================================  =========================================  ========================
the 24 variants of torch's fifteen optimizers,     ``step()``, float32, a scheduler (in       checkpoint, torch,
MLX's classes, Lion, MultiOptimizer,               turn), GradScaler, average                 safetensors, MLX's recipe
one that a user wrote (not by MLX's recipe)
the same                                           ``update(model, grads)``, bfloat16, the    all four
                                                   rate written by hand
torch's but LBFGS and three variants, Lion,        ``update`` in ``mx.compile``, float32, a   one of the four, in turn
MultiOptimizer, MLX's RMSprop                      scheduler
LBFGS, two variants                                ``step(closure)``, with a scheduler and     all but MLX's recipe,
                                                   without                                    which is refused
each of the 17 scheduler classes, a user's         AdamW, ``step()``, GradScaler, average     all four
AdamW with OneCycleLR                              all of the step in ``mx.compile``;         all four
                                                   float32 moments of a bfloat16 model
the 19 variants of rules                           ``update``, the rate a schedule            torch, MLX's recipe
=================================================  =========================================  ========================

Every model has dropout, BatchNorm's buffers, two groups with different options, a weight without gradients in some
steps and one that is frozen until step 13. A compiled step has run before it is loaded into.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten

from tests.cases import RULES
from tests.marks import mostly_long
from tests.resume_cases import SCHEDULERS, TORCH, Users, cases
from tests.resume_files import FORMATS, RULE_FORMATS, SOME_RULES, Records, formats_of, some_cases
from torchish_mlx import Parameter, optim

ROOT = Path(__file__).parents[2]


def process(what: str, folder: Path, *more: str) -> Records:
    command = [sys.executable, "-W", "error", "-m", "tests.resume_files", what, str(folder), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / f"{what}.json").read_text())


def float32(path: str, text: str, case: str) -> str:
    """MLX's recipe keeps the numbers of a group in float32; the rates in full are in the scheduler's state."""
    in_group = "['param_groups']" in path or path.startswith("['seen']")
    exact = path.endswith("['lr']") and "-constant" not in case
    return (
        np.float32(float.fromhex(text[6:])).tobytes().hex() if in_group and text[:6] == "float " and not exact else text
    )


def differences(expected: Records, resumed: Records) -> list[str]:
    found = []
    for key, records in resumed.items():
        case, form = key.rsplit(" ", 1)
        for when, record in records.items():
            if when == "error":
                found.append(f"{key}: {record['']}")
                continue
            wanted = expected[case][when]
            if form == "mlx":
                wanted, record = ({k: float32(k, v, case) for k, v in side.items()} for side in (wanted, record))
            wrong = [path for path in {**wanted, **record} if wanted.get(path) != record.get(path)]
            if wrong:
                found.append(f"{key}, {when}: {wrong[0]} and {len(wrong) - 1} more")
    return found


@pytest.mark.parametrize("some", mostly_long([True, False], lambda some: some), ids=["some", "all"])
def test_a_run_goes_on_in_a_new_process_bit_for_bit(some, tmp_path):
    chosen, rules = (some_cases(), SOME_RULES) if some else (cases(), RULES)
    assert {case.how for case in chosen} == {"step", "closure", "update", "compiled", "whole"}
    expected, resumed = (process(what, tmp_path, *(["some"] if some else [])) for what in ("save", "load"))
    refused = {key for key in resumed if key.startswith("LBFGS") and key.endswith(" mlx")}
    assert len(refused) == (2 if some else 4)
    assert all("does not hold them: it would start over" in resumed.pop(key)["error"][""] for key in refused)
    assert differences(expected, resumed) == []
    files = sum(len(formats_of(case)) for case in chosen) + len(rules) * len(RULE_FORMATS)
    assert (len(expected), len(resumed)) == (len(chosen) + len(rules), files - len(refused))
    for case, records in expected.items():  # it went on training
        weights = [path for path in records["end"] if path.startswith("['model']") and "weight" in path]
        assert any(records["saved"][path] != records["end"][path] for path in weights), case


def test_every_optimizer_and_scheduler_is_among_the_cases():
    made = {name for name in optim.__all__ if isinstance(getattr(optim, name), type)} - {"Optimizer"}
    assert {name.partition("-")[0] for name in TORCH} | {"Lion", "MultiOptimizer"} == made
    assert set(optim.lr_scheduler.__all__) | {"SWALR"} == set(SCHEDULERS)
    for name in SCHEDULERS:
        forms = {form for case in cases() if case.scheduler == name for form in formats_of(case)}
        assert forms == set(FORMATS)


# What MLX's recipe does not save -------------------------------------------------------------------------------------


def recipe(optimizer, file):
    mx.save_safetensors(str(file), dict(tree_flatten(optimizer.state_tree())))
    return tree_unflatten(list(mx.load(str(file)).items()))


def test_mlx_s_recipe_is_refused_for_lbfgs(tmp_path):
    """Its counts and lists are no arrays; without them it would start over."""
    p = Parameter(mx.array([1.0, -2.0]))
    optimizer = optim.LBFGS([p], max_iter=2)

    def closure():
        optimizer.zero_grad()
        loss = ((p - 3) ** 4).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    tree, fresh = recipe(optimizer, tmp_path / "state.safetensors"), optim.LBFGS([p], max_iter=2)
    with pytest.raises(ValueError, match=r"LBFGS keeps counts and lists.*Save optimizer\.state_dict\(\)"):
        fresh.state = tree
    assert not fresh.state[p]
    fresh.load_state_dict(optimizer.state_dict())
    assert fresh.state[p]["n_iter"] == optimizer.state[p]["n_iter"] > 0
    fresh.state = {}  # begins anew when asked to


def test_mlx_s_recipe_warns_of_what_it_does_not_hold_of_a_user_s_optimizer(tmp_path):
    p = Parameter(mx.array([1.0, 2.0]))
    optimizer, fresh = Users([p], lr=0.1), Users([p], lr=0.2)
    p.grad = mx.ones(2)
    optimizer.step()
    tree = recipe(optimizer, tmp_path / "state.safetensors")
    with pytest.warns(UserWarning, match=r"Users is written in Python.*stay lr=0\.2, weights=\(0\.5, 0\.3\)"):
        fresh.state = tree
    assert list(fresh.state[p]) == ["total"]
    optimizer.state = tree  # its own: the rest is there
    assert optimizer.state[p]["step"] == 1


def test_mlx_s_recipe_leaves_choices_to_the_constructor(tmp_path):
    """Flags and counts of iterations are no arrays, as in MLX; numbers are, in float32."""
    p = Parameter(mx.array([1.0, 2.0]))
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1 / 3)
    p.grad = mx.ones(2)
    optimizer.step()
    fresh = optim.SGD([p], lr=0.5, momentum=0.5)
    fresh.state = recipe(optimizer, tmp_path / "state.safetensors")
    group = fresh.param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.1, 0.9, False)
    assert group["weight_decay"] == float(str(np.float32(0.1 / 3))) != 0.1 / 3


@pytest.mark.parametrize("rounded", [True, False])
def test_a_scheduler_gives_back_the_rate_that_mlx_s_recipe_rounded(rounded, tmp_path):
    """A rate that goes on from itself would drift; one that is another to float32 is left alone, as in torch."""
    p = Parameter(mx.array([1.0]))

    def built():
        optimizer = optim.SGD([p], lr=0.1)
        return optimizer, optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    optimizer, scheduler = built()
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    rate = optimizer.param_groups[0]["lr"]
    fresh, after = built()
    if rounded:
        fresh.state = recipe(optimizer, tmp_path / "state.safetensors")
    else:
        fresh.param_groups[0]["lr"] = rate * (1 + 1e-6)
    before = fresh.param_groups[0]["lr"]
    assert before != rate
    after.load_state_dict(scheduler.state_dict())
    assert fresh.param_groups[0]["lr"] == (rate if rounded else before)
