"""Values and slopes of torch.nn.functional at ties and kinks, and where numbers are infinite or none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from compat_tests.sides import SIDES, values

NAN, INF = float("nan"), float("inf")
WIDE = [[-INF, -6.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0, 20.0, 25.0, INF, NAN]]
PAIR = [[-1.0, 0.0, 1.0, 2.0, 0.5], [-1.0, 1.0, 0.0, 0.0, 0.0]]

#: What is given, and what is called with it. Where torch has no number, neither has this package.
KINKS: dict[str, tuple[list[Any], Any]] = {
    **{
        name: (WIDE, lambda F, x, name=name: getattr(F, name)(x))
        for name in (
            "elu",
            "selu",
            "celu",
            "leaky_relu",
            "hardtanh",
            "relu6",
            "hardsigmoid",
            "softshrink",
            "hardshrink",
        )
    },
    **{
        name: (WIDE, lambda F, x, name=name: getattr(F, name)(x))
        for name in ("hardswish", "softplus", "logsigmoid", "relu", "softsign")
    },
    "tanhshrink": ([[-6.0, -0.5, -0.0, 0.0, 0.5, 20.0, NAN]], lambda F, x: F.tanhshrink(x)),
    "softplus at its threshold": ([[1.9, 2.0, 2.1, 400.0]], lambda F, x: F.softplus(x, 2.0, 4.0)),
    "hardtanh of one number": ([[0.0, 1.0]], lambda F, x: F.hardtanh(x, 0.0, 0.0)),
    "mse_loss": (PAIR, lambda F, x, y: F.mse_loss(x, y, reduction="none")),
    "l1_loss": (PAIR, lambda F, x, y: F.l1_loss(x, y, reduction="none")),
    "l1_loss with weights": (PAIR, lambda F, x, y: F.l1_loss(x, y, weight=(y * 0 + 2).detach())),
    "smooth_l1_loss at beta": (PAIR, lambda F, x, y: F.smooth_l1_loss(x, y, reduction="none")),
    "smooth_l1_loss of beta 0": (PAIR, lambda F, x, y: F.smooth_l1_loss(x, y, reduction="none", beta=0.0)),
    "huber_loss at delta": (PAIR, lambda F, x, y: F.huber_loss(x, y, reduction="none")),
    "kl_div of no target": ([[-1.0, -INF, 0.0], [0.0, 0.5, 1.0]], lambda F, x, y: F.kl_div(x, y, reduction="none")),
    "gaussian_nll_loss at eps": (
        [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [1e-6, 0.0, 1.0]],
        lambda F, x, y, v: F.gaussian_nll_loss(x, y, v, full=True, reduction="none"),
    ),
    "binary_cross_entropy at the ends": (
        [[0.0, 1.0, 0.0, 1.0, 0.5]],
        lambda F, x: F.binary_cross_entropy(x, x.new_tensor([0.0, 1.0, 1.0, 0.0, 0.3]), reduction="none"),
    ),
    "with logits": (
        [[-1e4, -INF, -1.0, -0.0, 0.0, 1.0, 1e4]],
        lambda F, x: F.binary_cross_entropy_with_logits(x, (x.detach() < 0) * 0.5, reduction="none"),
    ),
    "margin_ranking_loss": (
        PAIR,
        lambda F, x, y: F.margin_ranking_loss(x, y, x.new_tensor([1.0, 1, 1, -1, -1]), 1.0, reduction="none"),
    ),
    "hinge_embedding_loss": (
        [[0.0, 1.0, 2.0, 1.0]],
        lambda F, x: F.hinge_embedding_loss(x, x.new_tensor([-1.0, -1, -1, 1]), reduction="none"),
    ),
    "multi_margin_loss": (
        [[[1.0, 2.0, 0.0], [1.0, 1.0, 3.0]]],
        lambda F, x: F.multi_margin_loss(x, x.new_tensor([1, 0]).long(), reduction="none"),
    ),
    "multilabel_margin_loss": (
        [[[1.0, 2.0, 0.0], [1.0, 1.0, 3.0]]],
        lambda F, x: F.multilabel_margin_loss(x, x.new_tensor([[1, 1, -1], [0, -1, 2]]).long(), reduction="none"),
    ),
    "triplet_margin_loss of equal ones": (
        [[[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 2.0]]],
        lambda F, x, y, z: F.triplet_margin_loss(x, y, z, eps=0.0),
    ),
    "cosine_embedding_loss of zero": (
        [[[0.0, 0.0], [1.0, 2.0]], [[1.0, 2.0], [0.0, 0.0]]],
        lambda F, x, y: F.cosine_embedding_loss(x, y, x.new_tensor([1.0, -1.0]), reduction="none"),
    ),
    "normalize zeros": ([[[0.0, 0.0], [3.0, 4.0]]], lambda F, x: F.normalize(x)),
    "normalize by the largest": ([[[0.0, 0.0], [4.0, 4.0]]], lambda F, x: F.normalize(x, INF)),
    "layer_norm of constants": ([[[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]]], lambda F, x: F.layer_norm(x, (3,)) * x),
    "attention with a hidden row": (
        [[[[[1.0, 2.0], [0.5, -1.0]]]]],
        lambda F, x: F.scaled_dot_product_attention(x, x, x, x.new_tensor([[1, 0], [0, 0]]) > 0),
    ),
    "attention with a learned mask": (
        [[[[[1.0, 2.0], [0.5, -1.0]]]], [[0.5, -INF], [-INF, -INF]]],
        lambda F, x, m: F.scaled_dot_product_attention(x, x, x, m),
    ),
    "pad that mirrors": ([[[1.0, 2.0, 3.0]]], lambda F, x: F.pad(x, (2, 1), "reflect") ** 2),
    "pad that repeats": ([[[1.0, 2.0, 3.0]]], lambda F, x: F.pad(x, (4, -1), "replicate") ** 2),
    "pad that goes round": ([[[1.0, 2.0, 3.0]]], lambda F, x: F.pad(x, (2, 1), "circular") ** 2),
}
#: name -> (index of the elements that are left out, why).
ELSEWHERE = {
    "softsign": ([0, 13], "torch's slope of infinity is NaN, as its value; here it is 0"),
}


@pytest.mark.parametrize("name", KINKS)
def test_kink(name: str) -> None:
    given, call = KINKS[name]
    out = ELSEWHERE.get(name, ([], ""))[0]
    found = []
    for side in SIDES:
        leaves = [side.leaf(np.array(v), torch.float32, True) for v in given]
        result = call(side.library.nn.functional, *leaves)
        result.sum().backward()
        found.append([values(result), *[values(leaf.grad) for leaf in leaves]])
    for mine, theirs in zip(found[1], found[0], strict=True):
        assert mine.shape == theirs.shape
        mine, theirs = (np.delete(x, out) if out else x for x in (mine, theirs))
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7, err_msg=name)


def test_what_is_elsewhere_is_so() -> None:
    for name, (at, _) in ELSEWHERE.items():
        given, call = KINKS[name]
        slopes = []
        for side in SIDES:
            x = side.leaf(np.array(given[0]), torch.float32, True)
            call(side.library.nn.functional, x).sum().backward()
            slopes.append(values(x.grad)[at])
        assert np.isnan(slopes[0]).all()
        assert np.isfinite(slopes[1]).all()
