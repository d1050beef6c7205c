"""All ops, by torch's names. To add one, write one decorated function in the file of its subject: see ``_call.op``."""

from __future__ import annotations

from typing import Any

from . import arithmetic as _arithmetic
from . import arranging as _arranging
from . import comparison as _comparison
from . import creation as _creation
from . import indexing as _indexing
from . import joining as _joining
from . import matmul as _matmul
from . import operators as _operators
from . import parts as _parts
from . import reduction as _reduction
from . import scattering as _scattering
from . import selecting as _selecting
from . import shaping as _shaping
from . import writing as _writing
from ._call import REGISTRY

SUBJECTS = (
    _arithmetic,
    _arranging,
    _comparison,
    _creation,
    _indexing,
    _joining,
    _matmul,
    _operators,
    _parts,
    _reduction,
    _scattering,
    _selecting,
    _shaping,
    _writing,
)

#: Every function by torch's name; ``torchish_mlx`` has each under it.
FUNCTIONS: dict[str, Any] = {name: entry.function for name, entry in REGISTRY.items() if entry.is_function}
