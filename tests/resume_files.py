"""Training runs that are saved at step 10 of 20, and what goes on from the files in another process.

::

    python -m tests.resume_files save FOLDER     20 steps of every case, saved at step 10 in every format
    python -m tests.resume_files load FOLDER     every file into a new run of its case, and on to step 20

Both write what they have at steps 10 and 20, bit for bit, as text: ``save.json`` and ``load.json``. With ``some`` as a
third argument they run ``some_cases()`` and ``SOME_RULES`` alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

import torchish_mlx as torch
from tests.cases import RULES, build, net, take_steps
from tests.resume_cases import Case, cases
from tests.resume_runs import END, HALF, Run, random_key, set_random_key, written
from torchish_mlx import checkpoint, optimizers


def save_run(run: Run, folder: Path) -> None:
    models = {"net": run.model, "ema": run.ema}
    rest = {"optimizer": run.optimizer, "scheduler": run.scheduler, "scaler": run.scaler}
    checkpoint.save(folder / "run", step=run.done, model=models, **rest)


def load_run(run: Run, folder: Path) -> None:
    models = {"net": run.model, "ema": run.ema}
    rest = {"optimizer": run.optimizer, "scheduler": run.scheduler, "scaler": run.scaler}
    run.done = checkpoint.resume(folder / "run", model=models, **rest).step


def content(run: Run) -> dict[str, Any]:
    """The dict that a torch script saves."""
    return {
        "step": run.done,
        "model": torch.state_dict(run.model),
        "ema": run.ema.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scheduler": run.scheduler and run.scheduler.state_dict(),
        "scaler": run.scaler and run.scaler.state_dict(),
        "random": random_key(),
    }


def take(run: Run, saved: dict[str, Any]) -> None:
    run.done = saved["step"]
    torch.load_state_dict(run.model, saved["model"])
    run.ema.load_state_dict(saved["ema"])
    run.optimizer.load_state_dict(saved["optimizer"], keep_state_dtype=run.case.wide)
    for part, state in ((run.scheduler, saved["scheduler"]), (run.scaler, saved["scaler"])):
        if part is not None:
            part.load_state_dict(state)
    set_random_key(saved["random"].array)


def save_mlx(run: Run, folder: Path) -> None:
    """The recipe of MLX's documentation; what it has no word for lies beside it."""
    run.model.save_weights(str(folder / "model.safetensors"))
    run.ema.save_weights(str(folder / "ema.safetensors"))
    mx.save_safetensors(str(folder / "optimizer.safetensors"), dict(tree_flatten(run.optimizer.state)))
    kept = {name: value for name, value in content(run).items() if name in ("step", "scheduler", "scaler", "random")}
    torch.save(kept, folder / "rest.pt")


def load_mlx(run: Run, folder: Path) -> None:
    run.model.load_weights(str(folder / "model.safetensors"))
    run.ema.load_weights(str(folder / "ema.safetensors"))
    run.optimizer.state = tree_unflatten(list(mx.load(str(folder / "optimizer.safetensors")).items()))
    kept = torch.load(folder / "rest.pt")
    for part, state in ((run.scheduler, kept["scheduler"]), (run.scaler, kept["scaler"])):
        if part is not None:
            part.load_state_dict(state)
    run.done = kept["step"]
    set_random_key(kept["random"].array)


class Format(NamedTuple):
    save: Callable[[Run, Path], None]
    load: Callable[[Run, Path], None]


def one_file(name: str) -> Format:
    return Format(
        lambda run, folder: torch.save(content(run), folder / name),
        lambda run, folder: take(run, torch.load(folder / name)),
    )


FORMATS = {
    "checkpoint": Format(save_run, load_run),
    "torch": one_file("saved.pt"),
    "safetensors": one_file("saved.safetensors"),
    "mlx": Format(save_mlx, load_mlx),
}


def formats_of(case: Case) -> list[str]:
    """All of them; of a compiled update one, in turn. MLX's recipe does not hold what is no array."""
    if case.optimizer == "users":
        return [name for name in FORMATS if name != "mlx"]
    return [list(FORMATS)[cases().index(case) % len(FORMATS)]] if case.how == "compiled" else list(FORMATS)


