"""What the tape costs next to MLX written by hand: single functions, a GPT, convolutional blocks, writes of slices.

    python benchmarks/engine.py [--quick]

The models are written twice: in torch's words over ``torchish_mlx``, and by hand over arrays with
``mx.value_and_grad``. *host* builds the graph and evaluates nothing (what ``backward()`` schedules is held back);
*eager* evaluates it; *compiled* is ``mx.compile`` around all of it. Times are those of the processor: the least of
rounds whose order is rotated, in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import mlx.core as mx
import numpy as np

import torchish_mlx as torch
from torchish_mlx._core import evaluation
from torchish_mlx.nn import functional as F

Run = Callable[..., Any]
Arrays = dict[str, mx.array]


def say(line: str) -> None:
    """Write a line of the tables."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def least(
    runs: Mapping[str, Run], rounds: int, repeat: int, clock: Run = time.thread_time, evaluate: bool = False
) -> dict[str, float]:
    """Microseconds of each run."""
    best = dict.fromkeys(runs, math.inf)
    gc.disable()
    for turn in range(rounds):
        order = list(runs.items())
        first = turn % len(order)
        for name, run in order[first:] + order[:first]:
            out = run()
            mx.eval(out)
            mx.synchronize()
            start = clock()
            for _ in range(repeat):
                out = run()
                if evaluate:
                    mx.eval(out)
            best[name] = min(best[name], (clock() - start) / repeat * 1e6)
            del out
        gc.collect()
    gc.enable()
    return best


@contextlib.contextmanager
def nothing_scheduled() -> Iterator[None]:
    """Have ``backward()`` build gradients and leave their evaluation to the caller, as MLX does."""
    schedule = evaluation.schedule
    evaluation.schedule = lambda *_: True
    try:
        yield
    finally:
        evaluation.schedule = schedule


# Single functions ----------------------------------------------------------------------------------------------------


def functions(rounds: int) -> None:
    """A chain of twenty calls and its backward, per call, next to the same calls of MLX."""
    a, b, length = mx.ones((4, 4)), mx.ones((4, 4)), 20
    ours: dict[str, Run] = {
        "add": lambda y, w: y + w,
        "mul": lambda y, w: y * w,
        "matmul": lambda y, w: y @ w,
        "reshape": lambda y, _: y.reshape(4, 4),
        "exp": lambda y, _: y.exp(),
        "mul by 2.0": lambda y, _: y * 2.0,
    }
    forward: dict[str, Run] = {**ours, "exp": lambda y, _: mx.exp(y)}
    derivative: dict[str, Run] = {
        "add": lambda g, *_: (g, g),
        "mul": lambda g, y, w: (g * w, g * y),
        "matmul": lambda g, y, w: (g @ w.swapaxes(-1, -2), y.swapaxes(-1, -2) @ g),
        "reshape": lambda g, *_: (g.reshape(4, 4),),
        "exp": lambda g, y, _: (g * y,),
        "mul by 2.0": lambda g, *_: (g * 2.0,),
    }

    def chain(f: Run, x: Any, w: Any, seed: Any = None) -> Run:
        def run() -> Any:
            y = x
            for _ in range(length):
                y = f(y, w)
            if seed is not None:
                x.grad = w.grad = None
                y.backward(seed)
            return y

        return run

    def by_hand(f: Run, back: Run) -> Run:
        def run() -> Any:
            ys, g, total = [a], b, None
            for _ in range(length):
                ys.append(f(ys[-1], b))
            for y in reversed(ys[:-1]):
                g, *others = back(g, y, b)
                if others:
                    total = others[0] if total is None else total + others[0]
            return g, total

        return run

    columns = ("MLX", "MLX, both", "no grad", "recorded", "recorded, both")
    say(f"\n{'us a call, chain of 20':26}" + "".join(f"{c:>16}" for c in (*columns, "both / MLX's")))
    x, w, seed = torch.tensor(a), torch.tensor(b), torch.tensor(a)
    for name, f in ours.items():
        leaf, weight = torch.tensor(a).requires_grad_(), torch.tensor(b).requires_grad_()
        runs = {
            "MLX": chain(forward[name], a, b),
            "MLX, both": by_hand(forward[name], derivative[name]),
            "no grad": chain(f, x, w),
            "recorded": chain(f, leaf, weight),
            "recorded, both": chain(f, leaf, weight, seed),
        }
        with nothing_scheduled():
            found = least(runs, rounds, 40)
        ratio = found["recorded, both"] / found["MLX, both"]
        say(f"{name:26}" + "".join(f"{found[c] / length:16.2f}" for c in columns) + f"{ratio:16.2f}")


