"""`tl.linalg`: values and derivatives beside PyTorch's and NumPy's, laws of decompositions, stacks, refusals."""

from __future__ import annotations

import functools
import inspect
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import LinAlgError

stacks = st.sampled_from([(), (2,), (2, 1), (0,)])
sizes = st.integers(1, 4)
quick = settings(max_examples=20, deadline=None)
DTYPES = (tl.float32, tl.float64, tl.complex64, tl.complex128)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)


def matrices(*shape: int, seed: int = 0, dtype=tl.float64) -> np.ndarray:
    """Random matrices, far from singular where they are square."""
    random = np.random.default_rng([seed, *shape])
    x = random.standard_normal(shape) + 2 * np.eye(*shape[-2:]) * np.arange(1, shape[-1] + 1)
    if dtype.kind == "c":
        x = x + 1j * random.standard_normal(shape)
    return np.asarray(x, dtype)


def both(function):
    """A function of a library's `linalg`, of ours and PyTorch's."""
    from nn.against_torch import torch
    return functools.partial(function, tl), functools.partial(function, torch)


def check(function, *arrays, terms: int = 1 << 12, second: bool = True) -> None:
    """A function of a library and tensors means the same in ours and PyTorch, values and derivatives."""
    from nn.against_torch import compare
    ours, theirs = both(function)
    compare(ours, theirs, *arrays, terms=terms, second=second)

def mT(x):
    return x.mT


def hermitian(library, x):
    """Symmetric matrices, positive definite."""
    return x @ mT(x) + library.eye(x.shape[-1], dtype=library.float64)


def of_parts(library, a, b):
    """Complex numbers of their parts."""
    return a + 1j * b


# --- equations and determinants -----------------------------------------------------------------------------------


@quick
@given(stack=stacks, n=sizes, k=st.integers(0, 3), left=st.booleans())
def test_solve(stack, n, k, left):
    a, b = matrices(*stack, n, n), matrices(*((n, k) if left else (k, n)), seed=1)
    check(lambda library, a, b: library.linalg.solve(a, b, left=left), a, b)


@quick
@given(stack=st.sampled_from([(), (5,)]), n=st.integers(2, 4))
def test_solve_of_vectors(stack, n):
    check(lambda library, a, b: library.linalg.solve(a, b), matrices(*stack, n, n), matrices(1, 1, *stack, n)[0, 0])


def test_the_right_side_of_a_stack_is_matrices_where_it_may_be():
    """The standard takes [2, 2] beside [2, 2, 2] as one matrix for both, PyTorch as two vectors."""
    a, b = matrices(2, 2, 2), matrices(2, 2)
    assert_close(tl.linalg.solve(tl.tensor(a), tl.tensor(b)), np.linalg.solve(a, b), terms=16)


@quick
@given(stack=stacks, n=st.integers(0, 4), power=st.integers(-3, 5))
def test_inv_and_powers(stack, n, power):
    x = matrices(*stack, n, n)
    check(lambda library, x: library.linalg.inv(x), x)
    check(lambda library, x: library.linalg.matrix_power(x, power), x / 4, terms=1 << 20)


def test_powers_of_integers_are_integers():
    x = tl.tensor([[1, 1], [1, 0]])
    assert tl.linalg.matrix_power(x, 30).tolist() == [[1346269, 832040], [832040, 514229]]
    assert_same(tl.linalg.matrix_power(x, 0), np.eye(2, dtype=np.int64))
    assert tl.linalg.matrix_power(x, 1) is not x


@quick
@given(stack=stacks, n=st.integers(0, 4))
def test_determinants(stack, n):
    x = matrices(*stack, n, n)
    check(lambda library, x: library.linalg.det(x), x, terms=1 << 20)
    check(lambda library, x: library.linalg.slogdet(x)[1], x)
    check(lambda library, x: library.logdet(hermitian(library, x)), x, terms=1 << 20)


