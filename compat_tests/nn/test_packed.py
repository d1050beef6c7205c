"""Sequences of different lengths next to torch's: packed, padded and apart again."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import rnn as theirs

import torchish_mlx as tm
from torchish_mlx.nn.utils import rnn as mine

SIDES = ((tm, mine), (torch, theirs))


def numbers(*shape: int) -> np.ndarray:
    return np.arange(1, 1 + np.prod(shape)).reshape(shape).astype("f4")


def shown(value: Any) -> Any:
    """Either side's results, to be compared."""
    if value is None or isinstance(value, (int, bool)):
        return value
    if isinstance(value, (tuple, list)):
        return [shown(v) for v in value]
    return str(value.dtype), tuple(value.shape), value.detach().tolist()


def test_the_same_names() -> None:
    assert set(mine.__all__) == set(theirs.__all__)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[4, 4, 2, 1], [3, 3, 3, 3], [1, 4, 2, 4], [2, 1, 1, 3]])
@pytest.mark.parametrize("trailing", [(), (2,), (2, 3)])
def test_packed_and_padded(batch_first: bool, lengths: list[int], trailing: tuple[int, ...]) -> None:
    ordered = lengths == sorted(lengths, reverse=True)
    for enforce, as_tensor, total in itertools.product([False, True][: 1 + ordered], (True, False), (None, 6)):
        sides = []
        for T, u in SIDES:
            x = T.tensor(numbers(4, 4, *trailing)).requires_grad_()
            n = T.tensor(lengths) if as_tensor else lengths
            packed = u.pack_padded_sequence(x, n, batch_first, enforce)
            padded, back = u.pad_packed_sequence(packed, batch_first, -7.0, total)
            (padded * T.tensor(numbers(*padded.shape))).sum().backward()
            apart = u.unpack_sequence(packed)
            sides.append(shown([*packed, padded, back, x.grad, apart]))
        assert sides[0] == sides[1]


def test_sequences_apart() -> None:
    for shapes in ([(3,), (2,), (1,)], [(2, 2), (4, 2)], [(1, 2, 2)], [(0, 2), (3, 2)], [(2, 3), (1, 1)]):
        for batch_first, side in itertools.product((False, True), ("left", "right")):
            sides = []
            for T, u in SIDES:
                given = [T.tensor(numbers(*s)).requires_grad_() for s in shapes]
                padded = u.pad_sequence(given, batch_first, 9.0, side)
                (padded * T.tensor(numbers(*padded.shape))).sum().backward()
                sides.append(shown([padded, *(g.grad for g in given)]))
            assert sides[0] == sides[1]
    sides = []
    for T, u in SIDES:
        rows = T.tensor([[1, 2, 3], [4, 5, 6]])
        mixed = u.pad_sequence([T.tensor([1, 2]), T.tensor([0.5])])
        parts = u.unpad_sequence(T.tensor(numbers(3, 2)), T.tensor([3, 1]))
        long = u.unpad_sequence(T.tensor(numbers(2, 3)), T.tensor([5, 0]), batch_first=True)
        packed = u.pack_sequence([T.tensor([1, 2]), T.tensor([3, 4, 5])], enforce_sorted=False)
        sides.append(shown([u.pad_sequence(rows), u.pad_sequence(iter(rows)), mixed, parts, long, *packed]))
    assert sides[0] == sides[1]


def test_unpad_sequence_leaves_its_argument() -> None:
    """Torch's is transposed afterwards."""
    x = tm.tensor(numbers(3, 2))
    mine.unpad_sequence(x, tm.tensor([3, 1]))
    assert tuple(x.shape) == (3, 2)
    assert x.tolist() == numbers(3, 2).tolist()


def test_the_class() -> None:
    sides = []
    for T, u in SIDES:
        packed = u.pack_sequence([T.tensor([1.5, 2.0]), T.tensor([3.0])], enforce_sorted=False)
        casts = [
            getattr(packed, n)() for n in ["double", "float", "half", "long", "int", "short", "char", "byte", "cpu"]
        ]
        made = u.PackedSequence((packed.data, packed.batch_sizes), None, packed.sorted_indices)
        data, sizes, _, _ = packed
        same = [packed.to(T.float32) is packed, packed.to(T.float64) is packed, packed.cpu() is packed]
        sides.append([shown([*c]) for c in (*casts, made, packed.to(T.float64))] + same + [shown([data, sizes])])
        assert not packed.is_cuda
        assert isinstance(packed, tuple)
        assert type(casts[0]) is u.PackedSequence
        assert u.invert_permutation(None) is None
        sides[-1].append(shown(u.invert_permutation(T.tensor([3, 0, 2, 1]))))
    assert sides[0] == sides[1]
    assert repr(mine.pack_sequence([tm.tensor([1, 2])])) == repr(theirs.pack_sequence([torch.tensor([1, 2])]))


REFUSED = [
    "u.pack_padded_sequence(T.ones(3, 2), T.tensor([1, 3]))",
    "u.pack_padded_sequence(T.ones(3, 2), T.tensor([3, 0]))",
    "u.pack_padded_sequence(T.ones(3, 2), [3, 2, 1])",
    "u.pack_padded_sequence(T.ones(3, 2), T.tensor([[3, 1]]))",
    "u.pack_padded_sequence(T.ones(3, 0), T.tensor([]).long())",
    "u.pack_padded_sequence(T.ones(0, 2), [0, 0])",
    "u.pack_sequence([T.ones(1), T.ones(2)])",
    "u.pack_sequence([])",
    "u.pad_sequence([])",
    "u.pad_sequence(3)",
    "u.pad_sequence([T.ones(2)], padding_side='up')",
    "u.pad_sequence([T.ones(2, 2), T.ones(3, 3)])",
    "u.pad_packed_sequence(u.pack_sequence([T.ones(3)]), total_length=2)",
    "u.PackedSequence(T.ones(3))",
    "u.unpad_sequence(T.ones(3, 2), T.tensor([1, 2, 3]))",
]


@pytest.mark.parametrize("call", REFUSED)
def test_refused_in_torchs_words(call: str) -> None:
    said = []
    for T, u in SIDES:
        with pytest.raises(Exception) as error:
            eval(call, {"T": T, "u": u})
        said.append((error.type.__name__, str(error.value)))
    assert said[0] == said[1]


def test_lengths_beyond_the_input_are_refused() -> None:
    with pytest.raises(RuntimeError, match="the longest sequence has 4 steps"):
        mine.pack_padded_sequence(tm.ones(3, 2), [4, 2])
    with pytest.raises(RuntimeError, match="sequences of shape"):
        mine.pad_sequence([tm.ones(()), tm.ones(())])
