"""The layers of the Transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..._tensor.tensor import Tensor
from ...ops.multi_head import canonical_mask
from .. import functional as F
from ._attention import MultiheadAttention
from .activation import GELU, ReLU
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]


def _function(activation: Any) -> Callable[[Tensor], Tensor]:
    if not isinstance(activation, str):
        own: Callable[[Tensor], Tensor] = activation
        return own
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    named: Callable[[Tensor], Tensor] = getattr(F, activation)
    return named


class _Layer(Module):
    """What both kinds of layers have in common."""

    __constants__: ClassVar = ["norm_first"]
    activation: Any

    def __getstate__(self) -> dict[str, Any]:
        """The attributes, with the name of a function of ``nn.functional`` in its place: pickle finds it by that."""
        state, function = dict(self.__dict__), self.__dict__.get("activation")
        name = getattr(function, "__name__", "")
        return {**state, "activation": name} if name and getattr(F, name, None) is function else state

    def _torch_state(self) -> dict[str, Any]:
        """The attributes in a file of torch's, which has the function itself."""
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        activation = state.get("activation", F.relu)
        if isinstance(activation, str):
            activation = getattr(F, activation)
        if "activation" not in state.get("_modules", ()):
            state = {**state, "activation": activation}
        super().__setstate__(state)

    def _attended(
        self, attention: Any, dropout: Any, x: Tensor, other: Tensor, mask: Any, padding: Any, causal: Any
    ) -> Any:
        """Attention of ``x`` to ``other``, after dropout."""
        found = attention(
            x, other, other, attn_mask=mask, key_padding_mask=padding, is_causal=causal, need_weights=False
        )
        return dropout(found[0])

    def _fed(self, x: Tensor, dropout: Any) -> Any:
        """Two linear maps with the activation between them, after dropout."""
        return dropout(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoderLayer(_Layer):
    """Attention of a sequence to itself, and two linear maps; each is added to its input, and normalized.

    x = norm1(x + attention(x)), x = norm2(x + linear2(activation(linear1(x)))); with ``norm_first`` x = x +
    attention(norm1(x)), x = x + linear2(activation(linear1(norm2(x)))).

    Args:
        d_model: the number of features.
        nhead: the number of heads, which divides ``d_model``.
        dim_feedforward: the number of features between the linear maps.
        dropout: the probability with which weights and features are set to 0 in training.
        activation: ``"relu"``, ``"gelu"`` or a function of a Tensor.
        layer_norm_eps: the ``eps`` of the normalization.
        batch_first: whether inputs are (n, l, d_model), or (l, n, d_model).
        norm_first: whether the normalization is before, and not behind.
        bias: whether linear maps and normalization have biases.
        device, dtype: those of the Parameters.

    Raises:
        RuntimeError: another word as ``activation``.
        AssertionError: as ``MultiheadAttention``.

    Source: ``torch.nn.TransformerEncoderLayer``.

    >>> import torchish_mlx as torch
    >>> torch.nn.TransformerEncoderLayer(8, 2, 16)(torch.ones(5, 3, 8)).shape
    torch.Size([5, 3, 8])
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        placed: Any = {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **placed)
        self.linear1 = Linear(d_model, dim_feedforward, **placed)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **placed)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, **placed)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, **placed)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        function = _function(activation)
        if function is F.relu or isinstance(function, ReLU):
            self.activation_relu_or_gelu = 1
        else:
            self.activation_relu_or_gelu = 2 if function is F.gelu or isinstance(function, GELU) else 0
        self.activation = function

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """The sequence after this layer; masks are those of ``MultiheadAttention.forward``."""
        dtype = src.array.dtype
        padding = canonical_mask(src_key_padding_mask, "src_key_padding_mask", src_mask, "src_mask", dtype)
        mask = canonical_mask(src_mask, "src_mask", None, "", dtype)
        if self.norm_first:
            src = src + self._sa_block(self.norm1(src), mask, padding, is_causal)
            return src + self._ff_block(self.norm2(src))
        src = self.norm1(src + self._sa_block(src, mask, padding, is_causal))
        return self.norm2(src + self._ff_block(src))

    def _sa_block(self, x: Tensor, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Tensor:
        return self._attended(self.self_attn, self.dropout1, x, x, attn_mask, key_padding_mask, is_causal)

    def _ff_block(self, x: Tensor) -> Tensor:
        return self._fed(x, self.dropout2)


class TransformerDecoderLayer(_Layer):
    """As ``TransformerEncoderLayer``, with attention to what an encoder made between the two parts.

    Args:
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device,
            dtype: as ``TransformerEncoderLayer`` has them.

    Raises:
        RuntimeError, AssertionError: as ``TransformerEncoderLayer``.

    Source: ``torch.nn.TransformerDecoderLayer``.

    >>> import torchish_mlx as torch
    >>> torch.nn.TransformerDecoderLayer(8, 2, 16)(torch.ones(5, 3, 8), torch.ones(7, 3, 8)).shape
    torch.Size([5, 3, 8])
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        placed: Any = {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **placed)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **placed)
        self.linear1 = Linear(d_model, dim_feedforward, **placed)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **placed)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, **placed)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, **placed)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, **placed)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = _function(activation)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The sequence ``tgt`` after this layer; ``memory`` is what the encoder made."""
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            tgt = tgt + self._sa_block(self.norm1(tgt), *own)
            tgt = tgt + self._mha_block(self.norm2(tgt), *other)
            return tgt + self._ff_block(self.norm3(tgt))
        tgt = self.norm1(tgt + self._sa_block(tgt, *own))
        tgt = self.norm2(tgt + self._mha_block(tgt, *other))
        return self.norm3(tgt + self._ff_block(tgt))

    def _sa_block(self, x: Tensor, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Tensor:
        return self._attended(self.self_attn, self.dropout1, x, x, attn_mask, key_padding_mask, is_causal)

    def _mha_block(
        self, x: Tensor, mem: Tensor, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False
    ) -> Tensor:
        return self._attended(self.multihead_attn, self.dropout2, x, mem, attn_mask, key_padding_mask, is_causal)

    def _ff_block(self, x: Tensor) -> Tensor:
        return self._fed(x, self.dropout3)