def test_the_slope_of_a_determinant_of_a_singular_matrix():
    """Where PyTorch gives 0, and 0 * inf is nothing."""
    for rank, x in ((1, [[1.0, 2.0], [2.0, 4.0]]), (0, [[0.0, 0.0], [0.0, 0.0]])):
        found = tl.grad(tl.linalg.det)(tl.tensor(x, dtype=tl.float64))
        assert_close(found, np.array([[4.0, -2.0], [-2.0, 1.0]]) * rank, terms=64)


@pytest.mark.parametrize(("upper", "left", "unitriangular"), list(np.ndindex(2, 2, 2)))
def test_solve_triangular(upper, left, unitriangular):
    options = {"upper": bool(upper), "left": bool(left), "unitriangular": bool(unitriangular)}
    a, b = matrices(2, 3, 3), matrices(2, 3, 2, seed=1)
    check(lambda library, a, b: library.linalg.solve_triangular(a, b if left else b.mT, **options), a, b)


@quick
@given(dims=st.sampled_from([None, (0, 2), (1,)]))
def test_tensorsolve_and_tensorinv(dims):
    a = matrices(6, 6).reshape({None: (2, 3, 6), (0, 2): (2, 6, 3), (1,): (2, 6, 3)}[dims])
    b = {None: (2, 3), (0, 2): (6,), (1,): (2, 3)}[dims]
    check(lambda library, a, b: library.linalg.tensorsolve(a, b, dims), a, np.arange(6.0).reshape(b), terms=1 << 16)
    check(lambda library, a: library.linalg.tensorinv(a, 2), matrices(6, 6).reshape(2, 3, 3, 2), terms=1 << 16)


# --- decompositions -----------------------------------------------------------------------------------------------


@quick
@given(stack=stacks, n=st.integers(1, 4), upper=st.booleans())
def test_cholesky(stack, n, upper):
    check(lambda library, x: library.linalg.cholesky(hermitian(library, x), upper=upper), matrices(*stack, n, n) / 4,
          terms=1 << 16)


@pytest.mark.parametrize("name", ["cholesky", "eigh", "eigvalsh"])
@pytest.mark.parametrize("upper", [False, True])
def test_one_triangle_is_read_and_the_slope_is_both(name, upper):
    """As PyTorch does, whose cotangent is Hermitian."""
    x = matrices(3, 3)
    options = {"upper": upper} if name == "cholesky" else {"UPLO": "U" if upper else "L"}

    def first(library, x):
        found = getattr(library.linalg, name)(x, **options)
        return found[0] if isinstance(found, tuple) else found
    check(first, x)


@quick
@given(stack=stacks, n=st.integers(1, 4))
def test_eigh(stack, n):
    x = matrices(*stack, n, n) / 4
    check(lambda library, x: library.linalg.eigvalsh(hermitian(library, x)), x, terms=1 << 16)
    check(lambda library, x: library.linalg.eigh(hermitian(library, x))[1] ** 2, x, terms=1 << 20)


@quick
@given(stack=st.sampled_from([(), (2,)]), n=st.integers(2, 4))
def test_eig(stack, n):
    """Of matrices with real and with complex eigenvalues, put in order."""
    x = matrices(*stack, n, n) / 2

    def modulus(library, x):
        values, vectors = library.linalg.eig(x)
        return (library.abs(vectors) ** 2 * library.real(values)[..., None, :]).sum(-1)
    check(modulus, x, terms=1 << 20)
    check(lambda library, x: library.abs(library.linalg.eigvals(x)).sum(-1), x, terms=1 << 20)


