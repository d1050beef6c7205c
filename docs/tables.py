"""Write the README's tables of parity and speed from the measurements in docs/data.

    python docs/tables.py                                        # docs/data -> README.md
    python docs/tables.py --parity out/parity/parity.json        # take over a new report first
    python docs/tables.py --speed out/bench/optimizers.json      # ... or new timings

The report comes from `python -m torchish_mlx parity`, the timings from `make bench`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
DATA = HERE / "data"

#: path in the timings -> column
COLUMNS = {
    "ours step()": "`step()`",
    "ours update() in mx.compile": "`update()` in `mx.compile`",
    "mlx eager": "mlx, eager",
    "mlx in mx.compile": "mlx, in `mx.compile`",
    "torch foreach": "torch, foreach",
}
ERRORS = ("error", "torch", "state", "state_torch")
#: family of the report -> its only row; the others have a row for each optimizer
ONE_ROW = {
    "lr_scheduler": "schedulers, exact",
    "schedules": "schedules as pure functions",
    "clip_grad": "clipping, and its norm",
    "half": "a step in half precision",
}
SETS = {"gpt": "a GPT", "resnet50": "a ResNet-50", "small": "many small ones", "large": "one large one"}


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def day(date: str) -> str:
    """The day of an ISO date and time."""
    return date[:10]


def ulps(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def speed(measured: dict[str, Any]) -> str:
    """Total time of a step of AdamW in float32 by model and path, with ratios to what MLX and torch take."""
    run = measured["run"]
    rows = [row for row in measured["steps"] if (row["optimizer"], row["dtype"]) == ("adamw", "float32")]
    lines = []
    for name, called in SETS.items():
        found = {row["path"]: row for row in rows if row["set"] == name}
        times = {path: found[path]["total"]["median"] for path in COLUMNS}
        ours, compiled = times["ours step()"], times["ours update() in mx.compile"]
        one = found["ours step()"]
        size = f"{called}: {one['tensors']:,} tensor{'s' * (one['tensors'] > 1)}, {one['megabytes']:.3g} MB"
        ratios = ours / times["mlx eager"], compiled / times["mlx in mx.compile"], ours / times["torch foreach"]
        lines.append([size, *(f"{time:.3g}" for time in times.values()), *(f"{ratio:.2f}" for ratio in ratios)])
    head = ["AdamW, float32, ms", *COLUMNS.values()]
    head += ["`step()` / mlx eager", "compiled / mlx compiled", "`step()` / torch"]
    where = f"{run['machine']}, MLX on its {'GPU' if 'gpu' in run['device'] else 'CPU'}"
    return (
        f"Medians of {run['rounds']} rounds in turns in one process; a ratio below 1 is faster. {day(run['date'])}, "
        f"{where}, mlx {run['mlx']}, torch {run['torch']}, Python {run['python']}.\n\n{table(head, lines)}"
    )


def parity(measured: dict[str, Any]) -> str:
    """Checks and worst errors for each optimizer, and for each family of other things."""
    facts, lines = measured["facts"], []
    for family in measured["families"]:
        subjects = dict.fromkeys(line["subject"] for line in family["lines"])
        if family["name"] in ONE_ROW:
            rows = {ONE_ROW[family["name"]]: family["lines"]}
        else:
            rows = {f"`{name}`": [line for line in family["lines"] if line["subject"] == name] for name in subjects}
        for name, found in rows.items():
            passed, total = (sum(line[key] for line in found) for key in ("passed", "total"))
            worst = {key: [line[key] for line in found if line[key] is not None] for key in ERRORS}
            lines.append([name, f"{passed} of {total}", *(ulps(max(w)) if w else "" for w in worst.values())])
    where = f"{facts['platform'].partition('-')[0]} {facts['machine']}, MLX on {facts['device']}"
    return (
        "Worst errors in units in the last place (ulps) of a tensor's largest element; next to ours, torch's own "
        "rounding: its float32 result against its float64 result. "
        f"{measured['passed']:,} of {measured['total']:,} checks passed. {day(facts['date'])}, {where}, "
        f"mlx {facts['mlx']}, torch {facts['torch']}, Python {facts['python']}.\n\n"
        + table(["", "checks passed", "parameters", "torch's own", "state", "torch's own"], lines)
    )


def rendered(readme: str, data: Path = DATA) -> str:
    """``readme`` with its tables as ``data`` has them."""
    for name, render in RENDER.items():
        text = render(json.loads((data / f"{name}.json").read_text(encoding="utf-8")))
        pattern = rf"(<!-- {name}: .*? -->\n).*?(<!-- /{name} -->)"
        readme, count = re.subn(pattern, lambda m, text=text: f"{m[1]}{text}\n{m[2]}", readme, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"README.md has {count} places for the table {name!r}, instead of 1")
    return readme


RENDER = {"parity": parity, "speed": speed}
KEPT = {"parity": ("facts", "passed", "total", "families"), "speed": ("run", "steps")}  # of a measurement


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in RENDER:
        parser.add_argument(f"--{name}", type=Path, help="a new measurement to take over")
    given = vars(parser.parse_args())
    for name, path in given.items():
        if path is not None:
            found = json.loads(path.read_text(encoding="utf-8"))
            measured = {key: found[key] for key in KEPT[name]}
            (DATA / f"{name}.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
