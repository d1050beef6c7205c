"""The functions of ``torch.nn.functional``: activations, norms, losses, attention. The registry of ``ops`` has them."""

from typing import TYPE_CHECKING

from ..._absent import absent as _error_for_absent
from ...ops.functions import FUNCTIONAL as _FUNCTIONS

if TYPE_CHECKING:
    from ._table import *  # noqa: F403
else:
    globals().update(_FUNCTIONS)
    __all__ = sorted(_FUNCTIONS)

    def __getattr__(name: str) -> object:
        raise _error_for_absent(name, f"module {__name__!r}", "nn.functional.")
