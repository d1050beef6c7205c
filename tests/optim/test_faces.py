"""The face of ``optimizer.state`` follows the parameters; options are attributes; MLX's functions take either face."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten, tree_unflatten

import torchish_mlx as torch
from tests.cases import flat, saved
from torchish_mlx import optim


def free() -> tuple[list[torch.Parameter], optim.Adam]:
    params = [torch.Parameter(mx.array([1.0, -2.0])), torch.Parameter(mx.array([[3.0]]))]
    return params, optim.Adam(params, lr=0.1)


def push(params: Any) -> None:
    for p in params:
        p.grad = p.array * 2 + 1


def over_a_model() -> tuple[nn.Module, optim.Adam]:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = optim.Adam(model, lr=0.1)
    push(torch.parameters(model))
    optimizer.step()
    return model, optimizer


# torch's mapping ------------------------------------------------------------------------------------------------------


def test_the_tree_is_one_call_away():
    params, optimizer = free()
    push(params)
    optimizer.step()
    assert list(optimizer.state) == params
    tree = optimizer.state_tree()
    names = {name for name, _ in tree_flatten(tree) if not name.startswith("_groups")}
    assert names == {"0.exp_avg", "0.exp_avg_sq", "1.exp_avg", "1.exp_avg_sq"}
    before = flat(tree)
    again = [torch.Parameter(p.array) for p in params]
    other = optim.Adam(again, lr=0.1)
    other.state = tree_unflatten(tree_flatten(saved(tree)))
    assert all((before[name] == value).all() for name, value in flat(other.state_tree()).items())
    push(params)
    push(again)
    optimizer.step()
    other.step()
    assert [p.tolist() for p in params] == [p.tolist() for p in again]


@pytest.mark.parametrize("pure", [False, True])
def test_mlx_compiles_with_torchs_mapping_as_state(pure):
    """``mx.compile`` and ``mx.eval`` look at the content of the dict, which is the tree."""
    results = []
    for compiled in (False, True):
        params, optimizer = free()
        arrays = {str(i): p.array for i, p in enumerate(params)}

        def step(arrays: Any, grads: Any, optimizer: Any = optimizer) -> Any:
            return optimizer.apply_gradients(grads, arrays)

        def whole(arrays: Any, grads: Any, state: Any, optimizer: Any = optimizer) -> Any:
            optimizer.state = state
            return optimizer.apply_gradients(grads, arrays), optimizer.state

        if compiled:
            step = mx.compile(step, inputs=optimizer.state, outputs=optimizer.state)
            whole = mx.compile(whole)
        for i in range(4):
            grads = {name: a * (i + 1) for name, a in arrays.items()}
            if pure:
                arrays, optimizer.state = whole(arrays, grads, optimizer.state)
            else:
                arrays = step(arrays, grads)
        mx.eval(optimizer.state)
        results.append((flat(arrays), optimizer.state[params[0]]["step"].item()))
    assert results[0][1] == results[1][1] == 4
    assert all(abs(results[0][0][name] - a).max() < 1e-6 for name, a in results[1][0].items())


def test_a_parameter_of_a_module_makes_it_mlx_s_tree():
    _params, optimizer = free()
    assert len(optimizer.state) == 0
    optimizer.add_param_group({"params": nn.Linear(2, 2)})
    assert list(optimizer.state) == ["_groups"]
    assert optimizer.state is optimizer.state_tree()


# MLX's tree -----------------------------------------------------------------------------------------------------------


def test_over_a_model_it_is_the_tree():
    model, optimizer = over_a_model()
    assert list(optimizer.state) == ["_groups", "layers"]
    assert optimizer.state["layers"][0]["weight"]["exp_avg"].shape == (3, 2)
    p = torch.locate(model, "layers.0.weight")
    assert optimizer.state[p]["exp_avg"].shape == (3, 2)
    assert optimizer.state_tree() is optimizer.state


@pytest.mark.parametrize(
    "idiom",
    [
        lambda state: [list(entries.items()) for entries in state.values()],
        lambda state: [entries["exp_avg"] for _, entries in state.items()],
        lambda state: [state[p]["step"] for p in state],
        lambda state: [entries.get("exp_avg") for entries in state.values()],
    ],
)
def test_torchs_idioms_over_a_model_say_what_to_write(idiom):
    _, optimizer = over_a_model()
    with pytest.raises((AttributeError, TypeError), match=r"for p in torchish_mlx\.parameters\(model\)"):
        idiom(optimizer.state)


def test_entries_of_no_parameter_over_a_model():
    """They are kept next to the tree: arrays in it, under ``_loose``, so that a compiled step sees them."""
    _model, optimizer = over_a_model()
    optimizer.state["k"], optimizer.state["n"] = torch.tensor([2.0]), 3
    assert list(optimizer.state) == ["_groups", "layers", "_loose"]
    assert optimizer.state["k"].tolist() == [2.0]
    assert "n" in optimizer.state
    assert optimizer.state.get("n") == 3
    assert optimizer.state.get("m", "none") == "none"
    twin = optim.Adam(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), lr=0.1)
    twin.load_state_dict(optimizer.state_dict())
    assert twin.state["k"].tolist() == [2.0]
    assert twin.state["n"] == 3
    assert optimizer.state.pop("n") == 3
    del optimizer.state["k"]
    with pytest.raises(KeyError, match="k"):
        optimizer.state["k"]


def test_a_number_of_a_users_optimizer_moves_in_a_compiled_step():
    """MADGRAD's ``state["k"]``: an array of the state, and not a constant of the trace."""

    class Counting(optim.Optimizer):
        def step(self, closure: Any = None) -> Any:
            self.state["k"] += 1
            for group in self.param_groups:
                for p in group["params"]:
                    p.data.sub_(p.grad * (group["lr"] * self.state["k"]))

    ends = []
    for compiled in (False, True):
        model = nn.Linear(2, 1)
        model.weight, model.bias = mx.ones((1, 2)), mx.zeros(1)
        optimizer = Counting(model, {"lr": 0.1})
        optimizer.state["k"] = torch.tensor([0.0])

        def step(model: Any = model, optimizer: Any = optimizer) -> None:
            torch.backward(model, lambda m: (m.weight * m.weight).sum())
            optimizer.step()
            optimizer.zero_grad()

        if compiled:
            step = mx.compile(step, inputs=[model.state, optimizer.state], outputs=[model.state, optimizer.state])
        for _ in range(3):
            step()
        ends.append((model.weight.tolist(), optimizer.state["k"].tolist()))
    assert ends[0] == ends[1]
    assert ends[1][1] == [3.0]


