"""State dicts that a hostile file gave: each loads, or is refused in words and the target is bit for bit as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import pytest

import torchish_mlx as torch
from tests.hostile.headers import nodes
from tests.hostile.seeds import trained
from tests.hostile.worker import account
from tests.marks import mostly_long
from torchish_mlx import checkpoint


def deep() -> Any:
    value: Any = []
    for _ in range(900):
        value = [value]
    return value


def ring() -> Any:
    value: Any = []
    value.append(value)
    return value


def dict_ring() -> Any:
    value: Any = {}
    value["a"] = value
    return value


BAD: dict[str, Callable[[], Any]] = {
    "deep": deep,
    "ring": ring,
    "dict ring": dict_ring,
    "huge": lambda: 1 << 20_000,
    "text": lambda: "x",
    "none": lambda: None,
    "tensor": lambda: torch.Tensor(mx.ones(3)),
    "nan": lambda: float("nan"),
    "minus one": lambda: -1,
}


def states(parts: tuple[Any, Any, Any]) -> dict[str, Any]:
    model, optimizer, scheduler = parts
    return {"model": torch.state_dict(model), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}


def places(kind: str) -> int:
    return len(nodes({"": states(trained())[kind]}))


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("kind", ["model", "optimizer", "scheduler"])
def test_a_state_with_a_hostile_value_anywhere(kind, bad):
    for place in range(places(kind)):
        parts = model, optimizer, scheduler = trained()
        before = account(states(parts))
        tree = {"": states(parts)[kind]}
        node, key = nodes(tree)[place]
        node[key] = BAD[bad]()
        loading = {
            "model": lambda state, model=model: torch.load_state_dict(model, state),
            "optimizer": optimizer.load_state_dict,
            "scheduler": scheduler.load_state_dict,
        }[kind]
        try:
            loading(tree[""])
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            wrong = isinstance(error, RecursionError) or "Exceeds the limit" in str(error)
            left = account(states(parts))
        else:
            wrong, left = False, before
        assert not wrong, (place, key)
        assert left == before, (place, key)


@pytest.mark.parametrize(
    "bad", mostly_long(["deep", "huge", "text", "none", "tensor", "nan", "minus one"], lambda bad: bad == "text")
)
def test_a_checkpoint_with_a_hostile_value_anywhere(bad, tmp_path):
    """Through a file: everything is resumed, or nothing."""
    parts = model, optimizer, scheduler = trained()
    given: dict[str, Any] = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    file = checkpoint.save(tmp_path / "a.pt", step=3, **given)
    content = {k: v for k, v in torch.load(file).items() if k != "random"}
    places = len(nodes({"": content}))
    before = account(states(parts))
    for place in range(places):
        tree = {"": torch.load(file)}
        random = tree[""].pop("random")
        node, key = nodes(tree)[place]
        node[key] = BAD[bad]()
        if isinstance(tree[""], dict):
            tree[""]["random"] = random
        bad_file = tmp_path / "bad.pt"
        try:
            torch.save(tree[""], bad_file)
        except ValueError:  # an int that no file holds
            continue
        try:
            run = checkpoint.resume(bad_file, **given)
        except ValueError as error:
            named = str(bad_file) in str(error)
            assert named, (place, key)
            assert account(states(parts)) == before, (place, key)
        else:
            assert type(run.step) is int
            checkpoint.resume(file, **given)
            assert account(states(parts)) == before, (place, key)
