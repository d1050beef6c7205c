"""Paint a photograph with a small network, by AdaBelief, an optimizer of one's own.

    python examples/photograph.py [--steps 600] [--batch-size 512] [--lr 0.01] [--out out] [--quick]

Writes OUT/photograph.json, its curves, OUT/photograph.png, and OUT/photograph.pt, the state dicts.
"""

from __future__ import annotations

import common

import numpy as np
import torch
from matplotlib.axes import Axes
from sklearn.datasets import load_sample_image
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR


class AdaBelief(torch.optim.Optimizer):
    """Adam, but by how far gradients are from their own average (Zhuang et al., arXiv:2010.07468)."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-12, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state.update(step=0, m=torch.zeros_like(p), s=torch.zeros_like(p))
                state["step"] += 1
                m = state["m"].lerp_(p.grad, 1 - b1)
                s = state["s"].lerp_((p.grad - m) ** 2, 1 - b2).add_(group["eps"])
                m, s = m / (1 - b1 ** state["step"]), s / (1 - b2 ** state["step"])
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * m / (s.sqrt() + group["eps"]))


class Painter(nn.Module):
    """Places (n, 2) in [-1, 1] -> colours (n, 3) in [0, 1]; sines and cosines of the places first."""

    def __init__(self, waves: int = 64, width: int = 96) -> None:
        super().__init__()
        self.register_buffer("waves", 20 * torch.randn(2, waves))
        self.first = nn.Linear(2 * waves, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x @ self.waves
        x = torch.cat([torch.sin(x), torch.cos(x)], 1)
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return torch.sigmoid(self.last(x))


def loss_fn(model: Painter, places: torch.Tensor, colours: torch.Tensor) -> torch.Tensor:
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
    places, colours = torch.tensor(grid.reshape(-1, 2).astype(np.float32)), torch.tensor(picture.reshape(-1, 3))

    torch.manual_seed(args.seed)
    model = Painter()
    groups = [
        {"params": [*model.first.parameters(), *model.second.parameters()], "weight_decay": 0.01},
        {"params": model.last.parameters(), "lr": args.lr / 3},
    ]
    optimizer = AdaBelief(groups, lr=args.lr)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.steps)

    log = common.Log(__file__, args)
    for step in log.steps(args.steps):
        batch = torch.randint(len(places), (args.batch_size,))
        optimizer.zero_grad()
        loss = loss_fn(model, places[batch], colours[batch])
        loss.backward()
        optimizer.step()
        scheduler.step()
        log.add(step, loss=loss.item())

    def painting(axes: Axes) -> None:
        with torch.no_grad():
            painted = model(places).numpy().reshape(picture.shape)
        axes.imshow(np.concatenate([picture, painted]))
        axes.set(title="the photograph, and the network's", xticks=[], yticks=[])

    log.save("AdaBelief, an optimizer of one's own", log_scale=["loss"], draw=painting)
    place = args.out / "photograph.pt"
    with common.whole(place) as file:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    common.wrote(place)


if __name__ == "__main__":
    main()
