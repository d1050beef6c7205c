"""Native MLX optimizers with torch's numerics, used as ``mlx.optimizers`` is::

    optimizer = AdamW(learning_rate=1e-3)
    optimizer.update(model, grads)
    mx.eval(model.parameters(), optimizer.state)

MLX's schedules, ``Lion`` and the base class ``Optimizer`` are here as well, and a :class:`MultiOptimizer`,
so that ``import torchish_mlx.optimizers as optim`` replaces ``import mlx.optimizers as optim``.
"""

from mlx.optimizers import Lion, Optimizer

from .._core.sparse import RowSparse
from . import schedulers, schedules
from ._mlx_state import mlx_state
from ._multi import MultiOptimizer
from ._rule import Rule
from .adafactor import Adafactor
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .asgd import ASGD
from .clip import clip_grad_norm, clip_grad_value, get_total_norm, scale_by_norm
from .muon import Muon
from .rms import Adadelta, Adagrad, RMSprop
from .rprop import Rprop
from .schedulers import cosine_decay, exponential_decay, join_schedules, linear_schedule, step_decay
from .sgd import SGD
from .sparse_adam import SparseAdam

AdaDelta = Adadelta  # MLX's spelling

__all__ = [
    "ASGD",
    "SGD",
    "AdaDelta",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "MultiOptimizer",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "RowSparse",
    "Rule",
    "SparseAdam",
    "clip_grad_norm",
    "clip_grad_value",
    "cosine_decay",
    "exponential_decay",
    "get_total_norm",
    "join_schedules",
    "linear_schedule",
    "mlx_state",
    "schedulers",
    "schedules",
    "scale_by_norm",
    "step_decay",
]
