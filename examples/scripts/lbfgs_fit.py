"""A small network fits a curve by L-BFGS with a line search, with a penalty on its second derivative."""

import argparse

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()
    torch.manual_seed(4)
    x = torch.linspace(-1, 1, 41).unsqueeze(1).requires_grad_()
    y = torch.sin(3 * x.detach()) + 0.05 * torch.randn(41, 1)
    model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=8, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        out = model(x)
        (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        loss = nn.functional.mse_loss(out, y) + 1e-5 * bend.pow(2).mean()
        loss.backward()
        return loss

    for step in range(args.steps):
        loss = optimizer.step(closure)
        print(f"step {step} loss {loss.item():.6f}")


if __name__ == "__main__":
    main()
