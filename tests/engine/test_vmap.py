"""vmap: axes and containers, what it composes with, and what functions may do inside it."""

from __future__ import annotations

import gc
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from exponential import Exponential
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import (
    NumericsError,
)
from tensorlite.state import state

X = np.random.default_rng(1).normal(size=(4, 3))
V = np.array([1.0, -2.0, 0.5])


def of(array) -> tl.Tensor:
    return tl.tensor(array, dtype=tl.float64)


def stacked(function, *arrays):
    """What vmap is defined to be."""
    return tl.stack([function(*(of(a[i]) for a in arrays)) for i in range(len(arrays[0]))])


# --- axes and containers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axes", "move"), [(0, 0), (1, 1), (-1, 1), ((1,), 1), ([0], 0)])
def test_in_axes_say_where_the_batch_is(axes, move):
    found = tl.vmap(lambda x: x * 2 + x.sum(), in_axes=axes)(of(np.moveaxis(X, 0, move)))
    assert_close(found, X * 2 + X.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("axes", "expected"), [(0, X), (1, X.T), (-1, X.T), (-2, X)])
def test_out_axes_say_where_the_batch_goes(axes, expected):
    assert_same(tl.vmap(lambda x: x, out_axes=axes)(of(X)), expected)


def test_none_is_not_mapped():
    found = tl.vmap(lambda x, v: x * v, in_axes=(0, None))(of(X), of(V))
    assert_same(found, X * V)
    assert_same(tl.vmap(lambda x, v: x * v, in_axes=(None, 0))(of(V), of(X)), X * V)


def test_keywords_are_mapped_over_their_first_axis():
    assert_same(tl.vmap(lambda x, *, y: x * y)(of(X), y=of([1.0, 2.0, 3.0, 4.0])), X * np.arange(1, 5)[:, None])


Pair = namedtuple("Pair", "w b")


@dataclass
class Model:
    w: tl.Tensor
    b: tl.Tensor


@pytest.mark.parametrize(("build", "axes"), [
    (lambda w, b: {"w": w, "b": b}, {"w": 0, "b": None}), (Pair, Pair(0, None)), (Model, Model(0, None)),
    (lambda w, b: [w, b], [0, None]), (lambda w, b: (w, (b,)), (0, None)), (lambda w, b: (w, (b,)), (0, (None,)))],
    ids=["dict", "namedtuple", "dataclass", "list", "prefix", "nested"])
def test_containers_have_axes_for_their_parts(build, axes):
    from tensorlite.tree import flatten

    def function(parameters, x):
        (w, b), rebuild = flatten(parameters)
        return rebuild(iter([w * x, b + x]))

    found = tl.vmap(function, in_axes=(axes, 0))(build(of(X), of(V)), of(X))
    assert type(found) is type(build(of(X), of(V)))
    first, second = flatten(found)[0]
    assert_same(first, X * X)
    assert_same(second, V + X)


def test_results_have_axes_of_their_own():
    first, second = tl.vmap(lambda x: (x, {"s": x.sum(), "t": x}), out_axes=(1, {"s": 0, "t": 1}))(of(X))
    assert_same(first, X.T)
    assert_close(second["s"], X.sum(axis=1))
    assert_same(second["t"], X.T)


def test_what_is_the_same_for_all_is_repeated_or_returned_once():
    once, repeated, number, nothing = tl.vmap(lambda x: (tl.ones(2), tl.ones(2), 3.0, None),
                                              out_axes=(None, 1, 0, 0))(of(X))
    assert_same(once, np.ones(2, np.float32))
    assert_same(repeated, np.ones((2, 4), np.float32))
    assert_same(number, np.full(4, 3.0, np.float32))
    assert nothing is None


def test_arrays_of_numpy_are_arguments_too():
    assert_same(tl.vmap(lambda x: x + 1)(X), X + 1)


def test_what_is_no_tensor_is_passed_on_where_it_is_not_mapped():
    found = tl.vmap(lambda x, name, options: x * options["scale"] if name == "scaled" else x,
                    in_axes=(0, None, None))(of(X), "scaled", {"scale": 2.0})
    assert_same(found, X * 2)
    assert_same(tl.vmap(lambda x, other: x if other is None else x + other)(of(X), None), X)


def test_an_empty_batch_has_the_types_of_its_results():
    found = tl.vmap(lambda x: (x @ of(np.ones((3, 2))), x.argmax()))(of(np.zeros((0, 3))))
    assert [(y.dtype, y.shape) for y in found] == [(tl.float64, (0, 2)), (tl.int64, (0,))]