# -- rules, which have MLX's face alone --------------------------------------------------------------------------------


class RuleRun:
    """A rule that updates a model by given gradients, with a schedule as its learning rate."""

    def __init__(self, name: str) -> None:
        self.rule = build(name, learning_rate=optimizers.cosine_decay(0.05, 18))
        self.model, self.done = net(name), 0

    def train(self, steps: int) -> None:
        take_steps(self.rule, self.model, range(self.done, self.done + steps))
        self.done += steps

    def record(self) -> dict[str, str]:
        state = {key: value for key, value in tree_flatten(self.rule.state) if not key.endswith("_structure")}
        held = {"model": dict(tree_flatten(self.model.parameters())), "state": state, "lr": self.rule.learning_rate}
        return dict(written(held, ""))

    def save(self, folder: Path) -> None:
        self.model.save_weights(str(folder / "model.safetensors"))
        mx.save_safetensors(str(folder / "optimizer.safetensors"), dict(tree_flatten(self.rule.state)))
        torch.save({"model": torch.state_dict(self.model), "optimizer": dict(self.rule.state)}, folder / "saved.pt")

    def load(self, form: str, folder: Path) -> None:
        self.done = HALF
        if form == "mlx":
            self.model.load_weights(str(folder / "model.safetensors"))
            self.rule.state = tree_unflatten(list(mx.load(str(folder / "optimizer.safetensors")).items()))
        else:
            saved = torch.load(folder / "saved.pt")
            torch.load_state_dict(self.model, saved["model"])
            self.rule.state = saved["optimizer"]


RULE_FORMATS = ("mlx", "torch")


# -- the two processes -----------------------------------------------------------------------------------------------

Records = dict[str, dict[str, dict[str, str]]]
SOME_RULES = ("AdamW", "SGD-momentum")


def some_cases() -> list[Case]:
    """The first and the last case of each way to take a step."""
    ways: dict[str, list[Case]] = {}
    for case in cases():
        ways.setdefault(case.how, []).append(case)
    return [case for found in ways.values() for case in dict.fromkeys((found[0], found[-1]))]


def save(folder: Path, chosen: list[Case], rules: Sequence[str]) -> Records:
    """case -> at step 10 and 20."""
    records: Records = {}
    for case in chosen:
        run = Run(case, seed=1)
        run.train(HALF)
        place = folder / repr(case)
        place.mkdir()
        for form in FORMATS.values():
            form.save(run, place)
        run.seen.clear()
        records[repr(case)] = {"saved": run.record()}
        run.train(END - HALF)
        records[repr(case)]["end"] = run.record()
    for name in rules:
        rule, place = RuleRun(name), folder / f"rule-{name}"
        rule.train(HALF)
        place.mkdir()
        rule.save(place)
        records[place.name] = {"saved": rule.record()}
        rule.train(END - HALF)
        records[place.name]["end"] = rule.record()
    return records


def load(folder: Path, chosen: list[Case], rules: Sequence[str]) -> Records:
    """case and format -> after loading, and at step 20; an error instead, where loading raised it."""
    records: Records = {}
    for case in chosen:
        for name in formats_of(case):
            form, run = FORMATS[name], Run(case, seed=2)
            if case.how in ("compiled", "whole"):
                run.train(3)  # its compiled function has run, and has captured what is loaded into
                run.seen.clear()
            try:
                form.load(run, folder / repr(case))
            except Exception as error:
                records[f"{case!r} {name}"] = {"error": {"": f"{type(error).__name__}: {error}"}}
                continue
            records[f"{case!r} {name}"] = {"saved": run.record()}
            run.train(END - HALF)
            records[f"{case!r} {name}"]["end"] = run.record()
    for name in rules:
        for form in RULE_FORMATS:
            rule = RuleRun(name)
            rule.train(3)
            rule.load(form, folder / f"rule-{name}")
            records[f"rule-{name} {form}"] = {"saved": rule.record()}
            rule.train(END - HALF)
            records[f"rule-{name} {form}"]["end"] = rule.record()
    return records


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    given = (some_cases(), SOME_RULES) if "some" in sys.argv[3:] else (cases(), RULES)
    (where / f"{what}.json").write_text(json.dumps({"save": save, "load": load}[what](where, *given)))
