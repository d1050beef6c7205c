"""Boxes for arrays: MLX arrays have no identity, so a Tensor holds a box whose array is replaced."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.evaluation import schedule
from .._core.promotion import dtype_named, name_of
from .views import Step, apply, joined, layout_after, row_major, step_layout, write


class Storage:
    """A box for one ``mx.array``, which is replaced and never mutated: it owns the array, or has a place for it.

    A place is ``container[key]`` of a module, dict or list, which ``array`` reads and writes. ``version`` counts
    the writes that autograd must know of. ``write`` replaces the array without counting: it is what ``.data``
    uses, whose writes torch's autograd does not see either.

    >>> import mlx.core as mx
    >>> s = Storage(mx.array([1.0]))
    >>> s.array = s.array * 3
    >>> s.array.item(), s.version
    (3.0, 1)
    """

    __slots__ = ("__weakref__", "_array", "places", "pointer", "version")
    #: What ``Tensor.data_ptr`` counts from; unset until somebody asks.
    pointer: int

    #: Whether the elements are in row-major order by torch's account of strides.
    contiguous = True
    #: The places in modules, see ``Held``.
    owned: Any = ()

    def __init__(self, array: Any = None) -> None:
        self._array: Any = array
        self.places: Sequence[tuple[Any, Any]] = ()
        self.version = 0

    def home(self) -> tuple[Any, str | None]:
        """The module that holds the array, and the path there; (None, None) where no module does."""
        return None, None

    def frozen(self) -> bool | None:
        """Whether modules say that no gradient is wanted; None where no module holds the array."""
        return None

    def freeze(self, value: bool) -> None:
        """Have the modules that hold the array say whether no gradient is wanted."""

    @property
    def placed(self) -> bool:
        """Whether the array is kept in a container."""
        return bool(self.places or self.owned)

    def add_place(self, container: Any, key: Any) -> None:
        """Keep the array at this place, too: a write goes to every place, a read comes from the first.

        ``key`` may be a tuple, a path below the container that is walked at every access, so that replacing a
        list of arrays by another does not leave the storage behind.
        """
        self._array = None
        if not any(c is container and k == key for c, k in self.places):
            self.places = [*self.places, (container, key)]

    def leave(self, container: Any, key: Any) -> None:
        """Stop being ``container[key]``; without another place the storage owns the array that it had."""
        array = self.read()
        self.places = [(c, k) for c, k in self.places if not (c is container and k == key)]
        self._array = None if self.places else array

    def read(self) -> mx.array:
        """The array."""
        if not self.places:
            return self._array
        container, key = self.places[0]
        if type(key) is tuple:
            for part in key:
                container = container[part]
            return container
        return container[key]

    def write(self, value: mx.array) -> None:
        """Replace the array without counting a version."""
        if not self.places:
            self._array = value
        for container, key in self.places:
            if type(key) is tuple:
                for part in key[:-1]:
                    container = container[part]
                key = key[-1]
            container[key] = value

    @property
    def array(self) -> mx.array:
        """The array; assigning replaces it and counts a version."""
        return self.read()

    @array.setter
    def array(self, value: mx.array) -> None:
        self.write(value)
        self.version += 1

    def layout(self) -> tuple[tuple[int, ...], int]:
        """Torch's strides, and how many elements of the base's memory are before the first element."""
        return row_major(self.read().shape), 0

    def strides(self) -> tuple[int, ...]:
        """Torch's strides, in elements."""
        return self.layout()[0]

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds; NumPy's form of the array, because MLX's needs protocol 2."""
        array = self._array
        if array is not None:
            flat = np.array(mx.view(mx.reshape(array, (-1,)), mx.uint8))
            array = (flat, name_of(array.dtype), tuple(array.shape))
        return {"_array": array, "places": self.places, "version": self.version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        if self._array is not None:
            flat, dtype, shape = self._array
            self._array = mx.reshape(mx.view(mx.array(flat), dtype_named(dtype)), shape)
            schedule(self._array)  # so that any thread can use it

    def __deepcopy__(self, memo: dict[int, Any]) -> Storage:
        """Copy the containers through ``memo``: a model and an optimizer that are copied together stay linked."""
        new = Storage(self._array)
        memo[id(self)] = new
        new.version = self.version
        new.places = [(copy.deepcopy(container, memo), key) for container, key in self.places]
        return new


def storage_at(container: Any, key: Any) -> Storage:
    """A Storage whose array is at ``container[key]``.

    >>> import mlx.core as mx
    >>> d = {"w": mx.array([1.0])}
    >>> storage_at(d, "w").array = mx.array([2.0])
    >>> d["w"].item()
    2.0
    """
    made = Storage()
    made.add_place(container, key)
    return made


class Alias(Storage):
    """The same array as ``base`` with a version count of its own: the storage of ``tensor.data``."""

    __slots__ = ("base",)

    def __init__(self, base: Storage) -> None:
        super().__init__()
        self.base = base

    def read(self) -> mx.array:
        return self.base.read()

    def write(self, value: mx.array) -> None:
        self.base.write(value)

    def layout(self) -> tuple[tuple[int, ...], int]:
        return self.base.layout()

    @property
    def contiguous(self) -> bool:  # type: ignore[override]
        return self.base.contiguous

    def __getstate__(self) -> dict[str, Any]:
        return {"base": self.base, "_array": None, "places": (), "version": self.version}

    def __deepcopy__(self, memo: dict[int, Any]) -> Alias:
        new = Alias(copy.deepcopy(self.base, memo))
        memo[id(self)] = new
        return new


class View(Storage):
    """A part or another shape of ``base``: reading applies ``steps`` to its array, writing undoes them.

    The version is the base's. A view of a view has the same base, and the steps are joined. What it shows is computed
    once for each array that the base has held, where the base owns its array: the array at a place may be changed
    inside the same object (MLX's ``a *= 2``), and nothing would tell.
    """

    __slots__ = ("_from", "_last", "_shown", "_steps", "_layout", "base")
    base: Storage
    places: Any = ()  #: a part of another array has no place of its own

    def __init__(self, base: Storage, steps: Sequence[Step]) -> None:
        self._array: Any = None
        self._from: Any = None
        self._shown: Any = None
        self._layout: tuple[tuple[int, ...], int] | None = None
        self._last: Any = None
        before: tuple[Step, ...] = ()
        if isinstance(base, View):
            before, base = base.steps, base.base
        self.base = base
        self._steps: tuple[Step, ...] | None = functools.reduce(joined, steps, before)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps from the base's array to what is shown."""
        for view in reversed(self._behind("_steps")):
            parent, step = view._last
            view._steps = joined(parent.steps if isinstance(parent, View) else (), step)
        assert self._steps is not None
        return self._steps

    @property
    def version(self) -> int:
        return self.base.version

    @version.setter
    def version(self, value: int) -> None:
        self.base.version = value

    def read(self) -> mx.array:
        now = self.base._array
        if now is None:
            return apply(self.base.read(), self.steps)
        if now is not self._from:
            self._from, self._shown = now, apply(now, self.steps)
        return self._shown

    def write(self, value: mx.array) -> None:
        self._from = self._shown = None
        self.base.write(write(self.base.read(), value, self.steps))

    def layout(self) -> tuple[tuple[int, ...], int]:
        if self._layout is None and self._last is not None:
            parent, step = self._last
            if type(parent) is not View or parent._layout is not None:  # the usual case, without a loop
                self._layout = step_layout(step, *parent.layout())
        for view in reversed(self._behind("_layout")) if self._layout is None else ():
            if view._last is None:
                view._layout = layout_after(*view.base.layout(), view.steps)
            else:
                parent, step = view._last
                view._layout = step_layout(step, *parent.layout())
        assert self._layout is not None
        return self._layout

    def _behind(self, known: str) -> list[View]:
        """The view itself and those that it shows, one behind the other, for which ``known`` was not worked out yet."""
        found: list[View] = []
        here: Any = self
        while isinstance(here, View) and getattr(here, known) is None:
            found.append(here)
            here = None if here._last is None else here._last[0]
        return found

    @property
    def contiguous(self) -> bool:  # type: ignore[override]
        shape = self.read().shape
        plain = row_major(shape)
        return not all(shape) or all(n == 1 or s == p for n, s, p in zip(shape, self.strides(), plain, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {"base": self.base, "_steps": self.steps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        View.__init__(self, state["base"], ())
        self._steps = state["_steps"]

    def __deepcopy__(self, memo: dict[int, Any]) -> View:
        new = View(copy.deepcopy(self.base, memo), self.steps)
        memo[id(self)] = new
        return new


_NEW = View.__new__


def view_of(parent: Storage, step: Step, array: mx.array) -> View:
    """``View(parent, [step])`` where ``parent`` holds ``array`` now; its steps are joined when they are asked for."""
    made = _NEW(View)
    made._array = made._steps = made._layout = None
    made._last = (parent, step)
    made.base = base = parent.base if isinstance(parent, View) else parent
    made._from = base._array
    made._shown = step.forward(array)
    return made


def unaliased(storage: Storage) -> Storage:
    """The storage behind those that ``tensor.data`` made."""
    while isinstance(storage, Alias):
        storage = storage.base
    return storage
