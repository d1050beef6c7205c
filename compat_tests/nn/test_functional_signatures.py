"""The functions of nn.functional take torch's arguments: the same names, in the same order, with the same keywords."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import torch

from tests.each import each
from torchish_mlx.ops.functions import FUNCTIONAL

BODY = {
    node.name: node
    for file in ("_nn.pyi", "_VariableFunctions.pyi")
    for node in ast.parse((Path(torch.__file__).parent / "_C" / file).read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef)
}


#: What torch takes where its stub says something else, or nothing.
UNSAID = {
    "gelu": [("input", ""), ("approximate", "*")],
    "logsigmoid": [("input", "")],
    "one_hot": [("input", ""), ("num_classes", "")],
    "scaled_dot_product_attention": [
        *[(name, "") for name in ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")],
        *[(name, "*") for name in ("scale", "enable_gqa")],
    ],
}


def names_of(name: str) -> list[tuple[str, str]]:
    """The parameters of torch's function and whether each is a keyword, from its signature or its stub."""
    # where an argument chooses the function, torch's signature is that of the longer one
    function = getattr(torch.nn.functional, f"{name}_with_indices", None) or getattr(torch.nn.functional, name)
    if name in UNSAID:
        return UNSAID[name]
    try:
        given = inspect.signature(function).parameters.values()
    except ValueError:
        a = BODY[name].args
        return [(p.arg, "") for p in (*a.posonlyargs, *a.args)] + [(p.arg, "*") for p in a.kwonlyargs]
    return [(p.name, "*" if p.kind is p.KEYWORD_ONLY else "") for p in given]


@each("name", sorted(FUNCTIONAL))
def test_the_signature_is_torchs(name: str) -> None:
    mine = [
        (p.name, "*" if p.kind is p.KEYWORD_ONLY else "")
        for p in inspect.signature(FUNCTIONAL[name]).parameters.values()
    ]
    theirs = names_of(name)
    out = [p for p in mine if p[0] == "out"]
    assert [p for p in mine if p not in out] == [p for p in theirs if p[0] != "out"]
    assert len(out) <= len([p for p in theirs if p[0] == "out"])
