"""``optimizers.MultiOptimizer``: what MLX's does, on models with lists too; and that of ``optim``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import pytest
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from tests.cases import assert_close, assert_same, gradients, is_slot, saved
from torchish_mlx import optim
from torchish_mlx import optimizers as rules

ULPS = 8


def sequential() -> nn.Module:
    inner = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3), inner, nn.Linear(3, 2))
    model.update(tree_map(lambda p: mx.random.normal(p.shape, key=mx.random.key(p.size)), model.parameters()))
    return model


FILTERS: dict[str, list[Callable[[str, mx.array], bool]]] = {
    "the first layer": [lambda path, a: path.startswith("layers.0")],
    "a layer in the middle": [lambda path, a: path.startswith("layers.2")],
    "a nested one": [lambda path, a: path.startswith("layers.3.layers.0")],
    "the last layer": [lambda path, a: path.startswith("layers.4")],
    "one array": [lambda path, a: path == "layers.2.bias"],
    "matrices": [lambda path, a: a.ndim == 2],
    "none": [lambda path, a: False],
    "all": [lambda path, a: True],
    "three": [lambda path, a: path.startswith("layers.0"), lambda path, a: path.endswith("bias")],
}
KINDS: dict[str, list[Callable[[], Any]]] = {
    "rules": [lambda: rules.SGD(0.1, momentum=0.9), lambda: rules.NAdam(0.01), lambda: rules.RMSprop(0.01)],
    "MLX's": [lambda: native.SGD(0.1, momentum=0.9), lambda: native.Adam(0.01), lambda: native.Lion(0.01)],
    "both": [lambda: native.Adafactor(0.01), lambda: rules.AdamW(0.01), lambda: native.Lion(0.01)],
}


def chosen(filters: list[Any], path: str, a: mx.array) -> int:
    return next((k for k, accepts in enumerate(filters) if accepts(path, a)), len(filters))


@pytest.mark.parametrize("init", [False, True], ids=["", "init"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILTERS)
def test_each_parameter_moves_as_under_its_optimizer_alone(name, kind, init):
    filters, makers = FILTERS[name], KINDS[kind]
    model = sequential()
    optimizer = rules.MultiOptimizer([make() for make in makers[: len(filters) + 1]], filters)
    if init:
        optimizer.init(model.trainable_parameters())
    alone: dict[str, mx.array] = dict(tree_flatten(model.parameters()))
    own = {path: makers[chosen(filters, path, p)]() for path, p in alone.items()}
    for i in range(3):
        grads = gradients(model, i)
        optimizer.update(model, grads)
        for path, g in tree_flatten(grads):
            alone[path] = own[path].apply_gradients({"p": g}, {"p": alone[path]})["p"]
        assert_close(model, tree_unflatten(list(alone.items())), 2)


@pytest.mark.parametrize("name", FILTERS)
def test_the_class_of_optim_does_the_same(name):
    """Its groups go by the same paths, and its numbers are those of the rules."""
    filters, makers = FILTERS[name], KINDS["rules"]
    model, twin = sequential(), sequential()
    optimizer = optim.MultiOptimizer(model, [make() for make in makers[: len(filters) + 1]], filters)
    reference = rules.MultiOptimizer([make() for make in makers[: len(filters) + 1]], filters)
    for i in range(3):
        optimizer.update(model, gradients(model, i))
        reference.update(twin, gradients(twin, i))
        assert_same(model, twin)


@pytest.mark.parametrize("kind", KINDS)
def test_it_compiles_with_one_trace_and_loads(kind, tmp_path):
    filters, makers = FILTERS["three"], KINDS[kind]

    def make() -> Any:
        return rules.MultiOptimizer([make() for make in makers], filters)

    model, optimizer, traces = sequential(), make(), []
    model.layers[4].freeze()
    optimizer.init(model)  # the module itself: what is frozen gets no state
    assert not any("layers.4" in path for path, _ in tree_flatten(optimizer.state))
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        traces.append(1)
        optimizer.update(model, grads)

    compiled = mx.compile(step, inputs=state, outputs=state)
    for i in range(3):
        compiled(gradients(model, i))
    assert len(traces) == 1
    file = str(tmp_path / "multi.safetensors")
    mx.save_safetensors(file, tree_flatten(optimizer.state, destination={}))
    twin, other = sequential(), make()
    twin.layers[4].freeze()
    twin.update(saved(model.parameters()))
    other.state = tree_unflatten(mx.load(file))
    compiled(gradients(model, 3))
    other.update(twin, gradients(twin, 3))
    assert_close(model, twin, ULPS)


def test_rates_and_schedules():
    """The rate of the first optimizer is read, all are set; each part may have a schedule."""
    model = sequential()
    schedule = rules.exponential_decay(0.1, 0.5)
    optimizer = rules.MultiOptimizer([rules.SGD(schedule), native.Adam(0.01)], FILTERS["the first layer"])
    for i in range(3):
        optimizer.update(model, gradients(model, i))
    assert optimizer.learning_rate.item() == pytest.approx(0.025)
    optimizer.learning_rate = 0.125
    assert [part.learning_rate.item() for part in optimizer.optimizers] == [0.125, 0.125]


def test_trees_of_any_form():
    """A bare list, tuples, a dict; rows as gradients; one optimizer alone; and several in each other."""
    array = mx.ones((2, 2))
    inner = rules.MultiOptimizer([rules.SGD(0.5), rules.SGD(0.25)], [lambda path, a: path.startswith("1")])
    optimizer = rules.MultiOptimizer([inner, rules.SGD(1.0)], [lambda path, a: not path.startswith("2")])
    new = optimizer.apply_gradients([array, (array, [array]), {"x": array}], [array, (array, [array]), {"x": array}])
    assert isinstance(new[1], tuple)
    assert [a[0, 0].item() for _, a in tree_flatten(new)] == [0.75, 0.5, 0.5, 0.0]
    alone = rules.MultiOptimizer([rules.SGD(0.5)])
    assert alone.apply_gradients(array, array)[0, 0].item() == 0.5
    rows = rules.RowSparse(mx.array([1]), mx.ones((1, 2)), (2, 2))
    sparse = rules.MultiOptimizer([rules.SparseAdam(0.5), rules.SGD(0.5)], [lambda path, g: path == "table"])
    new = sparse.apply_gradients({"table": rows, "w": array}, {"table": array, "w": array})
    assert (new["table"][0, 0].item(), new["w"][0, 0].item()) == (1.0, 0.5)
    assert new["table"][1, 0].item() == pytest.approx(0.5)


def test_gradients_of_a_part_of_the_model():
    model = sequential()
    optimizer = rules.MultiOptimizer([rules.SGD(0.5), rules.Adam(0.1)], FILTERS["the first layer"])
    before = saved(model.parameters())
    optimizer.update(model, {"layers": [{}, {}, {"bias": mx.ones(3)}]})
    changed = [
        path
        for (path, a), (_, b) in zip(tree_flatten(model.parameters()), tree_flatten(before), strict=True)
        if not mx.array_equal(a, b)
    ]
    assert changed == ["layers.2.bias"]


def test_a_refused_step_is_no_step():
    """The second part refuses its gradient: the first has not moved or counted either."""
    model = sequential()
    first, second = rules.SGD(0.1, momentum=0.9), rules.Adam(0.1)
    optimizer = rules.MultiOptimizer([first, second], FILTERS["the first layer"])
    optimizer.update(model, gradients(model, 0))
    grads, before = gradients(model, 1), saved(optimizer.state)
    grads["layers"][4]["bias"] = mx.ones(7)
    with pytest.raises(ValueError, match=r"gradient of 'layers.4.bias' has shape \(7,\)"):
        optimizer.update(model, grads)
    assert_same(optimizer.state, before)


def test_a_refused_state_changes_nothing():
    model = sequential()
    optimizer = rules.MultiOptimizer([rules.SGD(0.1, momentum=0.9), rules.Adam(0.1)], FILTERS["the first layer"])
    optimizer.update(model, gradients(model, 0))
    kept, before = saved(optimizer.state), saved(optimizer.state)
    kept["states"][0]["_groups"][0]["lr"] = mx.array(0.5)
    kept["states"][1] = {"_groups": []}
    for wrong in (kept, {"states": kept["states"][:1]}, {"state": []}, []):
        with pytest.raises(ValueError, match=r"Invalid state provided|not the state of an optimizer"):
            optimizer.state = wrong
        assert_same(optimizer.state, before)


@pytest.mark.parametrize(
    ("optimizers", "filters", "error", "match"),
    [
        ([rules.SGD(0.1), rules.SGD(0.1)], [], ValueError, "Given 0 filters but 1 needed"),
        ([rules.SGD(0.1)], FILTERS["all"], ValueError, "Given 1 filters but 0 needed"),
        ([rules.SGD, rules.Adam()], FILTERS["all"], TypeError, r"the class SGD.*construct it: SGD\(learning_rate="),
        ([rules.SGD(0.1), "Adam"], FILTERS["all"], TypeError, r"optimizers\[1\] is a str"),
        (rules.SGD(0.1), [], TypeError, "where a list of optimizers is wanted"),
        ([rules.SGD(0.1), rules.Adam()], ["weight"], TypeError, r"filters\[0\] is a str.*path.startswith"),
    ],
)
def test_what_is_refused(optimizers, filters, error, match):
    with pytest.raises(error, match=match):
        rules.MultiOptimizer(optimizers, filters)
    with pytest.raises(error, match=match):
        optim.MultiOptimizer(sequential(), optimizers, filters)


def test_it_is_mlxs_class_too():
    """So whoever asks for MLX's class knows it: mlx_state(), from_mlx(), isinstance."""
    optimizer = rules.MultiOptimizer([rules.AdamW(0.1), native.Lion(0.01)], FILTERS["matrices"])
    assert isinstance(optimizer, native.MultiOptimizer)
    assert optim.from_mlx(rules.MultiOptimizer) is optim.MultiOptimizer
    model = sequential()
    optimizer.update(model, gradients(model, 0))
    assert sorted(rules.mlx_state(optimizer)["states"][0]["layers"][0]["weight"]) == ["m", "v"]


