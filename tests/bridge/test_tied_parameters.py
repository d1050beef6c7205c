"""One array object at several places of a model is one Parameter: which places, for how long, and what follows."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as tm
from torchish_mlx import checkpoint, optim
from torchish_mlx import optimizers as rules
from torchish_mlx.bridge._copies import copied
from torchish_mlx.optimizers import RowSparse, get_total_norm


class Tied(nn.Module):
    """An embedding and a head with one array, and a layer between."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(5, 3)
        self.mid = nn.Linear(3, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.emb.weight

    def __call__(self, x: mx.array) -> mx.array:
        return self.head(self.mid(self.emb(x)))


X, Y = mx.array([0, 1, 2, 3]), mx.array([1, 2, 3, 4])


def loss_of(model: nn.Module, x: mx.array = X, y: mx.array = Y) -> mx.array:
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def names(model: nn.Module) -> list[str]:
    return [name for name, _ in tm.named_parameters(model)]


def is_tied(model: Any) -> bool:
    """Whether it is one Parameter, and a write reaches both places."""
    p = tm.locate(model, "emb.weight")
    if tm.locate(model, "head.weight") is not p or "head.weight" in names(model):
        return False
    new = mx.random.normal(p.shape)
    p.array = new
    return model.emb.weight is new and model.head.weight is new


# -- which places are one ---------------------------------------------------------------------------------------------


def test_it_is_listed_once_under_its_first_path() -> None:
    model = Tied()
    assert names(model) == ["emb.weight", "mid.weight", "mid.bias"]
    p = tm.locate(model, "head.weight")
    assert p is tm.locate(model, "emb.weight") is next(tm.parameters(model.head))
    assert (p.owner, p.key, p.path) == (model.emb, "weight", "weight")
    assert is_tied(model)


def test_equal_arrays_are_two() -> None:
    for copy_of in (mx.array, lambda a: a + 0, lambda a: mx.array(np.array(a)), copy.deepcopy):
        model = Tied()
        model.head.weight = copy_of(model.emb.weight)
        assert names(model) == ["emb.weight", "mid.weight", "mid.bias", "head.weight"]


def test_copies_of_a_layer_are_not_tied() -> None:
    """They share memory until they are trained."""
    layer = nn.Linear(3, 3)
    model = nn.Sequential(*[copy.deepcopy(layer) for _ in range(3)])
    optimizer = optim.SGD(model, lr=0.1)
    assert len(optimizer.param_groups[0]["params"]) == 6
    for _ in range(2):
        _, gradients = nn.value_and_grad(model, lambda m: (m(mx.ones((1, 3))) ** 2).sum())(model)
        optimizer.update(model, gradients)
    assert not mx.array_equal(model.layers[0].weight, model.layers[1].weight).item()


def test_three_places_lists_and_dicts() -> None:
    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [nn.Linear(2, 2) for _ in range(2)]
            self.extra = {"a": [mx.ones((2, 2)), mx.zeros(3)], "b": nn.Linear(2, 2, bias=False)}
            self.blocks[1].weight = self.blocks[0].weight
            self.extra["a"][0] = self.blocks[0].weight
            self.extra["b"].weight = self.blocks[0].weight

    model = Many()
    assert names(model) == ["blocks.0.weight", "blocks.0.bias", "blocks.1.bias", "extra.a.1"]
    p = tm.locate(model, "extra.a.0")
    p.array = new = mx.full((2, 2), 7.0)
    places = [model.blocks[0].weight, model.blocks[1].weight, model.extra["a"][0], model.extra["b"].weight]
    assert all(place is new for place in places)
    model.extra["a"][0] = mx.zeros((2, 2))  # one of them leaves
    p.array = new = mx.full((2, 2), 8.0)
    assert model.extra["a"][0].sum().item() == 0
    assert all(place is new for place in (model.blocks[0].weight, model.blocks[1].weight, model.extra["b"].weight))
    assert tm.locate(model, "extra.a.0") is not p
    model.blocks[0] = nn.Linear(2, 2)  # the layer that came first is replaced
    p.array = new = mx.full((2, 2), 9.0)
    assert model.blocks[1].weight is new
    assert model.extra["b"].weight is new
    assert model.blocks[0].weight is not new
    assert p.owner is model.blocks[1]


def test_buffers_are_tied_too() -> None:
    model = nn.Sequential(nn.BatchNorm(2), nn.BatchNorm(2))
    model.layers[1].running_mean = model.layers[0].running_mean
    assert [name for name, _ in tm.named_buffers(model)] == [
        "layers.0.running_mean", "layers.0.running_var", "layers.1.running_var",
    ]  # fmt: skip
    model.layers[1].running_mean = model.layers[0].weight  # a parameter is no buffer
    assert len(list(tm.named_buffers(model))) == 4
    assert len(list(tm.named_parameters(model))) == 4


def test_models_are_tied_where_they_are_listed_together() -> None:
    """``target.update(online.parameters())`` gives two models the same arrays, which are values to MLX."""
    online, target = nn.Linear(2, 2), nn.Linear(2, 2)
    target.update(online.parameters())
    first, second = optim.SGD(online, lr=1.0), optim.SGD(target, lr=1.0)
    tm.backward(online, lambda m: m(mx.ones((1, 2))).sum())
    first.step()
    second.step()
    assert not mx.array_equal(online.weight, target.weight).item()
    both = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    both.layers[1].update(both.layers[0].parameters())
    assert names(both) == ["layers.0.weight", "layers.0.bias"]
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    other.weight = one.weight
    with pytest.raises(ValueError, match="more than one parameter group"):
        optim.SGD([{"params": one}, {"params": other}], lr=0.1)


def test_parameters_that_were_listed_from_each_module_first() -> None:
    model = Tied()
    head, emb = next(tm.parameters(model.head)), next(tm.parameters(model.emb))
    both = tm.locate(model, "head.weight"), *list(tm.parameters(model))[:1]
    assert both[0] is both[1]
    for p in (head, emb, *both):
        p.array = new = mx.random.normal((5, 3))
        assert model.emb.weight is new
        assert model.head.weight is new
        assert head.array is new
        assert emb.array is new
    ids = {id(p) for p in tm.parameters(model.head)}
    assert len([p for p in tm.parameters(model) if id(p) not in ids]) == 2


# -- what MLX does to the objects -------------------------------------------------------------------------------------


def through_compile(model: nn.Module) -> None:
    def step() -> None:
        for p in tm.parameters(model):
            p.data.mul_(0.5)

    mx.compile(step, inputs=[model.state], outputs=[model.state])()


def through_apply(model: nn.Module) -> None:
    model.apply(lambda a: a * 2)


def through_a_file(model: nn.Module, path: Path) -> None:
    mx.save_safetensors(str(path / "m.safetensors"), dict(tree_flatten(model.parameters())))
    model.load_weights(str(path / "m.safetensors"))


KEEPS: dict[str, Callable[[nn.Module], Any]] = {
    "value_and_grad": lambda m: nn.value_and_grad(m, loss_of)(m),
    "value_and_grad of a part": lambda m: nn.value_and_grad(m.head, lambda h: (h(mx.ones((1, 3))) ** 2).sum())(m.head),
    "value_and_grad with a frozen place": lambda m: (m.head.freeze(), nn.value_and_grad(m, loss_of)(m), m.unfreeze()),
    "compile": through_compile,
    "set_dtype": lambda m: (m.set_dtype(mx.bfloat16), m.set_dtype(mx.float32)),
    "apply": through_apply,
    "update with its own": lambda m: m.update(m.parameters()),
    "in place": lambda m: setattr(m.emb, "weight", m.emb.weight.__iadd__(1)),
    "deepcopy": lambda m: copy.deepcopy(m),
    "backward": lambda m: tm.backward(m, loss_of),
    "zeros": lambda m: m.update({"emb": {"weight": mx.zeros((5, 3))}, "head": {"weight": mx.zeros((5, 3))}}),
    "nan": lambda m: m.update({n: {"weight": mx.full((5, 3), mx.nan)} for n in ("emb", "head")}),
}


@pytest.mark.parametrize("what", KEEPS)
def test_it_stays_one(what: str) -> None:
    model = Tied()
    p = tm.locate(model, "emb.weight")
    for _ in range(2):
        KEEPS[what](model)
        assert is_tied(model)
        assert tm.locate(model, "emb.weight") is p


def test_it_stays_one_through_a_file(tmp_path: Path) -> None:
    model = Tied()
    assert is_tied(model)
    through_a_file(model, tmp_path)
    assert is_tied(model)


def test_what_mlx_did_before_the_first_look_is_not_known() -> None:
    """A tie is seen by the identity of the arrays; so a model is listed before value_and_grad runs."""
    model = Tied()
    nn.value_and_grad(model, loss_of)(model)
    assert len(names(model)) == 4


ENDS: dict[str, Callable[[Any], Any]] = {
    "a new array": lambda m: setattr(m.head, "weight", mx.ones((5, 3))),
    "a new array in front": lambda m: setattr(m.emb, "weight", mx.ones((5, 3))),
    "an equal one": lambda m: setattr(m.head, "weight", mx.array(m.emb.weight)),
    "another shape": lambda m: setattr(m.head, "weight", mx.ones((6, 3))),
    "another dtype": lambda m: setattr(m.head, "weight", m.emb.weight.astype(mx.float16)),
    "both new": lambda m: m.update({"emb": {"weight": mx.ones((5, 3))}, "head": {"weight": mx.zeros((5, 3))}}),
    "load_weights": lambda m: m.load_weights([("emb.weight", mx.ones((5, 3)))], strict=False),
    "another layer": lambda m: setattr(m, "head", nn.Linear(3, 5, bias=False)),
    "mlx.optimizers": lambda m: mlx.optimizers.SGD(0.1).update(m, nn.value_and_grad(m, loss_of)(m)[1]),
}


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("what", ENDS)
def test_it_ends_with_what_is_assigned(what: str, looked: bool) -> None:
    model: Any = Tied()
    p = tm.locate(model, "emb.weight")
    list(tm.parameters(model))
    ENDS[what](model)
    here, there = model.emb.weight, model.head.weight
    if looked:
        assert len(names(model)) == 4
    p.array = new = mx.full((5, 3), 3.0)
    assert (model.emb.weight is new) + (model.head.weight is new) == 1
    assert (model.emb.weight is here) + (model.head.weight is there) == 1
    assert tm.locate(model, "emb.weight") is not tm.locate(model, "head.weight")
    assert any(p is tm.locate(model, path) for path in ("emb.weight", "head.weight"))


def test_tied_again() -> None:
    model = Tied()
    p = tm.locate(model, "emb.weight")
    list(tm.parameters(model))
    model.head.weight = mx.ones((5, 3))
    q = tm.locate(model, "head.weight")
    assert q is not p
    model.head.weight = model.emb.weight
    assert is_tied(model)
    assert tm.locate(model, "head.weight") is p
    assert q.owner is None
    assert q.shape == (5, 3)
    assert q.sum().item() == 0


def test_the_old_parameter_keeps_an_array_that_somebody_holds() -> None:
    model = Tied()
    model.head.weight = kept = mx.full((5, 3), 2.0)
    q = dict(tm.named_parameters(model))["head.weight"]
    model.head.weight = model.emb.weight
    assert is_tied(model)
    assert q.array is kept


# -- what follows -----------------------------------------------------------------------------------------------------


def test_the_gradient_is_the_sum() -> None:
    model = Tied()
    p = tm.locate(model, "head.weight")
    _, gradients = nn.value_and_grad(model, loss_of)(model)
    expected = np.array(gradients["emb"]["weight"] + gradients["head"]["weight"])
    tm.backward(model, loss_of)
    np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_frozen_at_one_place_is_frozen() -> None:
    model = Tied()
    p = tm.locate(model, "emb.weight")
    list(tm.parameters(model))
    for place in (model.emb, model.head):
        place.freeze()
        assert not p.requires_grad
        tm.backward(model, loss_of)
        assert p.grad is None
        place.unfreeze()
        assert p.requires_grad
    p.requires_grad = False
    assert model.emb.trainable_parameters() == {}
    assert model.head.trainable_parameters() == {}
    p.requires_grad_()
    assert [name for name, _ in tree_flatten(model.trainable_parameters())] == [
        "emb.weight", "mid.weight", "mid.bias", "head.weight",
    ]  # fmt: skip


def test_update_with_the_gradient_of_one_place_reaches_both() -> None:
    model = Tied()
    optimizer = optim.SGD(model, lr=1.0)
    before = np.array(model.emb.weight)
    optimizer.update(model, {"head": {"weight": mx.ones((5, 3))}})
    for weight in (model.emb.weight, model.head.weight):
        np.testing.assert_allclose(np.array(weight), before - 1, rtol=1e-6)
    model.emb.freeze()
    _, gradients = nn.value_and_grad(model, loss_of)(model)
    assert "weight" not in gradients["emb"]
    optimizer.update(model, gradients)
    assert model.emb.weight is model.head.weight


def test_both_leaves_of_what_apply_gradients_gives_are_one_array() -> None:
    model = Tied()
    optimizer = optim.AdamW(model)
    _, gradients = nn.value_and_grad(model, loss_of)(model)
    for parameters in (model, model.parameters()):
        new = optimizer.apply_gradients(gradients, parameters)
        assert new["emb"]["weight"] is new["head"]["weight"]
    assert [name for name, _ in tree_flatten(optimizer.state) if name.startswith(("emb", "head"))] == [
        "emb.weight.exp_avg", "emb.weight.exp_avg_sq",
    ]  # fmt: skip


def test_init_makes_the_state_once() -> None:
    for what in (lambda m: m, lambda m: m.trainable_parameters()):
        model = Tied()
        optimizer = optim.AdamW(model)
        optimizer.init(what(model))
        assert {name.partition(".")[0] for name, _ in tree_flatten(optimizer.state)} == {"_groups", "emb", "mid"}


def test_a_compiled_step_is_traced_once() -> None:
    model, traces = Tied(), 0
    optimizer = optim.AdamW(model)
    optimizer.init(model)

    def step() -> mx.array:
        nonlocal traces
        traces += 1
        loss = tm.backward(model, loss_of)
        optimizer.step()
        optimizer.zero_grad()
        return loss.array

    state = [model.state, optimizer.state]
    compiled = mx.compile(step, inputs=state, outputs=state)
    for _ in range(4):
        compiled()
        mx.eval(model.state, optimizer.state)  # looks at the model
    assert traces == 1
    assert is_tied(model)


def test_optimizers_of_mlx_and_several_in_one() -> None:
    muon = [rules.Muon(learning_rate=0.02), rules.AdamW(learning_rate=0.01)]
    makers: list[Callable[[nn.Module], Any]] = [
        lambda m: optim.Lion(m, lr=0.01),
        lambda m: optim.from_mlx(mlx.optimizers.AdaDelta)(m, lr=0.1),
        lambda m: optim.MultiOptimizer(m, muon, [lambda path, a: a.ndim == 2 and "emb" not in path]),
    ]
    for make in makers:
        for how in ("step", "update"):
            model = Tied()
            optimizer = make(model)
            before = np.array(model.emb.weight)
            for _ in range(2):
                if how == "step":
                    tm.backward(model, loss_of)
                    optimizer.step()
                else:
                    _, gradients = nn.value_and_grad(model, loss_of)(model)
                    optimizer.update(model, gradients)
            assert not np.array_equal(before, np.array(model.emb.weight))
            assert model.emb.weight is model.head.weight
            assert is_tied(model)


def test_an_optimizer_that_a_user_wrote() -> None:
    class Plain(optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 0.1})

        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        state = self.state[p]
                        state["count"] = state.get("count", 0) + 1
                        p.data.add_(p.grad, alpha=-group["lr"])

    for after in (False, True):
        model, twin = Tied(), Tied()
        twin.update(model.parameters())
        if after:
            model.head.weight = mx.ones((5, 3))
        mine, sgd = Plain(model), optim.SGD(twin, lr=0.1)
        if after:
            model.head.weight = model.emb.weight
        for how in (mine.step, lambda m=model, o=mine: o.update(m, nn.value_and_grad(m, loss_of)(m)[1])):
            tm.backward(model, loss_of)
            how()
            mine.zero_grad()
            tm.backward(twin, loss_of)
            sgd.step()
            sgd.zero_grad()
        np.testing.assert_allclose(np.array(model.head.weight), np.array(twin.emb.weight), rtol=1e-5, atol=1e-6)
        assert is_tied(model)
        assert mine.state[tm.locate(model, "head.weight")]["count"] == 2


