"""The JSON of objects: readable, and of a hostile file only the fixed list of types is made."""

import json

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchish_mlx as torch
from tests.marks import examples
from torchish_mlx._tensor.storage import Storage
from torchish_mlx.serialization.safetensors._tree_read import put_together
from torchish_mlx.serialization.safetensors._tree_write import taken_apart


def test_the_json_is_readable():
    obj = {"model": {"w": torch.Parameter(mx.ones(1))}, "state": {0: (1, float("inf"))}, "names": ["a"]}
    _, tree, plain = taken_apart(obj)
    assert json.dumps(tree) == (
        '{"model": {"w": {"!parameter": "model.w"}}, "state": {"!dict": [[0, {"!tuple": [1, {"!float": "inf"}]}]]}, '
        '"names": ["a"]}'
    )
    assert not plain


def test_names_that_meet_are_kept_apart():
    tensors, tree, _ = taken_apart({"a": {"b": mx.ones(1)}, "a.b": mx.ones(1), "\ud800": mx.ones(1)})
    assert list(tensors) == ["a.b", "a.b#2", "?"]
    assert tree["a.b"] == {"!tensor": "a.b#2"}


def test_a_set_is_written_in_one_order():
    assert taken_apart({"c", "a", "b", 1})[1] == {"!set": ["a", "b", "c", 1]}


HOSTILE = [
    {"!eval": "1"},
    {"!tuple": 3},
    {"!tuple": [], "more": 1},
    {"!set": [[]]},
    {"!set": [{"!tuple": [[1]]}]},
    {"!set": [1, 1.0]},
    {"!dict": [[1, 2, 3]]},
    {"!dict": [[1, 2], [True, 3]]},
    {"!dict": 3},
    {"!float": "1"},
    {"!float": ["nan"]},
    {"!int": "10"},
    {"!int": 1},
    {"!complex": [1, 2]},
    {"!bytes": "é"},
    {"!bytes": "a"},
    {"!bytes": 3},
    {"!Size": ["a"]},
    {"!Size": [True]},
    {"!dtype": "__class__"},
    {"!device": "nowhere"},
    {"!device": "cpu:x"},
    {"!tensor": "y"},
    {"!tensor": ["x"]},
    {"!tensor": "x", "requires_grad": 1},
    {"!tensor": "i", "requires_grad": True},
    {"!tensor": "x", "face": "0"},
    {"!tensor": "x", "__class__": "x"},
    {"!shared": 0},
    {"!shared": "0", "is": []},
    {"!shared": 0, "is": 1},
    {"!shared": 0, "is": {"!shared": 0}},
    [{"!shared": 0, "is": []}, {"!shared": 0, "is": []}],
]


@pytest.mark.parametrize("tree", HOSTILE, ids=json.dumps)
def test_what_is_not_in_the_list_is_refused_by_name(tree):
    storages = {"x": Storage(mx.ones(1)), "i": Storage(mx.ones(1, mx.int32))}
    with pytest.raises(RuntimeError, match=r'^\["top"\]'):
        put_together({"top": tree}, storages)


@pytest.mark.parametrize("levels", [102, 300, 100_000])
@pytest.mark.parametrize("wrap", [lambda t: [t], lambda t: {"!tuple": [t]}, lambda t: {"!set": [{"!tuple": [t]}]}])
def test_deep_trees_are_refused(levels, wrap):
    tree = 1
    for _ in range(levels):
        tree = wrap(tree)
    with pytest.raises(RuntimeError, match=r"nested|described"):
        put_together(tree, {})


def test_a_tensor_that_stands_nowhere_is_refused():
    with pytest.raises(RuntimeError, match=r"'x' .* nowhere"):
        put_together({}, {"x": Storage(mx.ones(1))})


tags = st.sampled_from(sorted({key for tree in HOSTILE if isinstance(tree, dict) for key in tree}))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["x", "nan", "0x1", "", "float32"]),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(tags | st.text(max_size=2), v, max_size=2),
    max_leaves=8,
)


@settings(max_examples=examples(500), deadline=None)
@given(json_values)
def test_any_json_is_an_object_or_a_clean_error(tree):
    try:
        out = put_together(tree, {})
    except RuntimeError:
        return
    again = taken_apart(out)[1]
    assert json.dumps(taken_apart(put_together(again, {}))[1]) == json.dumps(again)
