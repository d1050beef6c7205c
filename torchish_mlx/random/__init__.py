"""torch's random numbers: the generator, its seed and its state. The functions that draw are at the top."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from .generator import default_generator as default_generator
from .generator import get_rng_state as get_rng_state
from .generator import initial_seed as initial_seed
from .generator import manual_seed as manual_seed
from .generator import seed as seed
from .generator import set_rng_state as set_rng_state

__all__ = ["default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


@contextmanager
def fork_rng(
    devices: Iterable[Any] | None = None, enabled: bool = True, device_type: str | None = None
) -> Iterator[None]:
    """Have the default generator in its old state again after the block; not with ``enabled=False``.

    Args:
        devices: torch forks the generators of these accelerators, too. There is one generator here, so only an empty
            list or None says something that is true.
        enabled: whether anything is done.
        device_type: None, ``"cpu"``, ``"mps"`` or ``"gpu"``.

    Raises:
        RuntimeError: devices, or a type of device that has a generator of its own in torch.

    Source: ``torch.random.fork_rng``.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> with torch.random.fork_rng():
    ...     _ = torch.rand(100)
    >>> torch.rand(1)
    tensor([0.4963])
    """
    if (devices is not None and list(devices)) or device_type not in (None, "cpu", "mps", "gpu"):
        raise RuntimeError(
            "fork_rng() forks the one generator that is here, for all devices: call it without devices and device_type"
        )
    if not enabled:
        yield
        return
    before = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(before)
