"""The names of torch at the top of the package: tensors, functions, dtypes, and Parameters over ``mlx.nn`` models."""

from __future__ import annotations

import typing as _typing
from types import ModuleType as _ModuleType

from ._core.device import Device as Device
from ._core.device import contiguous_format as contiguous_format
from ._core.device import device as device
from ._core.device import get_default_device as get_default_device
from ._core.device import preserve_format as preserve_format
from ._core.device import set_default_device as set_default_device
from ._core.dtypes import bfloat16 as bfloat16
from ._core.dtypes import bool_ as _bool
from ._core.dtypes import complex64 as complex64
from ._core.dtypes import dtype as dtype
from ._core.dtypes import float16 as float16
from ._core.dtypes import float32 as float32
from ._core.dtypes import float64 as float64
from ._core.dtypes import get_default_dtype as get_default_dtype
from ._core.dtypes import int8 as int8
from ._core.dtypes import int16 as int16
from ._core.dtypes import int32 as int32
from ._core.dtypes import int64 as int64
from ._core.dtypes import set_default_dtype as set_default_dtype
from ._core.dtypes import uint8 as uint8
from ._core.dtypes import uint16 as uint16
from ._core.dtypes import uint32 as uint32
from ._core.dtypes import uint64 as uint64
from ._core.errors import AcceleratorError as AcceleratorError
from ._core.errors import OutOfMemoryError as OutOfMemoryError
from ._core.layout import jagged as jagged
from ._core.layout import layout as layout
from ._core.layout import sparse_bsc as sparse_bsc
from ._core.layout import sparse_bsr as sparse_bsr
from ._core.layout import sparse_coo as sparse_coo
from ._core.layout import sparse_csc as sparse_csc
from ._core.layout import sparse_csr as sparse_csr
from ._core.layout import strided as strided
from ._core.limits import finfo as finfo
from ._core.limits import iinfo as iinfo
from ._core.precision import get_float32_matmul_precision as get_float32_matmul_precision
from ._core.precision import set_float32_matmul_precision as set_float32_matmul_precision
from ._core.settings import are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled
from ._core.settings import get_deterministic_debug_mode as get_deterministic_debug_mode
from ._core.settings import get_num_interop_threads as get_num_interop_threads
from ._core.settings import get_num_threads as get_num_threads
from ._core.settings import (
    is_deterministic_algorithms_warn_only_enabled as is_deterministic_algorithms_warn_only_enabled,
)
from ._core.settings import is_warn_always_enabled as is_warn_always_enabled
from ._core.settings import set_deterministic_debug_mode as set_deterministic_debug_mode
from ._core.settings import set_flush_denormal as set_flush_denormal
from ._core.settings import set_num_interop_threads as set_num_interop_threads
from ._core.settings import set_num_threads as set_num_threads
from ._core.settings import set_warn_always as set_warn_always
from ._core.settings import use_deterministic_algorithms as use_deterministic_algorithms
from ._core.tensor_types import set_default_tensor_type as set_default_tensor_type
from ._tensor.arraylike import Size as Size
from ._tensor.modes import enable_grad as enable_grad
from ._tensor.modes import inference_mode as inference_mode
from ._tensor.modes import is_grad_enabled as is_grad_enabled
from ._tensor.modes import is_inference_mode_enabled as is_inference_mode_enabled
from ._tensor.modes import no_grad as no_grad
from ._tensor.modes import set_grad_enabled as set_grad_enabled
from ._tensor.parameter import Parameter as Parameter
from ._tensor.repr import set_printoptions as set_printoptions
from ._tensor.shown_storage import TypedStorage as TypedStorage
from ._tensor.shown_storage import UntypedStorage as UntypedStorage
from ._tensor.shown_storage import is_storage as is_storage
from ._tensor.tensor import Tensor as Tensor
from .amp.autocast_mode import autocast as autocast
from .amp.autocast_mode import clear_autocast_cache as clear_autocast_cache
from .amp.autocast_mode import get_autocast_dtype as get_autocast_dtype
from .amp.autocast_mode import is_autocast_cache_enabled as is_autocast_cache_enabled
from .amp.autocast_mode import is_autocast_enabled as is_autocast_enabled
from .amp.autocast_mode import set_autocast_cache_enabled as set_autocast_cache_enabled
from .amp.autocast_mode import set_autocast_dtype as set_autocast_dtype
from .amp.autocast_mode import set_autocast_enabled as set_autocast_enabled
from .autograd._anomaly import is_anomaly_check_nan_enabled as is_anomaly_check_nan_enabled
from .autograd._anomaly import is_anomaly_enabled as is_anomaly_enabled
from .bridge.backward import backward as backward
from .bridge.module_state import load_state_dict as load_state_dict
from .bridge.module_state import state_dict as state_dict
from .bridge.parameters import buffers as buffers
from .bridge.parameters import locate as locate
from .bridge.parameters import named_buffers as named_buffers
from .bridge.parameters import named_parameters as named_parameters
from .bridge.parameters import parameters as parameters
from .bridge.tied_gradients import tied_gradients as tied_gradients
from .ops.creation import as_tensor as as_tensor
from .ops.creation import empty as empty
from .ops.creation import empty_like as empty_like
from .ops.creation import from_numpy as from_numpy
from .ops.creation import full as full
from .ops.creation import full_like as full_like
from .ops.creation import is_tensor as is_tensor
from .ops.creation import ones as ones
from .ops.creation import ones_like as ones_like
from .ops.creation import scalar_tensor as scalar_tensor
from .ops.creation import sparse_coo_tensor as sparse_coo_tensor
from .ops.creation import tensor as tensor
from .ops.creation import zeros as zeros
from .ops.creation import zeros_like as zeros_like
from .ops.drawing import normal as normal
from .ops.drawing import rand as rand
from .ops.drawing import rand_like as rand_like
from .ops.drawing import randint as randint
from .ops.drawing import randint_like as randint_like
from .ops.drawing import randn as randn
from .ops.drawing import randn_like as randn_like
from .ops.drawing import randperm as randperm
from .ops.einsum import einsum as einsum
from .ops.functions import FUNCTIONS as _FUNCTIONS
from .ops.ranges import arange as arange
from .ops.ranges import eye as eye
from .ops.ranges import linspace as linspace
from .ops.ranges import logspace as logspace
from .ops.ranges import range as range
from .ops.ranges import tril_indices as tril_indices
from .ops.ranges import triu_indices as triu_indices
from .ops.tensor_types import BFloat16Tensor as BFloat16Tensor
from .ops.tensor_types import BoolTensor as BoolTensor
from .ops.tensor_types import ByteTensor as ByteTensor
from .ops.tensor_types import CharTensor as CharTensor
from .ops.tensor_types import DoubleTensor as DoubleTensor
from .ops.tensor_types import FloatTensor as FloatTensor
from .ops.tensor_types import HalfTensor as HalfTensor
from .ops.tensor_types import IntTensor as IntTensor
from .ops.tensor_types import LongTensor as LongTensor
from .ops.tensor_types import ShortTensor as ShortTensor
from .ops.types import can_cast as can_cast
from .ops.types import is_complex as is_complex
from .ops.types import is_floating_point as is_floating_point
from .ops.types import is_nonzero as is_nonzero
from .ops.types import is_same_size as is_same_size
from .ops.types import numel as numel
from .ops.types import promote_types as promote_types
from .ops.types import result_type as result_type
from .ops.types import typename as typename
from .random.generator import Generator as Generator
from .random.generator import default_generator as default_generator
from .random.generator import get_rng_state as get_rng_state
from .random.generator import initial_seed as initial_seed
from .random.generator import manual_seed as manual_seed
from .random.generator import seed as seed
from .random.generator import set_rng_state as set_rng_state

half, double, cfloat = float16, float64, complex64
short, long = int16, int64
inf, nan = float("inf"), float("nan")

if _typing.TYPE_CHECKING:  # the functions of the registry
    from ._tensor._table import *  # noqa: F403
else:
    globals().update(_FUNCTIONS)
# these hide Python's own names, so they come last
float, int, bool = float32, int32, _bool

if not _typing.TYPE_CHECKING:  # all of these names are public, which a checker of types sees by itself
    __all__ = sorted(
        name
        for name, value in dict(globals()).items()
        if not name.startswith("_") and name != "annotations" and not isinstance(value, _ModuleType)
    )
