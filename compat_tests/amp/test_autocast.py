"""Autocast on the CPU next to torch's: which functions cast, values, gradients, and the state of the block."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional

import torchish_mlx as tm
from torchish_mlx.ops._autocast import AUTOCAST, POLICIES
from torchish_mlx.ops._declare import REGISTRY

RNG = np.random.default_rng(0)
A, B, C = (RNG.normal(size=(4, 4)).astype(np.float32) for _ in range(3))
IMAGES = RNG.normal(size=(2, 3, 6, 6)).astype(np.float32)
CUBES = RNG.normal(size=(2, 3, 4, 4, 4)).astype(np.float32)
W1, W2, W3 = (RNG.normal(size=(3, 3, *[2] * n)).astype(np.float32) for n in (1, 2, 3))
BATCH = RNG.normal(size=(3, 4, 4)).astype(np.float32)
P = RNG.uniform(0.1, 0.9, size=(4, 4)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3])
SIGNS = np.array([1.0, -1.0, 1.0, -1.0], np.float32)
#: Text of a call -> its arrays; ``t`` are Tensors of them.
CALLS = {
    "m.matmul(*t)": (A, B),
    "t[0] @ t[1]": (A, B),
    "m.mm(*t)": (A, B),
    "m.bmm(*t)": (BATCH, BATCH),
    "m.mv(*t)": (A, B[0]),
    "m.dot(*t)": (A[0], B[0]),
    "m.addmm(*t)": (A, B, C),
    "m.addbmm(*t)": (A, BATCH, BATCH),
    "m.baddbmm(*t)": (BATCH, BATCH, BATCH),
    "m.inner(*t)": (A, B),
    "m.vdot(*t)": (A[0], B[0]),
    "m.addmv(*t)": (A[0], A, B[0]),
    "m.addr(*t)": (A, A[0], B[0]),
    "m.kron(*t)": (A, B),
    "m.cov(*t)": (A,),
    "m.corrcoef(*t)": (A,),
    "m.quantile(*t, 0.5)": (A,),
    "F.pairwise_distance(*t)": (A, B),
    "F.normalize(*t)": (A,),
    "F.interpolate(*t, scale_factor=2, mode='bilinear')": (IMAGES,),
    "F.interpolate(*t, scale_factor=2, mode='nearest')": (IMAGES,),
    "F.unfold(*t, 2)": (IMAGES,),
    "F.embedding(t[0], t[1])": (LABELS, A),
    "F.group_norm(*t, 3)": (IMAGES,),
    "F.gaussian_nll_loss(*t)": (A, B, P),
    "F.cosine_similarity(*t)": (A, B),
    "m.index_copy(t[0], 0, t[1], t[2])": (A, LABELS, B),
    "m.tensordot(*t, dims=1)": (A, B),
    "m.einsum('ij,jk->ik', *t)": (A, B),
    "m.einsum('bij,bjk->bik', *t)": (BATCH, BATCH),
    "m.einsum('ij->ji', *t)": (A,),
    "m.outer(*t)": (A[0], B[0]),
    "F.linear(*t)": (A, B, C[0]),
    "F.bilinear(*t)": (A, B, BATCH),
    "F.conv1d(*t)": (IMAGES[:, :, 0], W1),
    "F.conv2d(*t)": (IMAGES, W2),
    "F.conv3d(*t)": (CUBES, W3),
    "F.conv_transpose1d(*t)": (IMAGES[:, :, 0], W1),
    "F.conv_transpose2d(*t)": (IMAGES, W2),
    "F.conv_transpose3d(*t)": (CUBES, W3),
    "F.prelu(*t)": (A, B[0]),
    "F.scaled_dot_product_attention(*t)": (BATCH, BATCH, BATCH),
    "F.mse_loss(*t)": (A, B),
    "F.l1_loss(*t)": (A, B),
    "F.smooth_l1_loss(*t)": (A, B),
    "F.huber_loss(*t)": (A, B),
    "F.kl_div(*t, reduction='sum')": (A, P),
    "F.poisson_nll_loss(*t)": (A, P),
    "F.cross_entropy(*t)": (A, LABELS),
    "F.nll_loss(*t)": (A, LABELS),
    "F.binary_cross_entropy(*t)": (P, P),
    "F.binary_cross_entropy_with_logits(*t)": (A, P),
    "F.hinge_embedding_loss(*t)": (A[0], SIGNS),
    "F.soft_margin_loss(*t)": (A[0], SIGNS),
    "F.margin_ranking_loss(*t)": (A[0], B[0], SIGNS),
    "F.cosine_embedding_loss(*t)": (A, B, SIGNS),
    "F.triplet_margin_loss(*t)": (A, B, C),
    "F.multi_margin_loss(*t)": (A, LABELS),
    "F.multilabel_margin_loss(*t)": (A, np.array([[0, -1, 0, 0]] * 4)),
    "F.avg_pool3d(*t, 2)": (CUBES,),
    "F.max_pool3d(*t, 2)": (CUBES,),
    "F.adaptive_avg_pool3d(*t, 2)": (CUBES,),
    "F.avg_pool2d(*t, 2)": (IMAGES,),
    "F.pad(*t, (1, 1))": (A,),
    "F.pad(*t, (1, 1), mode='reflect')": (BATCH,),
    "F.pad(*t, (1, 1), mode='replicate')": (BATCH,),
    "F.pad(*t, (1, 1), mode='circular')": (BATCH,),
    "m.cdist(*t)": (A, B),
    "m.prod(*t)": (A,),
    "m.trace(*t)": (A,),
    "m.stack(t)": (A, B),
    "m.cat(t)": (A, B),
    "t[0] + t[1]": (A, B),
    "t[0] * t[1]": (A, B),
    "m.softmax(*t, 1)": (A,),
    "m.exp(*t)": (A,),
    "m.sum(*t)": (A,),
    "F.layer_norm(*t, (4,))": (A,),
    "F.gelu(*t)": (A,),
    "m.matmul(t[0], t[1], out=m.zeros(4, 4))": (A, B),
    "t[0].clone().detach().addmm_(t[1], t[2])": (A, B, C),
}


def outcome(text, m, arrays, dtype, block="bfloat16"):
    """dtype, values and gradients of a call under autocast, or the type of its error."""
    tensors = [m.tensor(a) for a in arrays]
    tensors = [t.to(getattr(m, dtype)) if t.is_floating_point() else t for t in tensors]
    wants = "out=" not in text and "_(" not in text
    leaves = [t.requires_grad_() for t in tensors if t.is_floating_point() and wants]
    with m.autocast("cpu", dtype=getattr(m, block)):
        try:
            found = eval(text, {"m": m, "F": m.nn.functional, "t": tensors})
        except (RuntimeError, NotImplementedError) as error:
            return type(error).__name__, None, []
    grads = []
    if found.requires_grad:
        found.sum().backward()
        grads = [t.grad for t in leaves]
    return str(found.dtype), found, grads


def numbers(t):
    return np.array(t.detach().to(torch.float64 if isinstance(t, torch.Tensor) else tm.float64).tolist())


def close(mine, theirs, half):
    a, b = numbers(mine), numbers(theirs)
    assert a.shape == b.shape
    unit = 2.0**-8 if half else 2.0**-20
    assert np.abs(a - b).max(initial=0.0) <= 4 * unit * max(np.abs(b).max(initial=0.0), 1.0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("text", CALLS)
def test_a_function(text, dtype):
    mine, theirs = (outcome(text, m, CALLS[text], dtype) for m in (tm, torch))
    assert mine[0] == theirs[0]
    if theirs[1] is None:
        return
    half = dtype == "bfloat16" or "bfloat16" in theirs[0] or is_lower(text)
    close(mine[1], theirs[1], half)
    for a, b in zip(mine[2], theirs[2], strict=True):
        if b is None:  # torch has no derivative there
            continue
        assert str(a.dtype) == str(b.dtype)
        close(a, b, half)


def is_lower(text):
    return any(name in text for name in ("matmul", "mm", "einsum", "tensordot", "conv", "linear", "prelu", "attention"))


def test_float16_is_a_dtype_too():
    mine, theirs = (outcome("F.linear(*t)", m, (A, B), "float32", "float16") for m in (tm, torch))
    assert mine[0] == theirs[0] == "torch.float16"


def test_a_model_trains_as_torchs_does():
    """Three steps of a net with convolutions, norms and a loss."""
    found = []
    for m in (tm, torch):
        F = m.nn.functional
        w, v, g = (m.tensor(x, requires_grad=True) for x in (W2, A[:3].copy(), np.ones(3, np.float32)))
        losses = []
        for _ in range(3):
            with m.autocast("cpu"):
                h = F.relu(F.conv2d(m.tensor(IMAGES), w))
                h = F.layer_norm(h.mean((2, 3)), (3,)) * g
                assert str(h.dtype) in ("torch.float32", "torch.bfloat16")
                out = h @ v
                loss = F.cross_entropy(out, m.tensor([1, 2]))
            assert str(out.dtype) == "torch.bfloat16"
            assert str(loss.dtype) == "torch.float32"
            loss.backward()
            for p in (w, v, g):
                p.data -= 0.1 * p.grad
                p.grad = None
            losses.append(loss.item())
        found.append(losses)
    np.testing.assert_allclose(*found, rtol=2e-2)


def state(m):
    return [m.is_autocast_enabled("cpu"), str(m.get_autocast_dtype("cpu")), m.is_autocast_cache_enabled()]


def test_the_state_of_a_block():
    seen = []
    for m in (tm, torch):
        states = [state(m)]
        with m.autocast("cpu", dtype=m.float16, cache_enabled=False):
            states.append(state(m))
            with m.autocast("cpu", enabled=False):
                states += [state(m), str((m.ones(2, 2) @ m.ones(2, 2)).dtype)]
            states.append(state(m))
        with pytest.raises(ZeroDivisionError), m.autocast("cpu"):
            1 / 0
        m.set_autocast_dtype("cpu", m.float16)
        m.set_autocast_enabled("cpu", True)
        states += [state(m), str((m.ones(2, 2) @ m.ones(2, 2)).dtype)]
        m.set_autocast_enabled("cpu", False)
        m.set_autocast_dtype("cpu", m.bfloat16)
        product = m.autocast("cpu")(lambda a, m=m: a @ a)
        states += [str(product(m.ones(2, 2)).dtype), state(m)]
        states += [m.is_autocast_enabled(), str(m.get_autocast_dtype("mps")), m.amp.is_autocast_available("cuda")]
        seen.append(states)
    assert seen[0] == seen[1]
    assert AUTOCAST == []


@pytest.mark.parametrize(
    "text",
    [
        *["m.autocast(3)", "m.autocast('foo')", "m.autocast('cpu', dtype=m.float32)", "m.autocast('cuda')"],
        *["m.autocast('cpu', dtype=m.float64)", "m.autocast('mps', dtype=m.float32)", "m.is_autocast_enabled('foo')"],
        *["m.autocast('cpu', dtype=m.int32)", "m.amp.custom_fwd(abs, device_type=1)", "m.autocast('mps')"],
    ],
)
def test_what_is_refused_or_switched_off(text):
    said = []
    for m in (tm, torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                eval(text, {"m": m})
                error = None
            except Exception as raised:
                error = (type(raised), str(raised))
        said.append((error, [(w.category, str(w.message)) for w in caught]))
    assert said[0] == said[1]


@pytest.mark.parametrize("cast", [None, "float32"])
def test_a_function_with_its_own_backward(cast):
    seen = []
    for m in (tm, torch):
        dtypes = []
        noted = dtypes.append

        class Product(m.autograd.Function):
            @staticmethod
            @m.amp.custom_fwd(device_type="cpu", cast_inputs=None if cast is None else getattr(m, cast))
            def forward(ctx, a, b, noted=noted):
                ctx.save_for_backward(a, b)
                found = a @ b
                noted(str(found.dtype))
                return found

            @staticmethod
            @m.amp.custom_bwd(device_type="cpu")
            def backward(ctx, g, noted=noted):
                a, b = ctx.saved_tensors
                left = g @ b.t()
                noted(str(left.dtype))
                return left, a.t() @ g

        a, b = (m.tensor(x, requires_grad=True) for x in (A, B))
        with m.autocast("cpu"):
            out = Product.apply(a, b)
        out.sum().backward()
        seen.append([*dtypes, str(a.grad.dtype)])
    assert seen[0] == seen[1]


def test_the_functions_are_those_that_torch_registers():
    """For the GPUs, which cannot be compared here, the names are; those that torch alone has are not here yet."""
    for device, key in (("cpu", "AutocastCPU"), ("mps", "AutocastMPS"), ("cuda", "AutocastCUDA")):
        registered = {
            name.removeprefix("aten::").partition(".")[0]
            for name in torch._C._dispatch_get_registrations_for_dispatch_key(key)
        }
        same = {"cross_entropy": "nll_loss", "pad": "reflection_pad1d", "einsum.pair": "bmm", "norm": "cdist"}
        same |= {"arccos": "acos", "arcsin": "asin", "arctan2": "atan2", "concat": "cat", "concatenate": "cat"}
        same |= {"float_power": "pow", "conv_transpose2d": "conv_transpose2d", "chain_matmul": "mm"}
        same |= dict.fromkeys(["rnn_tanh", "rnn_relu", "rnn_tanh_cell", "rnn_relu_cell"], "linear")
        same |= {"lstm": "mkldnn_rnn_layer" if device == "cpu" else "lstm_cell"}  # torch's kernels of a GPU
        same |= {"gru": "linear"} if device == "cuda" else {}
        listed = {name for name, kind in POLICIES[device].items() if kind not in ("kept", "first")}
        assert {same.get(name, name) for name in listed} <= registered, device
        here = {name.rpartition(".")[2] for name in REGISTRY}
        missing = {name for name in registered & here if name not in POLICIES[device]}
        assert missing == set(), device


def test_without_autocast_nothing_is_looked_up():
    assert AUTOCAST == []
    assert "AUTOCAST" in inspect.getsource(tm.ops._call.public)
