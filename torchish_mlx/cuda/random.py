"""The seeds of torch.cuda. All random numbers here come from the one default generator, on whichever device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._core.device import accelerator, device_count
from .._core.figures import index_of
from .._inert import note
from .._tensor.tensor import Tensor
from ..random.generator import default_generator

__all__ = [
    "get_rng_state",
    "get_rng_state_all",
    "initial_seed",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
]


def _without(name: str) -> bool:
    """Whether the call has no effect, as torch's has none where there is no GPU of NVIDIA's."""
    if accelerator() == "cuda":
        return False
    note(f"torch.cuda.{name}")
    return True


def manual_seed(seed: int) -> None:
    """Set the seed of the default generator, which the GPU's numbers come from; nothing where there is no such GPU.

    Source: ``torch.cuda.manual_seed``.
    """
    seed = int(seed)
    if not _without("manual_seed"):
        default_generator.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """:func:`manual_seed`, for there is one generator.

    Source: ``torch.cuda.manual_seed_all``.
    """
    seed = int(seed)
    if not _without("manual_seed_all"):
        default_generator.manual_seed(seed)


def seed() -> None:
    """Give the default generator a seed that nobody can know before; nothing where there is no GPU of NVIDIA's.

    Source: ``torch.cuda.seed``.
    """
    if not _without("seed"):
        default_generator.seed()


def seed_all() -> None:
    """:func:`seed`, for there is one generator.

    Source: ``torch.cuda.seed_all``.
    """
    if not _without("seed_all"):
        default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator.

    Raises:
        AssertionError: there is no GPU of NVIDIA's.

    Source: ``torch.cuda.initial_seed``.
    """
    index_of("cuda", None)
    return default_generator.initial_seed()


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The state of the default generator.

    Raises:
        AssertionError: there is no GPU of NVIDIA's.

    Source: ``torch.cuda.get_rng_state``.
    """
    index_of("cuda", device)
    return default_generator.get_state()


def get_rng_state_all() -> list[Tensor]:
    """The state of the default generator for each GPU of NVIDIA's: an empty list where there is none.

    Source: ``torch.cuda.get_rng_state_all``.
    """
    return [default_generator.get_state() for _ in range(device_count() if accelerator() == "cuda" else 0)]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Have the default generator go on from a state; nothing where there is no GPU of NVIDIA's.

    Source: ``torch.cuda.set_rng_state``.
    """
    if not _without("set_rng_state"):
        index_of("cuda", device)
        default_generator.set_state(new_state)


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Have the default generator go on from the first of the states; nothing where there is no GPU of NVIDIA's.

    Source: ``torch.cuda.set_rng_state_all``.
    """
    if not _without("set_rng_state_all"):
        for state in list(new_states)[:1]:
            default_generator.set_state(state)
