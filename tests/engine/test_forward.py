"""Derivatives forward, and whole ones: jvp, linearize, Jacobians and Hessians, within each other, vmap and jit."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from laws.differences import check_first
from tolerance import DIFFERENCES, assert_close, assert_same

import tensorlite as tl
from tensorlite.autograd import Function
from tensorlite.errors import ArgumentError, DTypeError, GradientError, ShapeError
from tensorlite.tree import flatten

X = np.random.default_rng(0).standard_normal((3, 4))
Z = np.random.default_rng(1).standard_normal(4)
T = np.random.default_rng(2).standard_normal((3, 4))


def of(array) -> tl.Tensor:
    return tl.tensor(array)


def several(library):
    """A function of a matrix and a vector with a container of results."""
    return lambda x, z: {"a": library.sin(x) * z, "b": (x @ z, (x**2).sum())}


def scalar(library):
    return lambda x, z: (library.exp(x * z) * library.sin(x)).sum() * z.sum()


def same_as_torch(found, expected):
    for a, b in zip(flatten(found)[0], flatten(expected)[0], strict=True):
        assert_close(a, b.numpy(), terms=16)


def differentiate_in_torch(name):
    """PyTorch's transform, which warns of what PyTorch itself uses."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")

    def transform(*arguments):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = getattr(torch.func, name)(*arguments)
            return quietly(found) if callable(found) else found

    def quietly(function):
        def call(*arguments):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return function(*arguments)
        return call
    return torch, transform


def test_jvp_agrees_with_torch():
    torch, theirs = differentiate_in_torch("jvp")
    found = tl.jvp(several(tl), (of(X), of(Z)), (of(T), of(Z * 2)))
    same_as_torch(found, theirs(several(torch), (torch.tensor(X), torch.tensor(Z)),
                                (torch.tensor(T), torch.tensor(Z * 2))))


def test_jvp_is_the_difference_along_the_tangent():
    x, t, h = of(X), of(T), 1e-6
    _, moved = tl.jvp(lambda x: tl.tanh(x) @ x.mT, (x,), (t,))
    ahead, behind = (tl.tanh(x + k * h * t) @ (x + k * h * t).mT for k in (1, -1))
    assert_close(moved, ((ahead - behind) / (2 * h)).numpy(), tolerance=DIFFERENCES)


def test_jvp_of_complex_numbers():
    z, t = np.array([1 + 2j, -0.5j]), np.array([0.5 - 1j, 2.0 + 0j])
    assert_close(tl.jvp(lambda z: tl.exp(z) * z, (of(z),), (of(t),))[1], np.exp(z) * (1 + z) * t)
    assert_close(tl.jvp(lambda z: tl.real(z * tl.conj(z)), (of(z),), (of(t),))[1], 2 * np.real(np.conj(z) * t))


def test_linearize_maps_many_tangents():
    y, push = tl.linearize(lambda x: tl.sin(x) * 2, of(X))
    assert_close(y, np.sin(X) * 2)
    for scale in (1.0, -3.0):
        assert_close(push(of(T * scale)), np.cos(X) * 2 * T * scale)
    assert_close(tl.vmap(push)(of(np.stack([T, X]))), np.cos(X) * 2 * np.stack([T, X]), terms=4)


def test_what_does_not_depend_on_the_argument_does_not_move():
    (a, b), (da, db) = tl.jvp(lambda x: (tl.tensor([1.0, 2.0]), tl.floor(x).to(tl.int64)), (of(Z),), (of(Z),))
    assert_same(a, np.array([1.0, 2.0], np.float32))
    assert_same(da, np.zeros(2, np.float32))
    assert_same(b, np.floor(Z).astype(np.int64))
    assert_same(db, np.zeros(4, np.int64))


