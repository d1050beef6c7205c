"""safetensors: every value comes back as it was, the files are everybody's, and damage is an error."""

import io
import json
import math
import struct
from collections import Counter, OrderedDict

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchish_mlx as torch
from tests.marks import examples
from torchish_mlx.serialization import load_safetensors, safetensors_metadata, save_safetensors
from torchish_mlx.serialization._shared.arrays import KINDS, buffer

DTYPES = [kind.dtype for kind in KINDS]


def saved(obj, **options):
    file = io.BytesIO()
    save_safetensors(obj, file, **options)
    return file.getvalue()


def loaded(raw, **options):
    return load_safetensors(io.BytesIO(raw), **options)


def again(obj):
    return loaded(saved(obj))


def same(a, b):
    """Whether two objects are alike in every type and bit; NaNs are alike."""
    if isinstance(a, torch.Tensor):
        return (
            type(a) is type(b)
            and (a.dtype, a.shape, a.requires_grad) == (b.dtype, b.shape, b.requires_grad)
            and bytes(buffer(a.array)) == bytes(buffer(b.array))
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(k, m) and same(v, w) for (k, v), (m, w) in zip(a.items(), b.items(), strict=True)
        )
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, set):
        return sorted(map(repr, a)) == sorted(map(repr, b))
    if isinstance(a, (float, complex)):
        return repr(a) == repr(b)
    return a == b


def header_of(raw):
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + length])


def file_of(header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


# -- what comes back -----------------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(), max_size=6),  # lone surrogates too
    st.binary(max_size=6),
    st.lists(st.integers(0, 9), max_size=3).map(torch.Size),
    st.sampled_from([torch.Tensor(mx.zeros(1, dtype)).dtype for dtype in DTYPES]),
    st.sampled_from([torch.device("cpu"), torch.device("mps", 1)]),
)
keys = st.recursive(scalars, lambda k: st.lists(k, max_size=2).map(tuple), max_leaves=3)
tensors = st.builds(
    lambda shape, dtype, kind, grad: kind(
        mx.arange(math.prod(shape)).reshape(shape).astype(dtype),
        requires_grad=grad and dtype in (mx.float32, mx.bfloat16),
    ),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(DTYPES),
    st.sampled_from([torch.Tensor, torch.Parameter]),
    st.booleans(),
)
objects = st.recursive(
    scalars | tensors | st.binary(max_size=5).map(bytearray),
    lambda o: st.one_of(
        st.lists(o, max_size=4),
        st.lists(o, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3), o, max_size=4),
        st.dictionaries(st.sampled_from(["a", "b", "a.b", "!", "!tensor", "#2", "__metadata__", ""]), o, max_size=4),
        st.dictionaries(keys, o, max_size=3),
        st.dictionaries(keys, o, max_size=3).map(OrderedDict),
        st.dictionaries(st.text(max_size=2), st.integers(), max_size=3).map(Counter),
        st.sets(keys, max_size=3),
    ),
    max_leaves=12,
)


@settings(max_examples=examples(300), deadline=None)
@given(objects)
def test_any_nest_of_values_comes_back_as_it_was(obj):
    raw = saved(obj)
    assert same(obj, loaded(raw))
    assert raw == saved(obj)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_dtype_of_mlx_comes_back_as_torchs(dtype):
    back = again({"of": dtype})["of"]
    assert type(back) is torch.dtype
    assert back == dtype


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_is_kept_bit_for_bit(dtype):
    bits = np.arange(256, dtype=np.uint8).tobytes()
    if dtype == mx.bool_:
        bits = bytes(b & 1 for b in bits)
    x = mx.array(np.frombuffer(bits, np.uint8)).view(dtype)
    assert bytes(buffer(again({"x": x})["x"].array)) == bits


def test_what_training_scripts_save_comes_back():
    model = nn.Linear(2, 3)
    optimizer = torch.optim.AdamW(model, lr=torch.tensor(0.1))
    torch.backward(model, lambda m, x: m(x).sum(), mx.ones((1, 2)))
    optimizer.step()
    obj = {"model": dict(torch.named_parameters(model)), "optimizer": optimizer.state_dict(), "epoch": 3}
    assert same(obj, again(obj))
    names = header_of(saved(obj)).keys()
    assert {"model.weight", "model.bias", "optimizer.state.0.exp_avg", "optimizer.state.1.exp_avg_sq"} <= names


