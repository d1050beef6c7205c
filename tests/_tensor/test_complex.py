"""Gradients of complex numbers are refused: there is no way into them that gives a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import torchish_mlx as torch


def images(x: Any) -> Any:
    """The result of a convolution, which is in channels-last memory."""
    return torch.conv2d(x.reshape(1, 2, 1, 1), torch.ones(1, 2, 1, 1))


WAYS: dict[str, Callable[[Any], Any]] = {
    "leaf": lambda _: torch.tensor([1j], requires_grad=True),
    "number": lambda x: x * 1j,
    "tensor": lambda x: x + torch.tensor([1j, 2j]),
    "dtype": lambda x: x.to(torch.complex64),
    "list": lambda x: torch.cat([x, torch.tensor([1j])]),
    "images": lambda x: images(x) * 1j,
    "where": lambda x: torch.where(torch.tensor([True, False]), x, 1j),
}


@pytest.mark.parametrize("way", WAYS)
def test_refused(way: str) -> None:
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="the real and the imaginary part as two Tensors"):
        WAYS[way](x)


def test_values_are_computed() -> None:
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        assert (x * 1j).tolist() == [1j, 1j]
    assert (torch.tensor([3 + 4j]) * torch.tensor([2.0])).abs().item() == 10.0
