"""Public optimizers written against torch.optim.Optimizer, run with only their import lines changed, with torch's numbers.

Their source is read where pip installed it (the extra ``test``); nothing of it is kept here.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch

import torchish_mlx
from compat_tests.bridge import difference, to_torch

IMPORTS = [
    (r"^import torch$", "import torchish_mlx as torch"),
    (r"^import torch\.optim$", "import torchish_mlx.optim"),
    (r"^from torch import ", "from torchish_mlx import "),
    (r"^from torch\.optim\.optimizer import ", "from torchish_mlx.optim.optimizer import "),
    (r"^from torch\.optim import ", "from torchish_mlx.optim import "),
]


def ported(name: str) -> types.ModuleType:
    """The installed module ``name`` with its torch imports replaced, executed as a module of the same package."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    for pattern, replacement in IMPORTS:
        source = re.sub(pattern, replacement, source, flags=re.MULTILINE)
    assert not re.search(r"^\s*(import|from) torch\b", source, flags=re.MULTILINE)
    module = types.ModuleType(f"ported_{name.replace('.', '_')}")
    module.__package__ = name.rpartition(".")[0]
    sys.modules[module.__name__] = module  # so that what it defines can be pickled
    exec(compile(source, spec.origin, "exec"), module.__dict__)
    return module
