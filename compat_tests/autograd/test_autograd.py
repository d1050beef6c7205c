"""``torch.autograd`` next to torch: small programs whose results, warnings and refusals must be the same."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import torchish_mlx as tm

PROGRAMS: dict[str, Callable[[Any], Any]] = {}


def program(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    PROGRAMS[function.__name__] = function
    return function


def leaf(T: Any, *values: float) -> Any:
    return T.tensor([*values], requires_grad=True)


# grad and backward ----------------------------------------------------------------------------------------------------


@program
def grad_of_leaves_and_results(T: Any) -> Any:
    x, w = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
    y = x * w
    z = (y.exp() + y * x).sum()
    found = T.autograd.grad(z, (y, x, w), retain_graph=True)
    again = T.autograd.grad(z, [w])
    return found, again, x.grad, w.grad


@program
def grad_stops_where_nothing_is_asked_for(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(1))
    z = y * y
    return T.autograd.grad(z.sum(), z), len(seen)


@program
def grad_of_every_order(T: Any) -> Any:
    x = leaf(T, 0.5, -1.5)
    value, orders = (x**4 * x.sin()).sum(), []
    for _ in range(3):
        (g,) = T.autograd.grad(value, x, create_graph=True)
        orders.append(g)
        value = (g * g.cos()).sum() / 100
    return orders


@program
def grad_of_a_dict(T: Any) -> Any:
    x, w = leaf(T, 1.0), leaf(T, 3.0)
    return T.autograd.grad((x * w).sum(), {"x": x, "w": w})["w"]


@program
def grad_with_weights_of_several_outputs(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    return T.autograd.grad([x * 2, x.prod()], x, grad_outputs=[T.tensor([1.0, -1.0]), None])


@program
def grad_unused(T: Any) -> Any:
    x, w = leaf(T, 1.0), leaf(T, 3.0)
    allowed = T.autograd.grad((x * 2).sum(), (x, w), allow_unused=True)
    zeros = T.autograd.grad((x * 2).sum(), (x, w), materialize_grads=True)
    return allowed, zeros


@program
def grad_unused_is_refused(T: Any) -> Any:
    x, w = leaf(T, 1.0), leaf(T, 3.0)
    return T.autograd.grad((x * 2).sum(), (x, w))


@program
def grad_of_what_requires_none(T: Any) -> Any:
    return T.autograd.grad((leaf(T, 1.0) * 2).sum(), T.ones(1))


@program
def grad_of_nothing(T: Any) -> Any:
    return T.autograd.grad((leaf(T, 1.0) * 2).sum(), [])


@program
def grad_of_an_output_without_graph(T: Any) -> Any:
    return T.autograd.grad(T.ones(1), leaf(T, 1.0))


@program
def grad_contradiction(T: Any) -> Any:
    x = leaf(T, 1.0)
    return T.autograd.grad(x.sum(), x, allow_unused=False, materialize_grads=True)


@program
def grad_of_several_elements(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    return T.autograd.grad(x * 2, x)


@program
def grad_of_a_wrong_shape(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    return T.autograd.grad(x * 2, x, T.ones(3))


@program
def grad_twice_without_retain(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    y = (x * x).sum()
    T.autograd.grad(y, x)
    return T.autograd.grad(y, x)


@program
def grad_of_a_view_and_its_base(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0, 3.0, 4.0)
    y = x * 2
    v = y.view(2, 2)[0]
    y.mul_(3)
    return T.autograd.grad((v * v).sum() + y.sum(), [v, x])


@program
def grad_of_images(T: Any) -> Any:
    torch_nn = T.nn.functional
    x = (T.arange(32.0).reshape(1, 2, 4, 4) / 32).requires_grad_()
    w = (T.arange(54.0).reshape(3, 2, 3, 3) / 54).requires_grad_()
    y = torch_nn.conv2d(x, w, padding=1)
    z = torch_nn.relu(y) * y
    return T.autograd.grad((z * z).sum(), [y, z, x, w])


@program
def backward_of_several_roots(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    T.autograd.backward([x.sum(), x * x], [None, T.tensor([1.0, 10.0])])
    return x.grad


@program
def backward_into_some_inputs(T: Any) -> Any:
    x, w = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
    y = x * w
    y.sum().backward(inputs=[w])
    first = w.grad.clone()
    T.autograd.backward((x * w).sum(), inputs=w)
    return first, w.grad, x.grad


@program
def backward_into_nothing(T: Any) -> Any:
    return (leaf(T, 1.0) * 2).sum().backward(inputs=[])


@program
def backward_with_the_wrong_number(T: Any) -> Any:
    x = leaf(T, 1.0)
    return T.autograd.backward([x.sum(), x.sum()], [T.tensor(1.0)])


@program
def backward_with_a_number(T: Any) -> Any:
    return T.autograd.backward(leaf(T, 1.0).sum(), 1.0)


# hooks ----------------------------------------------------------------------------------------------------------------


@program
def after_a_gradient_was_added(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.clone()))
    (x * 3).sum().backward()
    (x * 4).sum().backward()
    T.autograd.grad((x * 4).sum(), x)
    handle.remove()
    (x * 5).sum().backward()
    return seen, x.grad


@program
def after_a_gradient_of_a_result(T: Any) -> Any:
    return (leaf(T, 1.0) * 2).register_post_accumulate_grad_hook(print)


@program
def hooks_of_calls(T: Any) -> Any:
    x, w = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
    y = x * w
    seen = []
    before = y.grad_fn.register_prehook(lambda out: (out[0] * 10,))
    after = y.grad_fn.register_hook(lambda into, out: seen.append([*into, *out]))
    y.sum().backward(retain_graph=True)
    first = x.grad.clone()
    before.remove()
    after.remove()
    y.grad_fn.register_hook(lambda into, out: (into[0] * 2, into[1] * 0))
    y.sum().backward()
    return first, seen, x.grad, w.grad


@program
def hooks_of_calls_with_create_graph(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    y = x.exp()
    y.grad_fn.register_hook(lambda into, out: (into[0] * x,))
    (g,) = T.autograd.grad(y.sum(), x, create_graph=True)
    return g, T.autograd.grad(g.sum(), x)


@program
def a_hook_with_a_wrong_number(T: Any) -> Any:
    y = leaf(T, 1.0) * leaf(T, 2.0)
    y.grad_fn.register_hook(lambda into, out: (into[0],))
    return y.sum().backward()


@program
def next_functions(T: Any) -> Any:
    x = leaf(T, 1.0)
    y = (x * x).exp()
    (mul, index), *others = y.grad_fn.next_functions
    end = mul.next_functions[0][0]
    return y.grad_fn.name(), mul.name(), index, len(others), end.variable is x, end.name()


@program
def metadata_of_calls(T: Any) -> Any:
    y = leaf(T, 1.0).exp()
    y.grad_fn.metadata["a"] = 3
    return y.grad_fn.metadata


@program
def hooks_of_several(T: Any) -> Any:
    a, b, c = leaf(T, 1.0), leaf(T, 2.0), leaf(T, 3.0)
    seen = []
    handle = T.autograd.graph.register_multi_grad_hook([a, b], lambda gs: seen.append([g.item() for g in gs]))
    T.autograd.graph.register_multi_grad_hook([a, b, c], lambda g: seen.append(g.item()), mode="any")
    (a * b * c).sum().backward()
    handle.remove()
    (a * b * c).sum().backward()
    return sorted(map(str, seen))[-1], len(seen)


# Function -------------------------------------------------------------------------------------------------------------


def scaled(T: Any) -> Any:
    class Scaled(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any, factor: float) -> Any:
            ctx.factor = factor
            ctx.save_for_backward(x, w)
            return x * w * factor

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, w = ctx.saved_tensors
            assert ctx.needs_input_grad == (True, w.requires_grad, False)
            return g * w * ctx.factor, g * x * ctx.factor, None

    return Scaled


@program
def a_function(T: Any) -> Any:
    x, w = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
    y = scaled(T).apply(x, w, 2.0)
    y.exp().sum().backward()
    z = scaled(T).apply(x, T.ones(2), 3.0)
    return y, x.grad, w.grad, y.grad_fn.name(), type(y.grad_fn).__name__, z.requires_grad


@program
def a_function_of_every_order(T: Any) -> Any:
    x, w = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
    y = (scaled(T).apply(x, w, 2.0) ** 3).sum()
    (g,) = T.autograd.grad(y, x, create_graph=True)
    return g, T.autograd.grad(g.sum(), [x, w])


@program
def a_function_with_setup_context(T: Any) -> Any:
    class Square(T.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x * x

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs, output)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, out = ctx.saved_tensors
            return g * 2 * x + 0 * out

    x = leaf(T, 1.0, 2.0)
    (g,) = T.autograd.grad(Square.apply(x).sum(), x, create_graph=True)
    return g, T.autograd.grad(g.sum(), x)


def two(T: Any, materialize: bool) -> Any:
    class Two(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(materialize)
            index = T.tensor([1, 0])
            ctx.mark_non_differentiable(index)
            return x * 2, x.sum(), index, 7

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
            return (0 if a is None else a * 2) + (T.ones(2) * -1 if b is None else b * T.ones(2))

    return Two


@program
def a_function_with_several_results(T: Any) -> Any:
    found = []
    for materialize in (True, False):
        x = leaf(T, 1.0, 2.0)
        a, b, index, number = two(T, materialize).apply(x)
        (a * a).sum().backward()
        found.append([x.grad, a, b, index, index.requires_grad, number])
    return found


@program
def a_function_that_writes(T: Any) -> Any:
    class Doubled(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    x = leaf(T, 1.0, 2.0)
    y = x * 3
    z = Doubled.apply(y)
    (z * z).sum().backward()
    return x.grad, z is y, y


@program
def a_function_that_returns_its_argument(T: Any) -> Any:
    class Same(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 5

    x = leaf(T, 1.0, 2.0)
    y = Same.apply(x)
    y.sum().backward()
    return x.grad, y is x, Same.apply(T.ones(2)).requires_grad


def wrong(T: Any, answer: Callable[[Any], Any]) -> Any:
    class Wrong(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, n: Any) -> Any:
            return x * n

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return answer(g)

    x = leaf(T, 1.0, 2.0)
    Wrong.apply(x, 2).sum().backward()
    return x.grad


@program
def too_few_gradients(T: Any) -> Any:
    return wrong(T, lambda g: g)


@program
def too_many_gradients(T: Any) -> Any:
    return wrong(T, lambda g: (g, None, g))


@program
def more_nones(T: Any) -> Any:
    return wrong(T, lambda g: (g, None, None))


@program
def a_gradient_of_a_number(T: Any) -> Any:
    return wrong(T, lambda g: (g, g))


@program
def a_gradient_of_another_shape(T: Any) -> Any:
    return wrong(T, lambda g: (T.ones(3), None))


@program
def a_gradient_that_is_summed(T: Any) -> Any:
    return wrong(T, lambda g: (T.ones(4, 2), None))


@program
def a_gradient_in_another_dtype(T: Any) -> Any:
    return wrong(T, lambda g: (g.double() * 3, None))


@program
def a_function_is_not_made(T: Any) -> Any:
    return isinstance(scaled(T)(), T.autograd.Function)


@program
def a_function_without_forward(T: Any) -> Any:
    class Empty(T.autograd.Function):
        pass

    return Empty.apply(leaf(T, 1.0))


@program
def a_saved_tensor_that_was_changed(T: Any) -> Any:
    x, w = leaf(T, 1.0, 2.0) * 1, leaf(T, 3.0, 4.0)
    y = scaled(T).apply(x, w, 2.0)
    x.add_(1)
    return y.sum().backward()


@program
def saved_tensors_are_freed(T: Any) -> Any:
    x, w = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
    y = scaled(T).apply(x, w, 2.0)
    y.sum().backward()
    return y.sum().backward()


@program
def once(T: Any) -> Any:
    class Once(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        @T.autograd.function.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2 * ctx.saved_tensors[0]

    x = leaf(T, 1.0, 2.0)
    (g,) = T.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
    return g.detach(), T.autograd.grad(g.sum(), x)


@program
def straight_through(T: Any) -> Any:
    class Round(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.round()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    x = leaf(T, 0.4, 1.6)
    (Round.apply(x) * x).sum().backward()
    return x.grad


# modes ----------------------------------------------------------------------------------------------------------------


@program
def modes(T: Any) -> Any:
    x = leaf(T, 1.0)
    found = []
    with T.inference_mode():
        found += [(x * 2).requires_grad, T.is_inference_mode_enabled(), T.is_grad_enabled()]
        with T.inference_mode(False):
            found += [(x * 2).requires_grad, T.is_inference_mode_enabled()]
    found += [T.is_inference_mode_enabled(), T.is_grad_enabled()]

    @T.inference_mode()
    def decorated() -> Any:
        return (x * 2).requires_grad, T.is_inference_mode_enabled()

    @T.inference_mode
    def plain() -> Any:
        return (x * 2).requires_grad

    return found, decorated(), plain()


@program
def a_gradient_that_is_nan(T: Any) -> Any:
    x = T.zeros(1, requires_grad=True)
    with T.autograd.detect_anomaly():
        return (x.sqrt() * 0).sum().backward()


@program
def nan_where_nobody_looks(T: Any) -> Any:
    x = T.zeros(1, requires_grad=True)
    with T.autograd.set_detect_anomaly(True, check_nan=False):
        (x.sqrt() * 0).sum().backward()
    (x.sqrt() * 0).sum().backward()
    return x.grad


@program
def variables(T: Any) -> Any:
    x = T.autograd.Variable(T.ones(2), requires_grad=True)
    (x * 2).sum().backward()
    return x.grad, isinstance(x, T.autograd.Variable)


def outcome(T: Any, name: str) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = plain(PROGRAMS[name](T))
        except (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError) as error:
            made = [type(error), " ".join(str(error).split()[:6])]
    return made, [w.category for w in caught]


def plain(value: Any) -> Any:
    if isinstance(value, (torch.Tensor, tm.Tensor)):
        return (tuple(value.shape), str(value.dtype).rpartition(".")[2], np.array(value.detach().tolist()))
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def assert_same(mine: Any, theirs: Any) -> None:
    if isinstance(theirs, (list, tuple)):
        assert len(mine) == len(theirs)
        for a, b in zip(mine, theirs, strict=True):
            assert_same(a, b)
    elif isinstance(theirs, np.ndarray):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
    else:
        assert mine == theirs


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    assert_same(outcome(tm, name), outcome(torch, name))


def test_a_function_leaves_no_cycle() -> None:
    """Its graph goes with its result, by reference counts, also where it has saved the result."""

    class Saved(tm.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            out = x.exp()
            ctx.save_for_backward(x, out)
            return out

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[1]

    gc.disable()
    try:
        x = tm.ones(2, requires_grad=True)
        y = Saved.apply(x)
        node = weakref.ref(y.grad_fn)
        y.sum().backward(retain_graph=True)
        assert node() is not None
        del y
        assert node() is None
    finally:
        gc.enable()


def test_where_an_anomaly_was_made_is_said() -> None:
    x = tm.zeros(1, requires_grad=True)
    with pytest.warns(UserWarning, match="Anomaly Detection"):
        detecting = tm.autograd.detect_anomaly()
    with detecting:
        y = x.sqrt()  # this line is named
        lost = (y * 0).sum()
        with pytest.warns(UserWarning, match="this line is named"), pytest.raises(RuntimeError, match="SqrtBackward0"):
            lost.backward()


def test_batched_gradients_are_refused_with_a_way_out() -> None:
    x = tm.ones(2, requires_grad=True)
    with pytest.raises(NotImplementedError, match="in a loop"):
        tm.autograd.grad(x * 2, x, tm.ones(3, 2), is_grads_batched=True)