def test_a_checkpoint_goes_on(tmp_path: Path) -> None:
    def run() -> tuple[Any, Any]:
        mx.random.seed(3)
        model = Tied()
        return model, optim.AdamW(model, lr=0.1)

    def train(model: Any, optimizer: Any, steps: int) -> None:
        for _ in range(steps):
            _, gradients = nn.value_and_grad(model, loss_of)(model)
            optimizer.update(model, gradients)

    model, optimizer = run()
    train(model, optimizer, 3)
    for file in ("run.pt", "run.safetensors"):
        checkpoint.save(tmp_path / file, model=model, optimizer=optimizer, step=3)
    train(model, optimizer, 3)
    for file in ("run.pt", "run.safetensors"):
        mx.random.seed(9)
        again, its = run()
        again.emb.weight = again.head.weight = mx.zeros((5, 3))
        checkpoint.resume(tmp_path / file, model=again, optimizer=its)
        train(again, its, 3)
        np.testing.assert_array_equal(np.array(again.emb.weight), np.array(model.emb.weight))
        assert is_tied(again)


def test_names_for_loading_by_name() -> None:
    model = Tied()
    optimizer = optim.AdamW(tm.named_parameters(model))
    tm.backward(model, loss_of)
    optimizer.step()
    assert optimizer.param_groups[0]["param_names"] == ["emb.weight", "mid.weight", "mid.bias"]
    other = optim.AdamW(tm.named_parameters(Tied()))
    assert other.load_state_dict(copy.deepcopy(optimizer.state_dict()), strict=True).missing_keys == []


