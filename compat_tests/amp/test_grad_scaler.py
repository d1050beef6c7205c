"""GradScaler next to ``torch.amp.GradScaler("cpu")``: the same scale, count, errors and parameters after any calls."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
import warnings
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import torchish_mlx
from compat_tests.bridge import TORCH_DTYPES, outcome, to_torch
from tests.marks import examples
from torchish_mlx import amp, optim

SHAPES = ((2, 3), (), (3,))
OPTIMIZERS = 2
TOLERANCE = 5e-7  # of the largest number, after momentum; measured: 1e-7. All else is equal to the last bit


class Side:
    """torch or this package: a scaler and two optimizers over parameters of the same numbers."""

    def __init__(self, library: Any, optimizers: Any, scaler: Any, options: dict[str, Any]) -> None:
        self.library, self.new_scaler = library, scaler
        self.scaler = scaler("cpu", **options)
        self.params = [
            [self.parameter(np.full(shape, i + 1, "f4")) for i, shape in enumerate(SHAPES)] for _ in range(OPTIMIZERS)
        ]
        self.optimizers = [optimizers.SGD(params, lr=0.1, momentum=0.9) for params in self.params]

    def parameter(self, value: np.ndarray) -> Any:
        if self.library is torch:
            return torch.nn.Parameter(torch.tensor(value))
        return torchish_mlx.Parameter(mx.array(value))

    def tensor(self, value: Any, dtype: Any = None) -> Any:
        made = self.library.tensor(value)
        return made if dtype is None else made.to(dtype if self.library is torch else mx_dtype(dtype))

    # the operations

    def scale(self) -> Any:
        return self.scaler.scale(self.tensor(3.0)).item()

    def backward(self, which: int, kind: str) -> None:
        """The scaled gradient of a loss whose slope is finite, or infinite or NaN at one element."""
        loss = 0
        for p in self.params[which]:
            slope = np.full(p.shape, 0.25, "f4")
            if kind != "finite" and p.ndim == 2:
                slope[1, 1] = {"inf": np.inf, "-inf": -np.inf, "nan": np.nan, "huge": 3e38}[kind]
            loss = loss + (p * self.tensor(slope)).sum()
        self.scaler.scale(loss).backward()

    def zero_grad(self, which: int) -> None:
        self.optimizers[which].zero_grad()

    def unscale_(self, which: int) -> Any:
        return self.scaler.unscale_(self.optimizers[which])

    def step(self, which: int) -> Any:
        return self.scaler.step(self.optimizers[which])

    def update(self) -> Any:
        return self.scaler.update()

    def new_scale(self, value: float, how: str) -> Any:
        return self.scaler.update(value if how == "float" else self.tensor(value))

    def tune(self, growth: float, backoff: float, interval: int) -> None:
        self.scaler.set_growth_factor(growth)
        self.scaler.set_backoff_factor(backoff)
        self.scaler.set_growth_interval(interval)

    def load(self) -> None:
        """Into a scaler that has worked already, after a change that loading takes back."""
        saved = self.scaler.state_dict()
        self.scaler.set_growth_factor(7.0)
        self.scaler.load_state_dict(saved)

    def load_into_new(self) -> None:
        new = self.new_scaler("cpu", init_scale=3.0)
        new.load_state_dict(self.scaler.state_dict())
        self.scaler = new

    def pickled(self) -> None:
        self.scaler = pickle.loads(pickle.dumps(self.scaler))

    def copied(self) -> None:
        self.scaler = copy.deepcopy(self.scaler)

    # what must be equal

    def numbers(self) -> Any:
        s = self.scaler
        return s.state_dict(), s.get_scale(), s._get_growth_tracker(), s.is_enabled()

    def tensors(self) -> list[Any]:
        """The parameters and, where there are any, their momentum buffers."""
        return [
            t
            for o, params in zip(self.optimizers, self.params, strict=True)
            for p in params
            for t in (p.detach(), o.state[p].get("momentum_buffer") if p in o.state else None)
        ]

    def gradients(self) -> list[Any]:
        return [None if p.grad is None else p.grad for params in self.params for p in params]


def mx_dtype(dtype: torch.dtype) -> mx.Dtype:
    return next(ours for ours, theirs in TORCH_DTYPES.items() if theirs is dtype)


def both(**options: Any) -> tuple[Side, Side]:
    return (
        Side(torchish_mlx, optim, amp.GradScaler, options),
        Side(torch, torch.optim, torch.amp.GradScaler, options),
    )


def bits(values: list[Any]) -> list[Any]:
    """Shape and bytes of each tensor; one NaN is like another."""
    arrays = [None if v is None else (v if torch.is_tensor(v) else to_torch(v)).numpy() for v in values]
    return [None if a is None else (a.shape, np.where(np.isnan(a), np.float32(np.nan), a).tobytes()) for a in arrays]


class Comparison:
    """Of two sides, after each call; a tensor's rounding is measured by the largest number that it has held."""

    def __init__(self, ours: Side, theirs: Side) -> None:
        self.ours, self.theirs = ours, theirs
        self.largest: dict[int, float] = {}

    def __call__(self) -> None:
        assert self.ours.numbers() == self.theirs.numbers()
        assert bits(self.ours.gradients()) == bits(self.theirs.gradients())
        for i, (a, b) in enumerate(zip(self.ours.tensors(), self.theirs.tensors(), strict=True)):
            assert (a is None) == (b is None)
            if a is None:
                continue
            x, y = np.array(a.array, "f8"), b.detach().numpy().astype("f8")
            finite = np.isfinite(y)
            np.testing.assert_array_equal(x[~finite], y[~finite])
            self.largest[i] = max(self.largest.get(i, 1.0), np.abs(y[finite]).max(initial=0.0))
            assert np.abs(x[finite] - y[finite]).max(initial=0.0) <= TOLERANCE * self.largest[i]


