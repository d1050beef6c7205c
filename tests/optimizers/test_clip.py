"""Clipping of trees of gradients: numbers, range, dtypes, laziness, rows, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map

from tests.cases import Net, assert_close, assert_same, flat, gradients, tree_map_with_key
from torchish_mlx import optimizers
from torchish_mlx.optimizers import RowSparse, clip_grad_norm, clip_grad_value, get_total_norm, scale_by_norm

INF = math.inf
ORDERS = [0.5, 1, 2, 3, 10, INF, -INF, -1, -2.5]
TOLERANCE = 5e-7  # relative; measured over this file: 1.5e-7


def reference(grads: Any, order: float) -> float:
    """The norm in double, by its definition."""
    vectors = [g.dense() if isinstance(g, RowSparse) else g for g in leaves(grads)]
    flat = np.abs(np.concatenate([np.array(v.astype(mx.float32), "f8").ravel() for v in vectors]))
    if math.isinf(order):
        return float(flat.max() if order > 0 else flat.min())
    with np.errstate(divide="ignore"):
        return float(np.sum(flat**order) ** (1 / order))


def leaves(tree: Any) -> list[Any]:
    return [leaf for _, leaf in tree_flatten(tree)]


def widened(tree: Any) -> Any:
    return tree_map(lambda g: g.astype(mx.float32), tree)


# Numbers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_norm_by_its_definition(dtype, order):
    grads = gradients(Net(), 3, dtype)
    norm = get_total_norm(grads, order)
    assert norm.dtype == mx.float32
    assert norm.shape == ()
    assert norm.item() == pytest.approx(reference(grads, order), rel=TOLERANCE)


def test_order_zero_counts_arrays():
    grads = {"a": mx.array([0.0, 3.0, 4.0]), "b": mx.zeros((2, 2)), "c": [mx.array(5.0), mx.zeros((0,))]}
    assert get_total_norm(grads, 0).item() == 2.0


def test_order_as_a_word():
    assert get_total_norm([mx.array([1.0, -3.0])], "inf").item() == 3.0


def test_as_mlx():
    """The positional call of MLX, with the same result."""
    for step, max_norm in enumerate([0.1, 1, 5.0, 1e3, 0]):
        grads = gradients(Net(), step)
        ours, norm = clip_grad_norm(grads, max_norm)
        theirs, expected = mlx.optimizers.clip_grad_norm(grads, max_norm)
        assert_close({"grads": ours, "norm": norm}, {"grads": theirs, "norm": expected}, 3)  # measured: 1


@pytest.mark.parametrize("order", ORDERS)
def test_clipped_to_the_norm(order):
    grads = gradients(Net(), 4)
    before = flat(grads)
    limit = reference(grads, order) / 7
    clipped, norm = clip_grad_norm(grads, limit, order)
    assert norm.item() == pytest.approx(7 * limit, rel=TOLERANCE)
    assert reference(clipped, order) == pytest.approx(limit * (7 * limit) / (7 * limit + 1e-6), rel=TOLERANCE)
    assert_same(grads, before)  # a pure function
    assert_same(clip_grad_norm(grads, 7.1 * limit, order)[0], grads)


def test_the_sum_of_a_large_array():
    """Measured: 1.3e-6 here; MLX's own norm is 1.5e-3 off on the CPU, torch's 6.7e-5 (order 2) and 1.5e-3 (1/2)."""
    g = mx.random.uniform(shape=(1 << 11, (1 << 11) + 1), key=mx.random.key(0))
    for order in (0.5, 1, 2, 3):
        expected = np.sum(np.array(g, "f8") ** order) ** (1 / order)
        assert get_total_norm([g], order).item() == pytest.approx(expected, rel=4e-6)
        assert get_total_norm([g.T[3:], g.T[:3]], order).item() == pytest.approx(expected, rel=4e-6)


@pytest.mark.parametrize("size", [4095, 4096, 4097, 8191, 8192, 10007])
def test_every_element_counts_once(size):
    """Whole numbers, whose sums are exact: around the sizes where arrays are joined, and split."""
    g = mx.arange(size).astype(mx.float32) % 7 - 3
    counted = np.abs(np.array(g))
    for grads in ([g], [g, g[:5]], {"a": g[:100], "b": g[100:]}):
        extra = counted[:5].sum() if isinstance(grads, list) and len(grads) == 2 else 0
        assert get_total_norm(grads, 1).item() == counted.sum() + extra
        peak = mx.array([0.0] * (size - 1) + [-9.0])
        assert get_total_norm([g + peak], INF).item() == abs(g[-1].item() - 9)
        assert get_total_norm([mx.abs(g) + 1 + peak / 10], -INF).item() == pytest.approx(
            (mx.abs(g[-1]) + 0.1).item() if abs(g[-1].item()) < 0.9 else 1.0
        )


# Range --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("dtype", "value"), [(mx.float16, 65504.0), (mx.float16, 6e-8), (mx.float32, 1e30)])
def test_ends_of_the_range(dtype, value, order):
    """A thousand elements at an end of the range: the norm is right, and so is what is clipped to a middle value."""
    g = mx.full((1000,), value, dtype=dtype) * mx.array([1.0, -1.0] * 500).astype(dtype)
    norm = get_total_norm({"g": g}, order).item()
    assert norm == pytest.approx(reference([g], order), rel=TOLERANCE)
    if value > 1:
        clipped, _ = clip_grad_norm({"g": g}, norm / value, order)
        assert clipped["g"].dtype == dtype
        assert np.abs(np.array(clipped["g"], "f8")) == pytest.approx(1, rel=1e-3 if dtype == mx.float16 else 1e-6)


@pytest.mark.parametrize("order", [2, 3, 10, 100, -2])
@pytest.mark.parametrize("scale", [1e25, 1e-25])
def test_powers_beyond_the_range_of_float32(scale, order):
    """The squares of 1e25 are inf in float32, those of 1e-25 are 0; the norm is neither."""
    grads = {"w": mx.array([3.0, -2.0, 1.5]) * scale, "b": mx.array([0.25]) * scale}
    expected = get_total_norm({"w": mx.array([3.0, -2.0, 1.5]), "b": mx.array([0.25])}, order).item()
    assert get_total_norm(grads, order).item() == pytest.approx(expected * scale, rel=TOLERANCE)


def test_zeros():
    for order in ORDERS:
        assert get_total_norm([mx.zeros((3,))], order).item() == 0.0
        assert_same(clip_grad_norm([mx.zeros((3,))], 1.0, order)[0], [mx.zeros((3,))])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("where", range(3))
def test_nan_spreads(order, where):
    vectors = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    vectors[1][where] = math.nan
    clipped, norm = clip_grad_norm([mx.array(v) for v in vectors], 1.0, order)
    assert math.isnan(norm.item())
    assert all(mx.all(mx.isnan(g)) for g in clipped)
    long = mx.ones((9999,)).at[3333 * (where + 1) - 1].add(math.nan)
    assert math.isnan(get_total_norm([long], order).item())


def test_infinity():
    clipped, norm = clip_grad_norm([mx.array([1.0, -INF])], 1.0)
    assert norm.item() == INF
    np.testing.assert_array_equal(np.array(clipped[0]), [0.0, np.nan])


# Dtypes and trees -----------------------------------------------------------------------------------------------------


def test_every_gradient_keeps_its_dtype():
    dtypes = [mx.float32, mx.float16, mx.bfloat16, mx.complex64]
    grads = [mx.full((3,), 2.0).astype(dtype) for dtype in dtypes]
    for clipped in (
        clip_grad_norm(grads, 1.0)[0],
        scale_by_norm(grads, 1.0, mx.array(7.0)),
        scale_by_norm(grads, 1, 7),
    ):
        assert [g.dtype for g in clipped] == dtypes
    assert [g.dtype for g in clip_grad_value(grads[:3], 1.0)] == dtypes[:3]
    assert clip_grad_norm(grads, 1.0)[1].dtype == mx.float32
    assert get_total_norm(grads).item() == pytest.approx(48**0.5, rel=TOLERANCE)


def test_double_precision():
    with mx.stream(mx.cpu):
        grads = [mx.array([3.0, 1e-9], mx.float64), mx.array([4.0])]
        clipped, norm = clip_grad_norm(grads, 1.0)
        assert norm.dtype == mx.float64
        assert [g.dtype for g in clipped] == [mx.float64, mx.float32]
        assert norm.item() == 5.0
        np.testing.assert_allclose(np.array(clipped[0]), np.array([3.0, 1e-9]) / 5.000001, rtol=1e-15)
        assert get_total_norm([mx.array([0.1] * 10, mx.float64)], 3).item() == pytest.approx(0.1 * 10 ** (1 / 3), 1e-15)


def test_complex():
    assert get_total_norm([mx.array([3 + 4j, 12j])]).item() == pytest.approx(13, rel=TOLERANCE)


def test_the_factor_of_a_half_precision_gradient_is_not_rounded():
    """1 / 3000 has no float16 of that precision: what is rounded is the product."""
    g = mx.array([3000.0, 1.0], mx.float16)
    clipped, _ = clip_grad_norm([g], 1.0)
    np.testing.assert_array_equal(np.array(clipped[0]), (np.array([3000.0, 1.0]) / 3000.0002).astype("f2"))


def test_integers_become_float32():
    grads = {"w": mx.array([3, 4])}
    assert_close(clip_grad_norm(grads, 1.0)[0], {"w": mx.array([0.6, 0.8])}, 8)  # 1e-6 is added to a norm of 5
    assert_same(clip_grad_value(grads, 3.5), {"w": mx.array([3.0, 3.5])})


@pytest.mark.parametrize(
    "tree",
    [
        {},
        [],
        {"layers": [{}, {}]},
        mx.array([3.0, 4.0]),
        (mx.array([3.0]), [mx.array(4.0)]),
        {"a": {"b": mx.array(5.0)}},
    ],
    ids=repr,
)
def test_trees(tree):
    """Empty ones, a single array, tuples and lists: the clipped tree is of the same make."""
    expected = 5.0 if leaves(tree) else 0.0
    clipped, norm = clip_grad_norm(tree, 10.0)
    assert norm.item() == get_total_norm(tree, error_if_nonfinite=True).item() == expected
    assert norm.dtype == mx.float32
    for made in (clipped, clip_grad_value(tree, 10.0), scale_by_norm(tree, 10.0, norm)):
        assert repr(made) == repr(tree)


def test_clip_value():
    grads = gradients(Net(), 2)
    expected = {path: np.clip(g, np.float32(-0.3), np.float32(0.3)) for path, g in flat(grads).items()}
    clipped = clip_grad_value(grads, 0.3)
    for path, g in flat(clipped).items():
        np.testing.assert_array_equal(g, expected[path], strict=True)
    assert flat(grads).keys() == expected.keys()
    assert_same(clip_grad_value([mx.array([INF, -INF, 7.0])], 2.0), [mx.array([2.0, -2.0, 2.0])])
    assert math.isnan(clip_grad_value([mx.array([math.nan])], 2.0)[0].item())
    half = mx.array([-65504.0, 1.0], mx.float16)
    assert_same(clip_grad_value([half], 1e6), [half])


# Laziness -----------------------------------------------------------------------------------------------------------


def test_nothing_is_evaluated():
    """All of it is traced, where an evaluation raises; one trace serves every max_norm that is given as an array."""
    traces = []

    def every(grads: Any, limit: mx.array) -> Any:
        traces.append(1)
        norms = [get_total_norm(grads, order) for order in [0, *ORDERS]]
        rows = RowSparse(mx.array([1, 0, 1]), grads["layers"][0]["weight"][:3], (4, 3))
        clipped = [clip_grad_norm([grads, rows], limit, order) for order in ORDERS]
        values = clip_grad_value([grads, rows], limit)
        numbers = tree_map(lambda g: g.values if isinstance(g, RowSparse) else g, [clipped, values])
        return [norms, numbers, clip_grad_norm(grads, 1.5), scale_by_norm(grads, limit, norms[2])]

    compiled = mx.compile(every)
    for step in range(3):
        grads, limit = gradients(Net(), step), mx.array(0.1 + step)
        assert_close(compiled(grads, limit), every(grads, limit), 4)  # measured: 1
    assert len(traces) == 1 + 3


def test_the_check_needs_a_value():
    def norm(g: mx.array) -> mx.array:
        return get_total_norm({"g": g}, error_if_nonfinite=True)

    with pytest.raises(RuntimeError, match=r"no value while mx.compile traces .* look at it after the call"):
        mx.compile(norm)(mx.ones((3,)))


def test_derivative():
    """Of a norm that is no extreme case: (x / |x|)."""
    found = mx.grad(lambda g: get_total_norm([g]))(mx.array([3.0, 4.0]))
    assert_close([found], [mx.array([0.6, 0.8])], 2)


# Rows ---------------------------------------------------------------------------------------------------------------


def rows(dtype: mx.Dtype = mx.float32) -> RowSparse:
    """Row 2 comes twice, row 4 three times, in part against each other."""
    values = mx.array([[1.0, -2.0], [0.5, 3.0], [4.0, 0.25], [-0.25, 1.0], [1.0, 1.0], [-1.0, 2.0]])
    return RowSparse(mx.array([2, 0, 4, 2, 4, 4]), values.astype(dtype), (6, 2))


@pytest.mark.parametrize("order", [0, *ORDERS])
def test_norm_of_rows_is_that_of_the_whole_gradient(order):
    grads = {"rows": rows(), "w": mx.array([2.0])}
    dense = {"rows": rows().dense(), "w": mx.array([2.0])}
    assert get_total_norm(grads, order).item() == pytest.approx(get_total_norm(dense, order).item(), rel=TOLERANCE)


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_clipped_rows(dtype):
    grad = rows(dtype)
    before = np.array(grad.values.astype(mx.float32))
    for clip in (lambda g: clip_grad_norm(g, 1.5)[0], lambda g: clip_grad_value(g, 1.5)):
        (clipped,), (dense,) = clip([grad]), clip([grad.dense()])
        assert isinstance(clipped, RowSparse)
        assert clipped.dtype == dtype
        assert set(clipped.indices.tolist()) == {0, 2, 4}  # SparseAdam moves these rows and no other
        assert_close([clipped.dense()], [dense], 2 if dtype == mx.float32 else 2**16)
    np.testing.assert_array_equal(np.array(grad.values.astype(mx.float32)), before)


def test_rows_that_sum_to_more_than_half_precision_holds():
    grad = RowSparse(mx.array([1, 1]), mx.full((2, 1), 60000.0, dtype=mx.float16), (3, 1))
    assert get_total_norm([grad]).item() == pytest.approx(120000, rel=1e-3)


def test_distinct():
    """The same gradient, each row's sum once."""
    grad = rows()
    once = grad.distinct()
    assert once.indices.tolist() == [0, 2, 2, 4, 4, 4]
    assert_same([once.dense()], [grad.dense()])
    assert sorted(mx.any(once.values != 0, axis=1).tolist()) == [False] * 3 + [True] * 3
    single = RowSparse(mx.array([1]), mx.ones((1, 2)), (3, 2))
    assert single.distinct() is single
    scalar = RowSparse(mx.array([0, 0]), mx.array([1.0, 2.0]), ())
    assert scalar.distinct().values.tolist() == [3.0, 0.0]


