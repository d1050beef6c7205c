"""torch's ``map_location``: all devices share one memory here, so nothing moves, and the argument is only checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._core.device import Device, placed
from ..._tensor.storage import Storage

#: Is called with each storage that was loaded, and with its location in the file.
Restored = Callable[[Storage, str], None]


def restorer(map_location: Any) -> Restored:
    """What to do with each storage and its location.

    Raises:
        TypeError, RuntimeError: it names something that is no device, or a device that does not exist here.

    >>> restorer({"cuda:0": "cpu"})(Storage(), "cuda:0")
    """
    if map_location is None:
        return _left
    if isinstance(map_location, dict):
        for key, value in map_location.items():
            if not isinstance(key, str):
                raise TypeError(f"map_location has the key {key!r}: keys are locations, such as 'cuda:0' or 'cpu'")
            _existing(value)
        return _left
    if callable(map_location) and not isinstance(map_location, type):

        def restored(storage: Storage, location: str) -> None:
            out = map_location(storage, location)
            if out is not None and out is not storage:
                raise TypeError(
                    f"map_location(storage, location) returned a {type(out).__name__}: here it returns the storage or "
                    "None, because all devices share one memory and nothing moves"
                )

        return restored
    _existing(map_location)
    return _left


def _existing(location: Any) -> None:
    """Refuse what is no device, and a device that this machine has not got."""
    where = Device(location)
    try:
        placed(where)
    except (AssertionError, RuntimeError) as error:
        raise RuntimeError(
            f"Attempting to deserialize object on a {where.type.upper()} device, which this machine has not got "
            f"({error}): load with map_location='cpu', which costs nothing"
        ) from error


def _left(_storage: Storage, _location: str) -> None:
    """Leave the storage where it is, because all devices share one memory."""