@quick
@given(stack=stacks, m=sizes, n=sizes, full=st.booleans())
def test_svd(stack, m, n, full):
    x, k = matrices(*stack, m, n), min(m, n)
    check(lambda library, x: library.linalg.svdvals(x), x)

    def invariant(library, x):
        left, values, right = library.linalg.svd(x, full_matrices=full)
        return (left[..., :k] ** 2) @ (values[..., None] * right[..., :k, :] ** 2)
    check(invariant, x, terms=1 << 20)
    left, _, right = tl.linalg.svd(tl.tensor(x), full_matrices=full)
    assert (left.shape, right.shape) == ((*stack, m, m if full else k), (*stack, n if full else k, n))


def test_svd_of_equal_singular_values_has_the_slope_of_what_is_asked():
    """Nothing asks for the vectors: their 0 / 0 is no part of it."""
    for n, rows in ((2, 2), (2, 3)):
        x = tl.asarray(np.eye(rows, n))
        found = tl.grad(lambda x: tl.linalg.svd(x, full_matrices=False).S.sum())(x)
        assert_close(found, np.eye(rows, n))
    assert_close(tl.grad(lambda x: tl.linalg.eigh(x).eigenvalues.sum())(tl.eye(3)), np.eye(3))


@quick
@given(stack=stacks, m=sizes, n=sizes, mode=st.sampled_from(["reduced", "complete", "r"]))
def test_qr(stack, m, n, mode):
    x = matrices(*stack, m, n)
    if mode != "complete" or m <= n:
        other = "reduced" if mode == "r" else mode  # of whose R PyTorch has no derivative
        ours, theirs = both(lambda library, x, mode: library.linalg.qr(x, mode)[1])
        from nn.against_torch import compare
        compare(lambda x: ours(x, mode), lambda x: theirs(x, other), x, terms=1 << 12)
        check(lambda library, x: library.linalg.qr(x, other)[0], x, terms=1 << 16)
    q, r = tl.linalg.qr(tl.tensor(x), mode)
    from nn.against_torch import torch
    for found, expected in zip((q, r), torch.linalg.qr(torch.tensor(x), mode), strict=True):
        assert_close(found, expected.numpy(), terms=64)


@quick
@given(stack=stacks, m=sizes, n=sizes, mixed=st.booleans())
def test_lu(stack, m, n, mixed):
    x = matrices(*stack, m, n) if not mixed else matrices(*stack, m, n)[..., ::-1, :].copy()
    for part in range(1, 3):
        check(lambda library, x, part=part: library.linalg.lu(x)[part], x, terms=1 << 16)
    check(lambda library, x: library.linalg.lu_factor(x)[0], x, terms=1 << 16)
    from nn.against_torch import torch
    for name in ("lu", "lu_factor"):
        found = getattr(tl.linalg, name)(tl.tensor(x))
        for ours, theirs in zip(found, getattr(torch.linalg, name)(torch.tensor(x)), strict=True):
            assert_close(ours, theirs.numpy(), terms=64)
    _, lower, upper = tl.linalg.lu(tl.tensor(matrices(*stack, m, n)), pivot=False)
    assert_close(lower @ upper, matrices(*stack, m, n), terms=256)


def test_lu_of_matrices_without_rows():
    x = tl.zeros((2, 0, 0))
    for part in tl.linalg.lu(x):
        assert part.shape == (2, 0, 0)
    assert tl.linalg.lu_solve(*tl.linalg.lu_factor(x), tl.zeros((2, 0, 3))).shape == (2, 0, 3)


@by_dtype
def test_lu_of_many_columns(dtype):
    """By blocks, of numbers none of which is large."""
    x = tl.asarray(matrices(2, 90, 70, dtype=dtype) - 2 * np.eye(90, 70) * np.arange(1, 71)).to(dtype)
    p, lower, upper = tl.linalg.lu(x)
    assert_close(p @ lower @ upper, x.numpy(), terms=1 << 12)
    assert tl.abs(lower).max().item() <= 1 + tl.finfo(dtype).eps


