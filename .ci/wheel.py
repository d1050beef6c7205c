"""Run the sdist's tests against the installed wheel, on every Python 3.10 to 3.13 of this machine, without torch.

`make dist` first. On the oldest Python, in the oldest versions of everything that pyproject.toml allows: the tests of
what is nearest to MLX, and the examples in docstrings. On each other that is not the one that runs this: the examples
in docstrings and the programs of the README, in the newest versions. With --all, all of tests/ on all of them. Nothing
may be skipped.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
# The examples in docstrings, seen from the unpacked sdist. parity/ is the part that needs torch.
PACKAGE = ["--pyargs", "torchish_mlx", "--ignore-glob=../../env/lib/*/site-packages/torchish_mlx/parity"]
WHOLE = ["tests", *PACKAGE]
NEAREST = ("optimizers/test_rules", "optim/test_mlx_side", "optim/test_from_mlx", "optimizers/schedules/test_schedules")
LOWEST = [*(f"tests/{name}.py" for name in NEAREST), *PACKAGE]
SHORT = ["tests/project/test_documented.py", "-k", "README or torchish_mlx", *PACKAGE]
INSTALLED = """
import importlib.util, sys
from importlib import metadata, resources
import torchish_mlx
assert torchish_mlx.__file__.startswith(sys.prefix), torchish_mlx.__file__
assert metadata.version("torchish-mlx") == torchish_mlx.__version__
for name in ("py.typed", "_absent.txt", "_tensor/_table.pyi", "nn/functional/_table.pyi", "parity/report.html"):
    assert resources.files(torchish_mlx).joinpath(name).is_file(), name
assert importlib.util.find_spec("torch") is None, "torch is installed"
print(", ".join(f"{name} {metadata.version(name)}" for name in ("mlx", "numpy")))
"""


def pythons() -> dict[str, str]:
    """A command for each version that is on PATH as python3.x or installed by pyenv, the oldest first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    commands = {}
    for version in VERSIONS:
        candidates = [f"python{version}", *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")))]
        working = [python for python in candidates if works(python, version)]
        if working:
            commands[version] = working[0]
    return commands


def works(python: str, version: str) -> bool:
    """Whether it starts, is of this version, and can make a virtual environment."""
    code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        process = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return False
    return process.stdout.strip() == version


def only(pattern: str) -> Path:
    files = list((ROOT / "dist").glob(pattern))
    if len(files) != 1:
        sys.exit(f"wheel.py: one dist/{pattern} is needed, and {len(files)} are there: run `make dist`")
    return files[0]


def oldest(wheel: Path) -> str:
    """Constraints that turn every `>=` in the wheel's metadata into `==`."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        text = file.read(name).decode()
    bounds = re.findall(r"^Requires-Dist: ([\w.-]+)(?:\[[\w,]+\])?>=([\d.]+)", text, re.MULTILINE)
    # Of these, only mlx has wheels for Python 3.13 in its oldest version.
    return "".join(f"{p}=={v}" + ("\n" if p == "mlx" else "; python_version < '3.13'\n") for p, v in bounds)


def unpacked(sdist: Path, place: Path) -> Path:
    """What the sdist holds, without the package: the tests can only import the installed one."""
    place.mkdir()
    subprocess.run(["tar", "-xzf", sdist, "-C", place], check=True)
    (folder,) = place.glob("torchish_mlx-*")
    shutil.rmtree(folder / "torchish_mlx")
    return folder


def check(version: str, python: str, place: Path, tests: list[str], extras: str, constraints: str = "") -> bool:
    """Install the wheel into a new environment, run the tests, and say what came of it."""
    start = time.monotonic()
    constrained = place / "constraints.txt"
    constrained.write_text(constraints)
    subprocess.run([python, "-m", "venv", place / "env"], check=True)
    inside = str(place / "env" / "bin" / "python")
    wheel = f"{only('*.whl')}[{extras}]"
    pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", constrained, wheel], check=True)
    subprocess.run([inside, ROOT / ".ci" / "kernels.py"], check=True)
    command = [inside, "-W", "error", "-c", INSTALLED]
    having = subprocess.run(command, cwd=place, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    print(f"-- Python {version}, {having}: installed in {time.monotonic() - start:.0f} s", flush=True)

    report = place / "report.xml"
    command = [inside, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal", f"--junitxml={report}", *tests]
    process = subprocess.run(command, cwd=unpacked(only("*.tar.gz"), place / "sdist"), check=False)
    if skipped := [str(skip.get("message")) for skip in ElementTree.parse(report).iter("skipped")]:
        print(f"error: skipped on Python {version}: {'; '.join(skipped)}")
    print(f"-- Python {version}: {time.monotonic() - start:.0f} s", flush=True)
    return process.returncode == 0 and not skipped


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="everything on every Python")
    whole = parser.parse_args().all
    there = pythons()
    if missing := [version for version in VERSIONS if version not in there]:
        print(f"-- not found here, so not tested: Python {', '.join(missing)}")
    good = bool(there)
    for version, python in there.items():
        with tempfile.TemporaryDirectory() as name:
            place = Path(name)
            extras = "test,examples" if whole else "test"
            if version == next(iter(there)):
                good &= check(version, python, place, WHOLE if whole else LOWEST, extras, oldest(only("*.whl")))
            elif whole or version != "{}.{}".format(*sys.version_info):
                good &= check(version, python, place, WHOLE if whole else SHORT, extras)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
