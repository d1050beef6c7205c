"""Devices and memory formats by torch's names. A device is a label: MLX's memory is one, and moving is no copy."""

from __future__ import annotations

import re
import threading
from typing import Any, NoReturn

import mlx.core as mx

#: Torch's types of devices, in the order in which its message lists them.
TYPES = (
    *("cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia", "xla", "lazy"),
    *("vulkan", "mps", "meta", "hpu", "mtia", "privateuseone"),
)
_STRING = re.compile(r"([A-Za-z_]+)(?::(0|[1-9]\d*))?")
_MOST = 127  # torch keeps the index in eight bits


class device:
    """``device("mps")``, ``device("cuda:1")``, ``device("cuda", 1)``: a type of device, and which one of that type.

    Any device can be named. Whether this machine has it is asked when a Tensor is made on it. As a context manager it
    is the device of what ``tensor``, ``zeros`` and the like make. Devices of MLX are accepted too.

    Attributes:
        type: ``"cpu"``, ``"mps"``, ``"cuda"``, ...
        index: a number, or None.

    Raises:
        RuntimeError: a string that names no device, or a number on a machine without an accelerator.
        TypeError: something else.

    Source: ``torch.device``.

    >>> device("cuda:1")
    device(type='cuda', index=1)
    >>> device("cpu") == device("cpu", 0)
    False
    """

    __slots__ = ("index", "type")
    type: str
    index: int | None

    def __init__(self, type: Any, index: int | None = None) -> None:
        kind, number = _read(type, index)
        object.__setattr__(self, "type", kind)
        object.__setattr__(self, "index", number)

    def __setattr__(self, name: str, _: object) -> NoReturn:
        if name in ("type", "index"):
            raise AttributeError(f"attribute {name!r} of 'torch.device' objects is not writable")
        raise AttributeError(f"'torch.device' object has no attribute {name!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"

    def __reduce__(self) -> tuple[Any, ...]:
        return device, ((self.type,) if self.index is None else (self.type, self.index))

    def __enter__(self) -> device:
        _now.stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _now.stack.pop()


device.__module__ = "torchish_mlx"
Device = device


def _read(given: Any, index: Any) -> tuple[str, int | None]:
    """The type and the index that are meant."""
    if index is not None and type(index) is not int:
        raise TypeError(f"device(): argument 'index' (position 2) must be int, not {type(index).__name__}")
    if index is not None and index < 0:
        raise RuntimeError("Device index must not be negative")
    if isinstance(given, device):
        return given.type, given.index
    if isinstance(given, (mx.Device, mx.DeviceType)):
        of = given.type if isinstance(given, mx.Device) else given
        return ("cpu" if of == mx.cpu else accelerator() or "mps"), None
    if type(given) is int:
        if given < 0:
            raise RuntimeError("Device index must not be negative")
        here = accelerator()
        if here is None:
            raise RuntimeError("Cannot access accelerator device when none is available.")
        return here, given
    if not isinstance(given, str):
        raise TypeError(
            f"device(): argument 'device' must be torch.device, str, int or a device of MLX, not {type(given).__name__}"
        )
    if not given:
        raise RuntimeError("Device string must not be empty")
    found = _STRING.fullmatch(given)
    if found is None:
        raise RuntimeError(f"Invalid device string: {given!r}")
    kind, number = found.groups()
    if kind not in TYPES:
        raise RuntimeError(f"Expected one of {', '.join(TYPES)} device type at start of device string: {kind}")
    if number is None:
        number = index
    elif index is not None:
        raise RuntimeError(f"type (string) must not include an index because index was passed explicitly: {given}")
    if number is not None and int(number) > _MOST:
        raise RuntimeError(f"Could not parse device index '{number}' in device string '{kind}:{number}'")
    return kind, None if number is None else int(number)


# What this machine has ------------------------------------------------------------------------------------------------


def accelerator() -> str | None:
    """Torch's name of the GPU on which MLX computes here; None where there is none."""
    if not mx.is_available(mx.gpu):
        return None
    return "mps" if mx.metal.is_available() else "cuda"


def device_count() -> int:
    """How many of them there are."""
    return mx.device_count(mx.gpu)


CPU = device("cpu")


def placed(given: Any) -> device:
    """The device that a Tensor on ``given`` has; an accelerator without an index is the first one.

    Raises:
        AssertionError, RuntimeError: this machine has not got it, in torch's words.
    """
    found = given if isinstance(given, device) else device(given)
    if found.type == "cpu":
        return CPU  # as in torch, whatever the index
    here = accelerator()
    if found.type == here:
        count = device_count()
        if (found.index or 0) >= count:
            raise RuntimeError(f"device {found}: this machine has {count} of the type {here!r}")
        return found if found.index is not None else device(here, 0)
    if found.type in ("cuda", "xpu", "mtia"):
        raise AssertionError(f"Torch not compiled with {found.type.upper()} enabled")
    if found.type == "meta":
        raise RuntimeError("device meta: a Tensor here has values, and MLX computes none before they are read")
    raise RuntimeError(f"PyTorch is not linked with support for {found.type} devices")


# The default ----------------------------------------------------------------------------------------------------------


class _Now(threading.local):
    def __init__(self) -> None:
        self.stack: list[device] = []
        self.default: device | None = None


_now = _Now()


def get_default_device() -> device:
    """Where ``tensor``, ``zeros`` and the like make their Tensors: that of ``with device(...)``, or the default one.

    Source: ``torch.get_default_device``.
    """
    return asked() or CPU


def set_default_device(device: Any) -> None:
    """Set the device of what ``tensor``, ``zeros`` and the like make, in this thread; None is the CPU again.

    Raises:
        RuntimeError: a string that names no device.

    Source: ``torch.set_default_device``.
    """
    _now.default = None if device is None else Device(device)


def asked() -> device | None:
    """The default device, where one was asked for."""
    return _now.stack[-1] if _now.stack else _now.default


def made_on(given: Any) -> device | None:
    """The device of a new Tensor, for which ``given`` is asked or None; None for the CPU."""
    given = asked() if given is None else given
    if given is None:
        return None
    found = placed(given)
    return None if found is CPU else found


#: Holds something as soon as a Tensor has another device than the CPU: before that, no call has to look for one.
LABELLED: list[bool] = []


class MemoryFormat:
    """One of torch's memory formats; there are two here, and they mean the same."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


preserve_format = MemoryFormat("preserve_format")
contiguous_format = MemoryFormat("contiguous_format")


def check_placement(device: Any = None, memory_format: Any = None) -> None:
    """Refuse a device that this machine has not, and a memory format other than the two."""
    if device is not None:
        placed(device)
    if memory_format not in (None, preserve_format, contiguous_format):
        raise RuntimeError(f"memory_format is preserve_format or contiguous_format here, not {memory_format!r}")
