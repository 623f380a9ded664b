"""Functions with their own derivative behave as ops do."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from exponential import Exponential
from laws.differences import check_first, check_second
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.autograd import Function, grad
from tensorlite.errors import DTypeError, GradientError


class Mixed(Function):
    """Two outputs of three arguments, of which one is no tensor."""

    @staticmethod
    def forward(context, x, y, power):
        context.save_for_backward(x, y)
        context.power = power
        return x**power * y, x + y

    @staticmethod
    def backward(context, g, h):
        x, y = context.saved_tensors
        return g * context.power * x ** (context.power - 1) * y + h, g * x**context.power + h, None


class Reverse(Function):
    """The identity, whose derivative is the opposite."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x

    @staticmethod
    def backward(context, g):
        return -g


def leaf(*values: float) -> tl.Tensor:
    return tl.tensor(list(values), dtype=tl.float64, requires_grad=True)


ARRAYS = [np.array([0.5, 1.5]), np.array([2.0, -1.0])]


@pytest.mark.parametrize("function", [Exponential.apply, lambda x: Exponential.apply(x * 2) * x,
                                      lambda x: Exponential.apply(Exponential.apply(x))],
                         ids=["alone", "within", "twice"])
def test_derivatives_of_a_function_that_saves_its_output(function):
    check_first(function, ARRAYS[:1], np.random.default_rng(1))
    check_second(function, ARRAYS[:1], np.random.default_rng(2))


def test_derivatives_of_several_outputs_and_arguments():
    for function in (lambda x, y: Mixed.apply(x, y, 3), lambda x, y: Mixed.apply(x, y, 3)[0],
                     lambda x, y: Mixed.apply(x, y, 3)[1], lambda x, y: Mixed.apply(x, x, 3)):
        check_first(function, ARRAYS, np.random.default_rng(1))
        check_second(function, ARRAYS, np.random.default_rng(2))


def test_third_derivatives():
    x = tl.tensor(0.7, dtype=tl.float64, requires_grad=True)
    y = Exponential.apply(x)
    for _ in range(3):
        (y,) = grad(y, x, create_graph=True)
    assert_close(y, np.exp(np.asarray(0.7)))


def test_outputs_that_nothing_uses_have_zero_cotangents():
    seen = []

    class Spy(Function):
        @staticmethod
        def forward(context, x):
            return x * 2, x * 3

        @staticmethod
        def backward(context, g, h):
            seen.append((g.tolist(), h.tolist()))
            return g * 2 + h * 3

    x = leaf(1, 2)
    Spy.apply(x)[1].sum().backward()
    assert seen == [([0.0, 0.0], [1.0, 1.0])]
    assert x.grad.tolist() == [3.0, 3.0]


def test_backward_is_called_once_for_all_arguments():
    calls = []

    class Count(Mixed):
        @staticmethod
        def backward(context, g, h):
            calls.append(context.needs_input_grad)
            return Mixed.backward(context, g, h)

    x, y = leaf(1), leaf(2)
    first, second = Count.apply(x, y, 2)
    (first + second).sum().backward()
    assert calls == [(True, True, False)]
    Count.apply(x, y.detach(), 2)[0].sum().backward()
    assert calls[1:] == [(True, False, False)]
    grad(Count.apply(x, y, 2)[0].sum(), y)
    assert len(calls) == 3


def test_the_derivative_is_the_stated_one():
    x = leaf(1, 2)
    (Reverse.apply(x) * 5).sum().backward()
    assert x.grad.tolist() == [-5.0, -5.0]
    (h,) = grad((Reverse.apply(x) ** 3).sum(), x, create_graph=True)
    assert_close(grad(h.sum(), x)[0], 6 * np.array([1.0, 2.0]))


def test_constants_are_not_recorded():
    y = Exponential.apply(tl.tensor([1.0]))
    assert not y.requires_grad
    with tl.no_grad():
        assert not Exponential.apply(leaf(1)).requires_grad


