"""Two threads on one optimizer: the second one gets an error, nothing is changed, and the work goes on.

The first thread is held inside a call, in the formula of an optimizer or in a loss function, while the second one
comes. So no case depends on chance.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten, tree_unflatten

import torchish_mlx as torch
from tests.cases import Net, assert_same, gradients, inputs, squared_error
from tests.threads import elsewhere
from torchish_mlx import optim
from torchish_mlx._core import alone
from torchish_mlx.amp import GradScaler
from torchish_mlx.nn.utils import clip_grad_norm_, clip_grad_value_
from torchish_mlx.optim import swa_utils
from torchish_mlx.optimizers import AdamW

REFUSED = r"was called in one thread while another one is inside .*threading.Lock"


class Held(AdamW):
    """AdamW, which calls ``between`` in the middle of a step."""

    between: ClassVar[list[Callable[[], Any]]] = []

    @classmethod
    def formula(cls, h: Any, g: Any, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        while cls.between:
            cls.between.pop()()
        return super().formula(h, g, p, s, k)


class HeldAdamW(optim.AdamW):
    rule = Held


class Case:
    """A model in training, and what each of two threads may do with it."""

    def __init__(self) -> None:
        self.model = Net()
        self.optimizer = HeldAdamW(self.model)
        self.other = optim.SGD(self.model, lr=0.0)
        self.average = swa_utils.AveragedModel(self.model)
        self.step(0)
        self.saved = self.optimizer.state_dict()
        self.tree = tree_unflatten(tree_flatten(self.optimizer.state))
        self.gradients = gradients(self.model, 5)
        mx.eval(self.gradients)

    def step(self, i: int, between: Callable[[], Any] | None = None) -> None:
        self.optimizer.zero_grad()
        torch.backward(self.model, squared_error, inputs(i))
        if between is not None:
            Held.between.append(between)
        self.optimizer.step()
        assert Held.between == []

    def everything(self) -> Any:
        grads = {p.path: p.grad.array for p in torch.parameters(self.model) if p.grad is not None}
        return [self.model.parameters(), self.average.parameters(), self.optimizer.state, grads]


def on_the_tape(case: Case) -> Any:
    return (next(torch.parameters(case.model)) * 2).sum().backward()


def set_state(case: Case) -> None:
    case.optimizer.state = case.tree


def update(case: Case) -> None:
    case.optimizer.update(case.model, case.gradients)
    mx.eval(case.model.parameters(), case.optimizer.state)


def apply_gradients(case: Case) -> None:
    new = case.optimizer.apply_gradients(case.gradients, case.model)
    mx.eval(new, case.optimizer.state)


SECOND: dict[str, Callable[[Case], Any]] = {
    "step()": lambda case: case.optimizer.step(),
    "update()": update,
    "apply_gradients()": apply_gradients,
    "init()": lambda case: case.optimizer.init(case.model),
    "state_dict()": lambda case: case.optimizer.state_dict(),
    "load_state_dict()": lambda case: case.optimizer.load_state_dict(case.saved),
    "an assignment to optimizer.state": set_state,
    "backward()": lambda case: torch.backward(case.model, squared_error, inputs()),
    "backward() of a part": lambda case: torch.backward(case.model.layers[0], lambda m: m(inputs()).sum()),
    "backward() on the tape": on_the_tape,
    "update_parameters()": lambda case: case.average.update_parameters(case.model),
    "clip_grad_norm_()": lambda case: clip_grad_norm_(case.model, 0.1),
    "clip_grad_value_()": lambda case: clip_grad_value_(case.model, 0.1),
    "another optimizer's step()": lambda case: case.other.step(),
}
STATE_ONLY = ("init()", "state_dict()", "load_state_dict()", "an assignment to optimizer.state")


@pytest.mark.parametrize("second", SECOND)
def test_a_second_thread_is_refused_during_a_step(second):
    case, undisturbed = Case(), Case()
    case.step(1)
    undisturbed.step(1)

    def between() -> None:
        before = [*case.everything()[:2], case.optimizer.param_groups[0]["lr"]]
        with pytest.raises(RuntimeError, match=REFUSED) as error:
            elsewhere(SECOND[second], case)
        assert str(error.value).startswith(second.partition(" of a part")[0].partition(" on the")[0].split("'s ")[-1])
        assert str(error.value).endswith("(docs/pitfalls.md#several-threads)")
        assert_same(before, [*case.everything()[:2], case.optimizer.param_groups[0]["lr"]])

    case.step(2, between)
    undisturbed.step(2)
    for each in (case, undisturbed):
        elsewhere(each.step, 3)
    assert_same(case.everything(), undisturbed.everything())


@pytest.mark.parametrize("second", [name for name in SECOND if name not in STATE_ONLY])
def test_a_second_thread_is_refused_during_backward(second):
    """The model holds traced arrays then. Who read them would hold arrays that nothing can ever evaluate."""
    case, undisturbed = Case(), Case()
    before = case.optimizer.state_dict()

    def loss_fn(model: nn.Module, x: mx.array) -> mx.array:
        with pytest.raises(RuntimeError, match=REFUSED):
            elsewhere(SECOND[second], case)
        return squared_error(model, x)

    for each, function in ((case, loss_fn), (undisturbed, squared_error)):
        each.optimizer.zero_grad(set_to_none=False)
        torch.backward(each.model, function, inputs(1))
        each.optimizer.step()
        elsewhere(each.step, 2)
    assert_same(case.everything(), undisturbed.everything())
    assert before["param_groups"] == case.optimizer.state_dict()["param_groups"]


@pytest.mark.parametrize("second", STATE_ONLY)
def test_the_state_may_be_saved_and_loaded_during_backward(second):
    case = Case()

    def loss_fn(model: nn.Module, x: mx.array) -> mx.array:
        elsewhere(SECOND[second], case)
        return squared_error(model, x)

    torch.backward(case.model, loss_fn, inputs(1))
    case.optimizer.step()
    mx.eval(case.everything())


def test_other_optimizers_and_models_work_at_the_same_time():
    case, other = Case(), Case()

    def between() -> None:
        elsewhere(other.step, 1)
        for second in SECOND.values():
            elsewhere(second, other)

    case.step(1, between)
    mx.eval(case.everything(), other.everything())


def test_a_thread_may_come_in_again_where_it_is():
    """A formula that saves, a loss function that has another one on the same parameters."""
    case = Case()
    case.step(1, case.optimizer.state_dict)
    torch.backward(case.model, lambda m, x: (torch.backward(m, squared_error, x), squared_error(m, x))[1], inputs())
    assert alone._at_work == []


@pytest.mark.parametrize("second", SECOND)
def test_after_an_error_inside_others_may_come_in(second):
    case = Case()
    with pytest.raises(ZeroDivisionError):
        case.step(1, lambda: 1 / 0)
    assert alone._at_work == []
    elsewhere(SECOND[second], case)


def test_others_may_come_in_while_a_closure_runs():
    """It takes most of the time of a step, and the state is whole: a thread that saves need not wait for its end."""
    case = Case()

    def closure() -> Any:
        for second in SECOND.values():
            elsewhere(second, case)

    case.optimizer.step(closure)
    mx.eval(case.everything())


def test_a_step_that_a_user_wrote():
    class Plain(optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 0.1})

        def step(self) -> None:
            for p in self.param_groups[0]["params"]:
                self.state[p]["buffer"] = torch.zeros_like(p)
                with pytest.raises(RuntimeError, match=REFUSED):
                    elsewhere(self.state_dict)

    optimizer = Plain(nn.Linear(1, 1))
    optimizer.step()
    assert len(elsewhere(optimizer.state_dict)["state"]) == 2


def test_a_wrapper_that_shares_the_state_of_another():
    case = Case()

    class Wrapper(optim.Optimizer):
        def __init__(self, base: Any) -> None:
            self.base = base
            self.param_groups = base.param_groups

        @property
        def state(self) -> Any:
            return self.base.state

    def between() -> None:
        with pytest.raises(RuntimeError, match=REFUSED):
            elsewhere(Wrapper(case.optimizer).state_dict)

    case.step(1, between)


def test_a_rule_alone():
    """A schedule as learning rate is called inside an update."""
    model, entered = nn.Linear(3, 4), []

    def rate(step: mx.array) -> float:
        if entered:
            for second in (lambda: rule.update(model, grads), lambda: rule.init(model.trainable_parameters())):
                with pytest.raises(RuntimeError, match=REFUSED):
                    elsewhere(second)
        return 0.1

    rule, grads = AdamW(learning_rate=rate), gradients(model, 0)
    entered.append(1)
    rule.update(model, grads)
    mx.eval(model.parameters(), rule.state)
    entered.clear()
    elsewhere(lambda: (rule.update(model, grads), mx.eval(model.parameters(), rule.state)))
    assert rule.step.item() == 2


def test_a_scaler():
    case, scaler = Case(), GradScaler()
    scaler.scale(mx.array(1.0))

    def between() -> None:
        with pytest.raises(RuntimeError, match=REFUSED):
            elsewhere(scaler.unscale_, case.optimizer)

    case.step(1, between)


@pytest.mark.parametrize("fused", [False, True])
def test_threads_that_take_a_lock_give_the_numbers_of_one(fused):
    """Three threads in turns: what each finds is there, whichever thread made it."""
    lock = threading.Lock()

    def program(threads: int) -> Any:
        model = Net()
        optimizer = optim.AdamW(model, fused=fused)
        numbers = iter(range(12))

        def work() -> None:
            while True:
                with lock:
                    i = next(numbers, None)
                    if i is None:
                        return
                    optimizer.zero_grad()
                    torch.backward(model, squared_error, inputs(i))
                    optimizer.step()

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        return model.parameters(), optimizer.state

    assert_same(program(1), program(3))


def test_threads_without_a_lock_leave_an_optimizer_that_works(switching):
    """Many threads at once, which get errors or do a step: the same numbers follow from the state that they leave."""
    case, errors, done = Case(), [], []

    def work(k: int) -> None:
        for i in range(60):
            try:
                case.step(i)
                done.append(i)
            except RuntimeError as error:
                errors.append(str(error))

    workers = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert done
    assert errors
    assert all("threading.Lock" in error for error in errors)
    assert alone._at_work == []
    case.step(0)
    other = Case()
    other.model.update(tree_unflatten(tree_flatten(case.model.parameters())))
    other.optimizer.load_state_dict(case.optimizer.state_dict())
    for each in (case, other):
        each.step(1)
    assert_same(case.model.parameters(), other.model.parameters())


@pytest.fixture
def switching():
    """Python changes from thread to thread a thousand times as often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


