"""Arguments for ``program_calls``: made by the names of parameters in the registry, or taken from torch's samples."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

from compat_tests.op_cases import CASES, Arg
from torchish_mlx.ops._registry import FUNCTIONAL, REGISTRY

#: Shapes of images with their batch, by the number of their sizes. They broadcast with some shapes of the programs.
IMAGES = {
    1: [(2, 3, 4), (1, 2, 3), (3, 2, 2)],
    2: [(2, 3, 4, 3), (2, 2, 3, 3), (1, 3, 3, 3), (2, 1, 2, 3), (1, 4, 5, 4)],
    3: [(1, 2, 2, 3, 3), (2, 3, 2, 1, 3), (1, 3, 3, 2, 4)],
}
#: Samples of a function that programs choose from, at most.
SAMPLES = 60


class Want:
    """A tensor argument of this shape, which the program makes or finds: of a kind of numbers, or like a sample."""

    def __init__(self, shape: tuple[int, ...], kind: str = "float", sample: torch.Tensor | None = None) -> None:
        self.shape, self.kind, self.sample = shape, kind, sample


class Unfit(Exception):
    """No arguments of this function are made for this tensor."""


class Context:
    """What a generator of an argument may look at: the function, the first tensor, and the arguments so far."""

    def __init__(self, rng: random.Random, name: str, shape: tuple[int, ...]) -> None:
        self.rng, self.name, self.shape = rng, name.removeprefix(f"{FUNCTIONAL}."), shape
        self.n = sizes_of(name) or max(len(shape) - 2, 1)
        self.made: dict[str, Any] = {}

    def channels(self) -> int:
        if len(self.shape) < 2:
            raise Unfit
        without_batch = sizes_of(self.name) is not None and len(self.shape) == self.n + 1
        return self.shape[0 if without_batch else 1]

    def divisor(self, of: int) -> int:
        return self.rng.choice([d for d in range(1, of + 1) if of % d == 0] or [1])

    def each(self, *values: int) -> Any:
        """A number for all sizes, or one for each."""
        if self.rng.random() < 0.6:
            return self.rng.choice(values)
        return tuple(self.rng.choice(values) for _ in range(self.n))


def sizes_of(name: str) -> int | None:
    """The number of sizes in a name such as ``conv2d``."""
    return next((n for n in (1, 2, 3) if f"{n}d" in name), None)


def dim(c: Context) -> Any:
    ndim = max(len(c.shape), 1)
    if "Dim" in REGISTRY_ANNOTATIONS(c.name).get("dim", "") and c.rng.random() < 0.3:
        return tuple(c.rng.sample(range(ndim), c.rng.randint(1, ndim)))
    return c.rng.randrange(-ndim, ndim)


@functools.cache
def REGISTRY_ANNOTATIONS(name: str) -> dict[str, str]:
    entry = REGISTRY.get(name) or REGISTRY[f"{FUNCTIONAL}.{name}"]
    declared: dict[str, str] = entry.function.declared
    return declared


def dims(c: Context) -> Any:
    order = c.rng.sample(range(len(c.shape)), len(c.shape))
    if c.name == "tile":
        return [c.rng.randint(1, 2) for _ in order]
    return order if c.name == "permute" else order[: c.rng.randint(1, max(len(order), 1))]


def weight(c: Context) -> Want:
    if c.name.startswith("conv"):
        if 0 in c.shape:  # torch looks at nothing then
            raise Unfit
        channels, kernel = c.channels(), [c.rng.randint(1, 2) for _ in range(c.n)]
        groups = c.made.setdefault("groups", c.divisor(channels) if c.rng.random() < 0.3 else 1)
        many = groups * c.rng.randint(1, 2)
        if "transpose" in c.name:
            c.made["out"] = many
            return Want((channels, many // groups, *kernel))
        c.made["out"] = many
        return Want((many, channels // groups, *kernel))
    if c.name in ("layer_norm", "rms_norm"):
        return Want(tuple(c.made["normalized_shape"]))
    if c.name == "linear":
        c.made["out"] = c.rng.randint(1, 3)
        return Want((c.made["out"], *c.shape[-1:]))
    if c.name in ("nll_loss", "cross_entropy", "multi_margin_loss"):
        return Want((c.channels(),), "constant")
    if c.name == "prelu":
        return Want(c.rng.choice([(c.channels(),), (1,)]))
    if "loss" in c.name or "entropy" in c.name or c.name == "lerp":
        return Want(c.shape, "constant")
    return Want((c.channels(),))


def bias(c: Context) -> Want:
    return Want((c.made["out"],)) if "out" in c.made else weight(c)


def target(c: Context) -> Want:
    if c.name in ("nll_loss", "cross_entropy"):
        return Want((*c.shape[:1], *c.shape[2:]), f"class {c.channels()}")
    if c.name == "multi_margin_loss":
        return Want(c.shape[:1], f"class {c.channels()}")
    if c.name == "multilabel_margin_loss":
        return Want(c.shape, f"class {c.shape[-1] if c.shape else 1}")
    if c.name in ("soft_margin_loss", "hinge_embedding_loss", "margin_ranking_loss"):
        return Want(c.shape, "sign")
    if "entropy" in c.name or "multilabel" in c.name:
        return Want(c.shape, "unit")
    return Want(c.shape)


def resized(c: Context) -> Any:
    if c.name in ("interpolate", "upsample", "upsample_nearest", "upsample_bilinear"):
        if c.rng.random() < 0.5:
            c.made["scale_factor"] = c.rng.choice([2, 0.5, 1.5])
            return None
        return c.each(1, 2, 5)
    if c.name == "local_response_norm":
        return c.rng.randint(1, 3)
    raise Unfit


def mode(c: Context) -> str:
    if c.name == "pad":
        return c.rng.choice(["constant", "reflect", "replicate", "circular"])
    smooth = {3: ["linear"], 4: ["bilinear", "bicubic"], 5: ["trilinear"]}.get(len(c.shape), [])
    return c.rng.choice(["nearest", "nearest-exact", "area", *smooth])


def padded(c: Context) -> list[int]:
    return [c.rng.choice([0, 1, 1, -1, 2]) for _ in range(2 * c.rng.randint(1, max(len(c.shape) - 1, 1)))]


def normalized_shape(c: Context) -> list[int]:
    return list(c.shape[-c.rng.randint(1, max(len(c.shape), 1)) :])


def of(*values: Any) -> Callable[[Context], Any]:
    return lambda c: c.rng.choice(values)


def like(kind: str = "float") -> Callable[[Context], Want]:
    return lambda c: Want(c.shape, kind)


def per_channel(kind: str) -> Callable[[Context], Want]:
    return lambda c: Want((c.channels(),), kind)


FLAG = of(True, False)
#: What is given for a parameter of a name. An optional one of another name is left at its default; a function with a
#: required one of another name is called with torch's samples alone.
ARGUMENTS: dict[str, Callable[[Context], Any]] = {
    **dict.fromkeys(("dim", "dim0", "dim1", "axis0", "axis1", "source", "destination"), dim),
    **dict.fromkeys(("keepdim", "ceil_mode", "count_include_pad", "return_indices", "descending", "inplace"), FLAG),
    **dict.fromkeys(("training", "use_input_stats", "log_target", "log_input", "full", "swap", "largest"), FLAG),
    "dims": dims,
    "other": lambda c: Want(c.shape, "constant" if c.name == "cross" else "float"),  # the rounding of 0 isn't compared
    **dict.fromkeys(("end", "tensor1", "tensor2", "positive", "negative", "x2", "input2"), like()),
    "kernel_size": lambda c: c.each(1, 2, 2, 3),
    "stride": lambda c: c.each(1, 1, 2),
    # Of a window that has nothing but padding torch gives a place outside.
    "dilation": lambda c: c.each(1, 1, 2) if min(c.shape[-c.n :], default=0) > 2 else 1,
    "padding": lambda c: c.each(0, 1),
    "output_padding": lambda c: c.each(0, 0, 1),
    "output_size": lambda c: c.each(1, 2, 3),
    "divisor_override": of(None, 3),
    **dict.fromkeys(("groups", "num_groups"), lambda c: c.divisor(c.channels())),
    "normalized_shape": normalized_shape,
    "weight": weight,
    "bias": bias,
    "target": target,
    "size": resized,
    "mode": mode,
    "pad": padded,
    "running_mean": per_channel("constant"),
    "running_var": per_channel("positive"),
    "momentum": of(0.1, 0.3),
    "eps": of(1e-5, 0.1),
    **dict.fromkeys(("upscale_factor", "downscale_factor"), of(1, 2)),
    "reduction": of("mean", "sum", "none"),
    "p": of(1, 2, 3),
    "norm_type": of(2, 2.0, 3),
    "rounding_mode": of(None, "floor", "trunc"),
    "exponent": of(2, 3, 0.5, 0, -1),
    **dict.fromkeys(("beta", "delta", "margin", "alpha", "lambd", "value", "threshold"), of(0.5, 1, 2.0)),
    **dict.fromkeys(("min", "min_val"), of(-1, -0.5)),
    **dict.fromkeys(("max", "max_val"), of(1, 0.5)),
    **dict.fromkeys(("offset", "diagonal"), of(-1, 0, 1)),
    **dict.fromkeys(("k", "n", "correction", "decimals"), of(0, 1, 1)),
    "shifts": of(1, -2),
    "approximate": of("none", "tanh"),
    "scale_factor": lambda c: c.made.get("scale_factor"),
    "q": of(0.25, 0.5),
}
#: What draws: torch draws in the order of the memory, which is another one here where images are channels-last.
#: ``compat_tests/random`` has programs of these.
DRAWS = ("dropout", "bernoulli", "poisson", "multinomial", "rrelu")

#: A parameter that is given where another one is, and only there: torch's overload with ``keepdim`` has ``dim``, which
#: we don't ask for, and torch has both running statistics or none.
TOGETHER = {"keepdim": "dim", "running_var": "running_mean"}
#: Parameters of functions that are two overloads in torch, of which one function takes the words of both here.
APART = {("max", "other"), ("min", "other"), ("divide", "rounding_mode"), ("true_divide", "rounding_mode")}


def public(name: str) -> bool:
    loss = name.endswith("_loss")  # poisson_nll_loss
    return ("." not in name or name.startswith(FUNCTIONAL)) and (loss or not any(part in name for part in DRAWS))


def first(name: str) -> str:
    return next(iter(inspect.signature(REGISTRY[name].function).parameters))


@functools.cache
def by_name() -> list[str]:
    """The functions whose arguments can be made by the names of their parameters."""

    def required(name: str) -> list[str]:
        parameters = list(inspect.signature(REGISTRY[name].function).parameters.values())[1:]
        return [p.name for p in parameters if p.default is p.empty]

    firsts = ("input", "x1", "input1", "anchor", "y")
    return [
        name
        for name in REGISTRY
        if public(name) and first(name) in firsts and all(p in ARGUMENTS for p in required(name))
    ]


def made(rng: random.Random, name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Keywords for the function ``name`` of a tensor of this shape."""
    context = Context(rng, name, shape)
    if 0 in shape and context.name.endswith(("_loss", "cdist", "entropy")):
        raise Unfit  # torch doesn't look at dtypes and sizes then
    signature = inspect.signature(REGISTRY[name].function)
    found: dict[str, Any] = {}
    for parameter in list(signature.parameters.values())[1:]:
        make = ARGUMENTS.get(parameter.name)
        wanted = parameter.default is parameter.empty or rng.random() < (0.2 if parameter.name == "inplace" else 0.5)
        if parameter.name in TOGETHER and parameter.default is not parameter.empty:
            wanted = TOGETHER[parameter.name] in found
        if (context.name, parameter.name) in APART:
            continue
        if make is not None and (wanted or parameter.name in context.made):
            try:
                value = make(context)
            except KeyError as error:  # what it depends on was left out
                raise Unfit from error
            if value is not None or parameter.default is parameter.empty:
                found[parameter.name] = value
                if parameter.name != "bias":
                    context.made.setdefault(parameter.name, value)
    if "groups" in context.made and "weight" in found and "groups" in signature.parameters:
        found["groups"] = context.made["groups"]
    return found


