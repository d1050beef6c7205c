"""Files: torch's own format, safetensors, and atomic writes."""

from .files import load, save
from .safetensors import load_safetensors, save_safetensors

__all__ = ["load", "load_safetensors", "save", "save_safetensors"]