def test_the_mapped_function_keeps_its_name_and_takes_modules():
    def scale(x):
        """Doubles."""
        return x * 2

    assert tl.vmap(scale).__name__ == "scale"
    assert tl.vmap(scale).__doc__ == "Doubles."
    layer = nn.Linear(3, 2)
    x = tl.tensor(X, dtype=tl.float32)
    assert_close(tl.vmap(layer)(x), layer(x))


# --- composition --------------------------------------------------------------------------------------------------


def loss(w, x):
    return tl.tanh((w * x).sum()) ** 2


def test_vmap_of_grad_gives_the_gradient_for_each_element():
    found = tl.vmap(tl.grad(loss), in_axes=(None, 0))(of(V), of(X))
    assert_close(found, stacked(lambda x: tl.grad(loss)(of(V), x), X), terms=8)


def test_grad_of_vmap_adds_up_what_is_shared():
    found = tl.grad(lambda w: tl.vmap(loss, in_axes=(None, 0))(w, of(X)).sum())(of(V))
    assert_close(found, stacked(lambda x: tl.grad(loss)(of(V), x), X).sum(axis=0), terms=8)


def test_derivatives_outside_of_derivatives_inside():
    def penalty(w, gradient):
        return (gradient(w, of(X)) ** 2).sum()

    def by_rows(w, x):
        return tl.stack([tl.grad(loss)(w, x[i]) for i in range(4)])

    found = tl.grad(lambda w: penalty(w, tl.vmap(tl.grad(loss), in_axes=(None, 0))))(of(V))
    assert_close(found, tl.grad(lambda w: penalty(w, by_rows))(of(V)), terms=64)


def test_values_and_gradients_of_each_element():
    value, gradient = tl.vmap(tl.value_and_grad(loss), in_axes=(None, 0))(of(V), of(X))
    assert_close(value, stacked(lambda x: loss(of(V), x), X), terms=8)
    assert_close(gradient, stacked(lambda x: tl.grad(loss)(of(V), x), X), terms=8)


def test_batches_of_batches():
    outer = tl.vmap(tl.vmap(lambda a, b: a * b, in_axes=(None, 0)), in_axes=(0, None))(of(V), of(V))
    assert_same(outer, np.outer(V, V))
    pairs = tl.vmap(lambda x: tl.vmap(tl.grad(lambda y: (y * x).sum() ** 2))(of(X)))(of(X))
    assert_close(pairs, 2 * (X @ X.T)[:, :, None] * X[:, None, :], terms=8)


def test_jacobians_and_hessians():
    def f(x):
        return tl.stack([x[0] * x[1], tl.sin(x[2])])

    def jacobian(x):
        return tl.vmap(tl.vjp(f, x)[1])(of(np.eye(2)))[0]

    expected = np.array([[V[1], V[0], 0], [0, 0, np.cos(V[2])]])
    assert_close(jacobian(of(V)), expected)
    assert_close(tl.vmap(jacobian)(of(X))[1], np.array([[X[1, 1], X[1, 0], 0], [0, 0, np.cos(X[1, 2])]]))
    cubes = tl.grad(lambda x: (x**3).sum())
    hessian = tl.vmap(lambda v: (tl.vjp(cubes, of(V))[1](v))[0])(of(np.eye(3)))
    assert_close(hessian, np.diag(6 * V))


@pytest.mark.parametrize("build", [
    lambda f: tl.jit(tl.vmap(f, in_axes=(None, 0))), lambda f: tl.vmap(tl.jit(f), in_axes=(None, 0)),
    lambda f: tl.jit(tl.vmap(tl.jit(f), in_axes=(None, 0)))], ids=["jit(vmap)", "vmap(jit)", "jit(vmap(jit))"])
@pytest.mark.parametrize("inner", [lambda: loss, lambda: tl.grad(loss)], ids=["value", "gradient"])
def test_jit_around_and_inside(build, inner):
    function = inner()
    expected = stacked(lambda x: function(of(V), x), X)
    mapped = build(function)
    for _ in range(2):
        assert_close(mapped(of(V), of(X)), expected, terms=16)


def test_derivatives_of_jitted_batches():
    expected = tl.grad(lambda w: tl.vmap(loss, in_axes=(None, 0))(w, of(X)).sum())(of(V))
    mapped = tl.jit(lambda w: tl.vmap(loss, in_axes=(None, 0))(w, of(X)).sum())
    assert_close(tl.grad(mapped)(of(V)), expected, terms=16)
    assert_close(tl.jit(tl.grad(mapped))(of(V)), expected, terms=16)


