"""Functions on the gradients of Parameters, spelled like ``torch.nn.utils``; and ``average_gradients_``."""

import typing as _typing

from ..._absent import getter as _getter
from . import rnn
from .average_gradients import average_gradients_
from .clip_grad import clip_grad_norm, clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "rnn",
    "average_gradients_",
]

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.nn.utils", globals())
