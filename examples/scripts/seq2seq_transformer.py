"""A Transformer with encoder and decoder learns to turn sequences of digits round."""

import argparse
import math

import torch
from torch import nn

START, WORDS, LENGTH = 10, 11, 6


class Positions(nn.Module):
    def __init__(self, width, dropout=0.1, longest=64):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        at = torch.arange(longest).unsqueeze(1)
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.zeros(1, longest, width)
        table[0, :, 0::2] = torch.sin(at * rate)
        table[0, :, 1::2] = torch.cos(at * rate)
        self.register_buffer("table", table)

    def forward(self, x):
        return self.dropout(x + self.table[:, : x.size(1)])


class Seq2Seq(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Embedding(WORDS, width)
        self.positions = Positions(width)
        self.transformer = nn.Transformer(
            d_model=width,
            nhead=4,
            num_encoder_layers=2,
            num_decoder_layers=2,
            dim_feedforward=64,
            dropout=0.1,
            batch_first=True,
        )
        self.out = nn.Linear(width, WORDS)

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.size(1))
        source, target = (self.positions(self.embed(t)) for t in (source, target))
        return self.out(self.transformer(source, target, tgt_mask=mask))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = Seq2Seq()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-9)
    criterion = nn.CrossEntropyLoss()
    for step in range(args.steps):
        source = torch.randint(0, 10, (32, LENGTH))
        goal = source.flip(1)
        target = torch.cat([torch.full((32, 1), START), goal[:, :-1]], dim=1)
        logits = model(source, target)
        loss = criterion(logits.transpose(1, 2), goal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 5 == 0:
            print(f"step {step} loss {loss.item():.6f}")
    model.eval()
    with torch.no_grad():
        source = torch.randint(0, 10, (8, LENGTH))
        out = torch.full((8, 1), START)
        for _ in range(LENGTH):
            out = torch.cat([out, model(source, out)[:, -1].argmax(-1, keepdim=True)], dim=1)
    print(f"right {(out[:, 1:] == source.flip(1)).float().mean().item():.4f}")


if __name__ == "__main__":
    main()