def test_gradients_of_parameters_outside():
    w = tl.tensor(V, requires_grad=True)
    tl.vmap(lambda x: (w * x).sum() ** 2)(of(X)).sum().backward()
    assert_close(w.grad, (2 * (X @ V)[:, None] * X).sum(axis=0), terms=8)
    x = tl.tensor(X, requires_grad=True)
    tl.vmap(lambda x: (of(V) * x).sum() ** 2)(x).sum().backward()
    assert_close(x.grad, 2 * (X @ V)[:, None] * V, terms=8)


def test_gradients_of_leaves_made_inside():
    def function(x):
        w = tl.tensor(V, requires_grad=True)
        (w * x).sum().backward()
        return w.grad

    assert_same(tl.vmap(function)(of(X)), X)
    assert_same(tl.vmap(lambda x: tl.autograd.grad((x.requires_grad_() ** 3).sum(), x)[0])(of(X)), 3 * X**2)


def test_gradients_for_each_image_of_a_convolutional_network():
    random = np.random.default_rng(2)
    images, labels = of(random.normal(size=(4, 2, 6, 6))), tl.tensor(random.integers(0, 3, 4))
    parameters = {"filters": of(random.normal(size=(4, 2, 3, 3))), "bias": of(random.normal(size=4)),
                  "weight": of(random.normal(size=(3, 16)))}

    def error(parameters, image, label):
        x = tl.conv2d(image, parameters["filters"], parameters["bias"])
        x = tl.max_pool2d(tl.relu(x), 2).reshape(-1)
        return tl.cross_entropy(tl.linear(x, parameters["weight"]), label)

    found = tl.vmap(tl.grad(error), in_axes=(None, 0, 0))(parameters, images, labels)
    for name, gradient in found.items():
        rows = [tl.grad(error)(parameters, images[i], labels[i])[name] for i in range(4)]
        assert_close(gradient, tl.stack(rows), terms=256)


def test_ensembles_of_models():
    random = np.random.default_rng(3)
    weights, x = random.normal(size=(5, 2, 3)), random.normal(size=(4, 3))
    found = tl.vmap(tl.linear, in_axes=(0, 0, 0))(of(np.stack([x] * 5)), of(weights), of(weights[:, :, 0]))
    assert_close(found, x @ weights.transpose(0, 2, 1) + weights[:, None, :, 0], terms=8)
    assert_close(tl.vmap(tl.linear, in_axes=(None, 0))(of(x), of(weights)), x @ weights.transpose(0, 2, 1), terms=8)


# --- what functions do --------------------------------------------------------------------------------------------


def test_in_place_spellings_rebind():
    def function(x):
        x += 1
        y = x * 2
        y[0] = 7
        y.mul_(x)
        x[1:] += 10
        return x, y

    x = of(X)
    first, second = tl.vmap(function)(x)
    assert_same(x, X)
    one = X + 1
    doubled = one * 2
    doubled[:, 0] = 7
    assert_same(second, doubled * one)
    one[:, 1:] += 10
    assert_same(first, one)


def test_tensors_made_inside_collect_values_of_each_element():
    def function(x):
        out = tl.zeros(3, dtype=tl.float64)
        out[1] = x[0]
        out += x
        return out

    expected = X.copy()
    expected[:, 1] += X[:, 0]
    assert_same(tl.vmap(function)(of(X)), expected)


def test_outside_tensors_may_be_given_what_is_the_same_for_all():
    steps, w = tl.tensor(0), tl.tensor(V, requires_grad=True)

    def function(x):
        steps.add_(1)
        return (x * w).sum()

    tl.vmap(function)(of(X))
    assert steps.item() == 1


def test_integer_tensors_of_the_batch_index():
    assert_same(tl.vmap(lambda x: x[x.argmax()])(of(X)), X.max(axis=1))
    places = np.array([[0, 2], [1, 1], [2, 0], [0, 0]])
    assert_same(tl.vmap(lambda i: of(V)[i])(tl.tensor(places)), V[places])
    assert_same(tl.vmap(lambda x, i: x[i])(of(X), tl.tensor(places)), np.take_along_axis(X, places, 1))


CUBE = np.random.default_rng(4).normal(size=(4, 5, 6, 7))
PLACES = np.random.default_rng(5).integers(0, 5, (4, 2, 3))


@pytest.mark.parametrize("index", [
    lambda i, j: (i,), lambda i, j: (slice(None), i), lambda i, j: (i, slice(1, 4), j), lambda i, j: (..., i),
    lambda i, j: (0, slice(None), i), lambda i, j: (None, i, None, j), lambda i, j: (slice(None), i, j),
    lambda i, j: (i, ..., j), lambda i, j: (slice(None), i, ..., j), lambda i, j: (True, i),
    lambda i, j: (slice(2), True, i), lambda i, j: (0, slice(None), True), lambda i, j: (1, ..., True, None)])