def test_parts_of_the_tree_may_be_replaced_and_removed():
    model, optimizer = over_a_model()
    half = tree_unflatten([(name, a * 0.5) for name, a in tree_flatten(optimizer.state["layers"])])
    optimizer.state["layers"] = half
    p = torch.locate(model, "layers.0.weight")
    assert mx.array_equal(optimizer.state[p]["exp_avg"].array, half[0]["weight"]["exp_avg"])
    push(torch.parameters(model))
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 2
    assert mx.array_equal(optimizer.state["layers"][0]["weight"]["exp_avg"], optimizer.state[p]["exp_avg"].array)
    taken = optimizer.state.pop("layers")
    assert taken[0]["weight"]["exp_avg"].shape == (3, 2)
    push(torch.parameters(model))
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 1
    with pytest.raises(TypeError, match="a dict or a list, but got int"):
        optimizer.state["layers"] = 3
    with pytest.raises(KeyError, match="can't be removed"):
        del optimizer.state["_groups"]


# Options as attributes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (lambda p: optim.AdamW(p), "weight_decay", 0.5),
        (lambda p: optim.Adam(p), "betas", (0.5, 0.6)),
        (lambda p: optim.Adam(p), "eps", 1e-3),
        (lambda p: optim.Adam(p), "lr", 0.3),
        (lambda p: optim.Adam(p), "amsgrad", True),
        (lambda p: optim.SGD(p, momentum=0.9), "momentum", 0.5),
        (lambda p: optim.SGD(p, momentum=0.9), "nesterov", True),
        (lambda p: optim.Lion(p, lr=0.1), "betas", [0.1, 0.2]),
        (lambda p: optim.LBFGS(p), "max_iter", 3),
    ],
)
def test_options_are_attributes(make, name, value):
    p, q = (torch.Parameter(mx.array([1.0, 2.0])) for _ in range(2))
    by_attribute, by_group = make([p]), make([q])
    assert getattr(by_attribute, name) == by_attribute.param_groups[0][name]
    setattr(by_attribute, name, value)
    by_group.param_groups[0][name] = value
    assert getattr(by_attribute, name) == by_attribute.param_groups[0][name] == value
    if name == "max_iter":
        return
    for _ in range(3):
        push([p, q])
        by_attribute.step()
        by_group.step()
    assert p.tolist() == q.tolist()


