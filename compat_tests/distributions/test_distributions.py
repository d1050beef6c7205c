"""Every distribution next to torch's: what it says of itself, samples, densities, divergences, gradients, messages."""

from __future__ import annotations

import io
import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributions

import torchish_mlx as tm

SIDES = (torch, tm)
ROWS = [[0.2, 0.5, 0.3], [0.7, 0.2, 0.1]]

#: (class, parameters): lists are Tensors that want a gradient.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("Bernoulli", {"probs": [0.1, 0.5, 0.8]}),
    ("Bernoulli", {"logits": [[-1.0, 0.0, 3.0]]}),
    ("Bernoulli", {"probs": 0.3}),
    ("Geometric", {"probs": [0.1, 0.5, 0.8]}),
    ("Geometric", {"logits": [-1.0, 0.5]}),
    ("Geometric", {"probs": 0.25}),
    ("Categorical", {"probs": [1.0, 1.0, 2.0]}),
    ("Categorical", {"probs": ROWS}),
    ("Categorical", {"logits": [[-1.0, 0.0, 3.0], [0.5, 0.5, 0.5]]}),
    ("OneHotCategorical", {"probs": ROWS}),
    ("OneHotCategorical", {"logits": [-1.0, 0.0, 3.0]}),
    ("OneHotCategoricalStraightThrough", {"probs": ROWS}),
    ("Normal", {"loc": [0.5, -1.0, 2.0], "scale": [[1.0], [0.25]]}),
    ("Normal", {"loc": 0.5, "scale": 2}),
    ("Normal", {"loc": [0.5], "scale": 2.0}),
    ("Laplace", {"loc": [0.5, -1.0, 2.0], "scale": [1.0, 0.25, 3.0]}),
    ("Cauchy", {"loc": [0.5, -1.0, 2.0], "scale": [1.0, 0.25, 3.0]}),
    ("Uniform", {"low": [0.0, -2.0], "high": [1.0, 3.0]}),
    ("Uniform", {"low": -1, "high": 1}),
    ("Exponential", {"rate": [0.5, 1.0, 4.0]}),
    ("Exponential", {"rate": 2.0}),
    ("Poisson", {"rate": [0.5, 4.0, 20.0]}),
]
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(CASES)]
each_case = pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)


def made(side: Any, name: str, parameters: dict[str, Any], **options: Any) -> tuple[Any, list[Any]]:
    """The distribution, and its parameters that want gradients."""
    given = {
        k: side.tensor(v, dtype=side.float32, requires_grad=True) if isinstance(v, list) else v
        for k, v in parameters.items()
    }
    leaves = [v for v in given.values() if isinstance(v, (torch.Tensor, tm.Tensor))]
    return getattr(side.distributions, name)(**given, **options), leaves


def outcome(call: Any) -> Any:
    """The result, or what was raised, with single spaces."""
    try:
        return call()
    except (NotImplementedError, ValueError, AttributeError) as error:
        return type(error), " ".join(str(error).split())


def compare(calls: list[Any], leaves: list[list[Any]], what: str, ulps: float = 8) -> None:
    """Values, dtypes, shapes and gradients of the same call on both sides, or the same error."""
    its, mine = (outcome(call) for call in calls)
    if isinstance(its, tuple) and isinstance(its[0], type):
        assert mine == (its[0], its[1].replace("torch.distributions", "torchish_mlx.distributions")), what
        return
    assert isinstance(mine, tm.Tensor), (what, mine)
    assert str(mine.dtype) == str(its.dtype), what
    assert tuple(mine.shape) == tuple(its.shape), what
    close(mine, its, what, ulps)
    assert mine.requires_grad == its.requires_grad, what
    if its.requires_grad:
        gradients = [
            side.autograd.grad(
                (value * side.isfinite(value)).nan_to_num().sum(), of, allow_unused=True, retain_graph=True
            )
            for side, value, of in zip(SIDES, (its, mine), leaves, strict=True)
        ]
        for theirs, own in zip(*gradients, strict=True):
            assert (theirs is None) == (own is None), what
            if theirs is not None:
                close(own, theirs, f"gradient of {what}", 4 * ulps)


def close(mine: Any, its: Any, what: str, ulps: float) -> None:
    a, b = mine.detach().numpy(), its.detach().numpy()
    finite = b[np.isfinite(b)]
    size = max(1.0, float(np.abs(finite).max())) if finite.size else 1.0
    np.testing.assert_allclose(a, b, rtol=ulps * 2**-23, atol=ulps * 2**-23 * size, err_msg=what)


