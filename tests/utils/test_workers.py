"""Worker processes: what they may do with MLX, how they end, and that nothing is left of them."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

import torchish_mlx as torch
from torchish_mlx.utils.data import DataLoader, TensorDataset, get_worker_info

ROOT = Path(__file__).resolve().parents[2]
TIME = 120
SHARED = Path("/dev/shm")
forks = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")


def started(program: str, tmp_path: Path) -> subprocess.Popen[str]:
    """A program of its own, in a process group of its own."""
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def output(program: str, tmp_path: Path) -> str:
    """What a program writes. One that hangs is killed, and fails the test."""
    process = started(program, tmp_path)
    try:
        out, error = process.communicate(timeout=TIME)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, error
    return out


def alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def gone(pids: list[int], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while any(map(alive, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Pids:
    """Each sample is the worker's number of the process."""

    def __init__(self, n: int = 8, wait: float = 0) -> None:
        self.n, self.wait = n, wait

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> int:
        time.sleep(self.wait)
        return os.getpid()


EVERYTHING = """
import sys
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import torchish_mlx as torch
from torchish_mlx.utils.data import DataLoader, Dataset, TensorDataset

model = nn.Linear(3, 2)
mx.eval(model(mx.ones((4, 3))))
compiled = mx.compile(lambda x: mx.exp(x) * 2)
mx.eval(compiled(mx.ones(3)))
mx.random.normal((3,))

class Images(Dataset):
    def __init__(self, transform):
        self.lazy = torch.ones(10, 3) / 255        # nothing has evaluated it
        self.tape = (torch.ones(3, requires_grad=True) * 2).detach()
        self.lists = {"a": [mx.arange(3.0) + 1]}
        self.transform = transform
    def __len__(self):
        return 10
    def __getitem__(self, i):
        x = self.transform(self.lazy[i])
        assert mx.random.normal((2,)).shape == (2,)
        assert compiled(x.array).shape == (3,)
        assert model(x.array).shape == (2,)
        y = torch.nn.functional.relu(torch.randn(3, 3)) @ torch.ones(3)
        assert y.shape == (3,) and y.min().item() >= 0
        w = torch.ones(3, requires_grad=True)
        (w * x).sum().backward()
        assert w.grad.tolist() == x.tolist()
        return x + self.tape + torch.tensor(self.lists["a"][0]), i

offset = torch.tensor([0.0, 1.0, 2.0]) * 3
FREEZE
images = Images(lambda x: x * 255 + offset)
loader = DataLoader(images, batch_size=4, num_workers=2, worker_init_fn=lambda i: torch.rand(i))
for epoch in range(2):
    for x, y in loader:
        print(x.tolist(), y.tolist())
print(loader.dataset.lazy.sum().item() > 0)
"""


@forks
@pytest.mark.long
@pytest.mark.parametrize("freeze", ["", "import gc; gc.freeze()"])
def test_a_forked_worker_may_use_all_of_mlx(freeze, tmp_path):
    lines = output(EVERYTHING.replace("FREEZE", freeze), tmp_path).splitlines()
    row = [4.0, 8.0, 12.0]
    epoch = [f"{[row] * 4} [0, 1, 2, 3]", f"{[row] * 4} [4, 5, 6, 7]", f"{[row] * 2} [8, 9]"]
    assert lines == [*epoch, *epoch, "True"]


SPAWNED = """
import numpy as np
import torchish_mlx as torch
from torchish_mlx.utils.data import DataLoader, Dataset, TensorDataset, get_worker_info

class Own(Dataset):
    def __init__(self):
        self.x = torch.arange(12).reshape(6, 2) * 1.5
    def __len__(self):
        return 6
    def __getitem__(self, i):
        return self.x[i] + get_worker_info().num_workers, np.full(9000, i, np.float32)

def initialize(i):
    assert get_worker_info().id == i

if __name__ == "__main__":
    torch.manual_seed(0)
    for method in ("spawn", "forkserver"):
        loader = DataLoader(
            Own(), 2, shuffle=True, num_workers=2, multiprocessing_context=method, worker_init_fn=initialize,
            persistent_workers=True,
        )
        batches = [batch for _ in range(2) for batch in loader]
        assert all((x[:, 0] == 3 * y[:, 0] + 2).all() for x, y in batches)
        print(method, sorted(y[j, -1].item() for _, y in batches for j in range(2)))
        del loader
    try:
        list(DataLoader([1], collate_fn=lambda x: x, num_workers=1, multiprocessing_context="spawn"))
    except Exception as error:
        print(type(error).__name__)
"""


