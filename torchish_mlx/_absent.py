"""Names of torch that are not here, and what to use instead: the one table of them."""

from __future__ import annotations

_DECOMPOSE = "use mlx.core.linalg on tensor.array, with stream=mlx.core.cpu; it is not recorded for backward()"
_IMAGE = "use mlx.nn.Upsample on arrays; it is not recorded for backward()"
_ONE_DEVICE = "MLX chooses the device by itself, and mlx.core.set_default_device changes it"

#: Name -> what to do instead.
INSTEAD: dict[str, str] = {
    **dict.fromkeys(("linalg", "svd", "qr", "cholesky", "inverse", "pinverse", "det", "slogdet", "lu"), _DECOMPOSE),
    **dict.fromkeys(("cuda", "mps", "backends", "accelerator", "xpu", "set_default_device"), _ONE_DEVICE),
    "fft": "use mlx.core.fft on tensor.array; it is not recorded for backward()",
    "compile": "compile the step with mlx.core.compile: docs/compile.md",
    "jit": "compile the step with mlx.core.compile: docs/compile.md",
    "func": "use mlx.core.grad, vjp, jvp and vmap on functions of arrays",
    "vmap": "use mlx.core.vmap on a function of arrays",
    "autograd": "use Tensor.backward() and Tensor.grad, or mlx.core.grad on a function of arrays",
    "distributed": "use mlx.launch and torchish_mlx.nn.utils.average_gradients_: docs/distributed.md",
    "utils": "make batches with NumPy: docs/porting.md",
    "complex": "make the array with mlx.core, as a + 1j * b; gradients of complex numbers are not recorded",
    "lgamma": "use scipy.special.gammaln on tensor.numpy(); it is not recorded for backward()",
    **dict.fromkeys((f"nn.functional.dropout{n}" for n in ("", "1d", "2d", "3d")), "use mlx.nn.Dropout"),
    **dict.fromkeys((f"nn.functional.{n}" for n in ("interpolate", "upsample", "grid_sample", "affine_grid")), _IMAGE),
    **dict.fromkeys((f"nn.functional.{n}" for n in ("unfold", "fold")), "use Tensor.unfold, or a convolution"),
    "nn.functional.gumbel_softmax": "add a sample of mlx.core.random.gumbel to the logits, and take the softmax",
    "nn.functional.multi_head_attention_forward": "use linear and scaled_dot_product_attention",
    "nn.functional.embedding_bag": "use embedding and a sum or mean of its rows",
    "nn.functional.linear_cross_entropy": "use linear and cross_entropy",
    "digamma": "use scipy.special.digamma on tensor.numpy(); it is not recorded for backward()",
}


def absent(name: str, where: str, module: str = "") -> AttributeError:
    """The error for an attribute of ``where`` that is not here; ``module`` is that of torch, with a dot behind it."""
    said = f"{where} has no attribute {name!r}"
    instead = INSTEAD.get(module + name)
    return AttributeError(said if instead is None else f"{said}: {instead}")
