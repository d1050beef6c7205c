"""What of ``torch.distributed`` is here: the questions that programs ask before they use it.

Processes are MLX's here: ``mlx.launch`` starts them, and ``nn.utils.average_gradients_`` averages gradients.
"""

import typing as _typing

from .._absent import getter as _getter

__all__ = [
    "destroy_process_group",
    "get_rank",
    "get_world_size",
    "init_process_group",
    "is_available",
    "is_initialized",
]

_MISSING = "Default process group has not been initialized, please make sure to call init_process_group."


def is_available() -> bool:
    """False: there are no process groups of torch.

    Source: ``torch.distributed.is_available``.
    """
    return False


def is_initialized() -> bool:
    """False, as there is no process group.

    Source: ``torch.distributed.is_initialized``.
    """
    return False


def init_process_group(*args: _typing.Any, **kwargs: _typing.Any) -> None:
    """Refused: processes are started by ``mlx.launch``.

    Raises:
        NotImplementedError: always.

    Source: ``torch.distributed.init_process_group``.
    """
    raise NotImplementedError(
        "torch.distributed has no process groups here: start the processes with mlx.launch, and average gradients with "
        "torchish_mlx.nn.utils.average_gradients_ (docs/distributed.md)"
    )


def destroy_process_group(group: _typing.Any = None) -> None:  # noqa: ARG001
    """Refused, as there is no process group: ValueError.

    Source: ``torch.distributed.destroy_process_group``.
    """
    raise ValueError(_MISSING)


def get_rank(group: _typing.Any = None) -> int:  # noqa: ARG001
    """Refused, as there is no process group: ValueError.

    Source: ``torch.distributed.get_rank``.
    """
    raise ValueError(_MISSING)


def get_world_size(group: _typing.Any = None) -> int:  # noqa: ARG001
    """Refused, as there is no process group: ValueError.

    Source: ``torch.distributed.get_world_size``.
    """
    raise ValueError(_MISSING)


if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.distributed", globals())
