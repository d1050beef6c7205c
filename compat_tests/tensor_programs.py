"""Random programs of Tensors, run on torch and here; after every statement everything that is alive is compared."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx as tm
from compat_tests import program_calls

DTYPES = {torch.float32: mx.float32, torch.bfloat16: mx.bfloat16, torch.int64: mx.int64, torch.int32: mx.int32}
DTYPES |= {torch.bool: mx.bool_, torch.float64: mx.float64, torch.uint8: mx.uint8}
DTYPES |= {torch.float16: mx.float16, torch.int8: mx.int8, torch.int16: mx.int16}
SHAPES: list[tuple[int, ...]] = [
    (), (1,), (3,), (3,), (2, 3), (2, 3), (1, 3), (2, 1), (3, 3), (0,), (0, 3), (2, 1, 3), (2, 2, 3)
]  # fmt: skip
UNARY = ["neg", "abs", "exp", "sqrt", "rsqrt", "log", "reciprocal", "square", "sign", "clone", "detach", "contiguous"]
UNARY += ["isnan", "logical_not"]
BINARY = ["add", "sub", "mul", "mul", "div", "maximum", "minimum", "eq", "lt", "pow"]
REDUCED = ["sum", "mean", "amax", "amin", "var", "std", "max", "min", "argmax", "any", "all"]
IN_PLACE = ["add_", "mul_", "sub_", "div_", "copy_"]
ALONE = ["zero_", "neg_", "exp_"]
#: What torch says where it can't do what is asked of it: nothing is compared then.
TORCHS_OWN = (
    "not implemented for",
    "some elements of the input tensor and the written-to tensor refer",
    "ZeroTensors are immutable",
    "with grad mode enabled. This view is the output",  # of split(), without a gradient; not of tensor_split()
    "Supports only ChannelsLast3d",  # pools of permuted memory
    "should be between 0 and 1",  # which is looked at where that costs little
    "weights sum to zero",  # this would be a look at the values of cov()
    "Dimension out of range (expected to be in range of [-1, 0], but got -2)",  # unfold's record, before its own check
    "A view was created in no_grad mode",  # the result of linear() with more than two sizes; true views raise here too
    "view size is not compatible",  # torch's results have the strides of permuted operands, and can't be viewed then
)
#: What is refused here alone. torch multiplies matrices of two dtypes where there is nothing to add up; it keeps
#: nothing for the gradient of a view that was made under no_grad, which goes nowhere; and it only warns of a write by a
#: list of indices to an expanded tensor, "which is deprecated". It enlarges a tensor of one element for addbmm_ alone;
#: it gives the result of scatter with reduce before it refuses to differentiate it; and its convolutions without a
#: kernel of their own for a case (groups, three sizes) give a result without elements, which the others refuse. Of no
#: samples of integers its margin losses give memory that was never written. The nuclear norm needs singular
#: values. It pads from what is left of nothing.
OUR_OWN = (
    "to have the same dtype",
    "which MulBackward0 of mul() needs",
    "refers to a single memory location",
    "doesn't match the broadcast shape [5, 10]",
    "the derivative of scatter with reduce is not there",
    "Output size is too small",
    "margin_loss",
    "not 'nuc'",
    "to go round",
)
#: Functions in which a difference of rounding becomes one of any size, besides those that give no floating numbers.
ROUGH = ("floor", "remainder", "fmod", "round", "trunc", "ceil", "frac", "sign", "sgn", "heaviside", "histc")
ROUGH += (
    "sin",
    "cos",
    "tan",
    "rsqrt",
    "reciprocal",
    "unique",
    "unique_consecutive",
    "erfinv",
    "atanh",
    "arctanh",
    "logit",
)
ROUGH += ("normalize", "group_norm", "layer_norm", "corrcoef")
#: What torch says before it has changed anything, where a call that changes something is refused.
EARLY = (
    "a leaf Variable that requires grad",
    "a view of a leaf Variable that requires grad",
    "does not require grad",
    "doesn't require grad",
    "has requires_grad=False",
    "only change requires_grad flags of leaf variables",
    "must match the size of tensor",
    "doesn't match the broadcast shape",
    "must match the existing size",
    "can't be cast to the desired output type",
)
ALIVE = 9


class End(Exception):
    """Nothing more can be compared in this program."""


class Program:
    """Pairs of Tensors, and the statements so far."""

    def __init__(self, seed: int) -> None:
        self.rng, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.theirs: list[Any] = []
        self.ours: list[Any] = []
        self.log: list[str] = []
        self.what = ""  # the last call
        self.rounded = False  # whether a number differs in its last digits
        self.halves = False  # whether a number was rounded to bfloat16
        for _ in range(3):
            self.leaf()

    # Statements -------------------------------------------------------------------------------------------------------

    def leaf(self) -> None:
        shape, dtype = self.rng.choice(SHAPES), self.rng.choice([torch.float32] * 6 + list(DTYPES)[1:5])
        if dtype.is_floating_point:
            values = np.round(self.numbers.uniform(-2, 2, shape), 2).astype(np.float32)
        else:
            values = self.numbers.integers(0 if dtype == torch.bool else -3, 2 if dtype == torch.bool else 4, shape)
        wanted = dtype.is_floating_point and self.rng.random() < 0.6
        theirs = torch.tensor(values).to(dtype).requires_grad_(wanted)
        ours = tm.Tensor(mx.array(values).astype(DTYPES[dtype])).requires_grad_(wanted)
        self.add(theirs, ours, f"leaf of {shape}, {dtype}, {wanted}")

    def add(self, theirs: Any, ours: Any, what: str) -> None:
        self.theirs.append(theirs)
        self.ours.append(ours)
        self.log.append(f"t{len(self.theirs) - 1} = {what}")
        if len(self.theirs) > ALIVE:
            gone = self.rng.randrange(ALIVE)
            del self.theirs[gone], self.ours[gone]
            self.log.append(f"del t{gone}")

    def pick(self, fits: Callable[[Any], bool] = lambda t: True) -> int:
        found = [i for i, t in enumerate(self.theirs) if fits(t)]
        if not found:
            raise End
        return self.rng.choice(found)

    def run(self, what: str, call: Callable[[list[Any], Any], Any], result: bool = True) -> None:
        """Make a call on both sides, which must both succeed, or fail with the same type."""
        if self.rng.random() < 0.08 and "backward" not in what:
            inner, what = call, f"no_grad: {what}"

            def call(ts: list[Any], T: Any) -> Any:
                with T.no_grad():
                    return inner(ts, T)

        self.log.append(what)
        self.what = what
        outcomes = []
        for tensors, library in ((self.theirs, torch), (self.ours, tm)):
            try:
                outcomes.append(call(tensors, library))
            except Exception as error:
                outcomes.append(error)
        theirs, ours = outcomes
        if self.copied_there(theirs, ours):
            raise End
        if isinstance(theirs, Exception):
            self.failed(what, theirs, ours, result)
            return
        if isinstance(ours, Exception):
            if any(text in str(ours) for text in OUR_OWN):
                raise End
            raise AssertionError(f"{ours!r}; torch did it") from ours
        for a, b in zip(flat(theirs), flat(ours), strict=True) if result else ():
            if not isinstance(a, torch.Tensor):  # of equal and its like
                self.same("what is no Tensor", b, a)
            elif self.known(a):
                self.add(a, b, "that")
            else:
                self.alike(b, a)

    def copied_there(self, theirs: Any, ours: Any) -> bool:
        """Whether torch had to copy what is a view here: its results have the strides of permuted operands."""
        memories = {t.untyped_storage().data_ptr() for t in self.theirs}
        return not all(t.is_contiguous() for t in self.theirs) and any(
            isinstance(b, tm.Tensor)
            and (b._base is not None or b._unrecorded is not None)
            and a.untyped_storage().data_ptr() not in memories
            for a, b in zip(flat(theirs), flat(ours), strict=False)
            if isinstance(a, torch.Tensor)
        )

    def rough(self) -> bool:
        """Whether the last statement makes much of the last digits, which differ on both sides already."""
        name = self.what.removeprefix("no_grad: ")
        name = name.partition(".")[2] if name.startswith("t") and name[1:2].isdigit() else name
        discrete = bool(self.theirs) and not self.theirs[-1].is_floating_point()
        return self.rounded and (discrete or name.removeprefix("nn.functional.").partition("(")[0].rstrip("_") in ROUGH)

    def look(self) -> None:
        """Note whether a number that is alive is not the same to the last digit."""
        pairs = [(a, b) for a, b in zip(self.theirs, self.ours, strict=True) if a.is_floating_point()]
        self.rounded = self.rounded or any((values(a) != values(b)).any() for a, b in pairs)

    def failed(self, what: str, theirs: Exception, ours: Any, result: bool) -> None:
        said = str(theirs)
        if any(text in said for text in TORCHS_OWN):
            raise End
        if "backward" in what and ("does not require grad" not in said and not isinstance(ours, Exception)):
            raise End  # torch keeps more than its formulas need, or one of them fails
        assert isinstance(ours, type(theirs)) or isinstance(theirs, type(ours)), f"{ours!r}, torch {theirs!r}"
        if not result and not any(text in said for text in EARLY):
            raise End  # torch may have written a part

    def statement(self) -> None:
        kinds = [self.leaf, self.unary, self.binary, self.binary, self.ternary, self.reduction, self.view, self.view]
        kinds += [self.joined, self.cast, self.written, self.written, self.item, self.watched, self.backward]
        kinds += [partial(statement, self) for statement in program_calls.STATEMENTS]
        self.rng.choice(kinds)()

    def unary(self) -> None:
        i, name = self.pick(), self.rng.choice(UNARY)
        self.run(f"t{i}.{name}()", lambda ts, T: getattr(ts[i], name)())

    def binary(self) -> None:
        i, j, name = self.pick(), self.pick(), self.rng.choice(BINARY)
        if self.rng.random() < 0.3 and name not in ("maximum", "minimum"):
            number = self.rng.choice([2, -1, 0.5, 1.5, True, 0, 3])
            self.run(f"t{i}.{name}({number})", lambda ts, T: getattr(ts[i], name)(number))
        else:
            self.run(f"t{i}.{name}(t{j})", lambda ts, T: getattr(ts[i], name)(ts[j]))

    def ternary(self) -> None:
        i, j, k, name = self.pick(), self.pick(), self.pick(), self.rng.choice(["addcmul", "addcdiv", "lerp", "where"])
        calls: dict[str, Callable[[list[Any], Any], Any]] = {
            "where": lambda ts, T: T.where(ts[i] > 0, ts[j], ts[k]),
            "lerp": lambda ts, T: ts[i].lerp(ts[j], 0.3),
        }
        self.run(
            f"{name}(t{i}, t{j}, t{k})", calls.get(name, lambda ts, T: getattr(ts[i], name)(ts[j], ts[k], value=2))
        )

    def reduction(self) -> None:
        i, name, keepdim = self.pick(), self.rng.choice(REDUCED), self.rng.random() < 0.4
        ndim = self.theirs[i].ndim
        if not ndim or self.rng.random() < 0.4:
            self.run(f"t{i}.{name}()", lambda ts, T: getattr(ts[i], name)())
        else:
            dim = self.rng.randrange(-ndim, ndim)
            self.run(f"t{i}.{name}({dim}, {keepdim})", lambda ts, T: getattr(ts[i], name)(dim, keepdim=keepdim))

    def view(self) -> None:
        rng, i = self.rng, self.pick()
        shape = tuple(self.theirs[i].shape)
        ndim, size = len(shape), math.prod(shape)
        name = rng.choice(
            ["reshape", "view", "transpose", "permute", "squeeze", "unsqueeze", "expand", "narrow", "select", "flatten"]
        )
        args: tuple[Any, ...] = ()
        if name in ("reshape", "view"):
            args = rng.choice([(-1,), (size,), (1, size), (size, 1), shape[::-1] or (1,)])
        elif name == "permute":
            args = (rng.sample(range(ndim), ndim),)
        elif name == "unsqueeze":
            args = (rng.randrange(-ndim - 1, ndim + 1),)
        elif name == "expand":
            args = tuple(2 if n == 1 and rng.random() < 0.7 else -1 for n in shape)
            args = (2, *args) if not args or rng.random() < 0.3 else args
        elif ndim and name == "transpose":
            args = (rng.randrange(ndim), rng.randrange(-ndim, ndim))
        elif ndim and name in ("narrow", "select"):
            dim = rng.randrange(ndim)
            start = rng.randrange(shape[dim] + 1)
            args = (dim, start, rng.randrange(shape[dim] - start + 1)) if name == "narrow" else (dim, start)
        elif not ndim and name in ("transpose", "narrow", "select"):
            return
        self.run(f"t{i}.{name}{args}", lambda ts, T: getattr(ts[i], name)(*args))

    def joined(self) -> None:
        i, j, name, dim = (
            self.pick(),
            self.pick(),
            self.rng.choice(["cat", "stack", "matmul"]),
            self.rng.choice([0, -1]),
        )
        if name == "matmul":
            self.run(f"t{i} @ t{j}", lambda ts, T: ts[i] @ ts[j])
        else:
            self.run(f"{name}([t{i}, t{j}], {dim})", lambda ts, T: getattr(T, name)([ts[i], ts[j]], dim))

    def cast(self) -> None:
        i, dtype = self.pick(), self.rng.choice([torch.float32, torch.bfloat16, torch.int64])
        self.run(f"t{i}.to({dtype})", lambda ts, T: ts[i].to(dtype if T is torch else DTYPES[dtype]))

    def written(self) -> None:
        i, j = self.target()
        name = self.rng.choice([*IN_PLACE, *IN_PLACE, *ALONE, "fill_", "pow_", "clamp_"])
        if name in ALONE:
            self.run(f"t{i}.{name}()", lambda ts, T: getattr(ts[i], name)(), result=False)
        elif name == "clamp_":
            self.run(f"t{i}.clamp_(-1, 1)", lambda ts, T: ts[i].clamp_(-1, 1), result=False)
        elif name in ("fill_", "pow_") or (name != "copy_" and self.rng.random() < 0.4):
            self.run(f"t{i}.{name}(2)", lambda ts, T: getattr(ts[i], name)(2), result=False)
        else:
            self.run(f"t{i}.{name}(t{j})", lambda ts, T: getattr(ts[i], name)(ts[j]), result=False)

    def target(self) -> tuple[int, int]:
        """What is written to, and with what, which shares no memory with it."""
        i, j = self.pick(), self.pick()
        if i != j and self.theirs[i].untyped_storage().data_ptr() == self.theirs[j].untyped_storage().data_ptr():
            raise End
        return i, j

    def item(self) -> None:
        """``t[key]``, or a write to it."""
        rng = self.rng
        i, j = self.target()
        key: list[Any] = []
        shape = tuple(self.theirs[i].shape)
        for n in shape[: rng.randint(0, len(shape))]:
            kinds: list[Any] = [slice(None), slice(rng.randint(0, n), None), rng.randint(-n, max(n - 1, 0))]
            kinds += [slice(None, None, 2), *([[rng.randint(-n, n - 1) for _ in range(2)]] if n else [])]
            key += [None] if rng.random() < 0.15 else []
            key.append(rng.choice(kinds))
        where: Any = tuple(key) if key else Ellipsis
        if rng.random() < 0.4:
            self.run(f"t{i}[{where}]", lambda ts, T: ts[i][where])
        elif rng.random() < 0.5:
            self.run(f"t{i}[{where}] = 1.5", lambda ts, T: ts[i].__setitem__(where, 1.5), result=False)
        elif self.theirs[i].is_floating_point() or not self.theirs[j].requires_grad:
            self.run(f"t{i}[{where}] = t{j}", lambda ts, T: ts[i].__setitem__(where, ts[j]), result=False)

    def watched(self) -> None:
        i, what = self.pick(lambda t: t.is_floating_point()), self.rng.choice(["retain_grad", "hook", "on", "off"])
        factor = self.rng.choice([2, -1])
        if what == "on" and self.theirs[i]._is_view():
            return  # torch then has other views of this one without a gradient, where it was made under no_grad
        calls: dict[str, Callable[[list[Any], Any], Any]] = {
            "retain_grad": lambda ts, T: ts[i].retain_grad(),
            "hook": lambda ts, T: ts[i].register_hook(lambda g: g * factor),
            "on": lambda ts, T: ts[i].requires_grad_(True),
            "off": lambda ts, T: ts[i].requires_grad_(False),
        }
        self.run(f"t{i}: {what} ({factor})", calls[what], result=False)

    def backward(self) -> None:
        i = self.pick(lambda t: t.is_floating_point())
        create = self.rng.random() < 0.25 and not self.halves
        retain = create or self.rng.random() < 0.7
        self.run(
            f"t{i}.sum().backward({retain}, {create})",
            lambda ts, T: ts[i].sum().backward(retain_graph=retain, create_graph=create),
            result=False,
        )

    def known(self, theirs: Any) -> bool:
        """Whether a Tensor is one that programs go on with: of a dtype that is compared, with finite numbers."""
        return theirs.dtype in DTYPES and theirs.numel() < 2000 and bool(theirs.detach().isfinite().all())

    # Comparison -------------------------------------------------------------------------------------------------------

    def compare(self) -> None:
        self.halves = self.halves or any(t.dtype == torch.bfloat16 for t in self.theirs)
        halves = self.halves
        for i, (theirs, ours) in enumerate(zip(self.theirs, self.ours, strict=True)):
            self.same(f"shape of t{i}", tuple(ours.shape), tuple(theirs.shape))
            self.same(f"dtype of t{i}", ours.dtype, DTYPES[theirs.dtype])
            self.same(f"requires_grad of t{i}", ours.requires_grad, theirs.requires_grad)
            try:
                leaf = theirs.is_leaf
            except RuntimeError as error:  # a view that was made under no_grad, whose base was written to
                raise End from error
            self.same(f"is_leaf of t{i}", ours.is_leaf, leaf)
            self.near(f"t{i}", ours, theirs, halves)
            grads = [t.grad if t.is_leaf or t.retains_grad else None for t in (ours, theirs)]
            if None in grads:
                rest = [g for g in grads if g is not None]
                assert not any(values(g).any() for g in rest), f"gradient of t{i}: {grads[0]}, torch {grads[1]}"
            else:
                self.same(f"dtype of the gradient of t{i}", grads[0].dtype, DTYPES[grads[1].dtype])
                self.near(f"gradient of t{i}", *grads, halves)

    def alike(self, ours: Any, theirs: Any) -> None:
        """A result with which the program ends is the same where both are finite: 0 may be rounded below it."""
        self.same("shape of the result", tuple(ours.shape), tuple(theirs.shape))
        if theirs.dtype in DTYPES:
            self.same("dtype of the result", ours.dtype, DTYPES[theirs.dtype])
        if theirs.dtype.is_floating_point:
            a, b = values(ours), values(theirs)
            both = np.isfinite(a) & np.isfinite(b)
            limit = (6e-2 if self.halves or theirs.dtype == torch.bfloat16 else 2e-4) * np.maximum(1, np.abs(b[both]))
            assert (np.abs(a[both] - b[both]) <= limit).all(), f"the result: {a}, torch {b}"

    def same(self, what: str, ours: Any, theirs: Any) -> None:
        assert ours == theirs, f"{what}: {ours}, torch {theirs}"

    def near(self, what: str, ours: Any, theirs: Any, halves: bool) -> None:
        a, b = values(ours), values(theirs)
        assert a.shape == b.shape, f"shape of {what}: {a.shape}, torch {b.shape}"
        if b.dtype.kind == "f":
            if not (np.isfinite(a).all() and np.isfinite(b).all() and np.abs(b).max(initial=0) < 1e6):
                raise End  # what comes after infinity differs in its rounding only
            tolerance = (6e-2 if halves else 2e-4) * max(1.0, np.abs(b).max(initial=0.0))
            assert np.abs(a - b).max(initial=0.0) <= tolerance, f"{what}: {a}, torch {b}"
        else:
            assert (a == b).all(), f"{what}: {a}, torch {b}"


def flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def values(tensor: Any) -> np.ndarray:
    tensor = tensor.detach()
    if isinstance(tensor, torch.Tensor) and tensor._is_zerotensor():  # torch's zeros without memory
        tensor = torch.zeros(tensor.shape, dtype=tensor.dtype)
    return np.array(tensor.tolist())


def run(seed: int, statements: int = 14) -> int:
    """Run a program; how many statements were compared. AssertionError, with the program, where the sides differ."""
    program = Program(seed)
    for count in range(statements):
        try:
            program.look()
            program.statement()
            program.compare()
        except End:
            return count
        except AssertionError as error:
            if program.rough():
                return count
            raise AssertionError(f"seed {seed}: {error}\n  " + "\n  ".join(program.log)) from error
    return statements
