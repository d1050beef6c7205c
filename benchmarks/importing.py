"""How long ``import torchish_mlx`` takes beyond MLX, in processes of their own, which take turns.

    python benchmarks/importing.py [--rounds 15]

"import" ends when the statement has ended; "process" includes Python's start and its end. Python must be allowed to
keep compiled modules: with ``PYTHONDONTWRITEBYTECODE`` each import compiles 350 files again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median

STATEMENTS = {
    "mlx": "import mlx.core, mlx.nn, mlx.optimizers",
    "torchish_mlx": "import torchish_mlx",
    "torchish_mlx and its optimizers": "import torchish_mlx; torchish_mlx.optim",
}


def timed(statement: str) -> tuple[float, float]:
    """Seconds of the statement, and of the whole process."""
    program = f"import time; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout), time.perf_counter() - start


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    for statement in STATEMENTS.values():  # the first of each reads files from the disk, and compiles
        timed(statement)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in STATEMENTS}
    for _ in range(rounds):
        for name, statement in STATEMENTS.items():
            found[name].append(timed(statement))
    inside, whole = (median(times[i] for times in found["mlx"]) for i in (0, 1))
    say(f"{'':32} {'import':>8} {'process':>8}   beyond MLX")
    for name, times in found.items():
        a, b = (median(each[i] for each in times) for i in (0, 1))
        say(f"{name:32} {a:8.3f} {b:8.3f}   {a - inside:.3f} {b - whole:.3f}")


if __name__ == "__main__":
    main()
