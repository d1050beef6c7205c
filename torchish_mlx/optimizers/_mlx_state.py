"""States of ``mlx.optimizers``, taken over and given back.

MLX's recipe saves ``{"step": ..., "learning_rate": ..., <the tree of parameters, each with {"m": ..., "v": ...}>}``, a
MultiOptimizer's ``{"states": [...]}``. Each rule declares, as its :class:`InMLX`, what its slots are called there. What
the slots mean is the same in all of them; what the formulas do with them is not:

=========  =====================================  ===================================================================
           slots (MLX -> here)                    the next steps agree with MLX's own, to rounding, where
=========  =====================================  ===================================================================
SGD        v -> momentum_buffer                   always; in its first step MLX dampens the gradient, and torch does not
Adam       m -> exp_avg, v -> exp_avg_sq          MLX's has bias_correction=True, which is not its default
AdamW      m -> exp_avg, v -> exp_avg_sq          as Adam
Adamax     m -> exp_avg, v -> exp_inf             never: MLX corrects no bias (after 150 steps that is nothing)
RMSprop    v -> square_avg                        always
Adagrad    v -> sum                               always
Adadelta   v -> square_avg, u -> acc_delta        always
Adafactor  exp_avg_sq_row, exp_avg_sq_col,        eps=(0, 1e-3), and MLX's has the defaults with lr=1e-2 here. With
           exp_avg_sq -> row_var, col_var,        relative_step=False MLX's rate is the rate, and no upper limit
           variance
Muon       v -> momentum_buffer                   weight_decay=0, but for the bfloat16 of torch's Newton-Schulz steps;
                                                  MLX adds weight decay to the gradient and so to v
the rest   the same names                         always: ``optim.from_mlx`` runs MLX's own formula
=========  =====================================  ===================================================================

MLX does not save which class a state is of: those of Adam, AdamW and Adamax look alike, and so do those of SGD,
RMSprop, Adagrad and Muon. A negative entry where squares should be shows that it was another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
from mlx.optimizers import MultiOptimizer, Optimizer
from mlx.utils import tree_map, tree_unflatten

from ._hyper import FIRST
from ._state import GROUPS

GLOBAL = ("step", "learning_rate")  # what is at the top of MLX's tree, next to the parameters


class InMLX(NamedTuple):
    """What ``mlx.optimizers`` keeps where a rule keeps its slots."""

    slots: Mapping[str, str] | None  # MLX's name -> the rule's; None: the names are the same
    squares: tuple[str, ...] = ()  # MLX's names of what is never negative
    axes: Mapping[str, int] = {}  # the rule's name -> an axis of length 1 that MLX leaves out
    alone: Mapping[str, str] = {}  # the rule's name of a slot that MLX has not -> the argument that goes without it
    rate: bool = True  # whether there always is a learning rate


class MLXPart(NamedTuple):
    """What has one count and one learning rate in MLX: a rule that is used alone, or a parameter group."""

    rule: Any
    values: Mapping[str, Any]
    arrays: dict[str, Any]
    parameters: Mapping[str, mx.array] | None = None  # by path; a rule alone does not know them
    frozen: Collection[str] = ()

    @property
    def name(self) -> str:
        return self.rule.__name__

    @property
    def h(self) -> Any:
        return self.rule.hypers(self.values, self.arrays)

    def counterpart(self) -> InMLX:
        """What MLX has for it; ValueError where that is nothing."""
        if self.rule is None or self.rule.mlx is None or self.rule.clock != ("step",):
            what = "this optimizer" if self.rule is None else self.name
            raise ValueError(
                f"{what} has no counterpart in mlx.optimizers whose state would mean the same. Use state_dict() and "
                "load_state_dict(), or tree_flatten(optimizer.state), which keep everything."
            )
        if self.values.get("maximize"):
            raise ValueError(f"{self.name} has maximize=True: its moments are of -g, and MLX's of g. Construct without")
        return self.rule.mlx

    def check(self) -> None:
        """ValueError where MLX has nothing for it, or a class of a user keeps more than a count and a rate."""
        if self.counterpart().slots is None and (
            more := sorted(self.rule.build(self.h, mx.array(0)).state.keys() - set(GLOBAL))
        ):
            raise ValueError(
                f"{self.name} keeps {more} in its state besides the count, the learning rate and the slots, and "
                "param_groups have them as options: use state_dict() and load_state_dict()"
            )

    def names(self, p: mx.array) -> Mapping[str, str]:
        """MLX's name -> the rule's, of the slots of ``p``."""
        slots = self.counterpart().slots
        return {name: name for name in self.rule.slots(self.h, p)} if slots is None else slots


def is_mlx_state(tree: Any) -> bool:
    """Whether ``tree`` is one that ``mlx.optimizers`` made, and not one of this package."""
    return isinstance(tree, Mapping) and GROUPS not in tree and ("step" in tree or "states" in tree)


def mlx_state(optimizer: Any) -> dict[str, Any]:
    """The state of an optimizer of this package as ``mlx.optimizers`` has it, to be assigned to the ``state`` of one.

    ``{"step": count, "learning_rate": rate, <the tree of parameters with {"m": ..., "v": ...}>}``, with arrays shared
    and dicts of its own; of a MultiOptimizer ``{"states": [...]}``. Options (betas, eps, ...) are not in it: construct
    the MLX optimizer with the same options. Paths are those by which ``optimizer`` knows its parameters: give it
    the model, or ``named_parameters(model)``.

    Args:
        optimizer: a rule of ``torchish_mlx.optimizers``, an adapter of ``torchish_mlx.optim``, or a MultiOptimizer
            or another optimizer of MLX.

    Raises:
        TypeError: not an optimizer.
        ValueError: MLX has no such optimizer or slot (amsgrad, centered), or it has one count or one learning rate
            where the parameters or groups have several.

    Example:
        >>> import mlx.core as mx
        >>> import mlx.optimizers
        >>> from torchish_mlx import optimizers
        >>> optimizer = optimizers.AdamW(learning_rate=0.5)
        >>> _ = optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})
        >>> native = mlx.optimizers.AdamW(0.5, bias_correction=True)
        >>> native.state = mlx_state(optimizer)
        >>> sorted(native.state["w"]), native.step.item()
        (['m', 'v'], 1)
    """
    if isinstance(optimizer, MultiOptimizer):
        return {"states": [mlx_state(one) for one in optimizer.optimizers]}
    if not hasattr(optimizer, "_mlx_parts"):
        if isinstance(optimizer, Optimizer):  # MLX's own, which may be used together with ours
            return tree_map(lambda array: array, optimizer.state)
        raise TypeError(f"mlx_state takes an optimizer of torchish_mlx or of MLX, but got {type(optimizer).__name__}")
    parts = optimizer._mlx_parts()
    slots = optimizer._slots
    if optimizer._mlx_several:
        return {"states": [_given([part], slots) for part in parts]}
    return _given(parts, slots)


def _given(parts: Sequence[MLXPart], slots: Mapping[str, Mapping[str, mx.array]]) -> dict[str, Any]:
    for part in parts:
        part.check()
    first = parts[0]
    for name, field in first.rule.fields().items():
        values = [part.values.get(name, field.default) for part in parts]
        if any(value != values[0] for value in values):
            raise ValueError(
                f"the groups have different {name} ({', '.join(map(repr, values))}), and MLX's {first.name} has one: "
                "make them equal, or use optim.MultiOptimizer, whose groups become optimizers of their own"
            )
    counts: dict[str, int] = {}
    flat: list[tuple[str, mx.array]] = []
    for part in parts:
        default, h = _whole(part.arrays["step"]), part.h
        for path in part.parameters if part.parameters is not None else slots:
            held = slots.get(path) or {}
            count = _whole(held["step"]) if "step" in held else default if held else 0
            p = None if part.parameters is None else part.parameters[path]
            if count == 0 and default and path in part.frozen:
                continue  # it has never been trained; MLX makes its slots when it is
            if held or (p is not None and part.rule.slots(h, p)):
                counts[path] = count
            flat += [(f"{path}.{name}", value) for name, value in _renamed(part, path, held)]
    most = max(_whole(part.arrays["step"]) for part in parts)
    if first.rule.counted and len(set(counts.values())) > 1:
        shown = sorted(counts.items(), key=lambda item: item[1])
        raise ValueError(
            f"MLX has one count for all parameters, but {shown[0][0]!r} has made {shown[0][1]} steps and "
            f"{shown[-1][0]!r} {shown[-1][1]}: save by state_dict() or tree_flatten(optimizer.state), which keep both"
        )
    step = next(iter(counts.values()), most) if first.rule.counted else most
    rate = first.rule.fields()["lr"].read(first.arrays["lr"]) if "lr" in first.arrays else None
    top = [("step", mx.array(step, mx.uint64))] + ([] if rate is None else [("learning_rate", rate)])
    return tree_unflatten(top + flat)


def _whole(count: mx.array) -> int:
    return int(count.astype(mx.uint64).item())  # type: ignore[arg-type]


def _renamed(part: MLXPart, path: str, held: Mapping[str, mx.array]) -> Iterator[tuple[str, mx.array]]:
    """(MLX's name, array) of the slots of one parameter."""
    if path.split(".")[0] in GLOBAL:
        raise ValueError(
            f"a parameter is named {path!r}, and MLX keeps its own {path.split('.')[0]!r} at that place: MLX can't "
            "train this model. Rename the parameter"
        )
    if "#" in path:
        raise ValueError(
            f"a second parameter is named {path.split('#')[0]!r}: construct the optimizer with (name, Parameter) pairs "
            "of torchish_mlx.named_parameters(model)"
        )
    mlx = part.counterpart()
    ours = {name: value for name, value in held.items() if name not in ("step", FIRST)}
    names = {name: name for name in ours} if mlx.slots is None else {v: k for k, v in mlx.slots.items()}
    for name, value in ours.items():
        if name not in names:
            without = mlx.alone.get(name)
            raise ValueError(
                f"state of {path!r} has {name!r}, which MLX's {part.name} does not keep"
                + (f": it takes over one with {without} only" if without else "")
            )
        axis = mlx.axes.get(name)
        yield names[name], value if axis is None else mx.squeeze(value, axis)
