"""``lr=schedule``: the rate of an adapter's group is a function of the step."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import pytest
from mlx.utils import tree_flatten, tree_unflatten

import torchish_mlx as torch
from tests.cases import RULES, assert_close, assert_same, build, for_rule, gradients, net, saved
from torchish_mlx import checkpoint, optim
from torchish_mlx import optimizers as rules
from torchish_mlx.optim import lr_scheduler

ULPS = 8
SCHEDULE = rules.join_schedules([rules.linear_schedule(0.001, 0.2, 3), rules.exponential_decay(0.2, 0.5)], [3])
HALVED = rules.exponential_decay(0.1, 0.5)


def halved(step: mx.array) -> mx.array:
    """A schedule that can be pickled."""
    return HALVED(step)


def adapted(case: str, model: nn.Module, lr: Any = SCHEDULE, **more: Any) -> optim.Optimizer:
    name, kwargs = RULES[case]
    options = {key: value for key, value in kwargs.items() if key != "learning_rate"}
    return getattr(optim, name)(model, lr=lr, **options, **more)


def network() -> nn.Module:
    """A model that MLX's own classes can train: no parameter is named step or learning_rate."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
    model.update(gradients(model, 100))
    return model


def step(optimizer: Any, model: nn.Module, i: int, door: str = "update") -> None:
    grads = for_rule(optimizer.rule, gradients(model, i))
    if door == "update":
        optimizer.update(model, grads)
    elif door == "apply_gradients":
        model.update(optimizer.apply_gradients(grads, model))
    else:
        for path, g in tree_flatten(grads):
            torch.locate(model, path).grad = g
        optimizer.step()
        optimizer.zero_grad()
    mx.eval(model.parameters(), optimizer.state)


@pytest.mark.parametrize("door", ["update", "step", "apply_gradients"])
@pytest.mark.parametrize("case", RULES)
def test_it_is_the_rule_with_that_schedule(case, door):
    """Bit for bit; group["lr"] and learning_rate are the rate of the last step, as in MLX."""
    model, twin = net(case), net(case)
    optimizer, rule = adapted(case, model), build(case, learning_rate=SCHEDULE)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["lr_step"]) == (0.001, 0)
    for i in range(6):
        step(optimizer, model, i, door)
        rule.update(twin, for_rule(rule, gradients(twin, i)))
        assert optimizer.learning_rate.item() == rule.learning_rate.item() == SCHEDULE(mx.array(i)).item()
        assert group["lr"] == pytest.approx(SCHEDULE(mx.array(i)).item(), rel=1e-6)
        assert dict(group)["lr_step"] == i + 1
    assert_same(model, twin)


@pytest.mark.parametrize("name", ["AdamW", "Lion", "Adafactor", "SGD"])
def test_mlxs_classes_take_one(name):
    """from_mlx: the numbers of the class itself with the schedule."""
    model, twin = network(), network()
    optimizer = optim.from_mlx(getattr(native, name))(model, lr=SCHEDULE)
    theirs = getattr(native, name)(learning_rate=SCHEDULE)
    for i in range(5):
        step(optimizer, model, i)
        theirs.update(twin, gradients(twin, i))
        mx.eval(twin.parameters(), theirs.state)
    assert_close(model, twin, 1)


@pytest.mark.parametrize("fused", [None, True])
@pytest.mark.parametrize("case", ["AdamW", "SGD-momentum"])
def test_one_trace_in_a_compiled_step(case, fused):
    """As mlx-lm's trainer has it: init, and a compiled update; the rate follows the count."""
    model, twin, traces = net(case), net(case), []
    optimizer, rule = (
        adapted(case, model, fused=fused) if fused else adapted(case, model),
        build(case, learning_rate=SCHEDULE),
    )
    optimizer.init(model)
    group = optimizer.param_groups[0]
    state = [model.state, optimizer.state]

    def run(grads: Any) -> None:
        traces.append(1)
        optimizer.update(model, grads)

    compiled = mx.compile(run, inputs=state, outputs=state)
    for i in range(6):
        compiled(gradients(model, i))
        rule.update(twin, gradients(twin, i))
        assert group["lr"] == pytest.approx(SCHEDULE(mx.array(i)).item(), rel=1e-6)
        assert group["lr_step"] == i + 1
    assert len(traces) == 1
    assert_close(model, twin, ULPS)


