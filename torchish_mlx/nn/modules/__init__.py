"""The modules of ``torch.nn``, in files that are named as torch's."""

from .container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .linear import Identity
from .module import Module

__all__ = ["Identity", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]
