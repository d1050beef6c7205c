"""Modules and whole models begin as torch's: Parameters, buffers and the generator from three seeds; their files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.model_sources import MODELS, built
from compat_tests.random_pair import bits, seed_both, states
from tests.each import check_each

SEEDS = (0, 1337, 2**40 + 3)

#: What is computed, and not drawn alone: sines and exponentials, and the matrix of orthogonal_. Near, to some ulps.
COMPUTED = {"place.pe", "mu.weight"}

#: A module of each kind that has Parameters, as torch's programs write it.
KINDS = """
Linear(5, 3)                      Linear(6, 4, bias=False)          Linear(1000, 100)
Bilinear(3, 4, 5)                 Embedding(10, 4)                  Embedding(10, 4, padding_idx=2)
Embedding(3, 2, max_norm=1.0)     Conv1d(4, 6, 3)                   Conv2d(3, 8, (3, 5), groups=1)
Conv2d(8, 8, 3, groups=8)         Conv2d(3, 64, 7, bias=False)      Conv3d(2, 4, 3)
ConvTranspose1d(4, 6, 3)          ConvTranspose2d(4, 6, 3, groups=2) ConvTranspose3d(2, 4, 3)
BatchNorm1d(4)                    BatchNorm2d(4, momentum=None)     BatchNorm3d(4, affine=False)
InstanceNorm1d(4, affine=True)    InstanceNorm2d(4, track_running_stats=True)    InstanceNorm3d(4)
LayerNorm((3, 4))                 LayerNorm(4, bias=False)          GroupNorm(2, 4)
RMSNorm(4)                        PReLU(3)                          RNN(4, 5, 2, nonlinearity="relu")
LSTM(4, 5, 2, bidirectional=True) LSTM(4, 5, proj_size=3)           GRU(4, 5, bias=False)
RNNCell(4, 5)                     LSTMCell(4, 5)                    GRUCell(4, 5)
MultiheadAttention(8, 2)          MultiheadAttention(8, 2, kdim=3, vdim=5)
MultiheadAttention(8, 2, bias=False, add_bias_kv=True)
TransformerEncoderLayer(8, 2, 16) TransformerDecoderLayer(8, 2, 16, norm_first=True)
TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2, nn.LayerNorm(8))
Transformer(8, 2, 1, 1, 16, batch_first=True)       Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
ModuleList([nn.Linear(2, 2), nn.Conv1d(2, 2, 1)])    ModuleDict({"b": nn.Linear(2, 2), "a": nn.Bilinear(1, 2, 3)})
CrossEntropyLoss(weight=torch.rand(4))               NLLLoss(torch.rand(4))
BCEWithLogitsLoss(pos_weight=torch.rand(4))          BCELoss(torch.rand(4))      MultiMarginLoss(weight=torch.rand(3))
ParameterList([torch.randn(3), torch.rand(2)])       ParameterDict({"x": torch.randn(2, 2)})
"""


def kinds() -> list[str]:
    """The expressions in KINDS, which are separated by spaces that no parentheses are around."""
    found, depth, start = list[str](), 0, 0
    for i, c in enumerate(KINDS):
        depth += (c in "([{") - (c in ")]}")
        if c == ")" and depth == 0:
            found.append(KINDS[start : i + 1].strip())
            start = i + 1
    return found


def made(library: Any, expression: str, seed: int) -> Any:
    library.manual_seed(seed)
    return eval(f"nn.{expression}", {"nn": library.nn, "torch": library})


def assert_same(mine: Any, theirs: Any, name: str) -> None:
    """The same dtype, shape and bits."""
    a, b = bits(mine), bits(theirs)
    assert a[:2] == b[:2], name
    if name in COMPUTED:
        np.testing.assert_allclose(*(np.array(t.tolist()) for t in (mine, theirs)), rtol=0, atol=1e-6, err_msg=name)
    else:
        assert a[2] == b[2], name


def assert_equal_states(mine: Any, theirs: Any) -> None:
    """Keys, order, dtypes, shapes, metadata and bits of the state dicts; names of what is in no state dict."""
    ours, torchs = mine.state_dict(), theirs.state_dict()
    assert list(ours) == list(torchs)
    assert ours._metadata == torchs._metadata
    for name in torchs:
        assert_same(ours[name], torchs[name], name)
    for names in ("named_parameters", "named_buffers", "named_modules"):
        assert [name for name, _ in getattr(mine, names)()] == [name for name, _ in getattr(theirs, names)()]
    for (name, a), (_, b) in zip(mine.named_buffers(), theirs.named_buffers(), strict=True):
        assert_same(a, b, name)
    assert [p.requires_grad for p in mine.parameters()] == [p.requires_grad for p in theirs.parameters()]


def there_and_back(mine: Any, theirs: Any, other_mine: Any, other_theirs: Any) -> None:
    """Each side's file is read by the other, into a module that began with other numbers."""
    file = io.BytesIO()
    tm.save(mine.state_dict(), file)
    file.seek(0)
    read = torch.load(file, weights_only=True)
    assert read._metadata == theirs.state_dict()._metadata
    assert repr(other_theirs.load_state_dict(read)) == "<All keys matched successfully>"
    assert_equal_states(mine, other_theirs)
    file = io.BytesIO()
    torch.save(theirs.state_dict(), file)
    file.seek(0)
    found = tm.load(file)
    assert found._metadata == mine.state_dict()._metadata
    assert repr(other_mine.load_state_dict(found)) == "<All keys matched successfully>"
    assert_equal_states(other_mine, theirs)


