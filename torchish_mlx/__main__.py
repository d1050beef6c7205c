"""``python -m torchish_mlx``: the version, and the commands."""

from __future__ import annotations

import argparse
import sys

from ._version import __version__
from .cli.run import main as run
from .parity.command import main as parity


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    if arguments[:1] == ["parity"]:  # has options of its own
        return parity(arguments[1:])
    if arguments[:1] == ["run"]:
        return run(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m torchish_mlx", description="torch's API over MLX.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"torchish_mlx {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands.add_parser("run", add_help=False, help="run a PyTorch program on MLX, unmodified")
    commands.add_parser("parity", add_help=False, help="compare this package with torch on this machine, and report")
    parser.parse_args(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
