"""A siamese network with a triplet loss puts equal digits next to each other."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Triplets(Dataset):
    """An image, another of the same digit, and one of another digit."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels
        self.of = {d: torch.nonzero(labels == d).flatten() for d in range(10)}

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        digit = int(self.labels[i])
        other = (digit + int(torch.randint(1, 10, (1,)))) % 10
        same, apart = self.of[digit], self.of[other]
        positive = same[torch.randint(len(same), (1,)).item()]
        negative = apart[torch.randint(len(apart), (1,)).item()]
        return self.images[i], self.images[positive], self.images[negative]


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(4, 16)
        self.fc = nn.Linear(16 * 16, 16)

    def forward(self, x):
        x = F.silu(self.norm(self.conv(x)))
        return F.normalize(self.fc(torch.flatten(x, 1)), dim=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    torch.manual_seed(5)
    data = load_digits()
    images = torch.tensor(data.images[:512], dtype=torch.float).unsqueeze(1) / 16
    loader = DataLoader(Triplets(images, torch.tensor(data.target[:512])), batch_size=64, shuffle=True)
    model = Encoder()
    criterion = nn.TripletMarginLoss(margin=0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for epoch in range(args.epochs):
        for i, triplet in enumerate(loader):
            a, p, n = (model(x) for x in triplet)
            loss = criterion(a, p, n)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if i % 2 == 0:
                near, far = F.pairwise_distance(a, p).mean(), F.cosine_similarity(a, n).mean()
                print(f"epoch {epoch} batch {i} loss {loss.item():.6f} near {near.item():.5f} far {far.item():.5f}")


if __name__ == "__main__":
    main()
