"""``Generator``: where random numbers come from, with torch's names and torch's state."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import mlx.core as mx
import numpy as np

from .._core.device import Device
from .._core.trace import frozen
from .._docs import see
from .._tensor.tensor import Tensor, wrap
from ._stream import Stream

#: The seed of a ``Generator()``, as in torch.
DEFAULT_SEED = 67280421310721
R = TypeVar("R")


class Generator:
    """The source of random numbers: those of torch on the CPU, bit for bit.

    A seed gives the numbers that ``torch.Generator`` gives with it. ``get_state`` and ``set_state`` exchange states
    with torch, both ways. The numbers are those of torch's CPU, whatever ``device`` is.

    Raises:
        RuntimeError: another device than ``cpu`` and ``mps``.

    Source: ``torch.Generator``.

    >>> import torchish_mlx as torch
    >>> g = torch.Generator().manual_seed(0)
    >>> torch.rand(3, generator=g)
    tensor([0.4963, 0.7682, 0.0885])
    """

    def __init__(self, device: Any = "cpu") -> None:
        self._device = Device(device)
        if self._device.type not in ("cpu", "mps"):
            raise RuntimeError(f"Generator(): device {self._device}: there are generators for 'cpu' and 'mps' here")
        self._stream = Stream(DEFAULT_SEED)
        self._lock = threading.RLock()

    @property
    def device(self) -> Device:
        """The device that the generator was made for."""
        return self._device

    def manual_seed(self, seed: int) -> Generator:
        """Begin with the numbers of ``seed``, an integer from -2^63 to 2^64 - 1; returns this generator.

        Only the lower 32 bits decide which numbers there are, as in torch.

        Raises:
            RuntimeError: ``seed`` is no integer.
            ValueError: it does not fit into 64 bits.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        with self._lock:
            self._stream.seed(int(seed) % 2**64)
        return self

    def seed(self) -> int:
        """Begin with numbers that nobody can know before; returns the seed."""
        seed = secrets.randbits(64)
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed that the numbers began with."""
        return self._stream.initial

    def get_state(self) -> Tensor:
        """The state as 5,056 bytes, in torch's form: ``torch.Generator.set_state`` takes it."""
        with self._lock:
            raw = self._stream.to_bytes()
        return wrap(mx.array(np.frombuffer(raw, np.uint8)))

    def set_state(self, new_state: Any) -> None:
        """Go on from a state of :meth:`get_state`, this one's or torch's (as ``mx.array(state.numpy())``).

        Raises:
            TypeError: no Tensor or array of uint8.
            RuntimeError: another number of bytes, or what is no state. The generator is as it was.
        """
        with self._lock:
            self._stream.from_bytes(_bytes_of(new_state))

    def clone_state(self) -> Generator:
        """A new generator with the state of this one."""
        new = Generator(self._device)
        with self._lock:
            new._stream = self._stream.copy()
        return new

    def __getstate__(self) -> dict[str, Any]:
        return {"device": str(self._device), "state": self._stream.to_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["device"])  # type: ignore[misc]
        self._stream.from_bytes(state["state"])

    def __repr__(self) -> str:
        return f"<torchish_mlx.Generator object at {id(self):#x}>"

    def draw(self, function: Callable[..., R], *args: Any) -> R:
        """``function`` of the stream and the arguments, which no other thread disturbs.

        Raises RuntimeError while MLX traces: a compiled function would have the same numbers in every call.
        """
        if frozen():
            raise RuntimeError(
                "a random number that is drawn while MLX compiles or transforms a function becomes a part of it: every "
                "call would have the same ones. Draw before the call and pass the array to the function, or compute "
                "gradients with torchish_mlx.backward() or Tensor.backward()" + see("numbers-drawn-in-a-trace")
            )
        with self._lock:
            return function(self._stream, *args)

    def undoing(self, function: Callable[[], R]) -> R:
        """``function()``; where it raises, the generator is as it was."""
        with self._lock:
            before = self._stream.copy()
            try:
                return function()
            except BaseException:
                self._stream.restore(before)
                raise


def _bytes_of(state: Any) -> bytes:
    """The bytes of a state."""
    if isinstance(state, Tensor):
        state = state.array
    if not isinstance(state, (mx.array, np.ndarray)):
        raise TypeError(f"expected a torch.ByteTensor, but got {type(state).__name__}")
    if state.dtype not in (mx.uint8, np.uint8):
        raise TypeError("RNG state must be a torch.ByteTensor")
    return np.asarray(state).tobytes()


#: What is drawn from where no generator is given. Like torch's it has another seed in every run until it is given one.
default_generator = Generator()
default_generator.seed()


def chosen(name: str, generator: Any) -> Generator:
    """The generator that is given, or the default one."""
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise TypeError(
            f"{name}(): argument 'generator' must be torchish_mlx.Generator, not {type(generator).__name__}"
        )
    return generator


def manual_seed(seed: Any) -> Generator:
    """Have the default generator begin with the numbers of ``seed``, and return it.

    A number that is no integer is cut off, and a Tensor of one element is taken, as in torch.

    Raises:
        ValueError: a seed that does not fit into 64 bits.

    Source: ``torch.manual_seed``.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randn(2)
    tensor([ 1.5410, -0.2934])
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Have the default generator begin with numbers that nobody can know before; returns the seed.

    Source: ``torch.seed``.
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator.

    Source: ``torch.initial_seed``.
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator, 5,056 bytes in torch's form.

    Source: ``torch.get_rng_state``.

    >>> import torchish_mlx as torch
    >>> state = torch.get_rng_state()
    >>> first = torch.rand(2)
    >>> torch.set_rng_state(state)
    >>> bool((torch.rand(2) == first).all())
    True
    """
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Have the default generator go on from a state of ``get_rng_state``, this one's or torch's.

    Raises:
        TypeError: no Tensor or array of uint8.
        RuntimeError: another number of bytes, or what is no state.

    Source: ``torch.set_rng_state``.
    """
    default_generator.set_state(new_state)
