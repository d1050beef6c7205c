"""The random numbers of a run: the global generators of MLX, Python, NumPy and this package."""

from __future__ import annotations

import random
from typing import Any

import mlx.core as mx
import numpy as np

from ..random import get_rng_state, set_rng_state
from ._ranks import Ranks


def state() -> dict[str, Any]:
    """The state of the four generators, in numbers, strings, lists and dicts."""
    return {
        "mlx": _key(),
        "python": random.getstate(),
        "numpy": _plain(np.random.get_state(legacy=False)),
        "torch": np.asarray(get_rng_state().array).tobytes().hex(),
    }


def restore(saved: Any) -> None:
    """Go on with the random numbers of :func:`state`; compiled steps that captured ``mx.random.state`` do too.

    Raises ValueError, perhaps with one of the generators restored: the caller must undo that.
    """
    try:
        _check(saved)
        high, low = saved["mlx"]
        # The state can't be assigned. The key of a seed is its two halves, so a seed restores it.
        mx.random.seed(high << 32 | low)
        version, internal, gauss = saved["python"]
        random.setstate((version, tuple(internal), gauss))
        np.random.set_state(saved["numpy"])
        if "torch" in saved:  # not in files from before there was such a generator
            set_rng_state(np.frombuffer(bytes.fromhex(saved["torch"]), np.uint8))
    except Exception as error:
        if isinstance(error, ValueError):
            raise
        raise ValueError(f"it is not the state of the generators of this version: {error!r}") from error


def of_all(ranks: Ranks, states: list[Any]) -> Any:
    """What a file keeps: the state of the one process, or those of all, in order."""
    return {"ranks": states} if ranks.size > 1 else states[0]


def of_rank(ranks: Ranks, saved: Any) -> Any:
    """The state of this process in what a file keeps.

    Raises ValueError where another number of processes saved it.
    """
    several = isinstance(saved, dict) and isinstance(saved.get("ranks"), list)
    states = saved["ranks"] if several else [saved]
    if len(states) == ranks.size:
        return states[ranks.rank]
    if several and not ranks.together:
        raise ValueError(
            f"it holds the random state of each of {len(states)} processes: let {len(states)} processes call resume() "
            'with group=mx.distributed.init(), or pass ignore=["random"] to go on without it'
        )
    raise ValueError(
        f"it holds the random state of {len(states)} process(es), and the group has {ranks.size}: each needs random "
        'numbers of its own. Pass ignore=["random"], and seed each one, as by mx.random.seed(seed + group.rank())'
    )


def _check(saved: Any) -> None:
    if not isinstance(saved, dict) or not {"mlx", "python", "numpy"} <= saved.keys():
        raise ValueError("it is not the state of the generators: expected entries 'mlx', 'python' and 'numpy'")
    held: Any = np.random.get_state(legacy=False)
    kind, here = saved["numpy"]["bit_generator"], held["bit_generator"]
    if kind != here:
        raise ValueError(
            f"NumPy's global generator was a {kind}, and is a {here} here: call numpy.random.set_bit_generator("
            f"numpy.random.{kind}()) first"
        )


def _key() -> list[int]:
    keys: list[mx.array] = list(mx.random.state)  # type: ignore[call-overload]
    (key,) = keys
    high, low = key.tolist()  # type: ignore[misc]
    return [int(high), int(low)]  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    """NumPy's state without arrays."""
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
