"""Pickles that torch.save would not write: each is refused, in little time and memory, and nothing runs."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import time
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from pickle import UnpicklingError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchish_mlx
from tests.marks import examples
from torchish_mlx.serialization._torch.load import load_torch

PROTO = b"\x80\x02"
FLOATS = b"ctorch\nFloatStorage\n"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind=FLOATS, key="0", location="cpu", numel=6):
    return b"(" + text("storage") + kind + text(key) + text(location) + number(numel) + b"tQ"


def tensor(part=None, offset=0, shape=(2, 3), strides=(3, 1), hooks=b"}", more=b""):
    part = storage() if part is None else part
    return TENSOR + b"(" + part + number(offset) + numbers(shape) + numbers(strides) + b"\x89" + hooks + more + b"tR"


def zipped(pickled, data=b"\0" * 24, **more):
    """A file with this pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("a/data.pkl", pickled)
        out.writestr("a/data/0", data)
        out.writestr("a/version", b"3\n")
        for name, content in more.items():
            out.writestr(f"a/{name}", content)
    file.seek(0)
    return file


def load(body, **more):
    return load_torch(zipped(PROTO + body + b".", **more))


def complaint(file):
    """What is said of a file; nothing if it loads."""
    try:
        load_torch(file)
    except (UnpicklingError, RuntimeError) as error:
        return str(error)
    return ""


def test_the_helpers_make_pickles_that_load():
    assert load(tensor(), data=struct.pack("<6f", *range(6))).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert load(b"}(" + text("a") + number(-5) + text("b") + number(2**80) + b"u") == {"a": -5, "b": 2**80}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_of_every_protocol(protocol):
    value = {
        "list": [1, -1, 300, 2**70, 1.5, None, True, "text" * 100],
        "bytes": [b"", b"\x00\xff" * 300, bytearray(b"abc")],
        "rest": (OrderedDict(a=1), Counter("aab"), {1, 2}, 1 + 2j, ()),
    }
    value["again"] = value["list"]
    found = load_torch(zipped(pickle.dumps(value, protocol)))
    assert found == value
    assert found["again"] is found["list"]
    assert [type(x) for x in found["rest"]] == [type(x) for x in value["rest"]]


class Runs:
    """An object whose pickle calls a function."""

    def __init__(self, function, *args):
        self.made = function, args

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("function", "args", "name"),
    [
        (os.system, ("touch ran",), r"(posix|nt)\.system"),
        (eval, ("open('ran', 'w')",), r"builtins\.eval"),
        (getattr, (os, "system"), r"builtins\.getattr"),
        (exec, ("open('ran', 'w')",), r"builtins\.exec"),
    ],
)
def test_a_function_is_named_and_not_called(function, args, name, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = tuple("os" if arg is os else arg for arg in args)
    file = zipped(pickle.dumps({"fine": 1, "model": [0, Runs(function, *args)]}, protocol))
    with pytest.raises(UnpicklingError, match=rf'\["model"\]\[1\].*{name}.*nothing was run.*weights_only=False'):
        load_torch(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("numpy.core.multiarray scalar", r"add_safe_globals\(\[scalar\]\)"),
        ("numpy._core.multiarray _reconstruct", "weights_only=False"),
        ("torch.nn.modules.linear Linear", "GLOBAL torch.nn.modules.linear.Linear was not an allowed global"),
        ("torch.optim.adam Adam", "state_dict"),
        ("pathlib PosixPath", "Weights only load failed"),
        ("torch._utils _rebuild_sparse_tensor", "to_dense"),
        ("torch ComplexDoubleStorage", "complex64"),
        ("torch QInt8Storage", "dequantize"),
        ("torch float8_e5m2", "bfloat16"),
        ("torch complex128", "complex64"),
        ("__main__ Config", "weights_only=False"),
        ("torch.distributed.tensor DTensor", "full_tensor"),
    ],
)
def test_each_refusal_names_the_entry_the_global_and_what_to_do(name, hint):
    module, _, attribute = name.partition(" ")
    made = f"c{module}\n{attribute}\n".encode() + b")R" + b"}" + text("x") + b"Ns" + b"b"
    with pytest.raises(UnpicklingError, match=rf'\["run"\]\["args"\].*{attribute}.*{hint}'):
        load(b"}" + text("run") + b"}" + text("args") + made + b"ss")