@pytest.mark.parametrize("kind", ["torchs", "pure"])
def test_the_other_compiled_doors(kind):
    model, twin, traces = net("Adam"), net("Adam"), []
    optimizer, rule = optim.Adam(model, lr=SCHEDULE), rules.Adam(SCHEDULE)
    optimizer.init(model)
    state = [model.state, optimizer.state]

    def pure(grads: Any, params: Any, state: Any) -> Any:
        traces.append(1)
        optimizer.state = state
        return optimizer.apply_gradients(grads, params), optimizer.state

    def torchs(grads: Any) -> None:
        traces.append(1)
        step_inside(optimizer, model, grads)

    compiled = mx.compile(pure) if kind == "pure" else mx.compile(torchs, inputs=state, outputs=state)
    for i in range(5):
        grads = gradients(model, i)
        if kind == "pure":
            params, optimizer.state = compiled(grads, model.trainable_parameters(), optimizer.state)
            model.update(params)
        else:
            compiled(grads)
        rule.update(twin, gradients(twin, i))
        assert optimizer.param_groups[0]["lr"] == pytest.approx(SCHEDULE(mx.array(i)).item(), rel=1e-6)
    assert len(traces) == 1
    assert_close(model, twin, ULPS)


def step_inside(optimizer: Any, model: nn.Module, grads: Any) -> None:
    for path, g in tree_flatten(grads):
        torch.locate(model, path).grad = g
    optimizer.step()
    optimizer.zero_grad()


def test_groups_have_schedules_of_their_own():
    """One by one, in the dict of a group; the default is for those without; a number is a number."""
    ps = [torch.Parameter(mx.ones(2)) for _ in range(3)]
    groups = [{"params": ps[0]}, {"params": ps[1], "lr": HALVED}, {"params": ps[2], "lr": 0.5}]
    optimizer = optim.SGD(groups, lr=rules.linear_schedule(1.0, 0.0, 4))
    seen = []
    for _ in range(3):
        for p in ps:
            p.grad = mx.zeros(2)
        optimizer.step()
        seen.append([group["lr"] for group in optimizer.param_groups])
    assert seen == [[1.0, 0.1, 0.5], [0.75, 0.05, 0.5], [0.5, 0.025, 0.5]]
    optimizer.add_param_group({"params": torch.Parameter(mx.ones(2))})
    assert (optimizer.param_groups[3]["lr"], optimizer.param_groups[3]["lr_step"]) == (1.0, 0)
    assert "lr_step" not in optimizer.param_groups[2]


def test_every_step_counts_for_every_group():
    """Also for one whose parameters have no gradient, as with a scheduler; a step of nothing does not count."""
    ps = [torch.Parameter(mx.ones(2)) for _ in range(2)]
    optimizer = optim.SGD([{"params": [p]} for p in ps], lr=HALVED)
    optimizer.step()
    for _ in range(2):
        ps[0].grad = mx.zeros(2)
        optimizer.step()
    assert [group["lr_step"] for group in optimizer.param_groups] == [2, 2]


def test_a_refused_step_does_not_count():
    p = torch.Parameter(mx.ones(2))
    optimizer = optim.SGD([p], lr=HALVED)
    with pytest.raises(ValueError, match="has shape"):
        optimizer.apply_gradients({"0": mx.ones(3)}, {"0": p.array})
    assert optimizer.param_groups[0]["lr_step"] == 0


def test_a_schedule_that_fails_makes_no_step():
    p = torch.Parameter(mx.ones(2))
    optimizer = optim.Adam([p], lr=lambda step: 0.1 if step == 0 else None)
    p.grad = mx.ones(2)
    optimizer.step()
    before = p.tolist()
    with pytest.raises(ValueError, match="a schedule gives one number, the learning rate, but it gave None"):
        optimizer.step()
    assert p.tolist() == before
    assert (optimizer.param_groups[0]["lr_step"], optimizer.state[p]["step"].item()) == (1, 1)


# What is written ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("write", ["group", "learning_rate", "rule"])
def test_a_number_ends_the_schedule(write, compiled):
    """Also in a step that was compiled with the schedule, which is traced once more."""
    model = nn.Linear(2, 2)
    optimizer: Any = rules.SGD(HALVED) if write == "rule" else optim.SGD(model, lr=HALVED)
    traces: list[int] = []
    state = [model.state, optimizer.state]

    def run(grads: Any) -> None:
        traces.append(1)
        optimizer.update(model, grads)

    call = mx.compile(run, inputs=state, outputs=state) if compiled else run
    for _ in range(2):
        call({"bias": mx.zeros(2)})
    if write == "group":
        optimizer.param_groups[0]["lr"] = 0.5
        assert optimizer.param_groups[0]["lr_step"] is None
    else:
        optimizer.learning_rate = 0.5
    before = model.bias
    for _ in range(2):
        call({"bias": mx.ones(2)})
    assert (before - model.bias).tolist() == pytest.approx([1.0, 1.0])
    assert optimizer.learning_rate.item() == 0.5
    if compiled:
        assert len(traces) == 2


