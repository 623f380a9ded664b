"""Functions of functions: grad, value_and_grad and vjp, nested in each other and in closures."""

from __future__ import annotations

import gc
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, GradientError, ShapeError

A, B = np.array([1.0, 2.0]), np.array([3.0, -4.0])


def of(array) -> tl.Tensor:
    return tl.tensor(array, dtype=tl.float64)


def test_grad_differentiates_by_the_first_argument():
    assert_same(tl.grad(lambda x, y: (x * x * y).sum())(of(A), of(B)), 2 * A * B)


@pytest.mark.parametrize(("argnums", "expected"), [(1, A * A), (-1, A * A), ((0, 1), (2 * A * B, A * A)),
                                                  ((1, 0), (A * A, 2 * A * B)), ([1], (A * A,))])
def test_argnums_choose_arguments(argnums, expected):
    found = tl.grad(lambda x, y: (x * x * y).sum(), argnums=argnums)(of(A), of(B))
    assert isinstance(found, tuple) == isinstance(expected, tuple)
    for g, e in zip(*(x if isinstance(x, tuple) else (x,) for x in (found, expected)), strict=True):
        assert_same(g, e)


@pytest.mark.parametrize("argnums", [2, -3, (0, 5)])
def test_argnums_must_be_there(argnums):
    with pytest.raises(ArgumentError) as caught:
        tl.grad(lambda x, y: (x * y).sum(), argnums=argnums)(of(A), of(B))
    wrong = argnums if isinstance(argnums, int) else argnums[-1]
    assert str(caught.value).startswith(f"grad: there is no argument {wrong}: 2 were given by position\n")


def test_keywords_are_passed_on():
    assert_same(tl.grad(lambda x, *, power: (x**power).sum())(of(A), power=3), 3 * A**2)


def test_value_and_grad_gives_both():
    value, gradient = tl.value_and_grad(lambda x: (x * x).sum())(of(A))
    assert value.item() == 5.0
    assert not value.requires_grad
    assert_same(gradient, 2 * A)


def test_auxiliary_results_are_passed_on():
    def loss(x):
        return (x * x).sum(), {"seen": x * 2, "name": "aux"}

    (value, aux), gradient = tl.value_and_grad(loss, has_aux=True)(of(A))
    assert value.item() == 5.0
    assert aux["name"] == "aux"
    assert_same(gradient, 2 * A)
    gradient, aux = tl.grad(loss, has_aux=True)(of(A))
    assert_same(aux["seen"].detach(), 2 * A)
    value, pull, aux = tl.vjp(loss, of(A), has_aux=True)
    assert_same(pull(tl.tensor(1.0, dtype=tl.float64))[0], 2 * A)


Pair = namedtuple("Pair", "w b")


@dataclass
class Model:
    w: tl.Tensor
    b: tl.Tensor


@pytest.mark.parametrize("build", [lambda w, b: {"w": w, "b": b}, lambda w, b: OrderedDict(w=w, b=b), Pair, Model,
                                   lambda w, b: [w, b], lambda w, b: (w, b), lambda w, b: {"m": [Pair(w, (b,))]}],
                         ids=["dict", "ordered", "namedtuple", "dataclass", "list", "tuple", "nested"])
def test_gradients_have_the_structure_of_their_argument(build):
    from tensorlite.tree import flatten

    def loss(parameters):
        w, b = flatten(parameters)[0]
        return (w * w * b).sum()

    parameters = build(of(A), of(B))
    gradient = tl.grad(loss)(parameters)
    assert type(gradient) is type(parameters)
    leaves, rebuild = flatten(gradient)
    assert_same(leaves[0], 2 * A * B)
    assert_same(leaves[1], A * A)
    assert type(rebuild(iter(leaves))) is type(parameters)


def test_python_floats_are_arguments_too():
    assert tl.grad(lambda x: x**3)(2.0).item() == 12.0
    assert tl.grad(lambda p: p["a"] * p["b"])({"a": 2.0, "b": 5.0})["a"].item() == 5.0


def test_arguments_stay_what_they_are():
    x = of(A)
    tl.grad(lambda x: (x * x).sum())(x)
    assert not x.requires_grad
    assert x.grad is None
    w = tl.tensor(A, requires_grad=True)
    assert not tl.grad(lambda x: (x * x).sum())(w.detach()).requires_grad
    assert w.grad is None


