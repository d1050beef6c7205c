"""``nn.init`` next to torch: equal bits and equal states of the generators, messages, warnings and signatures."""

from __future__ import annotations

import inspect
import math
import warnings

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.random_pair import FLOATS, both, equal, ours, seed_both, states

SHAPES = [(3, 5), (16, 16), (7, 9), (4, 3, 5), (6, 2, 3, 3), (2, 2, 2, 3, 4), (40, 50), (1, 1)]
CALLS = {
    "uniform_": lambda i, t, **k: i.uniform_(t, **k),
    "uniform_(-2, 3)": lambda i, t, **k: i.uniform_(t, -2, 3, **k),
    "normal_": lambda i, t, **k: i.normal_(t, **k),
    "normal_(1, 0.02)": lambda i, t, **k: i.normal_(t, mean=1, std=0.02, **k),
    "trunc_normal_": lambda i, t, **k: i.trunc_normal_(t, **k),
    "trunc_normal_(std=0.02)": lambda i, t, **k: i.trunc_normal_(t, std=0.02, **k),
    "trunc_normal_(0.1, 2, -1, 3)": lambda i, t, **k: i.trunc_normal_(t, 0.1, 2.0, -1.0, 3.0, **k),
    "trunc_normal_(0, 1, 1, 3)": lambda i, t, **k: i.trunc_normal_(t, 0.0, 1.0, 1.0, 3.0, **k),
    "trunc_normal_(0, 1, -0.2, 0.3)": lambda i, t, **k: i.trunc_normal_(t, 0.0, 1.0, -0.2, 0.3, **k),
    "xavier_uniform_": lambda i, t, **k: i.xavier_uniform_(t, **k),
    "xavier_uniform_(1.7)": lambda i, t, **k: i.xavier_uniform_(t, 1.7, **k),
    "xavier_normal_": lambda i, t, **k: i.xavier_normal_(t, **k),
    "kaiming_uniform_": lambda i, t, **k: i.kaiming_uniform_(t, **k),
    "kaiming_uniform_(sqrt 5)": lambda i, t, **k: i.kaiming_uniform_(t, a=math.sqrt(5), **k),
    "kaiming_uniform_(relu)": lambda i, t, **k: i.kaiming_uniform_(t, mode="FAN_OUT", nonlinearity="relu", **k),
    "kaiming_normal_": lambda i, t, **k: i.kaiming_normal_(t, **k),
    "kaiming_normal_(tanh)": lambda i, t, **k: i.kaiming_normal_(t, 0, "fan_out", "tanh", **k),
}
LAYOUTS = {
    "transposed": lambda t: t.transpose(0, 1),
    "channels last": lambda t: t.permute(0, 3, 1, 2),
    "every second": lambda t: t[:, ::2],
    "part": lambda t: t[1:, :, 1:3],
}


def zeros(module, shape, name="float32"):
    return module.zeros(shape, dtype=ours(name) if module is tm else FLOATS[name])


@pytest.mark.parametrize("name", CALLS)
def test_random_weights(name):
    for dtype in FLOATS:
        for seed, shape in enumerate(SHAPES):
            both(lambda m, s=shape, d=dtype: CALLS[name](m.nn.init, zeros(m, s, d)), seed)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CALLS)
def test_random_weights_in_other_layouts(name, layout):
    def call(m):
        whole = zeros(m, (4, 6, 5, 8))
        CALLS[name](m.nn.init, LAYOUTS[layout](whole))
        return whole

    both(call, 5)


@pytest.mark.parametrize("name", CALLS)
def test_a_generator_of_ones_own(name):
    mine, theirs = tm.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    seed_both(1)
    equal(
        CALLS[name](tm.nn.init, zeros(tm, (6, 7)), generator=mine),
        CALLS[name](torch.nn.init, zeros(torch, (6, 7)), generator=theirs),
    )
    assert np.array(mine.get_state().array).tobytes() == theirs.get_state().numpy().tobytes()


@pytest.mark.parametrize(
    "call",
    [
        lambda i, t: i.constant_(t, 0.3),
        lambda i, t: i.ones_(t),
        lambda i, t: i.zeros_(t),
        lambda i, t: i.dirac_(t, 1),
        lambda i, t: i.dirac_(t, groups=2),
        lambda i, t: i.dirac_(t, 3),
    ],
)
def test_weights_that_are_not_random(call):
    for shape in ((6, 2, 3), (6, 9, 4, 3), (12, 3, 1, 2, 3), (6, 2, 4, 4)):
        both(lambda m, s=shape: call(m.nn.init, m.full(s, 7.0)))
    both(lambda m: call(m.nn.init, m.full((6, 2, 3), 7, dtype=m.int32)))
    both(lambda m: call(m.nn.init, m.full((3, 2, 6), 7.0).transpose(0, 2)))


