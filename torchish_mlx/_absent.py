"""Names of torch that are not here, and what to use instead: the one table of them."""

from __future__ import annotations

_DECOMPOSE = "use mlx.core.linalg on tensor.array, with stream=mlx.core.cpu; it is not recorded for backward()"
_IMAGE = "use mlx.nn.Upsample on arrays; it is not recorded for backward()"
_ONE_DEVICE = "MLX chooses the device by itself, and mlx.core.set_default_device changes it"
_NO_COMPLEX = "MLX has one complex dtype: use complex64"
_NO_FLOAT8 = "MLX has no floats of 8 or 4 bits: use float16 or bfloat16, or mlx.core.quantize for weights"
_NO_QUANTIZED = "MLX keeps quantized weights as uint32 with scales: use mlx.core.quantize"
_NO_SMALL = "MLX has no integers of less than 8 bits: use int8 or uint8"

#: Name -> what to do instead.
INSTEAD: dict[str, str] = {
    **dict.fromkeys(("linalg", "svd", "qr", "cholesky", "inverse", "pinverse", "det", "slogdet", "lu"), _DECOMPOSE),
    **dict.fromkeys(("cuda", "mps", "backends", "accelerator", "xpu"), _ONE_DEVICE),
    **dict.fromkeys(("complex32", "chalf", "complex128", "cdouble"), _NO_COMPLEX),
    **dict.fromkeys(("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"), _NO_FLOAT8),
    **dict.fromkeys(("float8_e8m0fnu", "float4_e2m1fn_x2"), _NO_FLOAT8),
    **dict.fromkeys(("qint8", "qint32", "quint8", "quint4x2", "quint2x4"), _NO_QUANTIZED),
    **dict.fromkeys(("bit", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2"), _NO_SMALL),
    **dict.fromkeys([f"{sign}int{n}" for sign in ("", "u") for n in (1, 2, 3, 4, 5, 6, 7)], _NO_SMALL),
    "set_default_tensor_type": "use set_default_dtype and set_default_device",
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