# Arrays that another thread left unevaluated ------------------------------------------------------------------------


def lazily(tree: Any) -> Any:
    """The same arrays, not evaluated."""
    return tree_unflatten([(path, a * 1) for path, a in tree_flatten(tree)])


FOREIGN = r"come from another thread, which has not evaluated them.*Nothing was changed.*#arrays-of-another-thread"


def test_gradients_that_another_thread_left_unevaluated():
    case = Case()
    grads = dict(tree_flatten(elsewhere(lazily, case.gradients)))
    before = case.everything()[:3]
    held = {p: p.grad for p in torch.parameters(case.model)}
    for p in held:
        p.grad = grads[p.path]
    with pytest.raises(RuntimeError, match=FOREIGN):
        case.optimizer.step()
    assert_same(before, case.everything()[:3])
    case.step(1)
    mx.eval(case.everything())


@pytest.mark.parametrize("rule", [False, True])
def test_an_update_that_another_thread_left_unevaluated(rule):
    """MLX's loops end in mx.eval. Where a thread leaves it out, no other one goes on; it can still do it itself."""
    model = nn.Linear(3, 4)
    mx.eval(model.parameters())
    optimizer = AdamW() if rule else optim.AdamW(model)
    grads = gradients(model, 0)
    mx.eval(grads)
    go_on, left_undone = threading.Event(), threading.Event()

    def first() -> None:
        optimizer.update(model, grads)
        left_undone.set()
        go_on.wait(60)
        mx.eval(model.parameters(), optimizer.state)

    thread = threading.Thread(target=first)
    thread.start()
    left_undone.wait(60)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=FOREIGN):
            optimizer.update(model, grads)
    go_on.set()
    thread.join(60)
    optimizer.update(model, grads)
    mx.eval(model.parameters(), optimizer.state)
    assert int(optimizer.step if rule else optimizer.state["_groups"][0]["step"]) == 2


