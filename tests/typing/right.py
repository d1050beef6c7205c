"""A user's program as type checkers see it: ``make lint`` checks it by mypy and by pyright, nothing runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlx.core as mx
from mlx import nn

import torchish_mlx
import torchish_mlx.nn.functional as F
from torchish_mlx import Parameter, Tensor, amp, optim
from torchish_mlx.nn import functional as nn_functional
from torchish_mlx.nn.utils import clip_grad_norm_, clip_grad_value_
from torchish_mlx.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, ReduceLROnPlateau
from torchish_mlx.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn
from torchish_mlx.testing import OptimizerParity, assert_optimizer_parity

if TYPE_CHECKING:
    from typing_extensions import assert_type


def functions_of_the_table(x: Tensor, a: mx.array) -> None:
    assert_type(torchish_mlx.abs(x), Tensor)
    assert_type(torchish_mlx.add(x, 2, alpha=0.5), Tensor)
    assert_type(torchish_mlx.matmul(a, x), Tensor)
    assert_type(torchish_mlx.where(x > 0, x, 0.0), Tensor)
    assert_type(torchish_mlx.cat([x, x], dim=1), Tensor)
    assert_type(torchish_mlx.sum(x, (0, 1), keepdim=True), Tensor)
    assert_type(torchish_mlx.div(x, 2, rounding_mode="floor"), Tensor)
    assert_type(torchish_mlx.exp(x, out=x), Tensor)
    assert_type(torchish_mlx.max(x), Tensor)
    assert_type(torchish_mlx.max(x, 0).indices, Tensor)
    assert_type(torchish_mlx.reshape(x, (2, -1)), Tensor)
    assert_type(torchish_mlx.zeros(2, 3, dtype=torchish_mlx.float16), Tensor)
    assert_type(torchish_mlx.float32, torchish_mlx.dtype)
    assert_type(x.dtype, torchish_mlx.dtype)
    assert_type(x.dtype.mlx, mx.Dtype)
    assert_type(x.type(), str)
    assert_type(x.device, torchish_mlx.device)
    assert_type(x.to(torchish_mlx.device("cpu")), Tensor)
    assert_type(x.type(torchish_mlx.half), Tensor)
    assert_type(x.type("torch.HalfTensor"), Tensor)
    assert_type(torchish_mlx.finfo(x.dtype).eps, float)
    assert_type(torchish_mlx.get_default_dtype(), torchish_mlx.dtype)
    assert_type(torchish_mlx.ones(2, dtype=mx.float16).to(x.dtype), Tensor)
    assert_type(x.sum(dtype=torchish_mlx.float64), Tensor)
    assert_type(torchish_mlx.promote_types(x.dtype, mx.float16), torchish_mlx.dtype)


def functions_of_nn(x: Tensor, a: mx.array) -> None:
    assert_type(F.gelu(x, approximate="tanh"), Tensor)
    assert_type(F.relu(F.linear(x, a, None), inplace=True), Tensor)
    assert_type(F.cross_entropy(x, a, weight=x, reduction="sum", label_smoothing=0.1), Tensor)
    assert_type(F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.5), Tensor)
    assert_type(F.pad(x, (1, 1), mode="circular"), Tensor)
    assert_type(F.layer_norm(x, (3, 4), eps=1e-6), Tensor)
    assert_type(F.triplet_margin_with_distance_loss(x, x, x, distance_function=torchish_mlx.dist), Tensor)
    assert_type(nn_functional.softmax(x, dim=-1, dtype=torchish_mlx.float16), Tensor)
    assert_type(torchish_mlx.nn.functional.embedding(a, x, padding_idx=0, sparse=True), Tensor)


def methods_of_the_table(x: Tensor, p: Parameter) -> None:
    assert_type(x.mul(2).add_(1).sqrt(), Tensor)
    assert_type(p.data.mul_(0.9).addcmul_(x, x, value=0.1), Tensor)
    assert_type(p.fill_(0), Parameter)
    assert_type(x.max(dim=0).values, Tensor)
    assert_type(x.view(-1, 2).T, Tensor)
    assert_type(x.to(torchish_mlx.float32).float(), Tensor)
    assert_type(2 * x - x**2, Tensor)
    assert_type(x == 0, Tensor)
    assert_type(-x[1:, None] @ x, Tensor)
    x += 1
    assert_type(x, Tensor)
    assert_type(x.size(0), Any)
    assert_type(x.item(), Any)
    assert_type(x.shape[0], int)
    x.backward()


def training(model: nn.Module, x: mx.array, y: mx.array) -> None:
    optimizer = optim.AdamW(model, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    assert_type(optimizer, optim.AdamW)
    schedulers: list[LRScheduler] = [CosineAnnealingLR(optimizer, T_max=10), OneCycleLR(optimizer, 0.1, 100)]
    plateau = ReduceLROnPlateau(optimizer, "min", patience=3)
    scaler = amp.GradScaler(init_scale=2.0**10)
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    for scheduler in [*schedulers, SWALR(optimizer, swa_lr=0.05)]:
        optimizer.zero_grad(set_to_none=True)
        loss = torchish_mlx.backward(model, lambda m: ((m(x) - y) ** 2).mean())
        scaler.unscale_(optimizer)
        assert_type(clip_grad_norm_(torchish_mlx.parameters(model), 1.0), Tensor)
        clip_grad_value_(torchish_mlx.parameters(model), 0.5)
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        plateau.step(loss.item())
        ema.update_parameters(model)
    update_bn([x], ema)
    torchish_mlx.save(optimizer.state_dict(), "optimizer.pt")
    optimizer.load_state_dict(torchish_mlx.load("optimizer.pt"))
    assert_type(assert_optimizer_parity(optimizer, optimizer, steps=3), OptimizerParity)


class OwnOptimizer(optim.Optimizer):
    """Written as for torch."""

    def __init__(self, params: Any, lr: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                p.data.add_(p.grad, alpha=-group["lr"])
