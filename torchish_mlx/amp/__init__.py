"""``torch.amp`` over MLX: loss scaling for training with float16 arithmetic."""

from .grad_scaler import GradScaler, OptState

__all__ = ["GradScaler", "OptState"]