def test_recorded_outputs_name_the_function():
    assert Exponential.apply(leaf(1)).grad_fn == "Exponential"
    assert Mixed.apply(leaf(1), leaf(2), 2)[1].grad_fn == "Mixed"


def test_forward_is_not_recorded_and_backward_only_where_asked():
    modes = []

    class Spy(Exponential):
        @staticmethod
        def forward(context, x):
            modes.append(tl.is_grad_enabled())
            return Exponential.forward(context, x)

        @staticmethod
        def backward(context, g):
            modes.append(tl.is_grad_enabled())
            return Exponential.backward(context, g)

    x = leaf(1)
    Spy.apply(x).sum().backward()
    grad(Spy.apply(x).sum(), x, create_graph=True)
    assert modes == [False, False, False, True]


def test_what_was_saved_stays_as_it_was():
    x = tl.tensor([2.0], dtype=tl.float64)
    w = leaf(1)
    class Scale(Function):
        @staticmethod
        def forward(context, w, x):
            context.save_for_backward(x)
            return w * x

        @staticmethod
        def backward(context, g):
            return g * context.saved_tensors[0], None

    y = Scale.apply(w, x)
    x *= 100
    x[0] = -1
    y.sum().backward()
    assert w.grad.tolist() == [2.0]


def test_gradients_changed_in_place_are_the_functions_own():
    class Spoil(Function):
        @staticmethod
        def forward(context, x):
            return x * 1

        @staticmethod
        def backward(context, g):
            g *= 10
            return g

    x, y = leaf(1), leaf(1)
    (Spoil.apply(x) + y).sum().backward()
    assert x.grad.tolist() == [10.0]
    assert y.grad.tolist() == [1.0]


def test_larger_gradients_are_summed_over_broadcast_axes():
    class Broadcast(Function):
        @staticmethod
        def forward(context, x):
            return tl.broadcast_to(x, (3, 2))

        @staticmethod
        def backward(context, g):
            return g

    x = leaf(1, 2)
    Broadcast.apply(x).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_integer_outputs_are_constants():
    class Split(Function):
        @staticmethod
        def forward(context, x):
            return x.to(tl.int64), x * 2

        @staticmethod
        def backward(context, g, h):
            assert g.dtype == tl.int64
            return h * 2

    x = leaf(1.5)
    whole, double = Split.apply(x)
    assert not whole.requires_grad
    double.sum().backward()
    assert x.grad.tolist() == [2.0]


def test_outputs_may_be_marked_as_constants():
    class Argument(Function):
        @staticmethod
        def forward(context, x):
            largest, place = tl.max(x), tl.argmax(x).to(tl.float64)
            context.mark_non_differentiable(place)
            context.save_for_backward(x, largest)
            return largest, place

        @staticmethod
        def backward(context, g, h):
            x, largest = context.saved_tensors
            assert h.item() == 0.0
            return g * (x == largest).to(tl.float64)

    x = leaf(1, 5, 2)
    largest, place = Argument.apply(x)
    assert not place.requires_grad
    (largest * place).backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


class Square(Function):
    """In PyTorch's later style: forward knows nothing of derivatives."""

    @staticmethod
    def forward(x, scale):
        return x * x * scale

    @staticmethod
    def setup_context(context, arguments, result):
        x, context.scale = arguments
        context.save_for_backward(x)

    @staticmethod
    def backward(context, g):
        (x,) = context.saved_tensors
        return 2 * context.scale * g * x, None


def test_the_context_may_be_set_up_apart():
    check_first(lambda x: Square.apply(x, 3.0), ARRAYS[:1], np.random.default_rng(1))
    check_second(lambda x: Square.apply(x, 3.0), ARRAYS[:1], np.random.default_rng(2))
    assert Square.apply(tl.tensor(2.0), 3.0).item() == 12.0


