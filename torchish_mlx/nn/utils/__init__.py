"""Functions on Parameters and their gradients, spelled like ``torch.nn.utils``; and ``average_gradients_``."""

import typing as _typing

from ..._absent import getter as _getter
from . import convert_parameters as convert_parameters
from . import rnn as rnn
from .convert_parameters import parameters_to_vector as parameters_to_vector
from .convert_parameters import vector_to_parameters as vector_to_parameters

if _typing.TYPE_CHECKING:
    from . import clip_grad as clip_grad
    from .average_gradients import average_gradients_ as average_gradients_
    from .clip_grad import clip_grad_norm as clip_grad_norm
    from .clip_grad import clip_grad_norm_ as clip_grad_norm_
    from .clip_grad import clip_grad_value_ as clip_grad_value_
    from .clip_grad import clip_grads_with_norm_ as clip_grads_with_norm_
    from .clip_grad import get_total_norm as get_total_norm

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "rnn",
    "vector_to_parameters",
    "average_gradients_",
]

if not _typing.TYPE_CHECKING:  # these need the optimizers, which half of the programs do without
    _PARTS = dict.fromkeys(__all__, "clip_grad") | {"average_gradients_": "average_gradients"}
    __getattr__ = _getter("torch.nn.utils", globals(), ("clip_grad", "average_gradients"), _PARTS)
