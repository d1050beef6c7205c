"""``torch.cuda.amp``: the old names of ``torch.amp``, for CUDA. Torch warns of each."""

from __future__ import annotations

import warnings
from typing import Any

from .. import amp
from .._core.device import accelerator
from .._inert import note

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


def _deprecated(name: str, args: str = "'cuda', args...") -> None:
    warnings.warn(
        f"`torch.cuda.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}({args})` instead.",
        FutureWarning,
        stacklevel=3,
    )


def _without(name: str) -> bool:
    """Whether it has no effect, as torch's has none where there is no GPU of NVIDIA's."""
    if accelerator() == "cuda":
        return False
    note(f"torch.cuda.amp.{name}")
    return True


class autocast(amp.autocast):
    """``torch.amp.autocast("cuda", ...)``, which switches itself off where there is no GPU of NVIDIA's.

    Source: ``torch.cuda.amp.autocast``.
    """

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        _deprecated("autocast")
        if enabled:
            _without("autocast")
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=None if cache_enabled else False)


class GradScaler(amp.GradScaler):
    """``torch.amp.GradScaler("cuda", ...)``, which switches itself off where there is no GPU of NVIDIA's.

    Source: ``torch.cuda.amp.GradScaler``.
    """

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        _deprecated("GradScaler")
        if enabled and _without("GradScaler"):
            warnings.warn("torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
            enabled = False
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


def custom_fwd(fwd: Any = None, *, cast_inputs: Any = None) -> Any:
    """``torch.amp.custom_fwd`` for CUDA.

    Source: ``torch.cuda.amp.custom_fwd``.
    """
    _deprecated("custom_fwd", "args..., device_type='cuda'")
    return amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Any) -> Any:
    """``torch.amp.custom_bwd`` for CUDA.

    Source: ``torch.cuda.amp.custom_bwd``.
    """
    _deprecated("custom_bwd", "args..., device_type='cuda'")
    return amp.custom_bwd(bwd, device_type="cuda")