def test_an_option_that_differs_between_groups_is_not_levelled():
    params, _ = free()
    optimizer = optim.AdamW([{"params": params[:1]}, {"params": params[1:], "weight_decay": 0.0}], weight_decay=0.1)
    with pytest.raises(ValueError, match=r'different values of \'weight_decay\'.*param_groups\[0\]\["weight_decay"\]'):
        optimizer.weight_decay = 0.3
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    optimizer.weight_decay = 0.1  # a subclass that remembers what it was given
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]


def test_a_refused_option_changes_nothing():
    _params, optimizer = free()
    with pytest.raises(ValueError, match="Invalid epsilon value: -1"):
        optimizer.eps = -1
    assert optimizer.eps == optimizer.param_groups[0]["eps"] == 1e-8


def test_a_users_optimizer_has_attributes_of_its_own():
    class Mine(optim.Optimizer):
        def __init__(self, params: Any) -> None:
            self.lr = 1.0
            super().__init__(params, {"lr": 0.1})
            self.betas = (1, 2)

        def step(self, closure: Any = None) -> None:
            pass

    optimizer = Mine([torch.Parameter(mx.ones(2))])
    assert (optimizer.lr, optimizer.betas, optimizer.param_groups[0]["lr"]) == (1.0, (1, 2), 0.1)
    with pytest.raises(AttributeError, match="no attribute 'eps'"):
        _ = optimizer.eps


# The user's dicts -----------------------------------------------------------------------------------------------------


def test_a_dict_that_was_given_as_a_group_stays_connected():
    """In torch it is the group itself, and programs set its rate."""
    (p, q), _ = free()
    first = {"params": [p]}
    second = {"params": [q], "lr": 0.5, "momentum": 0.0, "dampening": 0, "nesterov": False, "weight_decay": 0}
    optimizer = optim.SGD([first], lr=0.1)
    optimizer.param_groups.append(second)
    assert optimizer.learning_rate.item() == pytest.approx(0.1)
    first["lr"], second["lr"] = 0.25, 0.125
    before = [p.tolist(), q.tolist()]
    for x in (p, q):
        x.grad = mx.ones(x.shape)
    optimizer.step()
    assert [a - b for a, b in zip(before[0], p.tolist(), strict=True)] == [0.25, 0.25]
    assert before[1][0][0] - q.tolist()[0][0] == 0.125
    optimizer.param_groups[0]["lr"] = 1.0  # what the group says last counts
    optimizer.step()
    assert optimizer.param_groups[0]["lr"] == 1.0
    first["lr"] = 0.5
    assert optimizer.state_dict()["param_groups"][0]["lr"] == 0.5
