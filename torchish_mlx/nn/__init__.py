"""``torch.nn``: modules, ``functional``, ``init`` and ``utils``; and ``tree``, which gives a module to MLX's functions.

``average_gradients_`` is here as well, because ``mlx.nn`` has its ``average_gradients`` in this place.
"""

import typing as _typing

from .._absent import getter as _getter
from .._tensor.parameter import Parameter
from . import functional, init, modules, parallel, parameter, utils
from ._tree import tree
from .modules import *  # noqa: F403
from .modules._members import Buffer
from .parallel import DataParallel

if _typing.TYPE_CHECKING:
    from .utils import average_gradients_ as average_gradients_

__all__ = [
    "Buffer",
    "DataParallel",
    "Parameter",
    "average_gradients_",
    "functional",
    "init",
    "modules",
    "parallel",
    "parameter",
    "tree",
    "utils",
    *modules.__all__,
]

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.nn", globals(), parts={"average_gradients_": "utils.average_gradients"})