def test_eye():
    for shape in ((3, 3), (2, 5), (5, 2), (0, 3), (3, 0)):
        for dtype in ("float32", "bfloat16", "int64", "bool"):
            both(lambda m, s=shape, d=dtype: m.nn.init.eye_(m.ones(s, dtype=getattr(m, d))))
    both(lambda m: m.nn.init.eye_(m.ones(3, 5).t()))


def test_sparse():
    for shape in ((10, 4), (30, 20), (1, 3), (0, 3), (3, 0)):
        for sparsity in (0.0, 0.1, 0.55, 1.0, 1.5, -0.2):
            both(lambda m, s=shape, p=sparsity: m.nn.init.sparse_(m.ones(s), p, std=0.1))
    mine, theirs = tm.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    both(lambda m: m.nn.init.sparse_(m.ones(5, 6), 0.3, generator=mine if m is tm else theirs))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_orthogonal(dtype):
    """Q of the same normal numbers: it is unique, so the difference is the rounding errors of a factorization."""
    error = {"float32": 2e-6, "float64": 4e-15}[dtype]
    for seed, shape in enumerate([(3, 3), (5, 3), (3, 5), (4, 3, 2), (1, 7), (64, 64), (0, 3), (10, 3, 3, 3)]):
        found = []
        for m in (tm, torch):
            seed_both(seed)
            t = m.nn.init.orthogonal_(zeros(m, shape, dtype), gain=1.5)
            found.append(np.array(t.tolist()).reshape(shape))
            if m is torch:
                theirs = torch.get_rng_state()
        seed_both(seed)
        mine = tm.nn.init.orthogonal_(zeros(tm, shape, dtype), gain=1.5)
        assert np.array(tm.get_rng_state().array).tobytes() == theirs.numpy().tobytes()
        assert str(mine.dtype).endswith(dtype)
        assert np.abs(found[0] - found[1]).max(initial=0) <= error


def test_a_parameter_that_wants_a_gradient_is_filled_without_a_record():
    def call(m):
        p = m.nn.Parameter(m.zeros(4, 5))
        for name, function in CALLS.items():
            assert function(m.nn.init, p) is p, name
            assert p.is_leaf
            assert p.requires_grad
        return m.nn.init.zeros_(p) + m.nn.init.eye_(p)

    both(call)


GAINS = [
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "sigmoid", "tanh", "relu", "leaky_relu", "selu",
]  # fmt: skip


@pytest.mark.parametrize("name", GAINS)
def test_gains(name):
    for param in ((), (None,), (0.2,), (1,)):
        mine, theirs = tm.nn.init.calculate_gain(name, *param), torch.nn.init.calculate_gain(name, *param)
        assert mine == theirs
        assert type(mine) is type(theirs)


def test_fans():
    for shape in ((2, 3), (4, 5, 6), (2, 3, 4, 5), (0, 3)):
        for function in ("_calculate_fan_in_and_fan_out",):
            assert getattr(tm.nn.init, function)(tm.zeros(shape)) == getattr(torch.nn.init, function)(
                torch.zeros(shape)
            )
        for mode in ("fan_in", "fan_out", "FAN_IN"):
            mine, theirs = (m.nn.init._calculate_correct_fan(m.zeros(shape), mode) for m in (tm, torch))
            assert mine == theirs


