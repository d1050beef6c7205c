"""``optimizer.state`` over Parameters of no module is torch's mapping, in each use that programs make of it."""

from __future__ import annotations

import copy
import pickle
from collections import defaultdict
from typing import Any

from compat_tests.bridge import outcome
from compat_tests.two_sides import Side, on_both, push


def made(side: Side, **options: Any) -> Any:
    a, b = side.parameter([1.0, -2.0]), side.parameter([3.0])
    return a, b, side.optim.Adam([a, b], lr=0.1, **options)


def test_lengths_keys_values_and_items() -> None:
    def scenario(side: Side) -> Any:
        a, b, opt = made(side)
        seen: list[Any] = [len(opt.state), list(opt.state), bool(opt.state), isinstance(opt.state, dict)]
        push(b)
        opt.step()
        seen += [len(opt.state), [p is b for p in opt.state], [p is b for p in opt.state.keys()]]  # noqa: SIM118
        push(a, b)
        opt.step()
        order = [p is a for p in opt.state]
        seen += [order, [sorted(entries) for entries in opt.state.values()]]
        seen += [[(p is a, entries["step"].item()) for p, entries in opt.state.items()]]
        seen += [outcome(lambda: opt.state["missing"]), "missing" in opt.state, len(opt.state)]
        return seen

    on_both(scenario)


def test_moving_to_a_device() -> None:
    """The loop by which programs move a loaded state."""

    def scenario(side: Side) -> Any:
        a, b, opt = made(side)
        push(a, b)
        opt.step()
        for entries in opt.state.values():
            for name, value in entries.items():
                if isinstance(value, side.library.Tensor):
                    entries[name] = value.to("cpu")
        push(a, b)
        opt.step()
        return a, b, opt.state_dict()["state"]

    on_both(scenario)


def test_entries_of_no_parameter() -> None:
    """Numbers, tensors and dicts under any key: in the state dict, after a load, in copies and pickles."""

    def scenario(side: Side) -> Any:
        a, b, opt = made(side)
        opt.state["k"] = side.tensor([0.0])
        opt.state["k"] += 2
        opt.state["n"] = 3
        opt.state["global"]["calls"] = 5
        push(a, b)
        opt.step()
        seen: list[Any] = [opt.state["k"], opt.state["n"], len(opt.state), sorted(map(str, opt.state_dict()["state"]))]
        other = made(side)[2]
        other.load_state_dict(copy.deepcopy(opt.state_dict()))
        other.state["k"] += 1
        seen += [other.state["k"], opt.state["k"], other.state["n"], other.state["global"]]
        for twin in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
            seen += [twin.state["k"], twin.state["n"], len(twin.state)]
        seen += [opt.state.pop("n"), opt.state.pop("n", "none"), outcome(lambda: opt.state.pop("n"))]
        del opt.state["global"]
        opt.state.setdefault("new", 7)
        opt.state.update({"k": 1})
        return [*seen, [opt.state[name] for name in ("k", "new")], opt.state.get("global"), len(opt.state)]

    on_both(scenario)


def test_wrappers_that_share_the_state() -> None:
    """``self.state = base.state; self.param_groups = base.param_groups``: one state, saved and loaded by either."""

    def scenario(side: Side) -> Any:
        class Lookahead(side.optim.Optimizer):
            def __init__(self, base: Any, call_init: bool) -> None:
                if call_init:
                    super().__init__(base.param_groups[0]["params"], {"k": 2})
                self.base, self.calls, self.defaults = base, 0, base.defaults
                self.state = base.state
                self.param_groups = base.param_groups

            def step(self, closure: Any = None) -> Any:
                self.base.step()
                self.calls += 1
                for group in self.param_groups:
                    for p in group["params"]:
                        entries = self.state[p]
                        if "slow" not in entries:
                            entries["slow"] = p.detach().clone()
                        if self.calls % 2 == 0:
                            entries["slow"].add_(p.detach() - entries["slow"], alpha=0.5)
                            p.data.copy_(entries["slow"])

        seen: list[Any] = []
        for call_init in (False, True):
            a, b, base = made(side)
            opt = Lookahead(base, call_init)
            for _ in range(5):
                push(a, b)
                opt.step()
            saved = copy.deepcopy(base.state_dict())
            seen += [a, b, saved["state"], opt.state[a]["step"], len(opt.state), opt.state[a] is base.state[a]]
            push(a, b)
            opt.step()
            base.load_state_dict(saved)
            seen += [base.state[a]["slow"]]
        return seen

    on_both(scenario)


def test_resetting() -> None:
    """``clear``, a new ``defaultdict``, an empty dict: the next step is a first one."""

    def scenario(side: Side) -> Any:
        seen: list[Any] = []
        for reset in (
            lambda opt: opt.state.clear(),
            lambda opt: setattr(opt, "state", defaultdict(dict)),
            lambda opt: opt.__setstate__({"state": defaultdict(dict), "param_groups": opt.param_groups}),
        ):
            a, b, opt = made(side)
            for _ in range(3):
                push(a, b)
                opt.step()
            held = opt.state[a]
            reset(opt)
            seen += [a in opt.state, len(held), held["step"].item()]
            push(a, b)
            opt.step()
            seen += [a.detach().clone(), opt.state[a]["step"].item(), opt.state[b]["exp_avg"]]
        return seen

    on_both(scenario)


def test_entries_of_a_parameter_that_no_group_has() -> None:
    """torch has no number for it, and says so by a KeyError."""

    def scenario(side: Side) -> Any:
        a, b, opt = made(side)
        push(a, b)
        opt.step()
        opt.param_groups[0]["params"] = [a]
        kind, _ = outcome(opt.state_dict) or ("nothing", "")
        del opt.state[b]
        return kind, len(opt.state_dict()["state"])

    on_both(scenario)
