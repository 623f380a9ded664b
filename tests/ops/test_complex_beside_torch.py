"""Functions of complex numbers that PyTorch has, and their derivatives, side by side with it."""

from __future__ import annotations

import numpy as np
import pytest
from nn.against_torch import compare, draw, torch
from nn.beside_torch import check_compiled, check_mapped
from tolerance import assert_close

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError

X, Y, W, V = draw(3, 4), draw(3, 4, seed=1), draw(2, 4, seed=2), draw(2, 4, seed=3)


def positive(t, z):
    """A Hermitian matrix of positive eigenvalues."""
    return z @ z.mH + t.eye(3).double()


#: By name: a function of complex numbers, of one dtype in and one out.
FUNCTIONS = {
    "sigmoid": lambda t, z: t.sigmoid(z),
    "rsqrt": lambda t, z: t.rsqrt(z),
    "exp2": lambda t, z: t.exp2(z),
    "sinc": lambda t, z: t.sinc(z * 0.3) + t.sinc(z),
    "silu": lambda t, z: t.nn.functional.silu(z) if t is tl else z * t.sigmoid(z),  # theirs has no derivative
    "softsign": lambda t, z: t.nn.functional.softsign(z),
    "logsumexp": lambda t, z: t.logsumexp(z, 1) + t.logsumexp(z, (0, 1), True)[0] + t.logsumexp(z + 800, 1),
    "var": lambda t, z: t.var(z, 1, correction=1),
    "std": lambda t, z: t.std(z, (0, 1), correction=0, keepdim=True),
    "var_mean": lambda t, z: t.var_mean(z, 0)[0] * t.var_mean(z, 0)[1],
    "std_mean": lambda t, z: t.std_mean(z, 0, unbiased=False)[0] + t.var(z, 0, unbiased=True),
    "logaddexp": lambda t, z: t.logaddexp(z * 3, z.flip(0) + 1),
    "logcumsumexp": lambda t, z: t.exp(t.logcumsumexp(z, 1) + t.logcumsumexp(z * 2, 0)),
    "rms_norm": lambda t, z: t.nn.functional.rms_norm(z, z.shape[-1:], z[0] * 2) + t.nn.functional.rms_norm(
        z, z.shape, eps=0.1),
    "l1_loss": lambda t, z: t.nn.functional.l1_loss(z, z.conj() * 2 + 1),
    "pinv": lambda t, z: t.linalg.pinv(positive(t, z), hermitian=True),
    "cholesky": lambda t, z: t.linalg.cholesky(positive(t, z)),
}


def of_parts(t, function):
    """A function of complex numbers as one of their parts, which gives parts."""
    def call(x, y):
        found = function(t, t.complex(x, y))
        return t.view_as_real(found) if "complex" in str(found.dtype) else found
    return call


@pytest.mark.parametrize("name", FUNCTIONS)
def test_of_complex_numbers(name):
    function = FUNCTIONS[name]
    compare(of_parts(tl, function), of_parts(torch, function), X, Y, terms=1 << 10)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("pinv", "cholesky")])
def test_compiled_it_gives_the_same(name):
    check_compiled(of_parts(tl, FUNCTIONS[name]), X, Y, terms=1 << 10)


@pytest.mark.parametrize("name", ["sigmoid", "sinc", "logsumexp", "var"])
def test_mapped_it_is_the_loop(name):
    check_mapped(of_parts(tl, FUNCTIONS[name]), np.stack([X, X * 2]), np.stack([Y, -Y]), terms=1 << 8)


@pytest.mark.parametrize("biased", [False, True])
def test_linear(biased):
    def call(t, x, y, w, v):
        z, weight = t.complex(x, y), t.complex(w, v)
        return t.view_as_real(t.nn.functional.linear(z, weight, weight[:, 0] if biased else None))
    compare(lambda *a: call(tl, *a), lambda *a: call(torch, *a), X, Y, W, V, terms=64)
    check_compiled(lambda *a: call(tl, *a), X, Y, W, V, terms=64)


def test_linear_refuses_other_dtypes_and_shapes():
    z = tl.complex(tl.tensor(X), tl.tensor(Y))
    with pytest.raises(tl.errors.DTypeError, match="linear: x is complex128, weight is float64"):
        tl.linear(z, tl.tensor(W))
    with pytest.raises(tl.errors.ShapeError, match="linear: weight expects 3 features, x has 4"):
        tl.linear(z, z[:, :3])


def test_a_layer_of_complex_numbers_learns():
    layer = tl.nn.Linear(4, 2, dtype=tl.complex128)
    z = tl.complex(tl.tensor(X), tl.tensor(Y))
    tl.abs(layer(z)).sum().backward()
    assert layer.weight.grad.dtype == layer.bias.grad.dtype == tl.complex128


def test_sums_of_exponentials_of_complex_infinities_agree_with_torch():
    inf = float("inf")
    x = np.array([complex(-inf, 1), complex(-inf, 1), complex(1, 10), complex(2, -7)])
    y = np.array([complex(-inf, 3), complex(1, 2), complex(-inf, 0), complex(1, 20)])
    found, expected = tl.logaddexp(tl.tensor(x), tl.tensor(y)), torch.logaddexp(torch.tensor(x), torch.tensor(y))
    assert_close(found, expected.numpy(), terms=8)


#: PyTorch's older spelling of a correction of 1 or 0.
UNBIASED = {
    "var": lambda t, x: t.var(x, unbiased=True), "std": lambda t, x: t.std(x, dim=0, unbiased=False),
    "var of a flag": lambda t, x: t.var(x, False), "std of a flag": lambda t, x: x.std(True),
    "var_mean": lambda t, x: t.var_mean(x, unbiased=False)[0],
    "std_mean": lambda t, x: t.std_mean(x, dim=0, unbiased=False, keepdim=True)[0],
}


@pytest.mark.parametrize("name", UNBIASED)
def test_unbiased_is_a_correction_of_one(name):
    compare(lambda x: UNBIASED[name](tl, x), lambda x: UNBIASED[name](torch, x), X, terms=64)


@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_unbiased_and_correction_are_not_both_given(name):
    with pytest.raises(ArgumentError) as caught:
        getattr(tl, name)(tl.ones(3), unbiased=True, correction=1)
    assert str(caught.value).splitlines()[0] == (
        f"{name}: unbiased and correction say the same thing: both were given")
    with pytest.raises(DTypeError) as caught:
        getattr(tl, name)(tl.ones(3), unbiased=1)
    assert str(caught.value).splitlines()[0] == f"{name}: unbiased must be a bool, not int"
