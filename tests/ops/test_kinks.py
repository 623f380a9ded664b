"""Derivatives where they are a convention, or where a formula that divides would fail; and all of them twice."""

from __future__ import annotations

import numpy as np
import pytest
from laws.drawing import seeded, values
from tolerance import assert_close, assert_same

import tensorlite as tl


def gradient(function, *arrays):
    """The derivatives of a function's sum with respect to each of its arrays."""
    tensors = [tl.tensor(np.asarray(a, np.float64), requires_grad=True) for a in arrays]
    function(*tensors).sum().backward()
    return [x.grad.tolist() for x in tensors]


def test_ties_of_extremes_share_the_derivative():
    assert gradient(tl.max, [1.0, 3.0, 3.0, 2.0]) == [[0, 0.5, 0.5, 0]]
    assert gradient(lambda x: tl.amin(x, axis=1), [[1.0, 1.0, 1.0, 2.0]]) == [[[1 / 3, 1 / 3, 1 / 3, 0]]]
    assert gradient(lambda x: tl.min(x, axis=(0, 1)), [[1.0, 1.0, 1.0, 2.0]]) == [[[1 / 3, 1 / 3, 1 / 3, 0]]]


def test_the_first_of_tied_extremes_along_an_axis_has_the_derivative():
    for function in (lambda x: tl.min(x, axis=1), lambda x: tl.min(x, axis=-1, keepdims=True),
                     lambda x: tl.jit(lambda y: tl.min(y, axis=1))(x), tl.vmap(lambda x: tl.min(x, axis=0))):
        assert gradient(function, [[2.0, 1.0, 1.0]]) == [[[0, 1, 0]]]
    assert gradient(lambda x: tl.max(x, axis=0), [np.nan, 5.0, np.nan]) == [[1, 0, 0]]


def test_bounds_belong_to_x():
    assert gradient(lambda x: tl.clip(x, 1, 2), [0.5, 1.0, 1.5, 2.0, 2.5]) == [[0, 1, 1, 1, 0]]
    assert gradient(tl.clip, [0.5, 1.5, 3.0], [1.0, 1.0, 1.0], [2.0, 2.0, 2.0]) == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["prod", "cumulative_prod"])
def test_product_of_zeros(name, zeros):
    x = np.array([2.0, 3.0, 5.0, 7.0])
    x[:zeros] = 0
    (found,) = gradient(getattr(tl, name), x)
    jacobian = np.zeros((4, 4))
    for end in range(4):
        for i in range(end + 1):
            jacobian[end, i] = np.prod([x[j] for j in range(end + 1) if j != i])
    assert found == (jacobian[-1] if name == "prod" else jacobian.sum(0)).tolist()


def test_deviation_of_equal_numbers_has_no_slope():
    assert gradient(tl.std, [2.0, 2.0, 2.0]) == [[0, 0, 0]]


def test_logsumexp_of_infinities():
    inf = np.inf
    assert gradient(tl.logsumexp, [inf, 0.0]) == [[1, 0]]
    assert gradient(tl.logsumexp, [-inf, 0.0]) == [[0, 1]]
    assert np.isfinite(gradient(tl.logsumexp, [-inf, -inf])).all()


def test_steps_have_no_slope():
    for function in (tl.round, tl.floor, tl.ceil, tl.trunc, tl.sign):
        assert gradient(function, [0.3, -1.6]) == [[0, 0]]


def test_nothing_flows_to_what_is_dropped():
    assert gradient(lambda x: tl.tril(x), np.ones((2, 2))) == [[[1, 0], [1, 1]]]
    assert gradient(lambda x: tl.repeat(x, tl.tensor([0, 2])), [1.0, 1.0]) == [[0, 2]]
    assert gradient(tl.unique_values, [3.0, 1.0, 3.0]) == [[1, 1, 0]]


def test_derivatives_of_nothing():
    for function in (tl.sum, tl.prod, tl.cumulative_sum, tl.cumulative_prod, tl.sort, tl.flip, tl.logsumexp):
        assert gradient(function, []) == [[]]


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float32, tl.float64, tl.complex64, tl.complex128],
                         ids=lambda d: d.name)
def test_cotangents_have_the_dtype_of_their_tensor(dtype):
    functions = [tl.sum, tl.prod, tl.mean, lambda x: tl.cumulative_sum(x, axis=0), tl.flip, tl.real, tl.triu,
                 lambda x: tl.cumulative_prod(x, axis=0), lambda x: tl.einsum("ij,ij->i", x, x), lambda x: x @ x.mT,
                 lambda x: tl.vecdot(x, x), lambda x: tl.take(x, tl.tensor([0, 0]), axis=0), lambda x: x[[0, 1, 0]]]
    if dtype.kind != "c":
        functions += [tl.max, tl.var, tl.std, tl.logsumexp, tl.sort, lambda x: tl.clip(x, -0.5, 0.5)]
    for function in functions:
        x = tl.asarray(values(seeded(dtype.name), (2, 3), dtype)).requires_grad_()
        y = function(x)
        assert y.dtype in (dtype, tl.finfo(dtype).dtype)
        tl.sum(tl.real(y)).backward()
        assert (x.grad.dtype, x.grad.shape) == (dtype, (2, 3))


COMPLEX = {
    "prod": lambda x: tl.prod(x, axis=1),
    "cumulative_prod": lambda x: tl.cumulative_prod(x, axis=0),
    "matmul": lambda x: x @ x.mT,
    "vecdot": lambda x: tl.vecdot(x, x[::-1]),
    "einsum": lambda x: tl.einsum("ij,kj->ik", x, x),
    "angle": tl.angle,
    "real": tl.real,
    "imag": tl.imag,
    "mean": lambda x: tl.mean(x * x),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_derivatives(name):
    x = tl.asarray(values(seeded(name), (2, 3), tl.complex128)).requires_grad_()
    assert tl.autograd.gradcheck(COMPLEX[name], x)


def test_complex_derivative_is_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is the reference for the convention of complex derivatives")
    data = values(seeded("convention"), (2, 3), tl.complex128)
    x, t = tl.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    tl.sum(tl.abs(tl.vecdot(x, x[::-1] * 2) + tl.prod(x, axis=1))).backward()
    (torch.linalg.vecdot(t, t.flip(0) * 2) + t.prod(1)).abs().sum().backward()
    assert_close(x.grad, t.grad.numpy(), terms=9)


def test_linear_recurrence():
    """The scan that the derivatives of running products are made of."""
    factor, term = (values(seeded(i), (3, 9), tl.float64) for i in range(2))
    expected = np.zeros((3, 9))
    state = np.zeros(3)
    for i in range(9):
        state = expected[:, i] = factor[:, i] * state + term[:, i]
    scan = tl.ops.cumulative._linear_scan
    assert_close(scan(tl.asarray(factor), tl.asarray(term), axis=1), expected, terms=9)


def test_set_elements_pass_the_derivative_on():
    x, v = tl.tensor([1.0, 2.0, 3.0], requires_grad=True), tl.tensor(5.0, requires_grad=True)
    y = x * 2
    y[1] = v
    (y * tl.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert_same(x.grad, np.array([2, 0, 200], np.float32))
    assert v.grad.item() == 10