def made_elsewhere() -> nn.Module:
    """A model that its thread leaves as MLX makes it, unevaluated."""
    return elsewhere(lambda: nn.Linear(3, 4))


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: optim.AdamW(made_elsewhere()), "parameters"),
        (lambda: Case().optimizer.add_param_group({"params": made_elsewhere()}), "parameters"),
        (lambda: torch.backward(made_elsewhere(), lambda m, x: m(x).sum(), inputs()), "arrays of the model or"),
        (lambda: (torch.Parameter(mx.ones(2)) * elsewhere(lambda: mx.ones(2))).sum().backward(), "arrays behind the"),
    ],
)
def test_a_model_that_another_thread_left_unevaluated(call, what):
    with pytest.raises(RuntimeError, match=f"^{what}.*{FOREIGN}"):
        call()


def test_a_group_that_is_refused_is_not_there():
    case = Case()
    with pytest.raises(RuntimeError, match=FOREIGN):
        case.optimizer.add_param_group({"params": made_elsewhere()})
    assert len(case.optimizer.param_groups) == len(case.optimizer.state["_groups"]) == 1
    case.step(1)


# A state that can't be evaluated any more is replaced by a load -------------------------------------------------------


def raised_in_a_trace(case: Case) -> None:
    """MLX leaves traced arrays in the state where a compiled step raises."""
    state = [case.model.state, case.optimizer.state]

    def step() -> None:
        case.optimizer.update(case.model, case.gradients)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        mx.compile(step, inputs=state, outputs=state)()