def test_gradient_trees_are_clipped_by_the_norm_of_the_sum() -> None:
    model = Tied()
    tm.backward(model, loss_of)
    expected = tm.nn.utils.get_total_norm([p.grad for p in tm.parameters(model)]).item()
    _, gradients = nn.value_and_grad(model, loss_of)(model)
    whole = tm.tied_gradients(model, gradients)
    assert get_total_norm(whole).item() == pytest.approx(expected, rel=1e-5)
    assert get_total_norm(gradients).item() != pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(
        np.array(whole["emb"]["weight"]), tm.locate(model, "head.weight").grad.numpy(), rtol=1e-5, atol=1e-7
    )
    twin = copied(model)
    for tree, at in ((gradients, model), (whole, twin)):
        optim.SGD(at, lr=1.0).update(at, tree)
    np.testing.assert_allclose(np.array(model.head.weight), np.array(twin.emb.weight), rtol=1e-5, atol=1e-6)
    part = {"head": {"weight": mx.ones((5, 3))}, "mid": {}}
    assert tm.tied_gradients(model, part)["head"]["weight"].sum().item() == 15
    with pytest.raises(KeyError, match="no parameter 'tail'"):
        tm.tied_gradients(model, {"tail": mx.ones(3)})


def test_rows_and_whole_gradients_are_summed() -> None:
    rows = RowSparse(mx.array([1, 1]), mx.ones((2, 3)), (5, 3))
    dense = mx.ones((5, 3))
    for a, b, expected in ((rows, dense, 21.0), (dense, rows, 21.0), (rows, rows, 12.0)):
        model = Tied()
        before = model.emb.weight.sum().item()
        tree = {"emb": {"weight": a}, "head": {"weight": b}}
        whole = tm.tied_gradients(model, tree)
        assert isinstance(whole["emb"]["weight"], RowSparse) == (a is b)
        optim.SGD(model, lr=1.0).update(model, tree)
        assert before - model.head.weight.sum().item() == pytest.approx(expected, rel=1e-4)