def test_kinds_of_modules() -> None:
    def check(expression: str, seed: int) -> None:
        mine, theirs = made(tm, expression, seed), made(torch, expression, seed)
        assert states()[0] == states()[1], "the states of the generators differ"
        assert_equal_states(mine, theirs)
        assert repr(mine) == repr(theirs)
        if seed == SEEDS[0]:
            there_and_back(mine, theirs, made(tm, expression, 5), made(torch, expression, 6))

    assert len({expression.partition("(")[0] for expression in kinds()}) >= 40
    check_each(check, [(expression, seed) for expression in kinds() for seed in SEEDS])


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str) -> None:
    for seed in SEEDS:
        (mine, x), (theirs, y) = built(tm, name, seed), built(torch, name, seed)
        assert states()[0] == states()[1], "the states of the generators differ"
        assert [bits(a) for a in x] == [bits(b) for b in y]
        assert_equal_states(mine, theirs)
        assert repr(mine) == repr(theirs)
    there_and_back(mine, theirs, built(tm, name, 5)[0], built(torch, name, 6)[0])


@pytest.mark.parametrize("name", MODELS)
def test_a_model_computes_and_draws_as_torchs(name: str) -> None:
    """Results in training, where masks and noise are drawn, gradients, and the buffers and results afterwards."""
    (mine, x), (theirs, y) = built(tm, name, 0), built(torch, name, 0)
    seed_both(7)
    for training in (True, False):
        outs = []
        for model, inputs in ((mine.train(training), x), (theirs.train(training), y)):
            result = model(*inputs)
            results = result if isinstance(result, tuple) else (result,)
            if training:
                sum((r * r).mean() for r in results).backward()
            outs.append([np.array(r.detach().tolist()) for r in results])
        assert states()[0] == states()[1], "the states of the generators differ"
        for a, b in zip(*outs, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=5e-6 * max(1.0, np.abs(b).max()))
    for (key, a), b in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), key
        if b.grad is not None:
            one, other = (np.array(p.grad.tolist()) for p in (a, b))
            np.testing.assert_allclose(one, other, rtol=0, atol=2e-5 * max(1e-2, np.abs(other).max()), err_msg=key)
    for (key, a), b in zip(mine.named_buffers(), theirs.buffers(), strict=True):
        np.testing.assert_allclose(np.array(a.tolist()), np.array(b.tolist()), rtol=1e-5, atol=1e-6, err_msg=key)
