"""torch's API over MLX, as far as it is here: ``import torchish_mlx as torch``."""

import typing as _typing

from . import amp as amp
from . import autograd as autograd
from . import checkpoint as checkpoint
from . import nn as nn
from . import optim as optim
from . import optimizers as optimizers
from . import random as random
from . import serialization as serialization
from . import testing as testing
from . import utils as utils
from ._absent import getter as _getter
from ._names import *  # noqa: F403
from ._version import __version__ as __version__
from .serialization import load as load
from .serialization import save as save

if not _typing.TYPE_CHECKING:  # all of these names are public, which a checker of types sees by itself
    from ._names import __all__ as _tensor_names

    __all__ = [
        "__version__",
        "amp",
        "autograd",
        "checkpoint",
        "load",
        "nn",
        "optim",
        "optimizers",
        "random",
        "save",
        "serialization",
        "testing",
        "utils",
        *_tensor_names,
    ]

    __getattr__ = _getter("torch", globals())
