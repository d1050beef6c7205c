"""Every module next to torch's over torch's own samples (``module_db``): how it begins, what it gives and keeps.

In float32, from one seed: Parameters and the generator bit for bit, state dicts with their metadata, ``repr``, results,
gradients of inputs and of Parameters, and buffers after the call, in training and after ``eval()``. In float64 and
bfloat16 results.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

import torchish_mlx as tm
from torchish_mlx.parity.sides import DTYPES, to_array

INFOS = {info.name.removeprefix("nn."): info for info in module_db if hasattr(tm.nn, info.name.removeprefix("nn."))}
#: Of the largest number: torch's own results in float32 differ as much from those in float64.
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-12, torch.bfloat16: 2**-7}
#: How much of the tolerance is lost where many operations follow each other: in float32 torch's gradients of attention
#: differ by 7e-6 from those in float64, and of the Transformer by 9e-6.
DEEP = {name: 3.0 for name in INFOS if name == "MultiheadAttention" or name.startswith("Transformer")}


def arrayed(tensor: Any) -> mx.array:
    """The array of either side's tensor."""
    if not isinstance(tensor, torch.Tensor):
        return tensor.array
    if tensor.dtype == torch.float64:  # of NumPy's doubles MLX makes float32
        return mx.array(tensor.detach().numpy(), dtype=mx.float64)
    return to_array(tensor)


def ours(value: Any, pairs: list[tuple[Any, Any]]) -> Any:
    """``value`` with our Tensors and modules; ours and torch's of those that want a gradient go into ``pairs``."""
    if isinstance(value, torch.Tensor):
        made = tm.Tensor(arrayed(value))
        if value.requires_grad:
            made.requires_grad_()
            pairs.append((made, value))
        return made
    if isinstance(value, torch.dtype):
        return DTYPES[value]
    if isinstance(value, torch.nn.Module):
        return made_as(value)
    if inspect.isfunction(value) or inspect.isbuiltin(value):
        return getattr(tm.nn.functional, value.__name__)
    if isinstance(value, dict):
        return {key: ours(v, pairs) for key, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(ours(v, pairs) for v in value)
    return value


def made_as(module: torch.nn.Module) -> Any:
    """Our module of the same kind with the same state, by the arguments that ``module`` keeps."""
    if isinstance(module, torch.nn.PairwiseDistance):
        return tm.nn.PairwiseDistance(module.norm, module.eps, module.keepdim)
    layer: Any = module
    attention = layer.self_attn
    kind = getattr(tm.nn, type(module).__name__)
    made = kind(
        attention.embed_dim,
        attention.num_heads,
        layer.linear1.out_features,
        layer.dropout.p,
        ours(layer.activation, []),
        layer.norm1.eps,
        attention.batch_first,
        layer.norm_first,
        attention.in_proj_bias is not None,
        dtype=DTYPES[layer.linear1.weight.dtype],
    )
    made.load_state_dict({name: tm.Tensor(arrayed(value)) for name, value in layer.state_dict().items()})
    return made


def leaves(value: Any, dtype: torch.dtype | None = None) -> Any:
    """``value`` with other leaves in place of its tensors; with those of floats in ``dtype``, if it is given."""
    if isinstance(value, torch.Tensor):
        made = value.detach().clone()
        return (made.to(dtype) if dtype and made.is_floating_point() else made).requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {key: leaves(v, dtype) for key, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(leaves(v, dtype) for v in value)
    return value


def content(tensor: Any) -> tuple[str, tuple[int, ...], bytes]:
    """(dtype, shape, bytes) of either side's tensor."""
    array = arrayed(tensor)
    flat = mx.contiguous(array.reshape(-1))
    return str(array.dtype), tuple(array.shape), np.array(flat.view(mx.uint8)).tobytes() if array.size else b""


def same_generator() -> bool:
    """Whether the next random numbers of both sides are the same."""
    return tm.get_rng_state().tolist() == torch.get_rng_state().tolist()


def flat(result: Any) -> list[Any]:
    return [r for each in result for r in flat(each)] if isinstance(result, (tuple, list)) else [result]


def numbers(tensor: Any) -> np.ndarray:
    return np.array(tensor.detach().tolist())


def near(
    mine: Any, theirs: Any, what: str, dtype: torch.dtype = torch.float32, exact: Any = None, more: float = 1.0
) -> None:
    """Same dtype and shape, and equal to the tolerance of the largest number; exactly where they are no floats.

    The tolerance is ``more`` times the usual one.

    With ``exact``, torch's result in float64, mine may be nearer to that instead than torch's is.
    """
    assert mine.dtype == DTYPES[theirs.dtype], what
    assert tuple(mine.shape) == tuple(theirs.shape), what
    a, b = numbers(mine), numbers(theirs)
    scale = max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0.0)) if b.dtype.kind == "f" else 0.0
    if exact is not None and np.abs(a - numbers(exact)).max(initial=0) <= np.abs(b - numbers(exact)).max(initial=0):
        return
    np.testing.assert_allclose(a, b, rtol=0, atol=more * TOLERANCE[dtype] * scale, err_msg=what)


