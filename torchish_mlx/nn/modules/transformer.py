"""The Transformer: encoder, decoder and their layers."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

from ..._core.trace import value
from ..._tensor.tensor import Tensor
from ...ops.arranging import triu
from ...ops.creation import full
from ...ops.multi_head import canonical_mask
from .. import functional as F
from .. import init
from ._attention import MultiheadAttention
from .activation import GELU, ReLU
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]


def _square_mask(size: int, device: Any = None, dtype: Any = None) -> Tensor:
    """Minus infinity above the diagonal, and 0 elsewhere."""
    made: Tensor = triu(full((size, size), -math.inf, device=device, dtype=dtype), 1)
    return made


def _causal(mask: Tensor | None, is_causal: bool | None, x: Tensor, batch_first: bool) -> bool:
    """Whether a mask hides what follows: as ``is_causal`` says, or by its values where that is None.

    A mask that is being traced has no values yet. It is then taken as any other mask, which gives the same result.
    """
    if is_causal is not None or mask is None:
        return is_causal is True
    size = x.shape[1 if batch_first and x.ndim == 3 else 0]
    if tuple(mask.shape) != (size, size):
        return False
    return value((mask == _square_mask(size, mask.device, mask.dtype)).all().array) is True


def _function(activation: Any) -> Callable[[Tensor], Tensor]:
    if not isinstance(activation, str):
        own: Callable[[Tensor], Tensor] = activation
        return own
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    named: Callable[[Tensor], Tensor] = getattr(F, activation)
    return named


def _copies(layer: Any, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


class _Layer(Module):
    """What both kinds of layers have in common."""

    __constants__: ClassVar = ["norm_first"]
    activation: Any

    def __getstate__(self) -> dict[str, Any]:
        """The attributes, with the name of a function of ``nn.functional`` in its place: pickle finds it by that."""
        state, function = dict(self.__dict__), self.__dict__.get("activation")
        name = getattr(function, "__name__", "")
        return {**state, "activation": name} if name and getattr(F, name, None) is function else state

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


class TransformerEncoder(Module):
    """Copies of a layer, one behind the other, and a normalization at the end if it is given.

    There is one way of computing it: torch's faster one for inference, with nested tensors, leaves zeros at the places
    that ``src_key_padding_mask`` hides, and here they have what the layers make of them, as in training.

    Args:
        encoder_layer: the layer, of which each copy begins with the same numbers.
        num_layers: how many copies there are.
        norm: a module for the end, or None.
        enable_nested_tensor, mask_check: about torch's faster way; they are kept as attributes, and torch's warnings
            are given.

    Source: ``torch.nn.TransformerEncoder``.

    >>> import torchish_mlx as torch
    >>> encoder = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    >>> encoder(torch.ones(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    __constants__: ClassVar = ["norm"]

    def __init__(
        self,
        encoder_layer: Any,
        num_layers: int,
        norm: Any = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check
        why = _why_not_nested(encoder_layer)
        if enable_nested_tensor and why:
            warnings.warn(
                f"enable_nested_tensor is True, but self.use_nested_tensor is False because {why}", stacklevel=2
            )
            self.use_nested_tensor = False

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """The sequence after all layers; with None for ``is_causal`` the mask is looked at."""
        dtype = src.array.dtype
        padding = canonical_mask(src_key_padding_mask, "src_key_padding_mask", mask, "mask", dtype)
        mask = canonical_mask(mask, "mask", None, "", dtype)
        causal = _causal(mask, is_causal, src, self.layers[0].self_attn.batch_first)
        for layer in self.layers:
            src = layer(src, src_mask=mask, is_causal=causal, src_key_padding_mask=padding)
        return src if self.norm is None else self.norm(src)


def _why_not_nested(layer: Any) -> str:
    """Why torch would not use nested tensors for this layer, in its words; empty where it would."""
    if not isinstance(layer, TransformerEncoderLayer):
        return "encoder_layer was not TransformerEncoderLayer"
    attention = layer.self_attn
    reasons = {
        ".norm_first was True": layer.norm_first,
        ".self_attn.batch_first was not True(use batch_first for better inference performance)": (
            not attention.batch_first
        ),
        ".self_attn._qkv_same_embed_dim was not True": not attention._qkv_same_embed_dim,
        ".self_attn was passed bias=False": attention.in_proj_bias is None,
        ".activation_relu_or_gelu was not True": not layer.activation_relu_or_gelu,
        ".norm1.eps was not equal to encoder_layer.norm2.eps": layer.norm1.eps != layer.norm2.eps,
        ".self_attn.num_heads is odd": attention.num_heads % 2 == 1,
    }
    return next(("encoder_layer" + reason for reason, holds in reasons.items() if holds), "")


class TransformerDecoder(Module):
    """Copies of a layer, one behind the other, and a normalization at the end if it is given.

    Args:
        decoder_layer: the layer, of which each copy begins with the same numbers.
        num_layers: how many copies there are.
        norm: a module for the end, or None.

    Source: ``torch.nn.TransformerDecoder``.

    >>> import torchish_mlx as torch
    >>> decoder = torch.nn.TransformerDecoder(torch.nn.TransformerDecoderLayer(8, 2, 16), 2)
    >>> decoder(torch.ones(5, 3, 8), torch.ones(7, 3, 8)).shape
    torch.Size([5, 3, 8])
    """

    __constants__: ClassVar = ["norm"]

    def __init__(self, decoder_layer: Any, num_layers: int, norm: Any = None) -> None:
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The sequence ``tgt`` after all layers; with None for ``tgt_is_causal`` the mask is looked at."""
        causal = _causal(tgt_mask, tgt_is_causal, tgt, self.layers[0].self_attn.batch_first)
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder and a decoder. All matrices begin by ``init.xavier_uniform_``.

    Args:
        d_model: the number of features.
        nhead: the number of heads, which divides ``d_model``.
        num_encoder_layers: how many layers the encoder has.
        num_decoder_layers: how many layers the decoder has.
        dim_feedforward, dropout, activation: as ``TransformerEncoderLayer`` has them.
        custom_encoder: a module to take as the encoder, or None.
        custom_decoder: a module to take as the decoder, or None.
        layer_norm_eps, batch_first, norm_first, bias, device, dtype: as ``TransformerEncoderLayer`` has them.

    Raises:
        RuntimeError: when called with batches that differ, or with another number of features.

    Source: ``torch.nn.Transformer``.

    >>> import torchish_mlx as torch
    >>> model = torch.nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    >>> mask = model.generate_square_subsequent_mask(5)
    >>> model(torch.ones(3, 7, 8), torch.ones(3, 5, 8), tgt_mask=mask).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        placed: Any = {"bias": bias, "device": device, "dtype": dtype}
        options = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first)
        if custom_encoder is None:
            custom_encoder = TransformerEncoder(
                TransformerEncoderLayer(*options, **placed),
                num_encoder_layers,
                LayerNorm(d_model, layer_norm_eps, **placed),
            )
        self.encoder = custom_encoder
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(
                TransformerDecoderLayer(*options, **placed),
                num_decoder_layers,
                LayerNorm(d_model, layer_norm_eps, **placed),
            )
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """What the decoder makes of ``tgt`` and of what the encoder makes of ``src``.

        ``memory_mask`` and ``memory_key_padding_mask`` are for the attention of the decoder to the encoder. With None
        for ``src_is_causal`` and ``tgt_is_causal`` the masks are looked at.
        """
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """A mask (sz, sz) that hides what follows: minus infinity above the diagonal, and 0 elsewhere."""
        return _square_mask(sz, device, dtype)
