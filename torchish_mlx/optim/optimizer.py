"""``torch.optim.Optimizer`` over MLX, with MLX's tree API on the same object."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeAlias

import mlx.core as mx
from mlx.nn import Module
from mlx.utils import tree_map

from .._docs import see
from ..optimizers import Rule
from ..optimizers._alone import Alone, alone, has_moved
from ..optimizers._core import Item
from ..optimizers._evaluate import arrays_in, schedule_given
from ..optimizers._hyper import as_array
from ..optimizers._mixups import check_update
from ..optimizers._mlx_state import Part, is_mlx_state
from ..optimizers._mlx_taken import taken
from ..optimizers._rates import is_schedule
from ..optimizers._single import refuse_single
from ..optimizers._state import GROUPS
from ..tensor import Tensor, enable_grad, parameters
from ..tensor._evaluate import schedule
from ..tensor._layouts import check_layout, in_mlx
from ..tensor._ties import retie, retie_by_memory, united
from ..tensor._walk import is_buffer
from ._by_name import LoadReport, by_name, same_option
from ._groups import Group, parameters_of, refuse_tree
from ._hooks import Hooked, hooked, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from ._mapping import CONTENT, ParameterState
from ._mixups import check_closure, explained, nothing_given, refuse_param, refuse_params
from ._scaling import scaling_of
from ._scheduled import ScheduledGroup, advance, group_of, with_numbers
from ._state import OptimizerState
from ._state_dict import LATER_KEYS, packed, restore, tree_of, undone_on_error, unpacked
from ._step import advance_all, gradients_of, resolve
from ._torchs_layout import arranged

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required"]

ParamsT: TypeAlias = Iterable[Any] | Module


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer(Hooked):
    """The base of all optimizers, and what a user's own subclass stands on.

    Args:
        params: an iterable of Parameters, of (name, Parameter) pairs, or of dicts with a key "params" (one per group);
            an ``mlx.nn.Module`` may stand wherever parameters may. A tree of arrays is refused: ``model.parameters()``
            of MLX is a copy of the references, and updating it would change nothing.
        defaults: options of every group that does not give its own.

    ``lr`` may be a schedule, a function from the number of steps (an array) to the rate, as those of MLX and of
    ``torchish_mlx.optimizers.schedules``. Then ``group["lr"]`` is the rate of the last step, and ``group["lr_step"]``
    the number of steps that the schedule has counted; a number written to ``group["lr"]`` ends the schedule.

    Attributes:
        param_groups: a list of dicts, which may be edited: a parameter keeps its entries in another group.
        state: ``state[p]`` is torch's dict of a parameter. The face of the whole follows the parameters. Where none of
            them belongs to an ``mlx.nn`` module it is torch's mapping of Parameters, and :meth:`state_tree` is the dict
            of arrays that MLX's ``tree_flatten`` takes. Over an ``mlx.nn`` model it is that dict of arrays itself.
            ``mx.eval`` and ``mx.compile`` take either. It is mutated and never replaced.

    Raises:
        TypeError, ValueError: in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> p = Parameter(mx.array([1.0]))
        >>> optimizer = optim.SGD([p], lr=0.5)
        >>> (p * p).sum().backward()
        >>> optimizer.step()
        >>> p.item()
        0.0

    Source: ``torch.optim.Optimizer`` (torch 2.13).
    """

    rule: ClassVar[type[Rule] | None] = None
    later_keys: ClassVar[dict[str, Any]] = {}  # what older versions of torch did not save, besides LATER_KEYS
    defaults: dict[str, Any]
    param_groups: list[Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.rule is not None:
            refuse_single(cls.rule, cls.__name__)
        if "step" in cls.__dict__:
            cls.step = hooked(cls.__dict__["step"])  # type: ignore[method-assign]
        if "__init__" in cls.__dict__ and cls.__module__.startswith(__package__ + "."):
            cls.__init__ = explained(cls.__dict__["__init__"])  # type: ignore[method-assign]

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        if self.rule is not None:
            self._check_implementation(defaults)
            self.rule.validate(with_numbers(defaults))
        self.defaults = defaults
        refuse_params(params)
        refuse_tree(params)
        self.param_groups = []
        given: list[Any] = list(parameters(params)) if isinstance(params, Module) else list(params)
        if not given:
            raise ValueError(nothing_given(params))
        if not isinstance(given[0], dict) or isinstance(given[0], Module):
            given = [{"params": given}]
        for group in given:
            self.add_param_group(group)
        if self.rule is not None:
            if defaults.get("fused") and defaults.get("foreach"):
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
            if self.rule.eager_slots:
                self._make_slots()
                schedule(self._tree)

    @staticmethod
    def _check_implementation(defaults: Mapping[str, Any]) -> None:
        """torch's limits of ``foreach``, and of what is not here."""
        if defaults.get("foreach") and not defaults.get("capturable"):
            for name, value in (
                ("lr", defaults["lr"]),
                *((f"betas[{i}]", b) for i, b in enumerate(defaults.get("betas", ()))),
            ):
                if "amsgrad" in defaults and as_array(value) is not None:
                    raise ValueError(f"{name} as a Tensor is not supported for capturable=False and foreach=True")
        if defaults.get("differentiable"):
            if defaults.get("fused"):
                raise RuntimeError("`fused` does not support `differentiable`")
            raise NotImplementedError(
                "differentiable=True is not supported: step() is not recorded on the tape. Write the update with "
                "tensor operations, or differentiate a pure function over apply_gradients with mx.grad."
                + see("differentiable-steps")
            )

    # Groups ---------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dict of "params" and of the options that differ from ``defaults``.

        Raises:
            TypeError: not a dict, a set of parameters, or something that is no Tensor.
            ValueError: a parameter that another group has, a missing option, names for some parameters only.
        """
        if not isinstance(param_group, dict) or isinstance(param_group, Module):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        tensors, names = parameters_of(param_group["params"])
        for p in tensors:
            if not isinstance(p, Tensor):
                refuse_param(p)
            if not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        tensors = united(tensors, (p for group in self.param_groups for p in group["params"]))
        items = {**param_group, "params": tensors}
        if names:
            items["param_names"] = names
        for name, default in self.defaults.items():
            if default is required and name not in items:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            items.setdefault(name, default)
        if len(tensors) != len(set(tensors)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        for group in self.param_groups:
            if ("param_names" in items) != ("param_names" in group):
                which = "with" if "param_names" in items else "without"
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {which} names to the optimizer"
                )
        if not {p for group in self.param_groups for p in group["params"]}.isdisjoint(tensors):
            raise ValueError("some parameters appear in more than one parameter group")
        rule = self._rule_of_group(len(self.param_groups))
        if rule is not None and is_schedule(items.get("lr")) and "_opt_called" in self.__dict__:
            raise ValueError(
                "the lr of this group is a schedule, and a scheduler moves the rates of this optimizer: give the group "
                "a number" + see("a-schedule-as-lr")
            )
        if rule is not None:
            for p in tensors:
                rule.check_parameter(p.array)
        self._append(group_of(rule, items, param_group))
        self.__dict__.setdefault("_before", []).extend((p, p.array) for p in tensors if p._storage.owned)
        schedule([p.array for p in tensors], arrays_in([items[name] for name in self.defaults]))

    def _rule_of_group(self, i: int) -> type[Rule] | None:  # noqa: ARG002 - a MultiOptimizer has several
        """The rule of the group at place ``i``."""
        return self.rule

    def _append(self, group: Group) -> None:
        tree = self._settled()
        tree.groups.append(group.arrays)
        names = group.get("param_names") or [None] * len(group["params"])
        for p, name in zip(group["params"], names, strict=True):
            tree.add(p, name, group)
        self.param_groups.append(group)

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

    def _make_slots(self) -> None:
        for group in self.param_groups:
            h = group.rule.hypers(group, group.arrays)
            for p in group["params"]:
                self._tree.slots_at(self._tree.paths[p]).update(group.rule.slots(h, p.array))

    # Options as attributes, as mlx.optimizers has them --------------------------------------------------------------

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
        """Set an option in every group; refuse it where the groups differ, for one value would take that away."""
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

    # State ----------------------------------------------------------------------------------------------------------

    @property
    def _tree(self) -> OptimizerState:
        """The tree of arrays: its own, or that of the optimizer whose ``state`` a wrapper was given or shows."""
        if type(self).state is not Optimizer.state and (shown := tree_of(self.state)) is not None:
            self.__dict__["_borrowed"] = True
            return shown
        tree: OptimizerState | None = self.__dict__.get("_state")
        if tree is None:
            tree = self.__dict__["_state"] = OptimizerState(in_place=self.rule is None)
        return tree

    @property
    def state(self) -> Any:
        """torch's ``state[p]`` and MLX's dict of arrays, as the class describes; assigning loads into the same dicts.

        Assigned may be a tree of arrays, a mapping of Parameters to their entries, or a state of ``mlx.optimizers``,
        which is taken over with a warning that names the options that MLX does not save. An optimizer that a user
        wrote, such as a wrapper, shares the state of another one that is assigned to it.

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
                warnings.warn(unsaved, stacklevel=3)  # past __setattr__
        if GROUPS in value:
            self._check_tree(value)
            tree.load(value)
            for group in tree.distinct_groups():
                group.adopt()
        elif any(isinstance(key, Tensor) for key in value) or not value:
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
                stacklevel=4,
            )

    _mlx_several: ClassVar[bool] = False  # whether MLX has a state for each group

    def _mlx_parts(self) -> list[Part]:
        """The groups as ``optimizers._mlx_state`` takes them."""
        parts, tree = [], self._settled()
        for group in self.param_groups:
            held = {tree.add(p, None, group): p for p in group["params"]}
            frozen = {path for path, p in held.items() if not p.requires_grad}
            arrays = {path: p.array for path, p in held.items()}
            parts.append(Part(tree.rule_of(group), group, group.arrays, arrays, frozen))
        return parts

    @property
    def _slots(self) -> Mapping[str, dict[str, mx.array]]:
        """path -> the arrays of that parameter."""
        return self._tree.slots

    @alone("state_dict()")
    def state_dict(self) -> dict[str, Any]:
        """The state in torch's layout: parameters are numbers, in the order of the groups.

        Its tensors are the optimizer's own and go on changing with it, as in torch: ``copy.deepcopy`` keeps a moment.
        """
        for hook in self._hooks("state_dict_pre").values():
            hook(self)
        self._settled()
        state_dict = in_mlx(packed(self.param_groups, self.state))
        for hook in self._hooks("state_dict_post").values():
            result = hook(self, state_dict)
            state_dict = state_dict if result is None else result
        return state_dict

    @alone("load_state_dict()")
    def load_state_dict(
        self,
        state_dict: Mapping[str, Any],
        strict: bool | None = None,
        keep_state_dtype: bool = False,
        layout: str | None = None,
    ) -> LoadReport | None:
        """Go on from ``state_dict``; its arrays may be Tensors, mx.arrays or another library's tensors.

        Keys that older versions of torch did not save are filled in. A compiled step sees the loaded state.

        Args:
            state_dict: what :meth:`state_dict` gives, torch's or this package's.
            strict: None matches parameters by order, as torch does. True and False match them by name, in any order and
                in other groups: by ``param_names`` in the file, which an optimizer made of ``named_parameters`` saves,
                and the names or the paths in their module that the parameters have here. What is missing, unexpected or
                mismatched is refused, or with False left as it is.
            keep_state_dtype: state keeps the floating dtype that it was saved in, and goes on in it, as the float32
                moments of a bfloat16 model. Otherwise it takes the dtype of its parameter, except ``step``.
            layout: how the state of the weights of convolutions is there: "mlx", or "torch", by which it is transposed.
                By default shapes and origins tell, as :func:`torchish_mlx.load_state_dict` says.

        Returns:
            None by order; by name a report with ``missing_keys``, ``unexpected_keys`` and ``mismatched_keys``.

        Raises:
            TypeError: no dict.
            ValueError: it does not fit (groups, their sizes, entries, shapes, names), or nothing tells the layout of a
                convolution whose shape is the same in both.

        Nothing is changed where it raises, or where a hook does.
        """
        if strict is not None and not isinstance(strict, bool):
            raise TypeError(f"strict is None (by order), True or False (by name), not {strict!r}")
        check_layout(layout)
        state_dict = dict(state_dict) if isinstance(state_dict, Mapping) else state_dict
        for hook in self._hooks("load_pre").values():
            result = hook(self, state_dict)
            state_dict = state_dict if result is None else result
        tree = self._settled()
        later = {**LATER_KEYS, **self.later_keys}
        later = {key: value for key, value in later.items() if key in self.defaults}
        report, arrange = None, partial(arranged, self, layout)
        try:
            if strict is None:
                new = unpacked(tree, self.param_groups, state_dict, later, keep_state_dtype, arrange)
            else:
                new, report = by_name(self, state_dict, later, strict, keep_state_dtype, arrange)
        except RecursionError:
            raise ValueError(
                "the containers of the state dict lie hundreds deep in each other, or contain themselves, which no "
                "optimizer saves: nothing was changed"
            ) from None
        with undone_on_error(self):
            self.__setstate__(new)
            for hook in self._hooks("load_post").values():
                hook(self)
        return report

    _in_order: ClassVar[bool] = False  # whether the state goes by the order of the parameters, as one vector of all

    def _misfits(self, entries: Mapping[str, Any], where: str) -> list[str]:  # noqa: ARG002 - a subclass does
        """What of loaded entries an optimizer without a rule can't go on with, in words."""
        return []

    def __getstate__(self) -> dict[str, Any]:
        tree = self._settled()
        return {
            "defaults": self.defaults,
            "state": {**{p: entries.apart() for p, entries in tree.saved()}, **tree.loose.apart()},
            "param_groups": [
                group.given() if isinstance(group, ScheduledGroup) else dict(group) for group in self.param_groups
            ],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over ``{"state": {p: entries}, "param_groups": [...]}``, in place: loading and unpickling end here."""
        self.__dict__.update({k: v for k, v in state.items() if k not in ("state", "param_groups")})
        if self.rule is None:
            self.__dict__.setdefault("defaults", {}).setdefault("differentiable", False)
        if "param_groups" not in self.__dict__:
            self.param_groups = []
            for i, items in enumerate(state["param_groups"]):
                self._append(group_of(self._rule_of_group(i), items, {}))
        else:
            for group, items in zip(self.param_groups, state["param_groups"], strict=True):
                group.replace(items)
        restore(self._settled(), self.param_groups, state["state"])
        self._schedule_state()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    # torch's step ---------------------------------------------------------------------------------------------------

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether ``step`` reads ``grad_scale`` and ``found_inf``, which ``GradScaler`` then sets: with ``fused=True``.

        A subclass whose own ``step`` reads them sets this to True.
        """
        said: bool | None = self.__dict__.get("_supports_amp_scaling")
        if said is not None:
            return said
        return self.rule is not None and all(group.get("fused") for group in self.param_groups)

    @_step_supports_amp_scaling.setter
    def _step_supports_amp_scaling(self, value: bool) -> None:
        self.__dict__["_supports_amp_scaling"] = value

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; one without is left as it is, its count included.

        Args:
            closure: evaluated first, with gradients recorded; its value is returned.

        Schedules one evaluation, of what it wrote, and does not wait for it; nothing else evaluates.

        Raises:
            RuntimeError: a gradient that the optimizer can't take; nothing is changed then.
        """
        if self.rule is None:
            raise NotImplementedError("an optimizer without a rule must write its own step()")
        loss = None
        if closure is not None:
            check_closure(closure)
            with enable_grad():
                loss = closure()
        tree = self._settled()
        # No name here may hold an old array, whose memory MLX would not use again.
        scaling = scaling_of(self)
        new = advance_all(tree, gradients_of(tree, self.param_groups), self.param_groups, scaling)
        for path, array in new.items():
            tree.parameters[path]._storage.array = array
        if scaling is not None:
            scaling.write_back(self.param_groups)
        schedule(new, tree)
        return loss

    step = hooked(step)

    def _retie(self, tree: OptimizerState) -> None:
        """See which Parameters were tied, or are no longer; a compiled step has to be traced again then."""
        if retie(tree.paths):
            tree.renew()

    def _look(self) -> None:
        """See what was tied, before a step that a user wrote; that of a rule sees it by the arrays that it reads."""
        self.__dict__.pop("_before", None)
        if self.rule is None:
            self._retie(self._tree)

    def _stepped(self) -> None:
        """After a step that a user wrote, whose loop must not pile up work either."""
        if self.rule is None:
            self._schedule_state([p.array for p in self._held()])

    def _held(self) -> list[Any]:
        """The parameters of all groups."""
        return [p for group in self.param_groups for p in group["params"]]

    def _schedule_state(self, *more: Any) -> None:
        """Have all of the state evaluated, so that any thread can go on with it."""
        schedule(self._tree, arrays_in(self._tree.beside), *more)

    def _check_moved(self, *given: Any) -> None:
        """Where several threads work here by turns: refuse what another one has left unevaluated."""
        if has_moved(self):
            what = "arrays among the parameters, the gradients or optimizer.state"
            schedule_given(what, self._tree, arrays_in(self._held(), *given))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with ``set_to_none=False`` set them to zero."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = None if set_to_none or p.grad.is_sparse else mx.zeros_like(p.grad.array)
        if not set_to_none:
            schedule(arrays_in([p.grad for p in self._held()]))

    # MLX's tree API -------------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> mx.array:
        """The learning rate of the first group, as an array; assigning sets it in every group."""
        self._settled()
        group = self.param_groups[0]
        known = group.rule is not None and "lr" in group.arrays
        return group.rule.fields()["lr"].read(group.arrays["lr"]) if known else mx.array(group["lr"])

    @learning_rate.setter
    def learning_rate(self, value: float | mx.array) -> None:
        self._settled()
        for group in self.param_groups:
            if group.rule is not None and as_array(value) is None:
                group.rule.validate({**group, "lr": value})
        for group in self.param_groups:
            group["lr"] = value

    @alone("init()")
    def init(self, parameters: Any) -> None:
        """Make all state of the parameters in ``parameters`` (a module or a tree) before the first step.

        A step that is compiled afterwards is traced once. Frozen parameters get no state. An optimizer whose ``step``
        is written in Python (LBFGS, your own) makes its state in its first step, and nothing here.

        Raises ValueError for a parameter that this optimizer does not hold.
        """
        tree = self._settled()
        for group, items in resolve(tree, _arrays(parameters), parameters).work:
            if group.rule is not None:
                h = group.rule.hypers(group, group.arrays)
                for path, _, p in items:
                    new = tree.parameters[path].requires_grad and not tree.slots.get(path)
                    if new and (made := group.rule.early_slots(h, p)):
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
        with Alone("apply_gradients()", self._tree, self._held):
            order, new, _ = self._applied(gradients, parameters)
        leaves = (new[path] for path in order)
        return tree_map(lambda _: next(leaves), gradients)

    def update(self, model: Module, gradients: Any) -> None:
        """Update ``model`` by a tree of gradients, as ``mlx.optimizers`` does. Tied weights change at all places."""
        check_update(model, gradients)
        with Alone("update()", self._tree, self._held):
            if type(self).apply_gradients is not Optimizer.apply_gradients:
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

    def _by_step(self, work: Sequence[tuple[Group, list[Item]]]) -> dict[str, mx.array]:
        """path -> new array, by a step() that a user wrote; gradients and arrays pass through the Parameters."""
        state = self._tree
        leaves = [item for _, items in work for item in items]
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
    """The tree of a module's parameters that are trained, without its buffers; a tree as it is."""
    if not isinstance(tree, Module):
        return tree
    return tree.filter_and_map(lambda m, k, v: Module.trainable_parameter_filter(m, k, v) and not is_buffer(m, (k,)))
