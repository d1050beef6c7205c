"""``state[p]`` as torch's scripts and wrappers use it."""

from __future__ import annotations

from typing import Any

from compat_tests.bridge import outcome
from compat_tests.two_sides import THEIRS, Side, on_both, push


def test_state_before_and_after() -> None:
    """``in``, len, get, keys, items; before the first step, after it, and of a parameter that missed it."""

    def scenario(side: Side) -> Any:
        a, b = side.parameter([1.0, -2.0]), side.parameter([3.0])
        opt = side.optim.Adam([a, b], lr=0.1)
        seen = [a in opt.state, opt.state.get(a), opt.state.get(a, "none"), a in opt.state]
        push(a)
        opt.step()
        entries = opt.state[a]
        seen += [a in opt.state, b in opt.state, len(entries), list(entries), list(entries.keys())]
        seen += ["exp_avg" in entries, "momentum" in entries, entries.get("momentum"), entries.get("momentum", 5)]
        seen += [dict(entries.items()), list(entries.values()), entries["step"].item()]
        seen += [len(opt.state[b]), opt.state.get(b, "none"), b in opt.state, len(opt.state)]  # reading made a dict
        seen += [outcome(lambda: entries["momentum"]), outcome(lambda: entries.pop("momentum"))]
        return seen

    on_both(scenario)


def test_writing_in_place() -> None:
    """In-place operations on an entry, on a slice of it and on the count reach the next step."""

    def scenario(side: Side) -> Any:
        a, b = side.parameter([1.0, -2.0, 3.0]), side.parameter([1.0])
        opt = side.optim.Adam([a, b], lr=0.1)
        push(a, b)
        opt.step()
        opt.state[a]["exp_avg"].mul_(0.5).add_(0.1)
        opt.state[a]["exp_avg_sq"][1:].fill_(0.25)
        opt.state[a]["step"].add_(4)
        held = opt.state[b]["exp_avg"]
        push(a, b)
        opt.step()
        return a, b, opt.state_dict()["state"], held, opt.state[b]["exp_avg"] is held

    on_both(scenario)


def test_assigning() -> None:
    """A tensor assigned to an entry becomes that entry: written on either side, it is one."""

    def scenario(side: Side) -> Any:
        p = side.parameter([1.0, -2.0])
        opt = side.optim.SGD([p], lr=0.1, momentum=0.9)
        push(p)
        opt.step()
        mine = side.tensor([0.5, 0.25])
        opt.state[p]["momentum_buffer"] = mine
        push(p)
        opt.step()
        after = mine.clone()
        mine.zero_()
        same = opt.state[p]["momentum_buffer"] is mine
        opt.state[p] = {"momentum_buffer": side.tensor([1.0, 1.0])}
        push(p)
        opt.step()
        return after, same, mine, opt.state[p]["momentum_buffer"], p

    on_both(scenario)


def test_other_values() -> None:
    """Ints, None, strings and lists beside the tensors: kept as they are, saved, loaded and deleted."""

    def scenario(side: Side) -> Any:
        p = side.parameter([1.0, -2.0])
        opt = side.optim.SGD([p], lr=0.1, momentum=0.9)
        push(p)
        opt.step()
        state = opt.state[p]
        state["calls"], state["note"], state["nothing"], state["history"] = 3, "kept", None, [side.tensor([1.0]), 2]
        state["calls"] += 1
        state["history"].append(5)
        first = dict(state)
        saved = opt.state_dict()
        new = side.optim.SGD([p], lr=0.1, momentum=0.9)
        if side is THEIRS:
            new.load_state_dict(saved)
            loaded = {k: v for k, v in new.state[p].items() if v is not None and k != "note"}
        else:  # a string comes back as one, which torch makes a generator; None is left out by an optimizer with a rule
            new.load_state_dict(saved)
            loaded = dict(new.state[p])
            assert loaded.pop("note") == "kept"
        del state["note"]
        popped = state.pop("calls")
        return first, loaded, popped, sorted(state), outcome(lambda: state.__delitem__("note"))

    on_both(scenario)


def test_clearing() -> None:
    """Dropping the state of one parameter, of all: the next step begins anew, count included."""

    def scenario(side: Side) -> Any:
        a, b = side.parameter([1.0, -2.0]), side.parameter([3.0])
        opt, seen = side.optim.Adam([a, b], lr=0.1), []

        def step() -> None:
            push(a, b)
            opt.step()
            seen.append(
                (a.detach().clone(), b.detach().clone(), opt.state[a]["step"].item(), opt.state[b]["step"].item())
            )

        step()
        step()
        del opt.state[a]
        seen.append(a in opt.state)
        step()
        seen.append(sorted(opt.state.pop(b)))
        seen.append((b in opt.state, outcome(lambda: opt.state.pop(b)) is not None))
        step()
        opt.state[a].clear()
        opt.state[b].clear()
        step()
        return seen

    on_both(scenario)


def test_state_of_a_stranger() -> None:
    """A tensor that the optimizer does not hold has no state, and may be given one, as wrappers do."""

    def scenario(side: Side) -> Any:
        p, q = side.parameter([1.0]), side.parameter([2.0])
        opt = side.optim.SGD([p], lr=0.1)
        before = q in opt.state
        opt.state[q]["slow"] = side.tensor([5.0])
        return before, q in opt.state, opt.state[q]["slow"]

    on_both(scenario)