def test_no_rows():
    grad = RowSparse(mx.zeros((0,), mx.int32), mx.zeros((0, 2)), (3, 2))
    for order in [0, *ORDERS]:
        clipped, norm = clip_grad_norm([grad], 1.0, order)
        assert norm.item() == 0
        assert clipped[0].values.shape == (0, 2)
    assert clip_grad_value([grad], 1.0)[0].shape == (3, 2)


# Bad input ----------------------------------------------------------------------------------------------------------

GRADS = {"w": mx.array([3.0, 4.0])}


@pytest.mark.parametrize("value", [-1, -1e-9, math.nan])
def test_negative_bounds(value):
    for name, call in {
        "max_norm": lambda: clip_grad_norm(GRADS, value),
        "max_norm ": lambda: scale_by_norm(GRADS, value, 1.0),
        "clip_value": lambda: clip_grad_value(GRADS, value),
    }.items():
        with pytest.raises(ValueError, match=f"{name.strip()} should be >=0, {value} was provided instead"):
            call()


def test_bounds_that_are_no_numbers():
    for function in (clip_grad_norm, clip_grad_value):
        with pytest.raises(ValueError, match=r"without dimensions, but has shape \(2,\)"):
            function(GRADS, mx.ones((2,)))
        with pytest.raises(TypeError, match="NoneType"):
            function(GRADS, None)
    with pytest.raises(ValueError, match="could not convert string to float: 'two'"):
        clip_grad_norm(GRADS, 1.0, "two")