# Whole models --------------------------------------------------------------------------------------------------------


def compared(title: str, runs: Mapping[str, Run], args: tuple[Any, ...], repeat: int, rounds: int) -> None:
    """Host, eager and compiled times of runs that return (loss, list of gradients), next to the first of them."""
    base = next(iter(runs))
    expected = runs[base](*args)
    for name, run in runs.items():
        _, found = run(*args)
        for a, b in zip(expected[1], found, strict=True):
            error = float(mx.abs(a - b).max() / mx.maximum(mx.abs(a).max(), 1e-3))
            if error > 2e-3:
                raise AssertionError(f"{name}: a gradient is {error:.1e} off")
    called = {n: (lambda r=r: r(*args)) for n, r in runs.items()}
    with nothing_scheduled():
        host = least(called, rounds, repeat)
    eager = least(called, rounds, 1, time.process_time, evaluate=True)
    compiled = {n: mx.compile(r) for n, r in runs.items()}
    for each in compiled.values():
        mx.eval(each(*args))
    fused = least({n: (lambda r=r: r(*args)) for n, r in compiled.items()}, rounds, 1, time.process_time, evaluate=True)
    say(f"\n{title:42}{'host ms':>9}{'x':>6}{'eager ms':>10}{'x':>6}{'compiled':>10}{'x':>6}")
    for n in runs:
        cells = ((host[n], host[base]), (eager[n], eager[base]), (fused[n], fused[base]))
        shown = [f"{a / 1e3:{w}.2f}{a / b:6.2f}" for w, (a, b) in zip((9, 10, 10), cells, strict=True)]
        say(f"{n:42}" + "".join(shown))


def by_tape(loss: Run) -> Run:
    """Forward and backward on the tape, as a function of arrays."""

    def run(p: Arrays, *data: mx.array) -> Any:
        leaves = {n: torch.Tensor(v).requires_grad_() for n, v in p.items()}
        out = loss(leaves, *[torch.Tensor(x) for x in data])
        out.backward()
        return out.array, [t.grad.array for t in leaves.values()]

    return run


def weights(rng: np.random.Generator, *shape: int, scale: float = 0.02) -> mx.array:
    """Normal numbers."""
    return mx.array((rng.standard_normal(shape) * scale).astype(np.float32))


