"""safetensors: tensors by name, and everything else as JSON in the metadata; in one file or in shards."""

from .files import load_safetensors as load_safetensors
from .files import safetensors_metadata as safetensors_metadata
from .files import save_safetensors as save_safetensors
