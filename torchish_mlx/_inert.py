"""Names that are accepted and have no effect here: the one list of them, with the reason, and which were used.

A function or a setting that is *inert* calls :func:`note` with its name. So a program's report can say which of them it
used, and the page ``docs/inert.md``, which ``python -m tests.inert_page`` writes, lists all. A name that would change
results is not inert: it raises.
"""

from __future__ import annotations

#: Why -> the names, without ``torch.`` in front.
_GROUPS = {
    "This machine has no GPU of NVIDIA's, and torch without one does nothing either": """
        cuda.manual_seed cuda.manual_seed_all cuda.seed cuda.seed_all cuda.set_rng_state cuda.set_rng_state_all
        cuda.empty_cache xpu.manual_seed xpu.manual_seed_all xpu.seed xpu.seed_all xpu.empty_cache
        mps.manual_seed cuda.amp.autocast cuda.amp.GradScaler
    """,
    "MLX chooses its kernels by itself, and has no cuDNN, oneDNN, opt_einsum or choice of attention kernels": """
        backends.cudnn.enabled backends.cudnn.benchmark backends.cudnn.benchmark_limit backends.cudnn.deterministic
        backends.cudnn.depthwise_kernel backends.mkldnn.enabled backends.mkldnn.deterministic
        backends.opt_einsum.enabled backends.opt_einsum.strategy backends.cuda.enable_flash_sdp
        backends.cuda.enable_mem_efficient_sdp backends.cuda.enable_math_sdp backends.cuda.enable_cudnn_sdp
        backends.mha.set_fastpath_enabled nn.RNNBase.flatten_parameters
    """,
    "It permits less precise products and demands none; MLX computes float32 products in float32 on the CPU, and "
    "elsewhere as the variable MLX_ENABLE_TF32 of the environment says": """
        set_float32_matmul_precision backends.fp32_precision backends.cudnn.allow_tf32 backends.cudnn.fp32_precision
        backends.cudnn.conv.fp32_precision backends.cudnn.rnn.fp32_precision backends.cuda.matmul.allow_tf32
        backends.cuda.matmul.fp32_precision backends.cuda.matmul.allow_fp16_reduced_precision_reduction
        backends.cuda.matmul.allow_bf16_reduced_precision_reduction backends.cuda.matmul.allow_fp16_accumulation
        backends.cuda.allow_fp16_bf16_reduction_math_sdp
        backends.mkldnn.allow_tf32 backends.mkldnn.fp32_precision backends.mkldnn.matmul.fp32_precision
        backends.mkldnn.conv.fp32_precision backends.mkldnn.rnn.fp32_precision
    """,
    "MLX and its BLAS choose their threads by themselves; the number can be read back": """
        set_num_threads set_num_interop_threads
    """,
    "MLX's kernels for the CPU give the same bits in every run; on a GPU a warning says what may not": """
        use_deterministic_algorithms set_deterministic_debug_mode
    """,
    "This package warns as Python's filters of warnings say": "set_warn_always",
    "What is compiled by torch is called as it is: docs/compile.md says how to compile a step with MLX": """
        compile compiler.compile compiler.disable compiler.reset compiler.allow_in_graph
        compiler.assume_constant_result compiler.cudagraph_mark_step_begin compiler.set_stance _dynamo.reset
        _dynamo.disable _dynamo.optimize _dynamo.allow_in_graph _dynamo.disallow_in_graph _dynamo.graph_break
        _dynamo.mark_dynamic _dynamo.mark_static _dynamo.config
    """,
    "There is no TorchScript: the function or the module is called as Python": """
        jit.script jit.trace jit.trace_module jit.freeze jit.optimize_for_inference jit.ignore jit.unused jit.export
        jit.interface jit.script_if_tracing jit.enable_onednn_fusion jit.set_fusion_strategy jit.optimized_execution
        jit.fuser jit.strict_fusion
    """,
    "Nothing is measured: asking for a result raises": "profiler.profile profiler.record_function",
    "Tensors go to other processes as pickles, and no memory is shared": "multiprocessing.set_sharing_strategy",
    "The memory of MLX is one, which every device reads": "Tensor.pin_memory Tensor.record_stream",
    "There is one CPU, and MLX orders its own work": "cpu.stream cpu.set_device",
    "A tensor that is cast is not kept for the next operation: only the time differs": """
        autocast.cache_enabled clear_autocast_cache
    """,
    "Torch's options for finding mistakes and for stopping early change no result": """
        utils.checkpoint.checkpoint.debug utils.checkpoint.checkpoint.early_stop
        utils.checkpoint.set_checkpoint_early_stop utils.checkpoint.set_checkpoint_debug_enabled
    """,
}
#: Name, such as ``torch.compile`` -> why it has no effect.
INERT = {f"torch.{name}": why for why, names in _GROUPS.items() for name in names.split()}
_used: dict[str, None] = {}


def note(name: str) -> None:
    """Say that the program used ``name``, a key of :data:`INERT`."""
    if name not in _used:
        if name not in INERT:
            raise KeyError(f"{name} is used as an inert name, and is not listed in _inert.py")
        _used[name] = None


def used() -> dict[str, str]:
    """The inert names that were used, in the order of their first use, with the reasons."""
    return {name: INERT[name] for name in _used}


def forget() -> None:
    """Have no name be used."""
    _used.clear()
