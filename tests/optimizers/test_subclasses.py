"""Classes of users that write ``init_single`` and ``apply_single``, as MLX documents it, over rules."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.optimizers as native
import pytest

from tests.cases import RULES, assert_close, assert_same, build, flat, for_rule, gradients, net
from tests.optimizers.test_rules_compile import ULPS
from torchish_mlx import optim, optimizers

every_rule = pytest.mark.parametrize("case", RULES)


def subclass(base: Any) -> Any:
    """The same optimizer, by methods that hand everything on, with the gradient doubled."""

    def init_single(self: Any, parameter: mx.array, state: Any) -> None:
        base.init_single(self, parameter, state)

    def apply_single(self: Any, gradient: Any, parameter: mx.array, state: Any) -> mx.array:
        return base.apply_single(self, gradient if self.sparse else gradient * 2, parameter, state)

    return type(f"My{base.__name__}", (base,), {"init_single": init_single, "apply_single": apply_single})


def pair(case: str) -> tuple[Any, Any]:
    name, kwargs = RULES[case]
    return subclass(getattr(optimizers, name))(**kwargs), build(case)


def doubled(rule: Any, grads: Any) -> Any:
    return grads if rule.sparse else {path: _doubled(value) for path, value in grads.items()}


def _doubled(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _doubled(value) for key, value in tree.items()}
    return [_doubled(value) for value in tree] if isinstance(tree, list) else tree * 2


def slots(rule: Any) -> Any:
    return {path: value for path, value in flat(rule.state).items() if not path.endswith("_first_step")}


@pytest.mark.parametrize("init", [False, True])
@every_rule
def test_each_step_calls_the_methods(case, init):
    """Bit for bit the rule on doubled gradients; a layer that was frozen first has a count of its own."""
    (mine, rule), model, other = pair(case), net(case), net(case)
    other.update(model.parameters())
    for i in range(5):
        for one in (model, other):
            (one.layers[0].freeze if i == 0 else one.layers[0].unfreeze)()
        if init and i == 0:
            mine.init(model.trainable_parameters())
            rule.init(other.trainable_parameters())
        grads = gradients(model, i)
        mine.update(model, for_rule(mine, grads))
        rule.update(other, for_rule(rule, doubled(rule, grads)))
        assert_same(model, other)
        assert_same(slots(mine), slots(rule))


@every_rule
def test_compiled_too(case):
    (mine, rule), model, other = pair(case), net(case), net(case)
    other.update(model.parameters())
    state = [model.state, mine.state]
    step = mx.compile(lambda grads: mine.update(model, for_rule(mine, grads)), inputs=state, outputs=state)
    for i in range(3):
        grads = gradients(model, i)
        step(grads)
        rule.update(other, for_rule(rule, doubled(rule, grads)))
    assert_close(flat(model), flat(other), ULPS)
    assert mine.step.item() == 3


class Slow(native.Optimizer):
    """A sign descent with momentum, whose rate falls with the count: a class of MLX alone."""

    def __init__(self, learning_rate: Any) -> None:
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)

    def init_single(self, parameter: mx.array, state: Any) -> None:
        state["m"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: Any) -> mx.array:
        state["m"] = 0.5 * state["m"] + gradient
        return parameter - self.learning_rate * mx.sign(state["m"]) / self.step


class SlowRule(optimizers.Adam):
    """The same two methods over a rule, whose formula and slots they replace."""

    init_single: Any = Slow.init_single
    apply_single: Any = Slow.apply_single


@pytest.mark.parametrize("rate", [0.1, lambda step: 0.1 / (1 + step)], ids=["number", "schedule"])
def test_methods_see_the_count_and_the_rate_of_the_step(rate):
    """As with MLX's base class: the count is that of this step, and a scheduled rate has moved on."""
    mine, theirs = SlowRule(rate), Slow(rate)
    params, others = {"a": [mx.ones(3), mx.ones(2)]}, {"a": [mx.ones(3), mx.ones(2)]}
    for i in range(4):
        grads = gradients(params, i)
        params, others = mine.apply_gradients(grads, params), theirs.apply_gradients(grads, others)
        assert_same(params, others)
    assert set(mine.state["a"][0]) == {"m"}
    assert_same(mine.state["a"], theirs.state["a"])
    assert mine.state["step"].item() == theirs.state["step"].item() == 4


class Mixin:
    def apply_single(self, gradient: Any, parameter: mx.array, state: Any) -> mx.array:
        return parameter + 7


class Mixed(Mixin, optimizers.SGD):
    pass


def test_a_method_may_come_from_a_mixin():
    params = {f"p{i}": mx.zeros(2) for i in range(20)}  # which a rule would join
    assert_same(Mixed(0.1).apply_gradients(params, params), {name: mx.full(2, 7.0) for name in params})


class Failing(optimizers.Adam):
    def apply_single(self, gradient: Any, parameter: mx.array, state: Any) -> mx.array:
        if parameter.size == 3:
            raise ArithmeticError("three")
        return super().apply_single(gradient, parameter, state)


def test_a_method_that_raises_makes_no_step():
    rule, good, bad = Failing(0.1), {"a": mx.ones(2)}, {"a": mx.ones(2), "b": mx.ones(3)}
    rule.apply_gradients(good, good)
    before = flat(rule.state)
    with pytest.raises(ArithmeticError, match="three"):
        rule.apply_gradients(bad, bad)
    assert_same(flat(rule.state), before)
    twin = Failing(0.1)
    twin.apply_gradients(good, good)
    assert_same(rule.apply_gradients(good, good), twin.apply_gradients(good, good))


def test_adapters_refuse_such_a_class():
    """They call class methods, with the options of a group: the methods would not be called."""
    with pytest.raises(TypeError, match=r"SlowRule writes init_single or apply_single, which from_mlx does not call"):
        optim.from_mlx(SlowRule)
    with pytest.raises(TypeError, match=r"Mixed writes init_single or apply_single, which Adapter does not call"):
        type("Adapter", (optim.Optimizer,), {"rule": Mixed})
    model = net("SGD")
    with pytest.raises(TypeError, match=r"Mixed writes init_single or apply_single"):
        optim.MultiOptimizer(model, [Mixed(0.1), optimizers.SGD(0.1)], [lambda path, _: "layers" in path])
