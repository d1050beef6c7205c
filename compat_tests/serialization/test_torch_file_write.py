"""What ``save`` writes, read by ``torch.load(weights_only=True)``: values, types, sharing, state dicts."""

from __future__ import annotations

import io
import math
import pickletools
import struct
import sys
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.serialization import config

import torchish_mlx
from tests.marks import examples
from torchish_mlx.serialization._shared.arrays import KINDS

SHAPES = [(), (0,), (0, 3), (5,), (2, 3, 4, 1)]


def loaded(obj):
    """``obj`` saved here and loaded by torch."""
    file = io.BytesIO()
    torchish_mlx.save(obj, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


# -- tensors


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.torch)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_dtype_in_every_shape(kind, shape):
    array = mx.arange(math.prod(shape)).reshape(shape).astype(kind.dtype, stream=mx.cpu)
    for given_as in (array, torchish_mlx.Tensor(array)):
        theirs = loaded(given_as)
        assert theirs.dtype == getattr(torch, kind.torch)
        assert theirs.shape == shape
        assert type(theirs) is torch.Tensor
        assert not theirs.requires_grad
        assert theirs.tolist() == array.tolist()


def test_odd_floats_keep_their_bits():
    bits = [0x7FC00001, 0xFFC12345, 0x7F800000, 0x80000000, 0x00000001, 0x7FA00000]
    ours = mx.array(np.array(bits, np.uint32)).view(mx.float32)
    assert loaded(ours).view(torch.uint32).tolist() == bits