def call(side: Side, name: str, args: tuple[Any, ...]) -> Any:
    result: list[Any] = []
    error = outcome(lambda: result.append(getattr(side, name)(*args)))
    return error or result


WHICH = st.integers(0, OPTIMIZERS - 1)
FACTORS = st.sampled_from([2.0, 1.7, 1.0001, 1e30])
OPERATIONS = st.one_of(
    st.tuples(st.just("backward"), st.tuples(WHICH, st.sampled_from(["finite"] * 5 + ["inf", "-inf", "nan", "huge"]))),
    st.tuples(st.just("step"), st.tuples(WHICH)),
    st.tuples(st.just("update"), st.just(())),
    st.tuples(st.just("unscale_"), st.tuples(WHICH)),
    st.tuples(st.just("zero_grad"), st.tuples(WHICH)),
    st.tuples(st.just("scale"), st.just(())),
    st.tuples(
        st.just("new_scale"),
        st.tuples(st.sampled_from([1.0, 0.1, 4096.0, 3e38]), st.sampled_from(["float", "tensor"])),
    ),
    st.tuples(st.just("tune"), st.tuples(FACTORS, st.sampled_from([0.5, 0.3]), st.integers(1, 3))),
    st.tuples(st.sampled_from(["load", "load_into_new", "pickled", "copied"]), st.just(())),
)
#: What people write, which a free sequence seldom is.
LOOPS = st.lists(
    st.tuples(
        WHICH, st.sampled_from(["finite"] * 3 + ["inf", "nan"]), st.booleans(), st.integers(1, 3), st.booleans()
    ).map(
        lambda t: [
            ("zero_grad", (t[0],)),
            *[("backward", (t[0], t[1] if i == 0 else "finite")) for i in range(t[3])],
            *([("unscale_", (t[0],))] if t[2] else []),
            ("step", (t[0],)),
            *([("update", ())] if t[4] else []),
        ]
    ),
    max_size=10,
).map(lambda rounds: [operation for one in rounds for operation in one])
SEQUENCES = st.one_of(st.lists(OPERATIONS, max_size=30), LOOPS)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "init_scale": st.sampled_from([1.0, 1000.0, 2.0**127]),
            "growth_factor": FACTORS,
            "backoff_factor": st.sampled_from([0.5, 0.7, 0.9999]),
            "growth_interval": st.integers(1, 3),
            "enabled": st.sampled_from([True, True, True, False]),
        },
    ),
    SEQUENCES,
)
def test_any_sequence_of_calls(options: dict[str, Any], sequence: list[tuple[str, tuple[Any, ...]]]) -> None:
    ours, theirs = both(**options)
    compare = Comparison(ours, theirs)
    for name, args in sequence:
        results = [call(side, name, args) for side in (ours, theirs)]
        assert results[0] == results[1], (name, args)
        if isinstance(results[0], tuple):
            event(results[0][1][:60])
        if name in ("update", "new_scale", "load", "load_into_new") and ours.scaler._scale is not None:
            ours.scale(), theirs.scale()  # as every iteration does; without it a changed scale is refused here
        compare()


def test_signature() -> None:
    for name in ("__init__", "step", "unscale_", "load_state_dict", "set_growth_factor", "set_growth_interval"):
        mine, torchs = (inspect.signature(getattr(c, name)) for c in (amp.GradScaler, torch.amp.GradScaler))
        described = [[(p.name, p.kind, p.default) for p in s.parameters.values()] for s in (mine, torchs)]
        assert described[0] == described[1], name
    assert [s.name for s in amp.OptState] == [s.name for s in torch.amp.grad_scaler.OptState]
    public = {name for name in vars(torch.amp.GradScaler) if not name.startswith("_")}
    assert public <= set(vars(amp.GradScaler))