def gpt(title: str, sizes: tuple[int, ...], repeat: int, rounds: int) -> None:
    """A GPT: (layers, batch, length, width, heads, vocabulary)."""
    layers, batch, length, width, heads, words = sizes
    each, rng = width // heads, np.random.default_rng(0)
    p = {
        "wte": weights(rng, words, width),
        "wpe": weights(rng, length, width),
        "lnf.g": mx.ones(width),
        "lnf.b": mx.zeros(width),
        "head": weights(rng, words, width),
    }
    for i in range(layers):
        for name, (out, into) in {"qkv": (3, 1), "o": (1, 1), "f1": (4, 1), "f2": (1, 4)}.items():
            p |= {f"{i}.{name}.w": weights(rng, out * width, into * width), f"{i}.{name}.b": mx.zeros(out * width)}
        for name in ("ln1", "ln2"):
            p |= {f"{i}.{name}.g": mx.ones(width), f"{i}.{name}.b": mx.zeros(width)}
    x, y = (mx.array(rng.integers(0, words, (batch, length))) for _ in range(2))
    mask = mx.array(np.triu(np.full((length, length), -1e9, np.float32), 1))
    mx.eval(p, x, y, mask)
    shown = torch.tensor(mask)

    def in_torchs_words(fused: bool) -> Run:
        def loss(p: Any, x: Any, y: Any) -> Any:
            h = F.embedding(x, p["wte"]) + p["wpe"]
            for i in range(layers):
                n = F.layer_norm(h, (width,), p[f"{i}.ln1.g"], p[f"{i}.ln1.b"])
                parts = F.linear(n, p[f"{i}.qkv.w"], p[f"{i}.qkv.b"]).split(width, -1)
                q, k, v = (t.reshape(batch, length, heads, each).transpose(1, 2) for t in parts)
                if fused:
                    a = F.scaled_dot_product_attention(q, k, v, shown)
                else:
                    a = ((q @ k.transpose(2, 3)) * (1 / math.sqrt(each)) + shown).softmax(-1) @ v
                h = h + F.linear(a.transpose(1, 2).reshape(batch, length, width), p[f"{i}.o.w"], p[f"{i}.o.b"])
                n = F.layer_norm(h, (width,), p[f"{i}.ln2.g"], p[f"{i}.ln2.b"])
                n = F.gelu(F.linear(n, p[f"{i}.f1.w"], p[f"{i}.f1.b"]))
                h = h + F.linear(n, p[f"{i}.f2.w"], p[f"{i}.f2.b"])
            h = F.layer_norm(h, (width,), p["lnf.g"], p["lnf.b"])
            return F.cross_entropy(F.linear(h.reshape(batch * length, width), p["head"]), y.reshape(batch * length))

        return by_tape(loss)

    def by_hand(p: Arrays, x: mx.array, y: mx.array) -> mx.array:
        h = p["wte"][x] + p["wpe"]
        for i in range(layers):
            n = mx.fast.layer_norm(h, p[f"{i}.ln1.g"], p[f"{i}.ln1.b"], 1e-5)
            parts = mx.split(mx.addmm(p[f"{i}.qkv.b"], n, p[f"{i}.qkv.w"].T), 3, axis=-1)
            q, k, v = (t.reshape(batch, length, heads, each).transpose(0, 2, 1, 3) for t in parts)
            a = mx.softmax((q @ k.transpose(0, 1, 3, 2)) * (1 / math.sqrt(each)) + mask, axis=-1) @ v
            a = a.transpose(0, 2, 1, 3).reshape(batch, length, width)
            h = h + mx.addmm(p[f"{i}.o.b"], a, p[f"{i}.o.w"].T)
            n = mx.fast.layer_norm(h, p[f"{i}.ln2.g"], p[f"{i}.ln2.b"], 1e-5)
            n = mx.addmm(p[f"{i}.f1.b"], n, p[f"{i}.f1.w"].T)
            n = 0.5 * n * (1 + mx.erf(n * math.sqrt(0.5)))
            h = h + mx.addmm(p[f"{i}.f2.b"], n, p[f"{i}.f2.w"].T)
        h = mx.fast.layer_norm(h, p["lnf.g"], p["lnf.b"], 1e-5)
        return cross_entropy(h.reshape(batch * length, width) @ p["head"].T, y.reshape(batch * length))

    both = mx.value_and_grad(by_hand)

    def hand(p: Arrays, x: mx.array, y: mx.array) -> Any:
        loss, grads = both(p, x, y)
        return loss, list(grads.values())

    runs = {
        "by hand, mx.value_and_grad": hand,
        "torch's words": in_torchs_words(fused=False),
        "torch's words, fused attention": in_torchs_words(fused=True),
    }
    compared(f"GPT, {title} {sizes}", runs, (p, x, y), repeat, rounds)


def cross_entropy(logits: mx.array, y: mx.array) -> mx.array:
    """The mean loss of classes, by hand."""
    chosen = mx.take_along_axis(logits, y[:, None], axis=-1).squeeze(-1)
    return (mx.logsumexp(logits, axis=-1) - chosen).mean()