def test_numpy_numbers_become_pythons():
    out = again([np.float64(0.1), np.int8(3), np.bool_(True), {np.int64(7): np.complex64(1j)}])
    assert same(out, [0.1, 3, True, {7: 1j}])


def test_views_and_transposes_are_written_as_tensors_of_their_own():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    out = again({"t": x.t(), "row": x[1], "step": x[:, ::2], "all": x})
    assert [out[k].tolist() for k in out] == [[[1, 3], [2, 4]], [3, 4], [[1], [3]], [[1, 2], [3, 4]]]
    out["all"].zero_()
    assert out["row"].tolist() == [3, 4]


# -- what is shared ------------------------------------------------------------------------------------------


def test_a_tensor_that_stands_twice_is_stored_once_and_is_one_again():
    x, a = torch.ones(3), mx.zeros(2)
    raw = saved({"head": x, "embedding": x, "a": [a, a]})
    assert header_of(raw).keys() - {"__metadata__"} == {"head", "a.0"}
    out = loaded(raw)
    assert out["head"] is out["embedding"]
    assert out["a"][0] is out["a"][1]


def test_tensors_on_one_storage_see_each_others_writes_again():
    p = torch.Parameter(mx.ones(2))
    out = again({"p": p, "data": p.data, "detached": p.detach()})
    assert [type(v) for v in out.values()] == [torch.Parameter, torch.Tensor, torch.Tensor]
    assert out["data"] is not out["detached"]
    out["data"].mul_(5)
    assert out["p"].tolist() == out["detached"].tolist() == [5, 5]


def test_equal_tensors_that_are_not_shared_stay_apart():
    x = mx.ones(2)
    out = again({"a": torch.Tensor(x), "b": torch.Tensor(x)})
    out["a"].zero_()
    assert out["b"].tolist() == [1, 1]


def test_shared_containers_are_shared_again_without_growing():
    obj = []
    for _ in range(20):
        obj = [obj, obj]
    raw = saved(obj)
    out = loaded(raw)
    assert len(raw) < 10_000
    assert out[0] is out[1]
    assert out[0][0] is out[0][1]


# -- everybody's files ---------------------------------------------------------------------------------------


def test_a_dict_of_tensors_is_a_plain_file_that_mlx_reads(tmp_path):
    model, other = nn.Linear(2, 3), nn.Linear(2, 3)
    path = tmp_path / "model.safetensors"
    save_safetensors(dict(torch.named_parameters(model)), path, metadata={"author": "me"})
    other.load_weights(str(path))
    assert mx.array_equal(other.weight, model.weight)
    arrays, metadata = mx.load(str(path), return_metadata=True)
    assert arrays.keys() == {"weight", "bias"}
    assert (metadata["format"], metadata["author"]) == ("mlx", "me")
    assert safetensors_metadata(path) == {"format": "mlx", "author": "me"}


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != mx.float64], ids=str)  # MLX writes no float64
def test_files_are_exchanged_with_mlx(dtype, tmp_path):
    arrays = {"x": mx.arange(6).reshape(2, 3).astype(dtype), "é": mx.array(1).astype(dtype), "e": mx.zeros((0, 2))}
    mx.save_safetensors(str(tmp_path / "theirs.safetensors"), arrays)
    save_safetensors(arrays, tmp_path / "ours.safetensors")
    theirs = load_safetensors(tmp_path / "theirs.safetensors")
    ours = mx.load(str(tmp_path / "ours.safetensors"))
    assert theirs.keys() == ours.keys() == arrays.keys()
    for name, x in arrays.items():
        assert type(theirs[name]) is torch.Tensor
        for y in (theirs[name].array, ours[name]):
            assert y.dtype == x.dtype
            assert mx.array_equal(x, y)


def test_every_tensor_is_aligned_whatever_the_order():
    raw = saved({"b": mx.array([True]), "f": mx.ones(1), "h": mx.ones(1, mx.float16), "l": mx.ones(1, mx.int64)})
    length = struct.unpack("<Q", raw[:8])[0]
    entries = {k: v for k, v in header_of(raw).items() if k != "__metadata__"}
    assert list(entries) == ["b", "f", "h", "l"]
    sizes = {"BOOL": 1, "F16": 2, "F32": 4, "I64": 8}
    assert length % 8 == 0
    assert all(e["data_offsets"][0] % sizes[e["dtype"]] == 0 for e in entries.values())


