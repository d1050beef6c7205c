"""Lazy modules, old files and long runs: what ``module_db`` does not ask of modules."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import torchish_mlx as tm

LAZY: list[tuple[str, tuple[Any, ...], tuple[int, ...]]] = [
    ("LazyLinear", (2,), (4, 3)),
    ("LazyConv2d", (4, 3), (2, 6, 5, 5)),
    ("LazyConvTranspose1d", (4, 3), (2, 6, 5)),
    ("LazyBatchNorm2d", (), (2, 3, 4, 4)),
    ("LazyInstanceNorm1d", (), (2, 3, 4)),
]


def names_and_kinds(module: Any) -> list[tuple[str, str]]:
    return [(name, type(value).__name__) for name, value in module.state_dict().items()]


@pytest.mark.parametrize(("name", "args", "shape"), LAZY)
class TestLazy:
    def test_a_state_without_shapes(self, name: str, args: Any, shape: Any) -> None:
        seen = []
        for T in (tm, torch):
            module, other = getattr(T.nn, name)(*args), getattr(T.nn, name)(*args)
            before = names_and_kinds(module)
            other.load_state_dict(module.state_dict())
            seen.append((before, names_and_kinds(other)))
        assert seen[0] == seen[1]

    def test_a_state_with_shapes(self, name: str, args: Any, shape: Any) -> None:
        for T in (tm, torch):
            module, other = getattr(T.nn, name)(*args), getattr(T.nn, name)(*args)
            result = module.eval()(T.ones(shape))
            assert other.load_state_dict(module.state_dict()) == ([], [])
            if name == "LazyInstanceNorm1d":  # the channels are not learned from what is loaded, and are looked at
                with pytest.raises(ValueError, match=r"to match num_features \(0\)"):
                    other.eval()(T.ones(shape))
            else:
                assert other.eval()(T.ones(shape)).tolist() == result.tolist()
            assert type(other) is type(module)

    def test_a_copy_begins_by_itself(self, name: str, args: Any, shape: Any) -> None:
        module = getattr(tm.nn, name)(*args)
        again = pickle.loads(pickle.dumps(copy.deepcopy(module)))
        again(tm.ones(shape))
        assert module.has_uninitialized_params()
        assert type(again).__name__ == name.removeprefix("Lazy")

    def test_dtypes(self, name: str, args: Any, shape: Any) -> None:
        found = []
        for T in (tm, torch):
            module = getattr(T.nn, name)(*args).half()
            module.float().double()
            module.eval()(T.ones(shape).double())
            found.append([str(p.dtype).rpartition(".")[2] for p in module.state_dict().values()])
        assert found[0] == found[1]

    def test_what_has_no_shape_is_refused(self, name: str, args: Any, shape: Any) -> None:
        for T in (tm, torch):
            module, made = getattr(T.nn, name)(*args), getattr(T.nn, name)(*args)
            with pytest.raises(ValueError, match="Attempted to use an"):
                module.weight + 1
            with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
                _ = module.weight.shape
            made.eval()(T.ones(shape))
            with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
                made.load_state_dict(module.state_dict())


def test_a_mixin_of_ones_own() -> None:
    for T in (tm, torch):
        mixin = T.nn.modules.lazy.LazyModuleMixin

        class Scale(mixin, T.nn.Module):  # type: ignore[misc, valid-type]
            def __init__(self, T: Any = T) -> None:
                super().__init__()
                self.factor = T.nn.UninitializedParameter()

            def initialize_parameters(self, x: Any, scale: int = 1, T: Any = T) -> None:
                self.factor.materialize(x.shape[-1:])
                with T.no_grad():
                    self.factor.fill_(scale)

            def forward(self, x: Any, scale: int = 1) -> Any:
                return x * self.factor

        module = Scale()
        assert [module(T.ones(2), scale=3).tolist(), module(T.ones(2), scale=5).tolist()] == [[3, 3], [3, 3]]
        assert type(module) is Scale


@pytest.mark.parametrize("version", [None, 1, 2])
def test_files_without_the_number_of_batches(version: int | None) -> None:
    for T in (tm, torch):
        layer = T.nn.BatchNorm1d(2)
        layer(T.ones(3, 2))
        state = T.nn.BatchNorm1d(2).state_dict()
        del state["num_batches_tracked"]
        state._metadata = {"": {} if version is None else {"version": version}}
        if version == 2:
            with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "num_batches_tracked"'):
                layer.load_state_dict(state)
        else:
            layer.load_state_dict(state)
            assert layer.num_batches_tracked.item() == 1


def test_files_with_statistics_that_nobody_keeps() -> None:
    for T in (tm, torch):
        state = T.nn.InstanceNorm1d(2, track_running_stats=True).state_dict()
        state._metadata = {}
        with pytest.raises(RuntimeError, match="Unexpected running stats buffer"):
            T.nn.InstanceNorm1d(2).load_state_dict(state)


def test_statistics_over_many_batches() -> None:
    """Each call computes with the buffers of the one before: nothing grows until somebody looks."""
    found = []
    for T in (tm, torch):
        layer = T.nn.BatchNorm1d(2, momentum=0.01)
        x = T.tensor([[1.0, 2.0], [3.0, -1.0]])
        for _ in range(5000):
            layer(x)
        found.append([layer.num_batches_tracked.item(), layer.running_mean.tolist(), layer.running_var.tolist()])
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1:], found[1][1:], rtol=1e-5)


@pytest.mark.parametrize("old", [{"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}])
@pytest.mark.parametrize("name", ["L1Loss", "MSELoss", "SmoothL1Loss", "CrossEntropyLoss", "BCELoss", "KLDivLoss"])
def test_old_words_of_losses(name: str, old: dict[str, bool]) -> None:
    seen = []
    for T in (tm, torch):
        with warnings.catch_warnings(record=True) as messages:
            warnings.simplefilter("always")
            loss = getattr(T.nn, name)(**old)
        seen.append((loss.reduction, [str(m.message) for m in messages]))
    assert seen[0] == seen[1]


def test_warnings_show_the_line_of_the_user() -> None:
    for call in (
        lambda: tm.nn.Hardtanh(min_value=-2.0),
        lambda: tm.nn.MSELoss(size_average=False),
    ):
        with pytest.warns(Warning, match="deprecated") as seen:
            call()
        assert seen[0].filename == __file__


def test_tables_that_are_given() -> None:
    for T in (tm, torch):
        table = T.tensor([[1.0, 2.0], [3.0, 4.0]])
        layer = T.nn.Embedding.from_pretrained(table, freeze=False, padding_idx=-1)
        assert (layer.padding_idx, layer.weight.requires_grad) == (1, True)
        assert T.nn.Embedding.from_pretrained(table).weight.requires_grad is False
        with pytest.raises(AssertionError, match="expected to be 2-dimensional"):
            T.nn.Embedding.from_pretrained(T.ones(3))
        for index in (2, -3):
            with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
                T.nn.Embedding(2, 3, padding_idx=index)
        with pytest.raises(AssertionError, match="Shape of weight does not match"):
            T.nn.Embedding(3, 3, _weight=table)


#: What modules refuse while they are made, or when they are called: torch's type of exception, and its words.
REFUSED: dict[str, Any] = {
    "groups": lambda T: T.nn.Conv2d(4, 4, 3, groups=0),
    "channels": lambda T: T.nn.Conv2d(3, 4, 3, groups=2),
    "out channels": lambda T: T.nn.Conv2d(4, 3, 3, groups=2),
    "same": lambda T: T.nn.Conv1d(1, 1, 3, padding="same", stride=2),
    "transposed padding mode": lambda T: T.nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"),
    "output size": lambda T: T.nn.ConvTranspose1d(1, 1, 3, stride=2)(T.ones(1, 1, 4), output_size=[20]),
    "output sizes": lambda T: T.nn.ConvTranspose1d(1, 1, 3)(T.ones(1, 1, 4), output_size=[1, 1, 2, 3]),
    "bilinear": lambda T: T.nn.Bilinear(0, 2, 3),
    "batch norm 1d": lambda T: T.nn.BatchNorm1d(2)(T.ones(2)),
    "batch norm 2d": lambda T: T.nn.BatchNorm2d(2)(T.ones(2, 2)),
    "batch norm 3d": lambda T: T.nn.BatchNorm3d(2)(T.ones(2, 2)),
    "instance norm": lambda T: T.nn.InstanceNorm2d(2)(T.ones(2, 2)),
    "instance norm, channels": lambda T: T.nn.InstanceNorm1d(2, affine=True)(T.ones(1, 3, 4)),
    "group norm": lambda T: T.nn.GroupNorm(2, 3),
    "dropout": lambda T: T.nn.Dropout2d(1.5),
    "hardtanh": lambda T: T.nn.Hardtanh(1.0, 1.0),
    "softmax2d": lambda T: T.nn.Softmax2d()(T.ones(2, 2)),
    "unflatten": lambda T: T.nn.Unflatten(0, 3),
    "unflatten, of": lambda T: T.nn.Unflatten(0, (1.0, 2)),
    "circular": lambda T: T.nn.CircularPad2d(1)(T.ones(2, 2)),
    "multi margin": lambda T: T.nn.MultiMarginLoss(p=3),
    "multi margin, weight": lambda T: T.nn.MultiMarginLoss(weight=T.ones(2, 2)),
    "triplet": lambda T: T.nn.TripletMarginLoss(margin=0),
    "triplet, distance": lambda T: T.nn.TripletMarginWithDistanceLoss(margin=-1),
    "huber": lambda T: T.nn.HuberLoss(delta="1"),
    "lazy convolution": lambda T: T.nn.LazyConv2d(2, 3)(T.ones(2, 2)),
    "lazy groups": lambda T: T.nn.LazyConv1d(2, 1, groups=2)(T.ones(3, 2)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    said = []
    for T in (tm, torch):
        with pytest.raises(Exception) as error:
            REFUSED[name](T)
        said.append((type(error.value), str(error.value)))
    assert said[0] == said[1]
