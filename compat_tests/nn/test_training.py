"""Models of ``nn.Module`` with everything around them: optimizers, schedulers, averages, files, MLX's tree API."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm


def network(T: Any) -> Any:
    nn, F = T.nn, T.nn.functional

    class Layer(nn.Module):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.weight = nn.Parameter((T.arange(float(into * out)).reshape(out, into) - 3) / 10)
            self.bias = nn.Parameter(T.zeros(out))
            self.register_buffer("calls", T.zeros(1))

        def forward(self, x: Any) -> Any:
            if self.training:
                self.calls += 1
            return F.linear(x, self.weight, self.bias)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = Layer(3, 4), Layer(4, 2)

        def forward(self, x: Any) -> Any:
            return self.b(F.relu(self.a(x)))

    return Network()


def batch(T: Any) -> tuple[Any, Any]:
    return T.arange(12.0).reshape(4, 3) / 10, T.tensor([0, 1, 1, 0])


def trained(T: Any, model: Any, steps: int = 5) -> tuple[list[float], Any, Any]:
    """The losses and norms of some steps, the optimizer, and an averaged model."""
    groups = [{"params": model.a.parameters(), "weight_decay": 0.0}, {"params": model.b.parameters()}]
    optimizer = T.optim.AdamW(groups, lr=1e-2)
    scheduler = T.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    swa = T.optim.swa_utils
    averaged = swa.AveragedModel(model, multi_avg_fn=swa.get_ema_multi_avg_fn(0.9))
    (x, y), said = batch(T), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = T.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        said += [loss.item(), T.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()]
        optimizer.step()
        scheduler.step()
        averaged.update_parameters(model)
    return said, optimizer, averaged


def close(mine: Any, theirs: Any) -> None:
    np.testing.assert_allclose(np.array(mine.tolist()), np.array(theirs.tolist()), rtol=1e-6, atol=1e-7)


@pytest.fixture(scope="module")
def both() -> Any:
    made = {}
    for T in (tm, torch):
        model = network(T)
        made[T] = (model, *trained(T, model))
    return made


def test_a_loop_learns_as_torch_does(both: Any) -> None:
    (ours, said, _, averaged), (theirs, expected, _, torchs) = both[tm], both[torch]
    np.testing.assert_allclose(said, expected, rtol=1e-6)
    for mine, his in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert mine[0] == his[0]
        close(mine[1], his[1])
    assert list(averaged.state_dict()) == list(torchs.state_dict())
    for mine, his in zip(averaged.state_dict().values(), torchs.state_dict().values(), strict=True):
        close(mine, his)
    assert isinstance(averaged, tm.optim.swa_utils.AveragedModel)
    assert isinstance(averaged, tm.nn.Module)


@pytest.mark.parametrize("options", [{}, {"avg": True}, {"use_buffers": True}])
def test_averages(options: dict[str, Any]) -> None:
    found = []
    for T in (tm, torch):
        swa = T.optim.swa_utils
        given = {"avg_fn": swa.get_ema_avg_fn(0.5)} if "avg" in options else options
        model = network(T)
        averaged = swa.AveragedModel(model, **given)
        for factor in (1.0, 3.0, 5.0):
            with T.no_grad():
                for tensor in [*model.parameters(), *model.buffers()]:
                    tensor.add_(factor)
            averaged.update_parameters(model)
        found.append([value.tolist() for value in averaged.state_dict().values()])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_state_dicts_go_both_ways(both: Any) -> None:
    (ours, _, optimizer, _), (theirs, _, torchs, _) = both[tm], both[torch]
    file = io.BytesIO()
    tm.save({"model": ours.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    read = torch.load(file, weights_only=True)
    fresh = network(torch)
    assert repr(fresh.load_state_dict(read["model"])) == "<All keys matched successfully>"
    assert read["model"]._metadata == theirs.state_dict()._metadata
    torch.optim.AdamW(copy.deepcopy(torchs.param_groups)).load_state_dict(read["optimizer"])
    file = io.BytesIO()
    torch.save({"model": theirs.state_dict(), "optimizer": torchs.state_dict()}, file)
    file.seek(0)
    found = tm.load(file)
    assert repr(network(tm).load_state_dict(found["model"])) == "<All keys matched successfully>"
    assert found["model"]._metadata == ours.state_dict()._metadata
    optimizer.load_state_dict(found["optimizer"])


def test_a_scaler_and_a_closure() -> None:
    found = []
    for T in (tm, torch):
        model, (x, y) = network(T), batch(T)
        optimizer = T.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        scaler = T.amp.GradScaler("cpu", init_scale=8.0)
        for _ in range(3):
            optimizer.zero_grad()
            scaler.scale(T.nn.functional.cross_entropy(model(x), y)).backward()
            scaler.unscale_(optimizer)
            T.nn.utils.clip_grad_value_(model.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
        search = T.optim.LBFGS(model.parameters(), max_iter=5)

        def closure(T: Any = T, model: Any = model, search: Any = search, x: Any = x, y: Any = y) -> Any:
            search.zero_grad()
            loss = T.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            return loss

        search.step(closure)
        found.append([p.tolist() for p in model.parameters()])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


# The tree of arrays ---------------------------------------------------------------------------------------------------


def stepping(model: Any, optimizer: Any) -> Callable[[], mx.array]:
    x, y = batch(tm)

    def step() -> mx.array:
        loss = tm.nn.functional.cross_entropy(model(x), y)
        names, parameters = zip(*model.named_parameters(), strict=True)
        found = tm.autograd.grad(loss, parameters)
        optimizer.update(model, {name: g.array for name, g in zip(names, found, strict=True)})
        return loss.array

    return step


@pytest.mark.parametrize("compiled", [False, True])
def test_updates_by_trees(compiled: bool) -> None:
    one, two = network(tm), network(tm)
    optimizer, other = (tm.optim.Adam(m.parameters(), lr=0.1) for m in (one, two))
    step = stepping(one, optimizer)
    if compiled:
        optimizer.init(one)
        kept = [tm.nn.tree(one), optimizer.state_tree()]
        step = mx.compile(step, inputs=kept, outputs=kept)
    for _ in range(4):
        other.zero_grad()
        x, y = batch(tm)
        loss = tm.nn.functional.cross_entropy(two(x), y)
        loss.backward()
        other.step()
        np.testing.assert_allclose(step().item(), loss.item(), rtol=1e-5)
    for mine, his in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        np.testing.assert_allclose(mine.tolist(), his.tolist(), rtol=1e-4, atol=1e-6)


def test_a_tree_and_its_module_are_one() -> None:
    model = network(tm)
    model.tied = model.a
    tree = tm.nn.tree(model)
    assert tree is tm.nn.tree(model)
    assert tree["a"] is tree["tied"]
    tree["a"]["weight"] = tree["a"]["weight"] * 0
    assert model.a.weight.abs().sum().item() == 0
    with tm.no_grad():
        model.a.weight.add_(2)
    assert tree["a"]["weight"].tolist() == [[2.0] * 3] * 4
    old = model.b.bias
    model.b.bias = tm.nn.Parameter(tm.ones(2))
    del model.tied
    assert tm.nn.tree(model)["b"]["bias"].tolist() == [1.0, 1.0]
    assert "tied" not in tree
    tree["b"]["bias"] = mx.zeros(2)
    assert model.b.bias.tolist() == [0.0, 0.0]
    assert old.tolist() == [0.0, 0.0]
    with tm.no_grad():
        old.add_(1)
    assert model.b.bias.tolist() == [0.0, 0.0]
    copied = copy.deepcopy(model)
    with tm.no_grad():
        copied.a.weight.zero_()
    assert tree["a"]["weight"].tolist() == [[2.0] * 3] * 4


def test_wrong_trees_are_refused() -> None:
    model = network(tm)
    optimizer = tm.optim.SGD(model.a.parameters(), lr=0.1)
    for tree, words in (
        ({"a": {"none": mx.zeros(1)}}, "no such parameter"),
        ({"b": {"bias": mx.zeros(2)}}, "does not hold"),
        ({"a": {"bias": mx.zeros(1)}}, "has the shape"),
    ):
        before = [p.tolist() for p in model.parameters()]
        with pytest.raises(ValueError, match=words):
            optimizer.update(model, tree)
        assert [p.tolist() for p in model.parameters()] == before
