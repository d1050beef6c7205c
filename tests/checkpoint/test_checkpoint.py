"""``checkpoint.save`` and ``resume``: the whole run or nothing; which part is refused, and in which words."""

from __future__ import annotations

import random
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest

import torchish_mlx as torch
from tests.cases import flat, inputs, squared_error
from tests.refused import assert_equal
from torchish_mlx import checkpoint, optim
from torchish_mlx.amp import GradScaler
from torchish_mlx.optim.swa_utils import AveragedModel, get_ema_avg_fn


def everything(model: nn.Module, optimizer: optim.Optimizer) -> dict[str, Any]:
    """Copies of the arrays, numbers and entries of both."""
    return {
        "model": flat(model),
        "frozen": [path for path, p in torch.named_parameters(model) if not p.requires_grad],
        "state": flat(optimizer.state),
        "groups": [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups],
        "entries": flat(mapped(lambda entry: entry.array, optimizer.state_dict()["state"])),
    }


def mapped(function: Any, tree: Any) -> Any:
    if isinstance(tree, dict):
        return {str(key): mapped(function, value) for key, value in tree.items()}
    return function(tree) if isinstance(tree, torch.Tensor) else tree


class Net(nn.Module):
    """BatchNorm, Dropout, a layer that occurs twice, a frozen bias."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(3, width)
        self.bn = nn.BatchNorm(width)
        self.drop = nn.Dropout(0.5)
        self.layers = [nn.Linear(width, width), nn.Linear(width, width)]
        self.again = self.layers[0]
        self.layers[1].freeze(keys="bias")
        self.head = nn.Linear(width, 3)

    def __call__(self, x: mx.array) -> mx.array:
        x = self.drop(self.bn(self.first(x)))
        for layer in (*self.layers, self.again):
            x = layer(x)
        return self.head(x)


class Factor:
    """A callable object, whose attributes a scheduler's state dict carries."""

    def __init__(self, base: float) -> None:
        self.base = base

    def __call__(self, epoch: int) -> float:
        return self.base**epoch


class Run:
    """Model, average, optimizer, scheduler and scaler."""

    def __init__(self, seed: int = 0, compiled: bool = False, lr: float = 0.01, base: float = 0.9) -> None:
        mx.random.seed(seed)
        self.model = Net()
        self.ema = AveragedModel(self.model, avg_fn=get_ema_avg_fn(0.9))
        self.optimizer = optim.AdamW(self.model, lr=lr)
        self.scheduler = optim.lr_scheduler.LambdaLR(self.optimizer, Factor(base))
        self.scaler = GradScaler(init_scale=8.0, growth_interval=4)
        state = [self.model.state, self.optimizer.state, mx.random.state]
        self.step = partial(mx.compile, inputs=state, outputs=state)(self._native) if compiled else self._scaled

    def _native(self, x: mx.array) -> None:
        _, grads = nn.value_and_grad(self.model, squared_error)(self.model, x)
        self.optimizer.update(self.model, grads)

    def _scaled(self, x: mx.array) -> None:
        self.optimizer.zero_grad()
        torch.backward(self.model, lambda model, x: self.scaler.scale(squared_error(model, x)), x)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def train(self, steps: int) -> Run:
        for _ in range(steps):
            self.step(inputs() + 0.1 * random.random() + 0.1 * np.random.rand())
            self.scheduler.step()
            self.ema.update_parameters(self.model)
        return self

    @property
    def parts(self) -> dict[str, Any]:
        return {
            "model": {"net": self.model, "ema": self.ema},
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "scaler": self.scaler,
        }

    def everything(self) -> dict[str, Any]:
        """Copies of all that a resume changes."""
        return {
            **everything(self.model, self.optimizer),
            "ema": flat(self.ema),
            "scheduler": self.scheduler.state_dict(),
            "base": self.scheduler.lr_lambdas[0].base,
            "scaler": self.scaler.state_dict(),
            "mlx": [key.tolist() for key in mx.random.state],
            "python": random.getstate()[1],
            "numpy": repr(np.random.get_state()),
        }


FILES = ["a.pt", "a.pth", "a.safetensors", "folder"]
PARTS = ["model", "optimizer", "scheduler", "scaler", "random"]


