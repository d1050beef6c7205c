"""``python -m torchish_mlx run``: a program runs as ``python script.py`` would run it, on this package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = [sys.executable]
RUN = [sys.executable, "-m", "torchish_mlx", "run"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def ran(command, *arguments, cwd, text=None):
    """(exit status, stdout, stderr) of a command."""
    done = subprocess.run(
        [*command, *arguments],
        cwd=cwd,
        env=ENVIRONMENT,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def script(folder, text, name="script.py"):
    (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
    return name


PROGRAMS = {
    "names": """
        import sys
        print(__name__, __file__, __package__, __spec__, sys.argv, sys.path[0], sys.modules["__main__"].__file__)
        print(sorted(name for name in globals() if name.startswith("__")))
    """,
    "exit_with_a_number": "import sys; sys.exit(7)",
    "exit_with_a_text": "raise SystemExit('over')",
    "exit_with_nothing": "exit()",
    "an_exception": """
        def inner():
            raise ValueError("wrong")

        inner()
    """,
    "an_exception_of_another": """
        try:
            {}["a"]
        except KeyError as error:
            raise RuntimeError("no a") from error
    """,
    "a_syntax_error": "x = (1,\nprint(x",
    "an_indentation_error": "if True:\nprint(1)",
    "an_encoding": "# -*- coding: latin-1 -*-\nprint('a')",
    "standard_input": "print(input() + input())",
    "at_the_end": """
        import atexit
        kept = [1]
        atexit.register(lambda: print("end", kept, __name__))
        class Deleted:
            def __del__(self): print("deleted")
        d = Deleted()
        raise ValueError("x")
    """,
    "a_hook_of_its_own": """
        import sys
        sys.excepthook = lambda kind, error, trace: print("hook", kind.__name__, trace.tb_lineno)
        1 / 0
    """,
    "a_module_next_to_it": "import other; print(other.x, other.__file__ is not None)",
    "pickles_of_its_classes": """
        import pickle
        class A: pass
        print(type(pickle.loads(pickle.dumps(A()))) is A)
    """,
}


@pytest.mark.long
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_as_python_runs_it(name, tmp_path):
    path = script(tmp_path, PROGRAMS[name])
    script(tmp_path, "x = 3", "other.py")
    expected = ran(PYTHON, path, "-a", "--", "b", cwd=tmp_path, text="a\nb\n")
    assert ran(RUN, path, "-a", "--", "b", cwd=tmp_path, text="a\nb\n") == expected
    if name == "names":
        assert ran([*RUN, "--"], path, "-a", "--", "b", cwd=tmp_path) == expected


def test_a_missing_file(tmp_path):
    assert ran(RUN, "missing.py", cwd=tmp_path) == ran(PYTHON, "missing.py", cwd=tmp_path)


@pytest.mark.long
def test_modules_folders_and_standard_input(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    script(package, "")
    (package / "__init__.py").touch()
    script(package, "import sys; print(__name__, __package__, sys.argv, __file__)\nraise KeyError('k')", "tool.py")
    script(package, "import sys; print(__name__, sys.argv, sys.path[0])", "__main__.py")
    for arguments in (["-m", "package.tool", "a"], ["-m", "package"], ["package", "b"], ["-m", "package.none"]):
        assert ran(RUN, *arguments, cwd=tmp_path) == ran(PYTHON, *arguments, cwd=tmp_path), arguments
    text = "import sys; print(__name__, sys.argv)"
    assert ran(RUN, "-", "a", cwd=tmp_path, text=text) == ran(PYTHON, "-", "a", cwd=tmp_path, text=text)


def test_torch_means_this_package(tmp_path):
    path = script(
        tmp_path,
        """
        import importlib.metadata, importlib.util, sys
        import torch
        import torch.nn as nn
        import torch.nn.functional as F
        from torch import optim
        from torch.optim.lr_scheduler import StepLR
        import torchish_mlx
        assert torch is torchish_mlx and sys.modules["torch"] is torch and nn is torch.nn is torchish_mlx.nn
        assert torch.nn.functional is F and StepLR is optim.lr_scheduler.StepLR
        assert torchish_mlx.nn.__spec__.name == "torchish_mlx.nn" and importlib.util.find_spec("torch") is not None
        assert torch.__version__ == importlib.metadata.version("torch") == "2.13.0+mlx"
        assert torch.__version__ >= (2, 1) and torch.__version__ < "2.14" and torch.__version__ > "2.12.9"
        assert str(torch.__version__).split(".")[0] == "2"
        try:
            import torch.nothing
        except ModuleNotFoundError as error:
            assert error.name == "torch.nothing", error.name
        else:
            raise AssertionError
        print(torch.ones(2) * 2)
        """,
    )
    status, out, error = ran(RUN, path, cwd=tmp_path)
    assert (status, out, error) == (0, "tensor([2., 2.])\n", "")


def test_an_unsupported_name_stops_at_its_line(tmp_path):
    path = script(tmp_path, "import torch\nprint(1)\ntorch.linalg.svd(torch.ones(2, 2))\n")
    status, out, error = ran(RUN, path, cwd=tmp_path)
    assert (status, out) == (1, "1\n")
    assert error.startswith("Traceback (most recent call last):\n")
    assert 'script.py", line 3' in error
    assert "cli" not in error
    assert "use mlx.core.linalg" in error


def test_the_report_lists_names(tmp_path):
    path = script(tmp_path, "import torch\nfrom torch.nn import functional as F\nF.relu(torch.ones(2))\n")
    status, _, error = ran([*RUN, "--report"], path, cwd=tmp_path)
    assert status == 0
    lines = [line.strip() for line in error.splitlines()]
    assert "torch.ones" in lines
    assert "torch.nn.functional.relu" in lines
    assert "torch.zeros" not in lines


def test_torch_is_not_swapped_late(tmp_path):
    code = "import types, sys\nsys.modules['torch'] = types.ModuleType('torch')\n"
    code += "from torchish_mlx.cli import swap\nswap.install()"
    status, _, error = ran(PYTHON, "-c", code, cwd=tmp_path)
    assert status == 1
    assert "the swap has to come before the first import of torch" in error


@pytest.mark.long
def test_processes_that_are_spawned_have_the_swap(tmp_path):
    path = script(
        tmp_path,
        """
        import multiprocessing
        import torch

        def double(x):
            return torch.__version__, (torch.tensor(x) * 2).tolist()

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(double, [[1.0], [2.0]]))
        """,
    )
    status, out, error = ran(RUN, path, cwd=tmp_path)
    assert (status, out) == (0, "[('2.13.0+mlx', [2.0]), ('2.13.0+mlx', [4.0])]\n"), error


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_and_a_broken_pipe_end_as_in_python(tmp_path):
    waiting = script(tmp_path, "import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    found = []
    for command in (PYTHON, RUN):
        process = subprocess.Popen(
            [*command, waiting],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
        found.append((process.returncode, error))
    assert found[0] == found[1]
    writing = script(tmp_path, "for i in range(100000): print(i)\n")
    ends = []
    for command in (PYTHON, RUN):
        with subprocess.Popen(
            [*command, writing],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            process.stdout.readline()
            process.stdout.close()
            ends.append((process.wait(timeout=60), process.stderr.read()))
    assert ends[0] == ends[1]


@pytest.mark.long
def test_wrong_use(tmp_path):
    for arguments in ([], ["--nothing", "x.py"]):
        status, _, error = ran(RUN, *arguments, cwd=tmp_path)
        assert status == 2
        assert "usage: python -m torchish_mlx run" in error
    status, out, _ = ran(RUN, "--help", cwd=tmp_path)
    assert status == 0
    assert "--report" in out
