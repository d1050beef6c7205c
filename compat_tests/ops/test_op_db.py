"""Every function of the registry next to torch over torch's own samples (``op_db``): value, dtype, shape, gradient.

In float32 the gradient of a random projection is compared, and where ``op_db`` says that torch has it, the derivative
of that derivative. In bfloat16, int64 and bool values, dtypes and shapes are. APART lists what differs, and why.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

import torchish_mlx as tm
from torchish_mlx.ops._call import REGISTRY

DTYPES = {
    torch.float32: mx.float32,
    torch.bfloat16: mx.bfloat16,
    torch.int64: mx.int64,
    torch.bool: mx.bool_,
    torch.float64: mx.float64,
    torch.int32: mx.int32,
    torch.int16: mx.int16,
    torch.int8: mx.int8,
    torch.uint8: mx.uint8,
    torch.float16: mx.float16,
    torch.complex64: mx.complex64,
}
COMPARED = (torch.float32, torch.bfloat16, torch.int64, torch.bool)
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-7}
#: (name, variant, dtype or *) -> why torch's result is not expected.
APART = {
    ("norm", "nuc", "*"): "the nuclear norm needs singular values, which are not here yet: it raises",
}
ENTRIES = [entry for entry in op_db if entry.name in REGISTRY and "." not in entry.name]


def apart(entry: Any, dtype: torch.dtype) -> bool:
    return bool({(entry.name, entry.variant_test_name, d) for d in (str(dtype)[6:], "*")} & APART.keys())


def ours(value: Any, leaves: list[tuple[Any, Any]]) -> Any:
    """``value`` with our Tensors; pairs of those that need a gradient and torch's go into ``leaves``."""
    if isinstance(value, torch.Tensor):
        plain = value.detach().resolve_conj()
        array = mx.array(plain.float().numpy() if plain.dtype == torch.bfloat16 else plain.numpy())
        made = tm.Tensor(array.astype(DTYPES[value.dtype]))
        if value.requires_grad:
            made.requires_grad_()
            leaves.append((made, value))
        return made
    if isinstance(value, torch.dtype):
        return DTYPES[value]
    if isinstance(value, dict):
        return {key: ours(v, leaves) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(ours(v, leaves) for v in value) if type(value) in (list, tuple) else list(value)
    return value


def flat(result: Any) -> list[Any]:
    return [r for each in result for r in flat(each)] if isinstance(result, (tuple, list)) else [result]


def values(tensor: Any) -> np.ndarray:
    """The numbers in float64, or as they are where they are no floats."""
    tensor = tensor.detach()
    if isinstance(tensor, torch.Tensor) and tensor._is_zerotensor():  # torch's zeros without memory
        tensor = torch.zeros(tensor.shape, dtype=tensor.dtype)
    array = np.array(tensor.tolist())
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def near(mine: Any, theirs: Any, tolerance: float) -> None:
    """Equal to ``tolerance`` of the largest number, and exactly where they are no floats."""
    a, b = values(mine), values(theirs)
    finite = np.abs(b[np.isfinite(b)]) if b.dtype.kind == "f" else np.zeros(0)
    scale = max(1.0, finite.max(initial=0.0))
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale if b.dtype.kind in "fc" else 0)


def samples(entry: Any, dtype: torch.dtype) -> Iterator[Any]:
    yield from entry.sample_inputs("cpu", dtype, requires_grad=dtype == torch.float32 and entry.supports_autograd)


def check(entry: Any, sample: Any, dtype: torch.dtype) -> None:
    function = getattr(tm.Tensor if entry.name in ("where", "__getitem__") else tm, entry.name, None)
    function = function or getattr(tm.Tensor, entry.name)
    leaves: list[tuple[Any, Any]] = []
    given = ours(sample.input, leaves)
    results = flat(function(given, *ours(sample.args, leaves), **ours(sample.kwargs, leaves)))
    wanted = flat(entry(sample.input, *sample.args, **sample.kwargs))
    assert len(results) == len(wanted)
    for mine, theirs in zip(results, wanted, strict=True):
        assert mine.dtype == DTYPES[theirs.dtype]
        assert tuple(mine.shape) == tuple(theirs.shape)
        near(mine, theirs, TOLERANCE.get(theirs.dtype, 0.0))
    pairs = [(mine, theirs) for mine, theirs in zip(results, wanted, strict=True) if theirs.requires_grad]
    if not pairs or not leaves:
        return
    weights = [torch.rand(theirs.shape) for _, theirs in pairs]
    for twice in (False, *([True] if entry.supports_gradgrad else [])):
        for mine, theirs in leaves:
            mine.grad = theirs.grad = None
        for side in (0, 1):
            terms = [
                (pair[side] * (tm.Tensor(mx.array(w.numpy())) if side == 0 else w)).sum()
                for pair, w in zip(pairs, weights, strict=True)
            ]
            total = terms[0] if len(terms) == 1 else terms[0] + terms[1]
            total.backward(retain_graph=True, create_graph=twice)
            if twice:
                grads = [leaf[side].grad for leaf in leaves]
                live = [g for g in grads if g is not None and g.requires_grad]
                for leaf in leaves:
                    leaf[side].grad = None
                for g in live:
                    (g * g).sum().backward(retain_graph=True)
        for mine, theirs in leaves:
            if theirs.grad is None:
                assert mine.grad is None or not values(mine.grad).any()
            elif mine.grad is None:
                assert not values(theirs.grad).any()
            else:
                near(mine.grad, theirs.grad, 1e-4)


@pytest.mark.parametrize("dtype", COMPARED, ids=lambda d: str(d)[6:])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.name}-{e.variant_test_name}")
def test_samples(entry: Any, dtype: torch.dtype) -> None:
    if dtype not in entry.dtypes or apart(entry, dtype):
        return
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sample in samples(entry, dtype):
            check(entry, sample, dtype)


def test_what_is_apart_still_is() -> None:
    for entry in ENTRIES:
        for dtype in COMPARED:
            if dtype in entry.dtypes and apart(entry, dtype):
                for sample in samples(entry, dtype):
                    with pytest.raises((RuntimeError, AssertionError)):
                        check(entry, sample, dtype)


def test_most_of_the_registry_has_an_entry() -> None:
    named = {name for entry in ENTRIES for name in (entry.name, *[alias.name for alias in entry.aliases])}
    without = {
        name for name, entry in REGISTRY.items() if "." not in name and (entry.op is None or entry.op.name == name)
    }
    assert without - named <= {"copy", "zero", "divide", "true_divide"}
