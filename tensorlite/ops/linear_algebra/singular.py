"""Singular values and what is made of them: svd, svdvals, matrix_rank, pinv, lstsq."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, move_axis, padded
from tensorlite.declare import functional, primitive
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.op import Integers, Regular, Sample
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import abs as absolute
from tensorlite.ops.elementwise import equal, greater, maximum, square, where
from tensorlite.ops.extremes import _max
from tensorlite.ops.filled import zeros
from tensorlite.ops.indexing.search import all as all_of
from tensorlite.ops.linear_algebra.eigen import _eigvalsh
from tensorlite.ops.linear_algebra.linalg import _matmul
from tensorlite.ops.linear_algebra.matrices import (
    adjoint,
    by_column,
    by_row,
    call,
    check_matrices,
    diagonal_mask,
    hermitian_part,
    over_stacks,
    ratio,
    within_gaps,
)
from tensorlite.ops.linear_algebra.products import diagonal
from tensorlite.ops.linear_algebra.results import LstsqResult, SVDResult
from tensorlite.ops.linear_algebra.solve import alike
from tensorlite.ops.manipulation import _tril
from tensorlite.ops.reduce import _sum
from tensorlite.ops.shape import _reshape, astype, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_INTEGER, FLOATS, TensorType, real_dtype

__all__ = ["lstsq", "matrix_rank", "pinv", "svd", "svdvals"]

Tolerance = float | Tensor | None

_PROBLEM = "the singular values do not converge"
_FIX = "check that it has no NaN and no infinity"


# --- svd ----------------------------------------------------------------------------------------------------------


def _svdvals_type(x: TensorType) -> TensorType:
    check_matrices(x=x)
    return retype(x, (*x.shape[:-2], min(x.shape[-2:])), real_dtype(x.dtype))


def _svdvals_vjp(g: Tensor, x: Tensor) -> Tensor:
    left, _, right = _svd(x, full_matrices=False)
    return _matmul(left * by_column(g), right)


@primitive("opaque", type=_svdvals_type, batch=over_stacks, vjp={"x": _svdvals_vjp},
           samples=[Sample(Regular((3, 3))), Sample(Regular((2, 2, 3)))])
def _svdvals(xp: Any, x: Any) -> Any:
    check_matrices(x=x)
    return call(lambda a: xp.linalg.svd(a, compute_uv=False), x, problem=_PROBLEM, fix=_FIX)


def _svd_type(x: TensorType, *, full_matrices: bool) -> tuple[TensorType, ...]:
    check_matrices(x=x)
    *stack, rows, columns = x.shape
    least = min(rows, columns)
    wide = (rows, columns) if full_matrices else (least, least)
    return (retype(x, (*stack, rows, wide[0])), retype(x, (*stack, least), real_dtype(x.dtype)),
            retype(x, (*stack, wide[1], columns)))


def _skew(x: Tensor) -> Tensor:
    return x - adjoint(x)


def _svd_vjp(g: tuple[Tensor, ...], y: tuple[Tensor, ...]) -> Tensor:
    """The cotangent of ``A = U S V^H`` (Townsend 2016; Wan and Zhang 2019 for complex numbers).

    ``U [(skew(U^H g_U) S + S skew(V^H g_V)) / (s_j^2 - s_i^2) + diag(g_S)] V^H``, and what of ``g_U`` and ``g_V`` is
    outside of the spaces that ``U`` and ``V`` span, over ``S``. Of full matrices the columns that belong to no
    singular value are any basis of the rest: they have no derivative.
    """
    k = y[1].shape[-1]
    left, values, right = y[0][..., :k], y[1], y[2][..., :k, :]
    g_left, g_right = g[0][..., :k], g[2][..., :k, :]
    across, down = by_column(values), by_row(values)
    turned = _skew(_matmul(adjoint(left), g_left))
    turning = turned * across + down * _skew(_matmul(right, adjoint(g_right)))
    on = g[1]
    if left.dtype.kind == "c":
        on = on + ratio(diagonal(turned), values * 2)
    inner = within_gaps(turning, (across - down) * (across + down), on)
    found = _matmul(_matmul(left, inner), right)
    if left.shape[-2] > k:
        beside = ratio(g_left, across)
        found = found + _matmul(beside - _matmul(left, _matmul(adjoint(left), beside)), right)
    if right.shape[-1] > k:
        beside = ratio(g_right, down)
        found = found + _matmul(left, beside - _matmul(_matmul(beside, adjoint(right)), right))
    return found


@primitive("opaque", type=_svd_type, batch=over_stacks, vjp={"x": _svd_vjp},
           samples=[Sample(Regular((3, 2)), full_matrices=False), Sample(Regular((2, 2, 3)), full_matrices=False)])
def _svd(xp: Any, x: Any, *, full_matrices: bool) -> Any:
    check_matrices(x=x)
    return tuple(call(lambda a: xp.linalg.svd(a, full_matrices=full_matrices), x, problem=_PROBLEM, fix=_FIX))


def _check_driver(op: str, x: Tensor, driver: str | None) -> None:
    if driver is not None:
        raise complaint(ArgumentError, op, f"driver={driver!r} chooses among those of CUDA, and x is on the CPU",
                        {"x": x}, "leave driver out")


@functional
def svd(x: Tensor, /, full_matrices: bool = True, *, driver: str | None = None) -> SVDResult:
    """The singular value decompositions ``x = U @ diag(S) @ Vh`` of matrices.

    x: [..., m, n]; U: [..., m, m]; S: real, [..., min(m, n)], falling; Vh: [..., n, n]; without ``full_matrices`` only
    the ``min(m, n)`` columns of ``U`` and rows of ``Vh`` that belong to singular values. Only what does not depend on
    the phases of these has a derivative, and a finite one only where singular values differ: for the values alone use
    `svdvals`. Raises `LinAlgError` for matrices with NaN.

    >>> import tensorlite as tl
    >>> tl.linalg.svd(tl.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    _check_driver("svd", x, driver)
    return SVDResult(*_svd(x, full_matrices=bool(full_matrices)))


@functional
def svdvals(x: Tensor, /, *, driver: str | None = None) -> Tensor:
    """The singular values of matrices in falling order: see `svd`.

    >>> import tensorlite as tl
    >>> tl.linalg.svdvals(tl.tensor([[0.0, 2.0], [1.0, 0.0]]))
    tensor([2., 1.])
    """
    _check_driver("svdvals", x, driver)
    return _svdvals(x)


# --- what counts as zero ------------------------------------------------------------------------------------------


def _tolerances(op: str, x: Tensor, atol: Tolerance, rtol: Tolerance) -> tuple[Tensor, Tensor]:
    """The tolerances as tensors: without either, rounding errors of the largest singular value count as zero."""
    if rtol is None:
        info = np.finfo(real_dtype(x.dtype)) if x.dtype.kind in "fc" and x.dtype.itemsize > 2 else None
        rtol = float(info.eps) * max(x.shape[-2:]) if atol is None and info is not None and x.ndim > 1 else 0.0
    found = []
    for name, value in (("atol", atol), ("rtol", rtol)):
        tensor = value if isinstance(value, Tensor) else asarray(0.0 if value is None else value, dtype=np.float64)
        if tensor.dtype not in FLOATS:
            raise complaint(ArgumentError, op, f"{name} must be real and floating, not {tensor.dtype.name}",
                            {"x": x, name: tensor})
        found.append(astype(tensor.detach(), real_dtype(x.dtype) if x.dtype.kind in "fc" else np.float64, copy=False))
    stack = x.shape[:-2]
    for name, tensor in zip(("atol", "rtol"), found, strict=True):
        if tensor.ndim > len(stack) or any(n not in (1, m) for n, m in zip(tensor.shape[::-1], stack[::-1])):
            raise complaint(ShapeError, op, f"{name} must broadcast to {list(stack)}, a number for each matrix",
                            {"x": x, name: tensor})
    return found[0], found[1]


@functional
def matrix_rank(x: Tensor, /, *, atol: Tolerance = None, rtol: Tolerance = None, hermitian: bool = False) -> Tensor:
    """How many singular values of matrices are larger than ``max(atol, rtol * largest)``, as int64.

    ``rtol`` is ``max(m, n)`` times the dtype's rounding error if neither is given, and 0 if ``atol`` is; both may be
    tensors, one number for each matrix. ``hermitian`` reads the lower triangle only.

    >>> import tensorlite as tl
    >>> tl.linalg.matrix_rank(tl.ones((3, 3)))
    tensor(1)
    """
    atol, rtol = _tolerances("matrix_rank", x, atol, rtol)
    values = absolute(_eigvalsh(x, triangle="L")) if hermitian else _svdvals(x)
    if not values.shape[-1]:
        return zeros(values.shape[:-1], dtype=DEFAULT_INTEGER, device=x.device)
    largest = _max(values, axis=(values.ndim - 1,), keepdims=False)
    counted = greater(values, by_row(maximum(atol, rtol * largest)))
    return _sum(astype(counted, DEFAULT_INTEGER), axis=(counted.ndim - 1,), keepdims=False, dtype=None)


# --- pinv ---------------------------------------------------------------------------------------------------------


def _pinv_type(x: TensorType, atol: TensorType, rtol: TensorType) -> TensorType:
    check_matrices(x=x)
    try:
        stack = np.broadcast_shapes(x.shape[:-2], atol.shape, rtol.shape)
    except ValueError:
        raise ShapeError("there must be one tolerance for each matrix") from None
    return retype(x, (*stack, x.shape[-1], x.shape[-2]))


def _pinv_vjp(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """``-P^H g P^H + (1 - A P) g^H P P^H + P^H P g^H (1 - P A)`` (Golub and Pereyra 1973, of constant rank)."""
    inverse, transposed = adjoint(y), adjoint(g)
    first = _matmul(_matmul(transposed, y), inverse)
    last = _matmul(inverse, _matmul(y, transposed))
    return (first - _matmul(x, _matmul(y, first)) + last - _matmul(_matmul(last, y), x)
            - _matmul(_matmul(inverse, g), inverse))


def _pinv_batch(batch: Batch, inputs: Any, attributes: Attributes) -> tuple[Any, Any]:
    """Matrices have two axes more than tolerances."""
    more = (2, 0, 0)
    ndim = max(x.ndim - (axis is not None) - n for x, axis, n in zip(inputs, batch.axes, more, strict=True))
    return batch.apply(*(x if axis is None else padded(move_axis(x, axis, 0), ndim + n)
                         for x, axis, n in zip(inputs, batch.axes, more, strict=True))), 0


_NONE = Integers((), 0, 1, "float64")


@primitive("opaque", type=_pinv_type, batch=_pinv_batch, vjp={"x": _pinv_vjp},
           samples=[Sample(Regular((3, 2)), _NONE, _NONE),
                    Sample(Regular((2, 2, 3)), _NONE, Integers((2,), 0, 1, "float64"))])
def _pinv(xp: Any, x: Any, atol: Any, rtol: Any) -> Any:
    check_matrices(x=x)
    u, s, vh = call(lambda a: xp.linalg.svd(a, full_matrices=False), x, problem=_PROBLEM, fix=_FIX)
    cutoff = xp.maximum(atol, rtol * s.max(axis=-1, initial=0))[..., None]
    inverse = xp.where(s > cutoff, 1 / s, 0).astype(s.dtype, copy=False)
    return xp.matmul(vh.swapaxes(-1, -2).conj() * inverse[..., None, :], u.swapaxes(-1, -2).conj())


@functional
def pinv(x: Tensor, /, *, atol: Tolerance = None, rtol: Tolerance = None, hermitian: bool = False) -> Tensor:
    """The pseudo-inverses of Moore and Penrose, singular values up to ``max(atol, rtol * largest)`` taken as zeros.

    x: [..., m, n]; the result: [..., n, m]. Tolerances are as for `matrix_rank`. ``hermitian`` reads the lower
    triangle only. The derivative is that among matrices of the same rank.

    >>> import tensorlite as tl
    >>> tl.linalg.pinv(tl.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5, 0. ],
            [0. , 0. ]])
    """
    atol, rtol = _tolerances("pinv", x, atol, rtol)
    return _pinv(_of_lower_triangle(x) if hermitian else x, atol, rtol)


def _of_lower_triangle(x: Tensor) -> Tensor:
    """The Hermitian matrices whose lower triangles are given; the cotangent is shared by both, as in PyTorch."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise complaint(ShapeError, "pinv", "a Hermitian matrix is square", {"x": x})
    part, below = hermitian_part(x), _tril(x, k=-1)
    return part + (where(diagonal_mask(x.shape[-1], x), part, below + adjoint(below)) - part).detach()


# --- lstsq --------------------------------------------------------------------------------------------------------

#: By LAPACK's names: whether they tell the rank, the singular values, and the residuals of a lower rank too.
_DRIVERS = {"gels": (False, False, True), "gelsy": (True, False, False), "gelsd": (True, True, False),
            "gelss": (True, True, False)}


@functional
def lstsq(x1: Tensor, x2: Tensor, /, rcond: float | None = None, *, driver: str | None = None) -> LstsqResult:
    """The ``X`` of least norm among those that make ``norm(x1 @ X - x2)`` least, by singular values.

    x1: [..., m, n]; x2: [..., m, k], or [..., m] beside matrices; singular values up to ``rcond`` times the largest
    count as zeros, as those up to ``max(m, n)`` times the dtype's rounding error do by default. The result has the
    fields ``solution``, ``residuals``, ``rank`` and ``singular_values``. Each ``driver`` finds the same solution, and
    says what LAPACK's says: "gelsy" (the default) the rank, "gelsd" and "gelss" also the singular values and, where
    m > n and each matrix is of full rank, the squared residuals; "gels" only these. The rest is empty. Whether ranks
    are full is decided in Python, which a traced function cannot do: choose one of the other two drivers there.

    >>> import tensorlite as tl
    >>> tl.linalg.lstsq(tl.tensor([[1.0], [1.0]]), tl.tensor([[1.0], [3.0]])).solution
    tensor([[2.]])
    """
    if driver not in (None, *_DRIVERS):
        raise complaint(ArgumentError, "lstsq", f"no driver is called {driver!r}", {"x1": x1, "x2": x2},
                        f"use {', '.join(_DRIVERS)}")
    x1, x2 = alike(x1, x2)
    is_vector = x1.ndim > 1 and (x2.ndim == 1 or x2.shape == x1.shape[:-1])
    right = by_row(x2) if is_vector else x2
    if x1.ndim < 2 or right.ndim < 2 or x1.shape[-2] != right.shape[-2]:
        raise complaint(ShapeError, "lstsq", "x1 and x2 must have as many rows", {"x1": x1, "x2": x2})
    solution = _matmul(pinv(x1, rtol=rcond), right)
    told = _facts(x1, right, solution, rcond, driver or "gelsy")
    return LstsqResult(_reshape(solution, shape=solution.shape[:-1]) if is_vector else solution, *told)


def _facts(x1: Tensor, x2: Tensor, solution: Tensor, rcond: float | None, driver: str) -> tuple[Tensor, ...]:
    """The residuals, the rank and the singular values as far as a driver tells them."""
    tells_rank, tells_values, tells_residuals = _DRIVERS[driver]
    rows, columns = x1.shape[-2:]
    real = real_dtype(x1.dtype)
    residuals, values = zeros(0, dtype=real, device=x1.device), zeros(0, dtype=real, device=x1.device)
    rank = matrix_rank(x1.detach(), rtol=rcond) if tells_rank else zeros(0, dtype=DEFAULT_INTEGER, device=x1.device)
    if tells_values:
        values = _svdvals(x1.detach())
    if rows > columns and (tells_residuals or tells_values and bool(all_of(equal(rank, columns)))):
        missed = square(absolute(_matmul(x1, solution) - x2))
        residuals = _sum(missed, axis=(missed.ndim - 2,), keepdims=False, dtype=None)
    return residuals, rank, values
