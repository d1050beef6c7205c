"""Attention: a mean of values, weighted by the softmax of products of queries and keys."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from .._core.promotion import IN_C, INEXACT, NAMES
from .._tensor.tape import unbroadcast
from .._tensor.tensor import Tensor, wrap
from ._declare import composed, op
from ._double import softmax_along
from ._op import Array, Operand
from .arranging import repeat_interleave
from .dropout import dropout
from .matmul import matmul, turned


def _weights(scores: mx.array, mask: mx.array | None, causal: bool) -> mx.array:
    """The softmax of the scores; zeros in a row where the mask leaves nothing."""
    if causal:
        rows, columns = scores.shape[-2:]
        scores = mx.where(mx.tri(rows, columns, dtype=mx.float32) > 0, scores, -mx.inf)
    if mask is None:
        return softmax_along(scores, -1)
    scores = mx.where(mask, scores, -mx.inf) if mask.dtype == mx.bool_ else scores + mask
    nothing = mx.max(scores, axis=-1, keepdims=True) == -mx.inf
    return mx.where(nothing, 0, softmax_along(mx.where(nothing, 0, scores), -1))


def _scores_gradients(
    g: mx.array,
    query: mx.array,
    key: mx.array,
    value: mx.array,
    mask: mx.array | None,
    weights: mx.array,
    scale: float,
) -> tuple[Any, ...]:
    if not weights.size or not g.size:
        return tuple(None if x is None else mx.zeros_like(x) for x in (query, key, mask))
    each = (g @ turned(value)) * weights
    each = each - weights * mx.sum(each, axis=-1, keepdims=True)
    return (
        unbroadcast((each @ key) * scale, query.shape),
        unbroadcast(turned(each) @ (query * scale), key.shape),
        None if mask is None else unbroadcast(each, mask.shape),
    )


@op(
    grad={
        "query, key, mask": _scores_gradients,
        "value": lambda g, value_shape, weights: unbroadcast(turned(weights) @ g, value_shape),
    },
    promote="same",
    residuals=("weights",),
    name="attention.kernel",
    node="ScaledDotProductFlashAttentionForCpuBackward0",
    function=False,
    method=False,
)
def _attention(query: Operand, key: Operand, value: Operand, mask: Array | None, causal: bool, scale: float) -> Any:
    if not key.shape[-2] or not query.size:
        lead = (query[..., :1, :1] @ mx.zeros((1, 1), query.dtype)).shape[:-2]
        out = mx.zeros((*lead, query.shape[-2], value.shape[-1]), query.dtype)
        return out, out
    weights = _weights((query * scale) @ turned(key), mask, causal)
    return weights @ value, weights


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    given = {"query": query, "key": key, "value": value}
    if min(x.ndim for x in given.values()) < 2:
        said = " ".join(f"{'and ' if n == 'value' else ''}{n}.dim: {x.ndim}" for n, x in given.items())
        raise RuntimeError(f"Expected query, key, and value to all be  at least 2 dimensional, but got {said} instead.")
    if not query.dtype == key.dtype == value.dtype:
        said = " ".join(f"{'and ' if n == 'value' else ''}{n}.dtype: {IN_C[x.array.dtype]}" for n, x in given.items())
        raise RuntimeError(f"Expected query, key, and value to have the same dtype, but got {said} instead.")
    if query.dtype not in INEXACT:
        raise RuntimeError(f"expected scalar type Float but found {NAMES[query.array.dtype]}")
    if mask is not None and mask.dtype not in (mx.bool_, mx.float32, query.dtype):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{IN_C[mask.array.dtype]} and  query.dtype: {IN_C[query.array.dtype]} instead."
        )
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(
            f"scaled_dot_product_attention(): queries of size {query.shape[-1]} need keys of that size and as many "
            f"values as keys, but the keys have shape {list(key.shape)} and the values {list(value.shape)}"
        )


def _repeated(query: Tensor, x: Tensor) -> Tensor:
    heads, own = query.shape[-3], x.shape[-3]
    if heads == own:
        return x
    if own == 0 or heads % own:
        raise RuntimeError("Number of heads in key and value must divide the number of heads in query")
    found: Tensor = repeat_interleave(x, heads // own, -3)
    return found


@composed(
    module="nn.functional", shape="(..., n, e), (..., m, e) and (..., m, v) give (..., n, v); a mask is (..., n, m)"
)
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key^T * scale + attn_mask) @ value.

    A mask of booleans is true for the keys that count; a query for which none counts has zeros. With ``is_causal``
    query i counts the keys up to i. ``scale`` is 1 / sqrt(e) by default. With ``enable_gqa`` there may be fewer heads
    of keys and values than of queries, each for several heads of queries that follow each other.

    With ``dropout_p`` the weights go through ``dropout``, always as in training.

    Raises:
        RuntimeError: shapes or dtypes that do not fit together; ``dropout_p`` is not from 0 to 1.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> F.scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    if enable_gqa:
        key, value = _repeated(query, key), _repeated(query, value)
    _check(query, key, value, attn_mask)
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1]) if query.shape[-1] else math.inf
    if dropout_p:  # the weights alone are the weighted sum of the rows of the identity
        rows = wrap(mx.eye(key.shape[-2], dtype=query.array.dtype))
        weights = _attention(query, key, rows, attn_mask, is_causal, scale)
        return matmul(dropout(weights, dropout_p, True), value)
    out: Tensor = _attention(query, key, value, attn_mask, is_causal, scale)
    return out
