"""Deep Q-learning on a line of cells: the end is worth one, and every step costs a little."""

import argparse
import copy
import random
from collections import deque, namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F

Transition = namedtuple("Transition", ("state", "action", "reward", "next_state", "done"))
CELLS = 8


class Walk:
    """An environment with the methods that programs expect."""

    def reset(self):
        self.at = 0
        return self.observe()

    def observe(self):
        return torch.nn.functional.one_hot(torch.tensor(self.at), CELLS).float()

    def step(self, action):
        self.at = max(0, self.at + (1 if action == 1 else -1))
        done = self.at == CELLS - 1
        return self.observe(), 1.0 if done else -0.01, done


class QNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Linear(CELLS, 32)
        self.layer2 = nn.Linear(32, 2)

    def forward(self, x):
        return self.layer2(F.relu(self.layer1(x)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=12)
    args = parser.parse_args()
    torch.manual_seed(0)
    random.seed(0)
    policy = QNetwork()
    target = copy.deepcopy(policy)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-2, amsgrad=True)
    memory, env = deque(maxlen=500), Walk()
    epsilon = 1.0
    for episode in range(args.episodes):
        state, total, losses = env.reset(), 0.0, []
        for _ in range(40):
            if random.random() < epsilon:
                action = random.randrange(2)
            else:
                with torch.no_grad():
                    action = policy(state).argmax().item()
            following, reward, done = env.step(action)
            memory.append(Transition(state, action, reward, following, done))
            state, total = following, total + reward
            if len(memory) >= 32:
                batch = Transition(*zip(*random.sample(memory, 32)))
                states, nexts = torch.stack(batch.state), torch.stack(batch.next_state)
                actions = torch.tensor(batch.action).unsqueeze(1)
                rewards, ends = torch.tensor(batch.reward), torch.tensor(batch.done)
                values = policy(states).gather(1, actions).squeeze(1)
                with torch.no_grad():
                    best = target(nexts).max(1).values
                    goals = rewards + 0.95 * best * ~ends
                loss = F.huber_loss(values, goals)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_value_(policy.parameters(), 1.0)
                optimizer.step()
                losses.append(loss.item())
                with torch.no_grad():
                    for old, new in zip(target.parameters(), policy.parameters()):
                        old.mul_(0.95).add_(new, alpha=0.05)
            if done:
                break
        epsilon *= 0.8
        if losses:
            print(f"episode {episode} reward {total:.3f} loss {sum(losses) / len(losses):.6f}")


if __name__ == "__main__":
    main()
