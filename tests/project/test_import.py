"""What ``import torchish_mlx`` loads: a program waits for it at each start."""

import subprocess
import sys

LATER = ["optim", "optimizers", "checkpoint", "amp.grad_scaler", "cuda", "utils", "parity", "cli"]


def test_what_few_programs_need_is_imported_when_it_is_asked_for():
    program = (
        "import sys, torchish_mlx as torch\n"
        "print(*[name for name in sys.modules if name.startswith('torchish_mlx.')])\n"
        "torch.amp.GradScaler, torch.optim.SGD, torch.nn.utils.clip_grad_norm_, torch.cuda.amp, torch.utils.data\n"
        "assert torch.get_device_module('cuda') is torch.cuda\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "torchish_mlx.nn.modules.linear" in loaded
    assert not loaded & {f"torchish_mlx.{name}" for name in LATER}