def left_by_a_thread(case: Case) -> None:
    elsewhere(case.optimizer.update, case.model, case.gradients)


def left_by_a_compiled_step_of_a_thread(case: Case) -> None:
    state = [case.model.state, case.optimizer.state]
    step = mx.compile(lambda: case.optimizer.update(case.model, case.gradients), inputs=state, outputs=state)
    elsewhere(step)


@pytest.mark.parametrize("strict", [None, True])
@pytest.mark.parametrize("lost", [raised_in_a_trace, left_by_a_thread, left_by_a_compiled_step_of_a_thread])
def test_a_load_replaces_a_state_that_is_lost(lost, strict):
    case, undisturbed = Case(), Case()
    optimizers = [optim.AdamW(torch.named_parameters(each.model)) for each in (case, undisturbed)]
    for each, optimizer in zip((case, undisturbed), optimizers, strict=True):
        optimizer.load_state_dict(each.optimizer.state_dict())
        each.optimizer = optimizer
    weights, saved = tree_unflatten(tree_flatten(case.model.parameters())), copy.deepcopy(case.optimizer.state_dict())
    saved["param_groups"][0]["param_names"] = case.optimizer.param_groups[0]["param_names"]
    lost(case)
    with pytest.raises(RuntimeError):
        mx.eval(case.optimizer.state)
    case.model.update(weights)
    case.optimizer.load_state_dict(saved, strict=strict)
    for each in (case, undisturbed):
        each.step(1)
    assert_same(case.everything()[0], undisturbed.everything()[0])
    assert_same(case.optimizer.state_dict()["state"], undisturbed.optimizer.state_dict()["state"])
