"""``nn.Module`` and its containers next to torch: the same program in both, and what it says at each point."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchish_mlx as tm

PROGRAMS: dict[str, Callable[[Any], Any]] = {}


def program(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    PROGRAMS[function.__name__] = function
    return function


def linear(T: Any) -> Any:
    """A layer as a user writes it, with buffers of both kinds."""

    class Layer(T.nn.Module):
        _version = 3

        def __init__(self, into: int, out: int, bias: bool = True) -> None:
            super().__init__()
            self.weight = T.nn.Parameter(T.arange(float(into * out)).reshape(out, into))
            if bias:
                self.bias = T.nn.Parameter(T.zeros(out))
            else:
                self.register_parameter("bias", None)
            self.register_buffer("count", T.tensor(0))
            self.register_buffer("hidden", T.tensor(1.0), persistent=False)

        def forward(self, x: Any) -> Any:
            return T.nn.functional.linear(x, self.weight, self.bias)

        def extra_repr(self) -> str:
            return "as written\nin two lines" if self.bias is None else "as written"

    return Layer


def model(T: Any) -> Any:
    layer, nn = linear(T), T.nn
    made = nn.Sequential(
        layer(2, 3),
        nn.ModuleDict({"a": nn.Identity(), "b": layer(1, 1, False)}),
        nn.ModuleList([nn.Identity(), nn.Identity(), layer(1, 2)]),
    )
    made.tied = made[0]
    return made


def attempts(*calls: Callable[[], Any]) -> list[str]:
    """What each call raises, or returns."""
    found = []
    for call in calls:
        try:
            found.append(repr(call()))
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


@program
def lists(T: Any) -> Any:
    m = model(T)
    return [
        repr(m),
        [name for name, _ in m.named_parameters()],
        [name for name, _ in m.named_parameters(remove_duplicate=False)],
        [name for name, _ in m.named_parameters("p", recurse=False)],
        [name for name, _ in m.named_modules()],
        [name for name, _ in m.named_modules(remove_duplicate=False)],
        [name for name, _ in m.named_children()],
        [name for name, _ in m.named_buffers()],
        len(list(m.parameters())),
        [name for name in dir(m) if not name.startswith("_")] and "tied" in dir(m),
    ]


@program
def state_dicts(T: Any) -> Any:
    m = model(T)
    state = m.state_dict()
    with_prefix = m[0].state_dict(prefix="x.")
    into = m[0].state_dict(destination=OrderedDict(a=1), prefix="y.")
    own = m[0].state_dict(keep_vars=True)
    return [
        list(state),
        {k: dict(v) for k, v in state._metadata.items()},
        list(with_prefix),
        {k: dict(v) for k, v in with_prefix._metadata.items()},
        list(into),
        own["weight"] is m[0].weight,
        state["0.weight"].requires_grad,
        repr(m.load_state_dict(state)),
        type(state).__name__,
    ]


@program
def state_dicts_that_do_not_fit(T: Any) -> Any:
    m = model(T)
    bad = OrderedDict(m.state_dict())
    bad["x.y"], bad["0.weight"], bad["2.2.bias"] = T.ones(1), T.ones(1, 1), "text"
    del bad["0.bias"]
    before = m[0].weight.tolist()
    found = attempts(lambda: m.load_state_dict(bad), lambda: m.load_state_dict([]))
    found += attempts(lambda: m.load_state_dict({"0.bias": T.ones(3), "z": T.ones(1)}, strict=False))
    return [line.replace("torchish_mlx._tensor.tensor.Tensor", "torch.Tensor") for line in found], m[0].bias, before


@program
def state_dicts_that_are_assigned(T: Any) -> Any:
    m = linear(T)(2, 1)
    m.weight.requires_grad_(False)
    given = {"weight": T.ones(1, 2).double(), "bias": T.nn.Parameter(T.ones(1)), "count": T.tensor(5)}
    before = m.weight
    m.load_state_dict(given, assign=True)
    return m.weight, str(m.weight.dtype), m.weight is before, m.weight.requires_grad, m.bias is given["bias"], m.count


@program
def extra_state_and_hooks_of_state(T: Any) -> Any:
    class Extra(linear(T)):  # type: ignore[misc]
        extra: Any = None

        def get_extra_state(self) -> Any:
            return self.extra

        def set_extra_state(self, state: Any) -> None:
            self.extra = state

    m, log = Extra(1, 1), []
    m.register_state_dict_pre_hook(lambda module, prefix, keep: log.append(("pre", prefix, keep)))
    m.register_state_dict_post_hook(lambda module, state, prefix, local: state.update({prefix + "more": 1}) or None)
    m._register_state_dict_hook(lambda module, state, prefix, local: log.append(("old", sorted(local))))
    m.register_load_state_dict_pre_hook(
        lambda module, state, *rest: log.append(("load", len(rest), state.pop("more", 0)))
    )
    handle = m.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    state = m.state_dict()
    state["_extra_state"] = {"a": 2}
    del state["bias"]
    found = attempts(lambda: m.load_state_dict(state))
    handle.remove()
    found += attempts(lambda: m.load_state_dict(state))
    return list(m.state_dict()), log, found, m.extra


@program
def registering(T: Any) -> Any:
    nn, m = T.nn, model(T)
    return attempts(
        lambda: setattr(m, "0", 3),
        lambda: m.register_buffer("a.b", None),
        lambda: m.register_buffer("", None),
        lambda: m.register_buffer(1, None),
        lambda: m.register_buffer("forward", None),
        lambda: m.register_buffer("x", 3),
        lambda: m.register_parameter("x", 3),
        lambda: m.register_parameter("x", T.ones(1)),
        lambda: m.register_parameter("a.b", None),
        lambda: m.register_parameter("train", None),
        lambda: m[0].register_parameter("y", (nn.Parameter(T.ones(1)) * 2)),
        lambda: m.add_module("q", 3),
        lambda: m.add_module("a.b", None),
        lambda: m.add_module("", None),
        lambda: m.add_module(3, None),
        lambda: m.add_module("eval", None),
        lambda: setattr(m[0], "weight", T.ones(2)),
        lambda: setattr(m[0], "weight", None) or m[0].weight,
        lambda: setattr(m[0], "count", 3),
        lambda: setattr(m[0], "count", T.tensor(7)) or m[0].state_dict()["count"].item(),
        lambda: m.missing,
        lambda: delattr(m[0], "bias") or [n for n, _ in m[0].named_parameters()],
        lambda: delattr(m[0], "nothing"),
        lambda: nn.Module(3),
        lambda: nn.Module(a=3),
        lambda: nn.Module()(1),
        lambda: m.train(3),
        lambda: m.get_extra_state()[0],
    )[:-1]


@program
def before_init(T: Any) -> Any:
    class Early(T.nn.Module):
        def __init__(self, what: Callable[[Any], None]) -> None:
            what(self)

    return attempts(
        lambda: Early(lambda m: setattr(m, "p", T.nn.Parameter(T.ones(1)))),
        lambda: Early(lambda m: setattr(m, "p", T.nn.Identity())),
        lambda: Early(lambda m: m.register_buffer("b", T.ones(1))),
        lambda: Early(lambda m: m.register_parameter("b", None)),
    )


@program
def members_that_change_their_kind(T: Any) -> Any:
    m = T.nn.Module()
    found = []
    m.x = 3
    m.x = T.nn.Parameter(T.ones(1))
    found.append([n for n, _ in m.named_parameters()])
    m.x = None
    found.append((m.x, [n for n, _ in m.named_parameters()]))
    m.y = T.nn.Identity()
    m.y = T.nn.Parameter(T.ones(2))
    found.append(([n for n, _ in m.named_children()], [n for n, _ in m.named_parameters()]))
    m.b = T.nn.Buffer(T.ones(3), persistent=False)
    m.c = T.nn.Buffer(T.ones(3))
    return found, list(m.state_dict()), [n for n, _ in m.named_buffers()]


@program
def paths(T: Any) -> Any:
    m = model(T)
    return attempts(
        lambda: type(m.get_submodule("1.b")).__name__,
        lambda: m.get_submodule("") is m,
        lambda: m.get_submodule("1.c"),
        lambda: m.get_submodule("0.weight"),
        lambda: m.get_parameter("0.weight").shape,
        lambda: m.get_parameter("0.count"),
        lambda: m.get_parameter("0.none"),
        lambda: m.get_buffer("0.count"),
        lambda: m.get_buffer("0.weight"),
        lambda: m.set_submodule("1.a", T.nn.Sequential()) or m[1]["a"],
        lambda: m.set_submodule("", T.nn.Identity()),
        lambda: m.set_submodule("1.zz", T.nn.Identity(), strict=True),
    )


@program
def conversions(T: Any) -> Any:
    m = model(T)
    parameter = m[0].weight
    parameter.grad = T.ones(3, 2)
    found = [m.half() is m, m[0].weight is parameter, str(parameter.grad.dtype)]
    found += [str(t.dtype) for t in [*m.parameters(), *m.buffers()]]
    m.to(T.float64)
    found += [str(t.dtype) for t in [*m.parameters(), *m.buffers()]]
    m.to("cpu", T.float32)
    m.float().requires_grad_(False)
    found += [p.requires_grad for p in m.parameters()]
    found += attempts(lambda: m.to(T.int32), lambda: m.to("nonsense"))
    found += [sorted({str(t.dtype) for t in m.to(T.ones(1, dtype=T.bfloat16)).parameters()})]
    m.apply(lambda module: found.append(type(module).__name__))
    m.zero_grad(set_to_none=False)
    found += [parameter.grad]
    m.zero_grad()
    return [*found, parameter.grad, m.eval()[0].training, m.train()[0].training, str(m.type(T.float64)[0].weight.dtype)]


@program
def hooks_of_forward(T: Any) -> Any:
    m, log = linear(T)(2, 1), []
    x = T.ones(1, 2)
    handles = [
        m.register_forward_pre_hook(lambda module, args: log.append("a") or (args[0] * 2,)),
        m.register_forward_pre_hook(lambda module, args: log.append("first"), prepend=True),
        m.register_forward_pre_hook(lambda module, args, kwargs: log.append(sorted(kwargs)), with_kwargs=True),
        m.register_forward_hook(lambda module, args, out: log.append("b") or out + 1),
        m.register_forward_hook(lambda module, args, kwargs, out: log.append(len(args)), with_kwargs=True),
    ]
    one, two = m(x), m(x)
    for handle in handles:
        handle.remove()
    return one, two, m(x), log


@program
def hooks_that_are_always_called(T: Any) -> Any:
    class Failing(T.nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("failed")

    m, log = Failing(), []
    m.register_forward_hook(lambda module, args, out: log.append(out), always_call=True)
    m.register_forward_hook(lambda module, args, out: log.append("never"))
    return attempts(lambda: m(1)), log


@program
def hooks_of_backward(T: Any) -> Any:
    m, log = linear(T)(2, 2), []
    handles = [
        m.register_full_backward_hook(lambda module, gi, go: log.append((gi[0].tolist(), go[0].tolist()))),
        m.register_full_backward_pre_hook(lambda module, go: (go[0] * 3,)),
        m.register_full_backward_hook(lambda module, gi, go: (gi[0] * 10,)),
    ]
    x = T.ones(1, 2, requires_grad=True)
    m(x).sum().backward()
    first = x.grad.clone(), m.weight.grad.clone()
    for handle in handles:
        handle.remove()
    m.register_full_backward_hook(lambda module, gi, go: log.append((gi, go[0].tolist())))
    m(T.ones(1, 2)).sum().backward()
    return first, log, m.weight.grad


@program
def hooks_of_backward_of_several(T: Any) -> Any:
    class Two(T.nn.Module):
        def forward(self, a: Any, b: Any, n: int) -> Any:
            return a * n, b + 1

    m, log = Two(), []
    m.register_full_backward_hook(
        lambda module, gi, go: log.append([None if g is None else g.tolist() for g in (*gi, *go)])
    )
    x, y = T.ones(2, requires_grad=True), T.ones(2)
    a, b = m(x, y, 3)
    (a.sum() + b.sum()).backward()
    return log, x.grad


@program
def old_hooks_of_backward(T: Any) -> Any:
    m, log = linear(T)(2, 2), []
    m.register_backward_hook(lambda module, gi, go: log.append(go[0].tolist()))
    m(T.ones(1, 2)).sum().backward()
    return log, attempts(lambda: m.register_full_backward_hook(print))


@program
def hooks_of_all_modules(T: Any) -> Any:
    m, log, module = linear(T)(1, 1), [], T.nn.modules.module
    handles = [
        module.register_module_forward_pre_hook(lambda mod, args: log.append(("pre", type(mod).__name__))),
        module.register_module_forward_hook(lambda mod, args, out: log.append(("post", type(mod).__name__))),
        module.register_module_full_backward_hook(lambda mod, gi, go: log.append("back")),
        module.register_module_parameter_registration_hook(lambda mod, name, p: log.append(name)),
        module.register_module_buffer_registration_hook(lambda mod, name, b: log.append(name)),
        module.register_module_module_registration_hook(lambda mod, name, sub: log.append(name)),
    ]
    try:
        T.nn.Sequential(m, linear(T)(1, 1))(T.ones(1, 1, requires_grad=True)).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    m(T.ones(1, 1))
    return log


@program
def copies(T: Any) -> Any:
    m = model(T)
    c = copy.deepcopy(m)
    with T.no_grad():
        c[0].weight.zero_()
    return c.tied is c[0], c.tied is m[0], m[0].weight, list(c.state_dict()), c[0].weight.requires_grad


@program
def sequences(T: Any) -> Any:
    nn = T.nn
    layer = linear(T)
    s = nn.Sequential(layer(1, 1), nn.Identity())
    s.append(nn.Identity()).insert(0, nn.Identity())
    s.extend([layer(1, 1)])
    found = [repr(s), repr(s[1:3]), repr(s[-1]), len(s), list(s.state_dict())]
    del s[0]
    found += [list(s._modules), repr(s.pop(0)), list(s._modules)]
    s[0] = layer(1, 2)
    named = nn.Sequential(OrderedDict(a=nn.Identity(), b=layer(1, 1)))
    found += [repr(named), repr(named[0:1]), repr(s + s), repr(s * 2), repr(2 * s)]
    s += nn.Sequential(nn.Identity())
    s *= 2
    found += [len(s)]
    return found + attempts(
        lambda: s[10], lambda: s[-11], lambda: s + 1, lambda: s * 0, lambda: s * "a", lambda: s.insert(0, 3),
        lambda: nn.Sequential(3), lambda: s[1.5],
    )  # fmt: skip


@program
def module_lists(T: Any) -> Any:
    nn, layer = T.nn, linear(T)
    m = nn.ModuleList([layer(1, 1), layer(1, 1), nn.Identity(), nn.Identity()])
    m.insert(1, nn.Identity())
    m.append(layer(1, 1))
    m += [nn.Identity()]
    found = [
        repr(m),
        repr(m[1:3]),
        len(m),
        repr(m.__add__([nn.Identity()])),
        repr(nn.ModuleList()),
        list(m.state_dict()),
    ]
    del m[1:3]
    m[0] = nn.Identity()
    found += [repr(m), repr(m.pop(-1)), repr(m[-1])]
    return found + attempts(lambda: m[20], lambda: m.extend(3), lambda: m(1), lambda: m.append(3))


@program
def module_dicts(T: Any) -> Any:
    nn, layer = T.nn, linear(T)
    m = nn.ModuleDict({"a": nn.Identity(), "b": layer(1, 1)})
    m["c"] = nn.Identity()
    m.update([("d", nn.Identity())])
    m.update(nn.ModuleDict({"e": nn.Identity()}))
    found = [repr(m), list(m), list(m.keys()), len(m), "a" in m, "z" in m, repr(m.pop("a")), [k for k, _ in m.items()]]
    del m["c"]
    found += [[repr(v) for v in m.values()]]
    found += attempts(lambda: m["zz"], lambda: m.update(3), lambda: m.update([1]), lambda: m.update([(1, 2, 3)]))
    m.clear()
    return [*found, len(m)]


@program
def parameter_lists(T: Any) -> Any:
    nn = T.nn
    m = nn.ParameterList([T.ones(2), T.ones(1, 3)])
    m.append(nn.Parameter(T.zeros(1)))
    m += [T.ones(1)]
    m[0] = T.zeros(4)
    found = [repr(m), len(m), [tuple(p.shape) for p in m], list(m.state_dict()), repr(m[1:3]), m[-1]]
    mixed = nn.ParameterList([T.ones(1), 3, "a"])
    found += [repr(mixed), len(list(mixed.parameters()))]
    return found + attempts(lambda: m[9], lambda: m.extend(T.ones(1)), lambda: m(1))


@program
def parameter_dicts(T: Any) -> Any:
    nn = T.nn
    m = nn.ParameterDict({"a": T.ones(2), "b": 3})
    m["c"] = nn.Parameter(T.ones(1))
    m.update({"d": T.zeros(1)})
    found = [repr(m), list(m), "a" in m, len(m), m.get("zz", 5), list(m.state_dict()), m.setdefault("e", T.ones(1))]
    found += [repr(m | {"f": T.ones(1)}), repr(m.pop("a")), m.popitem()[0], list(reversed(m)), repr(m.copy())]
    del m["b"]
    found += [[k for k, _ in m.items()], len(list(m.values())), repr(m.fromkeys(["x"], T.ones(1)))]
    return found + attempts(lambda: m["zz"], lambda: m.update(3), lambda: m(1))


def outcome(T: Any, name: str) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = said(PROGRAMS[name](T))
    return made, [w.category.__name__ for w in caught]


def said(value: Any) -> Any:
    """A value as text and numbers that can be compared."""
    if isinstance(value, (torch.Tensor, tm.Tensor)):
        return (tuple(value.shape), str(value.dtype), value.detach().tolist())
    if isinstance(value, (list, tuple)):
        return [said(v) for v in value]
    return str(value).replace("torchish_mlx.", "torch.").replace("__main__.", "")


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    assert outcome(tm, name) == outcome(torch, name)


class Pickled(tm.nn.Module):
    """A module of this file, which pickle finds."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = tm.nn.Parameter(tm.ones(2))
        self.register_buffer("count", tm.tensor(1))
        self.inner = tm.nn.Identity()


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_module_is_pickled(protocol: int) -> None:
    made = pickle.loads(pickle.dumps(Pickled(), protocol))
    assert list(made.state_dict()) == ["weight", "count"]
    assert made.weight.requires_grad
    assert isinstance(made.inner, tm.nn.Identity)
    state = made.__dict__.copy()
    del state["_forward_hooks_always_called"]  # as in a file of an older version
    again = Pickled.__new__(Pickled)
    again.__setstate__(state)
    assert again._forward_hooks_always_called == {}
