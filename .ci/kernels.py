"""Precompile the one header that MLX's kernels for the CPU include, in the environment of this Python.

MLX builds the kernel of each compiled function by g++, which takes 0.7 s, most of it for this header; with the
header precompiled, 0.2 s. The tests need hundreds of kernels on a machine that has none of them yet.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import mlx.core as mx

INCLUDE = Path(mx.__file__).parent / "include"
HEADER = INCLUDE / "mlx" / "backend" / "cpu" / "compiled_preamble.h"

if sys.platform == "linux" and shutil.which("g++") and HEADER.exists():
    # g++ takes the result only for the same options, which are those that MLX gives.
    options = ["-std=c++17", "-O3", "-Wall", "-fPIC", "-shared", "-I", str(INCLUDE)]
    subprocess.run(["g++", *options, str(HEADER), "-o", f"{HEADER}.gch"], check=True)