# -- copies and pickles -----------------------------------------------------------------------------------------------

COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
}


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("how", COPIES)
def test_copies_are_tied(how: str, broken: bool) -> None:
    model = Tied()
    optimizer = optim.AdamW(model)
    if broken:
        nn.value_and_grad(model, loss_of)(model)  # the places hold different objects now
    twin, its = COPIES[how]((model, optimizer))
    assert is_tied(twin)
    assert its.param_groups[0]["params"][0] is tm.locate(twin, "head.weight")
    assert not mx.array_equal(twin.emb.weight, model.emb.weight).item()
    again = COPIES[how](model)
    assert is_tied(again)
    assert is_tied(model)
    assert is_tied(copied(model))


def test_a_copy_of_an_optimizer_alone_has_parameters_of_its_own() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.MaxPool2d(2))
    model.function = nn.relu  # what Python's copy.deepcopy does not copy
    optimizer = optim.SGD(model, lr=1.0)
    for way in COPIES.values():
        twin = way(optimizer)
        p = twin.param_groups[0]["params"][0]
        assert p.owner is None
        assert p.requires_grad
        assert p.tolist() == model.layers[0].weight.tolist()
        p.grad = mx.ones((2, 2))
        twin.step()
        assert p.tolist() != model.layers[0].weight.tolist()
    p = copy.deepcopy(next(tm.parameters(model)))
    model.freeze()
    assert p.requires_grad
    assert not copy.deepcopy(next(tm.parameters(model))).requires_grad


