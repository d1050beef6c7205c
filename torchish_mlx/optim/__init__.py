"""``torch.optim`` over MLX: the same classes, arguments, state dicts and hooks::

    optimizer = optim.AdamW(model, lr=1e-3)              # an mlx.nn.Module, or Parameters as in torch
    optimizer.zero_grad()
    loss = torchish_mlx.backward(model, loss_fn, x, y)
    optimizer.step()

MLX's own calls work on the same object: ``optimizer.update(model, grads)``, ``apply_gradients``, ``init``, ``state``.
"""

import typing as _typing

from .._absent import getter as _getter
from . import lr_scheduler as lr_scheduler
from . import swa_utils as swa_utils
from .adafactor import Adafactor
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .asgd import ASGD
from .from_mlx import Lion, MultiOptimizer, from_mlx
from .lbfgs import LBFGS
from .muon import Muon
from .optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from .rms import Adadelta, Adagrad, RMSprop
from .rprop import Rprop
from .sgd import SGD
from .sparse_adam import SparseAdam

__all__ = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "Lion",
    "MultiOptimizer",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
    "from_mlx",
    "lr_scheduler",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "swa_utils",
]

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.optim", globals())
