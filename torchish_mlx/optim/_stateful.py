"""What an optimizer keeps: its state as a tree of arrays, in line with groups that users edit as a list."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import mlx.core as mx

from .._core.alone import alone, has_moved
from .._core.evaluation import arrays_in, schedule, schedule_given
from .._tensor.tensor import Tensor
from ..bridge._ties import retie
from ..optimizers import Rule
from ..optimizers._mlx_state import MLXPart, is_mlx_state
from ..optimizers._mlx_taken import taken
from ..optimizers._state import GROUPS, entries_alone
from ._groups import Group
from ._hooks import Hooked
from ._mapping import CONTENT, ParameterState
from ._scheduled import group_of
from ._state import OptimizerState
from ._state_dict import restore, tree_of


class Stateful(Hooked):
    """The state of an optimizer: a mapping as torch has it, or MLX's tree, as its parameters need."""

    rule: ClassVar[type[Rule] | None] = None
    defaults: dict[str, Any]
    param_groups: list[Any]

    def _rule_of_group(self, i: int) -> type[Rule] | None:  # noqa: ARG002 - a MultiOptimizer has several
        """The rule of the group at place ``i``."""
        return self.rule

    def _settled(self) -> OptimizerState:
        """The tree of arrays, in line with ``param_groups``, which torch's users edit as a list of dicts."""
        tree, groups = self._tree, self.param_groups
        for i, group in enumerate(groups):
            if isinstance(group, Group):
                group.follow()
            else:
                groups[i] = group_of(self._rule_of_group(i), group, group)
        if not self.__dict__.get("_borrowed"):
            tree.settle(groups)
        return tree

    def _all_parameters(self) -> list[Any]:
        """The parameters of all groups."""
        return [p for group in self.param_groups for p in group["params"]]

    @property
    def _tree(self) -> OptimizerState:
        """The tree of arrays: its own, or that of the optimizer whose ``state`` a wrapper was given or shows."""
        if type(self).state is not Stateful.state and (shown := tree_of(self.state)) is not None:
            self.__dict__["_borrowed"] = True
            return shown
        tree: OptimizerState | None = self.__dict__.get("_state")
        if tree is None:
            tree = self.__dict__["_state"] = OptimizerState(in_place=self.rule is None)
        return tree

    @property
    def state(self) -> Any:
        """torch's ``state[p]`` and MLX's dict of arrays, as the class describes; assigning loads into the same dicts.

        A tree of arrays, a mapping of Parameters to their entries, or a state of ``mlx.optimizers`` may be assigned.
        The last of these gives a warning that names the options that MLX does not save. After ``{}``, or a dict that
        holds entries of your own alone, the optimizer starts over. An optimizer that a user wrote, such as a wrapper,
        shares the state of another one that is assigned to it.

        Raises ValueError for a tree that is not the state of an optimizer with these groups.
        """
        tree = self._tree
        if tree.of_modules:
            if not self._stepping:
                self._retie(tree)
            return tree
        face = self.__dict__.get("_face")
        if face is None or face.tree is not tree:
            face = self.__dict__["_face"] = ParameterState(tree)
        return face

    @state.setter
    @alone("an assignment to optimizer.state")
    def state(self, value: Mapping[Any, Any]) -> None:
        if not isinstance(value, Mapping):
            raise TypeError(f"an optimizer's state is a dict of arrays, but got {type(value).__name__}")
        groups = self.__dict__.setdefault("param_groups", [])
        if value.keys() == {CONTENT}:  # torch's mapping, after it went through a compiled function
            value = value[CONTENT]
        given = tree_of(value)
        if given is not None and self.rule is None and given is not self._tree:
            self.__dict__.update(_state=given, _borrowed=True)
            return
        if given is not None and isinstance(value, ParameterState):
            if given is not self._tree:
                restore(self._settled(), groups, value)
            return
        tree = self._settled()
        if is_mlx_state(value):
            value, unsaved = taken(value, self._mlx_parts())
            if unsaved:
                warnings.warn(unsaved, stacklevel=4)  # past __setattr__ and alone
        if GROUPS in value:
            self._check_tree(value)
            tree.load(value)
            for group in tree.distinct_groups():
                group.adopt()
        elif (
            not value
            or any(isinstance(key, Tensor) for key in value)
            or entries_alone(value, groups[0] if groups else ())
        ):
            restore(tree, groups, value)
        else:
            tree.load(value)  # says what is wrong with it
        self._schedule_state()

    def state_tree(self) -> OptimizerState:
        """The state as MLX's nested dict of arrays, for ``tree_flatten``, ``mx.save_safetensors`` and the like.

        ``{"_groups": [{"lr": array, ...}], <path of a parameter>: {"exp_avg": array, ...}, ...}``; a Parameter that is
        in no module is named by its number, or as ``named_parameters`` names it. These are the optimizer's own dicts,
        which are mutated and never replaced. Assigning such a tree to ``optimizer.state`` loads it.

        Raises TypeError where a subclass keeps a mapping of its own as ``state``.

        Example:
            >>> import mlx.core as mx
            >>> from mlx.utils import tree_flatten
            >>> from torchish_mlx import Parameter, optim
            >>> p = Parameter(mx.array([1.0]))
            >>> optimizer = optim.SGD([p], lr=0.5, momentum=0.9)
            >>> (p * p).sum().backward()
            >>> optimizer.step()
            >>> [name for name, _ in tree_flatten(optimizer.state_tree()) if not name.startswith("_groups")]
            ['0.momentum_buffer']
        """
        tree = tree_of(self.state)
        if tree is None:
            raise TypeError(
                f"the state of this {type(self).__name__} is a {type(self.state).__name__} of its own, and no tree of "
                "arrays: use state_dict() and load_state_dict()"
            )
        return tree

    def _check_tree(self, tree: Mapping[Any, Any]) -> None:
        """Say what a tree of arrays from elsewhere does not hold of an optimizer that is written in Python."""
        from_elsewhere = tree is not self._tree and len(tree) > 1 and not any(self._tree.slots.values())
        if self.rule is None and from_elsewhere:
            options = "; ".join(
                ", ".join(f"{k}={v!r}" for k, v in group.items() if k not in ("params", "param_names"))
                for group in self.param_groups
            )
            warnings.warn(
                f"{type(self).__name__} is written in Python, and a tree of arrays (tree_flatten(optimizer.state)) "
                f"holds neither its options, which stay {options}, nor entries of its state that are no arrays (counts "
                "as ints, lists). state_dict() holds all of it: save that by torchish_mlx.save().",
                stacklevel=5,
            )

    _mlx_several: ClassVar[bool] = False  # whether MLX has a state for each group

    def _mlx_parts(self) -> list[MLXPart]:
        """The groups as ``optimizers._mlx_state`` takes them."""
        parts, tree = [], self._settled()
        for group in self.param_groups:
            held = {tree.add(p, None, group): p for p in group["params"]}
            frozen = {path for path, p in held.items() if not p.requires_grad}
            arrays = {path: p.array for path, p in held.items()}
            parts.append(MLXPart(tree.rule_of(group), group, group.arrays, arrays, frozen))
        return parts

    @property
    def _slots(self) -> Mapping[str, dict[str, mx.array]]:
        """path -> the arrays of that parameter."""
        return self._tree.slots

    def _retie(self, tree: OptimizerState) -> None:
        """See which Parameters were tied, or are no longer; a compiled step has to be traced again then."""
        if retie(list(tree.paths)):
            tree.renew()

    def _schedule_state(self, *more: Any) -> None:
        """Have all of the state evaluated, so that any thread can go on with it."""
        schedule(self._tree, arrays_in(self._tree.others), *more)

    def _check_moved(self, *given: Any) -> None:
        """Where several threads take turns here, refuse what another one has left unevaluated."""
        if has_moved(self):
            what = "arrays among the parameters, the gradients or optimizer.state"
            schedule_given(what, self._tree, arrays_in(self._all_parameters(), *given))
