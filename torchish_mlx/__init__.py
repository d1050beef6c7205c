"""torch's API over MLX, as far as it is here: ``import torchish_mlx as torch``."""

import typing as _typing

from . import amp as amp
from . import autograd as autograd
from . import compiler as compiler
from . import nn as nn
from . import random as random
from . import serialization as serialization
from . import version as version
from ._absent import getter as _getter
from ._modules import get_device_module as get_device_module
from ._names import *  # noqa: F403
from ._version import __version__ as __version__
from .compiler import compile as compile
from .serialization import load as load
from .serialization import save as save

if _typing.TYPE_CHECKING:
    from . import __config__ as __config__
    from . import _dynamo as _dynamo
    from . import accelerator as accelerator
    from . import backends as backends
    from . import checkpoint as checkpoint
    from . import cpu as cpu
    from . import cuda as cuda
    from . import distributed as distributed
    from . import distributions as distributions
    from . import hub as hub
    from . import jit as jit
    from . import mps as mps
    from . import mtia as mtia
    from . import multiprocessing as multiprocessing
    from . import onnx as onnx
    from . import optim as optim
    from . import optimizers as optimizers
    from . import profiler as profiler
    from . import testing as testing
    from . import utils as utils
    from . import xpu as xpu

if not _typing.TYPE_CHECKING:  # all of these names are public, which a checker of types sees by itself
    from ._names import __all__ as _tensor_names

    __all__ = [
        "__version__",
        "accelerator",
        "amp",
        "autograd",
        "backends",
        "checkpoint",
        "compile",
        "compiler",
        "cpu",
        "cuda",
        "get_device_module",
        "hub",
        "jit",
        "load",
        "mps",
        "mtia",
        "multiprocessing",
        "nn",
        "optim",
        "optimizers",
        "profiler",
        "random",
        "save",
        "serialization",
        "testing",
        "utils",
        "version",
        "xpu",
        *_tensor_names,
    ]

    # torch has these in memory at once; here most programs do without them, and an import is 0.1 s shorter
    _LATER = (
        "__config__",
        "_dynamo",
        "accelerator",
        "backends",
        "checkpoint",
        "cpu",
        "cuda",
        "distributed",
        "distributions",
        "hub",
        "jit",
        "mps",
        "mtia",
        "multiprocessing",
        "onnx",
        "optim",
        "optimizers",
        "profiler",
        "testing",
        "utils",
        "xpu",
    )
    __getattr__ = _getter("torch", globals(), _LATER)
