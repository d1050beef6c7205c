"""``torch.utils.tensorboard``: its files are written by other packages."""

from __future__ import annotations

from typing import Any

__all__ = ["SummaryWriter"]


class SummaryWriter:
    """Refused: the package tensorboardX has a class of this name that takes numbers and NumPy arrays.

    Raises:
        NotImplementedError: always.

    Source: ``torch.utils.tensorboard.SummaryWriter``.
    """

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise NotImplementedError(
            "SummaryWriter: install tensorboardX and use `from tensorboardX import SummaryWriter`, with "
            "tensor.item() and tensor.numpy() for Tensors"
        )
