"""Gradients: ``grad`` and ``backward``, calls with a derivative of their own, hooks, modes."""

import typing as _typing

from .._absent import getter as _getter
from .._tensor.modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from . import function, graph
from ._anomaly import detect_anomaly, set_detect_anomaly
from ._gradients import backward, grad
from .function import Function
from .variable import Variable

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "grad",
    "graph",
    "inference_mode",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.autograd", globals())