# MLX's own tests, by behaviour ----------------------------------------------------------------------------------------


class Model(nn.Module):
    """Layers by name, and a list of a layer with parameters and two without."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.second = nn.Linear(2, 2), nn.Dropout(p=0.5), nn.Linear(2, 2)
        self.vals = [nn.Linear(2, 2), nn.ReLU(), nn.ReLU()]


def test_the_states_of_matrices_and_vectors_are_apart():
    optimizer = rules.MultiOptimizer(
        [rules.Adam(learning_rate=0.001), rules.SGD(learning_rate=0.1, momentum=0.9)], [lambda name, w: w.ndim > 1]
    )
    optimizer.init(Model().trainable_parameters())
    assert len(optimizer.state["states"]) == 2
    adam, sgd = ([path for path, _ in tree_flatten(one.state) if is_slot(one, path)] for one in optimizer.optimizers)
    assert len(adam) == 2 * len(sgd) == 6
    assert all("weight" in path for path in adam)
    assert all("bias" in path for path in sgd)


def test_layers_without_parameters_in_a_sequential():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    optimizer = rules.MultiOptimizer([rules.Muon(0.01), rules.AdamW(0.01)], [lambda _, w: w.ndim >= 2])
    _, grads = nn.value_and_grad(model, lambda m, x: m(x).sum())(model, mx.ones((1, 4)))
    optimizer.update(model, grads)
    weight, bias = model.layers[0].weight, model.layers[0].bias
    optimizer.update(model, grads)
    assert not mx.array_equal(weight, model.layers[0].weight)
    assert not mx.array_equal(bias, model.layers[0].bias)