@each_case
def test_what_it_says_of_itself(name, parameters):
    (its, i), (mine, m) = (made(side, name, parameters) for side in SIDES)
    assert repr(mine) == repr(its)
    assert type(mine).__module__ == type(its).__module__.replace("torch", "torchish_mlx")
    for attribute in (
        "batch_shape",
        "event_shape",
        "has_rsample",
        "has_enumerate_support",
        "support",
        "arg_constraints",
    ):
        assert repr(getattr(mine, attribute)) == repr(getattr(its, attribute)), attribute
        shapes = attribute.endswith("shape")
        assert not shapes or type(getattr(mine, attribute)) is tm.Size
    for attribute in ("event_dim", "is_discrete"):
        for pair in ((type(mine).support, type(its).support), (mine.support, its.support)):
            assert getattr(pair[0], attribute) == getattr(pair[1], attribute)
    for attribute in ("mean", "mode", "variance", "stddev", "probs", "logits"):
        if hasattr(its, attribute):
            compare([lambda: getattr(its, attribute), lambda: getattr(mine, attribute)], [i, m], attribute)  # noqa: B023
    for method in ("entropy", "perplexity", "enumerate_support"):
        compare([getattr(its, method), getattr(mine, method)], [i, m], method)
    compare([lambda: its.enumerate_support(False), lambda: mine.enumerate_support(False)], [i, m], "enumerate_support")


@each_case
@pytest.mark.parametrize("shape", [(), (2,), (3, 40)])
def test_samples_are_torchs(name, parameters, shape):
    (its, i), (mine, m) = (made(side, name, parameters) for side in SIDES)
    for method in ("sample", "rsample"):
        for side in SIDES:
            side.manual_seed(5)
        compare([lambda: getattr(its, method)(shape), lambda: getattr(mine, method)(shape)], [i, m], method)  # noqa: B023
        assert torch.equal(torch.get_rng_state(), torch.tensor(tm.get_rng_state().numpy())), method


@each_case
def test_densities_of_samples_and_of_other_values(name, parameters):
    (its, i), (mine, m) = (made(side, name, parameters, validate_args=False) for side in SIDES)
    torch.manual_seed(1)
    samples = its.sample((5,)).numpy()
    values = [samples, samples[0], samples[:1]]
    if "Categorical" not in name:
        values += [
            np.float32(0),
            np.float32(1),
            np.linspace(-3, 3, 7, dtype=np.float32).reshape(7, *[1] * len(its.batch_shape)),
        ]
    for value, method in itertools.product(values, ("log_prob", "cdf", "icdf")):
        given = value.clip(0.1, 0.9) if method == "icdf" else value
        calls = [lambda: getattr(its, method)(torch.tensor(given)), lambda: getattr(mine, method)(tm.tensor(given))]  # noqa: B023
        compare(calls, [i, m], f"{method}({given})", 16)


@each_case
def test_an_expanded_one_is_the_same_in_another_shape(name, parameters):
    (its, i), (mine, m) = (made(side, name, parameters) for side in SIDES)
    for read in (False, True):
        for d in (its, mine) if read else ():  # what is computed when it is read is expanded too
            outcome(d.entropy)
            outcome(lambda: d.probs)  # noqa: B023
        expanded = [d.expand((4, *d.batch_shape)) for d in (its, mine)]
        assert repr(expanded[1]) == repr(expanded[0])
        assert expanded[1].batch_shape == expanded[0].batch_shape
        for side in SIDES:
            side.manual_seed(2)
        compare([expanded[0].sample, expanded[1].sample], [i, m], "sample")
        compare([expanded[0].entropy, expanded[1].entropy], [i, m], "entropy")
    for side, d in zip(SIDES, (its, mine), strict=True):
        sub = type("Mine", (getattr(side.distributions, name),), {"__init__": lambda self: None})
        with pytest.raises(
            NotImplementedError, match=rf"Subclass Mine of {name[:17]}\w* that defines a custom __init__"
        ):
            type(d).expand(sub(), (2,)) if name != "Uniform" else type(d).expand(_uniform(sub, d), (2,))


def _uniform(sub: Any, d: Any) -> Any:
    made_ = sub()
    made_.low, made_.high = d.low, d.high
    return made_


