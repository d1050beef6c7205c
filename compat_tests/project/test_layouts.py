"""The layouts of docs/differences.md: MLX's layers with torch's weights, moved as the page says, compute the same."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest
import torch
from mlx import nn
from mlx.utils import tree_unflatten


def last(w):
    """Channels last: (out, in, ...) to (out, ..., in)."""
    return np.moveaxis(w, 1, -1)


def recurrent(w):
    return {"Wx": w["weight_ih_l0"], "Wh": w["weight_hh_l0"], "bias": w["bias_ih_l0"] + w["bias_hh_l0"]}


def gru(w):
    size = w["weight_hh_l0"].shape[1]
    b, of_hidden = w["bias_ih_l0"].copy(), w["bias_hh_l0"]
    b[: 2 * size] += of_hidden[: 2 * size]
    return {"Wx": w["weight_ih_l0"], "Wh": w["weight_hh_l0"], "b": b, "bhn": of_hidden[2 * size :]}


def rnn(w):
    return {"Wxh": w["weight_ih_l0"], "Whh": w["weight_hh_l0"], "bias": w["bias_ih_l0"] + w["bias_hh_l0"]}


def attention(w):
    found = {"out_proj.weight": w["out_proj.weight"], "out_proj.bias": w["out_proj.bias"]}
    for kind in ("weight", "bias"):
        for name, part in zip(("query", "key", "value"), np.split(w[f"in_proj_{kind}"], 3), strict=True):
            found[f"{name}_proj.{kind}"] = part
    return found


def convolution(w):
    return {"weight": last(w["weight"]), "bias": w["bias"]}


def transposed(w):
    return {"weight": w["weight"].transpose(1, 2, 3, 0), "bias": w["bias"]}


def same(w):
    return {name: value for name, value in w.items() if name != "num_batches_tracked"}


# torch's layer, MLX's, the weights, an input with channels last, whether torch wants the channels second
CASES = {
    "Linear": (torch.nn.Linear(3, 5), nn.Linear(3, 5), same, (2, 3), False),
    "Conv1d": (torch.nn.Conv1d(3, 5, 2), nn.Conv1d(3, 5, 2), convolution, (2, 6, 3), True),
    "Conv2d": (torch.nn.Conv2d(3, 5, (2, 4)), nn.Conv2d(3, 5, (2, 4)), convolution, (2, 6, 7, 3), True),
    "Conv3d": (torch.nn.Conv3d(3, 5, (2, 4, 3)), nn.Conv3d(3, 5, (2, 4, 3)), convolution, (2, 6, 7, 5, 3), True),
    "ConvTranspose2d": (
        torch.nn.ConvTranspose2d(3, 5, (2, 4), stride=2),
        nn.ConvTranspose2d(3, 5, (2, 4), stride=2),
        transposed,
        (2, 6, 7, 3),
        True,
    ),
    "BatchNorm": (torch.nn.BatchNorm2d(3), nn.BatchNorm(3), same, (2, 6, 7, 3), True),
    "GroupNorm": (torch.nn.GroupNorm(3, 6), nn.GroupNorm(3, 6, pytorch_compatible=True), same, (2, 6, 7, 6), True),
    "LayerNorm": (torch.nn.LayerNorm(3), nn.LayerNorm(3), same, (2, 6, 3), False),
    "LSTM": (torch.nn.LSTM(3, 5, batch_first=True), nn.LSTM(3, 5), recurrent, (2, 6, 3), False),
    "GRU": (torch.nn.GRU(3, 5, batch_first=True), nn.GRU(3, 5), gru, (2, 6, 3), False),
    "RNN": (torch.nn.RNN(3, 5, batch_first=True), nn.RNN(3, 5), rnn, (2, 6, 3), False),
}


def first(found):
    return found[0] if isinstance(found, tuple) else found


@pytest.mark.parametrize("name", CASES)
def test_layer(name):
    theirs, ours, weights, shape, channels_second = CASES[name]
    given = weights({key: value.detach().numpy() for key, value in theirs.state_dict().items()})
    ours.update(tree_unflatten([(key, mx.array(value)) for key, value in given.items()]))
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = np.array(first(ours(mx.array(x))))
    wanted = first(theirs(torch.tensor(np.moveaxis(x, -1, 1) if channels_second else x))).detach().numpy()
    np.testing.assert_allclose(found, np.moveaxis(wanted, 1, -1) if channels_second else wanted, rtol=0, atol=1e-6)


def test_attention():
    theirs, ours = torch.nn.MultiheadAttention(8, 2, batch_first=True), nn.MultiHeadAttention(8, 2, bias=True)
    given = attention({name: p.detach().numpy() for name, p in theirs.named_parameters()})
    ours.update(tree_unflatten([(name, mx.array(value)) for name, value in given.items()]))
    x, y = (np.random.default_rng(seed).normal(size=(2, 6, 8)).astype(np.float32) for seed in (0, 1))
    found = ours(mx.array(x), mx.array(y), mx.array(y))
    wanted, _ = theirs(torch.tensor(x), torch.tensor(y), torch.tensor(y))
    np.testing.assert_allclose(np.array(found), wanted.detach().numpy(), rtol=0, atol=1e-6)


def test_group_norm_by_default_groups_other_channels():
    x = mx.array([[0.0, 1.0, 10.0, 11.0]])[:, None]
    groups = nn.GroupNorm(2, 4, affine=False)(x), nn.GroupNorm(2, 4, affine=False, pytorch_compatible=True)(x)
    assert [mx.sign(found).flatten().tolist() for found in groups] == [[-1, -1, 1, 1], [-1, 1, -1, 1]]


def test_running_variance_is_torchs():
    theirs, ours = torch.nn.BatchNorm1d(3), nn.BatchNorm(3)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    ours(mx.array(x))
    theirs(torch.tensor(x))
    np.testing.assert_allclose(np.array(ours.running_var), theirs.running_var.numpy(), rtol=1e-6)
