"""What of ``torch.nn`` is here: ``utils``. Models and losses are those of ``mlx.nn``.

``average_gradients_`` is to be found here as well, for ``average_gradients`` of ``mlx.nn`` has this place.
"""

from . import utils
from .utils import average_gradients_

__all__ = ["average_gradients_", "utils"]