@pytest.mark.long
def test_other_ways_to_start_processes(tmp_path):
    text = SPAWNED.replace("import numpy", "import warnings; warnings.simplefilter('ignore')\nimport numpy", 1)
    lines = output(text, tmp_path).splitlines()
    values = sorted([0.0, 1.0, 2.0, 3.0, 4.0, 5.0] * 2)
    assert lines[:2] == [f"spawn {values}", f"forkserver {values}"]
    assert lines[2] in ("PicklingError", "AttributeError")


def test_a_dataset_that_cannot_be_pickled():
    with (
        pytest.warns(UserWarning, match="Got pickle error when attempting to start a worker Process"),
        pytest.raises(Exception, match=r"[Pp]ickle"),
    ):
        iter(DataLoader([lambda: 0], num_workers=1, multiprocessing_context="spawn"))


LARGE = [
    ((3, 32, 32), "float32"),
    ((200, 200), "bfloat16"),
    ((50_000,), "uint8"),
    ((30, 30, 30), "float16"),
    ((0, 5), "int64"),
    ((), "int32"),
    ((9000,), "complex64"),
    ((9000,), "bool"),
]


class Values:
    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, getattr(torch, dtype)

    def __len__(self):
        return 12

    def __getitem__(self, i):
        return (torch.ones(self.shape) * i).to(self.dtype)


@pytest.mark.parametrize(("shape", "dtype"), LARGE)
def test_values_and_dtypes_that_come_back(shape, dtype):
    dataset = Values(shape, dtype)
    for i, batch in enumerate(DataLoader(dataset, 2, num_workers=2)):
        assert type(batch) is torch.Tensor
        assert batch.dtype == getattr(torch, dtype)
        assert batch.shape == (2, *shape)
        assert (batch == torch.stack([dataset[2 * i], dataset[2 * i + 1]])).all()


def test_arrays_of_a_batch_are_kept_when_the_next_ones_come():
    class Mixed:
        def __len__(self):
            return 30

        def __getitem__(self, i):
            return i

    def collate(batch):
        n = batch[0]
        return {
            "numpy": np.full(20_000, n),
            "mlx": mx.full(20_000, n),
            "leaf": torch.ones(2, requires_grad=True),
            "n": n,
        }

    kept = list(DataLoader(Mixed(), 1, num_workers=1, collate_fn=collate))
    for n, batch in enumerate(kept):
        assert batch["n"] == n
        assert (batch["numpy"] == n).all()
        assert bool((batch["mlx"] == n).all())
        assert isinstance(batch["mlx"], mx.array)
        assert batch["leaf"].requires_grad
        batch["numpy"][0] = -1  # it can be written to


class Refused(Exception):
    pass


def fail_with_a_local_class(batch):
    class Local(Exception):
        pass

    raise Local("of its own")


def result_of_a_graph(batch):
    return torch.ones(2, requires_grad=True) * 2


@pytest.mark.parametrize(
    ("collate", "error", "message"),
    [
        (lambda batch: lambda: 0, Exception, r"Caught \w+ in DataLoader worker process 0\.\nOriginal Traceback"),
        (fail_with_a_local_class, RuntimeError, r"Caught Local in DataLoader worker process 0\.\n[\s\S]*of its own"),
        (result_of_a_graph, RuntimeError, "Cowardly refusing to serialize non-leaf tensor"),
    ],
)
def test_what_cannot_be_sent_is_an_error_here(collate, error, message):
    with pytest.raises(error, match=message):
        list(DataLoader([1, 2], 2, num_workers=1, collate_fn=collate))


