"""Checks of derivatives accept right ones and name where wrong ones differ."""

from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.autograd import Function, gradcheck, gradgradcheck
from tensorlite.errors import GradientError


def leaf(values, dtype=tl.float64) -> tl.Tensor:
    return tl.tensor(values, dtype=dtype, requires_grad=True)


class Wrong(Function):
    """Doubles, and says that it triples."""

    @staticmethod
    def forward(context, x):
        return x * 2

    @staticmethod
    def backward(context, g):
        return g * 3


class WrongTwice(Function):
    """The first derivative is right; the second, through a detached factor, is lost."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context, g):
        return g * 2 * context.saved_tensors[0].detach()


RIGHT = {
    "one input": (tl.exp, [leaf([0.5, 1.0])]),
    "broadcast inputs": (lambda x, y: x * y, [leaf([1.0, 2.0]), leaf([[3.0], [4.0]])]),
    "several outputs": (lambda x: (x * x, tl.sin(x)), [leaf([1.0, 2.0])]),
    "constants beside": (lambda x, n, c: x**n * c, [leaf([1.0, 2.0]), 3, tl.tensor([2.0, 5.0])]),
    "an integer output": (lambda x: (x > 0, x * 2), [leaf([1.0, -1.0])]),
    "a constant output": (lambda x: tl.tensor(1.0), [leaf([1.0])]),
    "an unused input": (lambda x, y: x * 2, [leaf([1.0]), leaf([2.0])]),
    "no elements": (tl.exp, [leaf(np.zeros((0, 2)))]),
    "0-d": (lambda x: x**3, [leaf(2.0)]),
    "strides": (lambda x: x.T @ x, [leaf(np.arange(6.0).reshape(2, 3).T)]),
    "complex": (lambda z: z * z * tl.conj(z), [leaf([1 + 2j, -0.5j], tl.complex128)]),
    "complex to real": (lambda z: tl.abs(z) * tl.real(z), [leaf([1 + 2j, -0.5j], tl.complex128)]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass(name):
    function, inputs = RIGHT[name]
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs) if name != "a constant output" else True
    assert all(x.grad is None for x in inputs if isinstance(x, tl.Tensor))


def test_wrong_derivatives_are_named():
    with pytest.raises(GradientError) as caught:
        gradcheck(Wrong.apply, leaf([1.0, 2.0]))
    assert str(caught.value).startswith(
        "gradcheck: output 0[0] by input 0[0]: the tape gives 3, differences give 2\n  input 0  float64[2]\n  at ")
    assert not gradcheck(Wrong.apply, leaf([1.0, 2.0]), raise_exception=False)


def test_wrong_second_derivatives_are_named():
    x = leaf([1.0, 2.0])
    assert gradcheck(WrongTwice.apply, x)
    with pytest.raises(GradientError, match="the tape gives"):
        gradgradcheck(WrongTwice.apply, x)


def test_functions_that_differ_from_call_to_call_fail():
    with pytest.raises(GradientError):
        gradcheck(lambda x: x * tl.rand(1, dtype=tl.float64), leaf([1.0]))


@pytest.mark.parametrize(("function", "inputs", "problem"), [
    (tl.exp, tl.tensor([1.0]), "gradcheck: no input requires gradients"),
    (lambda x: 3.0, leaf([1.0]), "gradcheck: the function must return tensors"),
])
def test_misuse_is_named(function, inputs, problem):
    with pytest.raises(GradientError) as caught:
        gradcheck(function, inputs)
    assert str(caught.value).splitlines()[0] == problem