@pytest.mark.parametrize(("left", "adjoint"), [(False, False), (False, True), (True, False), (True, True)])
def test_lu_solve(left, adjoint):
    def solved(library, a, b):
        return library.linalg.lu_solve(*library.linalg.lu_factor(a), b, left=left, adjoint=adjoint)
    a, b = matrices(2, 3, 3), matrices(*((3, 2) if left else (2, 3)), seed=1)
    check(solved, a[:, ::-1].copy(), np.stack([b, b]), terms=1 << 16)


@by_dtype
def test_decompositions_multiply_to_what_they_are_of(dtype):
    x = tl.asarray(matrices(2, 4, 3, dtype=dtype))
    hermitian_x = tl.asarray(matrices(2, 3, 3, dtype=dtype))
    hermitian_x = hermitian_x @ tl.conj(hermitian_x.mT)
    u, s, vh = tl.linalg.svd(x, full_matrices=False)
    q, r = tl.linalg.qr(x)
    values, vectors = tl.linalg.eigh(hermitian_x)
    lower = tl.linalg.cholesky(hermitian_x)
    general, right = tl.linalg.eig(hermitian_x + tl.asarray(matrices(2, 3, 3, seed=3, dtype=dtype)))
    for made, wanted in (((u * s[..., None, :]) @ vh, x), (q @ r, x), (lower @ tl.conj(lower.mT), hermitian_x),
                         ((vectors * values[..., None, :]) @ tl.conj(vectors.mT), hermitian_x),
                         ((right * general[..., None, :]) @ tl.linalg.inv(right),
                          hermitian_x + tl.asarray(matrices(2, 3, 3, seed=3, dtype=dtype)))):
        scale = float(tl.abs(wanted).max())
        assert_close(made / scale, (wanted / scale).numpy().astype(made.dtype), terms=256)
    real = np.dtype(dtype.type(0).real.dtype)
    assert s.dtype == values.dtype == real
    assert u.dtype == q.dtype == vectors.dtype == lower.dtype == dtype
    assert general.dtype == right.dtype == tl.result_type(dtype, tl.complex64)


@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "svd", "svdvals", "eig", "eigvals"])
def test_derivatives_of_complex_decompositions(name):
    """Of what does not depend on phases: finite differences, first and second."""
    function = getattr(tl.linalg, name)
    weight = tl.asarray(matrices(3, 3, seed=5, dtype=tl.complex128))

    def invariant(x):
        found = function((x + tl.conj(x.mT)) / 2 if name.startswith("eigh") or name == "eigvalsh" else x)
        if not isinstance(found, tuple):
            return tl.abs(found)
        if name == "svd":
            left, values, right = found
            return (left * values) @ right @ weight, left @ right, values
        values, vectors = found
        return tl.abs(vectors) ** 2 * tl.abs(values)
    x = tl.tensor(matrices(3, 3, dtype=tl.complex128), requires_grad=True)
    assert tl.autograd.gradcheck(invariant, x)
    assert tl.autograd.gradgradcheck(invariant, x)


# --- pinv, lstsq, ranks -------------------------------------------------------------------------------------------


@quick
@given(stack=stacks, m=sizes, n=sizes)
def test_pinv(stack, m, n):
    check(lambda library, x: library.linalg.pinv(x), matrices(*stack, m, n), terms=1 << 16)


def test_pinv_and_rank_of_lower_ranks():
    a, b = matrices(4, 2, seed=2), matrices(2, 3, seed=3)
    check(lambda library, a, b: library.linalg.pinv(a @ b), a, b, terms=1 << 20)
    x = np.stack([a @ b, matrices(4, 3)])
    assert tl.linalg.matrix_rank(tl.tensor(x)).tolist() == [2, 3]
    assert tl.linalg.matrix_rank(tl.zeros((2, 3, 0))).tolist() == [0, 0]
    assert tl.linalg.matrix_rank(tl.ones((3, 3)), hermitian=True).item() == 1


