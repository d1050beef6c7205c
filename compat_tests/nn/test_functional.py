"""torch.nn.functional where op_db is blind: messages, warnings, old arguments, gradients of rows, arrays, traces."""

from __future__ import annotations

import warnings
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.functional_calls import CALLS, Call, long


def outcome(call: Call, T: Any) -> tuple[Any, list[tuple[type, str]]]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            found: Any = call(T, T.nn.functional)
        except Exception as error:
            found = (type(error), str(error))
    return found, [(w.category, str(w.message)) for w in seen]


@pytest.mark.parametrize("name", CALLS)
def test_as_torch(name: str) -> None:
    (mine, my_warnings), (theirs, their_warnings) = outcome(CALLS[name], tm), outcome(CALLS[name], torch)
    assert my_warnings == their_warnings
    if isinstance(theirs, tuple):
        assert mine == theirs
        return
    assert not isinstance(mine, tuple), mine
    assert str(mine.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2]
    assert tuple(mine.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(np.array(mine.tolist()), np.array(theirs.tolist()), rtol=2e-6, atol=2e-7)


def test_a_warning_shows_the_line_of_the_user() -> None:
    for call in (
        lambda F, x: F.mse_loss(x, x, size_average=False),
        lambda F, x: F.mse_loss(x, x[:1]),
        lambda F, x: F.softmax(x),
        lambda F, x: F.kl_div(x, x),
    ):
        with pytest.warns(UserWarning, match=" ") as seen:
            call(tm.nn.functional, tm.ones(2))
        assert seen[0].filename == __file__


def test_max_norm_writes_into_the_weight() -> None:
    weights = [T.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]).requires_grad_() for T in (tm, torch)]
    for T, w in zip((tm, torch), weights, strict=True):
        T.nn.functional.embedding(long(T, 0, 0, 1), w, max_norm=1.0).sum().backward()
    mine, theirs = weights
    np.testing.assert_allclose(mine.tolist(), theirs.tolist(), rtol=1e-6)
    assert mine.grad.tolist() == theirs.grad.tolist()
    assert mine.tolist()[2] == [6.0, 8.0]


def rows_of(index: Any, **kwargs: Any) -> Any:
    w = tm.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]).requires_grad_()
    y = tm.nn.functional.embedding(index, w, sparse=True, **kwargs)
    (y * y).sum().backward()
    return w


@pytest.mark.parametrize("padding_idx", [None, 0, 1])
def test_a_sparse_gradient_has_torchs_rows(padding_idx: int | None) -> None:
    mine = rows_of(long(tm, 1, 1, 0), padding_idx=padding_idx).grad
    w = torch.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]).requires_grad_()
    y = torch.nn.functional.embedding(long(torch, 1, 1, 0), w, sparse=True, padding_idx=padding_idx)
    (y * y).sum().backward()
    assert w.grad is not None
    assert mine.indices.tolist() == w.grad._indices()[0].tolist()
    np.testing.assert_allclose(np.array(mine.values), w.grad._values(), rtol=1e-6)


def test_sparse_gradients_are_added() -> None:
    w = tm.ones(3, 2).requires_grad_()
    F = tm.nn.functional
    (F.embedding(long(tm, 1), w, sparse=True) + F.embedding(long(tm, 2), w, sparse=True)).sum().backward()
    F.embedding(long(tm, 1), w, sparse=True).sum().backward()
    assert w.grad.is_sparse
    assert w.grad.dense().tolist() == [[0, 0], [2, 2], [1, 1]]
    w.sum().backward()
    assert w.grad.tolist() == [[1, 1], [3, 3], [2, 2]]
    (F.embedding(long(tm, 0), w, sparse=True).sum() + w.sum()).backward()
    assert w.grad.tolist() == [[3, 3], [4, 4], [3, 3]]


def test_a_sparse_gradient_trains_by_sparse_adam() -> None:
    weights = []
    for T in (tm, torch):
        w = T.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])
        w = T.nn.Parameter(w) if T is torch else tm.Parameter(w)
        optimizer = T.optim.SparseAdam([w], lr=0.1)
        for index in (long(T, 1, 1), long(T, 0)):
            optimizer.zero_grad()
            (T.nn.functional.embedding(index, w, sparse=True) ** 2).sum().backward()
            optimizer.step()
        weights.append(w.tolist())
    np.testing.assert_allclose(*weights, rtol=1e-6)


