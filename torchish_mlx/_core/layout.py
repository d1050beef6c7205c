"""Torch's layouts of memory, of which Tensors here have one."""

from __future__ import annotations

from typing import NoReturn


class Layout:
    """A layout of memory, by torch's name. A Tensor here has ``torch.strided``.

    Source: ``torch.layout``.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"torch.{self._name}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'layout' object")


Layout.__module__, Layout.__name__ = "torchish_mlx", "layout"
layout = Layout
strided, jagged = Layout("strided"), Layout("jagged")
sparse_coo, sparse_csr, sparse_csc = Layout("sparse_coo"), Layout("sparse_csr"), Layout("sparse_csc")
sparse_bsr, sparse_bsc = Layout("sparse_bsr"), Layout("sparse_bsc")
