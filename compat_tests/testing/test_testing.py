"""torchish_mlx.testing beside torch: each of its optimizers passes, and what is wrong is found."""

from __future__ import annotations

from typing import Any

import lion_pytorch
import mlx.core as mx
import mlx.optimizers
import numpy as np
import pytest
import torch
from mlx import nn
from torch.testing._internal.common_optimizers import optim_db

import torchish_mlx
from compat_tests.bridge import to_array
from torchish_mlx import optim
from torchish_mlx.testing import as_numpy, assert_close, assert_optimizer_parity, assert_training_parity, ulps

SHAPES = [(7, 5), (5,), (), (3, 4, 2), (8, 3, 2, 2)]
MATRICES = [(7, 5), (5, 7), (6, 6)]  # Muon takes nothing else
NAMES = sorted({info.optim_cls.__name__ for info in optim_db} - {"LBFGS"})


def pair(name: str, ours: dict[str, Any] | None = None, **theirs: Any) -> tuple[Any, Any]:
    """The optimizer of both sides, over equal parameters; ``ours`` says what differs there."""
    rng = np.random.default_rng(0)
    params = [torch.nn.Parameter(torch.tensor(rng.standard_normal(s).astype("f4"))) for s in shapes_of(name)]
    mine = [torchish_mlx.Parameter(to_array(p)) for p in params]
    return getattr(optim, name)(mine, **{**theirs, **(ours or {})}), getattr(torch.optim, name)(params, **theirs)


def shapes_of(name: str) -> list[tuple[int, ...]]:
    return MATRICES if name == "Muon" else SHAPES


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_passes_by_default(name: str) -> None:
    mine, theirs = pair(name)
    found = assert_optimizer_parity(mine, theirs)
    assert found.steps == 20
    state = theirs.state[theirs.param_groups[0]["params"][0]]
    assert set(found.entries) >= {"param", *state}
    assert 0 <= found.ulps <= found.allowed / 1.5
    assert found.moved > 100 * found.allowed