def test_what_a_sparse_gradient_cannot_do_is_refused() -> None:
    F, w = tm.nn.functional, tm.ones(3, 2).requires_grad_()
    with pytest.raises(RuntimeError, match="needs a weight that is a leaf"):
        F.embedding(long(tm, 1), w * 2, sparse=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse gradients"):
        F.embedding(long(tm, 1), w, sparse=True, scale_grad_by_freq=True)
    y = F.embedding(long(tm, 1), w, sparse=True).sum()
    with pytest.raises(RuntimeError, match="has no derivative"):
        y.backward(create_graph=True)
    assert F.embedding(long(tm, 1), (w * 2).detach(), sparse=True).tolist() == [[2, 2]]


@pytest.mark.parametrize("causal", [False, True])
def test_dropout_in_attention(causal: bool) -> None:
    """The weights that torch drops are dropped."""
    given = [np.random.default_rng(i).normal(size=(2, 3, 5, 4)).astype(np.float32) for i in range(3)]
    theirs = [torch.tensor(x, requires_grad=True) for x in given]
    mine = [tm.tensor(x, requires_grad=True) for x in given]
    tm.manual_seed(1), torch.manual_seed(1)
    out = tm.nn.functional.scaled_dot_product_attention(*mine, dropout_p=0.3, is_causal=causal)
    wanted = torch.nn.functional.scaled_dot_product_attention(*theirs, dropout_p=0.3, is_causal=causal)
    np.testing.assert_allclose(out.detach().numpy(), wanted.detach().numpy(), atol=1e-6)
    (out * out).sum().backward(), (wanted * wanted).sum().backward()
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), atol=1e-5)
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        tm.nn.functional.scaled_dot_product_attention(*mine, dropout_p=1.5)


def test_running_statistics_move_as_torchs() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    for name in ("batch_norm", "instance_norm"):
        kept = []
        for T in (tm, torch):
            mean, var = T.zeros(3), T.ones(3)
            kwargs = {"training": True} if name == "batch_norm" else {}
            for _ in range(2):
                getattr(T.nn.functional, name)(T.tensor(x.tolist()), mean, var, momentum=0.3, **kwargs)
            kept.append([mean.tolist(), var.tolist()])
        np.testing.assert_allclose(*kept, rtol=1e-5)


def test_a_traced_step() -> None:
    """What looks at values is left out in a step that is compiled."""
    F = tm.nn.functional

    def loss(x: mx.array, w: mx.array, at: mx.array) -> mx.array:
        rows = F.embedding(tm.Tensor(at), tm.Tensor(w))
        hot = F.one_hot(tm.Tensor(at), 4)
        p = F.binary_cross_entropy(F.sigmoid(rows), F.sigmoid(tm.Tensor(x)))
        return (F.cross_entropy(rows, tm.Tensor(at)) + p + (hot * 1.0).mean()).array

    args = mx.random.normal((3, 4)), mx.random.normal((4, 4)), mx.array([0, 3, 1], mx.int64)
    np.testing.assert_allclose(mx.compile(loss)(*args).item(), loss(*args).item(), rtol=1e-5)


@pytest.mark.parametrize("array", [mx.array, np.asarray])
def test_arrays_are_taken(array: Any) -> None:
    F, x = tm.nn.functional, np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    at = np.array([0, 3, 1])
    theirs = torch.nn.functional.cross_entropy(torch.tensor(x), torch.tensor(at)).item()
    for logits in (tm.tensor(mx.array(x)), array(x)):
        assert F.cross_entropy(logits, target=array(at)).item() == pytest.approx(theirs)
    assert F.embedding(array(at), tm.tensor(mx.array(x[[0, 1, 2, 0]]))).shape == (3, 4)
    assert F.relu(array(x)).tolist() == np.maximum(x, 0).tolist()
