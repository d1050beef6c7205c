"""Several files and an index: complete old or complete new, and nothing outside their folder."""

import errno
import json

import mlx.core as mx
import pytest

import torchish_mlx as torch
from torchish_mlx.serialization import load, load_safetensors, safetensors_metadata, save_safetensors
from torchish_mlx.serialization.safetensors import _shards as _shards
from torchish_mlx.serialization.safetensors._shards import bytes_in

NAME = "model.safetensors"
INDEX = "model.safetensors.index.json"


def state(value=1.0, n=5):
    return {f"layers.{i}": mx.full((10,), value + i) for i in range(n)}


def obj(value=1.0):
    shared = torch.Tensor(mx.full((10,), value))
    return {"model": state(value), "tied": [shared, shared], "epoch": int(value), "betas": (0.9, 0.999)}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def hub(folder, shards, **index):
    """What other programs write."""
    for name, arrays in shards.items():
        mx.save_safetensors(str(folder / name), arrays, {"format": "pt"})
    files = {tensor: name for name, arrays in shards.items() for tensor in arrays}
    index = {"metadata": {"total_size": 4}, "weight_map": files} | index
    (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
    return folder / INDEX


def test_an_index_and_shards_are_written_as_on_the_hubs(tmp_path):
    save_safetensors(state(), tmp_path / NAME, max_shard_size=80)
    index = json.loads((tmp_path / INDEX).read_text())
    files = index["weight_map"]
    assert list(files) == list(state())
    assert index["metadata"]["total_size"] == 200
    assert names(tmp_path) == sorted({*files.values(), INDEX})
    for i, name in enumerate(dict.fromkeys(files.values()), 1):
        assert name.startswith("model-")
        assert name.endswith(f"-{i:05}-of-00003.safetensors")
        assert mx.load(str(tmp_path / name)).keys() == {t for t, file in files.items() if file == name}


@pytest.mark.parametrize("name", [NAME, INDEX])
@pytest.mark.parametrize("loader", [load, load_safetensors])
def test_any_object_comes_back_from_shards(tmp_path, name, loader):
    save_safetensors(obj(3.0), tmp_path / NAME, metadata={"who": "me"}, max_shard_size="0.1KB")
    out = loader(tmp_path / name)
    assert {k: v.tolist() for k, v in out["model"].items()} == {k: v.tolist() for k, v in state(3.0).items()}
    assert out["tied"][0] is out["tied"][1]
    assert (out["epoch"], out["betas"]) == (3, (0.9, 0.999))
    assert safetensors_metadata(tmp_path / name) == {"format": "mlx", "who": "me"}


def test_what_fits_is_one_file_and_replaces_the_shards(tmp_path):
    save_safetensors(state(), tmp_path / NAME, max_shard_size=80)
    save_safetensors(state(2.0), tmp_path / NAME, max_shard_size=200)
    assert names(tmp_path) == [NAME]
    assert load_safetensors(tmp_path / NAME)["layers.0"].tolist() == [2.0] * 10


def test_shards_replace_one_file_and_older_shards_and_nothing_else(tmp_path):
    mine = [NAME + ".bak", "model-notes-00001-of-00002.safetensors", "other-12345678-00001-of-00001.safetensors"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    hub(tmp_path, {"model-00001-of-00002.safetensors": {"a": mx.ones(1)}})
    (tmp_path / NAME).write_text("old")
    save_safetensors(state(), tmp_path / NAME, max_shard_size=80)
    save_safetensors(state(2.0), tmp_path / NAME, max_shard_size=100)
    files = json.loads((tmp_path / INDEX).read_text())["weight_map"]
    assert names(tmp_path) == sorted({*mine, *files.values(), INDEX})


def test_the_same_contents_get_the_same_names(tmp_path):
    save_safetensors(state(), tmp_path / NAME, max_shard_size=80)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    save_safetensors(state(), tmp_path / NAME, max_shard_size=80)
    assert before == {p: p.read_bytes() for p in tmp_path.iterdir()}


def test_a_save_that_fails_anywhere_leaves_the_old_state(tmp_path, monkeypatch):
    save_safetensors(obj(1.0), tmp_path / NAME, max_shard_size=100)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    replacing = _shards.replacing
    left = 0

    def failing(path):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "no space")
        return replacing(path)

    monkeypatch.setattr(_shards, "replacing", failing)
    for count in range(4):  # three shards and the index
        left = count
        with pytest.raises(OSError, match="no space"):
            save_safetensors(obj(2.0), tmp_path / NAME, max_shard_size=100)
        assert before == {p: p.read_bytes() for p in tmp_path.iterdir()}
    left = 4
    save_safetensors(obj(2.0), tmp_path / NAME, max_shard_size=100)
    assert load_safetensors(tmp_path / NAME)["epoch"] == 2


def test_an_index_of_the_hubs_is_read(tmp_path):
    shards = {
        "model-00001-of-00002.safetensors": {"b": mx.ones(2), "a": mx.zeros(1)},
        "model-00002-of-00002.safetensors": {"c": mx.array([3], mx.bfloat16)},
    }
    out = load_safetensors(hub(tmp_path, shards))
    assert {k: v.tolist() for k, v in out.items()} == {"a": [0], "b": [1, 1], "c": [3]}
    assert load_safetensors(hub(tmp_path, shards, metadata={})).keys() == out.keys()


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ({"weight_map": {"a": "../x.safetensors"}}, "only the name of a file"),
        ({"weight_map": {"a": "/etc/passwd"}}, "only the name of a file"),
        ({"weight_map": {"a": "..\\x.safetensors"}}, "only the name of a file"),
        ({"weight_map": {"a": "x.safetensors\0"}}, "only the name of a file"),
        ({"weight_map": {"a": ".."}}, "only the name of a file"),
        ({"weight_map": {"a": 1}}, "only the name of a file"),
        ({"weight_map": {"a": "pytorch_model.bin"}}, "no safetensors file"),
        ({"weight_map": {"a": "s.safetensors", "b": "s.safetensors"}}, "'b' should be in s.safetensors"),
        ({"weight_map": {"b": "s.safetensors"}}, "'a' is in s.safetensors, and the index does not name it"),
        ({"weight_map": {"a": "s.safetensors", "c": "t.safetensors"}}, "'a' is in t.* says in s"),
        ({"weight_map": []}, "weight_map"),
        ({"metadata": 3}, "weight_map"),
        ({"metadata": {"torchish_mlx": {"version": 1, "object": 3}}}, "checksum"),
    ],
)
def test_an_index_that_is_wrong_is_refused(tmp_path, index, words):
    path = hub(tmp_path, {"s.safetensors": {"a": mx.ones(1)}}, **index)
    mx.save_safetensors(str(tmp_path / "t.safetensors"), {"c": mx.ones(1), "a": mx.ones(1)})
    with pytest.raises(RuntimeError, match=words):
        load_safetensors(path)


