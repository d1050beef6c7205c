"""docs/porting.md: its differences, applied to the torch script, give the port; its optional steps give programs."""

from __future__ import annotations

import pytest

from benchmarks.porting_page import fenced, patched, programs, sections, step_by_step


def test_the_steps_lead_from_the_script_to_the_port():
    assert step_by_step() == programs()["step()"]


def test_every_line_that_changes_is_explained_once():
    """No difference of a step is undone by another."""
    original, port = (programs()[name].splitlines() for name in ("torch", "step()"))
    steps = [d for heading, text in sections().items() if heading[0].isdigit() for d in fenced(text, "diff")]
    lines = "".join(steps).splitlines()
    assert sorted(line[1:] for line in lines if line[0] == "-" and line[1:] not in port) == sorted(
        line for line in original if line not in port
    )
    assert sorted(line[1:] for line in lines if line[0] == "+" and line[1:] not in original) == sorted(
        line for line in port if line not in original
    )


@pytest.mark.parametrize("name", ["update()", "update(), mx.compile"])
def test_the_optional_steps_run_and_learn_the_same(name, tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="the examples extra is not installed")
    monkeypatch.chdir(tmp_path)
    found = {}
    for which in ("step()", name):
        namespace = {"__name__": "__main__"}
        exec(compile(programs()[which], which, "exec"), namespace)
        found[which] = namespace["losses"]
    assert len(found[name]) == 45
    assert found[name] == pytest.approx(found["step()"], abs=2e-5)
    assert found[name][-1] < 0.3 * found[name][0]


def test_a_difference_that_does_not_fit_is_refused():
    assert patched("a\nb\nc\n", "-b\n+B\n@@\n c\n+d\n") == "a\nB\nc\nd\n"
    for diff in ("-x\n+y\n", " a\n-c\n", "-a\n"):
        with pytest.raises(ValueError, match="times in the program"):
            patched("a\nb\na\n", diff)
