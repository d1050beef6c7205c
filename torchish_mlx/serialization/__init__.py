"""Files: torch's own format, safetensors, and atomic writes."""

from .files import load, save
from .safetensors.files import load_safetensors, safetensors_metadata, save_safetensors

__all__ = ["load", "load_safetensors", "safetensors_metadata", "save", "save_safetensors"]
