"""What ``checkpoint.resume`` compares before it loads, and what ``save`` takes."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest

import torchish_mlx as torch
from tests.cases import flat
from tests.refused import assert_equal
from torchish_mlx import checkpoint, optim


def layers(*names: str) -> nn.Module:
    model = nn.Module()
    for name in names:
        model[name] = nn.Linear(3, 3, bias=False)
    return model


def stepped(params: Any) -> optim.Optimizer:
    """An Adam that has made a step."""
    optimizer = optim.Adam(params)
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = torch.ones(p.shape, dtype=p.dtype)
    optimizer.step()
    return optimizer


def weights(model: nn.Module, *order: str) -> list[Any]:
    found = dict(torch.named_parameters(model))
    return [found[f"{name}.weight"] for name in order]


def test_another_order_of_parameters_is_refused(tmp_path):
    """Their shapes are the same, and so torch's rule would load them wrongly."""
    model = layers("a", "b")
    file = checkpoint.save(tmp_path / "a.pt", step=1, optimizer=stepped(model))
    swapped = stepped(weights(model, "b", "a"))
    with pytest.raises(ValueError, match=r"parameter 0 was 'a\.weight' when it was saved, and is 'b\.weight' here"):
        checkpoint.resume(file, optimizer=swapped)
    checkpoint.resume(file, optimizer=stepped(weights(model, "a", "b")))


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        ("ab", "a", r"saved with the parameters 'b\.weight', which this one does not hold\. .*frozen as it was"),
        ("a", "ab", r"this one holds 'b\.weight', which the saved one did not"),
        ("ab", "ac", r"'b\.weight', which this one does not hold and this one holds 'c\.weight'"),
    ],
)
def test_other_parameters_are_refused(there, here, message, tmp_path):
    model = layers("a", "b", "c")
    file = checkpoint.save(tmp_path / "a.pt", step=1, optimizer=stepped(weights(model, *there)))
    with pytest.raises(ValueError, match=rf'\["optimizer"\] of .* does not load: .*{message}'):
        checkpoint.resume(file, optimizer=stepped(weights(model, *here)))


def test_other_groups_are_refused(tmp_path):
    model = layers("a", "b", "c")
    a, b, c = weights(model, "a", "b", "c")
    file = checkpoint.save(tmp_path / "a.pt", step=1, optimizer=optim.SGD([{"params": [a]}, {"params": [b, c]}]))
    with pytest.raises(ValueError, match=r"groups of \[1, 2\] parameters, and has \[2, 1\]"):
        checkpoint.resume(file, optimizer=optim.SGD([{"params": [a, b]}, {"params": [c]}]))


def test_another_class_of_optimizer_or_scheduler_is_refused(tmp_path):
    """Adam's state dict would load into AdamW, and make it Adam."""
    p = torch.Parameter(mx.ones(2))
    optimizer = optim.Adam([p])
    scheduler = optim.lr_scheduler.ConstantLR(optimizer)
    file = checkpoint.save(tmp_path / "a.pt", step=1, optimizer=optimizer, scheduler=scheduler)
    with pytest.raises(ValueError, match="saved from Adam, and AdamW is given: construct Adam"):
        checkpoint.resume(file, optimizer=optim.AdamW([p]), scheduler=scheduler)
    with pytest.raises(ValueError, match="saved from ConstantLR, and LinearLR is given"):
        checkpoint.resume(file, optimizer=optimizer, scheduler=optim.lr_scheduler.LinearLR(optimizer))


def test_another_dtype_of_a_model_is_refused(tmp_path):
    """Loading would round."""
    model = nn.Linear(2, 2)
    file = checkpoint.save(tmp_path / "a.pt", step=1, model=model)
    half = nn.Linear(2, 2)
    half.set_dtype(mx.bfloat16)
    before = flat(half)
    with pytest.raises(
        ValueError, match=r"'weight' is .*float32 in the checkpoint and .*bfloat16 in the model; 'bias'.*set_d"
    ):
        checkpoint.resume(file, model=half)
    assert_equal(before, flat(half))


def test_the_dtype_of_a_state_is_kept(tmp_path):
    """Moments in float32 of a bfloat16 model."""
    model = nn.Linear(2, 2)
    model.set_dtype(mx.bfloat16)
    optimizer = stepped(model)
    for p in torch.parameters(model):
        optimizer.state[p]["exp_avg"] = torch.full(p.shape, 1.0001)
    file = checkpoint.save(tmp_path / "a.pt", step=1, optimizer=optimizer)
    other = stepped(model)
    checkpoint.resume(file, optimizer=other)
    for p in torch.parameters(model):
        assert other.state[p]["exp_avg"].dtype == mx.float32
        assert other.state[p]["exp_avg"].tolist() == optimizer.state[p]["exp_avg"].tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": 3}, r"^model is of type int: expected a model, .* Other values of a run go into extra="),
        ({"model": {"a": nn.Linear(1, 1), "b": None}}, r'^model\["b"\] is None: expected'),
        ({"model": nn.Linear(1, 1).parameters()}, r'^model\["weight"\] is of type array: expected'),
        ({"optimizer": []}, r"^optimizer is \[\]: expected"),
        ({"scheduler": [None]}, r"^scheduler\[0\] is None: expected"),
        ({"step": 1.5}, r"^step=1\.5 is a float: expected a count of steps, an int"),
        ({"extra": {"f": [len]}}, r'\["extra"\]\["f"\]\[0\]'),
    ],
)
def test_what_has_no_state_is_refused(given, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        checkpoint.save(tmp_path / "a.pt", **{"step": 1, **given})
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_in_ignore(tmp_path):
    checkpoint.save(tmp_path / "a.pt", step=1)
    for ignore in ("model", ["models"], ["step"]):
        with pytest.raises(ValueError, match=r"expected a list of names among \['model', 'optimizer', 'scheduler'"):
            checkpoint.resume(tmp_path / "a.pt", ignore=ignore)
