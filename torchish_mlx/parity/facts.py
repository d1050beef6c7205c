"""What a reader must know of the machine and the versions."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from typing import Any

import mlx.core as mx
import numpy as np
import torch

from torchish_mlx import __version__


def facts(quick: bool) -> dict[str, Any]:
    """Versions, machine and device, as words."""
    device = mx.default_device()
    known = mx.device_info(device)
    named = known.get("device_name", "")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "torchish_mlx": __version__,
        "mlx": version("mlx"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": f"{device.type.name}, {named}" if named else device.type.name,
        "platform": platform.platform(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "run": "quick" if quick else "full",
    }
