"""The safetensors package reads what is written here, and the other way round, bit for bit."""

import json

import mlx.core as mx
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import torchish_mlx
from tests.marks import examples
from torchish_mlx.serialization import load_safetensors, safetensors_metadata, save_safetensors
from torchish_mlx.serialization._shared.arrays import KINDS, buffer

SHAPES = [(), (3,), (0, 2), (2, 3)]


def bits(t):
    return bytes(t.contiguous().reshape(-1).view(torch.uint8).numpy())


def pair(kind, shape):
    """The same values on both sides."""
    x = mx.arange(6)[: mx.zeros(shape).size].reshape(shape).astype(kind.dtype)
    t = torch.arange(6)[: x.size].reshape(shape).to(getattr(torch, kind.torch))
    return x, t


def test_every_dtype_and_shape_both_ways(tmp_path):
    ours, theirs = {}, {}
    for kind in KINDS:
        for shape in SHAPES:
            name = f"{kind.torch}.{shape}.é"
            ours[name], theirs[name] = pair(kind, shape)
    save_safetensors(ours, tmp_path / "ours", metadata={"format": "pt", "é": "ü"})
    read = safetensors.torch.load_file(tmp_path / "ours")
    safetensors.torch.save_file(theirs, tmp_path / "theirs", metadata={"format": "pt", "é": "ü"})
    taken = load_safetensors(tmp_path / "theirs")
    assert read.keys() == taken.keys() == ours.keys()
    for name, t in theirs.items():
        assert read[name].dtype == t.dtype
        assert tuple(taken[name].shape) == tuple(read[name].shape) == tuple(t.shape)
        assert bits(read[name]) == bits(t) == bytes(buffer(taken[name].array))
    assert safetensors_metadata(tmp_path / "theirs") == {"format": "pt", "é": "ü"}
    with safetensors.safe_open(tmp_path / "ours", "pt") as file:
        assert file.metadata().items() >= {"format": "pt", "é": "ü"}.items()


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2"])
def test_dtypes_that_mlx_has_not_are_refused_by_name(tmp_path, name):
    safetensors.torch.save_file({"w": torch.ones(2).to(getattr(torch, name))}, tmp_path / "x")
    with pytest.raises(RuntimeError, match=r"tensor 'w' has the dtype 'F8_.*MLX has not"):
        load_safetensors(tmp_path / "x")


@settings(max_examples=examples(100), deadline=None)
@given(
    st.recursive(st.integers() | st.text() | st.just(mx.ones(2)), lambda o: st.dictionaries(st.text(), o) | st.lists(o))
)
def test_files_of_any_object_are_valid(tmp_path_factory, obj):
    path = tmp_path_factory.mktemp("any") / "x"
    save_safetensors(obj, path)
    for value in safetensors.torch.load_file(path).values():
        assert value.tolist() == [1, 1]


def test_an_optimizers_state_is_named_by_its_path(tmp_path):
    p = torchish_mlx.Parameter(mx.ones(3))
    optimizer = torchish_mlx.optim.Adam([p])
    p.grad = torchish_mlx.ones(3)
    optimizer.step()
    save_safetensors({"model": {"w": p}, "optimizer": optimizer.state_dict()}, tmp_path / "x")
    read = safetensors.torch.load_file(tmp_path / "x")
    assert read["optimizer.state.0.exp_avg"].tolist() == optimizer.state[p]["exp_avg"].tolist()
    with safetensors.safe_open(tmp_path / "x", "pt") as file:
        tree = json.loads(file.metadata()["torchish_mlx"])["object"]
    assert tree["optimizer"]["param_groups"][0]["betas"] == {"!tuple": [0.9, 0.999]}


def test_shards_are_read_by_their_index(tmp_path):
    tensors = {f"w{i}": mx.full((4,), i) for i in range(5)}
    save_safetensors(tensors, tmp_path / "model.safetensors", max_shard_size=40)
    files = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    for i, (name, file) in enumerate(files.items()):
        with safetensors.safe_open(tmp_path / file, "pt") as shard:
            assert shard.get_tensor(name).tolist() == [i] * 4