def test_a_function_may_rebind_its_arguments():
    def loss(x):
        x *= 2
        x[0] = 0
        x += 1
        return (x**3).sum()

    x = of(A)
    expected = np.where([False, True], 6 * (2 * A + 1) ** 2, 0)
    assert_close(tl.grad(loss)(x), expected)
    assert_same(x, A)
    second = np.where([False, True], 24 * (2 * A + 1), 0)
    assert_close(tl.grad(lambda x: tl.grad(loss)(x).sum())(x), second)


def test_grads_nest_to_any_order():
    function, factor = (lambda x: x**6), 1.0
    for order in range(5):
        function = tl.grad(function)
        factor *= 6 - order
        assert_close(function(tl.tensor(1.5, dtype=tl.float64)), np.asarray(factor * 1.5 ** (5 - order)))


def test_perturbations_of_two_levels_are_not_confused():
    """d/dx (x * d/dy (x + y)) is 1, not 2 (Siskind and Pearlmutter, 2005)."""
    assert tl.grad(lambda x: x * tl.grad(lambda y: x + y)(1.0))(1.0).item() == 1.0
    assert tl.grad(lambda x: x * tl.grad(lambda y: x * y)(1.0))(5.0).item() == 10.0
    assert tl.grad(lambda x: tl.grad(lambda y: y * y * x)(x))(3.0).item() == 12.0


def test_a_jacobian_by_vjp_and_a_hessian_by_nesting():
    def f(x):
        return tl.stack([x[0] * x[1], x[0] ** 2, tl.sin(x[1])])

    value, pull = tl.vjp(f, of(A))
    rows = [pull(of(row))[0].numpy() for row in np.eye(3)]
    assert_close(value, np.array([2.0, 1.0, np.sin(2.0)]))
    assert_close(np.stack(rows), np.array([[2.0, 1.0], [2.0, 0.0], [0.0, np.cos(2.0)]]))
    gradient = tl.grad(lambda x: (x[0] ** 2 * x[1] ** 3).sum())
    hessian = [tl.grad(lambda x, i=i: gradient(x)[i])(of(A)).numpy() for i in range(2)]
    assert_close(np.stack(hessian), np.array([[16.0, 24.0], [24.0, 12.0]]))


def test_vjp_of_several_arguments_and_outputs():
    value, pull = tl.vjp(lambda x, p: {"product": x * p["w"], "sum": x + p["w"]}, of(A), {"w": of(B)})
    assert_same(value["product"], A * B)
    dx, dp = pull({"product": of([1.0, 0.0]), "sum": of([0.0, 10.0])})
    assert_same(dx, np.array([3.0, 10.0]))
    assert_same(dp["w"], np.array([1.0, 10.0]))


def test_a_pullback_is_called_again():
    _, pull = tl.vjp(lambda x: x * x, of(A))
    for scale in (1.0, 2.0):
        assert_same(pull(of(np.full(2, scale)))[0], 2 * A * scale)


def test_pullbacks_are_differentiable_by_their_cotangents():
    _, pull = tl.vjp(lambda x: x * x * x, of(A))
    w = tl.tensor(B, requires_grad=True)
    (pull(w)[0] ** 2).sum().backward()
    assert_close(w.grad, 2 * B * (3 * A**2) ** 2)


def test_closures_over_parameters_are_tracked_by_the_outer_tape():
    w = tl.tensor(B, requires_grad=True)
    gradient = tl.grad(lambda x: (x * x * w).sum())(of(A))
    assert gradient.requires_grad
    gradient.sum().backward()
    assert_same(w.grad, 2 * A)
    value, _ = tl.value_and_grad(lambda x: (x * w).sum())(of(A))
    value.backward()
    assert_same(w.grad, 3 * A)


def test_transforms_leave_the_gradients_of_parameters_alone():
    w = tl.tensor(B, requires_grad=True)
    tl.grad(lambda x: (x * w).sum())(of(A))
    tl.vjp(lambda x: x * w, of(A))[1](of(A))
    assert w.grad is None


def test_transforms_of_tracked_arguments_are_recorded():
    x = tl.tensor(A, requires_grad=True)
    tl.grad(lambda y: (y**3).sum())(x).sum().backward()
    assert_same(x.grad, 6 * A)
    x.grad = None
    tl.vjp(lambda y: y**3, x)[1](of(B))[0].sum().backward()
    assert_close(x.grad, 6 * A * B)
    x.grad = None
    tl.value_and_grad(lambda y: (y**3).sum())(x)[0].backward()
    assert_same(x.grad, 3 * A**2)