def test_a_file_object_is_used_from_where_it_stands():
    file = io.BytesIO(b"before")
    file.seek(6)
    save_safetensors({"x": mx.ones(2)}, file)
    file.seek(6)
    assert load_safetensors(file)["x"].tolist() == [1, 1]
    assert not file.closed


class Slow(io.BytesIO):
    """A file that takes and gives a few bytes at a time, as the system may."""

    def write(self, data):
        return super().write(data[:7])

    def readinto(self, memory):
        return super().readinto(memory[:5])

    def read(self, size=-1):
        return super().read(min(size, 3))


def test_short_writes_and_reads_are_gone_on_with():
    x, file = mx.arange(100), Slow()
    save_safetensors({"x": x}, file)
    file.seek(0)
    assert load_safetensors(file)["x"].tolist() == x.tolist()


def test_loaded_tensors_do_not_need_the_file(tmp_path):
    path = tmp_path / "x.safetensors"
    save_safetensors({"x": mx.ones(1000)}, path)
    x = load_safetensors(path)["x"]
    path.write_bytes(b"")
    assert x.sum().item() == 1000


def test_map_location():
    raw = saved({"x": mx.ones(2)})
    seen = []
    loaded(raw, map_location=lambda storage, location: seen.append((storage.array.shape, location)))
    assert seen == [((2,), "cpu")]
    assert loaded(raw, map_location="cpu")["x"].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="on a XPU device, which this machine has not got"):
        loaded(raw, map_location="xpu")


# -- what is refused -----------------------------------------------------------------------------------------


def cyclic():
    out = []
    out.append({"again": out})
    return out


def deep(levels):
    out = 1
    for _ in range(levels):
        out = [out]
    return out


@pytest.mark.parametrize(
    ("obj", "error", "words"),
    [
        ({"a": [nn.Linear(1, 1)]}, TypeError, r'\["a"\]\[0\] is .*torchish_mlx.state_dict\(model\)'),
        ({"a": np.ones(2)}, TypeError, r'\["a"\] is .*torchish_mlx.tensor'),
        ({"a": lambda: 0}, TypeError, r'\["a"\] is .*code'),
        ({"a": {frozenset(): 1}}, TypeError, r'\["a"\]: a frozenset is a key'),
        ({"a": {torch.ones(1): 1}}, TypeError, r'\["a"\]: a Tensor is a key'),
        ([np.longdouble(1)], TypeError, r"\[0\] is "),
        ([np.timedelta64(1, "ns")], TypeError, r"\[0\] is "),
        ([torch.Size(["a"])], TypeError, r"\[0\] is "),
        (cyclic(), ValueError, r'\[0\]\["again"\] contains itself'),
        (deep(101), ValueError, "deeper than 100"),
        (deep(100_000), ValueError, "deeper than 100"),
    ],
)
def test_what_cannot_be_saved_is_named(obj, error, words):
    with pytest.raises(error, match=words):
        saved(obj)


def test_a_hundred_levels_are_saved():
    assert again(deep(100)) == deep(100)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"metadata": {"a": 1}}, TypeError),
        ({"metadata": {"torchish_mlx": "1"}}, ValueError),
        ({"max_shard_size": "1GB"}, ValueError),
        ({"max_shard_size": "big"}, ValueError),
        ({"max_shard_size": 0}, ValueError),
    ],
)
def test_bad_arguments(options, error):
    with pytest.raises(error):
        saved({}, **options)


def test_more_than_could_be_loaded_is_not_written():
    with pytest.raises(ValueError, match=r"header has .* bytes.*uint8"):
        saved({"text": "a" * 51_000_000})


def test_a_traced_array_is_named():
    def step(x):
        saved({"model": [x]})
        return x

    with pytest.raises(RuntimeError, match=r'\["model"\]\[0\]: a traced array'):
        mx.compile(step)(mx.ones(1))


def test_a_text_file_is_refused():
    with pytest.raises(TypeError):
        load_safetensors(io.StringIO("{}"))
    with pytest.raises(TypeError):
        save_safetensors({}, io.StringIO())


