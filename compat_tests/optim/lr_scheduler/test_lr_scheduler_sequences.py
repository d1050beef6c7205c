"""Any sequence of what one does with a scheduler leaves torch and this package with the same rates and state."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat_tests.optim.lr_scheduler.test_lr_scheduler_parity import tensors
from tests.marks import examples, mostly_long
from torchish_mlx.parity.scheduler_cases import CASES, class_of
from torchish_mlx.parity.scheduler_pair import SIDES, Pair

EXAMPLES = 60  # of each class
PLAIN = sorted({class_of(case) for case in CASES})

operations = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.integers(1, 12)),
        st.tuples(st.just("epoch"), st.integers(0, 70) | st.sampled_from([0.5, 7.25, 33.3])),
        st.tuples(st.just("write"), st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.2, 1.0, -0.3]))),
        st.tuples(st.just("momentum"), st.sampled_from([0.25, 0.5])),
        st.tuples(st.just("save"), st.none()),
        st.tuples(st.just("load"), st.sampled_from(["scheduler", "optimizer", "both"])),
        st.tuples(st.just("resume"), st.sampled_from(["before", "after", "last"])),
        st.tuples(st.just("rebuild"), st.none()),
        st.tuples(st.just("group"), st.none()),
        st.tuples(st.just("train"), st.none()),
    ),
    min_size=1,
    max_size=12,
)


class Run:
    """A pair, and the operations by name; each says if both sides did it."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.save(None)

    def step(self, count: int) -> bool:
        for _ in range(count):
            if not self.pair.step():
                return False
            self.pair.check_rates()
        return True

    def epoch(self, epoch: float) -> bool:
        return self.pair.step(epoch)

    def write(self, place: tuple[int, float]) -> bool:
        for side, optimizer in zip(SIDES, self.pair.optimizers, strict=True):
            group = optimizer.param_groups[place[0]]
            group["lr"] = side.tensor(place[1]) if hasattr(group["lr"], "fill_") else place[1]
        return True

    def momentum(self, value: float) -> bool:
        for optimizer in self.pair.optimizers:
            optimizer.param_groups[0]["momentum"] = value
        return True

    def save(self, _: None) -> bool:
        self.kept, self.kept_functions = self.pair.saved(), self._functions()
        return True

    def _functions(self) -> list[int]:
        """How many functions the scheduler has for its groups, and each of those within it."""
        parts = self.pair.schedulers[0], *getattr(self.pair.schedulers[0], "_schedulers", ())
        return [len(getattr(part, "lr_lambdas", ())) for part in parts]

    def load(self, what: str) -> bool:
        pair = self.pair
        if len(pair.optimizers[0].param_groups) != len(self.kept[0][1]["param_groups"]):
            return True  # optimizers refuse it
        if what != "optimizer" and self._functions() != self.kept_functions:
            # Torch takes functions for another number of groups, and refuses the next step.
            with pytest.raises(ValueError, match="in the state dict"):
                pair.schedulers[0].load_state_dict(self.kept[0][0])
            return True
        for scheduler, optimizer, (kept, optimizer_kept) in zip(
            pair.schedulers, pair.optimizers, self.kept, strict=True
        ):
            if what != "optimizer":
                scheduler.load_state_dict(kept)
            if what != "scheduler":
                optimizer.load_state_dict(optimizer_kept)
        self.save(None)  # what was loaded is shared from here on, in torch as here
        return True

    def resume(self, order: str) -> bool:
        if len(self.pair.optimizers[0].param_groups) != self.pair.groups:
            return True
        self.pair = self.pair.resumed(self.pair.saved(), order)
        return self.pair.made

    def rebuild(self, _: None) -> bool:
        """Another scheduler on an optimizer that one has moved."""
        return self.pair.build()

    def group(self, _: None) -> bool:
        """Most schedulers are for the groups that there were, and refuse to step."""
        for side, optimizer in zip(SIDES, self.pair.optimizers, strict=True):
            lr = side.tensor(0.25) if self.pair.lrs is tensors else 0.25
            optimizer.add_param_group({"params": [side.parameter([1.0])], "lr": lr, "initial_lr": 0.25})
        return True

    def train(self, _: None) -> bool:
        self.pair.train()
        return True


SHORT = ("ChainedScheduler", "CosineAnnealingWarmRestarts", "CyclicLR", "LRScheduler", "LinearLR", "ReduceLROnPlateau")


@pytest.mark.parametrize("name", mostly_long(PLAIN, SHORT.__contains__))
@settings(max_examples=examples(EXAMPLES), deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_any_sequence(name, data):
    """Up to the first operation that both sides refuse, in the same words."""
    case = data.draw(st.sampled_from([case for case in CASES if class_of(case) == name]), "case")
    kind = data.draw(st.sampled_from(["SGD", "AdamW", "mlx.SGD", "mlx.AdamW"]), "optimizer")
    more: dict[str, Any] = {"lrs": tensors} if data.draw(st.integers(0, 3), "tensors") == 0 else {}
    pair = Pair(CASES[case], kind, groups=2, **more)
    run = Run(pair)
    for operation, argument in data.draw(operations, "operations"):
        if operation == "epoch" and "negative" in case:
            argument = int(argument)  # not the root of a negative factor
        if not getattr(run, operation)(argument):
            break
        run.pair.check()
