"""``torch.nn.parallel``: a model on one device, and the refusal of several processes."""

from __future__ import annotations

from typing import Any

from ..modules.module import Module

__all__ = ["DataParallel", "DistributedDataParallel"]


class DataParallel(Module):
    """A module in a wrapper, which calls it: there is one device, so nothing is divided.

    Its state dict has ``module.`` in front of every name, as torch's.

    Args:
        module: what is called.
        device_ids, output_device, dim: as torch has them; with one device they change nothing.

    Source: ``torch.nn.DataParallel``.

    >>> import torchish_mlx as torch
    >>> list(torch.nn.DataParallel(torch.nn.Linear(1, 1)).state_dict())
    ['module.weight', 'module.bias']
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids = [] if device_ids is None else list(device_ids)
        self.output_device = output_device
        self.dim = dim
        if len(self.device_ids) > 1:
            raise NotImplementedError(
                "DataParallel over several devices is not supported: MLX has one device in a process. Leave device_ids "
                "out, or start several processes with mlx.launch (docs/distributed.md)"
            )

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The output of the module."""
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """Refused: gradients of several processes are averaged by ``nn.utils.average_gradients_``.

    Raises:
        ValueError: always, as in torch where there is no process group.

    Source: ``torch.nn.parallel.DistributedDataParallel``.
    """

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        raise ValueError(
            "Default process group has not been initialized, please make sure to call init_process_group. Here "
            "mlx.launch starts processes, and torchish_mlx.nn.utils.average_gradients_ averages gradients "
            "(docs/distributed.md)."
        )
