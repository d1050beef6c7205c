"""Files: torch's own format, safetensors, and atomic writes."""

from ._torch.safe import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from .files import load, save
from .safetensors.files import load_safetensors, safetensors_metadata, save_safetensors

__all__ = [
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "load",
    "load_safetensors",
    "safe_globals",
    "safetensors_metadata",
    "save",
    "save_safetensors",
]
