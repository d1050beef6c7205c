"""``grad_fn`` has torch's name of the call, which a printed Tensor shows: programs print their losses."""

from __future__ import annotations

import types
from typing import Any

import pytest
import torch

import torchish_mlx
from tests.each import check_each

CALLS = [
    "x.quantile(0.5)",
    "x.nanquantile(0.5, 1)",
    "x[0]",
    "x[:,0]",
    "x[None]",
    "x[...]",
    "x[:]",
    "x[1:]",
    "x[x>0]",
    "x[[0,1]]",
    "x.T",
    "x.mT",
    "x.t()",
    "x.view(-1)",
    "x.reshape(2,6)",
    "x.T.reshape(-1)",
    "x.flatten()",
    "x.unsqueeze(0)",
    "x.unsqueeze(0).squeeze()",
    "x.unsqueeze(0).squeeze(0)",
    "x.expand(2,3,4)",
    "x.repeat(2,1)",
    "x.contiguous()",
    "x.T.contiguous()",
    "x.clone()",
    "x.half()",
    "x+1",
    "1-x",
    "2/x",
    "x/2",
    "x**2",
    "2**x",
    "x**x",
    "-x",
    "x.abs()",
    "x.max()",
    "x.max(1)[0]",
    "x.min()",
    "x.mean()",
    "x.mean(0)",
    "x.mean((0,1))",
    "x.sum()",
    "x.sum(-1,keepdim=True)",
    "x.std()",
    "x.var(0)",
    "x.norm()",
    "x.norm(dim=1)",
    "x.softmax(-1)",
    "x.log_softmax(1)",
    "x@x.T",
    "x@x[0]",
    'torch.einsum("ij,kj->ik",x,x)',
    "torch.cat([x,x])",
    "torch.stack([x,x])",
    "x.split(2)[0]",
    "x.chunk(2)[0]",
    "x.unbind(0)[0]",
    "x.masked_fill(x>0,1.)",
    "torch.where(x>0,x,0*x)",
    "x.gather(1,torch.zeros(3,1,dtype=torch.int64))",
    "x.permute(1,0)",
    "x.transpose(0,1)",
    "x.roll(1,0)",
    "x.flip(0)",
    "x.cumsum(0)",
    "x.clamp(0,1)",
    "x.clamp(min=0)",
    "x.sigmoid()",
    "x.tanh()",
    "F.relu(x)",
    "F.gelu(x)",
    "F.silu(x)",
    "F.leaky_relu(x)",
    "F.elu(x)",
    "F.dropout(x,.5)",
    "F.softplus(x)",
    "F.mish(x)",
    "F.hardswish(x)",
    "F.glu(x)",
    "F.layer_norm(x,(4,))",
    "F.mse_loss(x,x.detach())",
    "F.l1_loss(x,x.detach()+1)",
    "F.cross_entropy(x,torch.zeros(3,dtype=torch.int64))",
    "F.cross_entropy(x,torch.zeros(3,dtype=torch.int64),label_smoothing=.1)",
    "F.binary_cross_entropy_with_logits(x,x.detach())",
    'F.kl_div(x,x.detach(),reduction="batchmean")',
    "F.nll_loss(x,torch.zeros(3,dtype=torch.int64))",
    "F.smooth_l1_loss(x,x.detach()+1)",
    "F.triplet_margin_loss(x,x+1,x+2)",
    "F.cosine_similarity(x,x+1)",
    "F.normalize(x)",
    "F.embedding(torch.tensor([0,1]),x)",
    "F.huber_loss(x,x.detach()+1)",
    "torch.logsumexp(x,1)",
    "x.exp()",
    "x.log()",
    "x.sqrt()",
    "x.rsqrt()",
    "x.pow(2).sum()",
    "torch.bmm(x[None],x.T[None])",
    "x.mm(x.T)",
    "torch.addmm(x@x.T,x,x.T)",
    "torch.outer(x[0],x[0])",
    "x.prod()",
    "x.diagonal()",
    "x.tril()",
    "x.topk(2)[0]",
    "x.sort()[0]",
    "x.median()",
    "x.to(torch.float16)",
    "x.square()",
    "x.lerp(x,.5)",
    "torch.baddbmm(x[None]@x.T[None],x[None],x.T[None])",
    "F.pad(x,(1,1))",
    "F.unfold(x[None,None],2)",
    "F.hinge_embedding_loss(x,torch.ones(3,4))",
    "F.margin_ranking_loss(x,x+1,torch.ones(3,4))",
    "F.gaussian_nll_loss(x,x.detach(),torch.ones(3,4))",
    "F.poisson_nll_loss(x,x.detach())",
    "F.cosine_embedding_loss(x,x+1,torch.ones(3))",
    "x.mul(x).add_(1)",
    "x.mul(1).relu_()",
    "x.mul(1).zero_()",
    "x.unfold(0,2,1)",
    "x.sin().cos()",
    "x.rot90()",
    "x.movedim(0,1)",
    "x.swapaxes(0,1)",
    "x.view_as(x.clone())",
    "x.narrow(0,0,1)",
    "x.select(0,0)",
    "x.index_select(0,torch.tensor([0]))",
    "x.tile(2)",
    "x.amax(1)",
    "x.logsumexp(0)",
    "x.diff()",
    "x.erf()",
    "x.round()",
    "x.sign()",
    "torch.maximum(x,x*2)",
    "x.detach().requires_grad_().expand_as(torch.ones(2,3,4))",
    "F.adaptive_avg_pool2d(x[None,None],1)",
    "F.adaptive_avg_pool2d(x[None,None],2)",
    "F.max_pool2d(x[None,None],2)",
    "F.avg_pool2d(x[None,None],2)",
    "F.conv2d(x[None,None],torch.ones(1,1,2,2))",
    "F.conv1d(x[None],torch.ones(1,3,2))",
    "F.conv_transpose2d(x[None,None],torch.ones(1,1,2,2))",
    "F.batch_norm(x,None,None,training=True)",
    "F.group_norm(x[None],3)",
    "F.instance_norm(x[None])",
    "F.interpolate(x[None,None],scale_factor=2)",
    'F.interpolate(x[None,None],scale_factor=2,mode="bilinear")',
    "F.pixel_shuffle(x.reshape(4,3,1),2)",
    "F.softmin(x,1)",
    "F.logsigmoid(x)",
    "F.hardtanh(x)",
    "F.relu6(x)",
    "F.selu(x)",
    "F.celu(x)",
    "F.prelu(x,torch.ones(1))",
    "F.threshold(x,0,0)",
    "F.rrelu(x)",
    "F.tanhshrink(x)",
    "F.softsign(x)",
    "F.hardsigmoid(x)",
    "F.scaled_dot_product_attention(x[None,None],x[None,None],x[None,None])",
    "F.bilinear(x,x,torch.ones(2,4,4))",
    "F.pairwise_distance(x,x+1)",
    "torch.cdist(x,x+1)",
    "torch.dist(x,x+1)",
    "torch.addcmul(x,x,x)",
    "torch.addcdiv(x,x,x+2)",
    "torch.atan2(x,x)",
    "x.log1p()",
    "x.expm1()",
    "x.sum()*2",
    "(x*2).mean()+1",
    "x.sub(1)",
    "x.true_divide(2)",
    'x.div(2,rounding_mode="floor")',
    "x%2",
    "x.fmod(2)",
    "x.remainder(x+1)",
    "x.masked_select(x>0)",
    "x.take(torch.tensor([0]))",
    "x.trace()",
    "x.cumprod(0)",
    "x.scatter(1,torch.zeros(3,1,dtype=torch.int64),0.)",
    "x.scatter_add(1,torch.zeros(3,1,dtype=torch.int64),x)",
    "x.index_add(0,torch.tensor([0]),x[:1])",
    "x.triu()",
    'torch.meshgrid(x[0], x[1], indexing="ij")[0]',
    "x.view(3,2,2).sum((1,2))",
    "x.type_as(x.half())",
    "x.reshape(-1)",
    "x.ravel()",
    "x.squeeze()",
    "x[0].squeeze(0)",
    "x[0,0]",
    "x[0][None,:]",
    "x[:,None]",
    "x[...,-1]",
    "x[::2]",
    "x[0:3]",
    "x[torch.tensor([0]),0]",
    "x.mean(-1).mean()",
    "x.std(0).sum().sqrt()",
]
#: Calls whose last step is another one than torch's, with the name here and torch's.
OTHERS = {
    "x.mul(1).fill_(1)": ("FillBackward0", "FillBackward2"),
    "torch.repeat_interleave(x, 2, 0)": ("IndexSelectBackward0", "ViewBackward0"),
    "torch.kron(x, x)": ("ViewBackward0", "UnsafeViewBackward0"),
    "x.mean(dim=None)": ("MeanBackward0", "MeanBackward1"),
    "x // 2": ("FloorDivideBackward0", "torch::autograd::NotImplemented"),
}