@pytest.mark.parametrize("options", [{"rtol": 0.3}, {"atol": 4.0}, {"atol": 1.0, "rtol": 0.1}, {"hermitian": True}],
                         ids=str)
def test_tolerances(options):
    x = matrices(2, 3, 3)
    for name in ("pinv", "matrix_rank"):
        ours, theirs = both(lambda library, x, name=name: getattr(library.linalg, name)(x, **options))
        from nn.against_torch import torch
        assert_close(ours(tl.tensor(x)), theirs(torch.tensor(x)).numpy(), terms=256)
    several = tl.tensor([0.0, 0.9], dtype=tl.float64)
    assert tl.linalg.matrix_rank(tl.tensor(x), rtol=several).tolist() == [3, 1]
    assert tl.linalg.pinv(tl.tensor(x), rtol=several).shape == (2, 3, 3)
    if "hermitian" in options:
        check(lambda library, x: library.linalg.pinv(hermitian(library, x), **options), x[0], terms=1 << 20)


@quick
@given(m=sizes, n=sizes, k=st.none() | st.integers(1, 2), driver=st.sampled_from([None, "gels", "gelsy", "gelsd",
                                                                                   "gelss"]))
def test_lstsq(m, n, k, driver):
    from nn.against_torch import torch
    a, b = matrices(m, n), matrices(m, k or 1, seed=1)
    found = tl.linalg.lstsq(tl.tensor(a), tl.tensor(b), driver=driver)
    expected = torch.linalg.lstsq(torch.tensor(a), torch.tensor(b), driver=driver)
    assert found._fields == ("solution", "residuals", "rank", "singular_values")
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs.numpy(), terms=256)
    check(lambda library, a, b: library.linalg.lstsq(a, b, driver=driver)[0], a, b, terms=1 << 16)
    vector = tl.linalg.lstsq(tl.tensor(a), tl.tensor(b[:, 0]))
    assert_close(vector.solution, found.solution[:, 0])


# --- the exponential ----------------------------------------------------------------------------------------------


@quick
@given(stack=stacks, n=st.integers(0, 4), scale=st.sampled_from([0.0, 1e-3, 0.3, 3.0]))
def test_matrix_exp(stack, n, scale):
    check(lambda library, x: library.linalg.matrix_exp(x), matrices(*stack, n, n) * scale / 4, terms=1 << 16)


@by_dtype
def test_exponentials_of_any_size_are_products_of_halves(dtype):
    x = matrices(3, 4, 4, dtype=dtype) * np.array([1e-4, 1, 12])[:, None, None].astype(dtype) / 8
    whole, half = tl.linalg.matrix_exp(tl.asarray(x)), tl.linalg.matrix_exp(tl.asarray(x / 2))
    scale = tl.abs(whole).max(axis=(-2, -1), keepdims=True)
    assert_close(whole / scale, (half @ half / scale).numpy(), terms=256)
    one = tl.linalg.matrix_exp(tl.asarray(x[1]))
    assert_close(whole[1] / scale[1], (one / scale[1]).numpy(), terms=64)
    assert np.isnan(tl.linalg.matrix_exp(tl.tensor([[tl.nan]])).item())


# --- norms --------------------------------------------------------------------------------------------------------

ORDERS = (0.5, 1, 1.5, 2, 2.5, 3, inf, -inf, -1, -0.5, -2)


@settings(max_examples=30, deadline=None)
@given(order=st.sampled_from(ORDERS), axis=st.none() | st.sampled_from([0, -1, (0, 2), (1,), (-1, 0)]),
       keepdims=st.booleans(), zeros=st.booleans())
def test_vector_norm(order, axis, keepdims, zeros):
    from nn.against_torch import draw
    x = draw(2, 3, 4)
    x[0, 1] = x[0, 1] if not zeros or order < 0 else 0
    check(lambda library, x: library.linalg.vector_norm(x, order, axis, keepdims), x, terms=1 << 12,
          second=not zeros)
    check(lambda library, a, b: library.linalg.vector_norm(of_parts(library, a, b), order, axis), draw(2, 3, 4),
          draw(2, 3, 4, seed=4), terms=1 << 12)


