"""``torch.cuda``: GPUs of NVIDIA's. Without one it answers as a build of torch without CUDA does.

``is_available()`` is True where MLX is its build for CUDA and finds a GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

import mlx.core as _mx

from .._absent import getter as _getter
from .._core.device import accelerator as _accelerator
from .._core.device import device_count as _device_count
from .._core.device import placed as _placed
from .._core.errors import OutOfMemoryError as OutOfMemoryError
from .._core.figures import demand as _demand
from .._core.figures import index_of as _index_of
from . import amp as amp
from . import memory as memory
from . import random as random
from . import streams as streams
from .memory import empty_cache as empty_cache
from .memory import ipc_collect as ipc_collect
from .memory import max_memory_allocated as max_memory_allocated
from .memory import max_memory_cached as max_memory_cached
from .memory import max_memory_reserved as max_memory_reserved
from .memory import mem_get_info as mem_get_info
from .memory import memory_allocated as memory_allocated
from .memory import memory_cached as memory_cached
from .memory import memory_reserved as memory_reserved
from .memory import memory_stats as memory_stats
from .memory import memory_summary as memory_summary
from .memory import reset_max_memory_allocated as reset_max_memory_allocated
from .memory import reset_max_memory_cached as reset_max_memory_cached
from .memory import reset_peak_memory_stats as reset_peak_memory_stats
from .memory import set_per_process_memory_fraction as set_per_process_memory_fraction
from .random import get_rng_state as get_rng_state
from .random import get_rng_state_all as get_rng_state_all
from .random import initial_seed as initial_seed
from .random import manual_seed as manual_seed
from .random import manual_seed_all as manual_seed_all
from .random import seed as seed
from .random import seed_all as seed_all
from .random import set_rng_state as set_rng_state
from .random import set_rng_state_all as set_rng_state_all
from .streams import Event as Event
from .streams import Stream as Stream
from .streams import StreamContext as StreamContext
from .streams import current_stream as current_stream
from .streams import default_stream as default_stream
from .streams import set_stream as set_stream
from .streams import stream as stream

default_generators = ()
has_half, has_magma = True, False


class CudaError(RuntimeError):
    """An error of CUDA's, which nothing raises here.

    Source: ``torch.cuda.CudaError``.
    """


class DeferredCudaCallError(Exception):
    """An error of a call that waited for CUDA, which nothing raises here.

    Source: ``torch.cuda.DeferredCudaCallError``.
    """


def is_available() -> bool:
    """Whether MLX computes on a GPU of NVIDIA's here.

    Source: ``torch.cuda.is_available``.
    """
    return _accelerator() == "cuda"


def is_initialized() -> bool:
    """The same as :func:`is_available`: MLX sets CUDA up by itself.

    Source: ``torch.cuda.is_initialized``.
    """
    return is_available()


def init() -> None:
    """Nothing, where there is a GPU of NVIDIA's.

    Raises:
        AssertionError: there is none.

    Source: ``torch.cuda.init``.
    """
    _demand("cuda")


def device_count() -> int:
    """How many GPUs of NVIDIA's MLX finds.

    Source: ``torch.cuda.device_count``.
    """
    return _device_count() if is_available() else 0


def current_device() -> int:
    """The number of the GPU, 0.

    Raises:
        AssertionError: there is none.

    Source: ``torch.cuda.current_device``.
    """
    _demand("cuda")
    return 0


def set_device(device: _Any) -> None:
    """Choose the GPU: the first one, on which MLX computes. A negative number is nothing, as in torch.

    Raises:
        ValueError: a device of another kind.
        AssertionError: there is no GPU of NVIDIA's. (Torch fails with an AttributeError there.)
        NotImplementedError: another GPU than the first.

    Source: ``torch.cuda.set_device``.
    """
    if type(device) is int and device < 0:
        return
    if _index_of("cuda", device):
        raise NotImplementedError(f"device {device}: MLX computes on the first GPU; set CUDA_VISIBLE_DEVICES instead")


def _info(device: _Any) -> dict[str, _Any]:
    _index_of("cuda", device)
    return dict(_mx.device_info())


def get_device_name(device: _Any = None) -> str:
    """The name of the GPU.

    Raises:
        AssertionError: there is none.

    Source: ``torch.cuda.get_device_name``.
    """
    return str(_info(device)["device_name"])


def get_device_capability(device: _Any = None) -> tuple[int, int]:
    """The two numbers of the GPU's generation.

    Raises:
        AssertionError: there is none.

    Source: ``torch.cuda.get_device_capability``.
    """
    info = _info(device)
    return int(info["compute_capability_major"]), int(info["compute_capability_minor"])


class _Properties:
    """What MLX says of a GPU, as attributes."""

    def __init__(self, info: dict[str, _Any]) -> None:
        self.name = str(info["device_name"])
        self.total_memory = int(info["total_memory"])
        self.major, self.minor = int(info["compute_capability_major"]), int(info["compute_capability_minor"])

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name={self.name!r}, major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // 2**20}MB)"
        )


def get_device_properties(device: _Any = None) -> _Any:
    """``name``, ``major``, ``minor`` and ``total_memory`` of the GPU.

    Raises:
        AssertionError: there is none.

    Source: ``torch.cuda.get_device_properties``.
    """
    return _Properties(_info(device))


def can_device_access_peer(device: _Any, peer_device: _Any) -> bool:
    """False: MLX computes on one GPU.

    Raises:
        AssertionError: there is no GPU of NVIDIA's.

    Source: ``torch.cuda.can_device_access_peer``.
    """
    _index_of("cuda", device)
    _index_of("cuda", peer_device)
    return False


def get_arch_list() -> list[str]:
    """An empty list: MLX compiles its kernels for the GPU that it finds.

    Source: ``torch.cuda.get_arch_list``.
    """
    return []


def get_gencode_flags() -> str:
    """An empty string: MLX compiles its kernels for the GPU that it finds.

    Source: ``torch.cuda.get_gencode_flags``.
    """
    return ""


def is_bf16_supported(including_emulation: bool = True) -> bool:  # noqa: ARG001 - it is the same either way
    """Whether there is a GPU of NVIDIA's: MLX computes in bfloat16 on every one.

    Source: ``torch.cuda.is_bf16_supported``.
    """
    return is_available()


def is_tf32_supported() -> bool:
    """Whether the GPU has TF32, which those from Ampere on have.

    Source: ``torch.cuda.is_tf32_supported``.
    """
    return is_available() and get_device_capability() >= (8, 0)


def synchronize(device: _Any = None) -> None:
    """Wait until the GPU has computed what was asked for.

    Raises:
        AssertionError: there is no GPU of NVIDIA's.

    Source: ``torch.cuda.synchronize``.
    """
    _index_of("cuda", device)
    _mx.synchronize()


def is_current_stream_capturing() -> bool:
    """False: there are no graphs of CUDA's.

    Raises:
        RuntimeError: there is no GPU of NVIDIA's.

    Source: ``torch.cuda.is_current_stream_capturing``.
    """
    if not is_available():
        raise RuntimeError("Tried to instantiate dummy base class _cuda_isCurrentStreamCapturing")
    return False


class device:
    """A block in which the GPU is this one; a negative number is any.

    Raises:
        RuntimeError: there is no GPU of NVIDIA's, when the block begins.

    Source: ``torch.cuda.device``.
    """

    def __init__(self, device: _Any) -> None:
        self.idx = device if device is None or type(device) is int else (_placed(device).index or 0)

    def __enter__(self) -> None:
        if self.idx is None or self.idx < 0:
            return
        if not is_available():
            raise RuntimeError("PyTorch was compiled without CUDA support")
        set_device(self.idx)

    def __exit__(self, *_: object) -> None:
        return None


class device_of(device):
    """A block in which the GPU is that of a Tensor; nothing for a Tensor on the CPU.

    Source: ``torch.cuda.device_of``.
    """

    def __init__(self, obj: _Any) -> None:
        super().__init__(obj.get_device() if obj.is_cuda else -1)


if not _TYPE_CHECKING:
    __all__ = sorted(name for name in dict(globals()) if not name.startswith("_") and name != "annotations")
    __getattr__ = _getter("torch.cuda", globals())
