"""Every function of the registry next to torch over torch's own samples (``op_db``): value, dtype, shape, gradient.

In float32 the gradient of a random projection is compared, and where ``op_db`` says that torch has it, the derivative
of that derivative. In bfloat16, int64 and bool values, dtypes and shapes are. APART lists what differs, and why.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.testing._internal import common_utils
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo import core

import torchish_mlx as tm
from tests.each import check_each
from torchish_mlx.ops._declare import FUNCTIONAL, REGISTRY

# op_db looks through the stack, and the sources of all that is on it, for a test of unittest: once for every list of
# samples and for every error input, 10 ms each time. There is none here.
for _module in (common_utils, core):
    _module.extract_test_fn = lambda: None

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
    torch.complex128: mx.complex64,  # only what is refused has it
}
COMPARED = (torch.float32, torch.bfloat16, torch.int64, torch.bool)
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-7, torch.float64: 1e-12}
#: Of values: torch rounds between the axes (6.8e-3 of the largest from those in float64, 3.7e-3 here).
OF_VALUES = {("nn.functional.interpolate", torch.bfloat16): 1e-2}
#: Of derivatives: torch loses digits where inputs are as large as 1e4 (5.5e-3 from those in float64, 1e-6 here).
#: In a sample of cov the second derivative is 0, as a difference of numbers of about 800.
OF_DERIVATIVES = {"logcumsumexp": 1e-2, "cov": 3e-4}
#: Functions that torch computes in bfloat16 step by step: what is expected is its result in float32.
ROUNDED = {
    "nn.functional.binary_cross_entropy_with_logits",  # 6% off
    "nn.functional.huber_loss",
    "nn.functional.nll_loss",  # sums
}
#: Functions that may be nearer in bfloat16 to torch's result in float64 than torch's own is: in a sample of attention
#: the weights of two keys depend on the last bit of scores that are above 100; torch's result is 13% off, ours 10%.
STEEP = {"nn.functional.multi_head_attention_forward"}
#: Which of several equal elements torch's algorithms find is not said: indices are compared by what they choose.
TIED = {"sort", "argsort", "topk", "kthvalue", "median", "nanmedian", "mode"}
#: (name, variant, dtype or *) -> why torch's result is not expected.
APART = {
    ("norm", "nuc", "*"): "the nuclear norm needs singular values, which are not here yet: it raises",
}
#: Functions that make Tensors of numbers, or take something else first: the registry does not have them.
UNREGISTERED = {
    *("arange", "einsum", "eye", "full", "full_like", "linspace", "logspace", "new_full", "new_ones", "new_zeros"),
    *("ones", "ones_like", "scalar_tensor", "tril_indices", "triu_indices", "zeros", "zeros_like"),
    *("randint", "randint_like", "randn", "randn_like"),
}
#: What ``compat_tests/random`` compares: ``op_db`` calls the functions of ``torch.nn.functional`` instead, or none.
DRAWN = {
    *("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "native_dropout", "poisson", "rrelu"),
    "dropout1d",
}
#: Keywords of samples whose gradients are not dense.
UNLIKE = {"sparse"}
HERE = {name for name in REGISTRY if "." not in name or name.startswith(FUNCTIONAL)} | UNREGISTERED
ENTRIES = [entry for entry in op_db if entry.name in HERE]


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
    if isinstance(value, torch.nn.PairwiseDistance):
        return lambda x, y: tm.pairwise_distance(x, y, value.norm, value.eps, value.keepdim)
    if isinstance(value, dict):
        return {key: ours(v, leaves) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(ours(v, leaves) for v in value) if type(value) in (list, tuple) else list(value)
    return value


def bare(entry: Any) -> str:
    name: str = entry.name
    return name.removeprefix("nn.functional.")


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
    if a.shape == b.shape and a.dtype == b.dtype and (a == b).all():  # in a tenth of the time of what follows
        return
    finite = np.abs(b[np.isfinite(b)]) if b.dtype.kind == "f" else np.zeros(0)
    scale = max(1.0, finite.max(initial=0.0))
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale if b.dtype.kind in "fc" else 0)


def distance(x: Any, y: Any) -> float:
    """The largest difference."""
    return float(np.abs(values(x) - values(y)).max(initial=0.0))


def samples(entry: Any, dtype: torch.dtype) -> Iterator[Any]:
    wanted = dtype == torch.float32 and entry.supports_autograd
    for sample in entry.sample_inputs("cpu", dtype, requires_grad=wanted):
        if not UNLIKE & sample.kwargs.keys():
            yield sample


#: Functions that are called in another way than ``op_db`` calls torch's.
CALLED = {
    "where": tm.Tensor.where,
    "einsum": lambda tensors, equation: tm.einsum(equation, tensors),
    "nn.functional.embedding": lambda weight, indices, **kwargs: tm.nn.functional.embedding(indices, weight, **kwargs),
}


def called(entry: Any) -> Any:
    """The function of this package."""
    if entry.name in CALLED:
        return CALLED[entry.name]
    if entry.name.startswith(FUNCTIONAL):
        return getattr(tm.nn.functional, bare(entry))
    return getattr(tm, entry.name, None) or getattr(tm.Tensor, entry.name)


def chosen(results: list[Any], sample: Any, function: Any) -> list[Any]:
    """The results with indices replaced by the elements of the input at them."""
    where = inspect.signature(function).bind(sample.input, *sample.args, **sample.kwargs)
    where.apply_defaults()
    dim, keepdim = where.arguments.get("dim"), where.arguments.get("keepdim", True)
    if dim is None or not sample.input.ndim or not sample.input.numel():
        return results
    indices = torch.tensor(results[-1].tolist(), dtype=torch.int64)
    found = sample.input.detach().gather(dim, indices if keepdim else indices.unsqueeze(dim))
    return [*results[:-1], found if keepdim else found.squeeze(dim)]


def check(entry: Any, sample: Any, dtype: torch.dtype) -> None:
    function = called(entry)
    leaves: list[tuple[Any, Any]] = []
    given = ours(sample.input, leaves)
    tm.manual_seed(42)  # as op_db does before it calls a function that draws
    results = flat(function(given, *ours(sample.args, leaves), **ours(sample.kwargs, leaves)))
    wanted = flat(entry(sample.input, *sample.args, **sample.kwargs))
    assert len(results) == len(wanted)
    for mine, theirs in zip(results, wanted, strict=True):
        if not isinstance(theirs, torch.Tensor):  # of allclose and equal
            assert type(mine) is type(theirs)
            assert mine == theirs
            return
        assert mine.dtype == DTYPES[theirs.dtype]
        assert tuple(mine.shape) == tuple(theirs.shape)
    if entry.name in ROUNDED and dtype == torch.bfloat16:
        wide = sample.transform(lambda x: x.float() if isinstance(x, torch.Tensor) and x.dtype == dtype else x)
        exact = flat(entry(wide.input, *wide.args, **wide.kwargs))
        wanted = [x.to(w.dtype) for x, w in zip(exact, wanted, strict=True)]
    if entry.name in STEEP and dtype == torch.bfloat16:
        wide = sample.transform(lambda x: x.double() if isinstance(x, torch.Tensor) and x.dtype == dtype else x)
        exact = flat(entry(wide.input, *wide.args, **wide.kwargs))
        far = [[distance(x, e) for x, e in zip(side, exact, strict=True)] for side in (results, wanted)]
        wanted = [m if a <= b else w for m, w, a, b in zip(results, wanted, *far, strict=True)]
    tied = entry.name in TIED
    pairs = [chosen(r, sample, function) if tied else r for r in (results, wanted)]
    for mine, theirs in zip(*pairs, strict=True):
        near(mine, theirs, OF_VALUES.get((entry.name, theirs.dtype), TOLERANCE.get(theirs.dtype, 0.0)))
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
                if live:
                    functools.reduce(lambda a, b: a + b, [(g * g).sum() for g in live]).backward(retain_graph=True)
        for mine, theirs in leaves:
            if theirs.grad is None:
                assert mine.grad is None or not values(mine.grad).any()
            elif mine.grad is None:
                assert not values(theirs.grad).any()
            else:
                near(mine.grad, theirs.grad, OF_DERIVATIVES.get(entry.name, 1e-4))


by_entry = functools.partial(pytest.mark.parametrize, "entry", ids=lambda e: f"{e.name}-{e.variant_test_name}")
by_part = pytest.mark.parametrize("part", ["some", pytest.param("others", marks=pytest.mark.long)])


def part_of(found: list[Any], part: str, some: int) -> list[int]:
    """The indices of ``some`` of the samples, from the first to the last at equal distances, or of the others."""
    count = len(found)
    chosen = {i * (count - 1) // (some - 1) for i in range(some)} if count > some else {*range(count)}
    return [i for i in range(count) if (i in chosen) == (part == "some")]


@by_part
@by_entry(ENTRIES)
def test_samples(entry: Any, part: str) -> None:
    """``make test`` takes 16 samples in float32, and 6 in each other dtype."""
    found = {
        dtype: [(sample, torch.get_rng_state()) for sample in samples(entry, dtype)]
        for dtype in COMPARED
        if dtype in entry.dtypes and not apart(entry, dtype)
    }
    some = {dtype: 16 if dtype == torch.float32 else 6 for dtype in found}
    cases = [(dtype, i) for dtype, given in found.items() for i in part_of(given, part, some[dtype])]
    if cases:
        check_each(lambda dtype, i: check_sample(entry, *found[dtype][i], dtype), cases)


def check_sample(entry: Any, sample: Any, state: torch.Tensor, dtype: torch.dtype) -> None:
    torch.set_rng_state(state)  # op_db sets it for each sample: the weights do not depend on which samples are taken
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):  # the other kernel has no second derivative
        warnings.simplefilter("ignore")
        check(entry, sample, dtype)


def test_what_is_apart_still_is() -> None:
    for entry in ENTRIES:
        for dtype in COMPARED:
            if dtype in entry.dtypes and apart(entry, dtype):
                for sample in samples(entry, dtype):
                    with pytest.raises((RuntimeError, AssertionError)):
                        check(entry, sample, dtype)


#: op_db does not have them; they have calls in ``op_cases`` and in ``test_images``.
BY_HAND = {"max_pool1d_with_indices", "conv_tbc", "vander"}
#: ``compat_tests/nn/test_rnn.py`` has them.
RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"}
FUNCTIONAL_BY_HAND = {"fold", "lp_pool1d", "lp_pool2d", "lp_pool3d", "upsample"}


def test_most_of_the_registry_has_an_entry() -> None:
    named = {name for entry in ENTRIES for name in (bare(entry), *[alias.name for alias in entry.aliases])}
    without = {
        name
        for name, entry in REGISTRY.items()
        if "." not in name and not name.endswith("_") and (entry.op is None or entry.op.name == name)
    }
    assert without - named - DRAWN - RECURRENT <= {
        "copy",
        "zero",
        "divide",
        "true_divide",
        "chain_matmul",
        "relu",
        *BY_HAND,
    }
    functional = {name.removeprefix(f"{FUNCTIONAL}.") for name in REGISTRY if name.startswith(FUNCTIONAL)}
    assert {name for name in functional - named - DRAWN if not name.endswith("_")} == FUNCTIONAL_BY_HAND


def inplace(entry: Any) -> bool:
    return entry.name.startswith(FUNCTIONAL) and "inplace" in inspect.signature(called(entry)).parameters


@pytest.mark.filterwarnings("ignore:dropout[23]d:UserWarning")
@pytest.mark.parametrize("entry", [e for e in ENTRIES if inplace(e)], ids=lambda e: e.name)
def test_in_place(entry: Any) -> None:
    """The Tensor itself has the result, and its leaf torch's gradient."""
    for sample in entry.sample_inputs("cpu", torch.float32, requires_grad=True):
        leaves: list[tuple[Any, Any]] = []
        given = ours(sample.input, leaves) * 1
        tm.manual_seed(42)  # as op_db does
        mine = called(entry)(given, *ours(sample.args, []), inplace=True, **ours(sample.kwargs, []))
        theirs = entry(sample.input * 1, *sample.args, inplace=True, **sample.kwargs)
        assert mine is given
        near(mine, theirs, 1e-5)
        mine.sum().backward()
        theirs.sum().backward()
        near(leaves[0][0].grad, sample.input.grad, 1e-4)
