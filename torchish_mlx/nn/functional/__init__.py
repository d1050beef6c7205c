"""The functions of ``torch.nn.functional``: activations, norms, losses, attention. The registry of ``ops`` has them."""

from typing import TYPE_CHECKING

from ..._absent import getter as _getter
from ...ops.functions import FUNCTIONAL as _FUNCTIONS

if TYPE_CHECKING:
    from ._table import *  # noqa: F403
else:
    globals().update(_FUNCTIONS)
    __all__ = sorted(_FUNCTIONS)

if not TYPE_CHECKING:
    __getattr__ = _getter("torch.nn.functional", globals())
