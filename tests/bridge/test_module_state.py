"""``state_dict`` and ``load_state_dict`` of an mlx.nn.Module."""

from __future__ import annotations

import copy
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx.utils import tree_flatten, tree_map

import torchish_mlx as torch

INEXACT = (mx.float32, mx.float16, mx.bfloat16)


class Model(nn.Module):
    """A list, a convolution, BatchNorm, a frozen layer, and a layer that stands twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, (2, 5))
        self.bn = nn.BatchNorm(4)
        self.rows = [mx.ones(2), mx.zeros(3)]
        self.head = nn.Linear(4, 2)
        self.again = self.head
        self.conv.freeze()


def values(model: nn.Module) -> dict[str, Any]:
    return {name: np.array(array) for name, array in tree_flatten(model.parameters())}


def moved(model: nn.Module) -> nn.Module:
    """The same with other values."""
    model.update(tree_map(lambda a: a + 1, model.parameters()))
    return model


def assert_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name], err_msg=name, strict=True)


def refusal(model: nn.Module, state: Any, **options: Any) -> str:
    """The message; the model is as it was."""
    before = values(model)
    with pytest.raises(RuntimeError) as error:
        torch.load_state_dict(model, state, **options)
    assert_same(before, values(model))
    return str(error.value)


def test_everything_of_a_model_goes_out_and_in():
    model, other = moved(Model()), Model()
    state = torch.state_dict(model)
    assert list(state) == [name for name, _ in tree_flatten(model.parameters())]
    assert {"bn.running_mean", "conv.weight", "rows.0", "head.weight", "again.weight"} <= state.keys()
    assert all(type(value) is torch.Tensor and not value.requires_grad for value in state.values())
    keys = torch.load_state_dict(other, state)
    assert repr(keys) == "<All keys matched successfully>"
    assert_same(values(model), values(other))
    assert other.again is other.head
    assert not dict(torch.named_parameters(other))["conv.weight"].requires_grad  # still frozen


def test_a_state_dict_follows_the_model_and_a_loaded_model_follows_nobody():
    model, other = Model(), Model()
    state = torch.state_dict(model)
    kept = copy.deepcopy(state)
    torch.load_state_dict(other, state)
    before = values(other)
    model.head.bias += 1
    model.rows[0] = mx.zeros(2)
    assert state["head.bias"].tolist() == model.head.bias.tolist() != kept["head.bias"].tolist()
    assert state["rows.0"].tolist() == [0, 0]
    assert_same(before, values(other))


@pytest.mark.parametrize("make", [mx.array, np.array, lambda a: torch.tensor(a), lambda a: torch.Parameter(a)])
def test_any_arrays_are_taken(make):
    model, other = moved(Model()), Model()
    torch.load_state_dict(other, {name: make(array) for name, array in tree_flatten(model.parameters())})
    assert_same(values(model), values(other))


@given(st.sampled_from(INEXACT), st.sampled_from(INEXACT))
def test_values_are_cast_to_the_dtypes_of_the_model(saved, into):
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    model.set_dtype(saved)
    other.set_dtype(into)
    torch.load_state_dict(other, torch.state_dict(model))
    assert other.weight.dtype == into
    assert other.weight.tolist() == model.weight.astype(into).tolist()


def test_float64_stays_exact():
    model, value = nn.Linear(1, 1, bias=False), 1 + 2.0**-40
    model.weight = mx.zeros((1, 1), mx.float64)
    torch.load_state_dict(model, {"weight": np.full((1, 1), value)})
    assert model.weight.item() == value


def test_other_byte_orders_are_taken():
    model = nn.Linear(1, 1, bias=False)
    torch.load_state_dict(model, {"weight": np.full((1, 1), 3.0, ">f4")})
    assert model.weight.item() == 3.0


@given(st.sets(st.sampled_from(sorted(values(Model())))), st.sets(st.sampled_from(["zz", "head.scale", "conv"])))
def test_without_strict_what_fits_is_loaded_and_the_rest_reported(left_out, more):
    model, source = Model(), moved(Model())
    before, state = values(model), dict(torch.state_dict(source))
    state = {name: value for name, value in state.items() if name not in left_out} | dict.fromkeys(more, 1)
    keys = torch.load_state_dict(model, state, strict=False)
    assert set(keys.missing_keys) == left_out
    assert set(keys.unexpected_keys) == more
    after, wanted = values(model), values(source)
    for name, value in after.items():
        twin = name.replace("head", "again") if "head" in name else name.replace("again", "head")
        np.testing.assert_array_equal(value, before[name] if {name, twin} <= left_out else wanted[name])
    if left_out or more:
        text = refusal(Model(), state)
        assert all(f'"{name}"' in text for name in left_out | more)


def test_torchs_count_of_batches_is_passed_over_where_a_batchnorm_is():
    state = dict(torch.state_dict(Model()))
    keys = torch.load_state_dict(Model(), {**state, "bn.num_batches_tracked": torch.tensor(7)})
    assert keys == ([], [])
    assert torch.load_state_dict(nn.BatchNorm(4), {**torch.state_dict(nn.BatchNorm(4)), "num_batches_tracked": 1})
    assert 'Unexpected key(s) in state_dict: "head.num_batches_tracked"' in refusal(
        Model(), {**state, "head.num_batches_tracked": torch.tensor(7)}
    )


def test_one_array_at_two_places_stays_one():
    def tied() -> nn.Module:
        model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 3, bias=False))
        model.layers[1].weight = model.layers[0].weight
        return model

    model, source = tied(), moved(tied())
    for state in (torch.state_dict(source), copy.deepcopy(torch.state_dict(source))):
        torch.load_state_dict(model, state)
        assert model.layers[0].weight is model.layers[1].weight
        assert_same(values(model), values(source))
    apart = {name: value + i for i, (name, value) in enumerate(torch.state_dict(source).items())}
    torch.load_state_dict(model, apart)  # as after a step of MLX, which updates each place by its own gradient
    last = list(apart.values())[-1].tolist()  # torch copies one after the other into the one Parameter
    assert [value.tolist() for value in torch.state_dict(model).values()] == [last, last]
    untied = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 3, bias=False))
    torch.load_state_dict(untied, torch.state_dict(source))
    assert untied.layers[0].weight is not untied.layers[1].weight


# -- refusals --------------------------------------------------------------------------------------------------------


def renamed(rename: Any) -> Any:
    return lambda state: {rename(name): value for name, value in state.items()}


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (renamed(lambda n: f"module.{n}"), '{name.removeprefix("module."): value for'),
        (renamed(lambda n: f"a.b.{n}"), '{name.removeprefix("a.b."): value for'),
        (renamed(lambda n: n.removeprefix("layers.")), '{"layers." + name: value for'),
        (renamed(lambda n: n.replace("layers.", "")), 'as "0.weight" and "layers.0.weight": rename the saved'),
        (lambda state: {"model": state, "step": 3}, "load state_dict['model']"),
        (lambda state: {"state": {}, "param_groups": []}, "state dict of an optimizer"),
        (lambda state: {}, "The state dict is empty."),
        (lambda state: {"other": mx.ones(2)}, "No saved name is one of the model"),
    ],
)
def test_what_would_make_the_names_fit(change, hint):
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm(2)))
    assert hint in refusal(model, change(dict(torch.state_dict(model))))


@pytest.mark.parametrize("extra", [{}, {"num_batches_tracked": 0}])
def test_a_prefix_is_seen_through_torchs_counts(extra):
    state = {f"module.{name}": value for name, value in {**torch.state_dict(nn.BatchNorm(2)), **extra}.items()}
    assert 'removeprefix("module.")' in refusal(nn.BatchNorm(2), state)


@pytest.mark.parametrize(
    ("layer", "shape", "hint"),
    [
        (nn.Conv2d(3, 4, (2, 5)), (4, 3, 2, 5), "layout of a convolution, and MLX has the channels last: transpose it "
         "with (0, 2, 3, 1)"),
        (nn.Conv1d(3, 4, 2), (4, 3, 2), "transpose it with (0, 2, 1)"),
        (nn.Conv3d(3, 4, (2, 5, 6)), (4, 3, 2, 5, 6), "transpose it with (0, 2, 3, 4, 1)"),
        (nn.ConvTranspose2d(3, 4, (2, 5)), (3, 4, 2, 5), "a transposed convolution, and MLX has the channels last: "
         "transpose it with (1, 2, 3, 0)"),
        (nn.Linear(3, 4), (3, 4), "transpose it with (1, 0)"),
        (nn.QuantizedLinear(64, 64), (64, 64), "load before mlx.nn.quantize"),
        (nn.Linear(3, 4), (5, 4), "a model of another size"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_would_make_a_shape_fit(layer, shape, hint):
    state = {**torch.state_dict(layer), "weight": mx.ones(shape)}
    for strict in (True, False):
        text = refusal(layer, state, strict=strict)
        assert "size mismatch for weight: copying a param with shape torch.Size(" in text
        assert hint in text


def test_the_advised_transpositions_load():
    for layer in (nn.Conv2d(3, 4, (2, 5)), nn.ConvTranspose2d(3, 4, (2, 5)), nn.Conv1d(3, 4, 2)):
        transposed = "Transpose" in type(layer).__name__
        order = (3, 0, 1, 2) if transposed else (0, layer.weight.ndim - 1, *range(1, layer.weight.ndim - 1))
        state = {**torch.state_dict(layer), "weight": mx.transpose(layer.weight, order)}
        text = refusal(layer, state)
        advised = [int(n) for n in text.split("transpose it with (")[1].split(")")[0].split(",")]
        torch.load_state_dict(layer, {**state, "weight": mx.transpose(state["weight"], advised)})


@pytest.mark.parametrize("value", [None, 3, 3.5, "x", [1.0, 2.0], {"a": 1}, object()])
def test_values_that_are_no_tensors(value):
    text = refusal(nn.Linear(2, 2), {**torch.state_dict(nn.Linear(2, 2)), "bias": value})
    assert 'parameter named "bias", expected torch.Tensor' in text
    assert 'Give "bias" as a tensor' in text


def test_arrays_that_mlx_has_no_dtype_for():
    text = refusal(nn.Linear(2, 2), {**torch.state_dict(nn.Linear(2, 2)), "bias": np.array(["a", "b"])})
    assert 'parameter named "bias": a numpy.ndarray of dtype <U1 can\'t become an mx.array. Give it' in text


@pytest.mark.parametrize("junk", [None, 3, [], "x", [("weight", mx.ones(2))]])
def test_what_is_no_state_dict(junk):
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class"):
        torch.load_state_dict(nn.Linear(2, 2), junk)


@pytest.mark.parametrize("junk", [None, 3, {"weight": mx.ones(2)}, [mx.ones(2)]])
def test_what_is_no_module(junk):
    with pytest.raises(TypeError, match=r"^state_dict\(\) takes an mlx.nn.Module, not"):
        torch.state_dict(junk)
    with pytest.raises(TypeError, match=r"load_state_dict\(\) takes an mlx.nn.Module, not"):
        torch.load_state_dict(junk, {})


def test_names_that_are_no_strings():
    assert 'Unexpected key(s) in state_dict: "3"' in refusal(
        nn.Linear(2, 2), {3: 1, **torch.state_dict(nn.Linear(2, 2))}
    )


def test_a_convolution_that_fits_both_layouts_is_named_with_those_that_do_not():
    """Three channels and a kernel of 3 x 3: its shape tells nothing, and its weights would be wrong without a word."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3))
    state = {
        name: value.permute(0, 3, 1, 2) if value.ndim == 4 else value
        for name, value in torch.state_dict(moved(model)).items()
    }
    text = refusal(model, state)
    assert '"layers.1.weight" has torch\'s layout of a convolution' in text
    assert "\"layers.0.weight\" has the same shape in torch's layout of a convolution and in MLX's" in text
    assert text.count("transpose it with (0, 2, 3, 1)") == 2
    assert "the same shape" not in refusal(model, {**torch.state_dict(model), "zz": 1})


def test_names_that_differ_by_a_prefix_and_by_layers():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
    saved = {f"module.{name.replace('layers.', '')}": value for name, value in torch.state_dict(model).items()}
    text = refusal(model, saved)
    assert 'Every saved name has "module." before it, and the names differ by "layers."' in text
    assert '"module.0.weight" and "layers.0.weight": rename the saved ones.' in text


def test_a_convolution_of_unknown_origin_that_fits_both_layouts_is_refused():
    """tests/bridge/test_layouts.py has the other cases."""
    model = nn.Conv2d(3, 8, 3)
    state = {"weight": np.array(moved(model).weight), "bias": np.zeros(8, "f4")}
    before = model.weight
    assert "nothing tells which it has. If it is torch's, transpose it with (0, 2, 3, 1)" in refusal(model, state)
    assert model.weight is before
    torch.load_state_dict(model, state, layout="mlx")
    assert mx.array_equal(model.weight, mx.array(state["weight"]))
