"""State dicts that are trees, as ``model.trainable_parameters()`` is one: their entries by the names of a model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

_DEEPEST = 100  # levels; a container that contains itself has no end


class Flat(NamedTuple):
    """The entries of a state dict by name.

    Attributes:
        values: name -> value. A container in which no name of the model is stays as it is, under its own name.
        nested: the names that came out of containers.
        twice: the names that the state dict has in two places, of which the first counts.
    """

    values: dict[Any, Any]
    nested: set[str]
    twice: list[str]


def flattened(state_dict: Mapping[Any, Any], own: Collection[str]) -> Flat:
    """The entries by MLX's names, keys and places in lists with dots between them; an empty container has none.

    >>> flattened({"layers": [{"weight": 1}, {}], "epoch": 3}, ["layers.0.weight"]).values
    {'layers.0.weight': 1, 'epoch': 3}
    """
    out = Flat({}, set(), [])
    for key, value in state_dict.items():
        below = dict(_leaves(value, str(key))) if _is_container(value) and key not in own else None
        if below is None or (below and not any(name in own for name in below)):
            below = {key: value}
        else:
            out.nested.update(below)
        for name, leaf in below.items():
            if name in out.values:
                out.twice.append(name)
            else:
                out.values[name] = leaf
    return out


def below(state_dict: Mapping[Any, Any], own: Collection[str]) -> tuple[Any, ...] | None:
    """The keys that lead to the container in which names of ``own`` are, nearest first; None where there is none."""
    level: list[tuple[tuple[Any, ...], Any]] = [((), state_dict)]
    for _ in range(3):
        level = [
            ((*path, key), value)
            for path, container in level
            for key, value in container.items()
            if isinstance(value, Mapping)
        ]
        for path, container in level:
            if any(name in own for name in flattened(container, own).values):
                return path
    return None


def _is_container(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple))


def _leaves(value: Any, path: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        raise ValueError(f"the containers of the state dict are more than {_DEEPEST} levels deep: nothing was loaded")
    if not _is_container(value):
        yield path, value
        return
    for key, child in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from _leaves(child, f"{path}.{key}", depth + 1)