def test_a_refused_object_may_be_filled_called_and_be_a_key():
    evil = b"cos\nsystem\n"
    for body in (
        evil + b"(K\x01K\x02e",
        evil + b"K\x01a",
        evil + b"K\x01K\x02s",
        evil + b"(K\x01K\x02u",
        b"}" + evil + b"K\x01s",
        b"\x8f(" + evil + b"\x90",
        evil + b")\x81",
        b"]" + evil + b"a",
        b"ccollections\nOrderedDict\n)R}" + text("x") + evil + b"sb",
        tensor(part=evil),
        b"c__builtin__\nset\n](" + evil + b"e\x85R",
        b"ctorch._tensor\n_rebuild_from_type_v2\n(" + evil + b"ctorch\nTensor\n)NtR",
    ):
        with pytest.raises(UnpicklingError, match=r"system.*nothing was run"):
            load(body)


DAMAGED = {
    "empty": b"",
    "only a mark": b"(",
    "two objects": b"NN",
    "a mark too many": b"N(",
    "pop from nothing": b"0",
    "tuple from nothing": b"\x87",
    "group without a mark": b"t",
    "below a mark": b"](K\x01(a",
    "append to a dict": b"}K\x01a",
    "append to a tensor": tensor() + b"K\x01a",
    "append to a tuple": b")K\x01a",
    "items of a list": b"](K\x01K\x02u",
    "odd items": b"}(K\x01u",
    "add to a list": b"](K\x01\x90",
    "unknown memo": b"h\x07",
    "huge memo unknown": b"j\xff\xff\xff\xff",
    "unknown opcode": b"\xff",
    "text opcode": b"I1\n",
    "long text number": b"L" + b"9" * 100_000 + b"L\n",
    "string opcode": b"S'\\d'\n",
    "instance": b"(ios\nsystem\n",
    "object": b"(cos\nsystem\no",
    "extension": b"\x82\x01",
    "persistent text": b"P1\n",
    "frozenset": b"(\x91",
    "buffer": b"\x97",
    "reduce of a list": b"])R",
    "reduce of an int": b"K\x01)R",
    "reduce with a list": b"ccollections\nOrderedDict\n]R",
    "too many arguments": b"ccollections\nOrderedDict\n)))\x87R",
    "build of a dict": b"}}b",
    "build of a tensor": tensor() + b"}b",
    "stack global of numbers": b"K\x01K\x02\x93",
    "global without a line": b"cos",
    "global of endless length": b"c" + b"a" * 100_000 + b"\nb\n",
    "text cut off": b"X\xff\xff\xff\x7fabc",
    "text of 2**60 bytes": b"\x8d" + struct.pack("<Q", 2**60) + b"abc",
    "bytes of 2**63 bytes": b"\x8e" + struct.pack("<Q", 2**63) + b"abc",
    "int of 2**31 bytes": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"1",
    "int of negative length": b"\x8b" + struct.pack("<i", -1),
    "not UTF-8": b"X\x01\0\0\0\xff",
    "Python 2 text not UTF-8": b"U\x01\xff",
    "list as key": b"}]K\x01s",
    "dict in a tuple as key": b"}}\x85K\x01s",
    "tensor as key": b"}" + tensor() + b"K\x01s",
    "list in a set": b"\x8f(]\x90",
    "set of a number": b"c__builtin__\nset\nK\x01\x85R",
    "bytearray of a length": b"c__builtin__\nbytearray\n" + number(2**40) + b"\x85R",
    "bytes of a codec": b"c_codecs\nencode\n" + text("x") + text("zip") + b"\x86R",
    "bytes that are not Latin-1": b"c_codecs\nencode\nX\x03\0\0\0\xe2\x82\xac" + text("latin1") + b"\x86R",
    "complex of text": b"c__builtin__\ncomplex\n" + text("1") + b"\x85R",
    "Size of text": b"ctorch\nSize\n" + text("1") + b"\x85R",
    "Size of a negative": b"ctorch\nSize\n" + numbers([-1]) + b"\x85R",
    "device of a number": b"ctorch\ndevice\nK\x01\x85R",
    "OrderedDict of numbers": b"ccollections\nOrderedDict\n](K\x01K\x02e\x85R",
    "OrderedDict hiding items": b"ccollections\nOrderedDict\n)R}" + text("items") + b"Nsb",
    "persistent id of text": text("x") + b"Q",
    "persistent id too short": b"(" + text("storage") + b"tQ",
    "persistent id of another kind": b"(" + text("stuff") + FLOATS + text("0") + text("cpu") + b"K\x06tQ",
    "storage of a dtype": b"(" + text("storage") + b"ctorch\nfloat32\n" + text("0") + text("cpu") + b"K\x06tQ",
    "storage itself": storage(),
    "storage class itself": FLOATS,
    "function itself": TENSOR,
    "negative numel": tensor(storage(numel=-1)),
    "huge numel": tensor(storage(numel=2**70)),
    "negative offset": tensor(offset=-1),
    "offset behind the end": tensor(offset=1),
    "offset of 2**62": tensor(offset=2**62),
    "negative size": tensor(shape=(-2, -3)),
    "negative stride": tensor(strides=(-3, 1), offset=3),
    "strides behind the end": tensor(strides=(4, 1)),
    "strides of 2**62": tensor(strides=(2**62, 1)),
    "fewer strides": tensor(strides=(1,)),
    "size too large": tensor(shape=(2, 4)),
    "65 dimensions": tensor(shape=(1,) * 65, strides=(1,) * 65),
    "expanded to 10**12": tensor(shape=(10**6, 10**6), strides=(0, 0)),
    "expanded to 10**40": tensor(shape=(2**31 - 1,) * 4, strides=(0, 0, 0, 0)),
    "dimension of 2**31": tensor(shape=(2**31, 0), strides=(1, 1)),
    "hooks": tensor(hooks=b"}K\x01K\x02s"),
    "other metadata": tensor(more=b"}" + text("x") + b"Ns"),
    "two sizes of a storage": b"](" + tensor() + tensor(storage(numel=7)) + b"e",
    "tensor of no storage": tensor(part=b"N"),
    "gradient of integers": tensor(storage(b"ctorch\nIntStorage\n")).replace(b"\x89}", b"\x88}"),
    "parameter of a number": b"ctorch._utils\n_rebuild_parameter\nK\x01\x88}\x87R",
    "call of Tensor": b"ctorch\nTensor\n)R",
    "from_type in from_type": b"ctorch._tensor\n_rebuild_from_type_v2\n2(h\0ctorch\nTensor\n(tNtR",
    "attribute that hides": b"ctorch._tensor\n_rebuild_from_type_v2\n("
    + TENSOR
    + b"ctorch\nTensor\n"
    + tensor()[len(TENSOR) : -1]
    + b"}"
    + text("_storage")
    + b"NstR",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_pickle_is_an_unpickling_error_at_once(name):
    file = zipped(PROTO + DAMAGED[name] + b".")
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(UnpicklingError, match=r"byte \d+ of the pickle|behind byte \d+|cannot load"):
            load_torch(file)
        assert time.perf_counter() - begin < 2
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_a_record_of_another_size_than_its_tensors_say():
    with pytest.raises(RuntimeError, match="has 20 bytes and its tensors say 24"):
        load(tensor(), data=b"\0" * 20)
    with pytest.raises(RuntimeError, match="no record 'data/7'"):
        load(tensor(storage(key="7")))


@pytest.mark.parametrize("opener", [b"]", b"}K\x01", b")"], ids=["lists", "dicts", "tuples"])
@pytest.mark.parametrize("depth", [900, 50_000])
def test_deep_nesting_never_recurses(opener, depth):
    closer = {b"]": b"a", b"}K\x01": b"s", b")": b"\x85"}[opener]
    body = b"\x85" * depth if opener == b")" else opener * depth + b"N" + closer * depth
    body = b")" + body if opener == b")" else body
    if depth < 1000:
        assert load(body) is not None
    else:
        with pytest.raises(UnpicklingError, match="1000 deep"):
            load(body)


def test_a_deep_tuple_as_key_is_refused_before_it_is_hashed():
    with pytest.raises(UnpicklingError, match="16 parts is a key"):
        load(b"}" + b")" + b"\x85" * 100_000 + b"K\x01s")
    doubled = b")" + b"q\x00h\x00\x86" * 60
    with pytest.raises(UnpicklingError, match="16 parts is a key"):
        load(b"}" + doubled + b"K\x01s")


def test_a_graph_that_is_a_huge_tree_is_walked_once_and_refused():
    body = b"]q\x000" + b"](h\x00h\x00h\x00eq\x000" * 500 + b"h\x00"
    begin = time.perf_counter()
    with pytest.raises(UnpicklingError, match="millions of entries"):  # who prints it would wait for ever
        load(body)
    assert time.perf_counter() - begin < 2


@pytest.mark.parametrize(
    "key",
    [lambda i: number(i * (2**61 - 1)), lambda i: number(i) + b"\x85", lambda i: number(2**64 + i)],
    ids=["same hash", "tuples", "large"],
)
def test_many_keys_whose_hash_a_file_can_choose_are_refused(key):
    body = b"}(" + b"".join(key(i) + b"N" for i in range(20_000)) + b"u"
    begin = time.perf_counter()
    with pytest.raises(UnpicklingError, match="more than 4096 keys"):
        load(body)
    assert time.perf_counter() - begin < 2


COPIES = {
    "sets": (b"](" + b"K\x01" * 10_000 + b"eq\x000", b"c__builtin__\nset\nh\x00\x85R"),
    "bytearrays": (
        b"B" + struct.pack("<I", 100_000) + b"x" * 100_000 + b"q\x000",
        b"c__builtin__\nbytearray\nh\x00\x85R",
    ),
    "bytes": (text("x" * 100_000) + b"q\x000", b"c_codecs\nencode\nh\x00" + text("latin1") + b"\x86R"),
    "dicts": (
        b"}(" + b"".join(number(i) + b"N" for i in range(5000)) + b"uq\x000",
        b"ccollections\nCounter\nh\x00\x85R",
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_an_object_that_is_copied_again_and_again_is_refused(name):
    first, again = COPIES[name]
    with pytest.raises(UnpicklingError, match="copies more than it holds"):
        load(first + b"](" + again * 20_000 + b"e")


def test_a_ring_loads_as_in_torch():
    found = load(b"]q\x00h\x00a")
    assert found[0] is found


@pytest.mark.parametrize("opcode", [b"q\xff", b"r\xff\xff\xff\xff"])
def test_memo_numbers_take_no_memory(opcode):
    assert load(b"K\x05" + opcode) == 5


def test_expanded_tensors_load_without_memory():
    found = load(tensor(storage(numel=1), shape=(8000, 8000), strides=(0, 0)), data=struct.pack("<f", 2))
    assert found.shape == (8000, 8000)
    assert found[3, 5].item() == 2


def test_bools_are_true_where_the_byte_is_not_zero():
    found = load(tensor(storage(b"ctorch\nBoolStorage\n")), data=b"\0\1\2\xff\0\x80")
    assert found.tolist() == [[False, True, True], [True, False, True]]


def test_gpu_storages_load_and_meta_does_not():
    found = load(tensor(storage(b"ctorch.cuda\nFloatStorage\n", location="cuda:3")))
    assert found.shape == (2, 3)
    with pytest.raises(UnpicklingError, match=r"meta.*no numbers"):
        load(tensor(storage(location="meta")))


def test_a_device_that_nobody_has_is_refused():
    with pytest.raises(UnpicklingError, match=r"nowhere.*str\(device\)"):
        load(b"ctorch\ndevice\n" + text("nowhere") + b"K\x00\x86R")
    for kind in ("mps", "cuda"):
        assert load(b"ctorch\ndevice\n" + text(kind) + b"K\x00\x86R") == torchish_mlx.device(kind, 0)


@settings(max_examples=examples(300))
@given(st.binary(max_size=60))
def test_random_bytes_as_a_pickle(body):
    assert len(complaint(zipped(PROTO + body + b"."))) < 1000


@settings(max_examples=examples(300))
@given(st.data())
def test_a_pickle_with_changed_bytes(data):
    body = bytearray(PROTO + b"}(" + text("a") + tensor() + text("b") + b"](K\x01" + number(2**70) + b"eu.")
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert len(complaint(zipped(bytes(body)))) < 1000


# -- files of other kinds


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"", "empty"),
        (b"\x1f\x8b\x08" + b"\0" * 20, "gzip"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"hello, this is text\n", "text"),
        (pickle.dumps({"a": 1}), "plain pickle"),
        (pickle.dumps({"a": 1}, 4), "plain pickle"),
        (b"\x93NUMPY\x01\0", "NumPy"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!DOCTYPE html>", "web page"),
        (b"\x00" * 257 + b"ustar" + b"\0" * 300, "tar"),
        (bytes(range(128, 200)), "begins with 80 81|plain pickle"),
        (b"\x01\x02\x03\xff" * 9, "begins with 01 02 03 ff"),
    ],
)
def test_a_file_of_another_kind_is_said_to_be_one(head, name):
    with pytest.raises((RuntimeError, UnpicklingError), match=name):
        load_torch(io.BytesIO(head))


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_torch(tmp_path / "none.pt")
    with pytest.raises(IsADirectoryError):
        load_torch(tmp_path)
    with pytest.raises(TypeError, match="has no read"):
        load_torch(3)
    with pytest.raises(TypeError, match="binary mode"):
        load_torch(io.StringIO("x"))
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as pipe, pytest.raises(RuntimeError, match="cannot seek"):
        load_torch(pipe)


def test_a_zip_whose_records_contradict_each_other():
    data = zipped(PROTO + tensor() + b".").getvalue()
    at = data.index(b"PK\x03\x04", 4)
    for position, value in ((at + 8, b"\x08"), (at + 18, b"\x99"), (at + 30, b"z"), (at, b"Q")):
        changed = data[:position] + value + data[position + 1 :]
        with pytest.raises(RuntimeError, match=r"damaged|compressed"):
            load_torch(io.BytesIO(changed))


@settings(max_examples=examples(300))
@given(st.data())
def test_a_zip_with_changed_bytes_is_refused_or_loads_the_same(data):
    good = zipped(PROTO + tensor() + b".").getvalue()
    changed = bytearray(good)
    changed[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = load_torch(io.BytesIO(bytes(changed)))
    except (RuntimeError, UnpicklingError):
        return
    assert found.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_directory_that_says_the_same_bytes_are_many_records():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("a/data.pkl", PROTO + tensor() + b".")
        out.writestr("a/data/0", b"\0" * 24)
        out.filelist[1].header_offset = 0
    with pytest.raises(RuntimeError, match="reaches into what follows"):
        load_torch(io.BytesIO(file.getvalue()))


def test_nothing_is_imported():
    before = set(sys.modules)
    with pytest.raises(UnpicklingError, match=r"antigravity\.x"):
        load(b"cantigravity\nx\n")
    assert set(sys.modules) == before