@pytest.mark.parametrize("order", [o for o in ORDERS if o > 0], ids=str)
def test_norms_of_nothing_have_no_slope(order):
    check(lambda library, x: library.linalg.vector_norm(x, order, -1), np.zeros((2, 3)), second=False)


def test_the_norm_of_order_0_counts():
    x = tl.tensor([[0.0, 2.0, tl.nan], [0.0, 0.0, -1.0]], requires_grad=True)
    assert tl.linalg.vector_norm(x, 0, -1).tolist() == [2.0, 1.0]
    assert tl.norm(x[1], 0).item() == 1.0
    tl.linalg.vector_norm(x[1], 0).backward()
    assert_same(x.grad, np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [(-2, -1), (0, 1), (2, 0)])
@pytest.mark.parametrize("order", ["fro", "nuc", inf, -inf, 1, -1, 2, -2], ids=str)
def test_matrix_norm(order, axis, keepdims):
    from nn.against_torch import draw
    check(lambda library, x: library.linalg.matrix_norm(x, order, axis, keepdims), draw(3, 2, 4), terms=1 << 14)


@pytest.mark.parametrize(("order", "axis"), [
    (None, None), (None, (0, 1)), (None, 1), (3, 1), ("fro", (0, 1)), ("nuc", (1, 0)), (2, (0, 1)), (inf, 0),
    (1, (0,))])
def test_norm_is_of_vectors_or_matrices(order, axis):
    from nn.against_torch import draw
    x = draw(3, 4)
    check(lambda library, x: library.linalg.norm(x, order, axis), x, terms=1 << 12)
    check(lambda library, x: library.linalg.norm(x, order, dim=axis, keepdim=True), x, terms=1 << 12)


@pytest.mark.parametrize(("p", "axis"), [("fro", None), ("fro", (0, 1)), ("nuc", None), (1, None), (inf, 1),
                                         (3, (0, 1)), (2, -1)])
def test_pytorchs_norm(p, axis):
    from nn.against_torch import draw
    check(lambda library, x: library.norm(x, p, axis), draw(3, 4), terms=1 << 12)
    check(lambda library, x: x.norm(p, dim=axis, keepdim=True), draw(3, 4), terms=1 << 12)


@pytest.mark.parametrize("p", [None, 2, -2, "fro", "nuc", 1, -1, inf, -inf], ids=str)
def test_cond(p):
    from nn.against_torch import compare, torch
    theirs = torch.linalg.cond if p in (None, 2, -2, "nuc") else (  # of others PyTorch's has no derivative
        lambda x, p: torch.linalg.matrix_norm(x, p) * torch.linalg.matrix_norm(torch.linalg.inv(x), p))
    compare(lambda x: tl.linalg.cond(x, p), lambda x: theirs(x, p), matrices(2, 3, 3), terms=1 << 16)
    x = matrices(2, 3, 3)
    assert_close(tl.linalg.cond(tl.tensor(x), p), torch.linalg.cond(torch.tensor(x), p), terms=64)
    singular = tl.ones((2, 2))
    assert tl.linalg.cond(singular, "fro").item() == inf
    if p in (None, 2, -2):
        check(lambda library, x: library.linalg.cond(x, p), matrices(3, 2), terms=1 << 16)


# --- products -----------------------------------------------------------------------------------------------------


