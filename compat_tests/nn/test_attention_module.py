"""Attention of several heads next to torch's: every kind of mask, sizes of keys and values, dropout, and errors."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import torchish_mlx as tm

L, S, N, E, H = 3, 5, 2, 8, 4


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def near(mine: Any, theirs: Any, what: Any, tolerance: float = 3e-6) -> None:
    assert tuple(mine.shape) == tuple(theirs.shape), what
    a, b = np.array(mine.detach().tolist()), np.array(theirs.detach().tolist())
    np.testing.assert_allclose(
        a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0.0)), err_msg=str(what)
    )


def both(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    made = []
    for T in (tm, torch):
        T.manual_seed(5)
        made.append(T.nn.MultiheadAttention(*args, **kwargs))
    assert tm.get_rng_state().tolist() == torch.get_rng_state().tolist()
    mine, theirs = (m.state_dict() for m in made)
    assert list(mine) == list(theirs)
    for name in mine:
        assert mine[name].tolist() == theirs[name].tolist()
    return made[0], made[1]


def compare(mine: Any, theirs: Any, inputs: list[np.ndarray], call: Any) -> None:
    """Results, and gradients of inputs and Parameters, of ``call(T, module, leaves)``."""
    sides = []
    for T, module in ((tm, mine), (torch, theirs)):
        module.zero_grad()
        leaves = [T.tensor(x).requires_grad_() for x in inputs]
        T.manual_seed(6)
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
            warnings.simplefilter("ignore")
            out, weights = call(T, module, leaves)
        total = (out * T.tensor(normal(9, *out.shape))).sum()
        if weights is not None:
            total = total + (weights * T.tensor(normal(10, *weights.shape))).sum()
        total.backward()
        members = [p.grad for p in module.parameters()]
        sides.append([out, weights, *(x.grad for x in leaves), *members])
    for i, (a, b) in enumerate(zip(*sides, strict=True)):
        assert (a is None) == (b is None), i
        if b is not None:
            near(a, b, i)
    assert tm.get_rng_state().tolist() == torch.get_rng_state().tolist()


def masks(T: Any, batched: bool) -> tuple[list[Any], list[Any]]:
    """Masks of keys, and of pairs, none of which hides all keys of a query."""
    rng = np.random.default_rng(3)
    keys = rng.random((N, S)) < 0.3
    keys[:, 0] = False
    pairs = rng.random((N * H if batched else H, L, S)) < 0.3
    pairs[:, :, 0] = False
    if not batched:
        keys = keys[0]
    numbers = normal(4, *pairs.shape)
    of_keys = [None, T.tensor(keys), T.tensor(normal(5, *keys.shape))]
    return of_keys, [None, T.tensor(pairs[0]), T.tensor(pairs), T.tensor(numbers[0]), T.tensor(numbers)]


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_masks(need_weights: bool, batched: bool, batch_first: bool) -> None:
    mine, theirs = both(E, H, batch_first=batch_first)

    def lead(n: int) -> tuple[int, ...]:
        return ((N, n) if batch_first else (n, N)) if batched else (n,)

    inputs = [normal(0, *lead(L), E), normal(1, *lead(S), E), normal(2, *lead(S), E)]
    for i, j in itertools.product(range(3), range(5)):

        def call(T: Any, module: Any, x: Any, i: int = i, j: int = j) -> Any:
            of_keys, of_pairs = masks(T, batched)
            return module(
                *x,
                key_padding_mask=of_keys[i],
                attn_mask=of_pairs[j],
                need_weights=need_weights,
                average_attn_weights=bool(i % 2),
            )

        compare(mine, theirs, inputs, call)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"bias": False},
        {"add_bias_kv": True},
        {"add_zero_attn": True},
        {"add_bias_kv": True, "add_zero_attn": True, "dropout": 0.3},
        {"kdim": 6, "vdim": 7},
        {"kdim": 6, "bias": False, "add_bias_kv": True},
        {"dropout": 0.5},
    ],
    ids=str,
)
def test_options(options: dict[str, Any], need_weights: bool) -> None:
    mine, theirs = both(E, H, **options)
    assert repr(mine) == repr(theirs)
    inputs = [normal(0, L, N, E), normal(1, S, N, options.get("kdim", E)), normal(2, S, N, options.get("vdim", E))]
    for training, masked in itertools.product((True, False), repeat=2):
        mine.train(training), theirs.train(training)

        def call(T: Any, module: Any, x: Any, masked: bool = masked) -> Any:
            of_keys, of_pairs = masks(T, True)
            given = {"key_padding_mask": of_keys[1], "attn_mask": of_pairs[1]} if masked else {}
            return module(*x, need_weights=need_weights, **given)

        compare(mine, theirs, inputs, call)


@pytest.mark.parametrize("batch_first", [True, False])
def test_of_one_sequence_and_causal(batch_first: bool) -> None:
    mine, theirs = both(E, H, batch_first=batch_first)
    x = normal(0, 4, 4, E)
    compare(mine, theirs, [x], lambda T, m, x: m(x[0], x[0], x[0]))
    compare(mine, theirs, [x, x * 2], lambda T, m, x: m(x[0], x[1], x[1], need_weights=False))
    for need_weights, padded in itertools.product((True, False), repeat=2):

        def call(T: Any, m: Any, x: Any, need_weights: bool = need_weights, padded: bool = padded) -> Any:
            mask = T.nn.Transformer.generate_square_subsequent_mask(4)
            keys = T.tensor([[False] * 3 + [True]] * 4) if padded else None
            return m(x[0], x[0], x[0], keys, need_weights, mask, is_causal=True)

        compare(mine, theirs, [x], call)


def test_a_query_without_keys() -> None:
    """Of the weights NaN, as torch says; without the weights torch has 0."""
    mine, theirs = both(E, H)
    for need_weights in (True, False):
        sides = []
        for T, m in ((tm, mine), (torch, theirs)):
            x = T.tensor(normal(0, L, N, E))
            mask = T.tensor([[True] * L] + [[False] * L] * (L - 1))
            with sdpa_kernel(SDPBackend.MATH):
                sides.append(m(x, x, x, attn_mask=mask, need_weights=need_weights)[0])
        assert np.isnan(sides[0].detach().numpy()).any() == need_weights
        near(*sides, need_weights)


def test_static_keys_and_values() -> None:
    weights = {"in": normal(1, 3 * E, E), "bias": normal(2, 3 * E), "out": normal(3, E, E)}
    sides = []
    for T in (tm, torch):
        x = T.tensor(normal(0, L, N, E)).requires_grad_()
        k, v = (T.tensor(normal(i, N * H, S, E // H)).requires_grad_() for i in (5, 6))
        w = {name: T.tensor(a) for name, a in weights.items()}
        call = T.nn.functional.multi_head_attention_forward
        found = call(
            *(x, x, x, E, H, w["in"], w["bias"], None, None, False, 0.0, w["out"], None), static_k=k, static_v=v
        )
        found[0].sum().backward()
        sides.append([*found, x.grad, k.grad, v.grad])
    for i, (a, b) in enumerate(zip(*sides, strict=True)):
        near(a, b, i)


def test_second_derivatives() -> None:
    mine, theirs = both(E, H, dtype=None)
    sides = []
    for T, m in ((tm, mine.double()), (torch, theirs.double())):
        x = T.tensor(normal(0, L, N, E).astype("f8"), dtype=T.float64).requires_grad_()
        with sdpa_kernel(SDPBackend.MATH):
            out = m(x, x, x, need_weights=False)[0]
            leaves = [x, *m.parameters()]
            first = T.autograd.grad((out * out).sum(), leaves, create_graph=True)
            sides.append(T.autograd.grad(sum((f * f).sum() for f in first), leaves))
    for i, (a, b) in enumerate(zip(*sides, strict=True)):
        near(a, b, i, 1e-11)


def test_merge_masks() -> None:
    mine, theirs = both(E, H)
    for i, j in itertools.product(range(2), range(3)):
        sides = []
        for T, m in ((tm, mine), (torch, theirs)):
            keys = [None, T.tensor(normal(0, N, L))][i]
            pairs = [None, T.tensor(normal(1, L, L)), T.tensor(normal(2, N * H, L, L))][j]
            merged, kind = m.merge_masks(pairs, keys, T.ones(N, L, E))
            sides.append((None if merged is None else merged.tolist(), kind))
        assert sides[0] == sides[1]


X = "T.ones(3, 2, 8)"
REFUSED = [
    "A(0, 1)",
    "A(8, 0)",
    "A(8, 3)",
    f"A(8, 4)({X}, T.ones(3, 8), {X})",
    f"A(8, 4)(T.ones(3, 8), {X}, {X})",
    "A(8, 4)(T.ones(8), T.ones(8), T.ones(8))",
    f"A(8, 4)({X}, {X}, {X}, T.zeros(3).bool())",
    "A(8, 4)(T.ones(3, 8), T.ones(3, 8), T.ones(3, 8), T.zeros(1, 3).bool())",
    f"A(8, 4)({X}, {X}, {X}, T.zeros(2, 4).bool())",
    f"A(8, 4)({X}, {X}, {X}, T.zeros(3, 3).bool())",
    f"A(8, 4)({X}, {X}, {X}, T.zeros(2, 3).long())",
    f"A(8, 4)({X}, {X}, {X}, attn_mask=T.zeros(3).bool())",
    f"A(8, 4)({X}, {X}, {X}, attn_mask=T.zeros(3, 4))",
    f"A(8, 4)({X}, {X}, {X}, attn_mask=T.zeros(2, 3, 3))",
    "A(8, 4)(T.ones(3, 8), T.ones(3, 8), T.ones(3, 8), attn_mask=T.zeros(2, 3, 3))",
    f"A(8, 4)({X}, {X}, {X}, attn_mask=T.zeros(3, 3).int())",
    f"A(8, 4)({X}, {X}, {X}, is_causal=True)",
    f"A(8, 4)(T.ones(3, 2, 6), {X}, {X})",
    f"A(8, 4)({X}, {X}, T.ones(4, 2, 8))",
    f"A(8, 4, kdim=4)({X}, T.ones(3, 2, 4), T.ones(4, 2, 8))",
    f"A(8, 4, kdim=4)({X}, {X}, {X})",
]


@pytest.mark.parametrize("call", REFUSED)
def test_refused_in_torchs_words(call: str) -> None:
    said = []
    for T in (tm, torch):
        with pytest.raises(Exception) as error:
            eval(call, {"T": T, "A": T.nn.MultiheadAttention})
        said.append((error.type.__name__, str(error.value)))
    assert said[0] == said[1]


def test_masks_of_two_dtypes_warn() -> None:
    said = []
    for T in (tm, torch):
        x = T.ones(3, 2, 8)
        with pytest.warns(UserWarning, match="mismatched") as found:
            T.nn.MultiheadAttention(8, 4)(x, x, x, T.zeros(2, 3).bool(), attn_mask=T.zeros(3, 3))
        said.append({str(w.message) for w in found})
    assert said[0] == said[1]
