"""Parameters as one vector and back, next to torch."""

from __future__ import annotations

import types
from typing import Any

import pytest
import torch

import torchish_mlx

SIDES = (torchish_mlx, torch)


def model(library: types.ModuleType) -> Any:
    library.manual_seed(3)
    nn = library.nn
    return nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def both(run: Any) -> None:
    ours, theirs = (run(library) for library in SIDES)
    assert ours == theirs


def failure(run: Any, *args: Any) -> tuple[str, str]:
    with pytest.raises(Exception) as caught:
        run(*args)
    return type(caught.value).__name__, str(caught.value)


def test_there_and_back() -> None:
    def run(library: Any) -> list[Any]:
        net = model(library)
        utils = library.nn.utils
        vector = utils.parameters_to_vector(net.parameters())
        utils.vector_to_parameters(vector * 2, net.parameters())
        kinds = [(tuple(p.shape), p.requires_grad, p.is_leaf) for p in net.parameters()]
        return [vector.tolist(), kinds, [p.tolist() for p in net.parameters()]]

    both(run)


def test_gradients_go_through_the_vector() -> None:
    def run(library: Any) -> list[Any]:
        net = model(library)
        vector = library.nn.utils.parameters_to_vector(net.parameters())
        (vector * library.arange(float(vector.numel()))).sum().backward()
        return [p.grad.tolist() for p in net.parameters()]

    both(run)


def test_the_parameters_show_the_vector() -> None:
    def run(library: Any) -> list[Any]:
        net = library.nn.Linear(2, 2)
        vector = library.arange(6.0)
        library.nn.utils.vector_to_parameters(vector, net.parameters())
        vector.mul_(2)
        return [p.tolist() for p in net.parameters()]

    both(run)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_the_dtype_is_that_of_the_vector(dtype: str) -> None:
    both(lambda library: _dtype_after(library, dtype))


def _dtype_after(library: Any, dtype: str) -> list[str]:
    net = library.nn.Linear(2, 2)
    library.nn.utils.vector_to_parameters(library.arange(6, dtype=getattr(library, dtype)), net.parameters())
    return [str(p.dtype) for p in net.parameters()]


def test_a_longer_vector() -> None:
    both(lambda library: _after(library, 9))


def _after(library: Any, count: int) -> list[Any]:
    net = library.nn.Linear(2, 2)
    library.nn.utils.vector_to_parameters(library.arange(float(count)), net.parameters())
    return [p.tolist() for p in net.parameters()]


def test_a_shorter_vector_changes_nothing() -> None:
    both(lambda library: failure(_after, library, 5))
    net = torchish_mlx.nn.Linear(2, 2)
    before = [p.tolist() for p in net.parameters()]
    with pytest.raises(RuntimeError):
        torchish_mlx.nn.utils.vector_to_parameters(torchish_mlx.arange(5.0), net.parameters())
    assert [p.tolist() for p in net.parameters()] == before


@pytest.mark.parametrize("vector", [[1.0], 3, None], ids=str)
def test_no_vector(vector: Any) -> None:
    both(lambda library: failure(library.nn.utils.vector_to_parameters, vector, library.nn.Linear(1, 1).parameters()))


def test_no_parameters() -> None:
    both(lambda library: failure(library.nn.utils.parameters_to_vector, []))
