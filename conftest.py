"""Settings of the tests in both folders."""

from importlib.util import find_spec

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")

# The doctests of the package import its modules; those of the parity report import torch.
collect_ignore = [] if find_spec("torch") else ["torchish_mlx/parity"]