def test_divergences_of_all_pairs():
    for (p_name, p_given), (q_name, q_given) in itertools.product(CASES, CASES):
        pairs = [
            (made(side, p_name, p_given, validate_args=False), made(side, q_name, q_given, validate_args=False))
            for side in SIDES
        ]
        try:
            np.broadcast_shapes(pairs[0][0][0].batch_shape, pairs[0][1][0].batch_shape)
            if {"Categorical", "OneHotCategorical"} & {p_name, q_name} and (
                p_name != q_name or pairs[0][0][0].batch_shape != pairs[0][1][0].batch_shape
            ):
                continue
            if p_name == q_name and pairs[0][0][0].batch_shape != pairs[0][1][0].batch_shape:
                continue  # torch writes infinities by a mask of another shape there
        except ValueError:
            continue
        calls = [
            lambda side=side, pair=pair: side.distributions.kl_divergence(pair[0][0], pair[1][0])
            for side, pair in zip(SIDES, pairs, strict=True)
        ]
        compare(calls, [[*pair[0][1], *pair[1][1]] for pair in pairs], f"kl of {p_name} and {q_name}", 32)


def test_divergence_of_impossible_outcomes():
    for p, q in itertools.product(([0.0, 0.5, 0.5], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]), repeat=2):
        for name in ("Categorical", "Bernoulli"):
            values = [
                side.distributions.kl_divergence(
                    getattr(side.distributions, name)(side.tensor(p)), getattr(side.distributions, name)(side.tensor(q))
                )
                for side in SIDES
            ]
            close(values[1], values[0], name, 8)


def test_a_formula_of_ones_own():
    for side in SIDES:

        class Mine(side.distributions.Normal):
            pass

        class Mines(Mine):
            pass

        d = side.distributions
        assert d.kl_divergence(Mine(0.0, 1.0), d.Normal(1.0, 1.0)).item() == 0.5
        d.register_kl(Mine, d.Normal)(lambda p, q: "first")
        assert d.kl_divergence(Mines(0.0, 1.0), d.Normal(1.0, 1.0)) == "first"
        d.register_kl(d.Normal, Mine)(lambda p, q: "second")
        with pytest.warns(
            RuntimeWarning, match=r"Ambiguous kl_divergence\(Mines, Mines\). Please register_kl\(Mine, Mine\)"
        ):
            assert d.kl_divergence(Mines(0.0, 1.0), Mines(1.0, 1.0)) == "first"
        d.register_kl(Mine, Mine)(lambda p, q: "both")
        assert d.kl_divergence(Mines(0.0, 1.0), Mines(1.0, 1.0)) == "both"
        with pytest.raises(NotImplementedError, match="for p type Cauchy and q type Mine"):
            d.kl_divergence(d.Cauchy(0.0, 1.0), Mine(0.0, 1.0))


def test_a_formula_for_what_is_no_distribution_is_refused():
    with pytest.raises(TypeError, match="Expected type_p to be a Distribution subclass but got 3"):
        tm.distributions.register_kl(3, tm.distributions.Normal)
    with pytest.raises(TypeError, match="Expected type_q to be a Distribution subclass but got <class 'int'>"):
        tm.distributions.register_kl(tm.distributions.Normal, int)


def test_independent():
    for side in SIDES:
        d = side.distributions
        base = d.Normal(side.zeros(2, 3, 4), side.ones(4))
        both = d.Independent(base, 2)
        assert (both.batch_shape, both.event_shape) == ((2,), (3, 4))
        assert repr(both) == "Independent(Normal(loc: torch.Size([2, 3, 4]), scale: torch.Size([2, 3, 4])), 2)"
        assert repr(both.support) == "IndependentConstraint(Real(), 2)"
        assert both.has_rsample
        assert not both.has_enumerate_support
        assert both.log_prob(side.zeros(3, 4)).tolist() == pytest.approx([-6 * math.log(2 * math.pi)] * 2)
        assert both.entropy().shape == (2,)
        assert both.expand((5, 2)).sample((7,)).shape == (7, 5, 2, 3, 4)
        assert d.kl_divergence(both, both).tolist() == [0, 0]
        with pytest.raises(NotImplementedError, match="Enumeration over cartesian product"):
            both.enumerate_support()
        with pytest.raises(NotImplementedError):
            d.kl_divergence(both, d.Independent(base, 1))
        with pytest.raises(ValueError, match="actual 4 vs 3"):
            d.Independent(base, 4)


