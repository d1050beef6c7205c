"""The Transformer next to torch's: its parts with every mask, in training and in evaluation, and what they keep."""

from __future__ import annotations

import copy
import itertools
import pickle
import warnings
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import torchish_mlx as tm

S, L, N, E = 5, 4, 3, 8


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def both(make: Any) -> tuple[Any, Any]:
    """``make(T.nn, T)`` on each side, from one seed, with the same state."""
    made = []
    for T in (tm, torch):
        T.manual_seed(5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made.append(make(T.nn, T))
    assert tm.get_rng_state().tolist() == torch.get_rng_state().tolist()
    mine, theirs = (m.state_dict() for m in made)
    assert list(mine) == list(theirs)
    assert mine._metadata == theirs._metadata
    for name in mine:
        assert mine[name].tolist() == theirs[name].tolist(), name
    assert repr(made[0]) == repr(made[1])
    return made[0], made[1]


def compare(mine: Any, theirs: Any, inputs: list[np.ndarray], call: Any, tolerance: float = 6e-6) -> None:
    """Results, and gradients of inputs and Parameters, of ``call(T, module, leaves)``."""
    sides = []
    for T, module in ((tm, mine), (torch, theirs)):
        module.zero_grad()
        leaves = [T.tensor(x).requires_grad_() for x in inputs]
        T.manual_seed(6)
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
            warnings.simplefilter("ignore")
            out = call(T, module, leaves)
        (out * T.tensor(normal(9, *out.shape))).sum().backward()
        sides.append([out, *(x.grad for x in leaves), *(p.grad for p in module.parameters())])
    for i, (a, b) in enumerate(zip(*sides, strict=True)):
        x, y = np.array(a.detach().tolist()), np.array(b.detach().tolist())
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * max(1.0, np.abs(y).max()), err_msg=str(i))
    assert tm.get_rng_state().tolist() == torch.get_rng_state().tolist()


def hidden(T: Any, n: int, m: int, kind: str) -> Any:
    """A mask (n, m) of booleans or numbers, or a causal one."""
    if kind == "none":
        return None
    if kind == "causal":
        return T.nn.Transformer.generate_square_subsequent_mask(n) if n == m else None
    hides = np.random.default_rng(n * m).random((n, m)) < 0.3
    hides[:, 0] = False
    return T.tensor(hides) if kind == "bool" else T.tensor(normal(n, n, m))


MASKS = ("none", "bool", "float", "causal")


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_encoder_layer(norm_first: bool, batch_first: bool, training: bool) -> None:
    mine, theirs = both(
        lambda nn, T: nn.TransformerEncoderLayer(
            E, 2, 12, 0.2, "gelu", 1e-4, batch_first=batch_first, norm_first=norm_first
        ).train(training)
    )
    shape = (N, S, E) if batch_first else (S, N, E)
    for mask, padding in itertools.product(MASKS, ("none", "bool", "float")):

        def call(T: Any, m: Any, x: Any, mask: str = mask, padding: str = padding) -> Any:
            return m(x[0], hidden(T, S, S, mask), hidden(T, N, S, padding), is_causal=mask == "causal")

        compare(mine, theirs, [normal(0, *shape)], call)
    compare(mine, theirs, [normal(0, S, E)], lambda T, m, x: m(x[0]))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_decoder_layer(norm_first: bool, bias: bool) -> None:
    mine, theirs = both(
        lambda nn, T: nn.TransformerDecoderLayer(E, 2, 12, 0.2, T.nn.functional.silu, norm_first=norm_first, bias=bias)
    )
    inputs = [normal(0, L, N, E), normal(1, S, N, E)]
    for own, other, padding in itertools.product(MASKS, ("none", "bool", "float"), ("none", "bool")):

        def call(T: Any, m: Any, x: Any, own: str = own, other: str = other, padding: str = padding) -> Any:
            return m(
                *x,
                tgt_mask=hidden(T, L, L, own),
                memory_mask=hidden(T, L, S, other),
                tgt_key_padding_mask=hidden(T, N, L, padding),
                memory_key_padding_mask=hidden(T, N, S, padding),
                tgt_is_causal=own == "causal",
            )

        compare(mine, theirs, inputs, call)


@pytest.mark.parametrize("training", [True, False])
def test_stacks_and_the_whole(training: bool) -> None:
    def encoder(nn: Any, T: Any) -> Any:
        return nn.TransformerEncoder(nn.TransformerEncoderLayer(E, 2, 12, 0.1), 3, nn.LayerNorm(E)).train(training)

    def decoder(nn: Any, T: Any) -> Any:
        return nn.TransformerDecoder(nn.TransformerDecoderLayer(E, 2, 12, 0.1), 2).train(training)

    def whole(nn: Any, T: Any) -> Any:
        return nn.Transformer(E, 2, 2, 2, 12, 0.1, batch_first=True, activation="gelu").train(training)

    for causal in (None, True, False):
        for kind in MASKS[2:] if causal else MASKS:
            if causal and kind != "causal":
                continue

            def masked(T: Any, n: int, kind: str = kind) -> Any:
                return hidden(T, n, n, kind)

            compare(
                *both(encoder),
                [normal(0, S, N, E)],
                lambda T, m, x: m(x[0], masked(T, S), is_causal=causal),  # noqa: B023
            )
            compare(
                *both(decoder),
                [normal(0, L, N, E), normal(1, S, N, E)],
                lambda T, m, x: m(*x, masked(T, L), tgt_is_causal=causal),  # noqa: B023
            )
            compare(
                *both(whole),
                [normal(0, N, S, E), normal(1, N, L, E)],
                lambda T, m, x: m(
                    *x,
                    src_mask=hidden(T, S, S, "bool"),
                    tgt_mask=masked(T, L),
                    src_key_padding_mask=hidden(T, N, S, "bool"),
                    memory_key_padding_mask=hidden(T, N, S, "bool"),
                    tgt_is_causal=causal,  # noqa: B023
                ),
                2e-5,
            )