def test_auxiliary_results_are_passed_on():
    call = lambda x: ((x * x).sum(), {"seen": x * 3})
    value, moved, aux = tl.jvp(call, (of(Z),), (of(Z),), has_aux=True)
    assert_close(value, (Z * Z).sum())
    assert_close(moved, 2 * (Z * Z).sum())
    assert_close(aux["seen"].detach(), Z * 3)
    for transform in (tl.jacrev, tl.jacfwd):
        found, aux = transform(call, has_aux=True)(of(Z))
        assert_close(found, 2 * Z)
        assert_close(aux["seen"].detach(), Z * 3)
    found, aux = tl.hessian(call, has_aux=True)(of(Z))
    assert_close(found, 2 * np.eye(4))
    assert_close(aux["seen"].detach(), Z * 3)


@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1, 0)], ids=str)
@pytest.mark.parametrize("name", ["jacrev", "jacfwd"])
def test_jacobians_agree_with_torch(name, argnums):
    torch, theirs = differentiate_in_torch(name)
    ours = getattr(tl, name)(several(tl), argnums)
    there = theirs(several(torch), argnums)(torch.tensor(X), torch.tensor(Z))
    same_as_torch(ours(of(X), of(Z)), there)
    same_as_torch(tl.jit(ours)(of(X), of(Z)), there)


