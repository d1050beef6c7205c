"""A state of ``mlx.optimizers``, read and checked: its count, its learning rate, and the slots of each parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import mlx.core as mx

from .._core.messages import listed
from .._core.trace import traced
from .._docs import see
from ._hyper import shortest
from ._mlx_slots import Leaf, converted, entry
from ._mlx_state import GLOBAL, MLXPart
from ._rates import LR_STEP
from ._state import State, copied


def taken(tree: Mapping[str, Any], parts: Sequence[MLXPart]) -> tuple[State, str]:
    """The state with which these parts continue MLX's ``tree``, and a sentence about what it does not hold.

    Raises ValueError or TypeError, which say which entry does not fit.
    """
    tree = copied(tree)
    new, kept = State(), []
    new.groups.extend(dict(part.arrays) for part in parts)
    for where, sub, members in _split(tree, parts):
        step, rate = _count(sub, where), _rate(sub, where, [parts[i] for i in members])
        found = _found(sub, where, [parts[i] for i in members])
        for i, by_path in zip(members, found, strict=True):
            part, arrays = parts[i], new.groups[i]
            arrays["step"] = mx.array(step, mx.float32)
            if LR_STEP in arrays:
                arrays[LR_STEP] = mx.array(step, mx.uint64)
            if rate is not None:
                arrays["lr"] = part.rule.fields()["lr"].carry(rate)
            for path, slots in _slots(part, by_path, step, where).items():
                if slots:
                    new.create(path).update(slots)
            kept.append(_unsaved(part, rate is None))
    if not any(kept):
        return new, ""
    told = kept[0] if len(set(kept)) == 1 else "; ".join(f"group {i}: {text}" for i, text in enumerate(kept))
    return new, (
        f"the loaded state comes from mlx.optimizers, which saves the count, the learning rate and the slots. Other "
        f"options are not in the file, and stay as this optimizer was constructed: {told}"
    )


def _split(tree: Mapping[str, Any], parts: Sequence[MLXPart]) -> list[tuple[tuple[Any, ...], Any, list[int]]]:
    """(where, one optimizer's tree, the numbers of its parts) of a tree; a MultiOptimizer's has several."""
    for part in parts:
        part.check()
    if "step" in tree:
        kinds = {part.rule for part in parts}
        if len(kinds) > 1:
            raise ValueError(
                f"state is of one MLX optimizer, but this one has {len(parts)} groups of several kinds "
                f'({", ".join(part.name for part in parts)}): give the {{"states": [...]}} of a MultiOptimizer'
            )
        return [((), tree, list(range(len(parts))))]
    states = tree["states"]
    if not isinstance(states, list) or len(states) != len(parts) or len(tree) != 1:
        held = len(states) if isinstance(states, list) else f"a {type(states).__name__}"
        others = sorted(map(str, tree.keys() - {"states"}))
        raise ValueError(
            f'state["states"] is expected to be a list of {len(parts)} states, one for each parameter group in their '
            f"order, with no other entry in state; but it holds {held}"
            + (f", and state also has {others}" if others else "")
        )
    for i, sub in enumerate(states):
        if not isinstance(sub, dict) or "step" not in sub:
            holds = sorted(map(str, sub)) if isinstance(sub, dict) else type(sub).__name__
            raise ValueError(
                f'state["states"][{i}] is no state of an MLX optimizer: it has no "step", but {holds}. '
                "A MultiOptimizer inside another can't be taken over"
            )
    return [(("states", i), sub, [i]) for i, sub in enumerate(states)]


def _number(tree: Mapping[str, Any], where: tuple[Any, ...], name: str, wanted: str) -> Any:
    value = tree[name]
    if not isinstance(value, mx.array) or value.size != 1:
        what = f"of shape {tuple(value.shape)}" if isinstance(value, mx.array) else f"a {type(value).__name__}"
        raise ValueError(f"{entry((*where, name))} is {what}, expected {wanted} in an mx.array")
    if traced(value):
        raise RuntimeError(
            "a state of mlx.optimizers can't be loaded inside a traced step: load it before the call"
            + see("written-inside-a-compiled-step")
        )
    return value.item()


def _count(tree: Mapping[str, Any], where: tuple[Any, ...]) -> int:
    step = _number(tree, where, "step", "the number of steps")
    if isinstance(step, complex) or not step >= 0 or step != step // 1:
        raise ValueError(f"{entry((*where, 'step'))} is {step}, expected a whole number of steps")
    return int(step)


def _rate(tree: Mapping[str, Any], where: tuple[Any, ...], parts: Sequence[MLXPart]) -> float | None:
    """The learning rate as a number; None where the tree has none and need not have one."""
    place = entry((*where, "learning_rate"))
    if "learning_rate" not in tree:
        if all(not part.counterpart().rate or "lr" not in part.arrays for part in parts):
            return None
        raise ValueError(
            f"{place} is missing, but MLX's {parts[0].name} always saves it: give the whole state, as "
            "tree_unflatten(list(mx.load(file).items())) returns it"
        )
    rate = _number(tree, where, "learning_rate", "a number")
    for part in parts:
        if "lr" not in part.arrays:
            raise ValueError(f"{place} is {rate}, but {part.name} has no learning rate: it is of another optimizer")
        try:
            part.rule.validate({**part.values, "lr": rate})
        except (ValueError, TypeError) as error:
            raise ValueError(f"{place} is {rate}, which {part.name} refuses: {error}") from None
    return shortest(tree["learning_rate"].astype(mx.float32))


def _found(tree: Mapping[str, Any], where: tuple[Any, ...], parts: Sequence[MLXPart]) -> list[dict[str, Leaf]]:
    """For each part: path -> MLX's slots of that parameter, all of them evaluated."""
    found: list[dict[str, Leaf]] = [{} for _ in parts]
    leaves = (leaf for key, child in tree.items() if key not in GLOBAL for leaf in _leaves(child, (*where, key)))
    for keys, slots in leaves:
        path = ".".join(map(str, keys[len(where) :]))
        owner = next((i for i, p in enumerate(parts) if p.parameters is None or path in p.parameters), None)
        if owner is None:
            held = listed([path for part in parts for path in part.parameters or ()]) or "no parameter"
            raise ValueError(
                f"{entry(keys)} is of a parameter {path!r}, which this optimizer does not hold; it holds {held}. "
                "Where only the names differ, construct it with (name, Parameter) pairs of "
                "torchish_mlx.named_parameters(model); where it is no parameter here (a buffer), delete that entry"
            )
        if path in found[owner]:
            raise ValueError(f"{entry(keys)} and {entry(found[owner][path][0])} are both of the parameter {path!r}")
        found[owner][path] = (keys, slots)
    mx.eval([slots for by_path in found for _, slots in by_path.values()])
    return found


def _leaves(node: Any, keys: tuple[Any, ...]) -> Iterator[Leaf]:
    """(where, dict) of every dict that holds arrays."""
    if not isinstance(node, (dict, list)):
        kind = f"an array of shape {tuple(node.shape)}" if isinstance(node, mx.array) else f"a {type(node).__name__}"
        raise ValueError(f"{entry(keys)} is {kind}, expected the slots of a parameter, a dict of arrays")
    pairs: Any = node.items() if isinstance(node, dict) else enumerate(node)
    if isinstance(node, dict) and any(isinstance(value, mx.array) for value in node.values()):
        for name, value in pairs:
            if not isinstance(value, mx.array) or not mx.issubdtype(value.dtype, mx.floating):
                what = f"an array of {value.dtype}" if isinstance(value, mx.array) else f"a {type(value).__name__}"
                raise ValueError(f"{entry((*keys, name))} is {what}, expected an array of a floating dtype")
        yield keys, node
        return
    for key, child in pairs:
        yield from _leaves(child, (*keys, key))


def _slots(
    part: MLXPart, found: Mapping[str, Leaf], step: int, where: tuple[Any, ...]
) -> dict[str, dict[str, mx.array]]:
    """path -> the rule's slots of every parameter, in the order of the parameters where they are known."""
    made: dict[str, dict[str, mx.array]] = {}
    h = part.h
    for path, p in (part.parameters or {}).items():
        if path not in found and _keeps(part, h, p):
            if (found or step) and path not in part.frozen:
                keys = [int(key) if key.isdigit() else key for key in path.split(".")]
                raise ValueError(
                    f"{entry((*where, *keys))} is missing: the state holds {listed(found) or 'no parameter'}, and this "
                    f"optimizer also trains {path!r} (shape {tuple(p.shape)}). It was saved for another model, or with "
                    "that parameter frozen: freeze it, load, and unfreeze it, so that it begins a count of its own"
                )
            if part.rule.eager_slots:
                late = part.rule.start(h) if step and part.rule.counted else {}
                made[path] = {**part.rule.slots(h, p), **late}
        elif path in found:
            made[path] = converted(part, h, p, step, *found[path])
    if part.parameters is None:
        if step and not found and _keeps(part, h, mx.zeros((1, 1))):
            raise ValueError(
                f"{entry((*where, 'step'))} is {step}, but there are no slots of any parameter: the tree is not whole"
            )
        for path, leaf in found.items():
            made[path] = converted(part, h, None, step, *leaf)
    return made


def _keeps(part: MLXPart, h: Any, p: mx.array) -> bool:
    """Whether there are slots of ``p`` once it has been trained."""
    return bool(part.rule.slots(h, p)) or getattr(h, "remembers", False)


def _unsaved(part: MLXPart, rate_too: bool) -> str:
    """The options of a part that MLX's state does not hold, with their values."""
    fields = part.rule.fields().items()
    values = {n: part.values.get(n, f.default) for n, f in fields if n in part.values or f.default}
    return ", ".join(f"{name}={value!r}" for name, value in values.items() if name != "lr" or rate_too)