#: What is refused: side -> call.
WRONG: dict[str, Any] = {
    "probs above 1": lambda t, d: d.Bernoulli(t.tensor([0.5, 1.5])),
    "probs below 0": lambda t, d: d.Bernoulli(-0.5),
    "a NaN": lambda t, d: d.Normal(math.nan, 1.0),
    "no scale": lambda t, d: d.Normal(t.zeros(2), t.tensor([1.0, 0.0])),
    "both": lambda t, d: d.Bernoulli(probs=0.5, logits=0.5),
    "none": lambda t, d: d.Categorical(),
    "none of Geometric": lambda t, d: d.Geometric(),
    "no dimension": lambda t, d: d.Categorical(t.tensor(0.5)),
    "no dimension of logits": lambda t, d: d.Categorical(logits=t.tensor(0.5)),
    "a negative weight": lambda t, d: d.Categorical(t.tensor([0.5, -0.5, 2.0])),
    "weights of nothing": lambda t, d: d.Categorical(t.zeros(2)),
    "a one-hot of wrong weights": lambda t, d: d.OneHotCategorical(t.tensor([[0.5, -0.5, 2.0]])),
    "logits of NaN": lambda t, d: d.Categorical(logits=t.tensor([0.0, math.nan])),
    "low and high": lambda t, d: d.Uniform(1.0, 0.0),
    "a probability of 0": lambda t, d: d.Geometric(t.tensor([0.0, 0.5])),
    "a rate of 0": lambda t, d: d.Exponential(t.tensor(0.0)),
    "a rate below 0": lambda t, d: d.Poisson(-1.0),
    "a text": lambda t, d: d.Normal("0", 1.0),
    "a value that is no Tensor": lambda t, d: d.Normal(0.0, 1.0).log_prob(0.0),
    "a value of another shape": lambda t, d: d.Normal(t.zeros(3), 1.0).log_prob(t.zeros(2)),
    "an event of another shape": lambda t, d: d.OneHotCategorical(t.ones(3)).log_prob(t.zeros(2)),
    "an outcome that is none": lambda t, d: d.Categorical(t.ones(3)).log_prob(t.tensor(3)),
    "a half": lambda t, d: d.Bernoulli(t.tensor([0.5, 0.5])).log_prob(t.tensor([0.5, 1.0])),
    "outside": lambda t, d: d.Uniform(0.0, 1.0).log_prob(t.tensor([0.5, 1.5])),
    "two ones": lambda t, d: d.OneHotCategorical(t.ones(3)).log_prob(t.tensor([1.0, 1.0, 0.0])),
    "a NaN as a value": lambda t, d: d.Cauchy(0.0, 1.0).cdf(t.tensor(math.nan)),
    "below 0": lambda t, d: d.Exponential(1.0).log_prob(t.tensor(-1.0)),
    "no integer": lambda t, d: d.Poisson(1.0).log_prob(t.tensor(0.5)),
    "the base class": lambda t, d: d.Distribution(validate_args=False).sample(),
    "an entropy without a formula": lambda t, d: d.Poisson(1.0).entropy(),
    "the mode of the base class": lambda t, d: d.Distribution(validate_args=False).mode,
    "validation": lambda t, d: d.Distribution.set_default_validate_args(3),
    "rsample of an integer": lambda t, d: d.Bernoulli(0.5).rsample(),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_refused_is_refused_in_torchs_words(what):
    errors = []
    for side in SIDES:
        with pytest.raises((ValueError, NotImplementedError)) as caught:
            WRONG[what](side, side.distributions)
        errors.append((caught.type, str(caught.value)))
    assert errors[1] == (errors[0][0], errors[0][1].replace("torch.distributions", "torchish_mlx.distributions"))


def test_validation_can_be_switched_off():
    for side in SIDES:
        d = side.distributions
        assert math.isnan(d.Normal(0.0, -1.0, validate_args=False).log_prob(side.tensor(0.0)).item())
        d.Distribution.set_default_validate_args(False)
        try:
            d.Normal(0.0, -1.0)
        finally:
            d.Distribution.set_default_validate_args(True)
        with pytest.raises(ValueError, match="Expected parameter scale"):
            d.Normal(0.0, -1.0)


def test_a_distribution_of_a_user():
    for side in SIDES:

        class Mine(side.distributions.Distribution):
            pass

        with pytest.warns(UserWarning, match="does not define `arg_constraints`"):
            mine = Mine()
        with pytest.warns(UserWarning, match="does not define `support`"):
            mine._validate_sample(side.zeros(()))
        with pytest.warns(FutureWarning, match=r"Use `sample\(\(n,\)\)` instead"):
            assert side.distributions.Normal(0.0, 1.0).sample_n(3).shape == (3,)


def test_logits_are_computed_once_and_with_gradients():
    p = tm.tensor([0.25, 0.75], requires_grad=True)
    d = tm.distributions.Categorical(p)
    with tm.no_grad():
        d.logits
    assert d.logits is d.logits
    d.log_prob(tm.tensor(1)).backward()
    assert p.grad is not None


def test_a_distribution_is_pickled_and_saved():
    d = torch.distributions.Normal(torch.tensor([1.0, 2.0]), 3.0)
    file = io.BytesIO()
    torch.save(d, file)
    read = tm.load(io.BytesIO(file.getvalue()), weights_only=False)
    assert repr(read) == repr(d)
    assert read.loc.tolist() == [1.0, 2.0]
    assert repr(pickle.loads(pickle.dumps(read))) == repr(d)


# -- constraints

VALUES = [
    [[1.0, 0.0], [0.5, 2.0]],
    [[1.0, 0.0], [0.6, 0.8]],
    [[0.0, 1.0], [1.0, 0.0]],
    [[0.25, 0.75], [-1.0, 2.0]],
    [[math.nan, math.inf], [-math.inf, 1.0]],
    [[3.0, 2.0], [2.0, 4.0]],
]
SETS: dict[str, Any] = {
    **{
        name: (lambda c, name=name: getattr(c, name))
        for name in [
            "boolean",
            "corr_cholesky",
            "lower_cholesky",
            "lower_triangular",
            "nonnegative",
            "nonnegative_integer",
            "one_hot",
            "positive",
            "positive_integer",
            "real",
            "real_vector",
            "simplex",
            "square",
            "symmetric",
            "unit_interval",
        ]
    },
    "greater_than": lambda c: c.greater_than(1),
    "greater_than_eq": lambda c: c.greater_than_eq(1.0),
    "less_than": lambda c: c.less_than(0.5),
    "interval": lambda c: c.interval(0, 0.5),
    "half_open_interval": lambda c: c.half_open_interval(0, 1),
    "integer_interval": lambda c: c.integer_interval(1, 2),
    "multinomial": lambda c: c.multinomial(2),
    "independent": lambda c: c.independent(c.positive, 2),
    "independent of vectors": lambda c: c.independent(c.simplex, 1),
    "mixture": lambda c: c.MixtureSameFamilyConstraint(c.real),
    "cat": lambda c: c.cat([c.positive, c.unit_interval], -1, [1, 1]),
    "stack": lambda c: c.stack([c.positive, c.unit_interval], -1),
}


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_what_torchs_has(name):
    its, mine = (SETS[name](side.distributions.constraints) for side in SIDES)
    assert (mine.event_dim, mine.is_discrete) == (its.event_dim, its.is_discrete)
    if name not in ("cat", "stack", "multinomial"):
        assert repr(mine) == repr(its)
    for value in VALUES:
        assert mine.check(tm.tensor(value)).tolist() == its.check(torch.tensor(value)).tolist(), value


def test_dependent_sets():
    for side in SIDES:
        c = side.distributions.constraints
        for name in ("is_discrete", "event_dim"):
            with pytest.raises(NotImplementedError, match=f".{name} cannot be determined statically"):
                getattr(c.dependent, name)
        assert c.dependent(event_dim=2)(is_discrete=True).event_dim == 2
        assert c.is_dependent(c.dependent)
        assert not c.is_dependent(c.real)
        assert c.is_dependent(side.distributions.Uniform.support)
        with pytest.raises(ValueError, match="Cannot determine validity of dependent constraint"):
            c.dependent.check(side.zeros(2))
        with pytest.raises(AssertionError, match="reinterpreted_batch_ndims must be >= 0, got -1"):
            c.independent(c.real, -1)
        with pytest.raises(AssertionError, match="base_constraint must be a Constraint, got int"):
            c.independent(3, 1)
        with pytest.raises(ValueError, match=r"Expected value.dim\(\) >= 2 but got 1"):
            c.independent(c.real, 2).check(side.zeros(2))


def test_numbers_and_tensors_in_one_shape():
    for side in SIDES:
        u = side.distributions.utils
        a, b, n = u.broadcast_all(side.zeros(2, 1, dtype=side.float16), side.ones(3), 2)
        assert (tuple(a.shape), tuple(b.shape), tuple(n.shape), n.dtype) == ((2, 3), (2, 3), (2, 3), side.float16)
        assert u.broadcast_all(1, True)[1].dtype == side.float32
        with pytest.raises(ValueError, match="Input arguments must all be instances of Number"):
            u.broadcast_all("a")
        assert u.clamp_probs(side.tensor([0.0, 0.5, 1.0])).tolist() == [2**-23, 0.5, 1 - 2**-23]
