"""``torch.amp`` over MLX: autocast, and loss scaling for training with float16 arithmetic."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from .._absent import getter as _getter
from . import autocast_mode as autocast_mode
from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available

if _TYPE_CHECKING:
    from . import grad_scaler as grad_scaler
    from .grad_scaler import GradScaler as GradScaler
    from .grad_scaler import OptState as OptState

__all__ = ["GradScaler", "OptState", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

if not _TYPE_CHECKING:  # the scaler needs the optimizers, which half of the programs do without
    _PARTS = {"GradScaler": "grad_scaler", "OptState": "grad_scaler"}
    __getattr__ = _getter("torch.amp", globals(), ("grad_scaler",), _PARTS)
