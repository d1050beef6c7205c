"""Averages of weights over training (SWA, EMA), the learning rate for them, and BatchNorm's statistics afterwards::

    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.999))
    ...
    optimizer.step()
    ema.update_parameters(model)                 # after every step
    ...
    update_bn(loader, ema)                       # at the end, where the model has BatchNorm

For ``mlx.nn`` models, with torch's names, arguments and numbers.
"""

from __future__ import annotations

import typing as _typing

from ..._absent import getter as _getter
from ._averaged_model import AveragedModel
from ._averages import get_ema_avg_fn, get_ema_multi_avg_fn, get_swa_avg_fn, get_swa_multi_avg_fn
from ._batch_norm import update_bn
from ._swalr import SWALR

__all__ = [
    "AveragedModel",
    "update_bn",
    "SWALR",
    "get_ema_multi_avg_fn",
    "get_swa_multi_avg_fn",
    "get_ema_avg_fn",
    "get_swa_avg_fn",
]

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.optim.swa_utils", globals())
