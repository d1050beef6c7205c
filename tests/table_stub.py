"""Writes ``_table.pyi`` in ``_tensor/`` and ``nn/functional/``, which tells type checkers what the table of ops makes.

    python -m tests.table_stub

What there is, the names of parameters, their kinds and defaults come from the functions themselves; the types of
parameters are here, by name. ``tests/project/test_typing.py`` holds the file equal to what this writes.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torchish_mlx
from torchish_mlx._absent import Absent
from torchish_mlx.ops.functions import FUNCTIONAL, FUNCTIONS

TENSOR = Path(torchish_mlx.__file__).with_name("_tensor")
STUB = TENSOR / "_table.pyi"
FUNCTIONAL_STUB = TENSOR.parent / "nn" / "functional" / "_table.pyi"

HEAD = '''\
"""What the table of ops makes: torch's functions, and the methods of Tensor. Written by ``tests/table_stub.py``."""

from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

import mlx.core as mx
import numpy as np
from typing_extensions import Self

from .._core.dtypes import DtypeLike as _Dtype
from ..ops.dropout import DropoutResult
from ..ops.reduction import MaxResult
from ..random.generator import Generator
from .tensor import Tensor

_TensorLike: TypeAlias = Tensor | mx.array
_Operand: TypeAlias = Tensor | mx.array | np.ndarray[Any, Any] | np.generic | _bool | _int | _float | complex
_Dim: TypeAlias = _int | Sequence[_int] | None

'''

FUNCTIONAL_HEAD = '''\
"""What the table of ops makes of torch.nn.functional. Written by ``tests/table_stub.py``."""

from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import mlx.core as mx
import numpy as np

from ..._tensor.tensor import Tensor

_TensorLike: TypeAlias = Tensor | mx.array
_Operand: TypeAlias = Tensor | mx.array | np.ndarray[Any, Any] | np.generic | _bool | _int | _float | complex

