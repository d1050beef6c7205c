"""torch's API over MLX, as far as it is here: ``import torchish_mlx as torch``."""

from . import amp, checkpoint, nn, optim, optimizers, serialization
from ._version import __version__
from .serialization import load, save
from .tensor import *  # noqa: F403
from .tensor import __all__ as _tensor_names

__all__ = [
    "__version__",
    "amp",
    "checkpoint",
    "load",
    "nn",
    "optim",
    "optimizers",
    "save",
    "serialization",
    *_tensor_names,
]