@contextmanager
def nothing_changes(*runs: Run):
    before = [run.everything() for run in runs]
    arrays = [[id(value) for _, value in _arrays(run)] for run in runs]
    yield
    for run, values, held in zip(runs, before, arrays, strict=True):
        assert_equal(values, run.everything())
        assert [id(value) for _, value in _arrays(run)] == held


def _arrays(run: Run) -> list[tuple[str, mx.array]]:
    return [(path, p.array) for path, p in torch.named_parameters(run.model)]


# -- a run goes on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_a_resumed_run_goes_on_bit_for_bit(name, compiled, tmp_path):
    """Also one that had made steps of its own, and was compiled, before it resumed."""
    random.seed(1)
    np.random.seed(1)
    run = Run(compiled=compiled).train(5)
    extra = {"epoch": 3, "best": [0.1, None], "history": torch.ones(2)}
    file = checkpoint.save(tmp_path / name, step=5, **run.parts, extra=extra)
    expected = run.train(5).everything()
    other = Run(seed=7, compiled=compiled, lr=0.5, base=0.1).train(2)
    slots = id(other.optimizer.state)
    resumed = checkpoint.resume(tmp_path / name, **other.parts)
    assert (resumed.step, resumed.path) == (5, file)
    assert (resumed.extra["epoch"], resumed.extra["best"]) == (3, [0.1, None])
    assert resumed.extra["history"].tolist() == [1, 1]
    assert id(other.optimizer.state) == slots
    assert_equal(expected, other.train(5).everything())


def test_the_random_numbers_go_on(tmp_path):
    mx.random.seed(2**64 - 5)
    mx.random.uniform()
    torch.randn(3)  # keeps a normal number
    checkpoint.save(tmp_path / "a.pt", step=0)

    def draw():
        return mx.random.normal((3,)).tolist(), random.gauss(0, 1), np.random.randn(3).tolist(), torch.randn(3).tolist()

    expected = draw()
    draw()
    random.seed(5)
    checkpoint.resume(tmp_path / "a.pt")
    assert draw() == expected
    before = draw()
    checkpoint.resume(tmp_path / "a.pt", ignore=["random"])
    assert draw() != expected
    assert draw() != before


def test_a_file_from_before_there_was_a_generator_here(tmp_path):
    file = checkpoint.save(tmp_path / "a.pt", step=0)
    content = torch.load(file)
    del content["random"]["torch"]
    torch.save(content, file)
    state = torch.get_rng_state().tolist()
    checkpoint.resume(file)
    assert torch.get_rng_state().tolist() == state


@pytest.mark.parametrize("kind", ["Philox", "PCG64", "SFC64"])
def test_another_generator_of_numpy(kind, tmp_path):
    held = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(getattr(np.random, kind)(3))
        np.random.rand()
        checkpoint.save(tmp_path / "a.pt", step=0)
        expected = np.random.rand(3).tolist()
        checkpoint.resume(tmp_path / "a.pt")
        assert np.random.rand(3).tolist() == expected
    finally:
        np.random.set_bit_generator(held)
    state = repr(np.random.get_state())
    with pytest.raises(ValueError, match=rf'\["random"\] of .* was a {kind}, and is a MT19937 here: call numpy'):
        checkpoint.resume(tmp_path / "a.pt")
    assert repr(np.random.get_state()) == state


def test_dicts_and_lists_of_parts(tmp_path):
    """As of a GAN; the file has the same dicts and lists."""

    def made(seed: int) -> dict[str, Any]:
        mx.random.seed(seed)
        models = {"g": nn.Linear(3, 3), "d": nn.Linear(3, 3)}
        optimizers = [optim.Adam(models["g"]), optim.RMSprop(models["d"], momentum=0.9)]
        schedulers = tuple(optim.lr_scheduler.StepLR(o, 2) for o in optimizers)
        for model, optimizer in zip(models.values(), optimizers, strict=True):
            torch.backward(model, squared_error, inputs(seed))
            optimizer.step()
        return {"model": models, "optimizer": optimizers, "scheduler": schedulers}

    first, second = made(0), made(1)
    file = checkpoint.save(tmp_path / "a.pt", step=1, **first)
    checkpoint.resume(file, **second)
    for i, key in enumerate(("g", "d")):
        assert_equal(*[everything(run["model"][key], run["optimizer"][i]) for run in (first, second)])
    content = torch.load(file)
    assert list(content["model"]) == ["g", "d"]
    assert [list(state) for state in content["optimizer"]] == [["state", "param_groups"]] * 2
    for changed in ({"model": first["model"]["g"]}, {"optimizer": first["optimizer"][:1]}):
        (kind,) = changed
        with pytest.raises(ValueError, match=f"has .* and resume.. was given .*: pass {kind}= with the same keys as"):
            checkpoint.resume(file, **{**second, **changed})


