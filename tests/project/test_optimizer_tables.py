"""docs/optimizers.md has every class of both sides, with the arguments and defaults that the classes really have.

torch's are compared through this package, whose signatures are torch's; compat_tests compares torch itself.
"""

from __future__ import annotations

import mlx
import mlx.optimizers
import pytest

import torchish_mlx
from tests.optimizer_tables import PAGE, REQUIRED, columns, real, resolve
from torchish_mlx import optim
from torchish_mlx.optim import lr_scheduler

TEXT = PAGE.read_text(encoding="utf-8")
COLUMNS = columns(TEXT)
ROOTS = {"torch": torchish_mlx, "mlx": mlx, "torchish_mlx": torchish_mlx}
NAMES = {column.name for column in COLUMNS}
OURS_ALONE = {"torch.nn.utils.clip_grad_norm_": {"group", "sharded"}}  # arguments that torch has not


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_arguments_and_defaults(column):
    ours = real(resolve(column.name, ROOTS))
    more = OURS_ALONE.get(column.name, set())
    assert more <= ours.keys()
    assert column.arguments == {name: default for name, default in ours.items() if name not in more}


def test_each_has_one_table():
    assert len(NAMES) == len(COLUMNS)


def test_all_of_mlx():
    """Every optimizer, schedule and helper that mlx.optimizers defines."""
    defined = {
        f"mlx.optimizers.{name}"
        for name, found in vars(mlx.optimizers).items()
        if getattr(found, "__module__", "").startswith("mlx.optimizers.") and not name.startswith("_")
    }
    assert len(defined) == 18
    assert defined == {name for name in NAMES if name.startswith("mlx.")}


def test_all_of_torch():
    """Every optimizer; Lion, MultiOptimizer and from_mlx, which torch has not; every scheduler by its name."""
    ours = {"Lion", "MultiOptimizer", "from_mlx"}
    classes = {name for name in optim.__all__ if isinstance(getattr(optim, name), type)}
    assert classes - ours == {
        name.removeprefix("torch.optim.") for name in NAMES if name.startswith("torch.optim.") and name.count(".") == 2
    }
    assert {f"torchish_mlx.optim.{name}" for name in ours} <= NAMES
    for name in set(lr_scheduler.__all__) - {"LRScheduler"}:
        assert f"`{name}" in TEXT, name


def test_a_wrong_table_is_seen():
    head = "| `torch.a` | default | MLX: none | default | |\n|---|---|---|---|---|\n"
    (column,) = columns(head + "| `x` | required | | | |\n| `y`, `z` | `(0, 1)`, `None` | | | a remark |\n\ntext\n")
    assert column.arguments == {"x": REQUIRED, "y": "(0, 1)", "z": "None"}
    assert column.arguments == real(lambda x, y=(0, 1), z=None: None)
    assert column.arguments != real(lambda x, y=(0, 2), z=None: None)
    assert column.arguments != real(lambda x, y=(0, 1): None)
