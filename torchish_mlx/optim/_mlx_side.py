"""MLX's side of an optimizer: steps by trees of gradients, and options as attributes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import mlx.core as mx
from mlx.nn import Module
from mlx.utils import tree_map

from .._core.alone import Alone, alone
from .._core.evaluation import schedule
from ..bridge._ties import retie_by_memory
from ..bridge._walk import is_buffer
from ..nn.modules.module import Module as TorchModule
from ..optimizers._core import Share
from ..optimizers._hyper import as_array
from ..optimizers._mixups import check_update
from ._by_name import same_option
from ._saving import Saving
from ._scaling import scaling_of
from ._scheduled import advance
from ._step import advance_all, resolve


class MLXSide(Saving):
    """What ``mlx.optimizers.Optimizer`` has, on the same state."""

    step: Any  # torch's

    # Options as attributes ------------------------------------------------------------------------------------------

    @classmethod
    def _options(cls) -> Collection[str]:
        """The options that are attributes too: those of the rule. A user's own optimizer has its own attributes."""
        return () if cls.rule is None else cls.rule.fields()

    def __getattr__(self, name: str) -> Any:
        groups = self.__dict__.get("param_groups")
        if groups and name in self._options() and name in groups[0]:
            return groups[0][name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._options() and self.__dict__.get("param_groups"):
            self._set_option(name, value)
        else:
            super().__setattr__(name, value)

    def _set_option(self, name: str, value: Any) -> None:
        """Set an option in every group; refuse where the groups differ, because one value would overwrite theirs."""
        self._settled()
        groups = self.param_groups
        if any(not same_option(group.get(name), groups[0].get(name)) for group in groups):
            if same_option(value, self.defaults.get(name)):  # a subclass that remembers its arguments
                super().__setattr__(name, value)
                return
            raise ValueError(
                f"the parameter groups have different values of {name!r}, and optimizer.{name} = {value!r} would give "
                f'them one: set it in the groups that you mean (optimizer.param_groups[0]["{name}"] = {value!r})'
            )
        for group in groups:
            if group.rule is not None and as_array(value) is None:
                group.rule.validate({**group, name: value})
        self.__dict__.pop(name, None)
        for group in groups:
            group[name] = value

    @property
    def learning_rate(self) -> mx.array:
        """The learning rate of the first group, as an array; assigning sets it in every group."""
        self._settled()
        group = self.param_groups[0]
        if group.rule is None or "lr" not in group.arrays:
            return mx.array(group["lr"])
        return group.rule.fields()["lr"].read(group.arrays["lr"])

    @learning_rate.setter
    def learning_rate(self, value: float | mx.array) -> None:
        self._settled()
        for group in self.param_groups:
            if group.rule is not None and as_array(value) is None:
                group.rule.validate({**group, "lr": value})
        for group in self.param_groups:
            group["lr"] = value

    # Steps by trees -------------------------------------------------------------------------------------------------

    @alone("init()")
    def init(self, parameters: Any) -> None:
        """Make all state of the parameters in ``parameters`` (a module or a tree) before the first step.

        A step that is compiled afterwards is traced once. Frozen parameters get no state. An optimizer whose ``step``
        is written in Python (LBFGS, your own) makes its state in its first step, and nothing here.

        Raises ValueError for a parameter that this optimizer does not hold.
        """
        tree = self._settled()
        for rule, group, arrays, items, _ in resolve(tree, _arrays(parameters), parameters).work:
            if rule is not None:
                h = rule.hypers(group, arrays)
                for path, _, p in items:
                    new = tree.parameters[path].requires_grad and not tree.slots.get(path)
                    if new and (made := rule.early_slots(h, p)):
                        tree.create(path).update(made)
                        tree.unused.add(path)
        for parameter, path in tree.paths.items():
            if not parameter.requires_grad:
                tree.keep_count(path)  # here, because a compiled step would be traced twice if it did so
        schedule(tree)

    def apply_gradients(self, gradients: Any, parameters: Any) -> Any:
        """New parameters, a tree like ``gradients``; ``parameters`` (a module or a tree) may hold more.

        Uses and advances the same state as :meth:`step`, and touches no Parameter.

        Raises:
            ValueError: a gradient without a parameter, of another shape, or of a parameter that is not held here.
        """
        with Alone("apply_gradients()", self._tree, self._all_parameters):
            order, new, _ = self._applied(gradients, parameters)
        leaves = (new[path] for path in order)
        return tree_map(lambda _: next(leaves), gradients)

    def update(self, model: Module, gradients: Any) -> None:
        """Update ``model`` by a tree of gradients, as ``mlx.optimizers`` does. Tied weights change at all places."""
        check_update(model, gradients)
        with Alone("update()", self._tree, self._all_parameters):
            if type(self).apply_gradients is not MLXSide.apply_gradients:
                model.update(self.apply_gradients(gradients, model))
                return
            order, new, placed = self._applied(gradients, model)
            if len(placed) < len(new):
                leaves = (new[path] for path in order)
                model.update(tree_map(lambda _: next(leaves), gradients))
            for path in placed:
                self._tree.parameters[path].array = new[path]

    def _applied(self, gradients: Any, parameters: Any) -> tuple[list[str], dict[str, mx.array], set[str]]:
        """The path of each leaf of ``gradients``, path -> new array, and which paths are placed in a module."""
        tree = self._settled()
        self._check_moved(gradients)
        before = self.__dict__.pop("_before", None)
        if before and retie_by_memory(before):
            tree.renew()
        before = None
        work, order, placed = resolve(tree, gradients, parameters)
        self._note_step()
        if self.rule is None:
            return order, self._by_step(work), placed
        if not work:
            advance(self.param_groups)  # a schedule counts the updates without gradients too, as in MLX
        return order, advance_all(tree, work, self.param_groups, scaling_of(self)), placed

    def _by_step(self, work: Sequence[Share]) -> dict[str, mx.array]:
        """path -> new array, by a step() that a user wrote; gradients and arrays pass through the Parameters."""
        state = self._tree
        leaves = [item for share in work for item in share.items]
        held = [p for group in self.param_groups for p in group["params"]]
        before = [(p, p.grad, p.array) for p in held]
        try:
            for p in held:
                p.grad = None
            for path, g, array in leaves:
                state.parameters[path].array = array
                state.parameters[path].grad = g
            self.step()
            return {path: state.parameters[path].array for path, _, _ in leaves}
        finally:
            for p, grad, array in before:
                p.array, p.grad = array, grad


def _arrays(tree: Any) -> Any:
    """The tree of a module's parameters that are trained, without its buffers; a tree is returned unchanged."""
    if isinstance(tree, TorchModule):
        return {name: p.array for name, p in tree.named_parameters() if p.requires_grad}
    if not isinstance(tree, Module):
        return tree
    return tree.filter_and_map(lambda m, k, v: Module.trainable_parameter_filter(m, k, v) and not is_buffer(m, (k,)))