@pytest.mark.parametrize("leaf", [None, "0.1", 3.0, np.ones(2)], ids=repr)
def test_leaves_that_are_no_gradients(leaf):
    tree = {"layers": [{"weight": leaf}]}
    for call in (
        lambda: get_total_norm(tree),
        lambda: clip_grad_norm(tree, 1.0),
        lambda: clip_grad_value(tree, 1.0),
        lambda: scale_by_norm(tree, 1.0, 2.0),
    ):
        with pytest.raises(TypeError, match=rf"'layers.0.weight' must be an mx.array, but is {type(leaf).__name__}"):
            call()


def test_a_model_is_no_tree_of_gradients():
    with pytest.raises(TypeError, match=r"not a Net: .* use torchish_mlx.nn.utils"):
        clip_grad_norm(Net(), 1.0)


def test_complex_has_no_order():
    with pytest.raises(NotImplementedError, match="clamp is not supported for complex types"):
        clip_grad_value([mx.array([1 + 1j])], 1.0)


@pytest.mark.parametrize("order", [INF, -INF, -1])
@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_an_empty_array_has_no_extreme(order, shape):
    with pytest.raises(RuntimeError, match=f"cannot compute the {order:g} norm on an empty tensor"):
        get_total_norm([mx.ones((2,)), mx.zeros(shape)], order)
    assert get_total_norm([mx.ones((4,)), mx.zeros(shape)]).item() == 2.0


