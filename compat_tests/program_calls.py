"""Statements of ``tensor_programs`` that call any function of the registry, of what is alive and of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import torchish_mlx as tm
from compat_tests.program_arguments import (
    FUNCTIONAL,
    IMAGES,
    Unfit,
    Want,
    by_name,
    by_sample,
    function_of,
    made,
    resolved,
    samples,
    sizes_of,
    wanted,
)
from torchish_mlx.parity.sides import DTYPES, to_array

#: torch's samples have the weight first, which is the second argument of the function.
TURNED = {f"{FUNCTIONAL}.embedding"}
#: Which of several equal elements these find is not said: they are called with the numbers of torch's samples.
TIED = {"sort", "argsort", "msort", "topk", "kthvalue", "median", "nanmedian", "mode"}
#: A call gives no more than this many Tensors to a program.
RESULTS = 3


class Pair(tuple[Any, Any]):
    """torch's Tensor and ours."""


def bare(name: str) -> str:
    return name.removeprefix(f"{FUNCTIONAL}.")


# Tensors --------------------------------------------------------------------------------------------------------------


def leaf(values: torch.Tensor, wants: bool) -> Pair:
    return Pair((values.clone().requires_grad_(wants), tm.Tensor(to_array(values)).requires_grad_(wants)))


def changed(pair: Pair, change: Callable[[Any, Any], Any]) -> Pair:
    return Pair((change(pair[0], torch), change(pair[1], tm)))


def eye(channels: int, n: int) -> torch.Tensor:
    return torch.eye(channels).reshape(channels, channels, *[1] * n)


def placed(program: Any, values: torch.Tensor) -> Pair:
    """These values in a memory that is drawn, with a gradient or without one."""
    rng, ndim = program.rng, values.ndim
    floats = values.dtype == torch.float32
    wants = floats and rng.random() < 0.6
    how = rng.choice(["leaf", "result", "turned", "part", "image", "image"])
    if how == "image" and floats and ndim in (3, 4, 5) and values.numel() and bool(values.isfinite().all()):
        kernel = leaf(eye(values.shape[1], ndim - 2), False)
        conv = f"conv{ndim - 2}d"
        return Pair(getattr(T, conv)(t, k) for T, t, k in zip((torch, tm), leaf(values, wants), kernel, strict=True))
    if how == "turned" and ndim > 1:
        return changed(leaf(values.transpose(0, -1).contiguous(), wants), lambda t, T: t.transpose(0, -1))
    if how == "part" and ndim:
        return changed(leaf(torch.cat([values[:1], values]), wants), lambda t, T: t[t.shape[0] - values.shape[0] :])
    if how == "result" and floats:
        return changed(leaf(values, wants), lambda t, T: t * 1)
    return leaf(values, wants)


def numbers(program: Any, want: Want) -> torch.Tensor:
    """Values of a kind."""
    rng, shape, (kind, _, count) = program.numbers, want.shape, want.kind.partition(" ")
    if want.sample is not None:
        return want.sample
    if kind == "class":
        return torch.tensor(rng.integers(0, max(int(count), 1), shape))
    if kind == "sign":
        return torch.tensor(rng.choice([-1.0, 1.0], shape), dtype=torch.float32)
    low = {"unit": 0.0, "positive": 0.5}.get(kind, -2.0)
    return torch.tensor(np.round(rng.uniform(low, 1 if kind == "unit" else 2, shape), 2), dtype=torch.float32)


def found(program: Any, want: Want, old: bool = True) -> Pair:
    """A Tensor that is alive and fits, or a new one, which is alive from then on."""
    dtype = torch.float32 if want.sample is None else want.sample.dtype
    if old and dtype == torch.float32 and want.kind in ("float", "sample") and program.rng.random() < 0.6:
        fits = [i for i, t in enumerate(program.theirs) if tuple(t.shape) == want.shape and t.dtype == dtype] or [
            i for i, t in enumerate(program.theirs) if t.dtype == dtype and within(want.shape, tuple(t.shape))
        ]
        if fits:
            i = program.rng.choice(fits)
            pair = Pair((program.theirs[i], program.ours[i]))
            where = tuple(slice(size) for size in want.shape)
            return pair if tuple(pair[0].shape) == want.shape else changed(pair, lambda t, T: t[where])
    values = numbers(program, want)
    pair = leaf(values, False) if want.kind in ("constant", "positive", "unit", "sign") else placed(program, values)
    if program.known(pair[0]):
        program.add(*pair, f"{want.kind} {shown(pair)}, {pair[0].requires_grad}")
    return pair