@pytest.mark.parametrize(
    "options", [{"growth_factor": 1.0}, {"growth_factor": 0.5}, {"backoff_factor": 1.0}, {"backoff_factor": 2.0}]
)
def test_refused_factors(options: dict[str, Any]) -> None:
    results = [outcome(lambda cls=cls: cls("cpu", **options)) for cls in (amp.GradScaler, torch.amp.GradScaler)]
    assert results[0] == results[1] is not None
    assert not amp.GradScaler("cpu", enabled=False, **options).is_enabled()


@pytest.mark.parametrize(
    "operation",
    [
        lambda side: side.scaler.step(side.optimizers[0]),
        lambda side: side.scaler.unscale_(side.optimizers[0]),
        lambda side: side.scaler.update(),
        lambda side: side.scaler.update(2.0),
        lambda side: side.scaler.load_state_dict({}),
        lambda side: side.scaler.step(side.optimizers[0], closure=lambda: None),
        lambda side: (side.scale(), side.scaler.step(side.optimizers[0])),
        lambda side: (side.scale(), side.scaler.unscale_(side.optimizers[0]), side.scaler.step(side.optimizers[0])),
        lambda side: (side.scale(), side.scaler.update()),
        lambda side: (side.scale(), side.scaler.update(side.tensor([1.0, 2.0]))),
        lambda side: (side.scale(), side.scaler.update(side.library.ones(1, requires_grad=True))),
        lambda side: side.scaler.scale("loss"[0:0] or 3.0),
        lambda side: side.scaler.scale([side.tensor(1.0), None]),
        lambda side: (side.backward(0, "finite"), side.unscale_(0), pickle.dumps(side.scaler)),
    ],
)
def test_errors(operation: Any) -> None:
    found = []
    for side in both():
        error = outcome(lambda side=side: operation(side))
        found.append(error)
        assert side.scaler.get_scale() == 2.0**16
    assert found[0] == found[1] is not None


def test_fp16_gradients_are_refused() -> None:
    """torch's words, and what to do; nothing is changed."""
    texts = []
    for side in both():
        p = side.params[0][0]
        half = side.tensor(np.ones((2, 3), "f4"), torch.float16)
        if side.library is torch:
            side.params[0][0] = p = torch.nn.Parameter(half.clone())
            side.optimizers[0] = torch.optim.SGD([p], lr=0.1)
        p.grad = half
        side.scale()
        with pytest.raises(ValueError, match=r"^Attempting to unscale FP16 gradients\.") as error:
            side.scaler.step(side.optimizers[0])
        texts.append(str(error.value))
        assert p.grad.tolist() == [[1.0] * 3] * 2
    assert texts[0].startswith(texts[1])
    assert "float32" in texts[0]
    assert "bfloat16" in texts[0]