def test_a_missing_shard_is_named(tmp_path):
    save_safetensors(state(), tmp_path / NAME, max_shard_size=80)
    lost = next(p for p in tmp_path.iterdir() if "00002-of" in p.name)
    lost.unlink()
    with pytest.raises(FileNotFoundError, match=r"names a shard that is not next to it.*00002-of-00003"):
        load_safetensors(tmp_path / NAME)


def test_any_flipped_bit_of_the_index_is_an_error(tmp_path):
    save_safetensors({"a": mx.ones(1), "b": mx.ones(1), "n": 3}, tmp_path / NAME, max_shard_size=4)
    raw = (tmp_path / INDEX).read_bytes()
    assert load_safetensors(tmp_path / INDEX)["n"] == 3
    for bit in range(len(raw) * 8):
        bad = bytearray(raw)
        bad[bit // 8] ^= 1 << bit % 8
        (tmp_path / INDEX).write_bytes(bad)
        with pytest.raises((RuntimeError, FileNotFoundError)):
            load_safetensors(tmp_path / INDEX)


def test_an_index_needs_its_folder(tmp_path):
    save_safetensors(state(), tmp_path / NAME, max_shard_size=80)
    with (tmp_path / INDEX).open("rb") as file, pytest.raises(RuntimeError, match="pass its path"):
        load_safetensors(file)


def test_shards_are_named_after_a_safetensors_path(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.safetensors"):
        save_safetensors(state(), tmp_path / "model.bin", max_shard_size=80)


@pytest.mark.parametrize("size", ["", "GB", "-1GB", "1XB", "0", 0, -3, True, 1.5, None, "1e3", "٣GB"])
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(ValueError, match="max_shard_size"):
        bytes_in(size)
