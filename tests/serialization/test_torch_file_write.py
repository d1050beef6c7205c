"""``save`` into torch's zip format: the structure of the file, and what is refused."""

from __future__ import annotations

import enum
import io
import math
import struct
import subprocess
import sys
import zipfile
from collections import Counter, OrderedDict, defaultdict, namedtuple
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx as torch
from torchish_mlx.serialization import save_safetensors
from torchish_mlx.serialization._shared.arrays import KINDS, buffer, filled
from torchish_mlx.serialization._shared.crc import Summer
from torchish_mlx.serialization._torch.pickler import DEEPEST, Pickler
from torchish_mlx.serialization._torch.zip_write import ZipWriter

Pair = namedtuple("Pair", "a b")


class Mode(enum.IntEnum):
    FAST = 1


class Options(dict):
    pass


def saved(obj):
    file = io.BytesIO()
    torch.save(obj, file)
    return zipfile.ZipFile(file)


def some_state():
    x = torch.tensor(mx.arange(12.0).reshape(3, 4))
    return {"a": x, "b": x[1:, ::2], "empty": torch.ones(0), "half": mx.ones(3, mx.bfloat16)}


# -- arrays as bytes


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.torch)
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3, 4)], ids=str)
def test_bytes_and_back(kind, shape):
    array = mx.arange(math.prod(shape)).reshape(shape).astype(kind.dtype, stream=mx.cpu)
    data = bytes(buffer(array))
    assert len(data) == array.nbytes
    again = filled(lambda memory: memory.__setitem__(slice(None), data), kind.dtype, shape)
    assert again.dtype == kind.dtype
    assert again.shape == shape
    assert again.tolist() == array.tolist()


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[:, 1:],
        lambda a: a[1:],
        lambda a: a[::2],
        lambda a: mx.broadcast_to(a[:, :1], (3, 5)),
        lambda a: a + a,
    ],
)
def test_the_bytes_are_those_of_the_elements_in_row_major_order(view):
    array = view(mx.arange(12).reshape(3, 4))
    assert bytes(buffer(array)) == np.array(array).tobytes()


def test_an_evaluated_array_is_not_copied():
    array = mx.arange(4)
    mx.eval(array)
    buffer(array)[:4] = b"\7\0\0\0"
    assert array[0].item() == 7


# -- the container


def test_the_records_are_torchs_in_torchs_order_and_one_of_our_own():
    names = [name.removeprefix("archive/") for name in saved(some_state()).namelist()]
    marks = ["data.pkl", ".format_version", ".storage_alignment", "byteorder"]
    assert names == [*marks, "data/0", "data/1", "data/2", "version", ".torchish_mlx", ".data/serialization_id"]


def test_every_record_is_whole_and_lies_at_a_multiple_of_64():
    archive = saved(some_state())
    assert archive.testzip() is None
    data = archive.fp.getvalue()
    for info in archive.infolist():
        name, extra = struct.unpack_from("<HH", data, info.header_offset + 26)
        assert (info.header_offset + 30 + name + extra) % 64 == 0
        assert info.compress_type == zipfile.ZIP_STORED
    assert archive.read("archive/version") == b"3\n"
    assert archive.read("archive/byteorder") == sys.byteorder.encode()
    assert archive.read("archive/data/0") == np.arange(12, dtype=np.float32).tobytes()


def test_the_same_state_gives_the_same_bytes():
    assert saved(some_state()).fp.getvalue() == saved(some_state()).fp.getvalue()


@pytest.mark.parametrize(
    ("name", "folder"),
    [("run.1.pt", "run.1"), ("state", "state"), ("über.pt", "archive"), (".pt", ".pt"), ("...pt", "archive")],
)
def test_the_records_lie_under_the_name_of_the_file(tmp_path, name, folder):
    torch.save([1], tmp_path / name)
    assert zipfile.ZipFile(tmp_path / name).namelist()[0] == f"{folder}/data.pkl"


def test_a_str_a_path_and_a_file_object_are_written(tmp_path):
    torch.save([1], str(tmp_path / "a.pt"))
    with (tmp_path / "b.pt").open("wb") as file:
        torch.save([1], file)
        assert not file.closed
    assert torch.load(tmp_path / "a.pt") == torch.load(str(tmp_path / "b.pt")) == [1]


def test_a_file_object_is_written_from_where_it_stands():
    file = io.BytesIO(b"head")
    file.seek(4)
    torch.save({"a": 1}, file)
    assert file.getvalue()[:6] == b"headPK"
    assert file.tell() == len(file.getvalue())
    file.seek(4)
    assert torch.load(file) == {"a": 1}


def test_a_stream_that_cannot_seek_and_takes_little_at_a_time_gets_all():
    class Pipe:
        data = b""

        def write(self, piece):
            piece = bytes(piece[:1000])
            self.data += piece
            return len(piece)

    pipe = Pipe()
    torch.save([mx.arange(1000)], pipe)
    assert torch.load(io.BytesIO(pipe.data))[0].tolist() == list(range(1000))


