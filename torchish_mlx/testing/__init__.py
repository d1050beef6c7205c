"""Comparisons for your own tests: errors in ulps, an optimizer compared with torch's, a training with another."""

from ._close import assert_close
from ._optimizer import OptimizerParity, Worst, assert_optimizer_parity
from ._training import TrainingParity, assert_training_parity
from ._ulps import as_numpy, ulps

__all__ = [
    "OptimizerParity",
    "TrainingParity",
    "Worst",
    "as_numpy",
    "assert_close",
    "assert_optimizer_parity",
    "assert_training_parity",
    "ulps",
]
