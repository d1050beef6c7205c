"""Attention of several heads, with the linear maps before and behind it, as ``nn.MultiheadAttention`` computes it."""

from __future__ import annotations

import math
import warnings
from typing import Any

import mlx.core as mx

from .._core.promotion import FLOATS
from .._tensor.tensor import Tensor, wrap
from ._declare import composed
from .arithmetic import add, mul
from .attention import scaled_dot_product_attention
from .dropping import dropout
from .joining import cat
from .linear import linear
from .matmul import matmul
from .padding import pad
from .parts import chunk, split, unbind
from .reduction import mean
from .shaping import expand, permute, reshape, squeeze, transpose, unsqueeze
from .softmax import softmax


def canonical_mask(mask: Tensor | None, name: str, other: Tensor | None, other_name: str, dtype: Any) -> Tensor | None:
    """A mask as numbers that are added to scores: minus infinity where a mask of booleans is true.

    It warns where ``other``, another mask, has another dtype.

    Raises:
        AssertionError: a mask of integers.
    """
    if mask is None:
        return None
    if mask.dtype != mx.bool_ and mask.dtype not in FLOATS:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if other is not None and mask.dtype != other.dtype:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    if mask.dtype in FLOATS:
        return mask
    return wrap(mx.where(mask.array, mx.array(-math.inf, dtype), mx.array(0.0, dtype)))


