"""``torch.nn.parameter``: Parameters, buffers, and those whose shapes are not known yet."""

from __future__ import annotations

from .._tensor.parameter import Parameter
from .modules._members import Buffer
from .modules.lazy import UninitializedBuffer, UninitializedParameter, is_lazy

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]
