"""Fail the build for a public name that has no docstring, or no place in the reference."""

from __future__ import annotations

from typing import Any

import public_names
from sphinx.util import logging

import torchish_mlx

LOGGER = logging.getLogger(__name__)


def check(_app: Any, env: Any) -> None:
    """Warn of each; ``make docs`` turns warnings into errors."""
    for fault in public_names.faults(public_names.public_modules(torchish_mlx), env.domains["py"].objects):
        LOGGER.warning(fault, type="reference", subtype="missing")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
