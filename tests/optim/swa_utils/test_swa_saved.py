"""Averaged models: ``n_averaged`` is a buffer; what MLX saves and loads; torch's state dicts."""

from __future__ import annotations

import copy

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from tests.averaging import (
    Model,
    averaged,
    nothing_changes,
    walk,
)
from tests.cases import assert_same, inputs, squared_error
from torchish_mlx import optim
from torchish_mlx.optim.swa_utils import (
    AveragedModel,
)

# -- n_averaged is a buffer -----------------------------------------------------------------------------------------


def test_n_averaged_is_a_buffer():
    ema = averaged(nn.Linear(2, 2))
    assert [path for path, _ in torch.named_parameters(ema)] == ["module.weight", "module.bias"]
    assert [path for path, _ in torch.named_buffers(ema)] == ["n_averaged"]
    assert ema.n_averaged.dtype == mx.int64
    assert list(dict(tree_flatten(ema.parameters()))) == ["n_averaged", "module.weight", "module.bias"]
    with pytest.raises(KeyError, match="'n_averaged' is a buffer, not a parameter"):
        torch.locate(ema, "n_averaged")
    ema.set_dtype(mx.float16)
    assert ema.n_averaged.dtype == mx.int64


@pytest.mark.parametrize("inside", [False, True])
def test_n_averaged_is_never_trained(inside):
    """Not even when a model around it is unfrozen, which passes over the submodules' own methods."""
    ema = averaged(nn.Linear(3, 3))
    outer: nn.Module = nn.Sequential(ema, nn.Linear(3, 3)) if inside else ema
    for change in (
        lambda: None,
        lambda: outer.freeze(),
        lambda: outer.unfreeze(),
        lambda: outer.unfreeze(keys="n_averaged"),
        lambda: ema.unfreeze(recurse=False),
    ):
        change()
        assert not [path for path, _ in tree_flatten(outer.trainable_parameters()) if "n_averaged" in path]
    assert len(tree_flatten(outer.trainable_parameters())) == (4 if inside else 2)
    _, grads = nn.value_and_grad(outer, squared_error)(outer, inputs())
    mlx.optimizers.SGD(0.1).update(outer, grads)
    torch.backward(outer, squared_error, inputs())
    optim.SGD(outer, lr=0.1).step()
    assert ema.n_averaged.item() == 3


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_mlx_saves_and_loads_it(ending, tmp_path):
    model = Model()
    ema = averaged(model)
    file = str(tmp_path / f"ema.{ending}")
    ema.save_weights(file)
    other = AveragedModel(Model())
    other.load_weights(file)
    assert_same(other, ema)
    walk(model, 8)
    ema.update_parameters(model)
    other.update_parameters(model)
    assert_same(other, ema)


# -- state dicts ----------------------------------------------------------------------------------------------------


def test_state_dict():
    model = Model()
    ema = averaged(model)
    state = ema.state_dict()
    assert next(iter(state)) == "n_averaged"
    assert list(state) == [path for path, _ in tree_flatten(ema.parameters())]  # a layer that stands twice, twice
    assert {"module.blocks.0.1.bias", "module.blocks.1.rows.0", "module.head.bias", "module.again.bias"} <= set(state)
    assert all(type(value) is torch.Tensor and not value.requires_grad for value in state.values())
    kept = copy.deepcopy(state)
    other = AveragedModel(Model())
    assert repr(other.load_state_dict(state)) == "<All keys matched successfully>"
    assert_same(other, ema)
    walk(model, 4)
    other.update_parameters(model)
    ema.update_parameters(model)
    assert_same(other, ema)
    assert state["n_averaged"].item() == 4  # as torch's, it follows the model
    assert kept["n_averaged"].item() == 3


def test_a_state_dict_of_arrays_is_cast():
    ema = AveragedModel(nn.Linear(1, 1))
    ema.load_state_dict(
        {"n_averaged": np.array(5.0), "module.weight": mx.ones((1, 1), mx.float16), "module.bias": torch.zeros(1)}
    )
    assert (ema.n_averaged.dtype, ema.n_averaged.item()) == (mx.int64, 5)
    assert (ema.module.weight.dtype, ema.module.weight.item()) == (mx.float32, 1)


def test_load_state_dict_refuses_and_changes_nothing():
    ema = averaged(nn.Linear(2, 2))
    good = {path: value.clone() for path, value in ema.state_dict().items()}
    with nothing_changes(ema):
        with pytest.raises(TypeError, match=r"Expected state_dict to be dict-like, got <class 'list'>\."):
            ema.load_state_dict([])
        wrong = {"zz": 1, **good, "module.weight": torch.ones(3), "module.bias": [1, 2]}
        del wrong["n_averaged"]
        with pytest.raises(RuntimeError) as error:
            ema.load_state_dict(wrong)
        assert str(error.value) == (
            "Error(s) in loading state_dict for AveragedModel:\n"
            '\tMissing key(s) in state_dict: "n_averaged". \n'
            '\tUnexpected key(s) in state_dict: "zz". \n'
            "\tsize mismatch for module.weight: copying a param with shape torch.Size([3]) from checkpoint, the shape "
            "in current model is torch.Size([2, 2]).\n"
            '\tWhile copying the parameter named "module.bias", expected torch.Tensor or Tensor-like object from '
            "checkpoint but received <class 'list'>\n"
            '\t"module.weight" is of a model of another size: build the model as it was built for saving, or leave it '
            "out.\n"
            '\tGive "module.bias" as a tensor: torchish_mlx.tensor(value). '
            "(docs/pitfalls.md#a-state-dict-that-does-not-fit)"
        )
        with pytest.raises(RuntimeError, match=r"size mismatch for module\.weight"):
            ema.load_state_dict(wrong, strict=False)
    del good["n_averaged"]
    keys = ema.load_state_dict({**good, "zz": 1, "module.bias": torch.ones(2)}, strict=False)
    assert keys == (["n_averaged"], ["zz"])
    assert repr(keys) == "_IncompatibleKeys(missing_keys=['n_averaged'], unexpected_keys=['zz'])"
    assert ema.module.bias.tolist() == [1, 1]