def test_the_count_can_be_written():
    """The schedule goes on from there, or with None stays where it is."""
    p = torch.Parameter(mx.ones(2))
    optimizer = optim.SGD([p], lr=HALVED)
    group = optimizer.param_groups[0]
    group["lr_step"] = 3
    assert group["lr"] == pytest.approx(0.025)
    p.grad = mx.zeros(2)
    optimizer.step()
    assert (group["lr"], group["lr_step"]) == (pytest.approx(0.0125), 4)
    group["lr_step"] = None
    optimizer.step()
    assert (group["lr"], group["lr_step"]) == (pytest.approx(0.0125), None)
    for wrong in (-1, 1.5, True, "3"):
        with pytest.raises(ValueError, match="expected how many steps the schedule has counted"):
            group["lr_step"] = wrong


def test_other_options_are_written_as_ever():
    p = torch.Parameter(mx.ones(2))
    optimizer = optim.AdamW([p], lr=HALVED)
    group = optimizer.param_groups[0]
    group["betas"], group["weight_decay"] = (0.5, 0.6), 0.0
    p.grad = mx.ones(2)
    optimizer.step()
    assert (group["betas"], group["lr_step"]) == ((0.5, 0.6), 1)
    assert group.get("lr") == {**group}["lr"] == dict(group.items())["lr"] == 0.1
    assert "'lr': 0.1" in repr(group)
    assert "lr: 0.1" in repr(optimizer)
    assert group == dict(group)


def test_a_schedule_is_not_read_or_written_inside_a_trace():
    model = nn.Linear(2, 2)
    optimizer = optim.SGD(model, lr=HALVED)
    state = [model.state, optimizer.state]

    def reads(grads: Any) -> Any:
        optimizer.update(model, grads)
        return optimizer.param_groups[0]["lr"]

    def writes(grads: Any) -> None:
        optimizer.param_groups[0]["lr"] = 0.1

    for function, match in (
        (reads, "follows a schedule, and has no value inside a traced"),
        (writes, "is assigned while"),
    ):
        with pytest.raises(RuntimeError, match=match):
            mx.compile(function, inputs=state, outputs=state)({"bias": mx.ones(2)})


def test_a_schedule_for_numbers_works_eagerly_and_says_so_inside_a_trace():
    def cosine(step: Any) -> float:
        return 0.1 * math.cos(float(step)) if step < 10 else 0.0

    for make in (lambda model: optim.SGD(model, lr=cosine), lambda model: rules.SGD(cosine)):
        model = nn.Linear(2, 2)
        optimizer = make(model)
        optimizer.update(model, {"bias": mx.ones(2)})
        optimizer.update(model, {"bias": mx.ones(2)})
        assert optimizer.learning_rate.item() == pytest.approx(0.1 * math.cos(1))
        state = [model.state, optimizer.state]
        compiled = mx.compile(lambda g, o=optimizer, m=model: o.update(m, g), inputs=state, outputs=state)
        with pytest.raises(RuntimeError, match=r"reads its step as a number.*mx\.where"):
            compiled({"bias": mx.ones(2)})


# Schedulers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lr_scheduler.StepLR(o, 10),
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=10),
        lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.2, cycle_momentum=False),
        lambda o: lr_scheduler.ReduceLROnPlateau(o),
        lambda o: lr_scheduler.FromSchedule(o, HALVED),
        lambda o: optim.swa_utils.SWALR(o, 0.1),
    ],
)
def test_a_scheduler_on_top_is_refused(make):
    """Nothing is changed; once the schedule has ended, it is taken."""
    optimizer = optim.AdamW(nn.Linear(2, 2), lr=HALVED)
    before = dict(optimizer.param_groups[0])
    with pytest.raises(
        ValueError, match=r"the lr of param_groups\[0\] is a schedule.*with a number, or end the schedule"
    ):
        make(optimizer)
    assert dict(optimizer.param_groups[0]) == before
    optimizer.param_groups[0]["lr"] = 0.1
    make(optimizer)


def test_a_scheduled_group_under_a_scheduler_is_refused():
    optimizer = optim.SGD(nn.Linear(2, 2), lr=0.1)
    lr_scheduler.StepLR(optimizer, 10)
    with pytest.raises(ValueError, match="a scheduler moves the rates of this optimizer"):
        optimizer.add_param_group({"params": nn.Linear(2, 2), "lr": HALVED})
    assert len(optimizer.param_groups) == 1