def test_keywords_carry_no_derivatives():
    class Scale(Function):
        @staticmethod
        def forward(context, x, factor=1.0):
            context.factor = factor
            return x * factor

        @staticmethod
        def backward(context, g):
            return g * context.factor

    x = leaf(1)
    Scale.apply(x, factor=3.0).backward()
    assert x.grad.tolist() == [3.0]
    with pytest.raises(GradientError, match="Scale: only arguments by position have derivatives"):
        Scale.apply(x, factor=leaf(2))


def test_none_is_no_gradient():
    class Half(Function):
        @staticmethod
        def forward(context, x, y):
            context.save_for_backward(None, x)
            return x * y

        @staticmethod
        def backward(context, g):
            nothing, x = context.saved_tensors
            assert nothing is None
            return None, g * x

    x, y = leaf(3), leaf(4)
    Half.apply(x, y).sum().backward()
    assert x.grad is None
    assert y.grad.tolist() == [3.0]


def test_a_freed_graph_is_refused():
    y = Exponential.apply(leaf(1))
    y.sum().backward()
    with pytest.raises(GradientError, match="walked before"):
        y.sum().backward()


@pytest.mark.parametrize("used", [False, True])
def test_no_cycle_keeps_values_alive(used):
    gc.collect()
    gc.disable()
    try:
        x = leaf(1, 2)
        y = Exponential.apply(x)
        if used:
            grad(y.sum(), x, create_graph=True)
            y.sum().backward()
        gone = [weakref.ref(y), weakref.ref(y.node), weakref.ref(y.array)]
        del y
        assert [ref() for ref in gone] == [None] * 3
    finally:
        gc.enable()


def test_saved_values_are_freed_by_the_walk():
    x = leaf(1, 2)
    y = Exponential.apply(x)
    kept = weakref.ref(y.array)
    loss = y.sum()
    del y
    assert kept() is not None
    loss.backward()
    assert kept() is None


def faulty(result=None, cotangents=None) -> type[Function]:
    class Faulty(Function):
        @staticmethod
        def forward(context, x, y):
            return x * y if result is None else result

        @staticmethod
        def backward(context, g):
            return cotangents
    return Faulty


@pytest.mark.parametrize("result", [3.0, [1.0], "text", np.ones(2)], ids=lambda r: type(r).__name__)
def test_what_is_no_tensor_is_refused_as_a_result(result):
    with pytest.raises(DTypeError) as caught:
        faulty(result=result).apply(leaf(1), leaf(2))
    assert str(caught.value).startswith(
        f"Faulty: forward must return a tensor or a tuple of tensors, not {type(result).__name__}\n")


@pytest.mark.parametrize("given", [(), (1.0, 2.0, 3.0)])
def test_the_number_of_cotangents_is_checked(given):
    with pytest.raises(GradientError) as caught:
        faulty(cotangents=tuple(map(tl.tensor, given))).apply(leaf(1), leaf(2)).backward()
    assert str(caught.value).startswith(f"Faulty: backward returned {len(given)} cotangents for 2 arguments\n")


@pytest.mark.parametrize("given", [1.0, np.ones(2), tl.tensor([1.0, 2.0, 3.0]), tl.tensor(1.0)],
                         ids=["number", "array", "longer", "0-d"])
def test_the_shape_of_cotangents_is_checked(given):
    with pytest.raises(GradientError) as caught:
        faulty(cotangents=(given, None)).apply(leaf(1, 2), leaf(2, 3)).sum().backward()
    assert str(caught.value).startswith(
        "Faulty: backward must return a gradient of shape [2] for argument 0\n  returned")


def test_a_function_without_its_methods_says_so():
    class Empty(Function):
        pass

    with pytest.raises(TypeError, match="needs a static method forward"):
        Empty.apply(leaf(1))


def test_one_function_in_two_graphs_keeps_their_contexts_apart():
    x, y = leaf(1), leaf(2)
    first, second = Exponential.apply(x), Exponential.apply(y)
    second.backward()
    first.backward()
    assert_same(x.grad, np.exp(np.array([1.0])))
    assert_same(y.grad, np.exp(np.array([2.0])))
