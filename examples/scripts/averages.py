"""An exponential average (EMA) and a stochastic one (SWA) of the weights, and BatchNorm's statistics for the latter."""

import argparse

import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, TensorDataset


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args()
    torch.manual_seed(2)
    data = load_wine()
    x = torch.tensor(data.data, dtype=torch.float32)
    x = (x - x.mean(0)) / x.std(0)
    y = torch.tensor(data.target)
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(13, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Linear(32, 3))
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
    swa = AveragedModel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    schedule = SWALR(optimizer, swa_lr=0.05, anneal_epochs=3)
    for epoch in range(args.epochs):
        model.train()
        for a, b in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(a), b)
            loss.backward()
            optimizer.step()
            ema.update_parameters(model)
        if epoch >= args.epochs // 2:
            swa.update_parameters(model)
            schedule.step()
        print(f"epoch {epoch} loss {loss.item():.6f} lr {optimizer.param_groups[0]['lr']:.5f}")
    update_bn(loader, swa)
    update_bn(loader, ema)
    for name, net in (("model", model), ("ema", ema), ("swa", swa)):
        net.eval()
        with torch.no_grad():
            print(f"{name} loss {nn.functional.cross_entropy(net(x), y).item():.6f}")


if __name__ == "__main__":
    main()
