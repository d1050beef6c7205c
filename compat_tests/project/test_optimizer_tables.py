"""docs/optimizers.md beside torch itself: every optimizer, with torch's arguments and defaults."""

from __future__ import annotations

import pytest
import torch

from tests.optimizer_tables import PAGE, columns, real, resolve

COLUMNS = [column for column in columns(PAGE.read_text(encoding="utf-8")) if column.name.startswith("torch.")]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_arguments_and_defaults(column):
    assert column.arguments == real(resolve(column.name, {"torch": torch}))


def test_all_optimizers():
    classes = {f"torch.optim.{name}" for name, found in vars(torch.optim).items() if isinstance(found, type)}
    assert len(classes) == 16  # with the base class
    assert classes <= {column.name for column in COLUMNS}


def test_all_schedulers():
    for name in set(torch.optim.lr_scheduler.__all__) - {"LRScheduler"}:
        assert f"`{name}`" in PAGE.read_text(encoding="utf-8"), name
