"""What of ``torch.nn`` is here: ``utils``. Models and losses are those of ``mlx.nn``."""

from . import utils

__all__ = ["utils"]
