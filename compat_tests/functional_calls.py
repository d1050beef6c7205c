"""The calls with which compat_tests/nn/test_functional.py runs torch.nn.functional, on torch and here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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
    "pad: a float behind": lambda T, F: F.pad(T.ones(3), (1, 1.5)),
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
