"""Settings of the tests in both folders."""

import gc
import os
import signal
from importlib.util import find_spec

import pytest
from hypothesis import settings

# One thread for each worker of pytest, which has one core: torch's, OpenMP's and OpenBLAS's threads would wait for each
# other's. Libraries read this when they are loaded, which in the workers is later than here.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# A shell gives a program in the background a SIGINT that is ignored, and each program that it starts. The tests of
# Ctrl-C start programs which must take it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure. `make test` draws a quarter of the examples: see tests/marks.py.
settings.register_profile("all examples", deadline=None)
settings.register_profile("some examples", deadline=None, max_examples=25)
settings.load_profile("all examples")

# The doctests of the package import its modules; those of the parity report import torch.
collect_ignore = [] if find_spec("torch") else ["torchish_mlx/parity"]


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr == "not long":
        settings.load_profile("some examples")


def pytest_collection_finish() -> None:
    """Exempt what is there now, a million objects, from garbage collection: to look through them takes half a second,
    each time that a test collects.
    """
    gc.collect()
    gc.freeze()