def test_a_stream_that_takes_nothing_is_an_error():
    class Full:
        def write(self, piece):
            return 0

    with pytest.raises(OSError, match=r"Full\.write\(\) took 0 of \d+ bytes"):
        torch.save([1], Full())


def test_records_beyond_4_gib_have_zip64_fields():
    """The fields of a record that begins, and of one that ends, where 32 bits no longer do; the data is not there."""

    class Endless(bytes):
        def __len__(self):
            return 0xFFFFFFFF

    class Skipping(ZipWriter):
        def _write_summed(self, data):
            self._at += len(data)
            return 7

    file = io.BytesIO()
    writer = Skipping(file, "a", Summer())
    writer.record("data/0", Endless())
    writer.record("data/1", b"1234")
    writer.close()
    end = file.getvalue().rindex(b"PK\6\6")
    directory = file.getvalue()[file.getvalue().index(b"PK\1\2") : end]
    big, after = directory[46 + 8 :], directory[directory.index(b"PK\1\2", 1) + 46 + 8 :]
    assert struct.unpack_from("<HHQQ", big) == (1, 16, 0xFFFFFFFF, 0xFFFFFFFF)
    assert struct.unpack_from("<HHQ", after) == (1, 8, 64 + 0xFFFFFFFF + 24)
    count, size, start = struct.unpack_from("<QQQ", file.getvalue(), end + 32)
    assert (count, size) == (2, len(directory))
    assert start > 0xFFFFFFFF


