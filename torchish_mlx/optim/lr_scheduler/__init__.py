"""``torch.optim.lr_scheduler`` over any optimizer of ``torchish_mlx.optim``::

    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    for batch in batches:
        ...
        optimizer.step()
        scheduler.step()

A scheduler writes Python numbers into ``param_groups``, whose arrays a compiled step reads, so it moves learning rates,
momentum and betas without a new trace.
"""

import typing as _typing

from ..._absent import getter as _getter
from . import _closed_forms as _closed_forms
from ._base import EPOCH_DEPRECATION_WARNING as EPOCH_DEPRECATION_WARNING
from ._base import LRScheduler
from ._base import _LRScheduler as _LRScheduler
from ._composite import ChainedScheduler, SequentialLR
from ._cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from ._cycle import CyclicLR, OneCycleLR
from ._decay import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from ._from_schedule import FromSchedule
from ._lambda import LambdaLR, MultiplicativeLR
from ._plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "FromSchedule",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.optim.lr_scheduler", globals())
