"""Paint a photograph as photograph.py does, by AdaBelief written as an optimizer of MLX, with torch's face.

    python examples/mlx_optimizer.py [--steps 600] [--batch-size 512] [--lr 0.01] [--out out] [--quick]

Writes OUT/mlx_optimizer.json, its curves, OUT/mlx_optimizer.png, and OUT/mlx_optimizer.pt, the state dicts.
"""

from __future__ import annotations

import common

import mlx.core as mx
import mlx.optimizers
import numpy as np
from matplotlib.axes import Axes
from mlx import nn
from sklearn.datasets import load_sample_image

import torchish_mlx
from torchish_mlx import optim
from torchish_mlx.optim.lr_scheduler import CosineAnnealingLR


class AdaBelief(mlx.optimizers.Optimizer):
    """Adam, but by how far gradients are from their own average (Zhuang et al., arXiv:2010.07468)."""

    def __init__(self, learning_rate=1e-3, betas=(0.9, 0.999), eps=1e-12, weight_decay=0.0):
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay

    def init_single(self, parameter, state):
        state.update(m=mx.zeros_like(parameter), s=mx.zeros_like(parameter))

    def apply_single(self, gradient, parameter, state):
        b1, b2 = self.betas
        m = state["m"] = state["m"] + (1 - b1) * (gradient - state["m"])
        s = state["s"] = state["s"] + (1 - b2) * ((gradient - m) ** 2 - state["s"]) + self.eps
        m, s = m / (1 - b1**self.step), s / (1 - b2**self.step)
        parameter = parameter * (1 - self.learning_rate * self.weight_decay)
        return parameter - self.learning_rate * m / (mx.sqrt(s) + self.eps)


class Painter(nn.Module):
    """Places (n, 2) in [-1, 1] -> colours (n, 3) in [0, 1]; sines and cosines of the places first."""

    def __init__(self, seed: int, waves: int = 64, width: int = 96) -> None:
        super().__init__()
        self._waves = mx.array(np.random.default_rng(seed).normal(0, 20, (2, waves)).astype(np.float32))
        self.first = nn.Linear(2 * waves, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 3)
        for name, p in torchish_mlx.named_parameters(self):
            p.data = mx.array(common.initial(name, p.shape, seed))

    def __call__(self, x: mx.array) -> mx.array:
        x = x @ self._waves
        x = mx.concatenate([mx.sin(x), mx.cos(x)], 1)
        x = nn.relu(self.second(nn.relu(self.first(x))))
        return mx.sigmoid(self.last(x))


def loss_fn(model: Painter, places: mx.array, colours: mx.array) -> mx.array:
    return ((model(places) - colours) ** 2).mean()


def photograph() -> np.ndarray:
    """Colours (height, width, 3) in [0, 1]: every sixth pixel of a photograph that comes with scikit-learn."""
    return (load_sample_image("china.jpg")[::6, ::6] / 255).astype(np.float32)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--steps", type=common.count, default=600, help="steps of training")
    parser.add_argument("--batch-size", type=common.count, default=512, help="pixels per step")
    parser.add_argument("--lr", type=common.positive, default=0.01, help="the learning rate of the first step")
    args = common.parse(parser, quick={"steps": 60})
    picture = photograph()
    height, width, _ = picture.shape
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height)), -1)
    places, colours = mx.array(grid.reshape(-1, 2).astype(np.float32)), mx.array(picture.reshape(-1, 3))

    model = Painter(args.seed)
    groups = [
        {
            "params": [*torchish_mlx.parameters(model.first), *torchish_mlx.parameters(model.second)],
            "weight_decay": 0.01,
        },
        {"params": model.last, "lr": args.lr / 3},
    ]
    optimizer = optim.from_mlx(AdaBelief)(groups, lr=args.lr)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.steps)

    log = common.Log(__file__, args)
    for step in log.steps(args.steps):
        batch = mx.array(np.random.default_rng([args.seed, step]).integers(0, len(places), args.batch_size))
        optimizer.zero_grad()
        loss = torchish_mlx.backward(model, loss_fn, places[batch], colours[batch])
        optimizer.step()
        scheduler.step()
        log.add(step, loss=loss.item())

    def painting(axes: Axes) -> None:
        painted = np.array(model(places)).reshape(picture.shape)
        axes.imshow(np.concatenate([picture, painted]))
        axes.set(title="the photograph, and the network's", xticks=[], yticks=[])

    log.save("AdaBelief, an optimizer of one's own", log_scale=["loss"], draw=painting)
    place = args.out / "mlx_optimizer.pt"
    torchish_mlx.save({"model": torchish_mlx.state_dict(model), "optimizer": optimizer.state_dict()}, place)
    common.wrote(place)


if __name__ == "__main__":
    main()
