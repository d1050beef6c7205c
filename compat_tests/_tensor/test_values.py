"""Small programs whose result or refusal must be torch's: each was wrong once, or is of a kind of which one was."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm

PROGRAMS: dict[str, Callable[[Any], Any]] = {}
NAN = float("nan")


def program(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    PROGRAMS[function.__name__] = function
    return function


def leaf(T: Any, *values: Any) -> Any:
    return T.tensor([*values], requires_grad=True)


# Views, writes and gradients ------------------------------------------------------------------------------------------


@program
def a_view_of_a_leaf_that_is_a_view(T: Any) -> Any:
    leaf = T.zeros(4)[1:]
    leaf.requires_grad_()
    (leaf[0] * 3 + (leaf.view(3)[0:2] * 2).sum()).backward()
    return leaf.grad


@program
def a_power_whose_exponent_needs_no_gradient(T: Any) -> Any:
    x = leaf(T, 2.0, 3.0)
    (x ** T.tensor([2.0, 3.0])).sum().backward()
    return x.grad


@program
def a_number_to_the_power_of_a_tensor(T: Any) -> Any:
    x = leaf(T, 2.0, 3.0)
    (2.0**x).sum().backward()
    return x.grad


@program
def retain_grad_before_an_in_place_op(T: Any) -> Any:
    x = leaf(T, 2.0, 3.0)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    (y * y).sum().backward()
    return y.grad, x.grad


@program
def retain_grad_before_a_write_to_a_part(T: Any) -> Any:
    x = leaf(T, 2.0, 3.0)
    y = x * 2
    y.retain_grad()
    y[0] = 5.0
    (y * y).sum().backward()
    return y.grad, x.grad


@program
def requires_grad_that_ends_between_forward_and_backward(T: Any) -> Any:
    x = leaf(T, 2.0)
    y = x * x
    x.requires_grad_(False)
    y.backward()
    return x.grad


@program
def a_hook_that_replaces_the_gradient(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    y = x * 2
    handle = y.register_hook(lambda g: g * 10)
    y.sum().backward(retain_graph=True)
    handle.remove()
    first, x.grad = x.grad, None
    y.sum().backward()
    return first, x.grad


@program
def a_hook_of_a_leaf(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    seen: list[Any] = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g + 1)
    (x * x + x).sum().backward()
    return seen, x.grad


@program
def a_write_to_a_view_that_was_made_under_no_grad(T: Any) -> Any:
    y = leaf(T, 1.0, 2.0) * 1
    with T.no_grad():
        part = y[0:1]
    part.mul_(2)
    return y


@program
def a_write_to_such_a_view_where_nothing_needs_a_gradient(T: Any) -> Any:
    y = T.tensor([1.0, 2.0])
    with T.no_grad():
        part = y[0:1]
    part.mul_(2)
    return y


@program
def numpy_under_no_grad(T: Any) -> Any:
    with T.no_grad():
        return leaf(T, 1.0).numpy().tolist()


@program
def integers_as_the_data_of_a_leaf(T: Any) -> Any:
    leaf(T, 1.0, 2.0).data = T.tensor([1, 2])


@program
def del_grad(T: Any) -> Any:
    x = leaf(T, 1.0)
    (x * x).sum().backward()
    del x.grad
    return x.grad


# Numbers --------------------------------------------------------------------------------------------------------------


@program
def a_number_out_of_the_range_of_uint8(T: Any) -> Any:
    return T.tensor([1, 2], dtype=T.uint8) / 256, T.tensor([1, 2], dtype=T.uint8) + 300


@program
def negative_exponents_of_integers(T: Any) -> Any:
    return T.tensor([2, 1, -1, -1]) ** T.tensor([-1, -2, -3, -2])


@program
def clamp_with_nan(T: Any) -> Any:
    given = T.tensor([1.0, NAN])
    return given.clamp(0, NAN), given.clamp(0, 1), T.tensor([1.0, 2.0]).clamp(T.tensor([NAN, 0.0]))


@program
def products_of_integers(T: Any) -> Any:
    a, b = T.tensor([[1, 2], [3, 4]]), T.tensor([[5, 6], [7, 8]])
    return a @ b, a @ b[0], a[0] @ b, a[0] @ b[0], T.stack([a, b]) @ a, T.addmm(a, a, b, beta=2)


@program
def addmm_in_bfloat16(T: Any) -> Any:
    a = T.tensor(np.linspace(-3, 3, 64).reshape(8, 8).tolist()).to(T.bfloat16)
    return T.addmm(a, a, a, beta=0.3, alpha=0.7).float()


@program
def addmm_in_float16_whose_product_overflows(T: Any) -> Any:
    a = T.full((8, 8), 100.0).to(T.float16)
    return T.addmm(a, a, a, alpha=0.1).float()


@program
def the_square_of_booleans(T: Any) -> Any:
    return T.square(T.tensor([True, False]))


# Indices --------------------------------------------------------------------------------------------------------------


@program
def gather_with_a_smaller_index(T: Any) -> Any:
    x = T.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    out = x.gather(1, T.tensor([[1], [0]]))
    out.sum().backward()
    return out, x.grad


@program
def an_int_a_slice_and_a_list(T: Any) -> Any:
    x = T.tensor(np.arange(24.0).reshape(2, 3, 4).tolist(), requires_grad=True)
    out = x[1, :, [0, 2]]
    (out * out).sum().backward()
    return out, x.grad, x[[0, 1], :, 1], x[:, [0, 2], 1], x[[0, 1], 1, [2, 3]], x[None, [1], ..., 2:]


@program
def a_mask(T: Any) -> Any:
    x = T.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    out = x[x > 1.5]
    (out * out).sum().backward()
    return out, x.grad, x[T.tensor([True, False])], x[:, [True, False]], x[T.tensor([False, False])]


@program
def writes_by_a_mask(T: Any) -> Any:
    y, z, w = T.tensor([1.0, 2.0, 3.0]), T.tensor([1.0, 2.0, 3.0]), T.tensor([1.0, 2.0])
    y[y > 1.5] = 9.0
    z[T.tensor([True, False, True])] = T.tensor([7.0, 8.0])
    w[w > 5] = 3.0
    return y, z, w


@program
def a_recorded_write_by_a_mask(T: Any) -> Any:
    x, v = leaf(T, 1.0, 2.0, 3.0), leaf(T, 7.0, 8.0)
    y = x * 2
    y[T.tensor([True, False, True])] = v
    (y * y).sum().backward()
    return x.grad, v.grad


@program
def true_and_false_as_indices(T: Any) -> Any:
    return T.tensor([1.0, 2.0])[True], T.tensor([1.0, 2.0])[False]


@program
def a_value_with_leading_dimensions_of_size_one(T: Any) -> Any:
    x, v = T.zeros(2, 3), T.ones(1, 3, requires_grad=True)
    y = x * 1
    y[0] = v
    y[[1]] = v * 2
    y.sum().backward()
    return y, v.grad


@program
def negative_indices(T: Any) -> Any:
    x = T.tensor([1.0, 2.0, 3.0])
    return x[[-1]], x[T.tensor([-3, 0])], x[-1]


def outside(name: str, use: Callable[[Any], Any]) -> None:
    use.__name__ = f"outside_{name}"
    program(use)


outside("a_list", lambda T: T.ones(3)[[5]])
outside("a_negative_list", lambda T: T.ones(3)[[-4]])
outside("a_tensor", lambda T: T.ones(3)[T.tensor([5])])
outside("of_two", lambda T: T.ones(3, 2)[T.tensor([0]), T.tensor([2])])
outside("far", lambda T: T.ones(3).__setitem__([10**9], 1.0))
outside("gather", lambda T: T.ones(3).gather(0, T.tensor([7])))
outside("negative_gather", lambda T: T.ones(3).gather(0, T.tensor([-1])))
outside("an_empty_axis", lambda T: T.ones(0, 3)[T.tensor([0])])
outside("rows", lambda T: T.sparse_coo_tensor([[0, 5]], [[1.0], [2.0]], (3, 1)))
outside("negative_rows", lambda T: T.sparse_coo_tensor([[0, -1]], [[1.0], [2.0]], (3, 1)))
outside("a_mask_of_another_shape", lambda T: T.ones(3)[T.tensor([True, False])])
outside("too_many", lambda T: T.ones(3)[0, [1]])


# Objects --------------------------------------------------------------------------------------------------------------


@program
def a_tensor_of_tensors_and_numbers(T: Any) -> Any:
    return T.tensor([T.tensor(1), 2.5]), T.tensor([[1, T.tensor(2)], [3, 4]])


@program
def the_constructor(T: Any) -> Any:
    return T.Tensor([0, 1]), list(T.Tensor(2, 3).shape), T.Tensor(), list(T.Tensor(3).shape)


@program
def the_constructor_with_a_float(T: Any) -> Any:
    return T.Tensor(2.5)


@program
def bytes_in_another_dtype(T: Any) -> Any:
    x = T.tensor([[1.0, 2.0]])
    x.view(T.int32)[0, 1] = 1065353216
    return x.view(T.int32), x.view(T.uint8), x.view(T.uint8).view(T.float32)


@program
def bytes_that_do_not_divide(T: Any) -> Any:
    return T.tensor([1.0]).view(T.int64)


@program
def every_protocol_of_pickle(T: Any) -> Any:
    x = T.tensor([[1.0, 2.0], [3.0, 4.0]])
    pair = [x, x[1]]
    copied = copy.deepcopy(pair)
    copied[0][1] = 7.0
    return [pickle.loads(pickle.dumps(pair, protocol)) for protocol in (0, 1, 2, 5)], copied


def outcome(T: Any, name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(PROGRAMS[name](T))
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            return type(error)


def plain(value: Any) -> Any:
    """Tensors as (shape, dtype, values)."""
    if isinstance(value, (torch.Tensor, tm.Tensor)):
        return (tuple(value.shape), str(value.dtype).rpartition(".")[2], np.array(value.detach().tolist()))
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def assert_same(mine: Any, theirs: Any) -> None:
    if isinstance(theirs, (list, tuple)):
        assert len(mine) == len(theirs)
        for a, b in zip(mine, theirs, strict=True):
            assert_same(a, b)
    elif isinstance(theirs, np.ndarray):
        np.testing.assert_allclose(mine, theirs, rtol=2**-7 if theirs.dtype.kind == "f" else 0)
    else:
        assert mine == theirs


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    assert_same(outcome(tm, name), outcome(torch, name))


def test_a_traced_index_stays_inside() -> None:
    """What can't be looked at is clamped: no memory outside of the array is read."""
    x = mx.array([1.0, 2.0, 3.0])
    taken = mx.compile(lambda i: tm.Tensor(x)[tm.Tensor(i)].array)
    assert taken(mx.array([10**9, -(10**9), 1])).tolist() == [3.0, 1.0, 2.0]
    with pytest.raises(RuntimeError, match="depends on the values of the mask"):
        mx.compile(lambda mask: tm.Tensor(x)[tm.Tensor(mask)].array)(x > 1)
