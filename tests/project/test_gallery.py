"""docs/schedulers.md: every scheduler is there, and each picture shows what the program above it does."""

from __future__ import annotations

import json
import re
import struct
import sys
from pathlib import Path

import pytest

from torchish_mlx.optim import lr_scheduler

pytest.importorskip("matplotlib", reason="the examples extra is not installed")
DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.insert(0, str(DOCS))
import gallery  # noqa: E402

sys.path.remove(str(DOCS))

PICTURES = DOCS / "images" / "schedulers"
PROGRAMS = gallery.programs()


def described(path: Path) -> str:
    """The Description in a PNG file."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    place = 8
    while place < len(data):
        (size,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        if kind == b"tEXt" and body.startswith(b"Description\0"):
            return body.partition(b"\0")[2].decode("latin-1")
        place += 12 + size
    raise AssertionError(f"{path.name} has no Description")


def test_every_scheduler_is_in_the_gallery():
    assert set(PROGRAMS) == {*lr_scheduler.__all__, "SWALR"}
    headings = re.findall(r"^### (\w+)$", gallery.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(PROGRAMS)


def test_every_picture_is_in_the_gallery():
    assert {path.name for path in PICTURES.iterdir()} == {f"{name}.png" for name in PROGRAMS}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_the_picture_shows_what_the_program_does(name):
    names = gallery.run(PROGRAMS[name])
    schedulers = [names["scheduler"], *getattr(names["scheduler"], "_schedulers", ())]
    assert name in {cls.__name__ for scheduler in schedulers for cls in type(scheduler).__mro__}
    picture = PICTURES / f"{name}.png"
    assert picture.stat().st_size < 20_000
    drawn, now = json.loads(described(picture)), gallery.curves(names)
    assert drawn.keys() == now.keys()
    for key, values in now.items():
        assert drawn[key] == pytest.approx(values, rel=1e-3, abs=1e-9)
    assert len(set(drawn["lr"])) > 1, "the rate does not move"


def test_pictures_are_drawn_with_their_numbers(tmp_path):
    found = gallery.curves(gallery.run(PROGRAMS["OneCycleLR"]))
    gallery.draw(found, tmp_path / "one.png")
    assert described(tmp_path / "one.png") == gallery.text_of(found)
    assert set(found) == {"lr", "beta1"}
