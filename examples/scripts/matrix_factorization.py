"""Users and items as vectors whose products are ratings: Embedding with sparse gradients, and Adagrad."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset


class Factors(nn.Module):
    def __init__(self, users, items, width=8):
        super().__init__()
        self.users = nn.Embedding(users, width, sparse=True)
        self.items = nn.Embedding(items, width, sparse=True)
        self.user_bias = nn.Embedding(users, 1, sparse=True)
        self.item_bias = nn.Embedding(items, 1, sparse=True)
        nn.init.xavier_uniform_(self.users.weight)
        nn.init.xavier_uniform_(self.items.weight)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.item_bias.weight)

    def forward(self, user, item):
        product = (self.users(user) * self.items(item)).sum(1, keepdim=True)
        return (product + self.user_bias(user) + self.item_bias(item)).squeeze(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    torch.manual_seed(11)
    users, items = 60, 40
    truth = torch.randn(users, 3) @ torch.randn(3, items)
    pairs = torch.cartesian_prod(torch.arange(users), torch.arange(items))
    pairs = pairs[torch.rand(len(pairs)) < 0.5]
    data = TensorDataset(pairs[:, 0], pairs[:, 1], truth[pairs[:, 0], pairs[:, 1]])
    loader = DataLoader(data, batch_size=100, sampler=RandomSampler(data))
    model = Factors(users, items)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.3)
    for epoch in range(args.epochs):
        total = 0.0
        for user, item, rating in loader:
            loss = nn.functional.smooth_l1_loss(model(user, item), rating)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch} loss {total / len(loader):.6f}")


if __name__ == "__main__":
    main()
