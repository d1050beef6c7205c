"""``torch.optim.Optimizer`` over MLX, with MLX's tree API on the same object."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from ..optimizers._mlx_state import Part, is_mlx_state
from ..optimizers._mlx_taken import taken
from ..optimizers._state import GROUPS
from ..tensor import Tensor, enable_grad, parameters
from ..tensor._evaluate import schedule
from ..tensor.parameter import is_buffer
from ._by_name import LoadReport, by_name
from ._groups import Group, parameters_of, refuse_tree
from ._hooks import Hooked, hooked, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from ._state import OptimizerState
from ._state_dict import LATER_KEYS, packed, restore, undone_on_error, unpacked
from ._step import advance_all, gradients_of, resolve

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

    Attributes:
        param_groups: a list of dicts.
        state: ``state[p]`` is torch's dict of a parameter; the whole is the dict of arrays that MLX's ``mx.eval``,
            ``mx.compile`` and ``tree_flatten`` take. It is mutated and never replaced.

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
        if "step" in cls.__dict__:
            cls.step = hooked(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        if self.rule is not None:
            self._check_implementation(defaults)
            self.rule.validate(defaults)
        self.defaults = defaults
        if isinstance(params, (Tensor, mx.array)):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{_typename(params)}"
            )
        refuse_tree(params)
        self.param_groups = []
        given: list[Any] = list(parameters(params)) if isinstance(params, Module) else list(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(given[0], dict) or isinstance(given[0], Module):
            given = [{"params": given}]
        for group in given:
            self.add_param_group(group)
        if self.rule is not None:
            if defaults.get("fused") and defaults.get("foreach"):
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
            if self.rule.eager_slots:
                self._make_slots()
                schedule(self.state)

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
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {_typename(p)}")
            if not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
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
        rule = self._next_rule()
        if rule is not None:
            for p in tensors:
                rule.check_parameter(p.array)
        given = [items[name] for name in self.defaults]
        schedule_given("parameters", [p.array for p in tensors], arrays_in(given))
        self._append(Group(rule, items))

    def _next_rule(self) -> type[Rule] | None:
        """The rule of the next group."""
        return self.rule

    def _append(self, group: Group) -> None:
        state = self.state
        state.groups.append(group.arrays)
        names = group.get("param_names") or [None] * len(group["params"])
        for p, name in zip(group["params"], names, strict=True):
            state.add(p, name, group)
        self.param_groups.append(group)

    def _make_slots(self) -> None:
        for group in self.param_groups:
            h = group.rule.hypers(group, group.arrays)
            for p in group["params"]:
                self.state.entries(p).slots.update(group.rule.slots(h, p.array))

    # State ----------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> OptimizerState:
        """torch's ``state[p]`` and MLX's dict of arrays; assigning loads into the same dicts.

        A state of ``mlx.optimizers`` is taken over, with a warning that names the options that MLX does not save.

        Raises ValueError for a tree that is not the state of an optimizer with these groups.
        """
        if "_state" not in self.__dict__:
            self.__dict__["_state"] = OptimizerState()
        return self.__dict__["_state"]

    @state.setter
    @alone("an assignment to optimizer.state")
    def state(self, value: Mapping[Any, Any]) -> None:
        if not isinstance(value, Mapping):
            raise TypeError(f"an optimizer's state is a dict of arrays, but got {type(value).__name__}")
        if is_mlx_state(value):
            value, unsaved = taken(value, self._mlx_parts())
            if unsaved:
                warnings.warn(unsaved, stacklevel=3)
        if GROUPS in value:
            self._check_tree(value)
            self.state.load(value)
            for group in self.state.distinct_groups():
                group.adopt()
        elif all(isinstance(key, Tensor) for key in value):
            restore(self.state, getattr(self, "param_groups", []), value)
        else:
            self.state.load(value)  # says what is wrong with it
        self._schedule_state()

    def _check_tree(self, tree: Mapping[Any, Any]) -> None:
        """Say what a tree of arrays from elsewhere does not hold of an optimizer that is written in Python."""
        from_elsewhere = tree is not self.state and len(tree) > 1 and not any(self.state.slots.values())
        if self.rule is None and from_elsewhere:
            options = "; ".join(
                ", ".join(f"{k}={v!r}" for k, v in group.items() if k not in ("params", "param_names"))
                for group in self.param_groups
            )
            warnings.warn(
                f"{type(self).__name__} is written in Python, and a tree of arrays (tree_flatten(optimizer.state)) "
                f"holds neither its options, which stay {options}, nor entries of its state that are no arrays (counts "
                "as ints, lists). state_dict() holds all of it: save that by torchish_mlx.save().",
                stacklevel=3,
            )

    _mlx_several: ClassVar[bool] = False  # whether MLX has a state for each group

    def _mlx_parts(self) -> list[Part]:
        """The groups as ``optimizers._mlx_state`` takes them."""
        parts = []
        for group in self.param_groups:
            held = {path: p for p in group["params"] if (path := self.state.paths.get(p)) is not None}
            frozen = {path for path, p in held.items() if not p.requires_grad}
            arrays = {path: p.array for path, p in held.items()}
            parts.append(Part(self.state.rule_of(group), group, group.arrays, arrays, frozen))
        return parts

    @alone("state_dict()")
    def state_dict(self) -> dict[str, Any]:
        """The state in torch's layout: parameters are numbers, in the order of the groups.

        Its tensors are the optimizer's own and go on changing with it, as in torch: ``copy.deepcopy`` keeps a moment.
        """
        for hook in self._hooks("state_dict_pre").values():
            hook(self)
        state_dict = packed(self.param_groups, self.state)
        for hook in self._hooks("state_dict_post").values():
            result = hook(self, state_dict)
            state_dict = state_dict if result is None else result
        return state_dict

    @alone("load_state_dict()")
    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool | None = None, keep_state_dtype: bool = False
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

        Returns:
            None by order; by name a report with ``missing_keys``, ``unexpected_keys`` and ``mismatched_keys``.

        Raises:
            TypeError: no dict.
            ValueError: it does not fit (groups, their sizes, entries, shapes, names).

        Nothing is changed where it raises, or where a hook does.
        """
        if strict is not None and not isinstance(strict, bool):
            raise TypeError(f"strict is None (by order), True or False (by name), not {strict!r}")
        state_dict = dict(state_dict) if isinstance(state_dict, Mapping) else state_dict
        for hook in self._hooks("load_pre").values():
            result = hook(self, state_dict)
            state_dict = state_dict if result is None else result
        later = {**LATER_KEYS, **self.later_keys}
        later = {key: value for key, value in later.items() if key in self.defaults}
        report = None
        try:
            if strict is None:
                new = unpacked(self.state, self.param_groups, state_dict, later, keep_state_dtype)
            else:
                new, report = by_name(self, state_dict, later, strict, keep_state_dtype)
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
        held = [p for group in self.param_groups for p in group["params"] if p in self.state]
        return {
            "defaults": self.defaults,
            "state": {**{p: self.state.entries(p).apart() for p in held}, **self.state.loose},
            "param_groups": [dict(group) for group in self.param_groups],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over ``{"state": {p: entries}, "param_groups": [...]}``, in place: loading and unpickling end here."""
        self.__dict__.update({k: v for k, v in state.items() if k not in ("state", "param_groups")})
        if self.rule is None:
            self.__dict__.setdefault("defaults", {}).setdefault("differentiable", False)
        if "param_groups" not in self.__dict__:
            self.param_groups = []
            for items in state["param_groups"]:
                self._append(Group(self._next_rule(), items))
        else:
            for group, items in zip(self.param_groups, state["param_groups"], strict=True):
                group.replace(items)
        restore(self.state, self.param_groups, state["state"])
        self._schedule_state()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    # torch's step ---------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; one without is left as it is, its count included.

        Args:
            closure: evaluated first, with gradients recorded; its value is returned.

        Schedules the evaluation of the gradients, and then of what it wrote, and does not wait for it.

        Raises:
            RuntimeError: a gradient that the optimizer can't take, or that another thread has left unevaluated; another
                thread is at work on this optimizer or its parameters. Nothing is changed then.
        """
        if self.rule is None:
            raise NotImplementedError("an optimizer without a rule must write its own step()")
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        state = self.state
        with Alone("step()", state, self._held):
            self._check_moved()
            # No name here may hold an old array, whose memory MLX would not use again.
            new = advance_all(state, gradients_of(state, self.param_groups))
            for path, array in new.items():
                state.parameters[path].array = array
            schedule(new, state)
        return loss

    step = hooked(step)

    def _stepped(self) -> None:
        """After a step that a user wrote, whose loop must not pile up work either."""
        self._schedule_state([p.array for p in self._held()])

    def _held(self) -> list[Any]:
        """The parameters of all groups."""
        return [p for group in self.param_groups for p in group["params"]]

    def _schedule_state(self, *more: Any) -> None:
        """Have all of the state evaluated, so that any thread can go on with it."""
        state: Any = self.state
        if isinstance(state, OptimizerState):
            schedule(state, arrays_in(state.beside, state.loose), *more)
        else:  # a wrapper that keeps a dict of its own
            schedule(arrays_in(state), *more)

    def _check_moved(self, *given: Any) -> None:
        """Where several threads work here by turns: refuse what another one has left unevaluated."""
        if has_moved(self):
            what = "arrays among the parameters, the gradients or optimizer.state"
            schedule_given(what, self.state, arrays_in(self._held(), *given))

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
        group = self.param_groups[0]
        known = group.rule is not None and "lr" in group.arrays
        return group.rule.fields()["lr"].read(group.arrays["lr"]) if known else mx.array(group["lr"])

    @learning_rate.setter
    def learning_rate(self, value: float | mx.array) -> None:
        for group in self.param_groups:
            if group.rule is not None and as_array(value) is None:
                group.rule.validate({**group, "lr": value})
        for group in self.param_groups:
            group["lr"] = value

    @alone("init()")
    def init(self, parameters: Any) -> None:
        """Make the state of every parameter in ``parameters`` (a module or a tree) before the first step.

        Schedules its evaluation, and does not wait for it.

        Raises ValueError for one that this optimizer does not hold.
        """
        for group, items in resolve(self.state, _arrays(parameters), parameters)[0]:
            if group.rule is not None:
                h = group.rule.hypers(group, group.arrays)
                for path, _, p in items:
                    if not self.state.slots.get(path) and (made := group.rule.slots(h, p)):
                        self.state.create(path).update(made)
        schedule(self.state)

    def apply_gradients(self, gradients: Any, parameters: Any) -> Any:
        """New parameters, a tree like ``gradients``; ``parameters`` (a module or a tree) may hold more.

        Uses and advances the same state as :meth:`step`, and touches no Parameter.

        Raises:
            ValueError: a gradient without a parameter, of another shape, or of a parameter that is not held here.
        """
        with Alone("apply_gradients()", self.state, self._held):
            self._check_moved(gradients)
            work, order = resolve(self.state, gradients, parameters)
            self._note_step()
            new = self._by_step(work) if self.rule is None else advance_all(self.state, work)
        leaves = (new[path] for path in order)
        return tree_map(lambda _: next(leaves), gradients)

    def update(self, model: Module, gradients: Any) -> None:
        """Update ``model`` by a tree of gradients, as ``mlx.optimizers`` does."""
        with Alone("update()", self.state, self._held):
            model.update(self.apply_gradients(gradients, model))

    def _by_step(self, work: Sequence[tuple[Group, list[Item]]]) -> dict[str, mx.array]:
        """path -> new array, by a step() that a user wrote; gradients and arrays pass through the Parameters."""
        state = self.state
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


def _typename(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _arrays(tree: Any) -> Any:
    """The tree of a module's parameters, without its buffers; a tree as it is."""
    if not isinstance(tree, Module):
        return tree
    return tree.filter_and_map(lambda m, k, v: Module.valid_parameter_filter(m, k, v) and not is_buffer(m, (k,)))