def samples(info: Any, dtype: torch.dtype, training: bool) -> Iterator[Any]:
    torch.manual_seed(0)
    yield from info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=dtype == torch.float32, training=training
    )


class Pair:
    """A module on both sides from one seed, with the same inputs."""

    def __init__(self, name: str, sample: Any, dtype: torch.dtype, training: bool = True) -> None:
        self.dtype, self.pairs, self.more = dtype, list[tuple[Any, Any]](), DEEP.get(name, 1.0)
        args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
        mine, theirs = getattr(tm.nn, name), getattr(torch.nn, name)
        takes = "dtype" in inspect.signature(theirs).parameters or issubclass(theirs, torch.nn.RNNBase)
        takes = takes and "dtype" not in kwargs
        placed = {"dtype": dtype} if takes and dtype != torch.float32 else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(3)
            self.theirs = theirs(*copy.deepcopy(args), **kwargs, **placed)
            given = ours(args, []), ours({**kwargs, **placed}, [])  # a module among them draws its Parameters
            tm.manual_seed(3)
            self.mine = mine(*given[0], **given[1])
        self.call = sample.forward_input
        if hasattr(theirs, "cls_to_become"):
            self.make_parameters()
        self.theirs.train(training)
        self.mine.train(training)

    def make_parameters(self) -> None:
        """Call modules that are lazy for the first time."""
        assert repr(self.mine) == repr(self.theirs)
        assert list(self.mine.state_dict()) == list(self.theirs.state_dict())
        (args, kwargs), (their_args, their_kwargs) = self.inputs()
        self.pairs.clear()
        self.mine.eval()(*args, **kwargs)
        self.theirs.eval()(*their_args, **their_kwargs)
        assert type(self.mine).__name__ == type(self.theirs).__name__

    def inputs(self) -> tuple[Any, Any]:
        """Arguments of both sides, which share no memory with the sample."""
        theirs = leaves((self.call.args, self.call.kwargs))
        return ours(theirs, self.pairs), theirs

    def run(self) -> tuple[Any, Any]:
        (args, kwargs), (their_args, their_kwargs) = self.inputs()
        if getattr(self.theirs, "inplace", False):  # a leaf can't be overwritten
            args, their_args = [a * 1 for a in args], [a * 1 for a in their_args]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.mine(*args, **kwargs), self.theirs(*their_args, **their_kwargs)

    def in_float64(self) -> tuple[list[Any], dict[str, Any]]:
        """Torch's results and buffers, of the same numbers."""
        args, kwargs = leaves((self.call.args, self.call.kwargs), torch.float64)
        module = copy.deepcopy(self.theirs).double()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return flat(module(*args, **kwargs)), module.state_dict()

    def compare_states(self, exactly: bool, exact: Any = None) -> None:
        mine, theirs = self.mine.state_dict(), self.theirs.state_dict()
        assert list(mine) == list(theirs)
        assert mine._metadata == theirs._metadata
        for name in theirs:
            if exactly:
                assert content(mine[name]) == content(theirs[name]), name
            else:
                near(mine[name], theirs[name], name, self.dtype, exact and exact[name], self.more)

    def compare(self, backward: bool) -> None:
        exact, states = self.in_float64() if self.dtype == torch.bfloat16 else ([], None)
        torch.manual_seed(4)
        tm.manual_seed(4)
        mine, theirs = self.run()
        assert same_generator()
        generator = np.random.default_rng(0)
        mine_sum, their_sum = 0, 0
        for i, (a, b) in enumerate(zip(flat(mine), flat(theirs), strict=True)):
            near(a, b, f"result {i}", self.dtype, exact[i] if exact else None, self.more)
            if backward and b.requires_grad:
                weight = generator.standard_normal(b.shape).astype("f4")
                mine_sum = mine_sum + (a * tm.tensor(weight)).sum()
                their_sum = their_sum + (b * torch.tensor(weight)).sum()
        if isinstance(their_sum, torch.Tensor):
            their_sum.backward()
            mine_sum.backward()
            members = zip(self.mine.parameters(), self.theirs.parameters(), strict=True)
            for i, (a, b) in enumerate([*self.pairs, *members]):
                assert (a.grad is None) == (b.grad is None), i
                if b.grad is not None:
                    near(a.grad, b.grad, f"gradient {i}", self.dtype, None, self.more)
        self.compare_states(exactly=False, exact=states)