def within(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return len(shape) == len(other) and len(shape) > 0 and all(a <= b for a, b in zip(shape, other, strict=True))


# Statements -----------------------------------------------------------------------------------------------------------


def imaged(program: Any) -> None:
    """A new image, which comes out of a convolution: its memory is channels-last."""
    n = program.rng.choice([1, 2, 2, 3])
    shape = program.rng.choice(IMAGES[n])
    x = leaf(numbers(program, Want(shape)), program.rng.random() < 0.6)
    kernel = leaf(numbers(program, Want((shape[1], shape[1], *[1] * n))), program.rng.random() < 0.6)
    for pair in (x, kernel):
        program.add(*pair, f"leaf {shown(pair)}, {pair[0].requires_grad}")
    call(program, f"conv{n}d", [x, kernel], {}, "image")


def unpooled(program: Any) -> None:
    """The places of the largest, and the way back from them."""

    def fits(t: Any) -> bool:
        return t.ndim in (3, 4, 5) and t.is_floating_point() and t.numel() > 0

    if not any(map(fits, program.theirs)):
        return
    i = program.pick(fits)
    n = program.theirs[i].ndim - 2
    kernel, size = program.rng.choice([1, 2]), tuple(program.theirs[i].shape[2:])

    def way_back(ts: list[Any], T: Any) -> Any:
        F = T.nn.functional
        largest, places = getattr(F, f"max_pool{n}d")(ts[i], kernel, return_indices=True)
        back = getattr(F, f"max_unpool{n}d")(largest * 2, places, kernel, output_size=size)
        return back * 1, places  # torch's result for one size is a view of an image that nobody sees

    program.run(f"max_unpool{n}d of max_pool{n}d of t{i}, {kernel}", way_back)


def named(program: Any) -> None:
    """Any function of what is alive, with arguments that are made by the names of the parameters."""
    rng, name = program.rng, program.rng.choice(by_name())
    if bare(name) in TIED:
        return
    n = sizes_of(name)

    def fits(t: Any) -> bool:
        if n is not None:
            return t.ndim in (n + 1, n + 2)
        return t.ndim >= 3 if many else True

    many = n is not None or "norm" in name or "pixel" in name or rng.random() < 0.4
    if many and not any(map(fits, program.theirs)):
        pair = placed(program, numbers(program, Want(rng.choice(IMAGES[n or rng.choice([1, 2, 3])]))))
        program.add(*pair, f"image {shown(pair)}, {pair[0].requires_grad}")
    i = program.pick(fits)
    given = Pair((program.theirs[i], program.ours[i]))
    if given[0].dtype == torch.bfloat16 and "_norm" in name:
        return  # torch refuses parameters of float32 in some of these cases
    try:
        keywords = made(rng, name, tuple(given[0].shape))
    except Unfit:
        return
    call(program, name, [given], resolved(keywords, lambda want: found(program, want)), f"t{i}")


def sampled(program: Any) -> None:
    """Any function with the arguments of one of torch's samples, or Tensors that are alive and have their shapes."""
    rng, name = program.rng, program.rng.choice(by_sample())
    old = bare(name) not in TIED
    dtype = rng.choice([torch.float32] * 8 + [torch.int64, torch.bool] * old)
    calls = samples(name, dtype) or samples(name, torch.float32) or samples(name, torch.int64)
    if not calls:
        return
    args, keywords = rng.choice(calls)
    if keywords.get("dropout_p") or "use_mm_for_euclid_dist" in args:
        return  # the one draws, in the other torch loses all digits of a distance of 0
    if "max_unpool1d" in name:
        return  # as in ``unpooled``
    if name in TURNED:
        args = (args[1], args[0], *args[2:])
    args, keywords = wanted([list(args), keywords])
    statistics = [want for want in (*args[1:3], *keywords.values()) if isinstance(want, Want)]
    new = {id(want) for want in statistics} if name.endswith(("batch_norm", "instance_norm")) else set()
    args, keywords = resolved([args, keywords], lambda want: found(program, want, old and id(want) not in new))
    writes = rng.random() < 0.2 and all(hasattr(T.Tensor, f"{name}_") for T in (torch, tm))
    call(program, name, args, keywords, "sample", f"{name}_" if writes else "")


def call(program: Any, name: str, args: list[Any], keywords: dict[str, Any], what: str, method: str = "") -> None:
    """Call the function, or the method in place; what comes out is alive then."""
    written = bool(method) or name.endswith("_") or keywords.get("inplace", False) is True
    if (written or keywords.get("training") or "running_mean" in keywords) and shared(args, keywords):
        return

    def made_on(ts: list[Any], T: Any) -> Any:
        side = 0 if T is torch else 1
        function = getattr(T.Tensor, method) if method else function_of(name, T)
        return kept(function(*on(side, args), **on(side, keywords)))

    given = ", ".join(filter(None, [shown(args)[1:-1], shown(keywords)]))
    program.run(f"{method or name}({given})  # of {what}", made_on, result=not written)


def kept(result: Any) -> Any:
    """The first Tensors of a result, or what is none."""
    if isinstance(result, (torch.Tensor, tm.Tensor)):
        return result
    return tuple(flat(result)[:RESULTS])


def flat(result: Any) -> list[Any]:
    return [r for each in result for r in flat(each)] if isinstance(result, (tuple, list)) else [result]


def shared(args: list[Any], keywords: dict[str, Any]) -> bool:
    """Whether two arguments share memory: what is written to one of them changes the other one."""
    memories = [p[0].untyped_storage().data_ptr() for p in pairs([args, keywords])]
    return len({*memories}) < len(memories)


def pairs(value: Any) -> list[Pair]:
    if isinstance(value, Pair):
        return [value]
    rest = value.values() if isinstance(value, dict) else value if type(value) in (list, tuple) else ()
    return [pair for v in rest for pair in pairs(v)]


def on(side: int, value: Any) -> Any:
    """The arguments of one side."""
    if isinstance(value, Pair):
        return value[side]
    if side and isinstance(value, torch.dtype):
        return DTYPES[value]
    if side and isinstance(value, torch.nn.PairwiseDistance):
        return lambda x, y: tm.pairwise_distance(x, y, value.norm, value.eps, value.keepdim)
    if isinstance(value, dict):
        return {key: on(side, v) for key, v in value.items()}
    return type(value)([on(side, v) for v in value]) if type(value) in (list, tuple) else value


def shown(value: Any) -> str:
    if isinstance(value, Pair):
        t = value[0]
        return f"{str(t.dtype)[6:]} {list(t.shape)} by {t.stride()}"
    if isinstance(value, dict):
        return ", ".join(f"{key}={shown(v)}" for key, v in value.items())
    return f"[{', '.join(map(shown, value))}]" if type(value) in (list, tuple) else repr(value)


STATEMENTS = (imaged, unpooled, named, named, named, named, sampled, sampled, sampled)
