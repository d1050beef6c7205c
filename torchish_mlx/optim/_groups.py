"""One entry of ``param_groups``: a dict, whose numbers are also kept as arrays in the optimizer's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mlx.core as mx
from mlx.nn import Module

from .._core.evaluation import arrays_in, schedule
from .._core.trace import traced
from .._docs import see
from .._tensor.tensor import Tensor
from ..bridge.parameters import parameters
from ..optimizers import Rule
from ..optimizers._hyper import STRUCTURE, readable, structure

_missing = object()


class Group(dict[str, Any]):
    """``group["lr"]`` reads what was written; writing also replaces the array that the step reads.

    So a compiled step sees every change, without a new trace. An assignment inside a traced step would become a
    constant of the trace, and raises RuntimeError. A tensor given as a number (``lr``) may be changed in place.

    The group of an optimizer without a rule, one written by a user of torch, reads its numbers in Python: any change of
    them changes the shape of an array, which makes ``mx.compile`` trace the step again.
    """

    def __init__(self, rule: type[Rule] | None, items: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        super().__init__(items)
        self.rule = rule
        self._given: Mapping[str, Any] | None = given  # the user's dict, which in torch is the group itself
        self._followed = dict(given)
        self.arrays: dict[str, Any] = {}
        self.rounded = False  # whether the numbers were read from arrays, which are float32
        self.rebuild()

    def rebuild(self) -> None:
        """Write the arrays of all entries, keeping those that are no hyper-parameters (the clock)."""
        if self.rule is None:
            self.arrays[STRUCTURE] = self._shape()
            return
        try:
            fresh = self.rule.carried(self)
        except KeyError as error:
            raise ValueError(f"the parameter group has no {error}; it has {sorted(self)}") from None
        fresh[STRUCTURE] = structure(self.rule.choices(self), self.arrays.get(STRUCTURE))
        self.arrays.update({name: value for name, value in fresh.items() if name not in self.rule.clock})
        for name in self.rule.clock:
            self.arrays.setdefault(name, fresh[name])
        for name in self:
            self._link(name)

    def follow(self) -> None:
        """Take over the options that were set in the user's dict since the last time."""
        if self._given is None:
            return
        for key, value in self._given.items():
            if key != "params" and value is not self._followed.get(key, _missing):
                self._followed[key] = value
                self[key] = value

    def restart(self) -> None:
        """Set the clock to its start."""
        if self.rule is not None:
            fresh = self.rule.carried(self)
            self.arrays.update({name: fresh[name] for name in self.rule.clock})

    def adopt(self) -> None:
        """Take the numbers of freshly loaded arrays."""
        self.rounded = True
        if self.rule is not None:
            super().update(self.rule.adopted(self, self.arrays))
        elif not traced(self.arrays[STRUCTURE]):
            self.arrays[STRUCTURE] = self._shape()

    def replace(self, items: Mapping[str, Any]) -> None:
        """Hold ``items`` and nothing else."""
        items = dict(items)
        self._given = None  # in torch the group is a new dict from here on
        for key in self:
            self._unlink(key)
        super().clear()
        super().update(items)
        self.rounded = False
        self.arrays[STRUCTURE] = readable(self.arrays[STRUCTURE])
        self.rebuild()

    def snapshot(self) -> Any:
        """What :meth:`restore` needs to undo what happens to the options and their arrays from now on."""
        return dict(self), dict(self.arrays), self.rounded

    def restore(self, snapshot: Any) -> None:
        for key in self:
            self._unlink(key)
        values, arrays, self.rounded = snapshot
        super().clear()
        super().update(values)
        self.arrays.clear()
        self.arrays.update(arrays)
        for key in self:
            self._link(key)

    def _shape(self) -> Any:
        options = tuple((key, value) for key, value in self.items() if key not in ("params", "param_names"))
        return structure(options, self.arrays.get(STRUCTURE))

    def _link(self, key: str) -> None:
        """Have the tensors that were given as numbers (``lr``, ``betas``) live where the step reads them."""
        for tensor, container, place in _places(self.get(key), self.arrays, key):
            tensor._add_place(container, place)

    def _unlink(self, key: str) -> None:
        for tensor, container, place in _places(self.get(key), self.arrays, key):
            tensor._leave(container, place)

    def _check(self, key: str) -> None:
        if traced(self.arrays[STRUCTURE]):
            raise RuntimeError(
                f"group[{key!r}] is assigned while the optimizer's state is traced, where it would become a constant. "
                "Inside a compiled step: assign it before the call. After a pure-function compile: assign the returned "
                "state (optimizer.state = state) first." + see("written-inside-a-compiled-step")
            )

    def __setitem__(self, key: str, value: Any) -> None:
        self._check(key)
        carried: dict[str, Any] = {STRUCTURE: self.arrays[STRUCTURE]}
        if self.rule is not None:  # first, so that a value which is no number changes nothing
            self.rule.carry(carried, {**self, key: value}, key)
        if value is not self.get(key):
            self._unlink(key)
        super().__setitem__(key, value)
        if self.rule is None:
            schedule(arrays_in(value))
            self.arrays[STRUCTURE] = self._shape()
        else:
            self.arrays.update(carried)
            self._link(key)

    def __delitem__(self, key: str) -> None:
        self._check(key)
        self._unlink(key)
        super().__delitem__(key)
        self.arrays.pop(key, None)
        if self.rule is None:
            self.arrays[STRUCTURE] = self._shape()

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> Group:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, default: Any = _missing) -> Any:
        if key not in self and default is not _missing:
            return default
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        key = next(reversed(self))
        return key, self.pop(key)

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


