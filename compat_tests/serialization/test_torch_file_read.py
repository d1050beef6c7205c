"""Files that torch.save wrote, read without torch: values bit for bit, types, sharing, strides; and the old format."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections import Counter, OrderedDict
from pickle import UnpicklingError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import torchish_mlx
from compat_tests.twin import Twin
from compat_tests.two_sides import THEIRS
from tests.each import each
from tests.marks import examples
from torchish_mlx.parity.optimizer_cases import CASES as OPTIMIZERS
from torchish_mlx.parity.scheduler_cases import CASES, made, optimizer_of, train
from torchish_mlx.serialization._shared.arrays import KINDS, buffer
from torchish_mlx.serialization._torch.load import load_torch

SHAPES = [(), (0,), (0, 3), (5,), (2, 3, 4, 1), (1, 1)]
OLD = {"_use_new_zipfile_serialization": False}


def written(obj, **options):
    file = io.BytesIO()
    torch.save(obj, file, **options)
    file.seek(0)
    return file


def loaded(obj, **options):
    """``obj`` saved by torch and loaded here."""
    return load_torch(written(obj, **options))


def raw(theirs):
    """The bytes of a torch tensor."""
    flat = torch.empty(theirs.numel(), dtype=theirs.dtype)
    flat.copy_(theirs.detach().flatten())
    return flat.view(torch.uint8).numpy().tobytes()


def base_of(tensor):
    storage = tensor._storage
    return getattr(storage, "base", storage)


def assert_same(ours, theirs):
    """The same tree: types, values bit for bit, strides, and who shares a storage with whom."""
    bases, pairs = {}, [(ours, theirs)]
    while pairs:
        a, b = pairs.pop()
        if isinstance(b, torch.Tensor):
            kind = torchish_mlx.Parameter if isinstance(b, nn.Parameter) else torchish_mlx.Tensor
            assert type(a) is kind
            assert (str(a.dtype).split(".")[-1].rstrip("_"), tuple(a.shape)) == (
                str(b.dtype).split(".")[-1],
                tuple(b.shape),
            )
            assert a.requires_grad == b.requires_grad
            assert bytes(buffer(a.array)) == raw(b)
            if b.numel():
                assert all(n == 1 or s == t for n, s, t in zip(b.shape, a.stride(), b.stride(), strict=True))
                key = b.untyped_storage()._cdata
                assert bases.setdefault(key, base_of(a)) is base_of(a)
        elif isinstance(b, (dict, list, tuple)) and not isinstance(b, torch.Size):
            assert type(a) is type(b)
            assert len(a) == len(b)
            if isinstance(b, dict):
                assert list(a) == list(b)
                pairs += [(a[key], b[key]) for key in b]
                pairs += [(vars(a), vars(b))] if type(b) is OrderedDict and vars(b) else []
            else:
                pairs += zip(a, b, strict=True)
        elif isinstance(b, (float, complex)):
            assert type(a) is type(b)
            assert repr(a) == repr(b)
        elif isinstance(b, (torch.dtype, torch.device, torch.Size)):
            assert repr(a).split(".")[-1].rstrip("_") == repr(b).split(".")[-1]
        else:
            assert type(a) is type(b)
            assert a == b
    assert len({id(base) for base in bases.values()}) == len(bases)


# -- tensors


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.torch)
@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "old"])
def test_every_dtype_in_every_shape_bit_for_bit(kind, options):
    dtype = getattr(torch, kind.torch)
    tensors = []
    for shape in SHAPES:
        bits = torch.randint(0, 2 if kind.torch == "bool" else 256, (*shape, dtype.itemsize), dtype=torch.uint8)
        tensors.append(bits.view(dtype).reshape(shape))
    assert_same(loaded(tensors, **options), tensors)


def test_arrays_are_evaluated_and_independent_of_the_file(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(torch.arange(1000.0), path)
    ours = load_torch(path)
    path.write_bytes(b"")
    assert ours.sum().item() == 499500


VIEWS = {
    "transposed": lambda x: x.t(),
    "rows": lambda x: x[1:3],
    "columns": lambda x: x[:, 1:],
    "last column": lambda x: x[:, -1],
    "every second": lambda x: x[::2, ::3],
    "element": lambda x: x[2, 3],
    "diagonal": lambda x: x.diagonal(),
    "expanded": lambda x: x[:, :1].expand(4, 6),
    "overlapping": lambda x: x.view(-1).unfold(0, 5, 2),
    "empty": lambda x: x[2:2],
    "new axes": lambda x: x[:, None, :, None],
    "other shape": lambda x: x.view(3, 8),
    "permuted": lambda x: x.view(2, 3, 2, 2).permute(3, 1, 0, 2),
    "channels last": lambda x: x.view(1, 2, 3, 4).to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "old"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("beside", [True, False])
def test_views_keep_strides_and_sharing(view, options, beside):
    x = torch.randn(4, 6)
    saved = {"x": x, "view": VIEWS[view](x)} if beside else {"view": VIEWS[view](x)}
    assert_same(loaded(saved, **options), saved)


@pytest.mark.parametrize("view", [name for name in VIEWS if name not in ("expanded", "overlapping", "empty")])
def test_a_write_to_a_view_reaches_the_base_and_the_other_way(view):
    x = torch.randn(4, 6)
    saved = {"x": x, "view": VIEWS[view](x)}
    ours = loaded(saved)
    for side in (saved, ours):
        side["view"].mul_(2)
        side["x"].add_(1)
        side["view"].sub_(0.5)
    assert_same(ours, saved)


@pytest.mark.parametrize("view", ["expanded", "overlapping"])
def test_a_view_that_shows_an_element_twice_refuses_writes(view):
    x = torch.randn(4, 6)
    with pytest.raises(RuntimeError, match="single memory location"):
        loaded(VIEWS[view](x)).mul_(2)


@settings(max_examples=examples(60))
@given(st.data())
def test_any_strides_and_offset(data):
    shape = data.draw(st.lists(st.integers(0, 4), max_size=4))
    strides = [data.draw(st.integers(0, 7)) for _ in shape]
    offset = data.draw(st.integers(0, 5))
    need = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1 if all(shape) else offset
    storage = torch.randn(max(need, 0) + data.draw(st.integers(0, 3)))
    saved = [torch.as_strided(storage, shape, strides, offset), storage]
    assert_same(loaded(saved), saved)


def test_conjugated_and_negated_tensors():
    x = torch.randn(3, dtype=torch.complex64)
    saved = [x.clone().conj(), x.clone().conj().imag.clone()]
    assert_same(loaded(saved), saved)
    with pytest.raises(RuntimeError, match=r"\[0\].*resolve_conj"):
        loaded([x, x.conj()])


def test_one_storage_in_two_dtypes_is_refused_by_entry():
    x = torch.zeros(4, dtype=torch.uint16)
    with pytest.raises(RuntimeError, match=r'\["a"\].*uint16, uint32.*clone\(\)'):
        loaded({"a": x, "b": x.view(torch.uint32)})


def test_parameters_and_attributes():
    p = nn.Parameter(torch.randn(3))
    q = nn.Parameter(torch.randn(2), requires_grad=False)
    q._no_weight_decay = True
    t = torch.randn(2, requires_grad=True)
    t.tag = {"a": 1}
    ours = loaded([p, q, t, p])
    assert_same(ours, [p, q, t, p])
    assert ours[0] is ours[3]
    assert ours[1]._no_weight_decay is True
    assert ours[2].tag == {"a": 1}


def test_tied_weights_are_one_storage():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    state = model.state_dict()
    ours = loaded(state)
    assert_same(ours, state)
    ours["0.weight"].mul_(0)
    assert not ours["1.weight"].any()


# -- other values

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.binary(),
    st.binary().map(bytearray),
    st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.device("cpu"), torch.Size([2, 3])]),
    st.sets(st.integers()),
)
KEYS = st.one_of(
    st.text(), st.integers(-(2**63), 2**63 - 1), st.tuples(st.text(), st.integers()), st.none(), st.booleans()
)
TREES = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(KEYS, inner),
        st.dictionaries(KEYS, inner).map(OrderedDict),
        st.dictionaries(KEYS, inner).map(Counter),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("options", [{}, OLD, {"pickle_protocol": 4}], ids=["zip", "old", "protocol 4"])
@settings(max_examples=examples(60))
@given(tree=TREES)
def test_any_nest_of_plain_values(options, tree):
    assert_same(loaded(tree, **options), tree)


def test_what_stands_twice_is_one_object_and_cycles_stay():
    twice = [1, 2]
    ring = [twice, {"again": twice}]
    ring.append(ring)
    ours = loaded(ring)
    assert ours[0] is ours[1]["again"]
    assert ours[2] is ours


def test_more_than_a_batch_of_entries():
    saved = {"list": list(range(5000)), "dict": {i: str(i) for i in range(5000)}}
    assert_same(loaded(saved), saved)


# -- state dicts


def test_the_state_of_a_model_with_its_metadata():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2).to(torch.bfloat16))
    state = model.state_dict()
    ours = loaded(state)
    assert_same(ours, state)
    assert ours._metadata["1"] == {"version": 2}


@each("options", [{}, OLD])
@each("case", OPTIMIZERS)
def test_the_state_of_every_optimizer(case, options):
    twin = Twin(case)
    for _ in range(3):
        twin.step_theirs()
    state = twin.theirs.state_dict()
    assert_same(loaded(state, **options), state)


@each("case", CASES)
def test_the_state_of_every_scheduler(case):
    optimizer = optimizer_of(THEIRS, groups=3)
    scheduler = made(case, THEIRS, optimizer)
    train(optimizer)
    state = {k: v for k, v in scheduler.state_dict().items() if "lambda" not in k and not callable(v)}
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    try:
        theirs = torch.load(file, weights_only=True)
    except Exception as refused:
        with pytest.raises(type(refused)):
            load_torch(file)
        return
    file.seek(0)
    assert_same(load_torch(file), theirs)


# -- files


def test_files_without_check_sums():
    torch.serialization.set_crc32_options(False)
    try:
        file = written({"x": torch.arange(3)})
    finally:
        torch.serialization.set_crc32_options(True)
    assert load_torch(file)["x"].tolist() == [0, 1, 2]


def test_a_changed_byte_of_a_tensor_or_of_the_pickle_is_found():
    file = written({"x": torch.full((1000,), 7, dtype=torch.int16), "y": torch.zeros(2)}).getvalue()
    assert zipfile.is_zipfile(io.BytesIO(file))
    for at in (file.index(b"\x07\0\x07\0"), file.index(b"ShortStorage")):
        with pytest.raises(RuntimeError, match="check sum of record 'archive/data"):
            load_torch(io.BytesIO(file[:at] + b"\x01" + file[at + 1 :]))


def test_a_file_behind_other_bytes_and_a_zip_with_a_comment(tmp_path):
    data = written([torch.arange(3)]).getvalue()
    assert load_torch(io.BytesIO(b"#!/bin/sh\n" * 9 + data))[0].tolist() == [0, 1, 2]
    file = io.BytesIO(b"head" + data)
    file.seek(4)
    assert load_torch(file)[0].tolist() == [0, 1, 2]
    repacked = tmp_path / "z.pt"
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(repacked, "w") as new:
        new.comment = b"packed again"
        for name in old.namelist():
            new.writestr(name.replace("archive/", "other name/"), old.read(name))
    assert load_torch(repacked)[0].tolist() == [0, 1, 2]


def without(data, *names):
    """A torch file without some of its records, and with others changed by a function."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            if name.split("/", 1)[1] not in names:
                new.writestr(name, old.read(name))
    out.seek(0)
    return out


