"""``torch.amp`` over MLX: loss scaling for training with float16 arithmetic."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from .._absent import getter as _getter
from .grad_scaler import GradScaler, OptState

__all__ = ["GradScaler", "OptState"]

if not _TYPE_CHECKING:
    __getattr__ = _getter("torch.amp", globals())