@quick
@given(m=st.integers(0, 4), n=st.integers(0, 4), offset=st.integers(-5, 5))
def test_diagonals(m, n, offset):
    x = np.arange(2.0 * m * n).reshape(2, m, n)
    inside = -m <= offset <= n
    expected = np.diagonal(x, offset, -2, -1) if inside else np.zeros((2, 0))
    assert_same(tl.linalg.diagonal(tl.tensor(x), offset=offset), expected)
    assert_same(tl.linalg.trace(tl.tensor(x), offset=offset), expected.sum(-1))
    if m * n:
        assert tl.autograd.gradcheck(lambda x: tl.linalg.diagonal(x, offset=offset),
                                     tl.tensor(x, requires_grad=True)) if expected.size else True


def test_products_of_vectors():
    from nn.against_torch import draw
    u, v = draw(3), draw(3, seed=1)
    for name in ("outer", "dot", "vdot", "inner"):
        check(lambda library, u, v, name=name: getattr(library, name)(u, v), u, v)
    check(lambda library, a, b: library.inner(a, b), draw(2, 4), draw(3, 1, 4, seed=1), terms=16)
    check(lambda library, u, v: library.linalg.cross(u, v), u, v)
    check(lambda library, u, v: library.linalg.cross(u, v, dim=1), draw(2, 3, 2), draw(2, 3, 1, seed=1))
    check(lambda library, u, v: library.kron(u, v), draw(2, 3), draw(4, seed=1))
    check(lambda library, u: library.linalg.vander(u, N=4), u, terms=64)
    check(lambda library, a, v: library.mv(a, v), draw(2, 3), v)
    assert_same(tl.cross(tl.tensor([1, 0, 0]), tl.tensor([0, 1, 0])), np.array([0, 0, 1]))


@quick
@given(beta=st.sampled_from([0, 1, 0.5]), alpha=st.sampled_from([1, 2, -0.5]), wide=st.booleans())
def test_added_products(beta, alpha, wide):
    from nn.against_torch import draw
    options = {"beta": beta, "alpha": alpha}
    shapes = {"addmm": ((2, 4), (2, 3), (3, 4)), "addmv": ((2,), (2, 3), (3,)), "addr": ((2, 3), (2,), (3,)),
              "baddbmm": ((5, 2, 4), (5, 2, 3), (5, 3, 4)), "addbmm": ((2, 4), (5, 2, 3), (5, 3, 4))}
    for name, (first, *factors) in shapes.items():
        start = draw(*first) if wide else draw(1)
        arrays = [draw(*shape, seed=i) for i, shape in enumerate(factors, 1)]
        if beta == 0:  # of which PyTorch takes even the slope as nothing
            ours, theirs = both(lambda library, x, *of, name=name: getattr(library, name)(x, *of, **options))
            from nn.against_torch import compare, torch
            compare(functools.partial(ours, tl.asarray(start * tl.nan)),
                    functools.partial(theirs, torch.tensor(start * np.nan)), *arrays, terms=16)
        else:
            check(lambda library, x, *of, name=name: getattr(library, name)(x, *of, **options), start, *arrays,
                  terms=16)


@quick
@given(extents=st.lists(st.integers(1, 5), min_size=3, max_size=6), first=st.booleans(), last=st.booleans())
def test_multi_dot(extents, first, last):
    from nn.against_torch import draw
    arrays = [draw(a, b, seed=i) for i, (a, b) in enumerate(zip(extents, extents[1:]))]
    arrays[0] = arrays[0][0] if first else arrays[0]
    arrays[-1] = arrays[-1][..., 0] if last and arrays[-1].ndim == 2 else arrays[-1]
    check(lambda library, *of: library.linalg.multi_dot(of), *arrays, terms=256)


# --- what they have in common -------------------------------------------------------------------------------------


def test_signatures_are_pytorchs():
    """PyTorch's own are compiled: its documentation says them."""
    wanted = {"cond": ["x", "p"], "norm": ["x", "ord", "axis", "keepdims", "dtype"],
              "lstsq": ["x1", "x2", "rcond", "driver"],
              "solve_triangular": ["x1", "x2", "upper", "left", "unitriangular"], "tensorinv": ["x", "ind"],
              "vector_norm": ["x", "ord", "axis", "keepdims", "dtype"], "vander": ["x", "N"],
              "matrix_norm": ["x", "ord", "axis", "keepdims", "dtype"], "svd": ["x", "full_matrices", "driver"]}
    for name, parameters in wanted.items():
        assert list(inspect.signature(getattr(tl.linalg, name)).parameters) == parameters