@pytest.mark.parametrize("bad", [math.nan, INF])
@pytest.mark.parametrize("order", [2, 1, INF, 0.5])
def test_error_if_nonfinite(bad, order):
    grads = {"w": mx.array([1.0, bad])}
    text = f"The total norm of order {float(order)} for gradients from `parameters` is non-finite"
    for call in (
        lambda: get_total_norm(grads, order, error_if_nonfinite=True),
        lambda: clip_grad_norm(grads, 1.0, order, True),
    ):
        with pytest.raises(RuntimeError, match=text):
            call()
    clip_grad_norm({"w": mx.array([1.0])}, 1.0, order, True)


def test_in_a_training_step():
    """``optimizers.clip_grad_norm`` is the one of this package; with rows, before SparseAdam, eager and compiled."""
    assert optimizers.clip_grad_norm is clip_grad_norm
    results = []
    for wrap in (lambda f, **_: f, mx.compile):
        model, rule = Net(), optimizers.SGD(learning_rate=0.1, momentum=0.9)
        state = [model.state, rule.state]

        def step(grads: Any, model: Any = model, rule: Any = rule) -> mx.array:
            grads, norm = clip_grad_norm(grads, 0.5, 3)
            rule.update(model, clip_grad_value(grads, 0.3))
            return norm

        run = wrap(step, inputs=state, outputs=state)
        norms = [
            run(tree_map_with_key(lambda k, p: mx.random.normal(p.shape, key=k), model.parameters(), i))
            for i in range(3)
        ]
        results.append({"norms": norms, "model": model.parameters()})
    assert_close(*results, 4)  # measured: 1
