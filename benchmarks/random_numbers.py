"""What random numbers cost here and in torch: processor time of one process, one thread.

    python benchmarks/random_numbers.py [--only randn] [--many] [--repeats 3]

Prints a row for each call: microseconds here (the array of MLX included) and in torch, and how many times as long it
takes here. ``--many`` adds 100 million normal numbers, which need 2 GB of memory.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import torch

import torchish_mlx

Call = Callable[[], Any]


def filled(name: str, size: int, *args: float) -> Callable[[Any], Call]:
    """A method that fills a Tensor of this size."""

    def make(module: Any) -> Call:
        target = module.zeros(size)
        method = getattr(target, name)
        return lambda: method(*args)

    return make


def given(size: int, value: float, call: Callable[[Any, Any], Any]) -> Callable[[Any], Call]:
    """A function of a Tensor that has one value everywhere."""

    def make(module: Any) -> Call:
        tensor = module.full((size,), value)
        return lambda: call(module, tensor)

    return make


def spread(size: int, most: float) -> Callable[[Any], Call]:
    """Poisson's numbers of rates that all differ."""

    def make(module: Any) -> Call:
        tensor = module.linspace(0.0, most, size)
        return lambda: module.poisson(tensor)

    return make


def initialized(module: Any, name: str) -> Call:
    """A function of ``nn.init``, of a small matrix."""
    target = module.zeros(10, 10)
    function = getattr(module.nn.init, name)
    return lambda: function(target)


CALLS: dict[str, tuple[int, Callable[[Any], Call]]] = {
    "rand, 100": (500, lambda m: lambda: m.rand(100)),
    "randn, 100": (500, lambda m: lambda: m.randn(100)),
    "uniform_, 100": (500, filled("uniform_", 100)),
    "normal_, 100": (500, filled("normal_", 100)),
    "randn, 10 times 10": (500, lambda m: lambda: m.randn(10, 10)),
    "normal(0, 1, size), 100": (500, lambda m: lambda: m.normal(0, 1, (100,))),
    "normal_(0, 0.02), 100": (500, filled("normal_", 100, 0, 0.02)),
    "uniform_(-0.1, 0.1), 100": (500, filled("uniform_", 100, -0.1, 0.1)),
    "random_, 100": (500, filled("random_", 100)),
    "exponential_, 100": (500, filled("exponential_", 100)),
    "xavier_uniform_, 10 times 10": (500, lambda m: initialized(m, "xavier_uniform_")),
    "kaiming_normal_, 10 times 10": (500, lambda m: initialized(m, "kaiming_normal_")),
    "trunc_normal_, 10 times 10": (200, lambda m: initialized(m, "trunc_normal_")),
    "randint, 100": (500, lambda m: lambda: m.randint(0, 10, (100,))),
    "bernoulli_, 100": (500, filled("bernoulli_", 100, 0.3)),
    "dropout, 100": (500, given(100, 1.0, lambda m, x: m.nn.functional.dropout(x, 0.5))),
    "randperm, 100": (500, lambda m: lambda: m.randperm(100)),
    "multinomial, 10 of 100": (500, given(100, 1.0, lambda m, x: m.multinomial(x, 10))),
    "poisson, 100": (50, given(100, 3.0, lambda m, x: m.poisson(x))),
    "randperm, 60,000": (5, lambda m: lambda: m.randperm(60_000)),
    "randperm, a million": (1, lambda m: lambda: m.randperm(1_000_000)),
    "rand, a million": (3, lambda m: lambda: m.rand(1_000_000)),
    "uniform_(-1, 1), a million": (3, filled("uniform_", 1_000_000, -1, 1)),
    "uniform_(-0.1, 0.1), a million": (3, filled("uniform_", 1_000_000, -0.1, 0.1)),
    "randn, a million": (3, lambda m: lambda: m.randn(1_000_000)),
    "randn in float64, a million": (1, lambda m: lambda: m.randn(1_000_000, dtype=m.float64)),
    "randint, a million": (3, lambda m: lambda: m.randint(0, 10, (1_000_000,))),
    "random_, a million": (3, filled("random_", 1_000_000)),
    "bernoulli_, a million": (3, filled("bernoulli_", 1_000_000, 0.3)),
    "dropout, a million": (3, given(1_000_000, 1.0, lambda m, x: m.nn.functional.dropout(x, 0.5))),
    "exponential_, a million": (1, filled("exponential_", 1_000_000)),
    "geometric_, a million": (1, filled("geometric_", 1_000_000, 0.3)),
    "cauchy_, a million": (1, filled("cauchy_", 1_000_000)),
    "log_normal_, a million": (1, filled("log_normal_", 1_000_000)),
    "multinomial, a million of 1,000": (1, given(1000, 1.0, lambda m, x: m.multinomial(x, 1_000_000, True))),
    "multinomial, 10,000 of 100,000": (1, given(100_000, 1.0, lambda m, x: m.multinomial(x, 10_000))),
    "poisson of rate 3, 100,000": (1, given(100_000, 3.0, lambda m, x: m.poisson(x))),
    "poisson of rates up to 9, 100,000": (1, spread(100_000, 9.0)),
    "poisson of rate 30, 100,000": (1, given(100_000, 30.0, lambda m, x: m.poisson(x))),
}
MANY = {"randn, 100 million": (1, lambda m: lambda: m.randn(100_000_000))}


def seconds(call: Call, times: int) -> float:
    """Processor time of a call."""
    call()
    start = time.process_time()
    for _ in range(times):
        made = call()
        if isinstance(made, torchish_mlx.Tensor):
            mx.eval(made.array)
    return (time.process_time() - start) / times


def both(make: Callable[[Any], Call], times: int, repeats: int) -> tuple[float, float]:
    """Processor time here and in torch, measured by turns, because other work on the machine slows down either."""
    rounds = [[seconds(make(m), times) for m in (torchish_mlx, torch)] for _ in range(repeats)]
    mine, theirs = (min(each) for each in zip(*rounds, strict=True))
    return mine, theirs


def say(line: str) -> None:
    """Write a line of the table."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="only the calls whose name has this in it")
    parser.add_argument("--many", action="store_true", help="100 million normal numbers, too")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    mx.set_default_device(mx.cpu)
    say(f"| {'call':<34} | {'here, us':>12} | {'torch, us':>12} | {'times':>6} |")
    say(f"|{'-' * 36}|{'-' * 14}|{'-' * 14}|{'-' * 8}|")
    for name, (times, make) in (CALLS | (MANY if args.many else {})).items():
        if args.only in name:
            mine, theirs = both(make, times, args.repeats)
            say(f"| {name:<34} | {mine * 1e6:12,.1f} | {theirs * 1e6:12,.1f} | {mine / theirs:6.1f} |")


if __name__ == "__main__":
    main()