@pytest.mark.parametrize("transform", [tl.jacrev, tl.jacfwd])
def test_arguments_are_counted_from_the_end_too(transform):
    for a, b in zip(*(flatten(transform(several(tl), k)(of(X), of(Z)))[0] for k in (1, -1)), strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("argnums", [0, 1, (0, 1)], ids=str)
def test_hessians_agree_with_torch_and_in_every_order(argnums):
    torch, theirs = differentiate_in_torch("hessian")
    there = theirs(scalar(torch), argnums)(torch.tensor(X), torch.tensor(Z))
    same_as_torch(tl.hessian(scalar(tl), argnums)(of(X), of(Z)), there)
    same_as_torch(tl.jit(tl.hessian(scalar(tl), argnums))(of(X), of(Z)), there)
    for outer, inner in itertools.product((tl.jacrev, tl.jacfwd), repeat=2):
        same_as_torch(outer(inner(scalar(tl), argnums), argnums)(of(X), of(Z)), there)


def test_hessian_is_the_difference_of_gradients():
    function = lambda z: (tl.sin(z) * z**2).sum() * z[0]
    check_first(tl.grad(function), [Z], np.random.default_rng(3))
    rows = [tl.jvp(tl.grad(function), (of(Z),), (of(unit),))[1].numpy() for unit in np.eye(4)]
    assert_close(tl.hessian(function)(of(Z)), np.stack(rows), terms=4)


def test_chunks_give_the_same_rows():
    whole = tl.jacrev(several(tl))(of(X), of(Z))
    for transform in (tl.jacrev, tl.jacfwd):
        for size in (1, 5, 100):
            for a, b in zip(flatten(transform(several(tl), chunk_size=size)(of(X), of(Z)))[0], flatten(whole)[0],
                            strict=True):
                assert_close(a, b, terms=4)


@pytest.mark.parametrize("transform", [tl.jacrev, tl.jacfwd, tl.hessian])
def test_of_no_elements(transform):
    assert transform(lambda x: x * x)(tl.zeros((0, 2))).size == 0
    assert transform(lambda x: x.sum())(tl.zeros((0,))).size == 0


def test_third_derivatives_vmap_and_gradients_of_hessians():
    function = lambda x: (x**3 * tl.sin(x)).sum()
    third = lambda x: 6 * np.sin(x) + 18 * x * np.cos(x) - 9 * x**2 * np.sin(x) - x**3 * np.cos(x)
    cube = tl.jacfwd(tl.hessian(function))(of(Z)).numpy()
    assert_close(np.einsum("iii->i", cube).copy(), third(Z), terms=64)
    each = tl.vmap(tl.hessian(function))(of(X)).numpy()
    assert_close(each, np.stack([tl.hessian(function)(of(row)).numpy() for row in X]), terms=4)
    assert_close(tl.grad(lambda x: tl.hessian(function)(x).sum())(of(Z)), third(Z), terms=64)


def test_closures_are_reached_by_backward():
    w = tl.tensor(Z, requires_grad=True)
    tl.hessian(lambda x: ((x * w) ** 3).sum())(of(Z)).sum().backward()
    assert_close(w.grad, 18 * Z**3, terms=16)
    assert_close(tl.grad(lambda x: tl.jvp(lambda y: (y**2 * x).sum(), (of(Z),), (of(Z),))[1])(of(Z)), 2 * Z**2)


def test_forward_of_reverse_and_reverse_of_forward():
    cube = lambda x: (x**3).sum()
    assert_close(tl.jvp(tl.grad(cube), (of(X),), (of(T),))[1], 6 * X * T, terms=4)
    assert_close(tl.grad(lambda x: tl.jvp(cube, (x,), (of(T),))[1])(of(X)), 6 * X * T, terms=4)
    twice = tl.jvp(lambda x: tl.jvp(lambda y: y**3, (x,), (of(T),))[1], (of(X),), (of(T),))[1]
    assert_close(twice, 6 * X * T * T, terms=4)
    assert_close(tl.vmap(lambda x, t: tl.jvp(lambda y: y**3, (x,), (t,))[1])(of(X), of(T)), 3 * X**2 * T, terms=4)


def test_under_jit_a_tangent_costs_one_kernel():
    pushed = tl.jit(lambda x, t: tl.jvp(lambda y: tl.sin(y) * tl.exp(y), (x,), (t,)))
    y, moved = pushed(of(X), of(T))
    assert_close(y, np.sin(X) * np.exp(X))
    assert_close(moved, (np.sin(X) + np.cos(X)) * np.exp(X) * T, terms=4)
    assert "1 kernel (1 distinct)" in str(pushed.explain())


class Stated(Function):
    """A square whose derivative forward is stated, and is not the one backward."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        context.save_for_forward(x * 10)
        return x**2

    @staticmethod
    def backward(context, g):
        return 2 * context.saved_tensors[0] * g

    @staticmethod
    def jvp(context, tangent):
        return context.saved_tensors[0] * tangent


def test_functions_state_their_tangents():
    assert_close(tl.jvp(Stated.apply, (of(Z),), (of(Z),))[1], 10 * Z * Z)
    assert_close(tl.grad(lambda x: Stated.apply(x).sum())(of(Z)), 2 * Z)
    assert_close(tl.jacfwd(Stated.apply)(of(Z)), np.diag(10 * Z))
    assert_close(tl.jacrev(Stated.apply)(of(Z)), np.diag(2 * Z))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: tl.jvp(tl.sin, of(Z), (of(Z),)), DTypeError,
     "jvp: primals must be a tuple, one entry for each argument, not Tensor"),
    (lambda: tl.jvp(tl.sin, (of(Z),), of(Z)), DTypeError,
     "jvp: tangents must be a tuple, one entry for each argument, not Tensor"),
    (lambda: tl.jvp(tl.sin, (of(Z),), ()), ArgumentError, "jvp: 0 tangents were given for 1 argument"),
    (lambda: tl.jvp(lambda p: p["a"], ({"a": of(Z)},), ({},)), ArgumentError,
     "jvp: the tangents do not have the structure of the arguments"),
    (lambda: tl.jvp(tl.sin, (of(Z),), (of(X),)), ShapeError, "jvp: a tangent must have the shape of its argument"),
    (lambda: tl.jvp(lambda x: 1.0, (of(Z),), (of(Z),)), GradientError, "jvp: the function must return tensors"),
    (lambda: tl.jvp(lambda x: x, (tl.tensor([1, 2]),), (of(Z),)), GradientError,
     "jvp: only floating tensors have derivatives"),
    (lambda: tl.jacrev(tl.sin, 1)(of(Z)), ArgumentError,
     "jacrev: there is no argument 1: 1 was given by position"),
    (lambda: tl.jacfwd(tl.sin, chunk_size=0), ArgumentError, "jacfwd: chunk_size must be positive, not 0"),
])
def test_misuse_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