def flags(info: Any) -> list[bool]:
    return [True, False] if info.train_and_eval_differ else [True]


CASES = [
    pytest.param(name, flag, id=f"{name}-{'train' if flag else 'eval'}")
    for name, i in INFOS.items()
    for flag in flags(i)
]


@pytest.mark.parametrize(("name", "training"), CASES)
def test_as_torch(name: str, training: bool) -> None:
    seen = 0
    for sample in samples(INFOS[name], torch.float32, training):
        pair = Pair(name, sample, torch.float32, training)
        pair.compare_states(exactly=True)
        assert same_generator()
        assert repr(pair.mine) == repr(pair.theirs)
        pair.compare(backward=True)
        seen += 1
    assert seen


def torch_has(pair: Pair) -> bool:
    """Whether torch computes the module in the dtype of the sample."""
    args, kwargs = pair.inputs()[1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            copy.deepcopy(pair.theirs)(*args, **kwargs)
    except RuntimeError as error:
        if "not implemented for" in str(error):
            return False
        raise
    return True


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=["float64", "bfloat16"])
@pytest.mark.parametrize("name", INFOS)
def test_other_dtypes(name: str, dtype: torch.dtype) -> None:
    for sample in samples(INFOS[name], dtype, True):
        pair = Pair(name, sample, dtype)
        if torch_has(pair):
            pair.compare(backward=False)


ERRORS = [name for name, info in INFOS.items() if info.module_error_inputs_func is not None]


@pytest.mark.parametrize("name", ERRORS)
def test_what_torch_refuses(name: str) -> None:
    info = INFOS[name]
    for case in info.module_error_inputs_func(
        info, device="cpu", dtype=torch.float32, requires_grad=False, training=True
    ):
        made, call = case.module_error_input.constructor_input, case.module_error_input.forward_input
        kind: Any = getattr(tm.nn, name)
        if case.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(case.error_type, match=case.error_regex):
                kind(*ours(made.args, []), **ours(made.kwargs, []))
        else:
            module = kind(*ours(made.args, []), **ours(made.kwargs, []))
            with pytest.raises(case.error_type, match=case.error_regex):
                module(*ours(call.args, []), **ours(call.kwargs, []))


