"""An LSTM language model over sentences of different lengths, which are packed."""

import argparse

import torch
from torch import nn, optim
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

SUBJECTS = ["the cat", "a dog", "every child", "the old man"]
VERBS = ["sees", "likes", "follows", "does not see"]
OBJECTS = ["a bird", "the house on the hill", "nobody", "the small red ball"]


class Model(nn.Module):
    def __init__(self, words, width=32, hidden=48):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.lstm = nn.LSTM(width, hidden, num_layers=2, dropout=0.2, batch_first=True)
        self.out = nn.Linear(hidden, words)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.embed(x), lengths, batch_first=True, enforce_sorted=False)
        output, _ = self.lstm(packed)
        output, _ = pad_packed_sequence(output, batch_first=True)
        return self.out(output)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args()
    torch.manual_seed(0)
    sentences = [f"{s} {v} {o} .".split() for s in SUBJECTS for v in VERBS for o in OBJECTS]
    words = ["<pad>", "<start>", *sorted({w for s in sentences for w in s})]
    codes = {w: i for i, w in enumerate(words)}
    coded = [torch.tensor([1, *[codes[w] for w in s]]) for s in sentences]
    model = Model(len(words))
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    criterion = nn.CrossEntropyLoss(ignore_index=0)
    for epoch in range(args.epochs):
        model.train()
        order = torch.randperm(len(coded))
        for start in range(0, len(coded), 16):
            batch = [coded[i] for i in order[start : start + 16].tolist()]
            x = pad_sequence(batch, batch_first=True)
            lengths = torch.tensor([len(b) - 1 for b in batch])
            logits = model(x[:, :-1], lengths)
            loss = criterion(logits.reshape(-1, len(words)), x[:, 1:].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
        scheduler.step()
        print(f"epoch {epoch} loss {loss.item():.6f} perplexity {loss.exp().item():.5f}")


if __name__ == "__main__":
    main()
