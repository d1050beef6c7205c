"""``torch.amp`` over MLX: autocast, and loss scaling for training with float16 arithmetic."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from .._absent import getter as _getter
from . import autocast_mode as autocast_mode
from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler, OptState

__all__ = ["GradScaler", "OptState", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

if not _TYPE_CHECKING:
    __getattr__ = _getter("torch.amp", globals())