def test_it_is_from_schedule_without_the_calls():
    model, twin = net("Adam"), net("Adam")
    optimizer, other = optim.Adam(model, lr=SCHEDULE), optim.Adam(twin, lr=0.1)
    scheduler = lr_scheduler.FromSchedule(other, SCHEDULE)
    for i in range(5):
        step(optimizer, model, i)
        step(other, twin, i)
        scheduler.step()
    assert_same(model, twin)


# Saved and resumed ----------------------------------------------------------------------------------------------------


def resumed(way: str, optimizer: Any, model: nn.Module, case: str, tmp_path: Any) -> tuple[Any, nn.Module]:
    """The pair of model and optimizer, in new objects."""
    if way in ("deepcopy", "pickle"):
        return (copy.deepcopy if way == "deepcopy" else lambda pair: pickle.loads(pickle.dumps(pair)))(
            (optimizer, model)
        )
    twin = net(case)
    other = adapted(case, twin, halved)
    if way == "checkpoint":
        checkpoint.save(tmp_path / "run", step=3, model=model, optimizer=optimizer)
        checkpoint.resume(tmp_path / "run", model=twin, optimizer=other)
        return other, twin
    twin.update(saved(model.parameters()))
    if way == "state_dict":
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    elif way == "by name":
        torch.save(optimizer.state_dict(), tmp_path / "file")
        other.load_state_dict(torch.load(tmp_path / "file"), strict=True)
    else:
        file = str(tmp_path / "tree.safetensors")
        mx.save_safetensors(file, tree_flatten(optimizer.state, destination={}))
        other.state = tree_unflatten(mx.load(file))
    return other, twin


@pytest.mark.parametrize("way", ["state_dict", "by name", "checkpoint", "tree", "deepcopy", "pickle"])
@pytest.mark.parametrize("case", ["Adam", "SGD-momentum", "SGD"])
def test_a_resumed_run_is_the_same_run(case, way, tmp_path):
    """Bit for bit, also where a layer was frozen in the first steps, whose own count is not that of the schedule."""
    model = net(case)
    name, kwargs = RULES[case]
    kwargs = {k: v for k, v in kwargs.items() if k != "learning_rate"}
    given = list(torch.named_parameters(model)) if way == "by name" else model
    optimizer = getattr(optim, name)(given, lr=halved, **kwargs)
    model.layers[0].freeze()
    for i in range(2):
        step(optimizer, model, i)
    model.layers[0].unfreeze()
    step(optimizer, model, 2)
    if way == "pickle":
        model.update(model.parameters())
    if way == "by name":
        twin = net(case)
        twin.update(saved(model.parameters()))
        other = getattr(optim, name)(list(torch.named_parameters(twin)), lr=halved, **kwargs)
        torch.save(optimizer.state_dict(), tmp_path / "file")
        other.load_state_dict(torch.load(tmp_path / "file"), strict=True)
    else:
        other, twin = resumed(way, optimizer, model, case, tmp_path)
    assert other.param_groups[0]["lr_step"] == 3
    assert other.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    for i in range(3, 6):
        step(optimizer, model, i)
        step(other, twin, i)
    assert_same(model, twin)
    assert other.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 2**5)


def test_a_compiled_step_goes_on_with_what_is_loaded():
    model = net("Adam")
    optimizer, traces = optim.Adam(model, lr=HALVED), []
    optimizer.init(model)
    state = [model.state, optimizer.state]

    def run(grads: Any) -> None:
        traces.append(1)
        optimizer.update(model, grads)

    compiled = mx.compile(run, inputs=state, outputs=state)
    for i in range(2):
        compiled(gradients(model, i))
    kept = copy.deepcopy(optimizer.state_dict())
    for i in range(3):
        compiled(gradients(model, i))
    optimizer.load_state_dict(kept)
    compiled(gradients(model, 0))
    assert optimizer.param_groups[0]["lr_step"] == 3
    assert len(traces) == 1


def test_an_ended_schedule_stays_ended(tmp_path):
    model = net("Adam")
    optimizer = optim.Adam(model, lr=halved)
    step(optimizer, model, 0)
    optimizer.param_groups[0]["lr"] = 0.5
    for duplicate in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert duplicate.param_groups[0]["lr"] == 0.5
    other = optim.Adam(net("Adam"), lr=halved)
    other.load_state_dict(optimizer.state_dict())
    assert (other.param_groups[0]["lr"], other.param_groups[0]["lr_step"]) == (0.5, None)
    other.load_state_dict(optim.Adam(net("Adam"), lr=halved).state_dict())
    assert (other.param_groups[0]["lr"], other.param_groups[0]["lr_step"]) == (0.1, 0)