'''

#: The types of parameters by name; a function's own come first.
TYPES = {
    "alpha": "_Operand",
    "batch1": "_TensorLike",
    "batch2": "_TensorLike",
    "beta": "_Operand",
    "condition": "_TensorLike",
    "copy": "_bool",
    "correction": "_float | None",
    "data": "Any",
    "device": "Any",
    "dim": "_Dim",
    "dim0": "_int",
    "dim1": "_int",
    "dims": "_int | Sequence[_int]",
    "dtype": "_Dtype | None",
    "end": "_TensorLike",
    "end_dim": "_int",
    "exponent": "_Operand",
    "fill_value": "_Operand",
    "generator": "Generator | None",
    "index": "_TensorLike",
    "input": "_TensorLike",
    "keepdim": "_bool",
    "key": "Any",
    "length": "_int",
    "mat": "_TensorLike",
    "mat1": "_TensorLike",
    "mat2": "_TensorLike",
    "max": "_Operand | None",
    "memory_format": "Any",
    "min": "_Operand | None",
    "other": "_Operand",
    "out": "Tensor | None",
    "p": "_float | str | None",
    "requires_grad": "_bool",
    "rounding_mode": 'Literal["floor", "trunc"] | None',
    "shape": "_int | Sequence[_int]",
    "size": "_int | Sequence[_int]",
    "sizes": "_int | Sequence[_int]",
    "start": "_int",
    "start_dim": "_int",
    "tensor": "_TensorLike",
    "tensor1": "_TensorLike",
    "tensor2": "_TensorLike",
    "tensors": "Sequence[_TensorLike]",
    "unbiased": "_bool",
    "value": "_Operand",
    "vec": "_TensorLike",
    "vec1": "_TensorLike",
    "vec2": "_TensorLike",
    "weight": "_Operand",
    "wrap": "_bool",
}
OWN = {
    **{(name, "other"): "_TensorLike" for name in ("matmul", "maximum", "minimum", "logical_and", "logical_or")},
    **{(name, "other"): "Tensor" for name in ("view_as", "reshape_as", "expand_as", "type_as")},
    **{(name, "dim"): "_int | None" for name in ("argmax", "argmin")},
    **{(name, "dim"): "_int" for name in ("cat", "concat", "concatenate", "stack", "gather")},
    **{(name, "dim"): "_int" for name in ("unsqueeze", "narrow", "select")},
    ("logical_xor", "other"): "_TensorLike",
    **{(name, "other"): "_TensorLike" for name in ("isclose", "allclose", "equal")},
    ("heaviside", "values"): "_TensorLike",
    **{(name, "other"): "_TensorLike" for name in ("ldexp", "nextafter")},
    **{(name, "input"): "_Operand" for name in ("pow", "float_power")},
    ("scatter_reduce", "dim"): "_int",
    ("select", "index"): "_int",
    ("new_full", "size"): "Sequence[_int]",
    ("vander", "x"): "_TensorLike",
    ("where", "input"): "_Operand",
    ("tensordot", "dims"): "Any",
    **{
        (name, "weight"): "_TensorLike | None"
        for name in ("layer_norm", "group_norm", "batch_norm", "instance_norm", "rms_norm")
    },
    **{(name, "weight"): "_TensorLike" for name in ("embedding", "prelu")},
    ("__setitem__", "value"): "_Operand",
    ("bernoulli", "p"): "_float",
    ("bernoulli_", "p"): "_float | Tensor",
    **{
        (name, "p"): "_float"
        for name in (
            *("alpha_dropout", "dropout", "feature_alpha_dropout", "feature_dropout", "geometric_", "native_dropout"),
        )
    },
    **{(name, x): "_float" for name in ("normal_", "log_normal_") for x in ("mean", "std")},
    **{("cauchy_", x): "_float" for x in ("median", "sigma")},
    ("exponential_", "lambd"): "_float",
}
#: Parameters that torch's Python code computes with, so that a call refuses nothing: what they are meant to be.
UNCHECKED = {
    ("local_response_norm", "size"): "_int",
    **{("local_response_norm", name): "_float" for name in ("alpha", "beta", "k")},
    ("normalize", "p"): "_float",
    **{
        (f"max_unpool{n}d", name): "_int | Sequence[_int]"
        for n in (1, 2, 3)
        for name in ("kernel_size", "stride", "padding")
    },
    **{(f"max_unpool{n}d", "output_size"): "Sequence[_int]" for n in (1, 2, 3)},
}
#: What is returned where that is no Tensor.
RESULTS = {
    "allclose": "_bool",
    "equal": "_bool",
    "native_dropout": "DropoutResult",
    **dict.fromkeys(("rnn_tanh", "rnn_relu", "gru", "lstm_cell"), "tuple[Tensor, Tensor]"),
    "lstm": "tuple[Tensor, Tensor, Tensor]",
    "multi_head_attention_forward": "tuple[Tensor, Tensor | None]",
}
EXTREMES = """\
@overload
def {name}({first}, *, out: Tensor | None = None) -> Tensor: ...
@overload
def {name}({first}, dim: _int, keepdim: _bool = False, *, out: Any = None) -> MaxResult: ...
@overload
def {name}({first}, other: _TensorLike, *, out: Tensor | None = None) -> Tensor: ...
"""


TYPE = """\
@overload
def type(self, dtype: None = None) -> str: ...
@overload
def type(self, dtype: _Dtype | str) -> Tensor: ...
"""

#: What the annotations of a declared function are in the stub, where a parameter has no entry of its own above.
DECLARED = {
    "Array": "_TensorLike",
    "Operand": "_Operand",
    "Matched": "_TensorLike",
    "Exponent": "_Operand",
    "Number": "_Operand",
    "Tensors": "Sequence[_TensorLike]",
    "Dim": "_Dim",
    "int": "_int",
    "float": "_float",
    "bool": "_bool",
    "Truth": "_bool",
    "Scalar": "_float",
    "Tensor": "_TensorLike",
    "Sequence[int]": "Sequence[_int]",
}


def declared(function: Any, name: str) -> str:
    """The type of a parameter by its annotation: each part of a union by itself."""
    parts = getattr(function, "declared", {}).get(name, "Any").split(" | ")
    return " | ".join(DECLARED.get(part, part) for part in parts)


def parameters(name: str, function: Callable[..., Any], method: bool, named: bool = True) -> str:
    """The parameters of a function with their types, for between its parentheses; with ``named`` by TYPES and OWN."""
    out: list[str] = []
    keywords = False
    for i, p in enumerate(inspect.signature(function).parameters.values()):
        if method and i == 0:
            out.append("self")
            continue
        if method and p.name == "out":  # as in torch, only functions have it
            continue
        if p.kind is p.VAR_KEYWORD:
            out.append(f"**{p.name}: Any")
            continue
        if p.kind is p.VAR_POSITIONAL:
            keywords = True
        elif p.kind is p.KEYWORD_ONLY and not keywords:
            out.append("*")
            keywords = True
        star = "*" if p.kind is p.VAR_POSITIONAL else ""
        own = OWN.get((name, p.name)) or OWN.get((name.removesuffix("_"), p.name))
        kind = "Any" if p.name == "args" else "Tensor" if p.annotation == "Tensor" else own
        default = "" if p.default is p.empty else f" = {p.default!r}".replace("'", '"')
        kind = (named and (kind or TYPES.get(p.name))) or UNCHECKED.get((name, p.name)) or declared(function, p.name)
        if p.default is None and "None" not in kind and kind != "Any" and kind != "_Dim":
            kind += " | None"
        out.append(f"{star}{p.name}: {kind}{default}")
    return ", ".join(out)


def documented(line: str, function: Callable[..., Any]) -> str:
    """A declaration with the first line of the function's docstring, which editors show."""
    doc = inspect.getdoc(function)
    return f'{line}\n    """{doc.splitlines()[0]}"""\n' if doc else f"{line} ...\n"


def functions() -> Iterator[str]:
    for name, function in sorted(FUNCTIONS.items()):
        if name in ("max", "min"):
            yield EXTREMES.format(name=name, first="input: Tensor")
        else:
            result = RESULTS.get(name, "Tensor")
            yield documented(f"def {name}({parameters(name, function, False)}) -> {result}:", function)


def attached() -> dict[str, Any]:
    """What Tensor has and its class statement does not say."""
    tree = ast.parse((TENSOR / "tensor.py").read_text(encoding="utf-8"))
    (statement,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tensor"]
    said = {"__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__static_attributes__"}
    said |= {"__firstlineno__", "__dir__"}
    for node in statement.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        said |= {target.id for target in targets if isinstance(target, ast.Name)}
        said |= {node.name} if isinstance(node, ast.FunctionDef) else set()
    found = {name: value for name, value in vars(torchish_mlx.Tensor).items() if name not in said}
    return {name: value for name, value in found.items() if not isinstance(value, Absent)}


def methods() -> Iterator[str]:
    for name, value in sorted(attached().items()):
        if isinstance(value, property):
            yield documented(f"@property\ndef {name}(self) -> Tensor:", value)
        elif name in ("max", "min"):
            yield EXTREMES.format(name=name, first="self")
        elif name == "type":
            yield TYPE
        elif name in ("__getitem__", "__setitem__"):
            result = "Tensor" if name == "__getitem__" else "None"
            yield f"def {name}({parameters(name, value, True)}) -> {result}: ...\n"
        elif name.startswith("__"):
            unary = name in ("__neg__", "__abs__", "__invert__", "__pos__")
            override = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
            result = "Self" if name.startswith("__i") and not unary else "Tensor"
            yield f"def {name}(self{'' if unary else ', other: _Operand'}) -> {result}: ...{override}\n"
        else:
            inplace = name.endswith("_")
            result = "Self" if inplace else RESULTS.get(name, "Tensor")
            yield documented(f"def {name}({parameters(name, value, True)}) -> {result}:", value)


def functional_stub() -> str:
    """The whole file of nn.functional."""
    lines = [
        documented(
            f"def {name}({parameters(name, function, False, False)}) -> {RESULTS.get(name, 'Tensor')}:", function
        )
        for name, function in sorted(FUNCTIONAL.items())
    ]
    return FUNCTIONAL_HEAD + "".join(lines)


def indented(text: str) -> str:
    return "".join(f"    {line}" for line in text.splitlines(keepends=True))


def stub() -> str:
    """The whole file."""
    body = '\nclass _TableMethods:\n    """What the table attaches to Tensor."""\n\n'
    return HEAD + "".join(functions()) + body + "".join(map(indented, methods()))


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
    FUNCTIONAL_STUB.write_text(functional_stub(), encoding="utf-8")
