"""``torch.optim.Optimizer`` over MLX, with MLX's tree API on the same object."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import mlx.core as mx
from mlx.nn import Module

from .._core.alone import Alone
from .._core.evaluation import arrays_in, schedule, schedule_given
from .._docs import see
from .._tensor.modes import enable_grad
from .._tensor.tensor import Tensor
from ..bridge._ties import united
from ..bridge.parameters import parameters
from ..optimizers._hyper import as_array
from ..optimizers._rates import is_schedule
from ..optimizers._single import refuse_single
from ..optimizers._step import written
from ._groups import parameters_of, refuse_tree
from ._hooks import hooked, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from ._mixups import check_closure, explained, nothing_given, refuse_param, refuse_params
from ._mlx_side import MLXSide
from ._scaling import scaling_of
from ._scheduled import group_of, rates_of, with_numbers
from ._step import advance_all, gradients_of

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required"]

ParamsT: TypeAlias = Iterable[Any] | Module


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer(MLXSide):
    """The base of all optimizers, also of those that a user writes.

    Args:
        params: an iterable of Parameters, of (name, Parameter) pairs, or of dicts with a key "params" (one per group);
            an ``mlx.nn.Module`` may be given wherever parameters may. A tree of arrays is refused:
            ``model.parameters()`` of MLX is a copy of the references, and updating it would change nothing.
        defaults: options of every group that does not give its own.

    ``lr`` may be a schedule, a function from the number of steps (an array) to the rate, as those of MLX and of
    ``torchish_mlx.optimizers.schedules``. Then ``group["lr"]`` is the rate of the last step, and ``group["lr_step"]``
    the number of steps that the schedule has counted; a number written to ``group["lr"]`` ends the schedule.

    Five options mean the same in every optimizer that has them:

    - ``maximize``: True goes up the gradient instead of down.
    - ``foreach``: False updates one parameter after the other, True joins small ones. With None small ones are joined,
      and the step may be compiled.
    - ``fused``: True compiles the step, False does not. None compiles it where the parameters with a gradient have a
      million elements or more, and ``foreach`` was not given. With True a step reads ``grad_scale`` and ``found_inf``,
      which ``GradScaler`` sets on the optimizer.
    - ``capturable``: torch's option for CUDA graphs. The numbers are the same either way. As in torch, Adam and AdamW
      with ``foreach=True`` take a tensor as ``lr`` or in ``betas`` only with it.
    - ``differentiable``: True raises NotImplementedError, because ``step()`` is not recorded for ``backward()``.

    Attributes:
        param_groups: a list of dicts, which may be edited: a parameter keeps its entries in another group.
        state: ``state[p]`` is torch's dict of a parameter. What the whole state is depends on the parameters. Where
            none of them belongs to an ``mlx.nn`` module it is torch's mapping of Parameters, and :meth:`state_tree` is
            the dict of arrays that MLX's ``tree_flatten`` takes. Over an ``mlx.nn`` model it is that dict of arrays
            itself. ``mx.eval`` and ``mx.compile`` take either. It is mutated and never replaced.

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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.rule is not None:
            refuse_single(cls.rule, cls.__name__)
        if "step" in cls.__dict__:
            cls.step = hooked(cls.__dict__["step"])  # type: ignore[method-assign]
        if "__init__" in cls.__dict__ and cls.__module__.startswith(f"{__package__}."):
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
        """Refuse what torch refuses with ``foreach``, and what is not supported here."""
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
        given = [items[name] for name in self.defaults]
        schedule_given("parameters", [p.array for p in tensors], arrays_in(given))
        self._append(group_of(rule, items, param_group))
        self.__dict__.setdefault("_before", []).extend((p, p.array) for p in tensors if p._storage.owned)

    def _make_slots(self) -> None:
        for group in self.param_groups:
            h = group.rule.hypers(group, group.arrays)
            for p in group["params"]:
                self._tree.slots_at(self._tree.paths[p]).update(group.rule.slots(h, p.array))

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

        Schedules the evaluation of the gradients, and then of what it wrote, and does not wait for it.

        Raises:
            RuntimeError: a gradient that the optimizer can't take, or that another thread has left unevaluated; another
                thread is at work on this optimizer or its parameters. Nothing is changed then.
        """
        if self.rule is None:
            raise NotImplementedError("an optimizer without a rule must write its own step()")
        loss = None
        if closure is not None:
            check_closure(closure)
            with enable_grad():
                loss = closure()
        with Alone("step()", self._tree, self._all_parameters):
            tree = self._settled()
            self._check_moved()
            # No name here may hold an old array, whose memory MLX would not use again.
            scaling = scaling_of(self)
            new = advance_all(tree, gradients_of(tree, self.param_groups), self.param_groups, scaling)
            parameters = tree.parameters
            for path, array in new.items():
                parameters[path]._storage.array = array
            if scaling is not None:
                scaling.write_back(self.param_groups)
            schedule(new, written(tree, new, self.param_groups), rates_of(self.param_groups))
        return loss

    step = hooked(step)

    def _look(self) -> None:
        """Find which parameters were tied, before a step that a user wrote; a rule's step finds it by itself."""
        self.__dict__.pop("_before", None)
        if self.rule is None:
            self._retie(self._tree)

    def _stepped(self) -> None:
        """Schedule what a step that a user wrote has computed, so that its loop collects no unevaluated work."""
        self._schedule_state([p.array for p in self._all_parameters()])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with ``set_to_none=False`` set them to zero."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = None if set_to_none or p.grad.is_sparse else mx.zeros_like(p.grad.array)
        if not set_to_none:
            schedule(arrays_in([p.grad for p in self._all_parameters()]))
