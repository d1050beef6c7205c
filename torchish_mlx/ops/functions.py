"""All ops, by torch's names. To add one, write one function in the file of its subject: see ``_declare.op``."""

from __future__ import annotations

from typing import Any

from .._absent import fill_gaps
from .._tensor.tensor import Tensor
from . import (  # noqa: F401 - each adds its functions to the registry
    activations,
    arithmetic,
    arranging,
    attention,
    binary,
    bits,
    classification,
    closeness,
    comparison,
    convolution,
    counting,
    creation,
    distances,
    drawing,
    dropout,
    dropping,
    embedding,
    erf,
    exponential,
    filling,
    folding,
    gamma,
    gates,
    indexing,
    joining,
    limits,
    linear,
    losses,
    margins,
    matmul,
    multi_head,
    normalizing,
    norms,
    operators,
    padding,
    parts,
    pixels,
    pooling,
    products,
    recurrent,
    reduction,
    resizing,
    rounding,
    scan,
    scattering,
    selecting,
    shaping,
    softmax,
    sorting,
    statistics,
    trigonometric,
    unpooling,
    writing,
)
from ._declare import FUNCTIONAL as _FUNCTIONAL
from ._declare import REGISTRY

fill_gaps(Tensor)

#: Every function by torch's name; ``torchish_mlx`` has each under it.
FUNCTIONS: dict[str, Any] = {name: entry.function for name, entry in REGISTRY.items() if entry.is_function}
#: Every function of torch.nn.functional by torch's name; ``torchish_mlx.nn.functional`` has each under it.
FUNCTIONAL: dict[str, Any] = {
    name.removeprefix(_FUNCTIONAL + "."): entry.function
    for name, entry in REGISTRY.items()
    if name.startswith(_FUNCTIONAL + ".")
}
