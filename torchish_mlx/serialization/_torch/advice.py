"""What to do about parts of a torch file that MLX does not have, by the name of the global."""

from __future__ import annotations

from ..._docs import see

_AGAIN = "and torch.save it again"
_FLOAT8 = f"In torch, convert it with .to(torch.bfloat16) {_AGAIN}."
_SMALL = f"In torch, convert it with .to(torch.uint8) or unpack it {_AGAIN}."
_QUANTIZED = f"In torch, save tensor.dequantize(), or tensor.int_repr() with its scale, {_AGAIN}."
_COMPLEX = f"In torch, convert it with .to(torch.complex64) {_AGAIN}."

#: what to do about the dtypes of torch that MLX does not have
NO_DTYPE = {
    "complex128": _COMPLEX,
    "complex32": _COMPLEX,
    **dict.fromkeys(("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"), _FLOAT8),
    "float4_e2m1fn_x2": _FLOAT8,
    **dict.fromkeys(("qint8", "qint32", "quint8", "quint4x2", "quint2x4"), _QUANTIZED),
    **dict.fromkeys([f"{sign}int{n}" for sign in ("", "u") for n in range(1, 8)], _SMALL),
    **dict.fromkeys(("bits8", "bits16", "bits1x8", "bits2x4", "bits4x2"), _SMALL),
}

# what this package does not have, by the beginning of the name
_ADVICE = (
    ("torch._utils", "_rebuild_sparse_tensor", f"In torch, take tensor.to_dense() {_AGAIN}."),
    ("torch._utils", "_rebuild_sparse_csr_tensor", f"In torch, take tensor.to_dense() {_AGAIN}."),
    ("torch._utils", "_rebuild_qtensor", _QUANTIZED),
    ("torch._utils", "_rebuild_nested_tensor", f"In torch, take tensor.unbind() {_AGAIN}."),
    ("torch._utils", "_rebuild_meta_tensor", "A meta tensor has no numbers: in torch, save the tensors themselves."),
    ("torch._utils", "_rebuild_device_tensor", f"In torch, take tensor.cpu() {_AGAIN}."),
    ("torch.nested", "", f"In torch, take tensor.unbind() {_AGAIN}."),
    (
        "torch.distributed",
        "",
        f"In torch, take tensor.full_tensor(), or torch.distributed.checkpoint's tools, {_AGAIN}.",
    ),
    ("torch.nn.parameter", "Buffer", f"In torch, take tensor.detach() {_AGAIN}."),
    ("torch.optim.lr_scheduler", "", f"In torch, save scheduler.state_dict() and not the scheduler {_AGAIN}."),
    ("torch.optim", "", f"In torch, save optimizer.state_dict() and not the optimizer {_AGAIN}."),
    ("torch.jit", "", f"In torch, save the state_dict() {_AGAIN}."),
)


def advice_for(module: str, name: str) -> str | None:
    """What to do about the global ``module.name``; None where it is no part of torch that is missing here."""
    for begin, of, advice in _ADVICE:
        if f"{module}.".startswith(f"{begin}.") and name.startswith(of):
            return advice
    return None


def permission(full: str) -> str:
    """How the class or function ``full`` may be used, in torch's words as far as these say it."""
    name = full.rpartition(".")[2]
    return (
        "Weights only load failed. This file can still be loaded with weights_only=False, which imports and runs what "
        f"it names: do so only if you trust its source. Unsupported global: GLOBAL {full} was not an allowed global by "
        f"default. Please use `torch.serialization.add_safe_globals([{name}])` or the "
        f"`torch.serialization.safe_globals([{name}])` context manager to allowlist this global if you trust this "
        f"class/function.{see('code-in-a-file')}"
    )


def storage_advice(name: str) -> str:
    """What to do about a class of storages whose dtype MLX does not have."""
    if name.startswith("Complex"):
        return _COMPLEX
    return _QUANTIZED if name.startswith("Q") else f"In torch, convert it to a dtype that MLX has {_AGAIN}."
