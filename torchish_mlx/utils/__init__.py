"""What of ``torch.utils`` is here: ``data``."""

import typing as _typing

from .._absent import getter as _getter
from . import data

__all__ = ["data"]

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.utils", globals())
