"""``MultiheadAttention``."""

from __future__ import annotations

from typing import Any, ClassVar

from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from ...ops.creation import empty
from ...ops.multi_head import canonical_mask
from ...ops.shaping import expand, reshape, transpose
from .. import functional as F
from .. import init
from .linear import NonDynamicallyQuantizableLinear
from .module import Module

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention of several heads: for each query a mean of values, weighted by the softmax of products with keys.

    head_i = softmax(Q_i K_i^T / sqrt(d)) V_i, where Q_i, K_i and V_i are linear maps of the inputs to d =
    embed_dim / num_heads features; the result is a linear map of all heads together.

    ``in_proj_weight`` (3 * embed_dim, embed_dim) has the maps of queries, keys and values one under the other; where
    keys or values have another size there are ``q_proj_weight``, ``k_proj_weight`` and ``v_proj_weight`` instead. They
    begin by ``init.xavier_uniform_``, the biases as 0.

    Args:
        embed_dim: the number of features of queries and results.
        num_heads: the number of heads, which divides ``embed_dim``.
        dropout: the probability with which weights are set to 0 in training.
        bias: whether the linear maps have biases.
        add_bias_kv: whether there is one more key and value, which are learned.
        add_zero_attn: whether there is one more key and value, of zeros.
        kdim, vdim: the number of features of keys and of values; None: ``embed_dim``.
        batch_first: whether inputs are (n, l, embed_dim), or (l, n, embed_dim).
        device, dtype: those of the Parameters.

    Raises:
        ValueError: ``embed_dim`` or ``num_heads`` is not positive.
        AssertionError: ``num_heads`` does not divide ``embed_dim``; inputs and masks that do not fit.

    Source: ``torch.nn.MultiheadAttention``.

    >>> import torchish_mlx as torch
    >>> x = torch.ones(5, 2, 4)
    >>> out, weights = torch.nn.MultiheadAttention(4, 2)(x, x, x)
    >>> out.shape, weights.shape
    (torch.Size([5, 2, 4]), torch.Size([2, 5, 5]))
    """

    __constants__: ClassVar = ["batch_first"]
    in_proj_weight: Any
    q_proj_weight: Any
    k_proj_weight: Any
    v_proj_weight: Any
    in_proj_bias: Any
    bias_k: Any
    bias_v: Any

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                "instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")

        def made(*shape: int) -> Parameter:
            return Parameter(empty(shape, device=device, dtype=dtype))

        apart = {"q_proj_weight": embed_dim, "k_proj_weight": self.kdim, "v_proj_weight": self.vdim}
        if self._qkv_same_embed_dim:
            self.in_proj_weight = made(3 * embed_dim, embed_dim)
            for name in apart:
                self.register_parameter(name, None)
        else:
            for name, size in apart.items():
                setattr(self, name, made(embed_dim, size))
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", made(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.bias_k = made(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = made(1, 1, embed_dim) if add_bias_kv else None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"_qkv_same_embed_dim": True, **state})

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The result, and the weights or None.

        Args:
            query: (l, n, embed_dim), (n, l, embed_dim) with ``batch_first``, or (l, embed_dim).
            key: (s, n, kdim), with the batch as in ``query``.
            value: (s, n, vdim), with the batch as in ``query``.
            key_padding_mask: (n, s), or (s,): true for keys that do not count, or numbers that are added to scores.
            need_weights: whether the weights are returned; without them less memory is used.
            attn_mask: (l, s) or (n * num_heads, l, s): true for pairs that do not count, or numbers that are added.
            average_attn_weights: whether the weights are the mean over the heads, (n, l, s), or (n, num_heads, l, s).
            is_causal: that ``attn_mask`` is the one of ``Transformer.generate_square_subsequent_mask``.
        """
        dtype = query.array.dtype
        key_padding_mask = canonical_mask(key_padding_mask, "key_padding_mask", attn_mask, "attn_mask", dtype)
        attn_mask = canonical_mask(attn_mask, "attn_mask", None, "", dtype)
        turned = self.batch_first and query.ndim == 3
        if turned:  # what is one Tensor stays one, so that it is multiplied once
            same = {id(x): transpose(x, 0, 1) for x in (query, key, value)}
            query, key, value = same[id(query)], same[id(key)], same[id(value)]
        out, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (transpose(out, 0, 1) if turned else out), weights

    def merge_masks(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor
    ) -> tuple[Tensor | None, int | None]:
        """Both masks as one of shape (n, num_heads, l, l) and 2; a ``key_padding_mask`` alone as it is and 1; or None.

        ``query`` has the batch first.
        """
        if attn_mask is None:
            return key_padding_mask, None if key_padding_mask is None else 1
        batch, length, _ = query.shape
        if attn_mask.ndim == 3:
            merged = reshape(attn_mask, (batch, -1, length, length))
        else:
            merged = expand(reshape(attn_mask, (1, 1, length, length)), (batch, self.num_heads, length, length))
        if key_padding_mask is not None:
            merged = merged + reshape(key_padding_mask, (batch, 1, 1, length))
        return merged, 2
