"""What of ``torch.utils`` is here: ``data`` and ``checkpoint``."""

import typing as _typing

from .._absent import getter as _getter
from . import checkpoint, data

__all__ = ["checkpoint", "data"]

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.utils", globals())