def _check_dimensions(query: Tensor, key: Tensor, value: Tensor, padding: Any, mask: Any, heads: int) -> bool:
    """Whether there is a dimension for the batch; what does not fit to that is refused."""
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
        )
    n = query.ndim
    kind = "For batched (3-D) `query`" if n == 3 else "For unbatched (2-D) `query`"
    if key.ndim != n or value.ndim != n:
        raise AssertionError(
            f"{kind}, expected `key` and `value` to be {n}-D but found {key.ndim}-D and {value.ndim}-D tensors "
            "respectively"
        )
    if padding is not None and padding.ndim != n - 1:
        raise AssertionError(
            f"{kind}, expected `key_padding_mask` to be `None` or {n - 1}-D but found {padding.ndim}-D tensor instead"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(
            f"{kind}, expected `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead"
        )
    if mask is not None and n == 2 and mask.ndim == 3:
        expected = (heads, query.shape[0], key.shape[0])
        if tuple(mask.shape) != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {mask.shape}")
    return n == 3


def _check_mask(mask: Tensor, targets: int, sources: int, batch: int) -> None:
    """``batch`` is the number of samples times that of heads."""
    expected = (targets, sources) if mask.ndim == 2 else (batch, targets, sources)
    if tuple(mask.shape) != expected:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {expected}.")


def _in_heads(x: Tensor, heads: int) -> Tensor:
    """(length, batch, features) as (batch, heads, length, features of a head)."""
    length, batch, width = x.shape
    found: Tensor = permute(reshape(x, (length, batch, heads, width // heads)), (1, 2, 0, 3))
    return found


def _fixed(name: str, x: Tensor, batch: int, heads: int, width: int) -> Tensor:
    """Keys or values that are given as (batch * heads, length, features of a head)."""
    for d, expected in ((0, batch * heads), (2, width)):
        if x.shape[d] != expected:
            raise AssertionError(f"expecting {name}.size({d}) of {expected}, but got {x.shape[d]}")
    found: Tensor = reshape(x, (batch, heads, *x.shape[1:]))
    return found


def _packed(query: Tensor, key: Tensor, value: Tensor, weight: Any, bias: Any) -> Any:
    """Queries, keys and values by one weight; one product for those that are of the same Tensor."""
    if weight is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    if key is not value:
        biases = (None, None, None) if bias is None else chunk(bias, 3)
        return [linear(x, w, b) for x, w, b in zip((query, key, value), chunk(weight, 3), biases, strict=True)]
    width = query.shape[-1]
    if query is key:
        return _unjoined(linear(query, weight, bias), 3)
    of_query, of_both = split(weight, [width, 2 * width])
    b_query, b_both = (None, None) if bias is None else split(bias, [width, 2 * width])
    return [linear(query, of_query, b_query), *_unjoined(linear(key, of_both, b_both), 2)]


def _unjoined(x: Tensor, count: int) -> Any:
    """The parts of the last dimension."""
    return unbind(reshape(x, (*x.shape[:-1], count, x.shape[-1] // count)), -2)


def _separate(query: Tensor, key: Tensor, value: Tensor, weights: dict[str, Any], bias: Any) -> list[Tensor]:
    """Queries, keys and values by a weight for each, in the order of ``weights``."""
    biases = (None, None, None) if bias is None else chunk(bias, 3)
    width, made = query.shape[-1], []
    for x, (name, weight), b in zip((query, key, value), weights.items(), biases, strict=True):
        if weight is None:
            raise AssertionError(f"use_separate_proj_weight is True but {name[0]}_proj_weight is None")
        for what, given, expected in (("weights", weight, (width, x.shape[-1])), ("bias", b, (width,))):
            if given is not None and tuple(given.shape) != expected:
                raise AssertionError(f"expecting {name} {what} shape of {expected}, but got {given.shape}")
        made.append(linear(x, weight, b))
    return made


def _with_biases(k: Tensor, v: Tensor, bias_k: Any, bias_v: Any, fixed_k: Any, fixed_v: Any) -> tuple[Tensor, Tensor]:
    """Keys and values with one more, which is learned."""
    for fixed, name in ((fixed_k, "key"), (fixed_v, "value")):
        if fixed is not None:
            raise AssertionError(f"bias cannot be added to static {name}.")
    batch, width = k.shape[1:]
    return tuple(cat([x, expand(b, (1, batch, width))]) for x, b in ((k, bias_k), (v, bias_v)))


@composed(module="nn.functional", shape="(l, n, e), (s, n, k) and (s, n, v) give (l, n, e), and weights (n, l, s)")
def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """What ``nn.MultiheadAttention`` computes: the attention of each head, and the weights, or None in their place.

    Without a dimension for the batch it is (l, e), (s, k), (s, v), (l, e) and (l, s). A mask of booleans is true for
    what does not count, another one is added to the scores: ``key_padding_mask`` (n, s) for keys, ``attn_mask`` (l, s)
    or (n * num_heads, l, s) for pairs. ``is_causal`` says that ``attn_mask``, which has to be given, is that of
    ``nn.Transformer.generate_square_subsequent_mask``. ``static_k`` and ``static_v`` of shape (n * num_heads, s,
    e / num_heads) take the place of keys and values behind their maps.

    Raises:
        AssertionError: numbers of dimensions, sizes or weights that do not fit together.
        RuntimeError: a mask of another shape; ``is_causal`` without a mask.

    >>> import torchish_mlx as torch
    >>> x, zeros = torch.eye(2), torch.zeros(6)
    >>> out, weights = torch.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 2, 1, torch.cat([x, x, x]), zeros, None, None, False, 0.0, x, None)
    >>> weights
    tensor([[0.6698, 0.3302],
            [0.3302, 0.6698]])
    """
    batched = _check_dimensions(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = _alike(lambda x: unsqueeze(x, 1), query, key, value)
        key_padding_mask = None if key_padding_mask is None else unsqueeze(key_padding_mask, 0)
    targets, batch, width = query.shape
    sources, dtype = key.shape[0], query.array.dtype
    padding = canonical_mask(key_padding_mask, "key_padding_mask", attn_mask, "attn_mask", dtype)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    is_causal = is_causal and padding is None and not need_weights
    mask = None if is_causal else canonical_mask(attn_mask, "attn_mask", None, "", dtype)
    if width != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}")
    if width % num_heads:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight and key.shape[:2] != value.shape[:2]:
        raise AssertionError(
            f"key's sequence and batch dims torch.Size({list(key.shape[:2])}) do not match value's "
            f"torch.Size({list(value.shape[:2])})"
        )
    if not use_separate_proj_weight and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
    if use_separate_proj_weight:
        weights = {"query": q_proj_weight, "key": k_proj_weight, "value": v_proj_weight}
        q, k, v = _separate(query, key, value, weights, in_proj_bias)
    else:
        q, k, v = _packed(query, key, value, in_proj_weight, in_proj_bias)
    if mask is not None:
        _check_mask(mask, targets, sources, batch * num_heads)
    more = int(add_zero_attn)
    if bias_k is not None and bias_v is not None:
        k, v = _with_biases(k, v, bias_k, bias_v, static_k, static_v)
        more += 1
    elif bias_k is not None or bias_v is not None:
        one, other = ("bias_k", "bias_v") if bias_v is None else ("bias_v", "bias_k")
        raise AssertionError(f"{one} is set but {other} is None")
    head = width // num_heads
    q = _in_heads(q, num_heads)
    k = _in_heads(k, num_heads) if static_k is None else _fixed("static_k", static_k, batch, num_heads, head)
    v = _in_heads(v, num_heads) if static_v is None else _fixed("static_v", static_v, batch, num_heads, head)
    if add_zero_attn:
        k, v = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1))
    if more:
        mask = None if mask is None else pad(mask, (0, more))
        padding = None if padding is None else pad(padding, (0, more))
    if mask is not None:
        mask = reshape(mask, (-1, num_heads if mask.ndim == 3 else 1, *mask.shape[-2:]))
    if padding is not None:
        padding = reshape(_of_keys(padding, batch, k.shape[2]), (batch, 1, 1, k.shape[2]))
        mask = padding if mask is None else add(mask, padding)
    p = dropout_p if training else 0.0
    if need_weights:
        found = _weights(q, k, mask, p)
        out = matmul(found, v)
    else:
        found, out = None, scaled_dot_product_attention(q, k, v, mask, p, is_causal)
    out = linear(reshape(permute(out, (2, 0, 1, 3)), (targets, batch, width)), out_proj_weight, out_proj_bias)
    if found is not None and average_attn_weights:
        found = mean(found, dim=1)
    if batched:
        return out, found
    return squeeze(out, 1), None if found is None else squeeze(found, 0)


def _alike(fn: Any, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``fn`` of all three; what was one Tensor before is one after it, so that one product does for it."""
    made = {id(x): fn(x) for x in (query, key, value)}
    return made[id(query)], made[id(key)], made[id(value)]


def _of_keys(mask: Tensor, batch: int, sources: int) -> Tensor:
    for d, expected in ((0, batch), (1, sources)):
        if mask.shape[d] != expected:
            raise AssertionError(f"Expected key_padded_mask.shape[{d}] to be {expected}, but got {mask.shape[d]}")
    return mask


def _weights(q: Tensor, k: Tensor, mask: Tensor | None, p: float) -> Tensor:
    """The weight of each key for each query, after dropout."""
    scores = matmul(mul(q, math.sqrt(1.0 / q.shape[-1])), transpose(k, -2, -1))
    found: Tensor = softmax(scores if mask is None else add(mask, scores), dim=-1)
    return dropout(found, p) if p > 0 else found