@pytest.mark.parametrize("options", [{"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "weight_decay": 0.1}])
def test_sgd_with_momentum(options: dict[str, Any]) -> None:
    found = assert_optimizer_parity(*pair("SGD", **options), steps=50)
    assert set(found.entries) == {"param", "momentum_buffer"}


def test_two_groups() -> None:
    rng = np.random.default_rng(0)
    q = [torch.nn.Parameter(torch.tensor(rng.standard_normal(s).astype("f4"))) for s in SHAPES]
    p = [torchish_mlx.Parameter(to_array(x)) for x in q]
    groups = [[{"params": x[:2], "weight_decay": 0.1}, {"params": x[2:], "lr": 0.02}] for x in (p, q)]
    assert_optimizer_parity(optim.AdamW(groups[0]), torch.optim.AdamW(groups[1]))
    with pytest.raises(ValueError, match=r"ours has groups of \[2, 3\] parameters, theirs of \[5\]"):
        assert_optimizer_parity(optim.AdamW(groups[0]), torch.optim.AdamW(q))


# What must be found: in the options, and, where they say the same, in what the steps do.


@pytest.mark.parametrize(
    ("name", "ours", "words"),
    [
        ("SGD", {"lr": 1.01e-3}, r"\['lr'\] is 0.00101 in ours, 0.001 in theirs"),
        ("Adam", {"betas": (0.9, 0.99)}, r"\['betas'\] is \[0.9, 0.99\] in ours, \[0.9, 0.999\] in theirs"),
        ("RMSprop", {"alpha": 0.9}, r"\['alpha'\] is 0.9 in ours, 0.99 in theirs"),
        ("Adafactor", {"d": 2.0}, r"\['d'\] is 2.0 in ours, 1.0 in theirs"),
    ],
)
def test_another_option_is_found(name: str, ours: dict[str, Any], words: str) -> None:
    with pytest.raises(AssertionError, match=r"^before the first step: param_groups\[0\]" + words):
        assert_optimizer_parity(*pair(name, ours))


def drifting(optimizer: Any, **factors: float) -> Any:
    """An optimizer whose steps take other numbers than its groups say."""
    step = optimizer.step

    def wrong() -> None:
        group = optimizer.param_groups[0]
        before = {key: group[key] for key in factors}
        for key, factor in factors.items():
            group[key] = tuple(b * factor for b in group[key]) if key == "betas" else group[key] * factor
        step()
        for key, value in before.items():
            group[key] = value

    optimizer.step = wrong
    return optimizer


@pytest.mark.parametrize("name", NAMES)
def test_a_learning_rate_one_percent_off_is_found(name: str) -> None:
    mine, theirs = pair(name)
    with pytest.raises(AssertionError, match=r"^step \d+: parameter \d"):
        assert_optimizer_parity(drifting(mine, lr=1.01), theirs)


@pytest.mark.parametrize("name", [n for n in NAMES if n.endswith(("Adam", "AdamW", "Adamax"))])
def test_betas_off_by_a_thousandth_are_found(name: str) -> None:
    mine, theirs = pair(name)
    with pytest.raises(AssertionError, match=r"^step 1: parameter 0, state\['(exp_avg|mu_product)'\] is"):
        assert_optimizer_parity(drifting(mine, betas=0.999), theirs)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_is_left_out_is_found(name: str) -> None:
    mine, theirs = pair(name)
    step, count = mine.step, iter(range(100))
    mine.step = lambda: step() if next(count) != 4 else None
    with pytest.raises(AssertionError, match=r"^step 5: parameter 0"):
        assert_optimizer_parity(mine, theirs)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # torch's Adagrad makes sparse tensors
def test_a_sparse_gradient_of_another_optimizer() -> None:
    assert_optimizer_parity(*pair("Adagrad"), sparse=True)


def test_entries_of_other_names() -> None:
    """An optimizer of MLX, and one that others wrote for torch."""
    mine, theirs = pair("AdamW")
    params, torchs = ([p for g in o.param_groups for p in g["params"]] for o in (mine, theirs))
    entries = {"m": "exp_avg", "v": "exp_avg_sq"}
    wrapped = optim.from_mlx(mlx.optimizers.AdamW)(params, lr=1e-3, bias_correction=True)
    assert set(assert_optimizer_parity(wrapped, theirs, entries=entries).entries) == {"param", "m", "v"}
    mine, others = optim.Lion(params, lr=1e-3), lion_pytorch.Lion(torchs, lr=1e-3)
    for p, q in zip(params, torchs, strict=True):
        p.array = mx.array(q.detach().numpy())
    assert set(assert_optimizer_parity(mine, others, entries={"m": "exp_avg"}).entries) == {"param", "m"}
    with pytest.raises(AssertionError, match=r"\['m', 'step'\] in ours, \['exp_avg'\] in theirs"):
        assert_optimizer_parity(mine, others)


def test_parameters_that_begin_differently() -> None:
    """The message says how to make them equal; so made, they pass."""
    mine, theirs = pair("Adam")
    with torch.no_grad():
        theirs.param_groups[0]["params"][3].add_(1)
    with pytest.raises(ValueError, match=r"parameter 3 .* p.array = mx.array\(q.detach\(\).numpy\(\)\)"):
        assert_optimizer_parity(mine, theirs)
    for p, q in zip(mine.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True):
        p.array = mx.array(q.detach().numpy())
    assert_optimizer_parity(mine, theirs, steps=2)


def test_the_sides_are_not_exchanged() -> None:
    mine, theirs = pair("Adam")
    with pytest.raises(TypeError, match="first argument is an optimizer of torchish_mlx"):
        assert_optimizer_parity(theirs, mine)


def test_lbfgs_is_sent_on() -> None:
    with pytest.raises(TypeError, match="assert_training_parity"):
        assert_optimizer_parity(*pair("LBFGS"))


# Arrays


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_torchs_tensors_are_measured_exactly(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.standard_normal((20, 3)) * 1e3).to(dtype).requires_grad_()
    assert as_numpy(x).tolist() == x.detach().double().tolist()
    away = torch.nextafter(x.detach().abs(), torch.full_like(x, torch.inf))  # torch's own idea of the next number
    assert set(ulps(away, x.detach().abs(), scale="element").ravel()) == {1.0}
    if dtype != torch.float64:
        assert_close(to_array(x), x, ulps=0)
        with pytest.raises(AssertionError, match=f"60 of 60 elements are off by more than 0.5 ulps of {dtype}"[:50]):
            assert_close(to_array(away), x.detach().abs(), ulps=0.5)


def test_a_sparse_tensor_is_dense() -> None:
    x = torch.sparse_coo_tensor(torch.tensor([[1, 1]]), torch.ones(2, 2), (3, 2), check_invariants=True)
    assert as_numpy(x).tolist() == [[0, 0], [2, 2], [0, 0]]


def test_state_dicts_of_both() -> None:
    mine, theirs = pair("AdamW")
    assert_optimizer_parity(mine, theirs, steps=3)
    assert_close(mine.state_dict(), theirs.state_dict(), ulps=8, scale="tensor")
    theirs.state_dict()["state"][2]["exp_avg"].mul_(1.001)
    with pytest.raises(AssertionError, match=r"the values at \['state'\]\[2\]\['exp_avg'\] are not close: 1 of 1"):
        assert_close(mine.state_dict(), theirs.state_dict(), ulps=8, scale="tensor")


# A training


def trainings(name: str, **ours: Any) -> tuple[Any, Any, tuple[Any, Any]]:
    """A small net on both sides, from the same weights; ``ours`` says which options differ."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 4)).astype("f4"), rng.standard_normal((64, 1)).astype("f4")
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    mine = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    for layer, given in ((0, theirs[0]), (2, theirs[2])):
        mine.layers[layer].weight, mine.layers[layer].bias = to_array(given.weight), to_array(given.bias)
    options = {"max_iter": 2} if name == "LBFGS" else {"lr": 1e-2}
    our_optimizer = getattr(optim, name)(mine, **{**options, **ours})
    their_optimizer = getattr(torch.optim, name)(theirs.parameters(), **options)

    def our_step(_: int) -> Any:
        def closure() -> Any:
            our_optimizer.zero_grad()
            return torchish_mlx.backward(mine, lambda m: ((m(mx.array(x)) - mx.array(y)) ** 2).mean())

        return our_optimizer.step(closure)

    def their_step(_: int) -> Any:
        def closure() -> Any:
            their_optimizer.zero_grad()
            loss = ((theirs(torch.tensor(x)) - torch.tensor(y)) ** 2).mean()
            loss.backward()
            return loss

        return their_optimizer.step(closure)

    return our_step, their_step, (torchish_mlx.parameters(mine), theirs.parameters())


@pytest.mark.parametrize(("name", "steps"), [("SGD", 50), ("AdamW", 50), ("LBFGS", 10)])
def test_a_training_passes(name: str, steps: int) -> None:
    """A line search makes rounding grow: after 50 steps L-BFGS is 2 % off, the others 1e-6."""
    ours, theirs, parameters = trainings(name)
    found = assert_training_parity(ours, theirs, steps=steps, parameters=parameters)
    assert found.ours[-1] < 0.97 * found.ours[0]
    assert found.worst < 1e-4
    assert found.parameters is not None
    assert 0 < found.parameters < 1e-4


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("SGD", {"lr": 1.01e-2}), ("AdamW", {"betas": (0.9, 0.99)}), ("AdamW", {"weight_decay": 0.02})],
    ids=repr,
)
def test_a_training_with_another_option_is_found(name: str, wrong: dict[str, Any]) -> None:
    ours, theirs, parameters = trainings(name, **wrong)
    with pytest.raises(AssertionError, match=r"the losses differ in step|after 30 steps parameter"):
        assert_training_parity(ours, theirs, steps=30, parameters=parameters)