def test_state_dicts_without_a_count():
    """torch's have none: the step count of the parameters stands for it; SGD has none either, and it must be added."""
    model, twin = net("Adam"), net("Adam")
    optimizer = optim.Adam(model, lr=0.3)
    for i in range(4):
        step(optimizer, model, i)
    other = optim.Adam(twin, lr=HALVED)
    other.load_state_dict(optimizer.state_dict())
    assert (other.param_groups[0]["lr_step"], other.param_groups[0]["lr"]) == (4, 0.3)
    step(other, twin, 0)
    assert other.param_groups[0]["lr"] == pytest.approx(0.1 / 2**4)
    plain, scheduled = optim.SGD(net("SGD"), lr=0.3), optim.SGD(net("SGD"), lr=HALVED)
    with pytest.raises(ValueError, match=r'"lr_step"\] is missing: the lr of this group is a schedule'):
        scheduled.load_state_dict(plain.state_dict())
    assert scheduled.param_groups[0]["lr"] == 0.1
    changed = plain.state_dict()
    changed["param_groups"][0]["lr_step"] = 2
    scheduled.load_state_dict(changed)
    assert scheduled.param_groups[0]["lr_step"] == 2
    changed["param_groups"][0]["lr_step"] = -2
    with pytest.raises(ValueError, match=r'"lr_step"\] is -2, expected how many steps'):
        scheduled.load_state_dict(changed)


def test_a_state_dict_of_a_schedule_in_an_optimizer_without_one():
    """It goes on with the number, and says so."""
    optimizer = optim.Adam(net("Adam"), lr=HALVED)
    other = optim.Adam(net("Adam"), lr=0.3)
    with pytest.warns(UserWarning, match=r"whose lr was a schedule, at step 0.*construct it with lr=schedule"):
        other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["lr"] == 0.1
    assert "lr_step" not in other.param_groups[0]


def test_the_state_of_mlx_goes_on_at_its_step():
    model, twin = network(), network()
    theirs = native.Adam(HALVED, bias_correction=True)
    for i in range(3):
        theirs.update(twin, gradients(twin, i))
    optimizer = optim.Adam(model, lr=HALVED)
    with pytest.warns(UserWarning, match="comes from mlx.optimizers"):
        optimizer.state = tree_unflatten(tree_flatten(theirs.state))
    assert (optimizer.param_groups[0]["lr_step"], optimizer.param_groups[0]["lr"]) == (3, 0.025)
    step(optimizer, model, 3)
    assert optimizer.param_groups[0]["lr"] == 0.0125
    assert rules.mlx_state(optimizer)["learning_rate"].item() == pytest.approx(0.0125)


# Constructors ---------------------------------------------------------------------------------------------------------


def test_the_first_rate_is_checked():
    for make in (lambda lr: optim.Adam(nn.Linear(2, 2), lr=lr), rules.Adam):
        with pytest.raises(ValueError, match="Invalid learning rate: -"):
            make(lambda step: -0.1)
        with pytest.raises(ValueError, match=r"a schedule gives one number.*array of shape \(2,\)"):
            make(lambda step: mx.ones(2))
        with pytest.raises(ValueError, match="a schedule gives one number"):
            make(lambda step: "0.1")


def test_multi_optimizer_takes_scheduled_parts():
    """Each group follows the schedule of its optimizer, by MLX's or by ours."""
    model, twin = net("Adam"), net("Adam")

    def parts() -> list[Any]:
        return [rules.SGD(HALVED, momentum=0.9), native.Lion(rules.linear_schedule(0.1, 0.0, 5)), rules.Adam(0.01)]

    filters = [lambda path, a: path == "layers.0.weight", lambda path, a: path.startswith("layers")]
    optimizer, reference = optim.MultiOptimizer(model, parts(), filters), rules.MultiOptimizer(parts(), filters)
    for i in range(4):
        optimizer.update(model, gradients(model, i))
        reference.update(twin, gradients(twin, i))
    assert_close(model, twin, 1)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.0125, 0.04, 0.01])


@pytest.mark.parametrize("cls", [lambda lr: optim.LBFGS(nn.Linear(2, 2), lr=lr)])
def test_an_optimizer_that_reads_its_rate_in_python_takes_none(cls):
    with pytest.raises(TypeError, match=r"lr is a schedule, where a number is wanted.*FromSchedule"):
        cls(HALVED)
