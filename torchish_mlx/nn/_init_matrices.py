"""First numbers with a structure: identities, orthogonal and sparse matrices."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.promotion import NAMES
from .._tensor.modes import no_grad
from .._tensor.tensor import Tensor, wrap
from ..ops.drawing import randperm
from ..ops.ranges import eye


def eye_(tensor: Tensor) -> Tensor:
    """The identity: a ``Linear`` with this weight passes on as many inputs as it has outputs for.

    Args:
        tensor: a matrix.

    Raises:
        ValueError: another number of dimensions than 2.

    Source: ``torch.nn.init.eye_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.eye_(torch.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with no_grad():
        return tensor.copy_(eye(*tensor.shape, dtype=tensor.dtype))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The identity of convolutions: an output channel is the input channel of the same number, as far as there is one.

    Args:
        tensor: the weight of a convolution over 1, 2 or 3 sizes: 3, 4 or 5 dimensions.
        groups: how many groups the output channels are in; each of them is an identity.

    Raises:
        ValueError: another number of dimensions, or output channels that are not divisible by ``groups``.

    Source: ``torch.nn.init.dirac_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.dirac_(torch.empty(2, 2, 3))
    tensor([[[0., 1., 0.],
             [0., 0., 0.]],
    <BLANKLINE>
            [[0., 0., 0.],
             [0., 1., 0.]]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    outputs, inputs, *kernel = tensor.shape
    if outputs % groups:
        raise ValueError("dim 0 must be divisible by groups")
    of_group = outputs // groups
    same = range(min(of_group, inputs))
    with no_grad():
        tensor.zero_()
        rows = [group * of_group + channel for group in range(groups) for channel in same]
        if rows:
            middle = [size // 2 for size in kernel]
            place = (rows, list(same) * groups, *middle)
            tensor[place] = 1
    return tensor


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """A random matrix whose rows, or columns if they are fewer, are orthogonal and of length ``gain``.

    It is the factor Q of a matrix of normal numbers, with the signs that make the diagonal of R positive, after Saxe
    and others, 2013. The normal numbers are torch's to the bit; Q is within the rounding errors of torch's library.

    Args:
        tensor: a matrix, or a tensor of more dimensions, of which those after the first are taken as one.
        gain: what all is multiplied by.
        generator: where the numbers come from; the default generator if None.

    Raises:
        ValueError: fewer than 2 dimensions.
        NotImplementedError: half precision, complex numbers.

    Source: ``torch.nn.init.orthogonal_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.orthogonal_(torch.empty(2, 2), generator=torch.Generator().manual_seed(0))
    tensor([[ 0.5774,  0.8164],
            [-0.8164,  0.5774]])
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if not tensor.numel():
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    with no_grad():
        drawn = tensor.new_empty((rows, columns)).normal_(0, 1, generator=generator).array
        if drawn.dtype not in (mx.float32, mx.float64):
            if drawn.dtype == mx.complex64:
                raise NotImplementedError(
                    "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
                )
            raise NotImplementedError(f"\"geqrf_cpu\" not implemented for '{NAMES[drawn.dtype]}'")
        normals = np.array(drawn)
        q, r = np.linalg.qr(normals.T if rows < columns else normals)
        q = q * np.sign(np.diag(r))
        found = wrap(mx.array(q.T if rows < columns else q, drawn.dtype))
        tensor.view(rows, columns).copy_(found)
        return tensor.mul_(gain)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal numbers, of which a share in each column is 0, after Martens, 2010.

    Args:
        tensor: a matrix.
        sparsity: the share of zeros in each column, rounded up to whole elements.
        std: the standard deviation of the others.
        generator: where the normal numbers come from. The places of the zeros come from the default generator, as in
            torch.

    Raises:
        ValueError: another number of dimensions than 2.

    Source: ``torch.nn.init.sparse_``.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.nn.init.sparse_(torch.empty(2, 3), sparsity=0.5)
    tensor([[ 0.0000, -0.0029,  0.0000],
            [ 0.0057,  0.0000, -0.0140]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with no_grad():
        tensor.normal_(0, std, generator=generator)
        places: Any = np.zeros((rows, columns), np.bool_)
        for column in range(columns):
            places[np.array(randperm(rows).array)[:zeros], column] = True
        return tensor.masked_fill_(wrap(mx.array(places)), 0)
