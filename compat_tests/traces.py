"""The configurations of torch's ``optim_db`` by what ``mx.compile`` sees of them.

The numbers of an optimizer are arrays in its state, and arguments of its formula: configurations that differ only in
them have one trace, and the same kernels. One of each such set runs through the compiled doors; eagerly all of them do.
``optim/test_parity.py`` shows that the Python values of one of a set compute the steps of all others.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

import torchish_mlx
from torchish_mlx import optim
from torchish_mlx.parity.optimizer_cases import RULES, Case


def built(case: Case) -> Any:
    return getattr(optim, case.name)([torchish_mlx.Parameter(mx.zeros((2, 2)))], **case.ours)


def trace(case: Case) -> tuple[Any, ...]:
    """All that shapes the computation: the rule, its choices, which numbers are there, and the path of the step."""
    optimizer = built(case)
    arrays = tree_flatten(optimizer.state_tree()["_groups"][0])  # one of them has a shape that stands for the choices
    paths = [optimizer.param_groups[0].get(option) for option in ("foreach", "fused")]
    return (case.name, *((path, array.shape) for path, array in arrays), *paths)


def grouped() -> list[list[Case]]:
    """Configurations with the same trace, those with the most arguments first."""
    sets = defaultdict(list)
    for case in RULES:
        sets[trace(case)].append(case)
    return [sorted(cases, key=lambda case: -len(case.kwargs)) for cases in sets.values()]


ALIKE = grouped()
DISTINCT = [cases[0] for cases in ALIKE]
