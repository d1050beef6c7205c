"""torch's API over MLX, as far as it is here: ``import torchish_mlx as torch``."""

from . import amp, nn, optim, optimizers
from ._version import __version__
from .tensor import *  # noqa: F403
from .tensor import __all__ as _tensor_names

__all__ = ["__version__", "amp", "nn", "optim", "optimizers", *_tensor_names]
