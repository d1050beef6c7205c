"""Wrong calls that a type checker must find: each is ignored by its code, and an ignore that is not needed fails.

``make lint`` checks it by ``mypy --strict`` and by pyright, which must find each too; nothing runs it.
"""

from __future__ import annotations

import mlx.core as mx

import torchish_mlx
import torchish_mlx.nn.functional as F
from torchish_mlx import Parameter, Tensor, amp, optim
from torchish_mlx.optim.lr_scheduler import CosineAnnealingLR, StepLR
from torchish_mlx.testing import assert_close, assert_optimizer_parity


def functions_of_the_table(x: Tensor) -> None:
    torchish_mlx.abs("x")  # type: ignore[arg-type]
    torchish_mlx.abs(x, 2)  # type: ignore[arg-type, call-arg]
    torchish_mlx.add(x)  # type: ignore[call-arg]
    torchish_mlx.sum(x, axes=0)  # type: ignore[call-arg]
    torchish_mlx.cat(x)  # type: ignore[arg-type]
    torchish_mlx.div(x, 2, rounding_mode="up")  # type: ignore[arg-type]
    torchish_mlx.sinus(x)  # type: ignore[attr-defined]
    torchish_mlx.zeros(2, dtype="float32")  # type: ignore[arg-type]


def functions_of_nn(x: Tensor) -> None:
    F.gelu(x, "tanh")  # type: ignore[call-arg]
    F.relu(x, in_place=True)  # type: ignore[call-arg]
    F.cross_entropy(x)  # type: ignore[call-arg]
    F.pad(x, 1)  # type: ignore[arg-type]
    F.mse_loss(x, x, reduction=1)  # type: ignore[arg-type]
    F.convolve(x)  # type: ignore[attr-defined]


def methods_of_the_table(x: Tensor, p: Parameter) -> None:
    x.exp_add()  # type: ignore[attr-defined]
    x.mul_()  # type: ignore[call-arg]
    x.clamp("a")  # type: ignore[arg-type]
    x.permute("a")  # type: ignore[arg-type]
    x.requires_grad = "yes"  # type: ignore[assignment]
    x + "a"  # type: ignore[operator]
    values: mx.array = x.sum()  # type: ignore[assignment]
    values.item()
    p.T = x  # type: ignore[misc]


def optimizers(p: Parameter) -> None:
    optim.AdamW([p], learning_rate=1e-3)  # type: ignore[call-arg]
    optim.AdamW([p], betas=0.9)  # type: ignore[arg-type]
    optim.SGD()  # type: ignore[call-arg]
    optim.SGD([p], 0.1, 0.9, 0, 0, False, True)  # type: ignore[call-arg]
    optim.Adamw([p])  # type: ignore[attr-defined]
    optimizer = optim.SGD([p], lr=0.1)
    optimizer.zero_grad(to_none=True)  # type: ignore[call-arg]
    optimizer.load_state_dict([1])  # type: ignore[arg-type]
    CosineAnnealingLR(optimizer)  # type: ignore[call-arg]
    StepLR(p, step_size=3)  # type: ignore[arg-type]
    amp.GradScaler(scale=2.0)  # type: ignore[call-arg]
    assert_close(p, p, rtol=1e-3)  # type: ignore[call-arg]
    assert_optimizer_parity(p, optimizer)  # type: ignore[arg-type]
