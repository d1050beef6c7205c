"""``torch.backends``: the settings of torch's libraries can be set and read back, and change nothing.

``is_available()`` says the truth: of all of them this machine may have Metal's, as ``mps``, alone.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from .._core.flags import with_flags as _with_flags
from .._core.precision import Precision as _Precision
from . import cpu as cpu
from . import cuda as cuda
from . import cudnn as cudnn
from . import mha as mha
from . import mkl as mkl
from . import mkldnn as mkldnn
from . import mps as mps
from . import openmp as openmp
from . import opt_einsum as opt_einsum

__all__ = ["cpu", "cuda", "cudnn", "mha", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]

if _TYPE_CHECKING:
    fp32_precision: str

_with_flags(__name__, fp32_precision=_Precision("torch.backends.fp32_precision", "generic", "all"))