def test_what_is_hidden_has_no_zeros_in_inference() -> None:
    """Torch's faster way leaves zeros there, and the same numbers elsewhere."""
    mine, theirs = both(
        lambda nn, T: nn.TransformerEncoder(nn.TransformerEncoderLayer(E, 2, 12, batch_first=True), 2).eval()
    )
    x, padding = normal(0, 2, S, E), np.array([[False] * S, [False] * 3 + [True] * 2])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fast = theirs(torch.tensor(x), src_key_padding_mask=torch.tensor(padding)).numpy()
    slow = mine(tm.tensor(x), src_key_padding_mask=tm.tensor(padding)).detach().numpy()
    assert not fast[padding].any()
    assert slow[padding].all()
    np.testing.assert_allclose(slow[~padding], fast[~padding], atol=1e-5)


def test_custom_parts_copies_and_masks() -> None:
    def custom(nn: Any, T: Any) -> Any:
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, 2, 12, 0.0), 1)
        return nn.Transformer(E, 2, 1, 1, 12, 0.0, custom_encoder=encoder)

    layer = tm.nn.TransformerEncoderLayer(E, 2, 12, activation=tm.nn.GELU())
    assert isinstance(pickle.loads(pickle.dumps(layer)).activation, tm.nn.GELU)
    mine, theirs = both(custom)
    assert [p.tolist() for p in mine.parameters()] == [p.tolist() for p in theirs.parameters()]
    inputs = [normal(0, S, N, E), normal(1, L, N, E)]
    for module in (mine, copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        compare(module, theirs, inputs, lambda T, m, x: m(*x), 2e-5)
    for dtype in ("float32", "float64", "bfloat16"):
        masks = [T.nn.Transformer.generate_square_subsequent_mask(4, dtype=getattr(T, dtype)) for T in (tm, torch)]
        assert masks[0].tolist() == masks[1].tolist()
        assert str(masks[0].dtype) == str(masks[1].dtype)


def test_in_a_function_that_mlx_compiles() -> None:
    """The mask is looked at only where it has values."""
    mine, _ = both(lambda nn, T: nn.TransformerEncoder(nn.TransformerEncoderLayer(E, 2, 12, 0.0), 1))
    for p in mine.parameters():
        p.requires_grad_(False)
    mask = tm.nn.Transformer.generate_square_subsequent_mask(S).array
    x = mx.array(normal(0, S, N, E))

    def run(x: mx.array, mask: mx.array) -> mx.array:
        return mine(tm.Tensor(x), tm.Tensor(mask)).array

    np.testing.assert_allclose(np.array(mx.compile(run)(x, mask)), np.array(run(x, mask)), atol=1e-6)


LAYER = "T.nn.TransformerEncoderLayer(8, 2, 12)"
WARNED = [
    f"T.nn.TransformerEncoder({LAYER}, 1)",
    "T.nn.TransformerEncoder(T.nn.TransformerDecoderLayer(8, 2, 12), 1)",
    *(
        f"T.nn.TransformerEncoder(T.nn.TransformerEncoderLayer(8, {heads}, 12, batch_first=True{more}), 1)"
        for heads, more in ((2, ", norm_first=True"), (2, ", bias=False"), (2, ", activation=T.tanh"), (1, ""))
    ),
    f"{LAYER}(T.ones(3, 2, 8), T.zeros(3, 3), T.zeros(2, 3).bool())",
]


@pytest.mark.parametrize("call", WARNED)
def test_warnings(call: str) -> None:
    said = []
    for T in (tm, torch):
        with pytest.warns(UserWarning, match="enable_nested_tensor|mismatched") as found:
            eval(call, {"T": T})
        said.append({str(w.message) for w in found})
    assert said[0] == said[1]


REFUSED = [
    "T.nn.TransformerEncoderLayer(8, 2, 12, activation='elu')",
    "T.nn.TransformerDecoderLayer(8, 2, 12, activation='elu')",
    "T.nn.TransformerEncoderLayer(8, 3, 12)",
    "T.nn.Transformer(8, 2, 1, 1, 12)(T.ones(3, 2, 8), T.ones(3, 1, 8))",
    "T.nn.Transformer(8, 2, 1, 1, 12, batch_first=True)(T.ones(3, 2, 8), T.ones(2, 2, 8))",
    "T.nn.Transformer(8, 2, 1, 1, 12)(T.ones(3, 2, 6), T.ones(3, 2, 8))",
    f"{LAYER}(T.ones(3, 2, 8), T.zeros(3, 3).int())",
    f"{LAYER}(T.ones(3, 2, 8), is_causal=True)",
]


@pytest.mark.parametrize("call", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_refused_in_torchs_words(call: str) -> None:
    said = []
    for T in (tm, torch):
        with pytest.raises(Exception) as error:
            eval(call, {"T": T})
        said.append((error.type.__name__, str(error.value)))
    assert said[0] == said[1]