FUNCTIONS = {
    "solve": lambda x: tl.linalg.solve(x, x[:, 0]), "inv": tl.linalg.inv, "det": tl.linalg.det,
    "slogdet": lambda x: tl.linalg.slogdet(x)[1], "cholesky": tl.linalg.cholesky, "qr": lambda x: tl.linalg.qr(x)[1],
    "eigh": lambda x: tl.linalg.eigh(x)[0], "eigvalsh": tl.linalg.eigvalsh, "svdvals": tl.linalg.svdvals,
    "eig": lambda x: tl.abs(tl.linalg.eig(x)[1]), "svd": lambda x: tl.linalg.svd(x)[0] ** 2, "pinv": tl.linalg.pinv,
    "matrix_rank": tl.linalg.matrix_rank, "lstsq": lambda x: tl.linalg.lstsq(x, x[:, :1]).solution,
    "matrix_exp": lambda x: tl.linalg.matrix_exp(x / 8), "matrix_power": lambda x: tl.linalg.matrix_power(x, -3),
    "cond": lambda x: tl.linalg.cond(x, 1), "nuc": lambda x: tl.linalg.matrix_norm(x, "nuc"),
    "vector_norm": lambda x: tl.linalg.vector_norm(x, 2.5, 0), "diagonal": tl.linalg.diagonal,
    "lu": lambda x: tl.linalg.lu(x)[2], "lu_solve": lambda x: tl.linalg.lu_solve(*tl.linalg.lu_factor(x), x.mT),
    "solve_triangular": lambda x: tl.linalg.solve_triangular(x, x, upper=True), "cross": lambda x: tl.cross(x, x.mT),
}
by_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


def positive(count: int) -> tl.Tensor:
    """Symmetric, positive definite matrices."""
    x = matrices(count, 3, 3) / 4
    return tl.tensor(x @ np.swapaxes(x, 1, 2) + np.eye(3))


@by_function
def test_compiled_functions_are_the_same(function):
    x = positive(1)[0]

    def slope(x):
        return tl.grad(lambda x: function(x).sum())(x)
    assert_close(tl.jit(function)(x), function(x), terms=64)
    if function(x).dtype == tl.float64:
        assert_close(tl.jit(slope)(x), slope(x), terms=1 << 12)


@by_function
def test_a_batch_is_a_loop(function):
    x = positive(4)
    found = tl.vmap(function, in_axes=2)(tl.moveaxis(x, 0, 2))
    assert_close(found, np.stack([function(a).numpy() for a in x]), terms=1 << 12)


def test_methods_and_top_level_names():
    x = positive(1)[0]
    for name in ("det", "logdet", "slogdet", "cholesky", "matrix_exp", "inverse"):
        found, method = getattr(tl, name)(x), getattr(x, name)()
        for y, z in zip(*(f if isinstance(f, tuple) else (f,) for f in (found, method)), strict=True):
            assert_same(y, z)
    assert_same(tl.inverse(x), tl.linalg.inv(x))
    assert_same(x.trace(), tl.linalg.trace(x))
    assert_same(x.matrix_power(2), x @ x)
    y = tl.zeros((3, 3), dtype=tl.float64)
    y.addmm_(x, x, alpha=2)
    assert_close(y, 2 * (x @ x))


def test_the_namespace_is_imported_when_it_is_used():
    assert "linalg" in tl.__all__
    assert "fft" in tl.__all__
    assert tl.linalg.LinAlgError is LinAlgError
    assert issubclass(LinAlgError, np.linalg.LinAlgError)
