"""torch.nn.functional where op_db is blind: messages, warnings, old arguments, and signatures."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from torchish_mlx.ops.functions import FUNCTIONAL

Call = Callable[[Any, Any], Any]
NAN, INF = float("nan"), float("inf")


def long(T: Any, *values: Any) -> Any:
    return T.tensor(list(values), dtype=T.int64)


def floats(T: Any, *shape: int) -> Any:
    return T.tensor(np.linspace(-1, 1, int(np.prod(shape))).reshape(shape).tolist())


#: What both do the same: a result, or the type and the words of an error, and warnings.
CALLS: dict[str, Call] = {
    # activations
    **{
        f"{name} of {kind}": lambda T, F, name=name, kind=kind: getattr(F, name)(
            T.tensor([1, 0], dtype=getattr(T, kind))
        )
        for name in (
            *("elu", "selu", "celu", "leaky_relu", "hardtanh", "relu6", "hardswish", "hardsigmoid", "relu", "silu"),
            *("softshrink", "hardshrink", "logsigmoid", "mish", "softplus", "gelu", "glu", "softsign"),
        )
        for kind in ("int64", "bool")
        if (name, kind) != ("softsign", "bool")  # torch names the kernel of abs
    },
    "tanhshrink of int64": lambda T, F: F.tanhshrink(long(T, 1)),
    "glu of an odd size": lambda T, F: F.glu(T.ones(3)),
    "glu of a number": lambda T, F: F.glu(T.ones(())),
    "glu of another dimension": lambda T, F: F.glu(T.ones(4), 3),
    "hardtanh with bounds crossed": lambda T, F: F.hardtanh(T.ones(2), 2, 1),
    "hardtanh of bytes": lambda T, F: F.hardtanh(T.tensor([1], dtype=T.uint8)),
    "hardtanh of ints": lambda T, F: F.hardtanh(long(T, -4, 4), -1.5, 2.5),
    "softshrink": lambda T, F: F.softshrink(T.ones(2), -1),
    "gelu": lambda T, F: F.gelu(T.ones(2), approximate="x"),
    "in place in a leaf": lambda T, F: F.relu(T.ones(2).requires_grad_(), inplace=True),
    "in place by position": lambda T, F: F.elu(T.tensor([-1.0, 1.0]), 2.0, True),
    "relu_": lambda T, F: F.relu_(T.tensor([-1.0, 1.0])),
    "threshold_": lambda T, F: F.threshold_(T.tensor([-1.0, 1.0]), 0.5, 3.0),
    "celu_ at the top": lambda T, F: T.celu_(T.tensor([-1.0, 1.0]), 3.0),
    **{
        f"{name} without dim in {len(shape)}": lambda T, F, name=name, shape=shape: getattr(F, name)(floats(T, *shape))
        for name in ("softmax", "log_softmax", "softmin")
        for shape in ((2,), (2, 3), (2, 3, 2), (2, 1, 2, 1))
    },
    # linear maps, norms
    "linear": lambda T, F: F.linear(T.ones(2, 3), T.ones(4, 2)),
    "linear: bias": lambda T, F: F.linear(T.ones(2, 3), T.ones(4, 3), T.ones(5)),
    "linear: a row of bias": lambda T, F: F.linear(T.ones(2, 3), T.ones(4, 3), floats(T, 1)),
    "linear: a matrix of bias": lambda T, F: F.linear(T.ones(2, 3), T.ones(4, 3), floats(T, 2, 4)),
    "linear: vectors": lambda T, F: F.linear(T.ones(3), T.ones(3), T.ones(())),
    "linear: a vector of weights": lambda T, F: F.linear(T.ones(2, 3), T.ones(3)),
    "linear: three dimensions": lambda T, F: F.linear(T.ones(2, 3), T.ones(1, 2, 3)),
    "linear: a number": lambda T, F: F.linear(T.ones(()), T.ones(4, 3)),
    "linear: ints": lambda T, F: F.linear(T.ones(2, 3).long(), T.ones(4, 3).long(), T.ones(4).long()),
    "linear: booleans": lambda T, F: F.linear(T.ones(2, 3).bool(), T.ones(4, 3).bool(), T.ones(4).bool()),
    "linear: dtype of the bias": lambda T, F: F.linear(T.ones(2, 3), T.ones(4, 3), T.ones(4).double()),
    "bilinear: batches": lambda T, F: F.bilinear(T.ones(2, 3), T.ones(3, 4), T.ones(5, 3, 4)),
    "bilinear: second": lambda T, F: F.bilinear(T.ones(2, 3), T.ones(2, 4), T.ones(5, 3, 3)),
    "bilinear: first": lambda T, F: F.bilinear(T.ones(2, 3), T.ones(2, 4), T.ones(5, 2, 4)),
    "bilinear: bias": lambda T, F: F.bilinear(T.ones(2, 3), T.ones(2, 4), T.ones(5, 3, 4), T.ones(4)),
    "bilinear: dimensions": lambda T, F: F.bilinear(T.ones(2, 3), T.ones(1, 2, 4), T.ones(5, 3, 4)),
    "batch_norm of one": lambda T, F: F.batch_norm(T.ones(1, 2), None, None, training=True),
    "batch_norm of nothing": lambda T, F: F.batch_norm(T.ones(3, 2), None, None),
    "batch_norm: eps": lambda T, F: F.batch_norm(T.ones(3, 2), None, None, training=True, eps=0),
    "batch_norm: eps at rest": lambda T, F: F.batch_norm(T.ones(3, 2), T.ones(2), T.ones(2), eps=-1),
    "batch_norm: momentum": lambda T, F: F.batch_norm(T.ones(3, 2), None, None, training=True, momentum=None),
    "batch_norm of ints": lambda T, F: F.batch_norm(T.ones(3, 2).long(), None, None, training=True),
    "instance_norm of one": lambda T, F: F.instance_norm(T.ones(3, 2, 1)),
    "instance_norm of none": lambda T, F: F.instance_norm(T.ones(3, 2)),
    "instance_norm at rest": lambda T, F: F.instance_norm(T.ones(3, 2, 2), use_input_stats=False),
    "group_norm of a vector": lambda T, F: F.group_norm(T.ones(3), 1),
    "group_norm of one": lambda T, F: F.group_norm(T.ones(1, 2), 2),
    "group_norm: groups": lambda T, F: F.group_norm(T.ones(1, 3, 2), 2),
    "group_norm: no groups": lambda T, F: F.group_norm(T.ones(1, 3, 2), 0),
    "local_response_norm of a matrix": lambda T, F: F.local_response_norm(T.ones(3, 2), 2),
    "local_response_norm of nothing": lambda T, F: F.local_response_norm(T.ones(1, 3, 2), 0),
    "normalize of ints": lambda T, F: F.normalize(T.ones(2, 2).long()),
    # embeddings
    "embedding: padding": lambda T, F: F.embedding(long(T, 1), T.ones(3, 2), padding_idx=3),
    "embedding: padding from the end": lambda T, F: F.embedding(long(T, 1), T.ones(3, 2), padding_idx=-4),
    "embedding: out of range": lambda T, F: F.embedding(long(T, 4), T.ones(3, 2)),
    "embedding: negative": lambda T, F: F.embedding(long(T, -1), T.ones(3, 2)),
    "embedding: floats": lambda T, F: F.embedding(T.ones(1), T.ones(3, 2)),
    "embedding: max_norm": lambda T, F: F.embedding(long(T, 1, 1, 0), floats(T, 3, 2), max_norm=0.5),
    "embedding: max_norm 1": lambda T, F: F.embedding(long(T, 2), floats(T, 3, 2), max_norm=0.5, norm_type=1),
    "one_hot": lambda T, F: F.one_hot(long(T, 0, 2, 1)),
    "one_hot: few": lambda T, F: F.one_hot(long(T, 0, 2, 1), 2),
    "one_hot: negative": lambda T, F: F.one_hot(long(T, 0, -2)),
    "one_hot: floats": lambda T, F: F.one_hot(T.ones(1)),
    "one_hot: int32": lambda T, F: F.one_hot(T.tensor([1], dtype=T.int32)),
    "one_hot: none": lambda T, F: F.one_hot(long(T, 0), 0),
    "one_hot: -2": lambda T, F: F.one_hot(long(T, 0), -2),
    "one_hot of nothing": lambda T, F: F.one_hot(long(T)),
    "one_hot of nothing in three": lambda T, F: F.one_hot(long(T), 3),
    # losses of numbers
    **{
        f"{name} of {key}": lambda T, F, name=name, call=call: call(T, getattr(F, name))
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
        for key, call in {
            "other sizes": lambda T, f: f(T.ones(2, 3), T.ones(3)),
            "ints": lambda T, f: f(T.ones(2).long(), T.ones(2).long(), reduction="none"),
            "ints and floats": lambda T, f: f(T.ones(2), T.ones(2).long()),
            "double": lambda T, f: f(T.ones(2), T.ones(2).double()),
            "another word": lambda T, f: f(T.ones(2), T.ones(2), reduction="foo"),
            "an old word": lambda T, f: f(T.ones(2), T.ones(2), reduction="elementwise_mean"),
        }.items()
    },
    **{
        f"mse_loss({average}, {reduce})": lambda T, F, a=average, r=reduce: F.mse_loss(T.ones(2), floats(T, 2), a, r)
        for average in (None, False, True)
        for reduce in (None, False, True)
    },
    "mse_loss: weight": lambda T, F: F.mse_loss(T.ones(2), floats(T, 2), weight=T.tensor([1.0, 3.0])),
    "mse_loss: other weights": lambda T, F: F.mse_loss(T.ones(2), T.ones(2), weight=T.ones(3)),
    "mse_loss: weight, word": lambda T, F: F.mse_loss(T.ones(2), T.ones(2), weight=T.ones(2), reduction="foo"),
    "l1_loss: the mean of ints": lambda T, F: F.l1_loss(T.ones(2).long(), T.ones(2).long()),
    "smooth_l1_loss: beta": lambda T, F: F.smooth_l1_loss(T.ones(2), T.ones(2), beta=-1.0),
    "huber_loss: delta": lambda T, F: F.huber_loss(T.ones(2), T.ones(2), delta=0.0),
    "huber_loss: weight": lambda T, F: F.huber_loss(T.ones(2), floats(T, 2), weight=T.tensor([1.0, 3.0])),
    "kl_div: mean": lambda T, F: F.kl_div(floats(T, 2), T.ones(2)),
    "kl_div: word": lambda T, F: F.kl_div(floats(T, 2), T.ones(2), reduction="foo"),
    "kl_div: old words": lambda T, F: F.kl_div(floats(T, 2), T.ones(2), size_average=True, reduction="batchmean"),
    "kl_div of ints": lambda T, F: F.kl_div(T.ones(2).long(), T.ones(2).long(), reduction="sum"),
    "kl_div of zeros": lambda T, F: F.kl_div(T.tensor([0.0, -INF]), T.zeros(2), reduction="none"),
    "gaussian_nll_loss": lambda T, F: F.gaussian_nll_loss(T.ones(2), floats(T, 2), 0.0),
    "gaussian_nll_loss: negative": lambda T, F: F.gaussian_nll_loss(T.ones(2), floats(T, 2), -1.0),
    "gaussian_nll_loss: size": lambda T, F: F.gaussian_nll_loss(T.ones(2, 2), T.ones(2, 2), T.ones(3)),
    "gaussian_nll_loss: word": lambda T, F: F.gaussian_nll_loss(T.ones(2), T.ones(2), T.ones(2), reduction="foo"),
    "poisson_nll_loss: word": lambda T, F: F.poisson_nll_loss(T.ones(2), T.ones(2), reduction="foo"),
    # losses of classes
    **{
        f"cross_entropy: {key}": lambda T, F, call=call: call(T, F.cross_entropy)
        for key, call in {
            "out of range": lambda T, f: f(floats(T, 2, 3), long(T, 0, 3)),
            "negative": lambda T, f: f(floats(T, 2, 3), long(T, 0, -1)),
            "ignored": lambda T, f: f(floats(T, 2, 3), long(T, 0, -100)),
            "all ignored": lambda T, f: f(floats(T, 2, 3), long(T, -100, -100)),
            "all ignored, smoothed": lambda T, f: f(floats(T, 2, 3), long(T, -100, -100), label_smoothing=0.1),
            "batch": lambda T, f: f(floats(T, 2, 3), long(T, 0, 1, 2)),
            "floats": lambda T, f: f(floats(T, 2, 3), T.tensor([0.0, 1.0])),
            "int32": lambda T, f: f(floats(T, 2, 3), T.tensor([0, 1], dtype=T.int32)),
            "bytes": lambda T, f: f(floats(T, 2, 3), T.tensor([0, 1], dtype=T.uint8)),
            "booleans": lambda T, f: f(floats(T, 2, 3), T.tensor([True, False])),
            "probabilities that are ints": lambda T, f: f(floats(T, 2, 3), T.ones(2, 3).long()),
            "probabilities, ignored": lambda T, f: f(floats(T, 2, 3), T.ones(2, 3), ignore_index=1),
            "probabilities in double": lambda T, f: f(floats(T, 2, 3), T.ones(2, 3).double()),
            "weights": lambda T, f: f(floats(T, 2, 3), long(T, 0, 1), weight=T.ones(2)),
            "weights of probabilities": lambda T, f: f(floats(T, 2, 3), T.ones(2, 3), weight=T.ones(2)),
            "weights in double": lambda T, f: f(floats(T, 2, 3), long(T, 0, 1), weight=T.ones(3).double()),
            "a matrix of weights": lambda T, f: f(floats(T, 2, 3), long(T, 0, 1), weight=T.ones(1, 3)),
            "weights that are learned": lambda T, f: f(
                floats(T, 2, 3), long(T, 0, 1), weight=T.ones(3).requires_grad_()
            ),
            "smoothing": lambda T, f: f(floats(T, 2, 3), long(T, 0, 1), label_smoothing=1.5),
            "two classes": lambda T, f: f(floats(T, 2, 3), T.ones(2, 2).long()),
            "a number": lambda T, f: f(T.ones(()), T.tensor(0)),
            "a vector": lambda T, f: f(floats(T, 3), T.tensor(0)),
            "a vector and a vector": lambda T, f: f(floats(T, 3), long(T, 0), reduction="none"),
            "a vector and two": lambda T, f: f(floats(T, 3), long(T, 0, 1)),
            "three dimensions": lambda T, f: f(floats(T, 2, 3, 4), T.ones(2, 5).long()),
            "four dimensions": lambda T, f: f(floats(T, 2, 3, 4, 5), T.ones(2, 4, 4).long()),
            "four dimensions and two": lambda T, f: f(floats(T, 2, 3, 4, 5), T.ones(2, 4).long()),
            "five dimensions": lambda T, f: f(floats(T, 2, 3, 4, 5, 1), T.ones(2, 4, 5, 2).long()),
            "ints": lambda T, f: f(T.ones(2, 3).long(), long(T, 0, 1)),
            "no samples": lambda T, f: f(T.ones(0, 3), long(T)),
            "no samples, sum": lambda T, f: f(T.ones(0, 3), long(T), reduction="sum"),
            "word": lambda T, f: f(floats(T, 2, 3), long(T, 0, 1), reduction="batchmean"),
            "old words": lambda T, f: f(floats(T, 2, 3), long(T, 0, 1), None, False),
            "infinity": lambda T, f: f(T.tensor([[INF, 0.0], [-INF, 0.0], [1e4, 0.0]]), long(T, 0, 0, 1)),
        }.items()
    },
    "nll_loss of ints": lambda T, F: F.nll_loss(T.ones(2, 3).long(), long(T, 0, 1)),
    "nll_loss of a number": lambda T, F: F.nll_loss(T.ones(()), T.tensor(0)),
    "nll_loss of weights 0": lambda T, F: F.nll_loss(floats(T, 2, 3), long(T, 0, 1), T.tensor([0.0, 0.0, 1.0])),
    "nll_loss of infinity": lambda T, F: F.nll_loss(T.tensor([[-INF, NAN]]), long(T, 0), T.tensor([1.0, 0.0])),
    **{
        f"binary_cross_entropy: {key}": lambda T, F, call=call: call(T, F.binary_cross_entropy)
        for key, call in {
            "large": lambda T, f: f(T.tensor([1.5]), T.ones(1)),
            "negative": lambda T, f: f(T.tensor([-0.5]), T.ones(1)),
            "nan": lambda T, f: f(T.tensor([NAN]), T.ones(1)),
            "target": lambda T, f: f(T.tensor([0.5]), T.tensor([1.5])),
            "sizes": lambda T, f: f(T.ones(2), T.ones(1)),
            "ints": lambda T, f: f(T.ones(2).long(), T.ones(2).long()),
            "targets that are ints": lambda T, f: f(T.ones(2), T.ones(2).long()),
            "learned weights": lambda T, f: f(T.ones(2), T.ones(2), T.ones(2).requires_grad_()),
            "the ends": lambda T, f: f(T.tensor([0.0, 1.0]), T.tensor([1.0, 0.5]), reduction="none"),
        }.items()
    },
    "with logits: sizes": lambda T, F: F.binary_cross_entropy_with_logits(T.ones(2), T.ones(1)),
    "with logits: ints": lambda T, F: F.binary_cross_entropy_with_logits(T.ones(2).long(), T.ones(2).long()),
    "with logits: learned weights": lambda T, F: F.binary_cross_entropy_with_logits(
        T.ones(2), T.ones(2), pos_weight=T.ones(2).requires_grad_()
    ),
    "with logits: far": lambda T, F: F.binary_cross_entropy_with_logits(
        T.tensor([-1e4, 1e4, INF, 0.0]), T.tensor([1.0, 0.0, 1.0, 0.3]), reduction="none"
    ),
    # margins
    "soft_margin_loss: learned target": lambda T, F: F.soft_margin_loss(T.ones(2), T.ones(2).requires_grad_()),
    "soft_margin_loss of ints": lambda T, F: F.soft_margin_loss(T.ones(2).long(), T.ones(2).long()),
    "multi_margin_loss: p": lambda T, F: F.multi_margin_loss(T.ones(2, 3), long(T, 0, 1), p=3),
    "multi_margin_loss: range": lambda T, F: F.multi_margin_loss(T.ones(2, 3), long(T, 0, 3)),
    "multi_margin_loss: halves": lambda T, F: F.multi_margin_loss(T.ones(2, 3).to(T.bfloat16), long(T, 0, 1)),
    "multi_margin_loss: learned weights": lambda T, F: F.multi_margin_loss(
        T.ones(2, 3), long(T, 0, 1), weight=T.ones(3).requires_grad_()
    ),
    "multilabel_margin_loss: range": lambda T, F: F.multilabel_margin_loss(T.ones(1, 3), long(T, 0, 3, -1)[None]),
    "multilabel_margin_loss: sizes": lambda T, F: F.multilabel_margin_loss(T.ones(2, 5), T.ones(2, 4).long()),
    "multilabel_margin_loss twice": lambda T, F: F.multilabel_margin_loss(floats(T, 1, 3), long(T, 1, 1, -1)[None]),
    "multilabel_soft_margin_loss: word": lambda T, F: F.multilabel_soft_margin_loss(
        T.ones(2), T.ones(2), reduction="x"
    ),
    "triplet_margin_loss: margin": lambda T, F: F.triplet_margin_loss(*[T.ones(2, 3)] * 3, margin=0),
    "hinge_embedding_loss of 0": lambda T, F: F.hinge_embedding_loss(
        T.tensor([0.5, -2.0, 3.0]), long(T, 1, -1, 0), reduction="none"
    ),
    "cosine_embedding_loss: sizes": lambda T, F: F.cosine_embedding_loss(T.ones(2), T.ones(2), T.ones(2)),
    "cosine_embedding_loss: a number": lambda T, F: F.cosine_embedding_loss(T.ones(2, 2), T.ones(2, 2), T.ones(())),
    # attention
    **{
        f"attention: {key}": lambda T, F, call=call: call(T, F.scaled_dot_product_attention)
        for key, call in {
            "a hidden row": lambda T, f: f(
                *[floats(T, 1, 1, 3, 4)] * 3, T.tensor([[True, False, True], [False] * 3, [True] * 3])
            ),
            "a hidden row of -inf": lambda T, f: f(*[floats(T, 1, 1, 2, 4)] * 3, T.tensor([[0.5, 1.0], [-INF, -INF]])),
            "causal, fewer queries": lambda T, f: f(
                floats(T, 1, 1, 2, 4), floats(T, 1, 1, 3, 4), floats(T, 1, 1, 3, 4), is_causal=True
            ),
            "matrices": lambda T, f: f(floats(T, 3, 4), floats(T, 2, 4), floats(T, 2, 5)),
            "vectors": lambda T, f: f(*[T.ones(4)] * 3),
            "dtypes": lambda T, f: f(T.ones(2, 4), T.ones(2, 4).double(), T.ones(2, 4)),
            "ints": lambda T, f: f(*[T.ones(1, 1, 2, 4).long()] * 3),
            "mask of ints": lambda T, f: f(*[T.ones(2, 4)] * 3, T.ones(2, 2).long()),
            "mask of doubles": lambda T, f: f(*[T.ones(2, 4)] * 3, T.ones(2, 2).double()),
            "heads": lambda T, f: f(T.ones(1, 4, 3, 4), T.ones(1, 2, 3, 4), T.ones(1, 2, 3, 4)),
            "grouped heads": lambda T, f: f(
                floats(T, 1, 4, 3, 4), floats(T, 1, 2, 3, 4), floats(T, 1, 2, 3, 4), enable_gqa=True
            ),
            "no keys": lambda T, f: f(T.ones(1, 1, 2, 4), T.ones(1, 1, 0, 4), T.ones(1, 1, 0, 5)),
            "scale 0": lambda T, f: f(*[floats(T, 1, 2, 3, 4)] * 3, scale=0.0),
            "mask and causal": lambda T, f: f(*[floats(T, 1, 2, 3, 4)] * 3, attn_mask=floats(T, 3, 3), is_causal=True),
        }.items()
    },
    # padding and pixels
    **{
        f"pad {mode} {shape} {widths}": lambda T, F, m=mode, s=shape, w=widths: F.pad(
            floats(T, *s) if np.prod(s) else T.ones(s), w, m
        )
        for mode in ("constant", "reflect", "replicate", "circular", "foo")
        for shape, widths in [
            ((3,), (1, 1)),
            ((2, 3), (1, 1)),
            ((2, 3), (1, 1, 1, 1)),
            ((1, 2, 3), (1, 2, 1, 0)),
            ((1, 1, 2, 3), (1, 1)),
            ((1, 1, 2, 3), (1, 1, 1, 1, 1, 1)),
            ((1, 1, 2, 3, 2), (1, 1, 1, 1, 1, 1)),
            ((1, 2, 3), (3, 0)),
            ((1, 2, 3), (4, 0)),
            ((1, 2, 3), (1,)),
            ((1, 2, 3), (-1, -1)),
            ((1, 2, 3), (-1, 2)),
            ((1, 2, 3), (-2, -1)),
            ((1, 2, 3), (-4, 1)),
            ((1, 2, 3), (0, -4)),
            ((0, 2, 3), (1, 1)),
            ((1, 2, 0), (1, 1)),
            ((1, 2, 3), (1, 1, 1, 1, 1, 1, 1, 1)),
            ((1, 2, 3), ()),
        ]
    },
    "pad: value of a mode": lambda T, F: F.pad(T.ones(1, 3), (1, 1), "reflect", 1.0),
    "pad: value 0 of a mode": lambda T, F: F.pad(T.ones(1, 3), (1, 1), "reflect", 0),
    "pad: booleans": lambda T, F: F.pad(T.ones(3).bool(), (1, 1), value=1),
    "pad: ints": lambda T, F: F.pad(T.ones(3).long(), (1, 1), value=1.5),
    "pad: booleans mirrored": lambda T, F: F.pad(T.ones(1, 3).bool(), (1, 1), "reflect"),
    "pad: a float": lambda T, F: F.pad(T.ones(3), (1.5, 1)),
    "pad: an int": lambda T, F: F.pad(T.ones(3), 1),
    "pixel_shuffle of a matrix": lambda T, F: F.pixel_shuffle(T.ones(3, 2), 2),
    "pixel_shuffle: channels": lambda T, F: F.pixel_shuffle(T.ones(3, 2, 2), 2),
    "pixel_shuffle: factor": lambda T, F: F.pixel_shuffle(T.ones(4, 2, 2), 0),
    "pixel_unshuffle: height": lambda T, F: F.pixel_unshuffle(T.ones(3, 3, 2), 2),
    "pixel_unshuffle: width": lambda T, F: F.pixel_unshuffle(T.ones(3, 2, 3), 2),
    "channel_shuffle of a matrix": lambda T, F: F.channel_shuffle(T.ones(4, 2), 2),
    "channel_shuffle: groups": lambda T, F: F.channel_shuffle(T.ones(1, 4, 2), 3),
    "channel_shuffle: no groups": lambda T, F: F.channel_shuffle(T.ones(1, 4, 2), 0),
}


def outcome(call: Call, T: Any) -> tuple[Any, list[tuple[type, str]]]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            found: Any = call(T, T.nn.functional)
        except Exception as error:
            found = (type(error), str(error))
    return found, [(w.category, str(w.message)) for w in seen]


@pytest.mark.parametrize("name", CALLS)
def test_as_torch(name: str) -> None:
    (mine, my_warnings), (theirs, their_warnings) = outcome(CALLS[name], tm), outcome(CALLS[name], torch)
    assert my_warnings == their_warnings
    if isinstance(theirs, tuple):
        assert mine == theirs
        return
    assert not isinstance(mine, tuple), mine
    assert str(mine.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2]
    assert tuple(mine.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(np.array(mine.tolist()), np.array(theirs.tolist()), rtol=2e-6, atol=2e-7)


def test_a_warning_shows_the_line_of_the_user() -> None:
    for call in (
        lambda F, x: F.mse_loss(x, x, size_average=False),
        lambda F, x: F.mse_loss(x, x[:1]),
        lambda F, x: F.softmax(x),
        lambda F, x: F.kl_div(x, x),
    ):
        with pytest.warns(UserWarning, match=" ") as seen:
            call(tm.nn.functional, tm.ones(2))
        assert seen[0].filename == __file__


def test_max_norm_writes_into_the_weight() -> None:
    weights = [T.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]).requires_grad_() for T in (tm, torch)]
    for T, w in zip((tm, torch), weights, strict=True):
        T.nn.functional.embedding(long(T, 0, 0, 1), w, max_norm=1.0).sum().backward()
    mine, theirs = weights
    np.testing.assert_allclose(mine.tolist(), theirs.tolist(), rtol=1e-6)
    assert mine.grad.tolist() == theirs.grad.tolist()
    assert mine.tolist()[2] == [6.0, 8.0]


def rows_of(index: Any, **kwargs: Any) -> Any:
    w = tm.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]).requires_grad_()
    y = tm.nn.functional.embedding(index, w, sparse=True, **kwargs)
    (y * y).sum().backward()
    return w


@pytest.mark.parametrize("padding_idx", [None, 0, 1])
def test_a_sparse_gradient_has_torchs_rows(padding_idx: int | None) -> None:
    mine = rows_of(long(tm, 1, 1, 0), padding_idx=padding_idx).grad
    w = torch.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]).requires_grad_()
    y = torch.nn.functional.embedding(long(torch, 1, 1, 0), w, sparse=True, padding_idx=padding_idx)
    (y * y).sum().backward()
    assert w.grad is not None
    assert mine.indices.tolist() == w.grad._indices()[0].tolist()
    np.testing.assert_allclose(np.array(mine.values), w.grad._values(), rtol=1e-6)


def test_sparse_gradients_are_added() -> None:
    w = tm.ones(3, 2).requires_grad_()
    F = tm.nn.functional
    (F.embedding(long(tm, 1), w, sparse=True) + F.embedding(long(tm, 2), w, sparse=True)).sum().backward()
    F.embedding(long(tm, 1), w, sparse=True).sum().backward()
    assert w.grad.is_sparse
    assert w.grad.dense().tolist() == [[0, 0], [2, 2], [1, 1]]
    w.sum().backward()
    assert w.grad.tolist() == [[1, 1], [3, 3], [2, 2]]
    (F.embedding(long(tm, 0), w, sparse=True).sum() + w.sum()).backward()
    assert w.grad.tolist() == [[3, 3], [4, 4], [3, 3]]


def test_a_sparse_gradient_trains_by_sparse_adam() -> None:
    weights = []
    for T in (tm, torch):
        w = T.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])
        w = T.nn.Parameter(w) if T is torch else tm.Parameter(w)
        optimizer = T.optim.SparseAdam([w], lr=0.1)
        for index in (long(T, 1, 1), long(T, 0)):
            optimizer.zero_grad()
            (T.nn.functional.embedding(index, w, sparse=True) ** 2).sum().backward()
            optimizer.step()
        weights.append(w.tolist())
    np.testing.assert_allclose(*weights, rtol=1e-6)


def test_what_a_sparse_gradient_cannot_do_is_refused() -> None:
    F, w = tm.nn.functional, tm.ones(3, 2).requires_grad_()
    with pytest.raises(RuntimeError, match="needs a weight that is a leaf"):
        F.embedding(long(tm, 1), w * 2, sparse=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse gradients"):
        F.embedding(long(tm, 1), w, sparse=True, scale_grad_by_freq=True)
    y = F.embedding(long(tm, 1), w, sparse=True).sum()
    with pytest.raises(RuntimeError, match="has no derivative"):
        y.backward(create_graph=True)
    assert F.embedding(long(tm, 1), (w * 2).detach(), sparse=True).tolist() == [[2, 2]]


def test_dropout_in_attention_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="there is no dropout in torchish_mlx yet"):
        tm.nn.functional.scaled_dot_product_attention(*[tm.ones(2, 4)] * 3, dropout_p=0.1)


def test_running_statistics_move_as_torchs() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    for name in ("batch_norm", "instance_norm"):
        kept = []
        for T in (tm, torch):
            mean, var = T.zeros(3), T.ones(3)
            kwargs = {"training": True} if name == "batch_norm" else {}
            for _ in range(2):
                getattr(T.nn.functional, name)(T.tensor(x.tolist()), mean, var, momentum=0.3, **kwargs)
            kept.append([mean.tolist(), var.tolist()])
        np.testing.assert_allclose(*kept, rtol=1e-5)


def test_a_traced_step() -> None:
    """What looks at values is left out in a step that is compiled."""
    F = tm.nn.functional

    def loss(x: mx.array, w: mx.array, at: mx.array) -> mx.array:
        rows = F.embedding(tm.Tensor(at), tm.Tensor(w))
        hot = F.one_hot(tm.Tensor(at), 4)
        p = F.binary_cross_entropy(F.sigmoid(rows), F.sigmoid(tm.Tensor(x)))
        return (F.cross_entropy(rows, tm.Tensor(at)) + p + (hot * 1.0).mean()).array

    args = mx.random.normal((3, 4)), mx.random.normal((4, 4)), mx.array([0, 3, 1], mx.int64)
    np.testing.assert_allclose(mx.compile(loss)(*args).item(), loss(*args).item(), rtol=1e-5)


@pytest.mark.parametrize("array", [mx.array, np.asarray])
def test_arrays_are_taken(array: Any) -> None:
    F, x = tm.nn.functional, np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    at = np.array([0, 3, 1])
    theirs = torch.nn.functional.cross_entropy(torch.tensor(x), torch.tensor(at)).item()
    for logits in (tm.tensor(mx.array(x)), array(x)):
        assert F.cross_entropy(logits, target=array(at)).item() == pytest.approx(theirs)
    assert F.embedding(array(at), tm.tensor(mx.array(x[[0, 1, 2, 0]]))).shape == (3, 4)
    assert F.relu(array(x)).tolist() == np.maximum(x, 0).tolist()


# Signatures -----------------------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("name", sorted(FUNCTIONAL))
def test_the_signature_is_torchs(name: str) -> None:
    mine = [
        (p.name, "*" if p.kind is p.KEYWORD_ONLY else "")
        for p in inspect.signature(FUNCTIONAL[name]).parameters.values()
    ]
    theirs = names_of(name)
    out = [p for p in mine if p[0] == "out"]
    assert [p for p in mine if p not in out] == [p for p in theirs if p[0] != "out"]
    assert len(out) <= len([p for p in theirs if p[0] == "out"])