def test_transforms_work_inside_no_grad_and_give_constants():
    w = tl.tensor(B, requires_grad=True)
    with tl.no_grad():
        gradient = tl.grad(lambda x: (x * x * w).sum())(of(A))
        assert not tl.is_grad_enabled()
        value, _ = tl.vjp(lambda x: x * w, of(A))
    assert_same(gradient, 2 * A * B)
    assert not gradient.requires_grad
    assert not value.requires_grad
    with tl.no_grad():
        assert_close(tl.grad(tl.grad(lambda x: x**4))(2.0), np.asarray(48.0, np.float32))


def test_no_grad_inside_cuts_the_tape():
    def loss(x):
        with tl.no_grad():
            frozen = x * 3
        return (x * frozen).sum()

    assert_same(tl.grad(loss)(of(A)), 3 * A)


def test_backward_inside_a_transformed_function():
    """The inner walk fills leaves; the outer derivative goes through the function's own value."""
    w = tl.tensor(B, requires_grad=True)

    def loss(x):
        (w * w).sum().backward()
        return (x * w.grad).sum()

    assert_same(tl.grad(loss)(of(A)), 2 * B)


def test_what_does_not_depend_on_an_argument_has_zero_gradients():
    assert_same(tl.grad(lambda x: tl.tensor(3.0))(of(A)), np.zeros(2))
    _, second = tl.grad(lambda x, y: (x * x).sum(), (0, 1))(of(A), of(B))
    assert_same(second, np.zeros(2))
    _, pull = tl.vjp(lambda x: (x * 1, tl.tensor([1.0])), of(A))
    assert_same(pull((of(B), tl.tensor([5.0])))[0], B)


def test_the_transformed_function_keeps_its_name():
    def loss(x):
        """What to minimise."""
        return x.sum()

    assert tl.grad(loss).__name__ == "loss"
    assert tl.value_and_grad(loss).__doc__ == "What to minimise."


def test_exceptions_leave_recording_as_it_was():
    def fail(x):
        raise KeyError

    with tl.no_grad():
        for transform in (tl.grad(fail), tl.value_and_grad(fail), lambda x: tl.vjp(fail, x)):
            with pytest.raises(KeyError):
                transform(of(A))
            assert not tl.is_grad_enabled()
    assert tl.is_grad_enabled()


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: tl.grad(lambda x: x * x)(of(A)), GradientError, "grad: only a tensor of one element has a gradient"),
    (lambda: tl.grad(lambda x: 3.0)(of(A)), GradientError, "grad: the function must return a tensor"),
    (lambda: tl.grad(lambda x: (x.sum(), 1))(of(A)), GradientError, "grad: the function must return a tensor"),
    (lambda: tl.grad(lambda x: x.sum())(tl.tensor([1, 2])), GradientError, "grad: only floating tensors"),
    (lambda: tl.grad(lambda x: x.sum())("text"), DTypeError, "asarray: a tensor is made of numbers"),
    (lambda: tl.grad(lambda x: x.sum())([of(A), None]), DTypeError, "asarray: a tensor is made of numbers"),
    (lambda: tl.vjp(lambda x: x * x, of(A))[1](tl.tensor([1.0])), ShapeError, "vjp: the gradient's shape is not the"),
    (lambda: tl.vjp(lambda x: x * x, of(A))[1](1.0), DTypeError, "vjp: a gradient is a tensor, not float"),
    (lambda: tl.vjp(lambda x: (x, x), of(A))[1](of(A)), ArgumentError, "vjp: 1 cotangent was given for 2 outputs"),
    (lambda: tl.vjp(lambda x: "text", of(A)), GradientError, "vjp: the function must return tensors"),
])
def test_misuse_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(text)
    assert tl.is_grad_enabled()


def test_no_cycles_are_left_behind():
    w = tl.tensor(B, requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            tl.grad(lambda x: (x * w).sum())(of(A))
            tl.grad(tl.grad(lambda x: x**3))(2.0)
            tl.value_and_grad(lambda p: (p["a"] * p["b"]).sum())({"a": of(A), "b": of(B)})
            tl.vjp(lambda x: x * w, of(A))[1](of(B))
        assert gc.collect() == 0
    finally:
        gc.enable()