#: Modules that ``module_db`` does not have, with arguments and shapes of inputs: compared as those it has.
MORE: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[tuple[int, ...], ...]]] = [
    ("Flatten", (), {}, ((2, 3, 4),)),
    ("Flatten", (0, 1), {}, ((2, 3, 4),)),
    ("Unflatten", (1, (3, 4)), {}, ((2, 12),)),
    ("Unflatten", (1, [3, -1]), {}, ((2, 12),)),
    ("PixelShuffle", (2,), {}, ((1, 8, 3, 3),)),
    ("PixelUnshuffle", (2,), {}, ((1, 2, 4, 6),)),
    ("ChannelShuffle", (2,), {}, ((1, 4, 3, 3),)),
    ("Upsample", (), {"scale_factor": 2}, ((1, 2, 5),)),
    ("Upsample", (), {"scale_factor": (1.5, 2), "mode": "bilinear"}, ((1, 2, 4, 5),)),
    ("Upsample", ((7, 4),), {"mode": "bicubic", "align_corners": True}, ((1, 2, 4, 5),)),
    ("Upsample", (), {"scale_factor": 1.6, "recompute_scale_factor": True, "mode": "linear"}, ((1, 2, 7),)),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, ((1, 2, 3, 3),)),
    ("UpsamplingNearest2d", (5,), {}, ((1, 2, 3, 3),)),
    ("UpsamplingBilinear2d", (), {"size": (5, 7)}, ((1, 2, 3, 3),)),
    ("Fold", ((4, 5), 2), {"padding": 1}, ((1, 8, 30),)),
    ("Unfold", ((2, 3),), {"stride": 2, "dilation": 1, "padding": 1}, ((1, 2, 5, 6),)),
    ("CosineSimilarity", (), {}, ((3, 4), (3, 4))),
    ("CosineSimilarity", (0, 0.5), {}, ((3, 4), (3, 4))),
    ("PairwiseDistance", (), {}, ((3, 4), (3, 4))),
    ("PairwiseDistance", (3.0, 0.1, True), {}, ((3, 4), (3, 4))),
    ("LPPool3d", (2, 2), {}, ((1, 2, 4, 4, 4),)),
    ("LPPool1d", (3, 2), {"stride": 1, "ceil_mode": True}, ((1, 2, 5),)),
    ("AvgPool3d", (2,), {"divisor_override": 3, "padding": 1}, ((1, 2, 4, 4, 4),)),
    ("MaxPool2d", ((3, 2),), {"stride": (2, 1), "padding": (1, 0), "return_indices": True}, ((1, 2, 6, 5),)),
    ("AdaptiveMaxPool2d", ((None, 2),), {"return_indices": True}, ((1, 2, 5, 6),)),
    ("AdaptiveAvgPool3d", ((2, None, 1),), {}, ((1, 2, 3, 4, 5),)),
    *((f"ZeroPad{n}d", (1,), {}, ((1, 2, 4, 5, 6)[: n + 2],)) for n in (1, 2, 3)),
    *((f"ReflectionPad{n}d", ((1, 2) * n,), {}, ((1, 2, 4, 5, 6)[: n + 2],)) for n in (1, 2, 3)),
    *((f"ReplicationPad{n}d", (tuple(range(2 * n)),), {}, ((1, 2, 4, 5, 6)[: n + 2],)) for n in (1, 2, 3)),
    *((f"CircularPad{n}d", ((2, 1) * n,), {}, ((1, 2, 4, 5, 6)[: n + 2],)) for n in (1, 2, 3)),
    ("ConstantPad2d", ((1, -1, 0, 2), 3.5), {}, ((1, 2, 4, 5),)),
    (
        "Conv2d",
        (4, 6, (3, 2)),
        {"padding": "same", "dilation": (1, 2), "groups": 2, "padding_mode": "reflect"},
        ((2, 4, 7, 8),),
    ),
    ("Conv1d", (4, 6, 3), {"padding": 2, "padding_mode": "circular", "bias": False}, ((2, 4, 7),)),
    ("Conv3d", (2, 4, 3), {"padding": (1, 0, 1), "padding_mode": "replicate", "stride": 2}, ((2, 2, 5, 6, 7),)),
    (
        "ConvTranspose2d",
        (4, 6, 3),
        {"stride": (2, 3), "output_padding": (1, 2), "groups": 2, "dilation": 2, "padding": 1},
        ((2, 4, 5, 4),),
    ),
    ("BatchNorm2d", (3,), {"momentum": None, "bias": False}, ((4, 3, 5, 5),)),
    ("BatchNorm1d", (3,), {"track_running_stats": False}, ((4, 3),)),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True, "momentum": 0.3}, ((2, 3, 4, 5),)),
    ("LayerNorm", ([3, 4],), {"bias": False}, ((2, 3, 4),)),
    ("GroupNorm", (2, 4), {"bias": False, "eps": 0.1}, ((2, 4, 3),)),
    ("RMSNorm", ((3, 4),), {"eps": 0.1}, ((2, 3, 4),)),
    ("Dropout1d", (0.4,), {}, ((3, 4, 5),)),
    ("AlphaDropout", (0.4,), {}, ((3, 4),)),
    ("FeatureAlphaDropout", (0.4,), {}, ((3, 4, 5),)),
    ("Dropout", (0.4, True), {}, ((3, 4),)),
    ("ReLU", (True,), {}, ((3, 4),)),
    ("ReLU6", (True,), {}, ((3, 4),)),
    ("Hardtanh", (-0.5, 0.5, True), {}, ((3, 4),)),
    ("ELU", (0.7, True), {}, ((3, 4),)),
    ("SELU", (True,), {}, ((3, 4),)),
    ("CELU", (0.7, True), {}, ((3, 4),)),
    ("LeakyReLU", (0.2, True), {}, ((3, 4),)),
    ("Threshold", (0.1, 3.0, True), {}, ((3, 4),)),
    ("RReLU", (0.1, 0.4, True), {}, ((3, 4),)),
    ("SiLU", (True,), {}, ((3, 4),)),
    ("Mish", (True,), {}, ((3, 4),)),
    ("Hardswish", (True,), {}, ((3, 4),)),
    ("Hardsigmoid", (True,), {}, ((3, 4),)),
    ("GELU", ("tanh",), {}, ((3, 4),)),
    ("Softmin", (0,), {}, ((3, 4),)),
    ("Softmax2d", (), {}, ((3, 4, 2),)),
    ("PReLU", (4, 0.3), {}, ((3, 4),)),
]


