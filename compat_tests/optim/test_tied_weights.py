"""Tied weights next to torch: one array at several places of an mlx.nn model trains as one Parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from torchish_mlx import optim as ours
from torchish_mlx.nn.utils import clip_grad_norm_
from torchish_mlx.optim.swa_utils import AveragedModel
from torchish_mlx.optimizers import clip_grad_norm

TOKENS, WIDTH, LIMIT = 7, 4, 0.05

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"lr": 0.02},
    "AdamW": {"lr": 0.02},
    "Adamax": {"lr": 0.02},
    "NAdam": {"lr": 0.02},
    "RAdam": {"lr": 0.02},
    "Adagrad": {"lr": 0.05},
    "Adadelta": {"lr": 0.5},
    "RMSprop": {"lr": 0.01, "momentum": 0.5},
    "Rprop": {"lr": 0.01},
    "ASGD": {"lr": 0.05},
    "Adafactor": {"lr": 0.02},
}


class Torchs(torch.nn.Module):
    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.emb = torch.nn.Embedding(TOKENS, WIDTH)
        self.mid = torch.nn.Linear(WIDTH, WIDTH)
        self.head = torch.nn.Linear(WIDTH, TOKENS, bias=False)
        if tied:
            self.tie()

    def tie(self) -> None:
        self.head.weight = self.emb.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.mid(self.emb(x))))


class Ours(nn.Module):
    def __init__(self, like: torch.nn.Module, tied: bool = True) -> None:
        super().__init__()
        self.emb = nn.Embedding(TOKENS, WIDTH)
        self.mid = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, TOKENS, bias=False)
        self.load_weights([(name, mx.array(value.numpy())) for name, value in like.state_dict().items()])
        if tied:
            self.tie()

    def tie(self) -> None:
        self.head.weight = self.emb.weight

    def __call__(self, x: mx.array) -> mx.array:
        return self.head(mx.tanh(self.mid(self.emb(x))))


def loss_of(model: nn.Module, x: mx.array, y: mx.array) -> mx.array:
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(step)
    x = rng.integers(0, TOKENS, (3, 5))
    return x, (x + 1) % TOKENS


class Pair:
    """A model of torch and the same of ours, trained by the same optimizer."""

    def __init__(self, name: str = "AdamW", how: str = "step", tied: str = "before") -> None:
        torch.manual_seed(0)
        options = OPTIMIZERS[name]
        self.theirs = Torchs(tied == "before")
        self.ours = Ours(self.theirs, tied == "before")
        self.torchs = getattr(torch.optim, name)(self.theirs.parameters(), **options)
        self.optimizer = getattr(ours, name)(self.ours, **options)
        if tied == "after":
            self.tie()
        self.how, self.count = how, 0
        self.function: Any = None

    def tie(self) -> None:
        self.theirs.tie()
        self.ours.tie()

    def step(self, x: mx.array, y: mx.array) -> mx.array:
        loss = tm.backward(self.ours, loss_of, x, y)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.array

    def update(self, x: mx.array, y: mx.array) -> mx.array:
        loss, grads = nn.value_and_grad(self.ours, loss_of)(self.ours, x, y)
        self.optimizer.update(self.ours, grads)
        return loss

    def applied(self, x: mx.array, y: mx.array) -> mx.array:
        loss, grads = nn.value_and_grad(self.ours, loss_of)(self.ours, x, y)
        self.ours.update(self.optimizer.apply_gradients(grads, self.ours))
        return loss

    def by_tree(self, x: mx.array, y: mx.array) -> mx.array:
        loss, grads = nn.value_and_grad(self.ours, loss_of)(self.ours, x, y)
        self.ours.update(self.optimizer.apply_gradients(grads, self.ours.parameters()))
        return loss

    def step_clipped(self, x: mx.array, y: mx.array) -> mx.array:
        loss = tm.backward(self.ours, loss_of, x, y)
        clip_grad_norm_(self.ours, LIMIT)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.array

    def update_clipped(self, x: mx.array, y: mx.array) -> mx.array:
        loss, grads = nn.value_and_grad(self.ours, loss_of)(self.ours, x, y)
        grads, _ = clip_grad_norm(tm.tied_gradients(self.ours, grads), LIMIT)
        self.optimizer.update(self.ours, grads)
        return loss

    def compiled(self) -> Any:
        function = getattr(self, self.how.removeprefix("compiled "))
        if not self.how.startswith("compiled"):
            return function
        state = [self.ours.state, self.optimizer.state]
        return mx.compile(function, inputs=state, outputs=state)

    def train(self, steps: int) -> None:
        """Train both, and compare their losses and weights."""
        self.function = self.function or self.compiled()
        for _ in range(steps):
            x, y = batch(self.count)
            self.count += 1
            self.torchs.zero_grad()
            logits = self.theirs(torch.tensor(x))
            loss = torch.nn.functional.cross_entropy(logits.reshape(-1, TOKENS), torch.tensor(y).reshape(-1))
            loss.backward()
            if "clipped" in self.how:
                torch.nn.utils.clip_grad_norm_(self.theirs.parameters(), LIMIT)
            self.torchs.step()
            mine = self.function(mx.array(x), mx.array(y))
            mx.eval(mine, self.ours.parameters())
            assert mine.item() == pytest.approx(loss.item(), rel=1e-4)
        self.compare()

    def compare(self) -> None:
        for name, value in tm.state_dict(self.ours).items():
            theirs = self.theirs.state_dict()[name].detach().numpy()
            np.testing.assert_allclose(value.numpy(), theirs, rtol=2e-4, atol=2e-5, err_msg=name)
        assert mx.array_equal(self.ours.head.weight, self.ours.emb.weight).item()


# -- training ---------------------------------------------------------------------------------------------------------

HOW = ["step", "update", "applied", "by_tree", "compiled step", "compiled update"]


@pytest.mark.parametrize("tied", ["before", "after"])
@pytest.mark.parametrize("how", HOW)
def test_twenty_steps(how: str, tied: str) -> None:
    pair = Pair("AdamW", how, tied)
    pair.train(20)
    assert len(pair.optimizer.param_groups[0]["params"]) == len(list(pair.torchs.param_groups[0]["params"]))


@pytest.mark.parametrize("how", ["step", "update"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name: str, how: str) -> None:
    Pair(name, how).train(8)


@pytest.mark.parametrize("how", ["step", "update", "by_tree"])
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_tied_in_the_middle_of_training(name: str, how: str) -> None:
    pair = Pair(name, how, "never")
    for _ in range(3):  # without a comparison of the two places
        x, y = batch(pair.count)
        pair.torchs.zero_grad()
        logits = pair.theirs(torch.tensor(x)).reshape(-1, TOKENS)
        torch.nn.functional.cross_entropy(logits, torch.tensor(y).reshape(-1)).backward()
        pair.torchs.step()
        getattr(pair, how)(mx.array(x), mx.array(y))
    pair.tie()
    mx.eval(pair.optimizer.state)  # which looks at the model, before value_and_grad makes other objects of the arrays
    pair.train(5)


def test_tied_in_the_middle_of_training_and_compiled_again() -> None:
    pair = Pair("AdamW", "compiled step", "never")
    state = [pair.ours.state, pair.optimizer.state]
    step = mx.compile(pair.step, inputs=state, outputs=state)
    for _ in range(2):
        x, y = batch(0)
        step(mx.array(x), mx.array(y))
    assert not mx.array_equal(pair.ours.head.weight, pair.ours.emb.weight).item()
    pair.ours.tie()
    mx.eval(pair.optimizer.state)  # the same compiled function is traced again
    for _ in range(2):
        step(mx.array(x), mx.array(y))
        assert mx.array_equal(pair.ours.head.weight, pair.ours.emb.weight).item()


def test_tied_the_other_way_round() -> None:
    """torch's ``emb.weight = head.weight``: the head's Parameter goes on, with its moments."""
    pair = Pair("AdamW", "step", "never")
    for _ in range(3):
        x, y = batch(pair.count)
        pair.torchs.zero_grad()
        logits = pair.theirs(torch.tensor(x)).reshape(-1, TOKENS)
        torch.nn.functional.cross_entropy(logits, torch.tensor(y).reshape(-1)).backward()
        pair.torchs.step()
        pair.step(mx.array(x), mx.array(y))
    head, old = tm.locate(pair.ours, "head.weight"), tm.locate(pair.ours, "emb.weight")
    pair.theirs.emb.weight = pair.theirs.head.weight
    pair.ours.emb.weight = pair.ours.head.weight
    pair.train(5)
    assert tm.locate(pair.ours, "emb.weight") is head
    assert old.owner is None
    assert old.grad is None


def test_gradients_wait_while_it_is_tied() -> None:
    """Gradients of both, and then the tie: torch steps the old Parameter by its own, outside the model."""
    pair = Pair("AdamW", "step", "never")
    x, y = batch(0)
    logits = pair.theirs(torch.tensor(x)).reshape(-1, TOKENS)
    torch.nn.functional.cross_entropy(logits, torch.tensor(y).reshape(-1)).backward()
    tm.backward(pair.ours, loss_of, mx.array(x), mx.array(y))
    pair.tie()
    pair.torchs.step()
    pair.optimizer.step()
    pair.torchs.zero_grad()
    pair.optimizer.zero_grad()
    pair.compare()
    pair.train(3)


def test_untied_again() -> None:
    """A new array at one place is a new Parameter, as in torch, which the optimizer does not hold."""
    pair = Pair("AdamW", "step")
    pair.train(2)
    new = np.full((TOKENS, WIDTH), 0.5, np.float32)
    pair.theirs.head.weight = torch.nn.Parameter(torch.tensor(new))
    pair.ours.head.weight = mx.array(new)
    for _ in range(2):
        x, y = batch(pair.count)
        pair.torchs.zero_grad()
        logits = pair.theirs(torch.tensor(x)).reshape(-1, TOKENS)
        torch.nn.functional.cross_entropy(logits, torch.tensor(y).reshape(-1)).backward()
        pair.torchs.step()
        pair.step(mx.array(x), mx.array(y))
    for name, value in tm.state_dict(pair.ours).items():
        theirs = pair.theirs.state_dict()[name].numpy()
        np.testing.assert_allclose(value.numpy(), theirs, rtol=2e-4, atol=2e-5, err_msg=name)
    np.testing.assert_array_equal(np.array(pair.ours.head.weight), new)
    assert len(list(tm.parameters(pair.ours))) == len(list(pair.theirs.parameters())) == 4


@pytest.mark.parametrize("how", ["step_clipped", "update_clipped", "compiled step_clipped", "compiled update_clipped"])
def test_clipped(how: str) -> None:
    Pair("SGD", how).train(6)


# -- what follows from one Parameter ----------------------------------------------------------------------------------


def test_one_norm_in_clipping() -> None:
    pair = Pair()
    x, y = batch(0)
    logits = pair.theirs(torch.tensor(x)).reshape(-1, TOKENS)
    torch.nn.functional.cross_entropy(logits, torch.tensor(y).reshape(-1)).backward()
    tm.backward(pair.ours, loss_of, mx.array(x), mx.array(y))
    theirs = torch.nn.utils.clip_grad_norm_(pair.theirs.parameters(), 0.1)
    assert clip_grad_norm_(pair.ours, 0.1).item() == pytest.approx(theirs.item(), rel=1e-5)
    gradient = tm.locate(pair.ours, "head.weight").grad.numpy()
    np.testing.assert_allclose(gradient, pair.theirs.head.weight.grad.numpy(), rtol=1e-4, atol=1e-7)


def test_the_average_of_a_tied_model() -> None:
    pair = Pair("SGD")
    mine, theirs = AveragedModel(pair.ours), torch.optim.swa_utils.AveragedModel(pair.theirs)
    for _ in range(3):
        pair.train(1)
        mine.update_parameters(pair.ours)
        theirs.update_parameters(pair.theirs)
    assert mine.module.emb.weight is mine.module.head.weight
    assert mine.module.emb.weight is not pair.ours.emb.weight
    assert [name for name, _ in tm.named_parameters(mine)] == [name for name, _ in theirs.named_parameters()]
    for name, value in mine.state_dict().items():
        np.testing.assert_allclose(value.numpy(), theirs.state_dict()[name].numpy(), rtol=1e-4, atol=1e-6)


def test_freezing() -> None:
    pair = Pair()
    for p in pair.theirs.head.parameters():
        p.requires_grad_(False)
    for p in tm.parameters(pair.ours.head):
        p.requires_grad_(False)
    for name in ("emb", "head"):
        mine, theirs = getattr(pair.ours, name), getattr(pair.theirs, name)
        assert next(tm.parameters(mine)).requires_grad == theirs.weight.requires_grad
        assert "weight" not in mine.trainable_parameters()
    before = np.array(pair.ours.emb.weight)
    pair.train(3)
    np.testing.assert_array_equal(np.array(pair.ours.emb.weight), before)


LOADS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "all": lambda s: s,
    "without the second name": lambda s: {k: v for k, v in s.items() if k != "head.weight"},
    "without the first name": lambda s: {k: v for k, v in s.items() if k != "emb.weight"},
    "different values": lambda s: {**s, "head.weight": s["head.weight"] + 1},
    "different values, the other order": lambda s: {"head.weight": s["head.weight"] + 1, **s},
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("what", LOADS)
def test_loading(what: str, strict: bool) -> None:
    source, pair = Torchs(), Pair()
    given = LOADS[what](dict(source.state_dict()))
    mine, theirs = [], []
    for load, model, found in (
        (torch.nn.Module.load_state_dict, pair.theirs, theirs),
        (tm.load_state_dict, pair.ours, mine),
    ):
        try:
            found.append(tuple(map(list, load(model, given, strict=strict))))
        except RuntimeError as error:
            found.append(str(error).splitlines()[1].strip())
    assert mine == theirs
    pair.compare()
    pair.train(2)  # the optimizer goes on with what was loaded


def test_a_state_dict_is_one_storage_under_two_names(tmp_path: Any) -> None:
    pair = Pair()
    pair.train(2)
    state = tm.state_dict(pair.ours)
    assert list(state) == list(pair.theirs.state_dict())
    tm.save(state, tmp_path / "model.pt")
    loaded = torch.load(tmp_path / "model.pt")
    assert loaded["emb.weight"].data_ptr() == loaded["head.weight"].data_ptr()
    Torchs().load_state_dict(loaded)


def test_the_state_of_the_optimizer() -> None:
    for tied in ("before", "after"):
        pair = Pair("AdamW", "step", tied)
        pair.train(2)
        mine, theirs = pair.optimizer.state_dict(), pair.torchs.state_dict()
        assert mine["param_groups"][0]["params"] == theirs["param_groups"][0]["params"]
        assert list(mine["state"]) == list(theirs["state"])
        again = Pair("AdamW", "step", tied)
        tm.load_state_dict(again.ours, tm.state_dict(pair.ours))
        again.optimizer.load_state_dict(theirs)
        again.theirs.load_state_dict(pair.theirs.state_dict())
        again.torchs.load_state_dict(theirs)
        again.train(3)


def test_groups_that_both_have_it() -> None:
    pair = Pair()
    for kind, optim, listed in (
        (pair.theirs, torch.optim.SGD, lambda m: list(m.parameters())),
        (Ours(pair.theirs), ours.SGD, lambda m: list(tm.parameters(m))),
    ):
        with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
            optim([{"params": listed(kind.emb)}, {"params": listed(kind.head)}], lr=0.1)
        with pytest.warns(UserWarning, match="duplicate parameters"):
            optim(listed(kind.emb) + listed(kind.head), lr=0.1)


def test_equal_arrays_are_not_tied() -> None:
    pair = Pair("AdamW", "step", "never")
    pair.ours.head.weight = mx.array(pair.ours.emb.weight)
    with torch.no_grad():
        pair.theirs.head.weight.copy_(pair.theirs.emb.weight)
    assert len(list(tm.parameters(pair.ours))) == 4
    x, y = batch(0)
    logits = pair.theirs(torch.tensor(x)).reshape(-1, TOKENS)
    torch.nn.functional.cross_entropy(logits, torch.tensor(y).reshape(-1)).backward()
    pair.torchs.step()
    pair.step(mx.array(x), mx.array(y))
    for name, value in tm.state_dict(pair.ours).items():
        np.testing.assert_allclose(value.numpy(), pair.theirs.state_dict()[name].numpy(), rtol=1e-4, atol=1e-5)
    assert not mx.array_equal(pair.ours.head.weight, pair.ours.emb.weight).item()
