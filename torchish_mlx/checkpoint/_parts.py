"""What of a run has a state: models, optimizers, schedulers, scalers, singly or in dicts and lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from mlx.nn import Module
from mlx.optimizers import Optimizer as NativeOptimizer

from .._core.messages import listed
from .._tensor.tensor import Tensor
from ..bridge.module_state import load_state_dict, state_dict
from ..bridge.parameters import named
from ..optim import Optimizer
from ..optim._state_dict import tree_of
from ..serialization._shared.where import entry
from . import _native

Path: TypeAlias = tuple[Any, ...]


def parts(kind: str, given: Any) -> Iterator[tuple[Path, Any]]:
    """(path in the checkpoint, object) of everything in one argument. TypeError for what has no state to save."""
    if given is not None:
        yield from _walked((kind,), given)


def _walked(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, (Module, NativeOptimizer)) or all(callable(getattr(value, name, None)) for name in _METHODS):
        yield path, value
    elif isinstance(value, (dict, list, tuple)) and value:
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _walked((*path, key), child)
    else:
        raise TypeError(
            f"{_argument(path)} is {_described(value)}: expected {_EXPECTED}. Other values of a run go into extra="
        )


_METHODS = ("state_dict", "load_state_dict")
_EXPECTED = "a model, an optimizer or another object with state_dict() and load_state_dict(), or a dict or list of such"


def _argument(path: Path) -> str:
    """How the caller wrote it: ``optimizer["slow"]``."""
    return str(path[0]) + (entry(path[1:]) if path[1:] else "")


def _described(value: Any) -> str:
    return repr(value) if value is None or value in ([], {}, ()) else f"of type {type(value).__name__}"


def state_of(part: Any) -> Any:
    """The state dict of a part."""
    if is_native(part):
        return _native.state_of(part)
    return part.state_dict() if _own(part) else state_dict(part)


def load(part: Any, state: Any) -> None:
    """Load a state dict, with the dtypes that it has."""
    if isinstance(part, Optimizer):
        part.load_state_dict(state, keep_state_dtype=True)
    elif is_native(part):
        _native.load(part, state)
    elif _own(part):
        part.load_state_dict(state)
    else:
        load_state_dict(part, state)


def is_native(part: Any) -> bool:
    return isinstance(part, NativeOptimizer) and not hasattr(part, "load_state_dict")


def _own(part: Any) -> bool:
    """Whether it has methods of its own; a plain ``mlx.nn.Module`` has none."""
    return not isinstance(part, Module) or all(hasattr(type(part), name) for name in _METHODS)


def description(part: Any) -> dict[str, Any]:
    """What a state dict does not say of its object: the class, the names of an optimizer's parameters."""
    described: dict[str, Any] = {"class": type(part).__name__}
    if (names := _names(part)) is not None:
        described["parameters"] = names
    return described


def _names(part: Any) -> list[list[str]] | None:
    """The names of an optimizer's parameters, by group."""
    tree = tree_of(part.state) if isinstance(part, Optimizer) else None
    if tree is None:
        return None
    return [[tree.paths.get(p, "") for p in group["params"]] for group in part.param_groups]


def check(kind: str, part: Any, state: Any, saved: Mapping[str, Any]) -> None:
    """Refuse what would load, but would go on in another way than the saved run. Raises ValueError."""
    name, mine = saved.get("class"), type(part).__name__
    if kind in ("optimizer", "scheduler") and name != mine:
        raise ValueError(f"it was saved from {name}, and {mine} is given: construct {name}")
    if isinstance(part, Module):
        _check_dtypes(part, state)
    here, there = _names(part), saved.get("parameters")
    if here is not None and there is not None and here != there:
        _refuse_names(here, there)


def _check_dtypes(model: Module, state: Any) -> None:
    """Loading would round a float32 checkpoint to a half-precision model, and say nothing."""
    held = named(model, remove_duplicate=False)
    given: Mapping[str, Any] = state if isinstance(state, Mapping) else {}
    wrong = [
        f"{path!r} is {given[path].dtype} in the checkpoint and {tensor.dtype} in the model"
        for path, tensor in held
        if isinstance(given.get(path), Tensor) and given[path].dtype != tensor.dtype
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(
            f"{'; '.join(wrong[:3])}{more}. Give the model that dtype first (model.set_dtype), or, to cast the "
            'weights, load them with torchish_mlx.load_state_dict(model, torchish_mlx.load(file)["model"])'
        )


def _refuse_names(here: list[list[str]], there: list[list[str]]) -> None:
    mine, theirs = [n for group in here for n in group], [n for group in there for n in group]
    lacking, more = [n for n in theirs if n not in mine], [n for n in mine if n not in theirs]
    advice = "Construct it over the same parameters, in the same groups and order"
    if lacking or more:
        what = []
        if lacking:
            what.append(f"it was saved with the parameters {listed(lacking)}, which this one does not hold")
        if more:
            what.append(f"this one holds {listed(more)}, which the saved one did not")
        advice += " (only the trainable ones, if they were given alone, with the model frozen as it was)"
    elif list(map(len, here)) != list(map(len, there)):
        what = [f"it was saved with groups of {list(map(len, there))} parameters, and has {list(map(len, here))}"]
    else:
        place = next(i for i, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
        what = [f"parameter {place} was {theirs[place]!r} when it was saved, and is {mine[place]!r} here"]
    raise ValueError(f"{' and '.join(what)}. {advice}")
