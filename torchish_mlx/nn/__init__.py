"""What of ``torch.nn`` is here: ``functional`` and ``utils``. Models are those of ``mlx.nn``.

``average_gradients_`` is here as well, because ``mlx.nn`` has its ``average_gradients`` in this place.
"""

import typing as _typing

from .._absent import getter as _getter
from . import functional, utils
from .utils import average_gradients_

__all__ = ["average_gradients_", "functional", "utils"]

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.nn", globals())
