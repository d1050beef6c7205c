"""What of ``torch.nn`` is here: ``functional`` and ``utils``. Models are those of ``mlx.nn``.

``average_gradients_`` is here as well, because ``mlx.nn`` has its ``average_gradients`` in this place.
"""

from . import functional, utils
from .utils import average_gradients_

__all__ = ["average_gradients_", "functional", "utils"]
