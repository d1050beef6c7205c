"""``torch.backends.cuda``: the settings can be set and read back; MLX chooses the kernels of products and attention."""

from __future__ import annotations

import contextlib as _contextlib
import warnings as _warnings
from collections.abc import Iterator as _Iterator
from typing import Any as _Any
from typing import NoReturn as _NoReturn

from .._core.device import accelerator as _accelerator
from .._core.flags import Flag as _Flag
from .._core.flags import only as _only
from .._core.precision import AllowTF32 as _AllowTF32
from .._core.precision import Precision as _Precision

__all__ = [
    "allow_fp16_bf16_reduction_math_sdp",
    "cudnn_sdp_enabled",
    "enable_cudnn_sdp",
    "enable_flash_sdp",
    "enable_math_sdp",
    "enable_mem_efficient_sdp",
    "flash_sdp_enabled",
    "fp16_bf16_reduction_math_sdp_allowed",
    "is_built",
    "is_flash_attention_available",
    "math_sdp_enabled",
    "matmul",
    "mem_efficient_sdp_enabled",
    "sdp_kernel",
]

_NAME = "torch.backends.cuda."


class _MatMul:
    """The settings of products. Others than these are refused, as in torch."""

    allow_tf32 = _AllowTF32()
    fp32_precision = _Precision(_NAME + "matmul.fp32_precision", "cuda", "matmul")
    allow_fp16_reduced_precision_reduction = _Flag(_NAME + "matmul.allow_fp16_reduced_precision_reduction", True)
    allow_bf16_reduced_precision_reduction = _Flag(_NAME + "matmul.allow_bf16_reduced_precision_reduction", True)
    allow_fp16_accumulation = _Flag(_NAME + "matmul.allow_fp16_accumulation", False)

    def __getattr__(self, name: str) -> _NoReturn:
        raise AttributeError("Unknown attribute " + name)

    def __setattr__(self, name: str, value: _Any) -> None:
        if name not in vars(_MatMul):
            raise AttributeError("Unknown attribute " + name)
        object.__setattr__(self, name, value)


class _Kernels:
    """Which kernels of attention are permitted."""

    flash = _Flag(_NAME + "enable_flash_sdp", True, _only(bool, "set_sdp_use_math"))
    mem_efficient = _Flag(_NAME + "enable_mem_efficient_sdp", True, _only(bool, "set_sdp_use_math"))
    math = _Flag(_NAME + "enable_math_sdp", True, _only(bool, "set_sdp_use_math"))
    cudnn = _Flag(_NAME + "enable_cudnn_sdp", True, _only(bool, "set_sdp_use_cudnn"))
    reduction = _Flag(_NAME + "allow_fp16_bf16_reduction_math_sdp", False, _only(bool, "set_sdp_use_math"))


matmul = _MatMul()
_kernels = _Kernels()


def is_built() -> bool:
    """Whether MLX here is its build for NVIDIA's GPUs.

    Source: ``torch.backends.cuda.is_built``.
    """
    return _accelerator() == "cuda"


def is_flash_attention_available() -> bool:
    """False: torch's kernel is not here.

    Source: ``torch.backends.cuda.is_flash_attention_available``.
    """
    return False


def flash_sdp_enabled() -> bool:
    """What :func:`enable_flash_sdp` was given; True before.

    Source: ``torch.backends.cuda.flash_sdp_enabled``.
    """
    return _kernels.flash


def enable_flash_sdp(enabled: bool) -> None:
    """Keep the value. It has no effect here: MLX chooses the kernel of attention.

    Source: ``torch.backends.cuda.enable_flash_sdp``.
    """
    _kernels.flash = enabled


def mem_efficient_sdp_enabled() -> bool:
    """What :func:`enable_mem_efficient_sdp` was given; True before.

    Source: ``torch.backends.cuda.mem_efficient_sdp_enabled``.
    """
    return _kernels.mem_efficient


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Keep the value. It has no effect here: MLX chooses the kernel of attention.

    Source: ``torch.backends.cuda.enable_mem_efficient_sdp``.
    """
    _kernels.mem_efficient = enabled


def math_sdp_enabled() -> bool:
    """What :func:`enable_math_sdp` was given; True before.

    Source: ``torch.backends.cuda.math_sdp_enabled``.
    """
    return _kernels.math


def enable_math_sdp(enabled: bool) -> None:
    """Keep the value. It has no effect here: MLX chooses the kernel of attention.

    Source: ``torch.backends.cuda.enable_math_sdp``.
    """
    _kernels.math = enabled


def cudnn_sdp_enabled() -> bool:
    """What :func:`enable_cudnn_sdp` was given; True before.

    Source: ``torch.backends.cuda.cudnn_sdp_enabled``.
    """
    return _kernels.cudnn


def enable_cudnn_sdp(enabled: bool) -> None:
    """Keep the value. It has no effect here: MLX chooses the kernel of attention.

    Source: ``torch.backends.cuda.enable_cudnn_sdp``.
    """
    _kernels.cudnn = enabled


def fp16_bf16_reduction_math_sdp_allowed() -> bool:
    """What :func:`allow_fp16_bf16_reduction_math_sdp` was given; False before.

    Source: ``torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed``.
    """
    return _kernels.reduction


def allow_fp16_bf16_reduction_math_sdp(enabled: bool) -> None:
    """Keep the value. It has no effect here: it permits less precise sums, and demands none.

    Source: ``torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp``.
    """
    _kernels.reduction = enabled


@_contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> _Iterator[dict[str, _Any]]:
    """A block in which these kernels of attention are permitted. It is deprecated in torch.

    Source: ``torch.backends.cuda.sdp_kernel``.
    """
    _warnings.warn(
        "`torch.backends.cuda.sdp_kernel()` is deprecated. Use torch.nn.attention.sdpa_kernel() in torch, and leave it "
        "out here",
        FutureWarning,
        stacklevel=3,
    )
    before = (_kernels.flash, _kernels.math, _kernels.mem_efficient, _kernels.cudnn)
    try:
        _permit(enable_flash, enable_math, enable_mem_efficient, enable_cudnn)
        yield {}
    finally:
        _permit(*before)


def _permit(flash: bool, math: bool, mem_efficient: bool, cudnn: bool) -> None:
    _kernels.flash, _kernels.math, _kernels.mem_efficient, _kernels.cudnn = flash, math, mem_efficient, cudnn