REFUSED = {
    "eye_ of a vector": lambda m: m.nn.init.eye_(m.zeros(3)),
    "dirac_ of a matrix": lambda m: m.nn.init.dirac_(m.zeros(3, 3)),
    "dirac_ of six": lambda m: m.nn.init.dirac_(m.zeros(1, 1, 1, 1, 1, 1)),
    "dirac_ of groups": lambda m: m.nn.init.dirac_(m.zeros(5, 3, 3), 2),
    "dirac_ of no groups": lambda m: m.nn.init.dirac_(m.zeros(5, 3, 3), 0),
    "xavier of a vector": lambda m: m.nn.init.xavier_uniform_(m.zeros(3)),
    "xavier of nothing": lambda m: m.nn.init.xavier_uniform_(m.zeros(0, 0)),
    "negative gain": lambda m: m.nn.init.xavier_uniform_(m.zeros(3, 3), -1),
    "negative gain, normal": lambda m: m.nn.init.xavier_normal_(m.zeros(2, 2), -1),
    "kaiming of a vector": lambda m: m.nn.init.kaiming_normal_(m.zeros(3)),
    "mode": lambda m: m.nn.init.kaiming_uniform_(m.zeros(3, 3), mode="x"),
    "mode that is no name": lambda m: m.nn.init.kaiming_uniform_(m.zeros(3, 3), mode=3),
    "nonlinearity": lambda m: m.nn.init.kaiming_uniform_(m.zeros(3, 3), nonlinearity="x"),
    "slope": lambda m: m.nn.init.kaiming_uniform_(m.zeros(3, 3), a="x"),
    "slope that is a bool": lambda m: m.nn.init.kaiming_normal_(m.zeros(3, 3), a=True),
    "gain": lambda m: m.nn.init.calculate_gain("gelu"),
    "integers": lambda m: m.nn.init.kaiming_uniform_(m.zeros(3, 3, dtype=m.int32)),
    "integers, normal": lambda m: m.nn.init.xavier_normal_(m.zeros(3, 3, dtype=m.int64)),
    "integers, bounded": lambda m: m.nn.init.trunc_normal_(m.zeros(3, 3, dtype=m.int64)),
    "integers, sparse": lambda m: m.nn.init.sparse_(m.zeros(3, 3, dtype=m.int32), 0.1),
    "bounds": lambda m: m.nn.init.uniform_(m.zeros(3), 3, 1),
    "bounds of trunc_normal_": lambda m: m.nn.init.trunc_normal_(m.zeros(3), 0.0, 1.0, 2.0, -2.0),
    "std": lambda m: m.nn.init.normal_(m.zeros(3), 0, -1),
    "std of 0": lambda m: m.nn.init.trunc_normal_(m.zeros(3), 0.0, 0.0),
    "orthogonal of a vector": lambda m: m.nn.init.orthogonal_(m.zeros(3)),
    "orthogonal halves": lambda m: m.nn.init.orthogonal_(m.zeros(3, 3, dtype=m.float16)),
    "orthogonal bfloat16": lambda m: m.nn.init.orthogonal_(m.zeros(3, 3, dtype=m.bfloat16)),
    "orthogonal complex": lambda m: m.nn.init.orthogonal_(m.zeros(3, 3, dtype=m.complex64)),
    "orthogonal in another layout": lambda m: m.nn.init.orthogonal_(m.zeros(3, 4, 2, 2).permute(0, 3, 1, 2)),
    "sparse of a vector": lambda m: m.nn.init.sparse_(m.zeros(3), 0.1),
    "a generator that is none": lambda m: m.nn.init.normal_(m.zeros(3), generator=3),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    raised = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seed_both(0)
        for m in (tm, torch):
            with pytest.raises(Exception) as error:
                REFUSED[name](m)
            raised.append((error.type, str(error.value).replace("torchish_mlx", "torch")))
    assert raised[0] == raised[1]
    mine, theirs = states()
    assert mine == theirs


WARNED = {
    "nothing to fill": lambda m: m.nn.init.kaiming_uniform_(m.zeros(0, 3)),
    "nothing to fill, normal": lambda m: m.nn.init.kaiming_normal_(m.zeros(3, 0)),
    "mean outside": lambda m: m.nn.init.trunc_normal_(m.zeros(3), 5.0),
    "uniform": lambda m: m.nn.init.uniform(m.zeros(3), 1, 2),
    "normal": lambda m: m.nn.init.normal(m.zeros(3), std=3),
    "constant": lambda m: m.nn.init.constant(m.zeros(3), 2),
    "eye": lambda m: m.nn.init.eye(m.zeros(3, 3)),
    "dirac": lambda m: m.nn.init.dirac(m.zeros(3, 3, 3)),
    "xavier_uniform": lambda m: m.nn.init.xavier_uniform(m.zeros(3, 3)),
    "xavier_normal": lambda m: m.nn.init.xavier_normal(m.zeros(3, 3)),
    "kaiming_uniform": lambda m: m.nn.init.kaiming_uniform(m.zeros(3, 3)),
    "kaiming_normal": lambda m: m.nn.init.kaiming_normal(m.zeros(3, 3)),
    "sparse": lambda m: m.nn.init.sparse(m.zeros(3, 3), 0.3),
}


@pytest.mark.parametrize("name", WARNED)
def test_warned(name):
    said = []

    def call(m):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = WARNED[name](m)
        said.append([(w.category, str(w.message)) for w in caught])
        if m is tm:
            assert [w.filename for w in caught] == [__file__]
        return result

    both(call)
    assert len(said[0]) == 1
    assert said[0] == said[1]


def test_orthogonal_by_its_old_name():
    seed_both(0)
    with pytest.warns(FutureWarning, match="`nn.init.orthogonal` is now deprecated in favor of `nn.init.orthogonal_`"):
        q = tm.nn.init.orthogonal(tm.zeros(4, 4))
    assert mx.abs(q.array @ q.array.T - mx.eye(4)).max().item() < 1e-6


def test_names_and_signatures():
    assert tm.nn.init.__all__ == torch.nn.init.__all__
    for name in tm.nn.init.__all__:
        mine, theirs = (inspect.signature(getattr(m.nn.init, name)).parameters for m in (tm, torch))
        assert [(p.name, p.kind, p.default) for p in mine.values()] == [
            (p.name, p.kind, p.default) for p in theirs.values()
        ]