class GroupArrays(list[dict[str, Any]]):
    """The arrays of each group, as MLX's tree holds them: the first value of ``optimizer.state``.

    Code that expects torch's mapping reaches this list first, and its error says what to write.
    """

    def __getattr__(self, name: str) -> Any:
        if name in ("items", "keys", "values", "get", "setdefault", "update"):
            raise AttributeError(_TREE)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            raise TypeError(_TREE)
        return super().__getitem__(key)


_TREE = (
    "optimizer.state over an mlx.nn model is MLX's tree of arrays, whose keys are names. For the entries of each "
    "parameter, as torch has them: for p in torchish_mlx.parameters(model): entries = optimizer.state[p]"
    + see("the-state-of-an-optimizer-over-an-mlx-model")
)


def _places(value: Any, container: Any, key: Any) -> Iterator[tuple[Tensor, Any, Any]]:
    """(tensor, container, key) of every tensor in ``value``: the array with its number is ``container[key]``.

    The arrays of a decay rate are in a list, and those of several decay rates in a list of lists.
    """
    if isinstance(value, Tensor):
        carried = container.get(key) if isinstance(container, dict) else container[key]
        if isinstance(carried, list):
            yield value, carried, 0
        elif isinstance(carried, mx.array):
            yield value, container, key
    elif isinstance(value, (tuple, list)) and any(isinstance(v, Tensor) for v in value):
        carried = container.get(key)
        if isinstance(carried, list) and len(carried) == len(value):
            for i, v in enumerate(value):
                yield from _places(v, carried, i)


def refuse_tree(params: Any) -> None:
    """Raise TypeError for a tree of arrays. It is a copy of the model's references, so updating it changes nothing."""
    if isinstance(params, dict) and not isinstance(params, Module):
        raise TypeError(
            "params is a dict. MLX's model.parameters() is a throw-away tree of arrays, and updating it would change "
            "nothing: pass the model itself (optim.AdamW(model)), torchish_mlx.parameters(model), or, for groups, "
            'a list of dicts with a key "params"' + see("a-tree-of-arrays")
        )


def parameters_of(params: Any) -> tuple[list[Any], list[str]]:
    """The tensors of a group's "params", and their names where they have names."""
    refuse_tree(params)
    if isinstance(params, (Tensor, Module)):
        params = [params]
    elif isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
            "will change between runs. Please use a list instead."
        )
    tensors: list[Any] = []
    names: list[str] = []
    for param in params:
        if isinstance(param, Module):
            tensors += parameters(param)
        elif isinstance(param, tuple):
            names.append(param[0])
            tensors.append(param[1])
        elif isinstance(param, mx.array):
            raise TypeError(
                "optimizer can only optimize Tensors, but one of the params is mlx.core.array, which has no "
                "identity to update: pass a torchish_mlx.Parameter, or the model that holds the array"
                + see("a-tree-of-arrays")
            )
        else:
            tensors.append(param)
    if names and len(names) != len(tensors):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return tensors, names
