"""Run the commands of README.md, CONTRIBUTING.md and docs/ as they are printed, in a copy of the checkout.

Every line of a ```sh block is a command. One that is a step of .ci/run has been run there; those in BY_HAND take too
long. All others are run here, in the pages' order, in one new environment, whose `python` and `pip` are on PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"(?:^|\(|; )step ([^#;)\n]+?) *(?=[#;)]|$)", re.MULTILINE)
# A pattern for the whole command, and why it is not run here.
BY_HAND = {
    r'pip install "\.\[compat\]"': "`make test` installs it",
    r"pip install 'torchish-mlx\[parity\]'": "`make test` installs it",
    r"make test": "`make test-all` runs these tests and more",
    r"python -m torchish_mlx parity( --quick)?": "the tests run it for one optimizer",
    r"python (-m torchish_mlx run )?examples/\w+\.py.*": "the tests run each example, shorter",
}


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> dict[str, str]:
    """Each command, without its comment, and the page that has it first."""
    found: dict[str, str] = {}
    for page in pages():
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", "").splitlines():
                if command := re.sub(r"(^|\s)#.*", "", line).strip():
                    found.setdefault(command, str(page.relative_to(ROOT)))
    return found


def unknown_targets() -> list[str]:
    """What the pages' text calls `make ...` and the Makefile does not have."""
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {target for page in pages() for target in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))}
    return sorted(named - there)


def copied(place: Path) -> Path:
    """The files of the checkout that git has or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    return place


def run(command: str, folder: Path, environment: dict[str, str]) -> bool:
    start = time.monotonic()
    process = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    good = process.returncode == 0 or (process.returncode == 1 and command.startswith("diff "))  # 1: they differ
    print(f"{'ok   ' if good else 'error'} {time.monotonic() - start:4.0f} s  {command}", flush=True)
    if not good:
        print(process.stdout)
    return good


def main() -> int:
    found = commands()
    steps = STEP.findall((ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    left = [command for command in found if command not in steps]
    excused = {pattern: [c for c in left if re.fullmatch(pattern, c)] for pattern in BY_HAND}
    bad = [f"nothing on the pages is {pattern}" for pattern, which in excused.items() if not which]
    bad += [f"the Makefile has no target {target}" for target in unknown_targets()]
    for pattern, reason in BY_HAND.items():
        print("".join(f"not run here, {reason}: {command}\n" for command in excused[pattern]), end="")
    with tempfile.TemporaryDirectory() as name:
        folder, venv = copied(Path(name) / "checkout"), Path(name) / "venv"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(venv)}
        for command in left:
            if not any(command in which for which in excused.values()) and not run(command, folder, environment):
                bad.append(f"{found[command]}: {command}")
    for problem in bad:
        print(f"error: {problem}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