def test_a_file_as_torch_1_6_wrote_it():
    data = written({"x": torch.arange(3)}).getvalue()
    file = without(data, "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id")
    assert load_torch(file)["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.storage], ids=lambda kind: kind.torch)
def test_files_of_big_endian_machines(kind):
    dtype = getattr(torch, kind.torch)
    x = torch.randint(0, 2, (6,)).to(dtype)
    out = io.BytesIO()
    with zipfile.ZipFile(written([x])) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            elif name.endswith("data/0"):
                size = 4 if dtype == torch.complex64 else dtype.itemsize
                data = np.frombuffer(data, f"u{size}").byteswap().tobytes()
            new.writestr(name, data)
    assert_same(load_torch(out.seek(0) or out), torch.load(out.seek(0) or out))


def test_compressed_files_torchscript_and_numpy_are_refused_with_what_to_do(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(written([1])) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    out.seek(0)
    with pytest.raises(RuntimeError, match=r"compressed.*zip -0"):
        load_torch(out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "s.pt")
    with pytest.raises(RuntimeError, match=r"TorchScript.*state_dict"):
        load_torch(tmp_path / "s.pt")
    np.savez(tmp_path / "a.npz", a=np.zeros(2))
    with pytest.raises(RuntimeError, match=r"NumPy's \.npz.*mlx\.core\.load"):
        load_torch(tmp_path / "a.npz")


REFUSED = {
    "complex128": (lambda: torch.zeros(2, dtype=torch.complex128), "complex64"),
    "float8": (lambda: torch.zeros(2, dtype=torch.float8_e4m3fn), "bfloat16"),
    "sparse": (lambda: torch.eye(2).to_sparse(), "to_dense"),
    "quantized": (lambda: torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.quint8), "dequantize"),
    "meta": (lambda: torch.zeros(2, device="meta"), "no numbers"),
    "NumPy number": (lambda: np.float64(1), r"weights_only=False"),
    "NumPy array": (lambda: np.zeros(2), "weights_only=False"),
    "model": (lambda: nn.Linear(2, 2), "Weights only load failed"),
    "optimizer": (lambda: torch.optim.SGD([torch.zeros(1)], 0.1), "state_dict"),
    "storage": (lambda: torch.zeros(2).untyped_storage(), "save tensors"),
    "class": (lambda: OrderedDict, "plain value"),
    "frozenset": (lambda: frozenset([1]), "set"),
    "layout": (lambda: torch.strided, "str"),
}


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning", "ignore:TypedStorage:UserWarning")
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "old"])
def test_what_mlx_has_not_is_refused_by_entry_with_what_to_do(name, options):
    make, hint = REFUSED[name]
    with pytest.raises((RuntimeError, UnpicklingError), match=rf'\["opt"\]\[1\].*{hint}'):
        loaded({"fine": torch.zeros(2), "opt": [torch.zeros(3), make()]}, **options)