class Made:
    """A row of MORE in ``module_db``'s words."""

    def __init__(self, args: Any, kwargs: Any, shapes: Any) -> None:
        torch.manual_seed(0)
        self.constructor_input = Call(args, kwargs)
        self.forward_input = Call([torch.randn(shape, requires_grad=True) for shape in shapes], {})


class Call:
    def __init__(self, args: Any, kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("row", MORE, ids=lambda row: f"{row[0]}-{row[1]}-{row[2]}")
def test_more_modules(row: Any, training: bool) -> None:
    name, args, kwargs, shapes = row
    pair = Pair(name, Made(args, kwargs, shapes), torch.float32, training)
    pair.compare_states(exactly=True)
    assert repr(pair.mine) == repr(pair.theirs)
    pair.compare(backward=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.5])
@pytest.mark.parametrize("weights", [None, [1.0, 0.0, 1.0]])
@pytest.mark.parametrize("ignored", [1, -100])
def test_gradients_where_no_sample_counts(smoothing: float, weights: list[float] | None, ignored: int) -> None:
    """The mean is 0 / 0; the gradient of what is ignored is 0 all the same, and of a weight of 0 it is not."""
    found = []
    for T in (tm, torch):
        x = T.tensor([[0.5, 1.0, -2.0], [0.1, 0.2, 0.3]]).requires_grad_()
        weight = None if weights is None else T.tensor(weights)
        loss = T.nn.CrossEntropyLoss(weight=weight, ignore_index=ignored, label_smoothing=smoothing)(
            x, T.tensor([1, 1])
        )
        loss.backward()
        found.append((loss.item(), x.grad.tolist()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-6)