X = {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "0 bytes"),
        (b"\1\0\0", "3 bytes"),
        (b"\xff" * 8, "truncated"),
        (struct.pack("<Q", 60_000_000) + b"{" + b" " * 60_000_000, "at most"),
        (file_of(b""), "begin with"),
        (file_of(b"[]"), "begin with"),
        (file_of(b"{"), "JSON"),
        (file_of(b'{"a\xff": 1}'), "JSON"),
        (file_of(b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "nested|values"),
        (file_of(b'{"x":' + b"[]," * 3_000_000 + b"0}"), "more than"),
        (file_of(b'{"a": 1, "a": 1}'), "'a' occurs twice"),
        (file_of(b'{"a": NaN}'), "NaN"),
        (file_of({"x": 3}), "'x' should have"),
        (file_of(b'{"x": {"dtype":"U8","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}', b"abcd"), "JSON"),
        (file_of({"x": {**X, "more": 1}}, b"abcd"), "'x' should have"),
        (file_of({"x": {**X, "dtype": "F8_E4M3"}}, b"abcd"), "F8_E4M3.*MLX has not"),
        (file_of({"x": {**X, "dtype": ["U8"]}}, b"abcd"), "MLX has not"),
        (file_of({"x": {**X, "shape": [-4]}}, b"abcd"), "shape"),
        (file_of({"x": {**X, "shape": [4.0]}}, b"abcd"), "shape"),
        (file_of({"x": {**X, "shape": [True, 4]}}, b"abcd"), "shape"),
        (file_of({"x": {**X, "shape": [0, 2**31]}}, b"abcd"), "shape"),
        (file_of({"x": {**X, "shape": [1] * 65}}, b"abcd"), "shape"),
        (file_of({"x": {**X, "shape": [5]}}, b"abcd"), "needs 5"),
        (file_of({"x": {**X, "shape": [2**30] * 60}}, b"abcd"), "needs a huge integer"),
        (file_of({"x": {**X, "data_offsets": [0, 2**63]}}, b"abcd"), "offsets"),
        (file_of({"x": {**X, "data_offsets": [4, 0]}}, b"abcd"), "offsets"),
        (file_of({"x": X}, b"abc"), "offsets"),
        (file_of({"x": X}, b"abcde"), "holds 5"),
        (file_of({"x": X, "y": X}, b"abcd"), "overlaps"),
        (file_of({"x": {**X, "data_offsets": [1, 5]}}, b"abcde"), "gap"),
        (file_of({"__metadata__": {"a": 1}}), "texts"),
        (file_of({"__metadata__": [1]}), "texts"),
        (file_of({"__metadata__": {"torchish_mlx": "{}"}}), "checksum"),
        (file_of({"__metadata__": {"torchish_mlx.crc32": "00000000"}}), "checksum"),
    ],
)
def test_files_that_are_not_as_the_format_says_are_refused(raw, words):
    with pytest.raises(RuntimeError, match=words):
        loaded(raw)


def test_the_loose_parts_of_the_format_are_read():
    header = {
        "b": {"dtype": "U8", "shape": [], "data_offsets": [1, 2]},
        "__metadata__": None,
        "e": {"dtype": "F32", "shape": [0, 5], "data_offsets": [1, 1]},
        "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
    }
    out = loaded(file_of(json.dumps(header).encode() + b"  ", b"\1\2"))
    assert list(out) == ["b", "e", "a"]
    assert (out["b"].item(), out["e"].shape, out["a"].tolist()) == (2, (0, 5), [1])


def test_any_flipped_bit_is_an_error():
    raw = saved({"a": mx.array([1.0, 2.0]), "state": {0: {"step": 3, "lr": 0.1}}}, metadata={"who": "me"})
    assert loaded(raw)["state"] == {0: {"step": 3, "lr": 0.1}}
    for bit in range(len(raw) * 8):
        bad = bytearray(raw)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RuntimeError):
            loaded(bytes(bad))


def test_any_truncation_is_an_error():
    raw = saved({"a": mx.array([1.0, 2.0]), "b": [3]})
    for end in range(len(raw)):
        with pytest.raises(RuntimeError):
            loaded(raw[:end])


def test_damage_names_the_tensor():
    raw = saved({"model": {"weight": mx.ones(100), "bias": mx.ones(100)}})
    with pytest.raises(RuntimeError, match=r"'model\.bias': the checksum does not fit"):
        loaded(raw[:-1] + bytes([raw[-1] ^ 1]))


def test_a_later_version_is_refused(monkeypatch):
    monkeypatch.setattr("torchish_mlx.serialization.safetensors._file.VERSION", 2)
    raw = saved([1])
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="version 2, and 1 is known here: update"):
        loaded(raw)