def test_a_shallow_copy_has_parameters_of_its_own() -> None:
    model = nn.Linear(2, 2)
    p = next(tm.parameters(model))
    twin = copy.copy(model)
    q = next(tm.parameters(twin))
    assert q is not p
    q.array = mx.zeros((2, 2))
    assert twin.weight.sum().item() == 0
    assert model.weight.sum().item() != 0


# -- life and threads -------------------------------------------------------------------------------------------------


def test_a_tied_parameter_outlives_one_of_its_modules() -> None:
    model = Tied()
    p = tm.locate(model, "emb.weight")
    list(tm.parameters(model))
    old = weakref.ref(model.emb)
    gc.disable()
    try:
        model.emb = nn.Embedding(5, 3)
        assert old() is None
    finally:
        gc.enable()
    assert p.owner is model.head
    p.array = new = mx.ones((5, 3))
    assert model.head.weight is new
    kept = p.tolist()
    del model
    assert p.owner is None
    assert p.tolist() == kept


def test_a_place_without_an_array() -> None:
    model = nn.Linear(2, 2)
    p = tm.locate(model, "bias")
    value = model.bias
    del model.bias
    assert p.array is value
    assert p.owner is None
    assert names(model) == ["weight"]
    model.bias = mx.ones(2)
    assert tm.locate(model, "bias") is not p


def test_threads_that_ask_first_get_the_same_parameters() -> None:
    for _ in range(30):
        model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(20)])
        model.layers[19].weight = model.layers[0].weight
        start, found = threading.Barrier(4), []

        def ask(model: nn.Module = model, start: Any = start, found: Any = found) -> None:
            start.wait()
            found.append(list(tm.parameters(model)))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found[0]) == 39
        assert all(p is q for other in found[1:] for p, q in zip(found[0], other, strict=True))
        assert all(p is q for p, q in zip(found[0], tm.parameters(model), strict=True))
