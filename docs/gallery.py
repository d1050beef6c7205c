"""Draw the pictures of docs/schedulers.md by running the programs on that page.

    python docs/gallery.py [--out docs/images/schedulers]

Each section with a picture has a program that makes `optimizer` and `scheduler`, and `metric` where `step()` takes one.
The picture also contains the curve as text, so that a test can tell whether the two still agree.
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

PAGE = Path(__file__).resolve().parent / "schedulers.md"
SECTION = re.compile(r"^### (\w+)$(.*?)^!\[[^]]*\]\(images/schedulers/(\w+)\.png\)$", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEPS = 100
Curves = dict[str, list[float]]


def programs() -> dict[str, str]:
    """name of the picture -> the program above it."""
    return {picture: PROGRAM.findall(body)[0] for _, body, picture in SECTION.findall(PAGE.read_text("utf-8"))}


def run(program: str) -> dict[str, Any]:
    """The names that a program makes."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(program, PAGE.name, "exec", dont_inherit=True), names)
    return names


def curves(names: dict[str, Any]) -> Curves:
    """What the first group has at each step: "lr", and "momentum" or "beta1" if the scheduler moves it."""
    optimizer, scheduler, metric = names["optimizer"], names["scheduler"], names.get("metric")
    group = optimizer.param_groups[0]
    found: Curves = {"lr": []}
    for key in ("momentum", "betas"):
        if key in group:
            found["beta1" if key == "betas" else key] = []
    for step in range(STEPS):
        for key, values in found.items():
            values.append(float(group["betas"][0] if key == "beta1" else group[key]))
        optimizer.step()
        if step < STEPS - 1:
            scheduler.step(*([] if metric is None else [metric(step)]))
    return {key: values for key, values in found.items() if key == "lr" or len(set(values)) > 1}


def text_of(found: Curves) -> str:
    """The text that a picture contains for these curves."""
    return json.dumps(
        {key: [float(f"{value:.4g}") for value in values] for key, values in found.items()}, separators=(",", ":")
    )


def draw(found: Curves, path: Path) -> None:
    """A picture of the curves, with their numbers in it."""
    figure = Figure(figsize=(6, 2.1), dpi=80, layout="constrained")
    axes = figure.subplots()
    axes.step(range(STEPS), found["lr"], where="post", color="#1d3557", linewidth=1.8)
    axes.set_ylim(-0.004, 0.108)
    axes.set_xlabel("calls of scheduler.step()", fontsize=8)
    axes.set_ylabel("learning rate", fontsize=8, color="#1d3557")
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=8)
    for key in found.keys() - {"lr"}:
        other = axes.twinx()
        other.step(range(STEPS), found[key], where="post", color="#c1121f", linewidth=1.2, linestyle="--")
        other.set_ylim(0.79, 0.96)
        other.set_ylabel(key, fontsize=8, color="#c1121f")
        other.tick_params(labelsize=8)
    figure.savefig(path, metadata={"Software": None, "Description": text_of(found)})


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/schedulers.md.")
    parser.add_argument("--out", type=Path, default=PAGE.parent / "images" / "schedulers")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, program in programs().items():
        draw(curves(run(program)), out / f"{name}.png")


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