VIEWS = {
    "transposed": lambda x: x.t(),
    "rows": lambda x: x[1:],
    "every other column": lambda x: x[:, ::2],
    "one row": lambda x: x[-1],
    "one number": lambda x: x[2, 3],
    "no rows": lambda x: x[3:],
    "no rows, beyond the end": lambda x: x[7:],
    "flat": lambda x: x.view(-1),
    "reshaped part": lambda x: x[1:3].reshape(4, 2),
    "new axis": lambda x: x[:, None, 1],
    "expanded": lambda x: x[:1].expand(5, 4),
    "data": lambda x: x.data,
    "data of a view of data": lambda x: x.t().data[1:].data[:, 1:],
    "detached": lambda x: x.detach().t(),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views_lie_where_torchs_own_do(view):
    """Offset and strides are torch's, and the base and its view are on one storage after loading."""
    theirs = torch.arange(12.0).reshape(3, 4)
    expected = view(theirs)
    ours = torchish_mlx.tensor(mx.arange(12.0).reshape(3, 4))
    base, got = loaded([ours, view(ours)])
    assert torch.equal(got, expected)
    assert got.stride() == expected.stride()
    assert got.storage_offset() == expected.storage_offset()
    assert got.untyped_storage().data_ptr() == base.untyped_storage().data_ptr()
    got_alone = loaded(view(ours))
    assert torch.equal(got_alone, expected)
    assert got_alone.stride() == expected.stride()


@st.composite
def view_chains(draw):
    """A shape and functions that view an array of it, one after the other."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    x, steps = torch.zeros(shape), []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["permute", "slice", "select", "unsqueeze", "flatten", "data"]))
        if kind == "permute":
            order = draw(st.permutations(range(x.ndim)))
            steps.append(lambda t, order=tuple(order): t.permute(*order) if order else t)
        elif kind == "slice" and x.ndim:
            key = slice(draw(st.integers(-4, 4)), draw(st.integers(-4, 5)), draw(st.integers(1, 3)))
            steps.append(lambda t, key=key: t[..., key])
        elif kind == "select" and x.ndim and x.shape[0]:
            at = draw(st.integers(-x.shape[0], x.shape[0] - 1))
            steps.append(lambda t, at=at: t[at])
        elif kind == "unsqueeze":
            dim = draw(st.integers(0, x.ndim))
            steps.append(lambda t, dim=dim: t.unsqueeze(dim))
        elif kind == "flatten" and x.is_contiguous():
            steps.append(lambda t: t.view(-1))
        else:
            steps.append(lambda t: t.data)
        x = steps[-1](x)
    return shape, steps


@settings(max_examples=examples(200), deadline=None)
@given(view_chains())
def test_chains_of_views_lie_where_torchs_own_do(chain):
    shape, steps = chain
    theirs = torch.arange(float(math.prod(shape))).reshape(shape)
    ours = torchish_mlx.tensor(mx.arange(float(math.prod(shape))).reshape(shape))
    for step in steps:
        theirs, ours = step(theirs), step(ours)
    got = loaded(ours)
    assert torch.equal(got, theirs)
    assert (got.stride(), got.storage_offset()) == (theirs.stride(), theirs.storage_offset())


def test_tensors_of_torch_with_a_gradient():
    """requires_grad of leaves and of what was computed, as torch saves its own."""
    ours = torchish_mlx.tensor([1.0, 2.0], requires_grad=True)
    got = loaded([ours, ours * 2, ours.detach(), torchish_mlx.tensor([1, 2])])
    assert [t.requires_grad for t in got] == [True, True, False, False]
    assert all(t.is_leaf for t in got)


def test_parameters():
    ours = torchish_mlx.Parameter(mx.ones(2))
    frozen = torchish_mlx.Parameter(mx.ones(2), requires_grad=False)
    got, data, again, still = loaded([ours, ours.data, ours, frozen])
    assert type(got) is type(still) is torch.nn.Parameter
    assert type(data) is torch.Tensor
    assert got.requires_grad
    assert not still.requires_grad
    assert not data.requires_grad
    assert again is got
    assert data.data_ptr() == got.data_ptr()


# -- Python's values

floats = st.floats(allow_nan=False)
integers = st.integers(-(1 << 70), 1 << 70) | st.integers(-(1 << 2038), 1 << 2038)  # what torch.load reads
scalars = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    floats,
    st.complex_numbers(allow_nan=False),
    st.text(st.characters(codec=None)),
    st.binary(),
    st.binary().map(bytearray),
)
keys = st.one_of(st.text(max_size=5), integers, floats, st.tuples(st.integers(), st.text(max_size=2)), st.none())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(keys, inner, max_size=5),
        st.dictionaries(keys, inner, max_size=5).map(OrderedDict),
        st.sets(keys, max_size=5),
        st.lists(st.text(max_size=2)).map(Counter),
        inner.map(lambda value: [value, value]),
    ),
    max_leaves=25,
)


def same(ours, theirs, seen):
    """Equal in types, order and values, and one object here where it is one there."""
    assert type(ours) is type(theirs)
    if isinstance(ours, (list, dict, set, bytearray)):
        assert seen.setdefault(id(ours), theirs) is theirs, "an object that stands twice is one"
    if isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            same(mine, other, seen)
    elif isinstance(ours, dict):
        assert list(map(repr, ours)) == list(map(repr, theirs))
        for mine, other in zip(ours.values(), theirs.values(), strict=True):
            same(mine, other, seen)
    else:
        assert ours == theirs
    return True


@settings(max_examples=examples(400), deadline=None)
@given(values)
def test_any_value_comes_back_in_torch_and_here(value):
    file = io.BytesIO()
    torchish_mlx.save(value, file)
    file.seek(0)
    assert same(value, torch.load(file, weights_only=True), {})
    file.seek(0)
    assert same(value, torchish_mlx.load(file), {})


def test_floats_that_are_no_numbers():
    nan, inf, zero = loaded([math.nan, -math.inf, -0.0])
    assert math.isnan(nan)
    assert inf == -math.inf
    assert struct.pack("d", zero) == struct.pack("d", -0.0)


@pytest.mark.parametrize("n", [999, 1000, 1001, 2500])
def test_wide_containers(n):
    value = [list(range(n)), tuple(range(n)), {i: str(i) for i in range(n)}, set(range(n)), Counter(map(str, range(n)))]
    assert loaded(value) == value


def test_types_of_torch():
    ours = [torchish_mlx.Size([2, 3]), torchish_mlx.Size([]), torchish_mlx.device("mps:0"), torchish_mlx.device("cpu")]
    assert loaded(ours) == [torch.Size([2, 3]), torch.Size([]), torch.device("mps:0"), torch.device("cpu")]
    for kind in KINDS:
        assert loaded([kind.dtype]) == [getattr(torch, kind.torch)]


def test_numpys_scalars_are_numbers():
    got = loaded([np.float32(1.5), np.float64(0.1), np.int64(-3), np.bool_(True), np.str_("a"), np.complex64(1j)])
    assert [type(x) for x in got] == [float, float, int, bool, str, complex]
    assert got == [1.5, 0.1, -3, True, "a", 1j]


def test_the_attributes_of_an_ordered_dict_stay():
    ours = OrderedDict(weight=torchish_mlx.ones(2))
    ours._metadata = OrderedDict({"": {"version": 2}})
    got = loaded(ours)
    assert type(got) is type(got._metadata) is OrderedDict
    assert got._metadata == ours._metadata


def test_a_container_in_itself():
    a: list = [1]
    b: dict = {"a": a, "t": (a,)}
    a.append(b)
    got = loaded(a)
    assert got[1]["a"] is got
    assert got[1]["t"][0] is got


# -- the container


def without_memo(pickled):
    """The opcodes and what they hold, but for the numbers under which objects are remembered."""
    ops = [(op.name, arg) for op, arg, _ in pickletools.genops(pickled) if "PUT" not in op.name]
    return [(name, None if "GET" in name else arg) for name, arg in ops]


def test_the_records_are_torchs_own(tmp_path):
    """One object saved by both: the pickles differ only in what they remember, and one record is only here."""

    def state(lib, dtype):
        x = lib.ones(2, 3)
        return OrderedDict(x=x, t=x.t(), p=lib.nn.Parameter(x[1]) if lib is torch else lib.Parameter(x[1]), h=dtype)

    (tmp_path / "ours").mkdir()
    torchish_mlx.save(state(torchish_mlx, mx.bfloat16), tmp_path / "ours" / "x.pt")
    torch.save(state(torch, torch.bfloat16), tmp_path / "x.pt")
    mine, other = zipfile.ZipFile(tmp_path / "ours" / "x.pt"), zipfile.ZipFile(tmp_path / "x.pt")
    names = [name for name in mine.namelist() if name != "x/.torchish_mlx"]
    assert names == other.namelist() == mine.namelist()[:-2] + mine.namelist()[-1:]
    assert without_memo(mine.read("x/data.pkl")) == without_memo(other.read("x/data.pkl"))
    for name in names[1:-1]:
        assert mine.read(name) == other.read(name), name
    assert len(mine.read("x/.data/serialization_id")) == len(other.read("x/.data/serialization_id"))
    for a, b in zip(map(mine.getinfo, names), other.infolist(), strict=True):
        assert (a.flag_bits, a.date_time, a.compress_type) == (b.flag_bits, b.date_time, b.compress_type)


@pytest.mark.parametrize("name", ["a.b.pt", "über.pt", "x"])
def test_torch_maps_the_file_into_memory_and_computes_its_offsets(tmp_path, name):
    state = {
        "a": mx.arange(1000.0),
        "e": mx.zeros((0,)),
        "b": mx.arange(7, dtype=mx.int64),
        "u": mx.arange(3).astype(mx.uint16),
    }
    torchish_mlx.save(state, tmp_path / name)
    with config.patch("load.calculate_storage_offsets", True):
        got = torch.load(tmp_path / name, weights_only=True, mmap=True)
    assert {k: v.tolist() for k, v in got.items()} == {k: v.tolist() for k, v in state.items()}


# -- state dicts


def stepped(params, optimizer, scheduler, grads):
    for grad in grads:
        for p, g in zip(params, grad, strict=True):
            p.grad = g
        optimizer.step()
        scheduler.step()


def test_a_run_with_adamw_and_a_scheduler_goes_on_in_torch(tmp_path: Path):
    """Three steps here, the file, three more steps there: what six steps there give, to rounding."""
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(s).astype(np.float32) for s in [(3, 4), (4,)]]
    grads = [[rng.standard_normal(x.shape).astype(np.float32) for x in start] for _ in range(6)]

    def run(lib, parameter, tensor):
        params = [parameter(tensor(x)) for x in start]
        optimizer = lib.optim.AdamW([{"params": params[:1]}, {"params": params[1:], "lr": 0.1}], amsgrad=True)
        return params, optimizer, lib.optim.lr_scheduler.StepLR(optimizer, 2)

    params, optimizer, scheduler = run(torchish_mlx, torchish_mlx.Parameter, mx.array)
    stepped(params, optimizer, scheduler, [[mx.array(x) for x in g] for g in grads[:3]])
    states = {"p": params, "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    torchish_mlx.save(states, tmp_path / "run.pt")

    whole = run(torch, torch.nn.Parameter, torch.tensor)
    stepped(*whole, [[torch.tensor(x) for x in g] for g in grads])
    params, optimizer, scheduler = run(torch, torch.nn.Parameter, torch.tensor)
    got = torch.load(tmp_path / "run.pt", weights_only=True)
    with torch.no_grad():
        for p, loaded_p in zip(params, got["p"], strict=True):
            p.copy_(loaded_p)
    optimizer.load_state_dict(got["optimizer"])
    scheduler.load_state_dict(got["scheduler"])
    stepped(params, optimizer, scheduler, [[torch.tensor(x) for x in g] for g in grads[3:]])
    for mine, theirs in zip(params, whole[0], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)
    assert scheduler.state_dict() == whole[2].state_dict()


def test_torchs_words_for_byte_order():
    file = io.BytesIO()
    torchish_mlx.save([mx.array([1], dtype=mx.int16)], file)
    archive = zipfile.ZipFile(file)
    assert archive.read("archive/data/0") == struct.pack("=h", 1)
    assert archive.read("archive/byteorder").decode() == sys.byteorder
