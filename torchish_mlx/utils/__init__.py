"""What of ``torch.utils`` is here: ``data`` and ``checkpoint``."""

import typing as _typing

from .._absent import getter as _getter

if _typing.TYPE_CHECKING:
    from . import checkpoint as checkpoint
    from . import data as data
    from . import tensorboard as tensorboard

__all__ = ["checkpoint", "data"]

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.utils", globals(), ("checkpoint", "data", "tensorboard"))
