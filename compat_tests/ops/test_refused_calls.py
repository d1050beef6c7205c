"""Kinds of calls that the fuzzer of bad calls found to differ: what torch refuses is refused with the same type.

Each line of ``CALLS`` is a call of both sides' functions. What torch takes is taken, with the same values.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchish_mlx as tm
from compat_tests.ops.bad_calls import outcome
from compat_tests.ops.test_bad_calls import compared
from compat_tests.ops.test_op_db import flat


def _f(m: Any) -> Any:
    return m.nn.functional


def _halves(m: Any, *shape: int) -> Any:
    return m.ones(shape, dtype=m.float16)


_REAL = ("gelu", "mish", "softplus", "logsigmoid", "leaky_relu", "hardswish", "hardsigmoid", "softshrink", "relu6")
_WITHOUT_OUT = ("elu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "mish", "relu6", "silu", "softsign")

#: What a call is, to a function of the module that makes it.
CALLS: dict[str, Callable[[Any], Any]] = {
    # Tensors of two dtypes
    "cross of two dtypes": lambda m: m.cross(m.ones(2, 3), _halves(m, 2, 3), dim=1),
    "cross of booleans": lambda m: m.cross(m.ones(2, 3).bool(), m.ones(2, 3).bool(), dim=1),
    "lerp with a weight of integers": lambda m: m.lerp(m.ones(2), m.ones(2), m.ones(2, dtype=m.int64)),
    "lerp with a weight without dimensions": lambda m: m.lerp(m.ones(2), m.zeros(2), m.tensor(1)),
    "index_put of another dtype": lambda m: m.ones(3).index_put((m.tensor([0]),), m.tensor([1])),
    "layer_norm with a weight of halves": lambda m: _f(m).layer_norm(m.ones(2, 3), (3,), _halves(m, 3)),
    "layer_norm with a bias of halves": lambda m: _f(m).layer_norm(m.ones(2, 3), (3,), m.ones(3), _halves(m, 3)),
    "layer_norm of halves with float32": lambda m: _f(m).layer_norm(_halves(m, 2, 3), (3,), m.ones(3), m.ones(3)),
    "layer_norm of integers": lambda m: _f(m).layer_norm(m.ones(2, 3).int(), (3,), m.ones(3)),
    "group_norm with a weight of integers": lambda m: _f(m).group_norm(m.ones(2, 4), 2, m.ones(4).int()),
    "batch_norm with statistics of halves": lambda m: _f(m).batch_norm(
        m.ones(2, 4), _halves(m, 4), m.ones(4), training=True
    ),
    "batch_norm of halves": lambda m: _f(m).batch_norm(_halves(m, 2, 4), m.zeros(4), m.ones(4), m.ones(4), m.ones(4)),
    "batch_norm of complex numbers": lambda m: _f(m).batch_norm(m.ones(2, 4, dtype=m.complex64), m.zeros(4), m.ones(4)),
    "instance_norm with two statistics": lambda m: _f(m).instance_norm(m.ones(2, 4, 3), m.zeros(4), _halves(m, 4)),
    "instance_norm with a mean of halves": lambda m: _f(m).instance_norm(m.ones(2, 4, 3), _halves(m, 4), m.ones(4)),
    "binary_cross_entropy of two dtypes": lambda m: _f(m).binary_cross_entropy(m.ones(2).int(), m.ones(2)),
    "bincount with weights of booleans": lambda m: m.bincount(m.ones(2).int(), m.ones(2).bool()),
    "local_response_norm of int32": lambda m: _f(m).local_response_norm(m.ones(1, 2, 2).int(), 2),
    "local_response_norm of nothing": lambda m: _f(m).local_response_norm(m.ones(0, 2, 2), 2, k=None),
    "local_response_norm with a Tensor": lambda m: _f(m).local_response_norm(m.ones(1, 2, 2), 2, k=m.ones(2)),
    "searchsorted of two dtypes": lambda m: m.searchsorted(m.tensor([1, 2, 3]), m.tensor([0.5, 2.5])),
    "searchsorted of a number": lambda m: m.searchsorted(m.tensor([1, 2, 3]), 2.5),
    "searchsorted of booleans": lambda m: m.searchsorted(m.tensor([True]), m.tensor([True])),
    "bucketize of two dtypes": lambda m: m.bucketize(m.tensor([1, 2]), m.tensor([0.5, 1.5])),
    # kernels that torch does not have
    "bitwise_and of floats": lambda m: m.bitwise_and(m.ones(2), m.ones(2)),
    "bitwise_or of complex numbers": lambda m: m.bitwise_or(m.ones(2).int(), m.ones(2, dtype=m.complex64)),
    "bitwise_not of halves": lambda m: m.bitwise_not(_halves(m, 2)),
    "abs of booleans": lambda m: m.ones(2).bool().abs(),
    "median of booleans": lambda m: m.ones(2).bool().median(),
    "kthvalue of booleans": lambda m: m.ones(2).bool().kthvalue(1),
    "topk of booleans": lambda m: m.ones(2).bool().topk(1),
    "isin of booleans": lambda m: m.isin(m.ones(2).bool(), m.ones(2)),
    "trace of booleans": lambda m: m.ones(2, 2).bool().trace(),
    "bincount of booleans": lambda m: m.ones(2).bool().bincount(),
    "aminmax of a complex number along": lambda m: m.aminmax(m.ones((), dtype=m.complex64), dim=0),
    "max of complex numbers": lambda m: m.ones(2, dtype=m.complex64).max(0),
    "aminmax of complex numbers": lambda m: m.aminmax(m.ones(2, dtype=m.complex64)),
    "softmax of integers": lambda m: m.softmax(m.ones(2).int(), 0),
    "softmax of no integers": lambda m: m.softmax(m.ones(0).int(), 0),
    "softmax of complex numbers in float32": lambda m: m.softmax(m.ones(2, dtype=m.complex64), 0, dtype=m.float32),
    "histc of integers": lambda m: m.histc(m.ones(2).int()),
    "logcumsumexp of integers": lambda m: m.logcumsumexp(m.ones(2).int(), 0),
    "pow of booleans": lambda m: m.pow(m.ones(2).bool(), m.ones(2).bool()),
    "repeat_interleave by floats": lambda m: m.repeat_interleave(m.ones(2), m.ones(2)),
    "index_fill at int32": lambda m: m.ones(3).index_fill(0, m.ones(1).int(), 2.0),
    "index_fill at a matrix": lambda m: m.ones(3).index_fill(0, m.zeros(1, 1).long(), 2.0),
    "index_copy at int32": lambda m: m.ones(3).index_copy(0, m.ones(1).int(), m.ones(1)),
    "index_add at int32": lambda m: m.ones(3).index_add(0, m.ones(1).int(), m.ones(1)),
    **{
        f"{name} of complex numbers": lambda m, name=name: getattr(_f(m), name)(m.ones(2, dtype=m.complex64))
        for name in [
            "gelu",
            "mish",
            "softplus",
            "logsigmoid",
            "leaky_relu",
            "hardswish",
            "hardsigmoid",
            "softshrink",
            "relu6",
            "hardtanh",
        ]
    },
    **{
        f"{name} of complex numbers": lambda m, name=name: getattr(_f(m), name)(m.ones(2, dtype=m.complex64), m.ones(2))
        for name in ["mse_loss", "huber_loss", "smooth_l1_loss", "kl_div"]
    },
    # truth values: torch's C++ code takes booleans alone, its Python code anything
    "max_pool1d with a number as ceil_mode": lambda m: _f(m).max_pool1d(m.ones(1, 1, 4), 2, ceil_mode=1),
    "max_pool1d with a number as return_indices": lambda m: _f(m).max_pool1d(m.ones(1, 1, 4), 2, return_indices=1),
    "dropout with a number as training": lambda m: _f(m).dropout(m.ones(2), 0.5, 1),
    "batch_norm with a number as training": lambda m: _f(m).batch_norm(m.ones(2, 4), None, None, training=1),
    "kl_div with a number as log_target": lambda m: _f(m).kl_div(m.ones(2), m.ones(2), log_target=1),
    "mse_loss with a word as reduce": lambda m: _f(m).mse_loss(m.ones(2), m.ones(2), reduce="x"),
    "interpolate with a number as align_corners": lambda m: _f(m).interpolate(
        m.ones(1, 1, 4), 2, mode="linear", align_corners=1
    ),
    "gaussian_nll_loss with a number as full": lambda m: _f(m).gaussian_nll_loss(m.ones(2), m.ones(2), m.ones(2), 1),
    # numbers
    "threshold with an imaginary number": lambda m: m.threshold(m.ones(2), 1j, 0),
    "threshold with a complex number": lambda m: m.threshold(m.ones(2), 1 + 0j, 0),
    "softplus with an imaginary number": lambda m: _f(m).softplus(m.ones(2), 1j),
    "softplus with a word": lambda m: _f(m).softplus(m.ones(2), "x"),
    "addmm with an imaginary number": lambda m: m.addmm(m.ones(2, 2), m.ones(2, 2), m.ones(2, 2), alpha=1j),
    "std with an imaginary correction": lambda m: m.std(m.ones(3), correction=1j),
    "max_unpool2d with a wrong kernel": lambda m: _f(m).max_unpool2d(
        m.ones(1, 2, 2), m.zeros(1, 2, 2, dtype=m.int64), (2,), 2
    ),
    "max_unpool2d with a broken kernel": lambda m: _f(m).max_unpool2d(
        m.ones(1, 2, 2), m.zeros(1, 2, 2, dtype=m.int64), 1.5, 2
    ),
    "max_unpool1d with more paddings": lambda m: _f(m).max_unpool1d(
        m.ones(1, 1, 2), m.tensor([[[0, 2]]]), 2, 2, [0, 0]
    ),
    # sizes and lists
    "full with a number as size": lambda m: m.full(2, 1.0),
    "tensor_split at floats": lambda m: m.tensor_split(m.ones(3), (1.0,)),
    "tensor_split at a float": lambda m: m.tensor_split(m.ones(3), 1.5),
    "tensor_split at True": lambda m: m.tensor_split(m.ones(3), True),
    "tensor_split at a Tensor of floats": lambda m: m.tensor_split(m.ones(3), m.tensor([1.0])),
    "tensor_split at a matrix": lambda m: m.tensor_split(m.ones(3), m.tensor([[1]])),
    "tensor_split at a Tensor": lambda m: m.tensor_split(m.ones(3), m.tensor([1])),
    **{
        f"{name} of a Tensor": lambda m, name=name: getattr(m, name)(m.ones(2, 2))
        for name in ["hstack", "vstack", "dstack", "column_stack", "row_stack"]
    },
    "hstack of nothing": lambda m: m.hstack([]),
    "sum_to_size of a float": lambda m: m.ones(3).sum_to_size(1.5),
    "sum_to_size by name": lambda m: m.ones(3).sum_to_size(size=(1,)),
    "view by dtype": lambda m: m.ones(3).view(dtype=m.int32),
    "view by size": lambda m: m.ones(3).view(size=(3, 1)),
    "view by a number": lambda m: m.ones(3).view(size=3),
    "view by both": lambda m: m.ones(3).view((3, 1), dtype=m.int32),
    "view by an unknown name": lambda m: m.ones(3).view(shape=(3, 1)),
    "view by nothing": lambda m: m.ones(3).view(),
    "reshape by name": lambda m: m.ones(3).reshape(shape=(3, 1)),
    "reshape as a function": lambda m: m.reshape(m.ones(3), shape=(3, 1)),
    "expand by name": lambda m: m.ones(3).expand(size=(2, 3)),
    "permute by name": lambda m: m.ones(2, 3).permute(dims=(1, 0)),
    "permute as a function": lambda m: m.permute(m.ones(2, 3), dims=(1, 0)),
    # out
    **{
        f"{name} with out": lambda m, name=name: getattr(_f(m), name)(m.ones(2), out=m.ones(2))
        for name in [
            "elu",
            "glu",
            "hardsigmoid",
            "hardswish",
            "hardtanh",
            "leaky_relu",
            "mish",
            "relu6",
            "silu",
            "softsign",
        ]
    },
    **{
        f"{name} with an out of float64": lambda m, name=name: getattr(_f(m), name)(
            m.ones(2), out=m.ones(2, dtype=m.float64)
        )
        for name in ["gelu", "softplus", "logsigmoid", "softshrink", "hardshrink"]
    },
    "avg_pool2d with out": lambda m: _f(m).avg_pool2d(m.ones(1, 2, 2), 2, out=m.zeros(1, 1, 1)),
    "avg_pool1d with out": lambda m: _f(m).avg_pool1d(m.ones(1, 2), 2, out=m.zeros(1, 1)),
    "max of all with an out of float64": lambda m: m.max(m.ones(2), out=m.zeros((), dtype=m.float64)),
    "max along with an out of float64": lambda m: m.max(
        m.ones(2), 0, out=(m.zeros((), dtype=m.float64), m.zeros((), dtype=m.int64))
    ),
    "cat with an out of booleans": lambda m: m.cat([m.ones(2)], out=m.zeros(2).bool()),
    "bitwise_and with an out that wants a gradient": lambda m: m.bitwise_and(
        m.ones(2).int(), m.ones(2).int(), out=m.zeros(2, requires_grad=True)
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_call_is_taken_or_refused_as_in_torch(what: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = (outcome(CALLS[what], [module], {}) for module in (torch, tm))
    assert type(ours.error) is type(theirs.error), f"{ours.error!r} instead of {theirs.error!r}"
    if theirs.error is None:
        compared(flat(ours.result), flat(theirs.result))


#: Functions of ``out``, and the elements that it has.
RESIZED: dict[str, tuple[Callable[[Any, Any], Any], tuple[int, ...]]] = {
    "smaller": (lambda m, out: m.add(m.ones(2, 3), 1, out=out), (4,)),
    "larger": (lambda m, out: m.mul(m.ones(2), 3, out=out), (2, 4)),
    "of one element": (lambda m, out: m.cat([m.ones(2), m.ones(1)], out=out), ()),
    "of a reduction": (lambda m, out: m.sum(m.ones(2, 3), 0, out=out), (4,)),
    "empty": (lambda m, out: m.sum(m.ones(2, 3), 0, out=out), (0,)),
    "of ones": (lambda m, out: m.ones(3, out=out), (4,)),
    "of a range": (lambda m, out: m.arange(3, out=out), (4,)),
}


@pytest.mark.parametrize("what", RESIZED)
def test_an_out_of_another_shape_is_resized_with_torchs_warning(what: str) -> None:
    call, shape = RESIZED[what]
    said = []
    made = []
    for module in (torch, tm):
        out = module.zeros(shape)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert call(module, out) is out
        said.append([str(w.message).partition(" (Triggered")[0] for w in seen])
        made.append(out)
    assert said[1] == said[0]
    compared([made[1]], [made[0]])


def test_a_view_is_not_resized() -> None:
    whole = tm.zeros(4)
    with pytest.raises(RuntimeError, match="out is a view of another Tensor"):
        tm.add(tm.ones(3), 1, out=whole[:2])
    assert whole.tolist() == [0.0] * 4


def test_what_shows_the_memory_of_a_resized_out_keeps_its_values() -> None:
    out = tm.ones(4)
    shown = out.view(2, 2)
    with pytest.warns(UserWarning, match="was resized"):
        tm.add(tm.ones(3), 1, out=out)
    assert out.tolist() == [2.0] * 3
    assert shown.tolist() == [[1.0, 1.0], [1.0, 1.0]]