@pytest.mark.parametrize("which", ["both", "first", "second", "neither"])
def test_indices_of_every_form(index, which):
    """NumPy puts the axes that arrays give in one place or another; the batch must not change that."""
    shared = PLACES[0, 0]
    mapped = {"both": (PLACES, PLACES[:, 0]), "first": (PLACES, None), "second": (None, PLACES[:, 0]),
              "neither": (None, None)}[which]
    axes = (0, *(None if p is None else 0 for p in mapped))
    i, j = (tl.tensor(shared if p is None else p) for p in mapped)

    def rows(k):
        return CUBE[k], *(shared if p is None else p[k] for p in mapped)

    def read(x, i, j):
        return x[index(i, j)]

    def write(x, i, j):
        out = x * 1
        out[index(i, j)] = x[index(i, j)] * 2
        return out

    def written(x, i, j):
        out = x.copy()
        out[index(i, j)] = x[index(i, j)] * 2
        return out

    expected = [(read(*rows(k)), written(*rows(k))) for k in range(4)]
    assert_same(tl.vmap(read, axes)(of(CUBE), i, j), np.stack([a for a, _ in expected]))
    assert_same(tl.vmap(write, axes)(of(CUBE), i, j), np.stack([b for _, b in expected]))
    slopes = tl.vmap(tl.grad(lambda x, i, j: (read(x, i, j) ** 2).sum()), axes)(of(CUBE), i, j)
    one_by_one = [tl.grad(lambda x, i, j: (read(x, i, j) ** 2).sum())(*map(tl.tensor, rows(k))) for k in range(4)]
    assert_close(slopes, tl.stack(one_by_one), terms=8)
    if which != "neither":
        shared_x = tl.vmap(read, (None, *axes[1:]))(of(CUBE[0]), i, j)
        assert_same(shared_x, np.stack([read(CUBE[0], *rows(k)[1:]) for k in range(4)]))


def test_each_element_draws_its_own_numbers():
    tl.manual_seed(0)
    expected = tl.rand(4, 3)
    tl.manual_seed(0)
    assert_same(tl.vmap(lambda x: tl.rand(3))(of(X)), expected)
    after = tl.get_rng_state()
    tl.manual_seed(0)
    assert_same(tl.jit(tl.vmap(lambda x: tl.rand(3)))(of(X)), expected)
    assert_same(tl.get_rng_state(), after)
    tl.manual_seed(0)
    nested = tl.vmap(lambda x: tl.vmap(lambda y: tl.rand(()))(x))(of(X))
    assert_same(nested, expected)
    orders = tl.vmap(lambda x: tl.randperm(50))(of(X)).numpy()
    assert (np.sort(orders, axis=1) == np.arange(50)).all()
    assert len({tuple(row) for row in orders}) == 4
    kept = tl.vmap(lambda x: tl.dropout(tl.ones(64), 0.5))(of(X)).numpy()
    assert len({tuple(row) for row in kept}) == 4


def test_detached_values_and_no_grad_stop_derivatives_outside_too():
    def detached(w, x):
        return ((w * x).detach() * w).sum()

    def silent(w, x):
        with tl.no_grad():
            c = w * x
        return (c * w).sum()

    for function in (detached, silent):
        expected = stacked(lambda x, f=function: tl.grad(f)(of(V), x), X)
        assert_close(tl.vmap(tl.grad(function), (None, 0))(of(V), of(X)), expected)
        found = tl.grad(lambda w, f=function: tl.vmap(f, (None, 0))(w, of(X)).sum())(of(V))
        assert_close(found, expected.sum(axis=0), terms=8)
    with tl.no_grad():
        w = tl.tensor(V, requires_grad=True)
        assert not tl.vmap(tl.grad(lambda x: (x * w).sum() ** 2))(of(X)).requires_grad


def rnn(rows):
    carry, ys = tl.scan(lambda c, x: (tl.tanh(c * of(V) + x), c.sum() * x), of(np.zeros(3)), rows)
    return carry + ys.sum(axis=0)


@pytest.mark.parametrize("function", [
    rnn, lambda x: tl.cond(x.sum() > 0, tl.sin, lambda x: x**2, x),
    lambda x: tl.cond(x.sum() > 0, lambda: tl.sin(x), lambda: x**2),
    lambda x: tl.map(lambda row: row.sum() * row, x)], ids=["scan", "cond", "closure", "map"])
