"""A convolutional network with BatchNorm learns handwritten digits: no decay for norms and biases, warm-up and cosine.

It stops half-way, and goes on from a checkpoint.
"""

import argparse
import math
import os
import tempfile

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 10))

    def forward(self, x):
        return self.head(self.features(x))


def build(steps):
    model = Net()
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=5e-3)
    warm = max(1, steps // 10)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, s / steps)))
    )
    return model, optimizer, scheduler


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    torch.manual_seed(0)
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    train, test = random_split(TensorDataset(images, torch.tensor(data.target)), [1400, 397])
    loader = DataLoader(train, batch_size=64, shuffle=True, drop_last=True)
    steps = args.epochs * len(loader)
    model, optimizer, scheduler = build(steps)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    path = os.path.join(tempfile.mkdtemp(), "run.pt")
    for epoch in range(args.epochs):
        if epoch == args.epochs // 2:
            parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
            torch.save({name: part.state_dict() for name, part in parts.items()}, path)
            state = torch.get_rng_state()
            model, optimizer, scheduler = build(steps)
            torch.set_rng_state(state)
            for name, part in (("model", model), ("optimizer", optimizer), ("scheduler", scheduler)):
                part.load_state_dict(torch.load(path)[name])
        model.train()
        for i, (x, y) in enumerate(loader):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            if i % 7 == 0:
                print(f"epoch {epoch} batch {i} loss {loss.item():.6f} lr {scheduler.get_last_lr()[0]:.6f}")
    model.eval()
    with torch.no_grad():
        x, y = zip(*test)
        right = (model(torch.stack(x)).argmax(1) == torch.stack(y)).float().mean()
    print(f"test accuracy {right.item():.4f}")


if __name__ == "__main__":
    main()