@pytest.mark.parametrize("location", [None, "cpu", "cpu:0", torchish_mlx.device("cpu"), {"cpu": "cpu"}, {}], ids=str)
def test_map_location(location):
    assert load_torch(written(torch.ones(2)), location).tolist() == [1, 1]


def test_a_function_as_map_location_sees_each_storage_once():
    seen = []
    x = torch.arange(4.0)
    load_torch(
        written([x, x[1:], torch.zeros(1)]), lambda storage, location: seen.append((storage.array.size, location))
    )
    assert seen == [(4, "cpu"), (1, "cpu")]
    assert load_torch(written(x), lambda storage, location: storage).tolist() == x.tolist()
    with pytest.raises(TypeError, match="returns the storage or None"):
        load_torch(written(x), lambda storage, location: "cpu")


@pytest.mark.parametrize("location", ["xpu", {"cpu": "xpu:0"}, "nowhere"], ids=str)
def test_a_map_location_that_mlx_has_not(location):
    with pytest.raises(RuntimeError, match=r"which this machine has not got|Expected one of cpu, cuda"):
        load_torch(written(torch.ones(2)), location)
    with pytest.raises(TypeError):
        load_torch(written(torch.ones(2)), 3.0)


def test_tensors_that_were_on_a_gpu_load():
    """The location is only a text in the pickle: the same length keeps the lengths before it right."""
    data = written(torch.ones(2), **OLD).getvalue()
    assert load_torch(io.BytesIO(data.replace(b"cpu", b"xpu"))).tolist() == [1, 1]


def test_the_old_format_cut_off_or_changed_is_an_error():
    data = written({"x": torch.arange(5)}, **OLD).getvalue()
    for end in range(0, len(data), 3):
        with pytest.raises((RuntimeError, UnpicklingError)):
            load_torch(io.BytesIO(data[:end]))
    at = data.rindex(struct.pack("<q", 5))
    with pytest.raises(RuntimeError, match="6 elements in the file and 5"):
        load_torch(io.BytesIO(data[:at] + struct.pack("<q", 6) + data[at + 8 :]))


def test_the_zip_cut_off_anywhere_is_an_error():
    data = written({"x": torch.arange(5)}).getvalue()
    for end in range(0, len(data), 7):
        with pytest.raises((RuntimeError, UnpicklingError)):
            load_torch(io.BytesIO(data[:end]))