def test_control_flow_maps(function):
    batch = np.random.default_rng(6).normal(size=(4, 5, 3))
    expected = stacked(function, batch)
    gradient = tl.grad(lambda x: function(x).sum())
    slopes = stacked(gradient, batch)
    for transform in (lambda f: f, tl.jit):
        assert_close(transform(tl.vmap(function))(of(batch)), expected, terms=64)
        assert_close(transform(tl.vmap(gradient))(of(batch)), slopes, terms=64)
        outer = transform(tl.grad(lambda x: tl.vmap(function)(x).sum()))
        assert_close(outer(of(batch)), slopes, terms=64)


@pytest.mark.parametrize("transform", [lambda f: f, tl.jit], ids=["eager", "jit"])
def test_loops_run_until_each_element_is_done(transform):
    found = transform(tl.vmap(lambda x: tl.while_loop(lambda x: x < 50, lambda x: x * 3, x)))(of([1.0, 5, 100, 0.5]))
    assert_same(found, np.array([81.0, 135, 100, 121.5]))
    counted = transform(tl.vmap(lambda x: tl.while_loop(lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] * 2),
                                                        (tl.tensor(0), x))[1]))(of([1.0, 3.0]))
    assert_same(counted, np.array([32.0, 96.0]))


def test_loops_that_draw_numbers_draw_others_for_each_element():
    def walk(x):
        return tl.scan(lambda c, _: (c + tl.rand(()), None), x, None, 3)[0]

    tl.manual_seed(0)
    eager = tl.vmap(walk)(tl.zeros(4))
    tl.manual_seed(0)
    assert_close(tl.jit(tl.vmap(walk))(tl.zeros(4)), eager)
    assert len(set(eager.tolist())) == 4


class Straight(tl.autograd.Function):
    """A step whose derivative is stated, and not that of a step."""

    @staticmethod
    def forward(context, x, w):
        context.save_for_backward(x, w)
        return tl.sign(x * w), x.sum()

    @staticmethod
    def backward(context, g, h):
        x, w = context.saved_tensors
        return g * w * 2 + h, g * x * 3


@pytest.mark.parametrize("function", [lambda w, x: sum(Straight.apply(x, w)).sum(),
                                      lambda w, x: (Exponential.apply(x) * w).sum()], ids=["straight", "exponential"])
def test_functions_with_their_own_derivative(function):
    gradient = tl.grad(function, (0, 1))
    rows = [gradient(of(V), of(x)) for x in X]
    for_w, for_x = (tl.stack(column) for column in zip(*rows, strict=True))
    inside = tl.vmap(gradient, (None, 0))(of(V), of(X))
    assert_close(inside[0], for_w, terms=8)
    assert_close(inside[1], for_x, terms=8)
    whole = tl.grad(lambda w, x: tl.vmap(function, (None, 0))(w, x).sum(), (0, 1))
    outside = whole(of(V), of(X))
    assert_close(outside[0], for_w.sum(axis=0), terms=8)
    assert_close(outside[1], for_x, terms=8)
    seconds = tl.stack([tl.grad(lambda x: (gradient(of(V), x)[1] ** 2).sum())(of(x)) for x in X])
    assert_close(tl.grad(lambda x: (whole(of(V), x)[1] ** 2).sum())(of(X)), seconds, terms=8)


def test_hooks_inside():
    seen = []

    def function(x):
        y = x * 2
        y.register_hook(lambda g: seen.append(g.shape) or g * 10)
        return (y * y).sum()

    assert_close(tl.vmap(tl.grad(function))(of(X)), 80 * X)
    assert seen == [(3,)]


def test_tensors_show_what_they_are():
    shown = []
    tl.vmap(lambda x: shown.append(repr(x)) or x)(of(X))
    assert shown == ["tensor(float64[3], one of 4 in vmap)"]


def test_nothing_is_left_behind():
    w = tl.tensor(V, requires_grad=True)
    mapped = tl.vmap(tl.grad(loss), (None, 0))
    tl.grad(lambda w: mapped(w, of(X)).sum())(of(V))
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            mapped(of(V), of(X))
            tl.grad(lambda w: mapped(w, of(X)).sum())(of(V))
            tl.vmap(lambda x: (w * x).sum())(of(X)).sum().backward()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_exceptions_leave_everything_as_it_was():
    kept = of(V)

    def fail(x):
        kept.copy_(x)
        raise KeyError

    with pytest.raises(KeyError):
        tl.vmap(fail)(of(X))
    assert state.interpreter is None
    assert state.met is None
    assert_same(kept, V)


def test_debug_nans_looks_at_batches():
    with tl.debug_nans(), pytest.raises(NumericsError, match="log: the result has a NaN at"):
        tl.vmap(lambda x: tl.log(x * 0 - 1))(of(X))
