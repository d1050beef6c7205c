"""``torch.tensor`` of any sequence, and of what is none."""

from __future__ import annotations

import array
import collections

import pytest
import torch

import torchish_mlx as tm


class Numbers:
    """A sequence by its methods alone."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return (0.5, 2.0)[index]


SEQUENCES = [
    collections.deque([1.0, 2.0]),
    collections.deque(),
    collections.deque([collections.deque([1, 2]), (3, 4)]),
    collections.UserList([True, False]),
    Numbers(),
    [Numbers(), [1, 2]],
    array.array("d", [1.0, 2.0]),
    bytearray(b"ab"),
    range(3),
    {"a": [1, 2]}["a"],
]
OTHERS = ["ab", b"ab", None, {1: 2}, {1, 2}, {}.keys(), iter([1]), object()]


@pytest.mark.parametrize("data", SEQUENCES, ids=lambda data: type(data).__name__)
def test_any_sequence_is_data(data):
    its, mine = torch.tensor(data), tm.tensor(data)
    assert mine.tolist() == its.tolist()
    assert str(mine.dtype) == str(its.dtype)
    assert tm.tensor(data, dtype=tm.float16).dtype == tm.float16


def test_a_deque_of_tensors_is_data():
    assert tm.tensor(collections.deque([tm.tensor(1.0), tm.tensor(2.0)])).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("data", OTHERS, ids=lambda data: type(data).__name__)
def test_what_is_no_data_is_refused_in_torchs_words(data):
    errors = []
    for side in (torch, tm):
        with pytest.raises((RuntimeError, TypeError)) as caught:
            side.tensor(data)
        errors.append((caught.type, str(caught.value)))
    assert errors[1] == errors[0]


def test_parts_and_sums_of_shapes_are_shapes():
    for side in (torch, tm):
        size = side.Size((2, 3))
        for made in (size + (1,), (1,) + size, size[:1], size[::-1], size * 2, 2 * size, size + size):  # noqa: RUF005
            assert type(made) is side.Size
        assert (size + (1,), (1,) + size, size[1], size * 2) == ((2, 3, 1), (1, 2, 3), 3, (2, 3, 2, 3))  # noqa: RUF005
        with pytest.raises(TypeError, match=r"can only concatenate tuple \(not list\) to torch.Size"):
            size + [1]  # noqa: RUF005
        with pytest.raises(TypeError, match="can only concatenate list"):
            [1] + size  # noqa: RUF005