def test_the_file_is_an_ordinary_one(tmp_path):
    run = Run().train(2)
    content = torch.load(checkpoint.save(tmp_path, step=7, **run.parts, extra={"a": 1}))
    assert content["step"] == 7
    assert content["extra"] == {"a": 1}
    assert list(content["model"]["net"]) == list(torch.state_dict(run.model))
    assert content["optimizer"].keys() == {"state", "param_groups"}
    fresh = Run(seed=3)
    fresh.optimizer.load_state_dict(content["optimizer"], keep_state_dtype=True)
    fresh.scheduler.load_state_dict(content["scheduler"])
    torch.load_state_dict(fresh.model, content["model"]["net"])
    assert_equal(*[everything(r.model, r.optimizer) for r in (run, fresh)])


NATIVE = {
    "mlx": lambda: mlx.optimizers.AdamW(mlx.optimizers.exponential_decay(0.1, 0.9)),
    "several": lambda: mlx.optimizers.MultiOptimizer(
        [mlx.optimizers.Lion(0.01), mlx.optimizers.Adam(0.1)], [lambda path, _: "bias" in path]
    ),
    "rule": lambda: torch.optimizers.AdamW(torch.optimizers.schedules.exponential_lr(0.1, 0.9)),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_optimizers_of_mlxs_kind(name, kind, compiled, tmp_path):
    def made(seed: int) -> tuple[nn.Module, Any, Any]:
        mx.random.seed(seed)
        model, optimizer = Net(), NATIVE[kind]()
        state = [model.state, optimizer.state, mx.random.state]

        def step() -> None:
            _, grads = nn.value_and_grad(model, squared_error)(model, inputs())
            optimizer.update(model, grads)

        if compiled:
            optimizer.init(model.trainable_parameters())
            state[1] = optimizer.state
            step = partial(mx.compile, inputs=state, outputs=state)(step)
        return model, optimizer, step

    model, optimizer, step = made(0)
    for _ in range(3):
        step()
    file = checkpoint.save(tmp_path / name, step=3, model=model, optimizer=optimizer)
    for _ in range(3):
        step()
    expected = flat(model), flat(optimizer.state)
    model, optimizer, step = made(5)
    step()
    before = flat(model), flat(optimizer.state)
    content = torch.load(file)
    content["random"]["mlx"] = None
    torch.save(content, tmp_path / "damaged.pt")
    with pytest.raises(ValueError, match="Nothing was changed"):
        checkpoint.resume(tmp_path / "damaged.pt", model=model, optimizer=optimizer)
    assert_equal(before, (flat(model), flat(optimizer.state)))
    checkpoint.resume(file, model=model, optimizer=optimizer)
    for _ in range(3):
        step()
    assert_equal(expected, (flat(model), flat(optimizer.state)))


def test_an_mlx_optimizers_state_of_another_model_is_refused(tmp_path):
    optimizer, other = mlx.optimizers.Adam(0.1), mlx.optimizers.Adam(0.1)
    optimizer.init(nn.Linear(2, 3).parameters())
    other.init(nn.Linear(4, 3).parameters())
    file = checkpoint.save(tmp_path / "a.pt", step=1, optimizer=optimizer)
    before = flat(other.state)
    with pytest.raises(ValueError, match=r"'weight\.m' has shape \(3, 2\), and \(3, 4\) in the optimizer's state"):
        checkpoint.resume(file, optimizer=other)
    assert_equal(before, flat(other.state))


def test_a_rules_rate_is_as_before_in_full(tmp_path):
    optimizer = torch.optimizers.AdamW(0.1)
    file = checkpoint.save(tmp_path / "a.pt", step=1, optimizer=optimizer)
    content = torch.load(file)
    content["random"] = None
    torch.save(content, file)
    optimizer.lr = 1 / 3
    with pytest.raises(ValueError, match="is not the state of the generators"):
        checkpoint.resume(file, optimizer=optimizer)
    assert optimizer.lr == 1 / 3


class Counter:
    """Anything with a state."""

    def __init__(self, number: int = 0, refuses: bool = False) -> None:
        self.number, self.refuses = number, refuses

    def state_dict(self) -> dict[str, Any]:
        return {"number": self.number}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.number = state["number"]
        if self.refuses and self.number > 1:
            raise RuntimeError("not this one.")


def test_anything_with_a_state(tmp_path):
    checkpoint.save(tmp_path / "a.pt", step=0, model=Counter(5))
    counter = Counter()
    checkpoint.resume(tmp_path / "a.pt", model=counter)
    assert counter.number == 5


# -- all or nothing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["last", *PARTS])
def test_when_one_part_refuses_all_are_as_before(failing, tmp_path):
    run = Run().train(3)
    parts = run.parts
    parts["scaler"] = {"first": parts["scaler"], "last": Counter(5)}
    file = checkpoint.save(tmp_path / "a.pt", step=3, **parts)
    content = torch.load(file)
    damage(content, failing)
    torch.save(content, file)
    other = Run(seed=9, lr=0.3, base=0.2).train(2)
    parts = other.parts
    counter = Counter(1, refuses=failing == "last")
    parts["scaler"] = {"first": parts["scaler"], "last": counter}
    place = r"\[\"scaler\"\]\[\"last\"\]" if failing == "last" else rf"\[\"{failing}\"\]"
    with (
        nothing_changes(other),
        pytest.raises(ValueError, match=rf"(?s)^{place}.* does not load: .*\. Nothing was changed\.$"),
    ):
        checkpoint.resume(file, **parts)
    assert counter.number == 1
    other.train(1)  # it is still of use


def damage(content: dict[str, Any], part: str) -> None:
    if part == "model":
        content["model"]["ema"]["module.head.weight"] = torch.ones(1)
    elif part == "optimizer":
        content["optimizer"]["state"][0]["exp_avg"] = torch.ones(1)
    elif part == "scheduler":
        content["scheduler"]["lr_lambdas"] = []
    elif part == "scaler":
        del content["scaler"]["first"]["scale"]
    elif part == "random":
        content["random"]["python"] = (3, (1, 2), None)


@pytest.mark.parametrize("key", ["mlx", "python", "numpy", "torch"])
@pytest.mark.parametrize("value", [None, {}, [1], ["a", "b"], [-1, 2**70]])
def test_a_damaged_random_state_changes_nothing(key, value, tmp_path):
    run = Run().train(1)
    file = checkpoint.save(tmp_path / "a.pt", step=3, **run.parts)
    content = torch.load(file)
    content["random"][key] = value
    torch.save(content, file)
    with nothing_changes(run), pytest.raises(ValueError, match=r'^\["random"\] of the checkpoint'):
        checkpoint.resume(file, **run.parts)


# -- what does not fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["model", "optimizer", "scheduler", "scaler"])
def test_a_part_that_was_saved_and_is_not_given(kind, tmp_path):
    run = Run().train(1)
    file = checkpoint.save(tmp_path / "a.pt", step=1, **run.parts)
    other = Run(seed=2).train(1)
    parts = {k: v for k, v in other.parts.items() if k != kind}
    with nothing_changes(other), pytest.raises(ValueError, match=rf"not given.*pass {kind}=, or ignore=\['{kind}'\]"):
        checkpoint.resume(file, **parts)
    checkpoint.resume(file, **parts, ignore=[kind])
    with pytest.raises(ValueError, match=rf"{kind} is given and is listed in ignore"):
        checkpoint.resume(file, **other.parts, ignore=[kind])


@pytest.mark.parametrize("kind", ["model", "optimizer", "scheduler", "scaler"])
def test_a_part_that_is_given_and_was_not_saved(kind, tmp_path):
    run = Run().train(1)
    file = checkpoint.save(tmp_path / "a.pt", step=1, **{k: v for k, v in run.parts.items() if k != kind})
    with nothing_changes(run), pytest.raises(ValueError, match=rf'has no \["{kind}"\], and {kind}= was given'):
        checkpoint.resume(file, **run.parts)