def test_scale_of_nested_outputs() -> None:
    """Values, structure and dtypes, half precision with and without dimensions."""

    def described(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value).__name__, [described(v) for v in value]
        if isinstance(value, (torch.Tensor, torchish_mlx.Tensor)):
            return str(value.dtype).rpartition(".")[2], tuple(value.shape), value.tolist()
        return type(value).__name__, [described(v) for v in value]

    found = []
    for side in both(init_scale=1024.0):
        a, b = side.tensor([1.0, 2.0]), side.tensor(3.0)
        halves = [side.tensor(v, torch.float16) for v in (3.0, [3.0, 100.0])]
        wide = side.tensor(1.5, torch.bfloat16)
        nested = [a, (b, [a]), (x for x in (a, b)), {"set of one": 1}.values() and iter([b]), (), halves, wide]
        found.append(described(side.scaler.scale(nested)))
    assert found[0] == found[1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_gradients_are_unscaled_in_their_dtype(dtype: torch.dtype) -> None:
    """Bit for bit, by a scale that is no power of two."""
    numbers = np.random.default_rng(0).normal(size=(64,)).astype("f8") * 1000
    found = []
    for side in both(init_scale=1234.5):
        value = side.tensor(numbers.astype("f4" if side.library is not torch else "f8"), dtype)
        if side.library is torch:
            p = torch.nn.Parameter(torch.zeros(64, dtype=dtype))
            p.grad = torch.tensor(numbers.astype("f4")).to(dtype)
            optimizer: Any = torch.optim.SGD([p], lr=0.1)
        else:
            p = torchish_mlx.Parameter(mx.zeros(64, mx_dtype(dtype)))
            p.grad = value
            optimizer = optim.SGD([p], lr=0.1)
        place = p.grad
        side.scale()
        with cpu_of_mlx():
            side.scaler.unscale_(optimizer)
            assert p.grad is place
            found.append((to_torch(p.grad) if side.library is not torch else p.grad).to(torch.float64).tolist())
    assert found[0] == found[1]


class cpu_of_mlx:
    """MLX computes in float64 on the CPU only."""

    def __enter__(self) -> None:
        self.before = mx.default_device()
        mx.set_default_device(mx.cpu)

    def __exit__(self, *_: object) -> None:
        mx.set_default_device(self.before)


def rows(side: Side, indices: list[int], values: Any) -> Any:
    if side.library is torch:
        where = torch.tensor([indices], dtype=torch.long)
        return torch.sparse_coo_tensor(where, torch.tensor(values).float(), (4, 2), check_invariants=True)
    where = mx.array([indices], mx.int32) if indices else mx.zeros((1, 0), mx.int32)
    return torchish_mlx.sparse_coo_tensor(where, mx.array(np.array(values, "f4")), (4, 2))


@pytest.mark.parametrize(
    ("indices", "values"),
    [([0, 2], [[1, 2], [3, 4]]), ([2, 0, 2], [[1, 2], [3, 4], [5, 6]]), ([1], [[np.inf, 0]]), ([], np.zeros((0, 2)))],
    ids=["rows", "a row twice", "infinite", "none"],
)
def test_rows(indices: list[int], values: Any) -> None:
    found = []
    for side in both(init_scale=8.0):
        p = side.parameter(np.ones((4, 2), "f4"))
        optimizer = (torch.optim if side.library is torch else optim).SGD([p], lr=0.5)
        p.grad = rows(side, indices, values)
        side.scale()
        side.scaler.step(optimizer)
        dense = p.grad.to_dense() if side.library is torch else torchish_mlx.Tensor(p.grad.dense())
        side.scaler.update()
        found.append((p.tolist(), dense.tolist(), side.scaler.get_scale()))
    assert found[0] == found[1]


@pytest.mark.filterwarnings("ignore:GradScaler is going to stop passing itself:FutureWarning")
@pytest.mark.parametrize("unscaled", [False, True])
@pytest.mark.parametrize("style", ["attributes", "argument"])
@pytest.mark.parametrize("slope", [0.5, math.inf])
@pytest.mark.parametrize("grad_scale", [None, 4.0])
def test_an_optimizer_that_handles_the_scale_itself(unscaled: bool, style: str, slope: float, grad_scale: Any) -> None:
    """``_step_supports_amp_scaling``, by torch's two contracts: what the optimizer gets, and what is left behind."""
    found = []
    for side in both(init_scale=16.0):
        library = torch.optim if side.library is torch else optim
        seen: list[Any] = []

        class Fused(library.SGD):  # type: ignore[misc,name-defined]
            _step_supports_amp_scaling = True

            def step(self, closure: Any = None, factor: float = 1.0) -> Any:
                given = self.grad_scale
                seen.append([None if given is None else given.item(), self.found_inf.item(), factor])  # noqa: B023
                return "stepped"

        class Older(library.SGD):  # type: ignore[misc,name-defined]
            _step_supports_amp_scaling = True

            def step(self, closure: Any = None, factor: float = 1.0, *, grad_scaler: Any = None) -> Any:
                checks = grad_scaler._found_inf_per_device(self) or grad_scaler._check_inf_per_device(self)
                found_inf = sum(v.item() for v in checks.values())
                seen.append([grad_scaler._get_scale_async().item(), found_inf, factor])  # noqa: B023
                return "stepped"

        p = side.parameter(np.ones((2,), "f4"))
        optimizer = (Fused if style == "attributes" else Older)([p], lr=0.1)
        if grad_scale is not None:
            optimizer.grad_scale = side.tensor(grad_scale)
        side.scaler.scale((p * side.tensor([slope, 1.0])).sum()).backward()
        if unscaled:
            side.scaler.unscale_(optimizer)
        seen.append(side.scaler.step(optimizer, factor=3.0))
        seen.append(p.grad.tolist())
        seen.append([hasattr(optimizer, "grad_scale") and style == "attributes", hasattr(optimizer, "found_inf")])
        seen.append(outcome(lambda s=side, o=optimizer: s.scaler.step(o)))
        side.scaler.update()
        found.append([*seen, side.scaler.get_scale()])
    assert found[0] == found[1]


def test_the_older_contract_warns() -> None:
    texts = []
    for side in both():
        library = torch.optim if side.library is torch else optim

        class Older(library.SGD):  # type: ignore[misc,name-defined]
            _step_supports_amp_scaling = True

            def step(self, closure: Any = None, *, grad_scaler: Any = None) -> None: ...

        optimizer = Older([side.parameter(np.ones((2,), "f4"))], lr=0.1)
        side.scale()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            side.scaler.step(optimizer)
        texts.append([(w.category, str(w.message), w.filename) for w in caught])
    assert texts[0] == texts[1]
