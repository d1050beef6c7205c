"""Sequences of different lengths in one Tensor: padded, or packed, which is what recurrent layers take.

A packed sequence has the elements of all sequences one step after the other, the longest sequence first. So each step
is a range of rows, and nothing is computed for padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from ..._tensor.tensor import Tensor, wrap
from ...ops.creation import as_tensor, full
from ...ops.joining import cat
from ...ops.selecting import index_select, masked_fill
from ...ops.shaping import clone, expand, narrow, reshape, transpose
from ...ops.sorting import argsort, sort

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Fields(NamedTuple):
    """The fields of a packed sequence."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences of different lengths, one step after the other; ``pack_padded_sequence`` and ``pack_sequence`` make it.

    Attributes:
        data: the elements: first those of the first step of all sequences, then those of the second step of all that
            have one.
        batch_sizes: how many sequences each step has, as int64.
        sorted_indices: which of the sequences that were given each one here is, or None where they came in order.
        unsorted_indices: where each of the sequences that were given is here, or None.

    Raises:
        AssertionError: without ``batch_sizes``, ``data`` is no pair of them.

    Source: ``torch.nn.utils.rnn.PackedSequence``.

    >>> import torchish_mlx as torch
    >>> from torchish_mlx.nn.utils.rnn import pack_sequence
    >>> pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]).data
    tensor([1, 3, 2])
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        assert batch_sizes is not None
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU: pack_sequence and pack_padded_sequence make a PackedSequence "
                "that has them there"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data: Tensor) -> PackedSequence:
        """The same with other data; itself where the data is the same object."""
        if data is self.data:
            return self
        indices = (None if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices))
        return type(self)(data, self.batch_sizes, *indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The data in another dtype or on another device, as ``Tensor.to`` takes them; itself if it has them."""
        return self._with(self.data.to(*args, **kwargs))

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Raises where there is no such device: see ``Tensor.cuda``."""
        return self._with(self.data.cuda(*args, **kwargs))

    def cpu(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The data labelled with the CPU."""
        return self._with(self.data.cpu(*args, **kwargs))

    def double(self) -> PackedSequence:
        """The data in float64."""
        return self._with(self.data.double())

    def float(self) -> PackedSequence:
        """The data in float32."""
        return self._with(self.data.float())

    def half(self) -> PackedSequence:
        """The data in float16."""
        return self._with(self.data.half())

    def long(self) -> PackedSequence:
        """The data in int64."""
        return self._with(self.data.long())

    def int(self) -> PackedSequence:
        """The data in int32."""
        return self._with(self.data.int())

    def short(self) -> PackedSequence:
        """The data in int16."""
        return self._with(self.data.short())

    def char(self) -> PackedSequence:
        """The data in int8."""
        return self._with(self.data.char())

    def byte(self) -> PackedSequence:
        """The data in uint8."""
        return self._with(self.data.byte())

    def pin_memory(self) -> PackedSequence:
        """The data as ``Tensor.pin_memory`` gives it."""
        return self._with(self.data.pin_memory())

    @property
    def is_cuda(self) -> bool:
        """Whether the data is labelled with a CUDA device."""
        return bool(self.data.is_cuda)

    def is_pinned(self) -> bool:
        """What ``Tensor.is_pinned`` says of the data."""
        return bool(self.data.is_pinned())


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another one; None of None.

    Source: ``torch.nn.utils.rnn.invert_permutation``.

    >>> import torchish_mlx as torch
    >>> from torchish_mlx.nn.utils.rnn import invert_permutation
    >>> invert_permutation(torch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    found: Tensor = argsort(permutation)
    return found.to(permutation.dtype)


def _rows(x: Tensor, index: np.ndarray) -> Tensor:
    """The rows of ``x`` at ``index``."""
    found: Tensor = index_select(x, 0, wrap(mx.array(index.astype(np.int64))))
    return found


def _in_steps(x: Tensor, batch_first: bool) -> Tensor:
    """(steps, sequences, ...) from it or from (sequences, steps, ...), or back."""
    return transpose(x, 0, 1) if batch_first else x


def _batch_sizes(lengths: Sequence[int]) -> np.ndarray:
    """How many sequences each step has, where they become shorter."""
    return np.sum(np.asarray(lengths)[None] > np.arange(lengths[0])[:, None], axis=1)


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences that are padded to one length.

    Args:
        input: of shape (steps, sequences, ...), or (sequences, steps, ...) with ``batch_first``.
        lengths: how many steps of each sequence count, at least 1.
        batch_first: which of the two shapes it is.
        enforce_sorted: whether the sequences have to become shorter; otherwise they are sorted here, and
            ``pad_packed_sequence`` gives them back in the order in which they came.

    Raises:
        RuntimeError: lengths that are not positive, that are longer than the input, that are more or fewer than there
            are sequences, or that grow where ``enforce_sorted`` is set.

    Source: ``torch.nn.utils.rnn.pack_padded_sequence``.

    >>> import torchish_mlx as torch
    >>> from torchish_mlx.nn.utils.rnn import pack_padded_sequence
    >>> packed = pack_padded_sequence(torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]]), [2, 1, 3], True, False)
    >>> packed.data, packed.batch_sizes
    (tensor([4, 1, 3, 5, 2, 6]), tensor([3, 2, 1]))
    """
    long = lengths.to(mx.int64) if isinstance(lengths, Tensor) else as_tensor(lengths, dtype=mx.int64)
    order = None
    if not enforce_sorted:
        long, order = sort(long, descending=True)
        input = index_select(input, 0 if batch_first else 1, order)
    steps = _in_steps(input, batch_first)
    if long.ndim != 1:
        raise RuntimeError(f"'lengths' argument should be a 1D CPU int64 tensor, but got {long.ndim}D cpu Long tensor")
    if not input.array.size:
        raise RuntimeError("Cannot pack empty tensors.")
    sizes = long.tolist()
    if len(sizes) != steps.shape[1]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={steps.shape[1]})"
        )
    if min(sizes) <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if any(n < m for n, m in pairwise(sizes)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you "
            "do not need ONNX exportability."
        )
    if sizes[0] > steps.shape[0]:
        raise RuntimeError(
            f"pack_padded_sequence(): the longest sequence has {sizes[0]} steps by its length, but the input has "
            f"{steps.shape[0]}"
        )
    counts = _batch_sizes(sizes)
    index = np.concatenate([t * len(sizes) + np.arange(n) for t, n in enumerate(counts)])
    data = _rows(reshape(steps, (-1, *steps.shape[2:])), index)
    return PackedSequence(data, wrap(mx.array(counts.astype(np.int64))), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The padded sequences of a packed one, in the order in which they came, and their lengths.

    Args:
        sequence: what was packed.
        batch_first: whether the shape is (sequences, steps, ...), or (steps, sequences, ...).
        padding_value: what comes behind the end of a sequence.
        total_length: how many steps there are, if more than the longest sequence has.

    Raises:
        ValueError: the longest sequence is longer than ``total_length``.

    Source: ``torch.nn.utils.rnn.pad_packed_sequence``.

    >>> import torchish_mlx as torch
    >>> from torchish_mlx.nn.utils.rnn import pack_sequence, pad_packed_sequence
    >>> pad_packed_sequence(pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]), batch_first=True)
    (tensor([[1, 2],
            [3, 0]]), tensor([2, 1]))
    """
    counts = np.asarray(sequence.batch_sizes.tolist())
    steps = len(counts) if total_length is None else total_length
    if steps < len(counts):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {len(counts)}"
        )
    n = int(counts[0])
    places = np.arange(n)[None] < np.concatenate([counts, np.zeros(steps - len(counts), counts.dtype)])[:, None]
    padded = _filled(sequence.data, places, padding_value)
    lengths = wrap(mx.array(places.sum(axis=0).astype(np.int64)))
    padded = _in_steps(padded, batch_first)
    order = sequence.unsorted_indices
    if order is None:
        return padded, lengths
    return index_select(padded, 0 if batch_first else 1, order), index_select(lengths, 0, order)


def _filled(data: Tensor, places: np.ndarray, value: float) -> Tensor:
    """A Tensor with the rows of ``data`` at the true places, in order, and ``value`` at the others."""
    shape = (*places.shape, *data.shape[1:])
    if not data.shape[0]:
        return full(shape, value, dtype=data.dtype, device=data.device)
    index = np.maximum(np.cumsum(places.ravel()) - 1, 0)
    rows = reshape(_rows(data, index), shape)
    if places.all():
        return rows
    mask = mx.array(~places.reshape((*places.shape, *[1] * (data.ndim - 1))))
    found: Tensor = masked_fill(rows, wrap(mask), value)
    return found


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences of shapes (length, ...) as one Tensor, padded to the longest.

    Args:
        sequences: the Tensors, in one dtype, which is that of the first.
        batch_first: whether the shape is (sequences, steps, ...), or (steps, sequences, ...).
        padding_value: what the padding is.
        padding_side: ``"right"``, behind the sequences, or ``"left"``, in front of them.

    Raises:
        RuntimeError: no sequences; shapes that differ in more than the length; another side.

    Source: ``torch.nn.utils.rnn.pad_sequence``.

    >>> import torchish_mlx as torch
    >>> torch.nn.utils.rnn.pad_sequence([torch.tensor([1, 2]), torch.tensor([3])], batch_first=True, padding_value=9)
    tensor([[1, 2],
            [3, 9]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    given = tuple(sequences)
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    if not given:
        raise RuntimeError("received an empty list of sequences")
    trailing = tuple(given[0].shape[1:])
    rows = [_as_first(s, given[0], trailing) for s in given]
    lengths = np.array([s.shape[0] for s in rows])
    at = np.arange(lengths.max())
    places = at[None] < lengths[:, None] if padding_side == "right" else at[None] >= lengths.max() - lengths[:, None]
    padded = _filled(rows[0] if len(rows) == 1 else cat(rows), places, padding_value)
    return padded if batch_first else transpose(padded, 0, 1)


def _as_first(sequence: Tensor, first: Tensor, trailing: tuple[int, ...]) -> Tensor:
    """A sequence in the dtype and with the trailing shape of the first one."""
    own = tuple(sequence.shape[1:])
    if not sequence.ndim or len(own) > len(trailing):
        raise RuntimeError(
            f"pad_sequence(): sequences of shape (length, {', '.join(map(str, trailing))}) are needed, but one has "
            f"shape {list(sequence.shape)}"
        )
    for d, (mine, other) in enumerate(zip(own, trailing, strict=False)):
        if mine not in (other, 1):
            raise RuntimeError(
                f"The size of tensor a ({other}) must match the size of tensor b ({mine}) at non-singleton dimension "
                f"{d + 1}"
            )
    if own != trailing:
        sequence = expand(sequence, (sequence.shape[0], *trailing))
    return sequence if sequence.dtype == first.dtype else sequence.to(first.dtype)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded Tensor, as a list.

    Torch leaves ``padded_sequences`` transposed in place where it is not ``batch_first``; here it stays as it is.

    Args:
        padded_sequences: of shape (steps, sequences, ...), or (sequences, steps, ...) with ``batch_first``.
        lengths: how many steps each sequence has.
        batch_first: which of the two shapes it is.

    Raises:
        ValueError: more or fewer lengths than sequences.

    Source: ``torch.nn.utils.rnn.unpad_sequence``.

    >>> import torchish_mlx as torch
    >>> torch.nn.utils.rnn.unpad_sequence(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    sequences = padded_sequences if batch_first else transpose(padded_sequences, 0, 1)
    longest = sequences.shape[1]
    each = zip(sequences, lengths.tolist(), strict=True)
    return [clone(narrow(s, 0, 0, max(0, min(n, longest)))) for s, n in each]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of shapes (length, ...).

    Args:
        sequences: the Tensors.
        enforce_sorted: as ``pack_padded_sequence`` takes it.

    Raises:
        RuntimeError: no sequences, empty ones, or longer ones behind shorter ones where ``enforce_sorted`` is set.

    Source: ``torch.nn.utils.rnn.pack_sequence``.

    >>> import torchish_mlx as torch
    >>> torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]).batch_sizes
    tensor([2, 1])
    """
    lengths = as_tensor([s.shape[0] for s in sequences], dtype=mx.int64)
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed one, in the order in which they came.

    Source: ``torch.nn.utils.rnn.unpack_sequence``.

    >>> import torchish_mlx as torch
    >>> from torchish_mlx.nn.utils.rnn import pack_sequence, unpack_sequence
    >>> unpack_sequence(pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
