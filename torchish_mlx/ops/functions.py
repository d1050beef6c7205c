"""All ops, by torch's names. To add one, write one decorated function in the file of its subject: see ``_call.op``."""

from __future__ import annotations

from typing import Any

from . import activations as _activations
from . import arithmetic as _arithmetic
from . import arranging as _arranging
from . import attention as _attention
from . import bits as _bits
from . import classification as _classification
from . import closeness as _closeness
from . import comparison as _comparison
from . import convolution as _convolution
from . import counting as _counting
from . import creation as _creation
from . import distances as _distances
from . import drawing as _drawing
from . import dropout as _dropout
from . import dropping as _dropping
from . import embedding as _embedding
from . import erf as _erf
from . import exponential as _exponential
from . import filling as _filling
from . import folding as _folding
from . import gates as _gates
from . import indexing as _indexing
from . import joining as _joining
from . import limits as _limits
from . import linear as _linear
from . import losses as _losses
from . import margins as _margins
from . import matmul as _matmul
from . import normalizing as _normalizing
from . import norms as _norms
from . import operators as _operators
from . import padding as _padding
from . import parts as _parts
from . import pixels as _pixels
from . import pooling as _pooling
from . import products as _products
from . import reduction as _reduction
from . import resizing as _resizing
from . import rounding as _rounding
from . import scan as _scan
from . import scattering as _scattering
from . import selecting as _selecting
from . import shaping as _shaping
from . import softmax as _softmax
from . import sorting as _sorting
from . import statistics as _statistics
from . import trigonometric as _trigonometric
from . import unpooling as _unpooling
from . import writing as _writing
from ._call import FUNCTIONAL as _FUNCTIONAL
from ._call import REGISTRY

SUBJECTS = (
    _activations,
    _arithmetic,
    _arranging,
    _attention,
    _bits,
    _classification,
    _closeness,
    _comparison,
    _convolution,
    _counting,
    _creation,
    _distances,
    _embedding,
    _drawing,
    _dropout,
    _dropping,
    _erf,
    _exponential,
    _folding,
    _gates,
    _filling,
    _indexing,
    _joining,
    _limits,
    _linear,
    _losses,
    _margins,
    _matmul,
    _normalizing,
    _padding,
    _norms,
    _operators,
    _parts,
    _pooling,
    _pixels,
    _products,
    _reduction,
    _resizing,
    _rounding,
    _scan,
    _scattering,
    _selecting,
    _shaping,
    _softmax,
    _sorting,
    _statistics,
    _trigonometric,
    _unpooling,
    _writing,
)

#: Every function by torch's name; ``torchish_mlx`` has each under it.
FUNCTIONS: dict[str, Any] = {name: entry.function for name, entry in REGISTRY.items() if entry.is_function}
#: Every function of torch.nn.functional by torch's name; ``torchish_mlx.nn.functional`` has each under it.
FUNCTIONAL: dict[str, Any] = {
    name.removeprefix(_FUNCTIONAL + "."): entry.function
    for name, entry in REGISTRY.items()
    if name.startswith(_FUNCTIONAL + ".")
}