def name_of(library: types.ModuleType, call: str) -> str | None:
    x = library.ones(3, 4, requires_grad=True)
    made = eval(call, {"torch": library, "F": library.nn.functional, "x": x})
    return made.grad_fn.name() if made.grad_fn is not None else None


def check(call: str) -> None:
    assert name_of(torchish_mlx, call) == name_of(torch, call)


@pytest.mark.filterwarnings("ignore:Implicit dimension")
def test_the_names_are_torchs() -> None:
    check_each(check, [(call,) for call in CALLS])


@pytest.mark.parametrize("call", OTHERS)
def test_names_that_differ(call: str) -> None:
    assert (name_of(torchish_mlx, call), name_of(torch, call)) == OTHERS[call]


@pytest.mark.parametrize("shape", [(4,), (2, 4), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("biased", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("wanted", [False, True], ids=["data", "hidden"])
def test_linear(shape: tuple[int, ...], biased: bool, wanted: bool) -> None:
    def name(library: Any) -> str:
        bias = library.ones(3, requires_grad=True) if biased else None
        x, weight = library.ones(shape, requires_grad=wanted), library.ones(3, 4, requires_grad=True)
        return str(library.nn.functional.linear(x, weight, bias).grad_fn.name())

    assert name(torchish_mlx) == name(torch)


@pytest.mark.parametrize("call", ["x @ x.T", "torch.prod(x, 1)", "F.mse_loss(x, x.detach())", "x.exp().sum(1)"])
def test_a_call_keeps_its_name_when_the_graph_is_freed(call: str) -> None:
    """Programs print a loss after ``backward()``."""

    def texts(library: Any) -> list[str]:
        x = library.ones(3, 4, requires_grad=True)
        made = eval(call, {"torch": library, "F": library.nn.functional, "x": x})
        before = repr(made)
        made.sum().backward()
        return [before, repr(made)]

    ours = texts(torchish_mlx)
    assert ours == texts(torch)
    assert ours[0] == ours[1]


def test_what_is_returned_as_it_is_keeps_its_name() -> None:
    """``contiguous`` and ``flatten`` may return what they were given."""
    for library in (torchish_mlx, torch):
        x = library.ones(3, requires_grad=True).exp()
        assert x.flatten() is x
        assert x.contiguous().grad_fn.name() == "ExpBackward0"
        assert library.nn.functional.dropout(x, 0.5, training=False).grad_fn.name() == "ExpBackward0"
