"""A bidirectional GRU tags each number of a sequence: whether the sum so far is even."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Sums(Dataset):
    def __init__(self, count, longest=12):
        generator = torch.Generator().manual_seed(7)
        self.items = []
        for _ in range(count):
            n = int(torch.randint(3, longest + 1, (1,), generator=generator))
            x = torch.randint(1, 10, (n,), generator=generator)
            self.items.append((x, x.cumsum(0) % 2))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate(batch):
    xs, ys = zip(*batch)
    x = nn.utils.rnn.pad_sequence(xs, batch_first=True)
    y = nn.utils.rnn.pad_sequence(ys, batch_first=True, padding_value=-100)
    return x, y


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 16, padding_idx=0)
        self.gru = nn.GRU(16, 24, batch_first=True, bidirectional=True)
        self.out = nn.Linear(48, 2)

    def forward(self, x):
        states, _ = self.gru(self.embed(x))
        return self.out(torch.tanh(states))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    torch.manual_seed(3)
    loader = DataLoader(Sums(256), batch_size=32, shuffle=True, collate_fn=collate)
    model = Tagger()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        total = right = count = 0
        for x, y in loader:
            logits = model(x)
            loss = criterion(logits.flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
            known = y != -100
            right += (logits.argmax(-1)[known] == y[known]).sum().item()
            count += known.sum().item()
        scheduler.step(total)
        print(f"epoch {epoch} loss {total / 256:.6f} accuracy {right / count:.4f}")


if __name__ == "__main__":
    main()