def test_a_killed_worker():
    iterator = iter(DataLoader(Pids(100, 0.05), num_workers=2))
    pid = int(next(iterator))
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=rf"^DataLoader worker \(pid\(s\) {pid}\) exited unexpectedly$") as raised:
        list(iterator)
    assert str(raised.value.__cause__) == f"DataLoader worker (pid {pid}) is killed by signal: Killed. "
    pids = [process.pid for process in iterator._workers.processes]
    del iterator, raised
    gc.collect()
    assert gone(pids, 5)


def test_a_worker_that_exits():
    with pytest.raises(RuntimeError, match="exited unexpectedly") as raised:
        list(DataLoader([1], num_workers=1, worker_init_fn=lambda i: os._exit(7)))
    assert "exit code 7" in str(raised.value.__cause__)


def test_timeout():
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"^DataLoader timed out after 0\.3 seconds$"):
        list(DataLoader(Pids(2, 3), num_workers=1, timeout=0.3))
    assert time.monotonic() - start < 30


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_nothing_is_left():
    x = torch.ones(64, 3, 32, 32)
    list(DataLoader(TensorDataset(x), 16, num_workers=1))
    gc.collect()
    before = descriptors(), threading.active_count()
    shared = set(SHARED.iterdir()) if SHARED.is_dir() else set()
    pids: list[int] = []
    for persistent in (False, True):
        for stop in (False, True):
            loader = DataLoader(TensorDataset(x), 16, num_workers=2, persistent_workers=persistent)
            iterator = iter(loader)
            pids += [process.pid for process in iterator._workers.processes]
            for _ in iterator:
                if stop:
                    break
            del loader, iterator
    assert gone(pids, 1)
    gc.collect()
    assert (descriptors(), threading.active_count()) == before
    if SHARED.is_dir():
        assert set(SHARED.iterdir()) <= shared


def test_in_order():
    class Slow:
        def __len__(self):
            return 6

        def __getitem__(self, i):
            if i == 0:
                time.sleep(1.5)
            return i

    assert [int(x) for x in DataLoader(Slow(), num_workers=2)] == [0, 1, 2, 3, 4, 5]
    found = [int(x) for x in DataLoader(Slow(), num_workers=2, in_order=False)]
    assert sorted(found) == [0, 1, 2, 3, 4, 5]
    assert found.index(0) > found.index(1)


def test_persistent_workers_stay():
    class Who(Pids):
        def __getitem__(self, i):
            return os.getpid(), get_worker_info().id

    loader = DataLoader(Who(4), num_workers=2, persistent_workers=True)
    first, second = ({int(pid) for pid, _ in loader} for _ in range(2))
    assert first == second != {os.getpid()}
    other = DataLoader(Who(4), num_workers=2)
    assert not {int(pid) for pid, _ in other} & {int(pid) for pid, _ in other}


def test_large_lists_of_indices_do_not_block():
    indices = list(range(200_000))
    loader = DataLoader(range(200_000), batch_sampler=[indices] * 6, num_workers=2, collate_fn=lambda batch: batch * 2)
    assert [len(batch) for batch in loader] == [400_000] * 6


def test_a_loader_in_a_thread_that_is_not_the_main_one():
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.extend(int(b) for b in DataLoader(range(4), num_workers=2)))
    thread.start()
    thread.join(TIME)
    assert found == [0, 1, 2, 3]


RUNNING = """
import sys, time
from torchish_mlx.utils.data import DataLoader
class Slow:
    def __len__(self): return 1000
    def __getitem__(self, i):
        time.sleep(0.02)
        return i
if __name__ == "__main__":
    iterator = iter(DataLoader(Slow(), num_workers=2))
    next(iterator)
    print(*[process.pid for process in iterator._workers.processes], flush=True)
    for batch in iterator:
        pass
"""


@pytest.mark.long
@pytest.mark.parametrize("way", ["ctrl-c", "terminated", "killed"])
def test_the_end_of_the_main_process(way, tmp_path):
    process = started(RUNNING, tmp_path)
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(alive, pids))
    if way == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGTERM if way == "terminated" else signal.SIGKILL)
    _, error = process.communicate(timeout=TIME)
    if way == "ctrl-c":
        assert error.count("Traceback") == 1, error
        assert error.rstrip().endswith("KeyboardInterrupt")
    assert gone(pids)