def resnet(title: str, sizes: tuple[int, ...], repeat: int, rounds: int) -> None:
    """Residual blocks: (batch, channels, size, blocks)."""
    batch, channels, size, blocks = sizes
    rng = np.random.default_rng(0)
    p = {
        "stem": weights(rng, channels, 3, 3, 3, scale=0.1),
        "head": weights(rng, 10, channels, scale=0.1),
        "head.b": weights(rng, 10, scale=0.1),
    }
    for i in range(blocks):
        for j in "ab":
            p[f"{i}{j}"] = weights(rng, channels, channels, 3, 3, scale=0.05)
            p |= {f"{i}{j}.g": mx.ones(channels), f"{i}{j}.b": mx.zeros(channels)}
    x = weights(rng, batch, 3, size, size, scale=1)
    y = mx.array(rng.integers(0, 10, batch))

    def nchw(p: Any, x: Any, y: Any) -> Any:
        def norm(z: Any, name: str) -> Any:
            return F.batch_norm(z, None, None, p[f"{name}.g"], p[f"{name}.b"], training=True)

        x = F.conv2d(x, p["stem"], padding=1)
        for i in range(blocks):
            z = F.relu(norm(F.conv2d(x, p[f"{i}a"], padding=1), f"{i}a"))
            x = F.relu(norm(F.conv2d(z, p[f"{i}b"], padding=1), f"{i}b") + x)
        x = F.avg_pool2d(F.max_pool2d(x, 2), size // 2).flatten(1)
        return F.cross_entropy(F.linear(x, p["head"], p["head.b"]), y)

    def norm(x: mx.array, g: mx.array, b: mx.array) -> mx.array:
        mean, var = x.mean((0, 1, 2), keepdims=True), x.var((0, 1, 2), keepdims=True)
        return (x - mean) * mx.rsqrt(var + 1e-5) * g + b

    def pool(x: mx.array, k: int, how: Run) -> Any:
        n, h, w, c = x.shape
        return how(x.reshape(n, h // k, k, w // k, k, c), axis=(2, 4))

    def nhwc(p: Arrays, x: mx.array, y: mx.array) -> mx.array:
        x = mx.conv2d(x, p["stem"], padding=1)
        for i in range(blocks):
            z = mx.maximum(norm(mx.conv2d(x, p[f"{i}a"], padding=1), p[f"{i}a.g"], p[f"{i}a.b"]), 0)
            x = mx.maximum(norm(mx.conv2d(z, p[f"{i}b"], padding=1), p[f"{i}b.g"], p[f"{i}b.b"]) + x, 0)
        x = pool(pool(x, 2, mx.max), size // 2, mx.mean).reshape(batch, -1)
        return cross_entropy(mx.addmm(p["head.b"], x, p["head"].T), y)

    moved = {k: mx.contiguous(v.transpose(0, 2, 3, 1)) if v.ndim == 4 else v for k, v in p.items()}
    images = mx.contiguous(x.transpose(0, 2, 3, 1))
    mx.eval(p, x, y, moved, images)
    both = mx.value_and_grad(nhwc)

    def hand(data: Any, y: mx.array) -> Any:
        loss, grads = both(data["moved"], data["images"], y)
        return loss, [v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for v in grads.values()]

    tape = by_tape(nchw)
    runs = {
        "by hand on NHWC, mx.value_and_grad": hand,
        "torch's words on NCHW": lambda data, y: tape(data["p"], data["x"], y),
    }
    data = {"p": p, "x": x, "moved": moved, "images": images}
    compared(f"Residual blocks, {title} {sizes}", runs, (data, y), repeat, rounds)


def slices() -> None:
    """Writes of rows into a Tensor while recording, and their backward."""
    count, width = 1024, 64
    rows = mx.ones((count, width))

    def loop() -> mx.array:
        x = torch.tensor(rows).requires_grad_()
        h = torch.zeros(count, width) * 1
        for i in range(count):
            h[i] = x[i]
        h.sum().backward()
        return x.grad.array

    found = least({"ours": loop}, 3, 1, time.process_time, evaluate=True)["ours"]
    say(f"\n1,024 writes h[i] = x[i] and their backward: {found / 1e3:.0f} ms")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few rounds of the small sizes")
    rounds = 3 if parser.parse_args().quick else 15
    functions(rounds)
    gpt("32 wide", (2, 1, 8, 32, 2, 64), 8, rounds)
    gpt("128 wide", (4, 8, 64, 128, 4, 512), 4, rounds)
    gpt("256 wide", (4, 4, 128, 256, 8, 1024), 4, rounds)
    resnet("64 channels", (8, 64, 16, 2), 4, rounds)
    resnet("8 channels", (2, 8, 8, 4), 4, rounds)
    slices()


if __name__ == "__main__":
    main()