def test_one_copy_of_one_tensor_at_a_time():
    """Arrays that have to be copied are copied and let go one by one."""
    code = (
        "import io, resource, mlx.core as mx, torchish_mlx as torch\n"
        "class Null(io.RawIOBase):\n"
        "    def writable(self): return True\n"
        "    def write(self, data): return len(data)\n"
        "state = [mx.ones((1000, 5000 + 10 * i)).T for i in range(10)]\n"
        "mx.eval(state)\n"
        "mx.clear_cache()\n"
        "torch.save([mx.ones((10, 10)).T], Null())\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "torch.save(state, Null())\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "unit = 1 if __import__('sys').platform == 'darwin' else 1024\n"
        "assert grown * unit < 2.5 * 20e6, grown\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(torch.__file__).parents[1])


# -- what is shared


def test_a_storage_that_is_shared_is_written_once():
    x = torch.tensor(mx.arange(12.0).reshape(3, 4))
    pickler = Pickler()
    pickler.dump([x, x.t(), x[1:], x.data, x.detach()[0].view(2, 2), torch.Parameter(x)])
    assert len(pickler.storages) == 1


def test_two_tensors_on_one_array_do_not_see_each_others_writes_and_are_two():
    array = mx.ones(3)
    pickler = Pickler()
    pickler.dump([torch.Tensor(array), torch.Tensor(array)])
    assert len(pickler.storages) == 2


def test_two_tensors_over_one_place_are_one_storage():
    model = nn.Linear(2, 2)
    (weight, _), pickler = torch.parameters(model), Pickler()
    pickler.dump([weight, weight.data, weight.t()])
    assert len(pickler.storages) == 1


def test_steps_of_an_optimizer_that_stand_once_for_all_parameters_are_written_for_each():
    """torch adds to each in place: on one storage the count would go up as often as there are parameters."""
    ps = [torch.Parameter(mx.ones(2)) for _ in range(3)]
    optimizer = torch.optim.AdamW(ps)
    for p in ps:
        p.grad = torch.ones(2)
    optimizer.step()
    pickler = Pickler()
    pickler.dump(optimizer.state_dict())
    assert len(pickler.storages) == 9


# -- what is refused


def refused(kind, value, save=torch.save):
    file = io.BytesIO()
    with pytest.raises(kind) as caught:
        save({"run": [value]}, file)
    assert not file.getvalue(), "nothing is written"
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (nn.Linear(1, 1), "torchish_mlx.state_dict(model)"),
        (torch.optim.SGD([torch.Parameter(mx.ones(1))]), "its state_dict()"),
        (torch.optimizers.SGD(0.1), "its state"),
        (torch.optimizers.RowSparse(mx.array([0]), mx.ones((1, 2)), (3, 2)), "x.dense()"),
        (type("Mine", (torch.Tensor,), {})(mx.ones(1)), "x.detach()"),
        (mx.Device(mx.cpu), "torchish_mlx.device(x)"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("save", [torch.save, save_safetensors])
def test_what_cannot_be_saved_is_named_with_its_entry_and_a_hint(value, hint, save):
    message = refused(TypeError, value, save)
    assert message.startswith('["run"][0] is a')
    assert type(value).__name__ in message
    assert hint in message


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (np.ones(2), "torchish_mlx.tensor(a)"),
        (lambda: 0, "it is code"),
        (int, "it is code"),
        (Options(), "dict(x)"),
        (defaultdict(int), "dict(x)"),
        (Pair(1, 2), "tuple(x)"),
        (frozenset(), "set(x)"),
        (Path("a"), "str(x)"),
        (Mode.FAST, "x.value"),
        (range(3), "list(x)"),
        ({}.keys(), "list(x)"),
        (np.datetime64("2020"), "a Python number or a str"),
        (object(), "tensors, numbers, texts"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_safetensors_has_no_objects_and_names_them_with_a_hint(value, hint):
    message = refused(TypeError, value, save_safetensors)
    assert message.startswith('["run"][0] is a')
    assert type(value).__name__ in message
    assert hint in message


def test_an_int_beyond_what_torch_reads_is_refused():
    torch.save(1 << 2038, io.BytesIO())
    assert "an int of 256 bytes" in refused(ValueError, 1 << 2039)


def test_a_tuple_or_counter_that_contains_itself_is_refused():
    inner = []
    inner.append((inner,))
    assert "a tuple that contains itself" in refused(ValueError, inner[0])
    counter = Counter()
    counter["a"] = counter
    assert "a Counter that contains itself" in refused(ValueError, counter)


def nested(depth):
    out = []
    for _ in range(depth - 1):
        out = [out]
    return out


def test_a_thousand_levels_are_saved_and_more_are_refused():
    file = io.BytesIO()
    torch.save(nested(DEEPEST), file)
    file.seek(0)
    out, depth = torch.load(file), 1
    while out:
        out, depth = out[0], depth + 1
    assert depth == DEEPEST
    assert "more than 1000 levels deep" in refused(ValueError, nested(DEEPEST))
    assert "more than 1000 levels deep" in refused(ValueError, nested(100_000))


def test_a_traced_array_is_refused_by_its_entry():
    def traced(x):
        with pytest.raises(RuntimeError, match=r'\["x"\] is being traced .* outside the compiled function'):
            torch.save({"x": x}, io.BytesIO())
        return x

    mx.compile(traced)(mx.ones(1))


@pytest.mark.parametrize("f", [b"path", 3, None, io.StringIO()], ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("save", [torch.save, save_safetensors])
def test_what_is_no_file_is_refused(save, f):
    with pytest.raises(TypeError, match=r"save\(\) takes"):
        save([1], f)


def test_a_file_that_is_open_for_reading_is_refused(tmp_path):
    torch.save([1], tmp_path / "a.pt")
    with (tmp_path / "a.pt").open("rb") as file, pytest.raises(OSError, match=r'open\(path, "wb"\)'):
        torch.save([1], file)


def test_a_refused_object_leaves_the_old_file(tmp_path):
    torch.save([1], tmp_path / "a.pt")
    with pytest.raises(TypeError):
        torch.save([(i for i in [])], tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt") == [1]
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


# -- which format


def test_the_format_is_chosen_by_name_and_recognized_by_content(tmp_path):
    state = OrderedDict(w=torch.ones(2))
    torch.save(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    assert mx.load(str(tmp_path / "a.safetensors")).keys() == {"w"}
    assert zipfile.is_zipfile(tmp_path / "a.pt")
    (tmp_path / "a.safetensors").rename(tmp_path / "b.bin")
    (tmp_path / "a.pt").rename(tmp_path / "a.safetensors")
    for name in ("b.bin", "a.safetensors"):
        assert torch.load(tmp_path / name)["w"].tolist() == [1.0, 1.0]
        with (tmp_path / name).open("rb") as file:
            assert torch.load(file)["w"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("value", [False, None, 1])
def test_any_weights_only_reads_plain_values(tmp_path, value):
    torch.save([1], tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=value) == [1]


def test_a_missing_file_is_said():
    with pytest.raises(FileNotFoundError):
        torch.load("no such file.pt")
    with pytest.raises(FileNotFoundError):
        torch.load("no such file.safetensors")


@pytest.mark.parametrize("save", [torch.save, save_safetensors])
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ([tuple(range(17))], "16 parts"),
        ([(i,) for i in range(4097)], "more than 4096 keys"),
        ([torch.ones(1)], "a Tensor is a key"),
        ([frozenset()], "a frozenset is a key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_key_that_load_refuses_is_not_saved(save, keys, words):
    for container in (dict.fromkeys(keys), set(keys), Counter(keys)):
        with pytest.raises(TypeError, match=rf'^\["a"\]: .*{words}'):
            save({"a": container}, io.BytesIO())


@pytest.mark.parametrize("save", [torch.save, save_safetensors])
def test_numpys_numbers_and_texts_are_keys_as_pythons_are(save):
    file = io.BytesIO()
    save({np.int64(3): np.str_("a"), (np.float32(1.5), np.bytes_(b"b")): 1, np.str_("c"): 2}, file)
    assert torch.load(io.BytesIO(file.getvalue())) == {3: "a", (1.5, b"b"): 1, "c": 2}


class Full(io.RawIOBase):
    """A pipe that takes nothing now: ``write`` says None."""

    def writable(self):
        return True

    def write(self, data):
        return None


@pytest.mark.parametrize("save", [torch.save, save_safetensors])
def test_a_pipe_that_takes_nothing_is_an_error(save):
    with pytest.raises(OSError, match=r"Full.write\(\) took None of"):
        save({"a": 1}, Full())