@functools.cache
def entries() -> dict[str, list[Any]]:
    """torch's entries (``op_db``) of functions that are here, by name."""
    found: dict[str, list[Any]] = {}
    for entry in op_db:
        prefix = f"{FUNCTIONAL}." if entry.name.startswith(FUNCTIONAL) else ""
        for name in dict.fromkeys([entry.name, *(prefix + alias.name for alias in entry.aliases)]):
            if name in REGISTRY and public(name):
                found.setdefault(name, []).append(entry)
    return found


@functools.cache
def by_sample() -> list[str]:
    """The functions of which torch, or ``op_cases``, has calls."""
    return sorted({*entries(), *(name for name in CASES if name in REGISTRY and public(name))})


@functools.cache
def samples(name: str, dtype: torch.dtype) -> list[Any]:
    """Some calls of a function, as ``(args, kwargs)``; always the same ones."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    found: list[Any] = []
    for entry in entries().get(name, ()):
        if dtype in entry.dtypes:
            taken: Iterator[Any] = islice(entry.sample_inputs("cpu", dtype, requires_grad=False), SAMPLES)
            found += [((s.input, *s.args), s.kwargs) for s in taken if "sparse" not in s.kwargs]
    if name not in entries() and dtype == torch.float32:
        found += [(tensors(case.args), tensors(case.kwargs)) for case in CASES[name]]
    return found


def tensors(value: Any) -> Any:
    """The arguments of a case of ``op_cases`` with tensors."""
    if isinstance(value, Arg):
        made = torch.tensor(value.make(np.random.default_rng(0)))
        return made.float() if made.is_floating_point() else made
    if isinstance(value, dict):
        return {key: tensors(v) for key, v in value.items()}
    return type(value)([tensors(v) for v in value]) if type(value) in (list, tuple) else value


def wanted(value: Any) -> Any:
    """A sample's argument with a ``Want`` for each tensor."""
    if isinstance(value, torch.Tensor):
        return Want(tuple(value.shape), "sample", value.detach())
    if isinstance(value, dict):
        return {key: wanted(v) for key, v in value.items()}
    return type(value)([wanted(v) for v in value]) if type(value) in (list, tuple) else value


def function_of(name: str, library: Any) -> Any:
    """The function, or the method of Tensor, of torch or of this package."""
    if name.startswith(FUNCTIONAL):
        return getattr(library.nn.functional, name.removeprefix(f"{FUNCTIONAL}."))
    return getattr(library, name, None) or getattr(library.Tensor, name)


def resolved(value: Any, find: Callable[[Want], Any]) -> Any:
    """``value`` with each ``Want`` replaced by what ``find`` gives."""
    if isinstance(value, Want):
        return find(value)
    if isinstance(value, dict):
        return {key: resolved(v, find) for key, v in value.items()}
    return type(value)([resolved(v, find) for v in value]) if type(value) in (list, tuple) else value
