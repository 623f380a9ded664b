"""Norms of vectors and matrices: vector_norm, matrix_norm, norm, cond."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from tensorlite.declare import functional
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.axes import one_axis, some_axes
from tensorlite.ops.complex_numbers import imag, real
from tensorlite.ops.elementwise import abs as absolute
from tensorlite.ops.elementwise import equal, pow, square, where
from tensorlite.ops.extremes import _max, _min
from tensorlite.ops.linear_algebra.determinants import _slogdet
from tensorlite.ops.linear_algebra.matrices import by_row, identity
from tensorlite.ops.linear_algebra.singular import _svdvals
from tensorlite.ops.linear_algebra.solve import inv
from tensorlite.ops.manipulation import moveaxis
from tensorlite.ops.reduce import Axis, _sum, accumulator, deviation
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import GROUPS, dtype_of, real_dtype

__all__ = ["cond", "matrix_norm", "norm", "vector_norm"]

Order = int | float | str | None


# --- vectors ------------------------------------------------------------------------------------------------------


def p_norm(x: Tensor, p: float, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    """The p-norm of floating numbers over axes. Where it has no slope (at 0), the derivative is 0, as in PyTorch."""
    wide = astype(x, accumulator(x.dtype), copy=False)
    found = _NORMS.get(p, lambda x, axis, keepdims: _any_norm(x, p, axis, keepdims))(wide, axis, keepdims)
    return astype(found, real_dtype(x.dtype), copy=False)


def _total(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    return _sum(x, axis=axis, keepdims=keepdims, dtype=None)


def _euclidean(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    squares = square(real(x)) + square(imag(x)) if x.dtype.kind == "c" else square(x)
    return deviation(_total(squares, axis, keepdims))


def _count(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    size = absolute(x)
    return _total(where(equal(size, 0), size, 1), axis, keepdims)  # recorded, though its derivative is 0


def _any_norm(x: Tensor, p: float, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    return _power(_total(_power(absolute(x), p), axis, keepdims), 1 / p)


def _power(x: Tensor, p: float) -> Tensor:
    """A power of numbers from 0 on, which is constant at 0: what is raised there is a 1, and not taken."""
    at_zero = equal(x, 0)
    return where(at_zero, 0.0 if p > 0 else inf, pow(where(at_zero, 1, x), p))


_NORMS: dict[float, Any] = {
    0: _count, 1: lambda x, axis, keepdims: _total(absolute(x), axis, keepdims), 2: _euclidean,
    inf: lambda x, axis, keepdims: _max(absolute(x), axis=axis, keepdims=keepdims),
    -inf: lambda x, axis, keepdims: _min(absolute(x), axis=axis, keepdims=keepdims),
}


def floating(op: str, x: Tensor, dtype: Any) -> Tensor:
    """The tensor in the dtype asked for; raises `DTypeError` where it is not floating."""
    if dtype is not None:
        wanted = dtype_of(dtype)
        if x.dtype.kind == "c" and wanted.kind != "c":
            raise complaint(DTypeError, op, f"complex numbers do not become {wanted.name}", {"x": x, "dtype": dtype},
                            "choose a complex dtype")
        x = astype(x, wanted, copy=False)
    if x.dtype not in GROUPS["floating"]:
        raise complaint(DTypeError, op, f"takes floating dtypes, not {x.dtype.name}", {"x": x},
                        "cast it first: x.to(tl.float32)")
    return x


@functional
def vector_norm(x: Tensor, /, ord: float = 2, axis: Axis = None, keepdims: bool = False, *,
                dtype: Any = None) -> Tensor:
    """The norms ``sum(abs(x)**ord)**(1/ord)`` of vectors, over one, several or all axes.

    ``ord`` is any number: inf is the largest absolute value, -inf the smallest, 0 the number of elements that are not
    zero. ``dtype`` is cast to first. The derivative is 0 where the norm is 0. Raises `DTypeError` for integers.

    >>> import tensorlite as tl
    >>> tl.linalg.vector_norm(tl.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if isinstance(ord, bool | str) or not isinstance(ord, int | float):
        raise complaint(ArgumentError, "vector_norm", f"ord is a number, not {ord!r}", {"x": x})
    x = floating("vector_norm", x, dtype)
    return p_norm(x, float(ord), some_axes("vector_norm", x, axis), bool(keepdims))


# --- matrices -----------------------------------------------------------------------------------------------------

#: What norms of matrices are made of: sums of absolute values along rows (0) or columns (1), singular values.
_OF_SUMS = {1: (0, _max), -1: (0, _min), inf: (1, _max), -inf: (1, _min)}
_OF_VALUES: dict[Any, Any] = {2: _max, -2: _min, "nuc": lambda x, axis, keepdims: _total(x, axis, keepdims)}


@functional
def matrix_norm(x: Tensor, /, ord: Order = "fro", axis: tuple[int, int] = (-2, -1), keepdims: bool = False, *,
                dtype: Any = None) -> Tensor:
    """The norms of matrices, whose axes are the last two unless ``axis`` names others.

    ``ord`` is "fro" (the root of the sum of squares), "nuc" (the sum of singular values), inf, -inf (largest and
    smallest sum of a row's absolute values), 1, -1 (the same of columns), 2, -2 (largest and smallest singular value).
    Raises `ArgumentError` for another one, `DTypeError` for integers.

    >>> import tensorlite as tl
    >>> tl.linalg.matrix_norm(tl.tensor([[3.0, 0.0], [0.0, 4.0]]), "nuc")
    tensor(7.)
    """
    if isinstance(axis, int) or len(axis) != 2:
        raise complaint(ArgumentError, "matrix_norm", f"a matrix has two axes, not {axis}", {"x": x})
    if x.ndim < 2:
        raise complaint(ShapeError, "matrix_norm", "a matrix has two axes", {"x": x})
    x = floating("matrix_norm", x, dtype)
    rows, columns = (one_axis("matrix_norm", x, a) for a in axis)
    if rows == columns:
        raise complaint(ArgumentError, "matrix_norm", "an axis is given twice", {"x": x, "axis": axis})
    return _matrix_norm(x, ord, rows, columns, bool(keepdims))


def _matrix_norm(x: Tensor, ord: Order, rows: int, columns: int, keepdims: bool) -> Tensor:
    if ord == "fro":
        return p_norm(x, 2.0, tuple(sorted((rows, columns))), keepdims)
    shape = tuple(1 if a in (rows, columns) else n for a, n in enumerate(x.shape))
    matrices = x if (rows, columns) == (x.ndim - 2, x.ndim - 1) else moveaxis(x, (rows, columns), (-2, -1))
    if ord in _OF_SUMS:
        inner, extreme = _OF_SUMS[ord]
        sums = _total(absolute(matrices), (x.ndim - 2 + inner,), False)
        found = extreme(sums, axis=(sums.ndim - 1,), keepdims=False)
    elif ord in _OF_VALUES:
        values = _svdvals(matrices)
        found = _OF_VALUES[ord](values, axis=(values.ndim - 1,), keepdims=False)
    else:
        raise complaint(ArgumentError, "matrix_norm", f"ord is 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2, not {ord!r}",
                        {"x": x})
    return _reshape(found, shape=shape) if keepdims else found


# --- either -------------------------------------------------------------------------------------------------------


def _either(op: str, x: Tensor, ord: Order, axis: Axis, keepdims: bool, dtype: Any) -> Tensor:
    """A norm of vectors where one axis is named, of matrices where two are."""
    if isinstance(axis, Sequence) and len(axis) == 1:
        axis = axis[0]
    if ord is not None and isinstance(axis, Sequence):
        return matrix_norm(x, ord, tuple(axis), keepdims, dtype=dtype)
    if isinstance(ord, str):
        raise complaint(ArgumentError, op, f"{ord!r} is a norm of matrices, which have two axes",
                        {"x": x, "axis": axis})
    return vector_norm(x, 2 if ord is None else ord, axis, keepdims, dtype=dtype)


@functional
def norm(x: Tensor, /, ord: Order = None, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """A norm of vectors or of matrices.

    Without ``ord`` the 2-norm over the axes, or all of them. With ``ord`` and one axis, or of a vector, `vector_norm`;
    with ``ord`` and two axes, or of a matrix, `matrix_norm`.

    >>> import tensorlite as tl
    >>> tl.linalg.norm(tl.tensor([[3.0, 4.0]]), 1)
    tensor(4.)
    """
    if axis is None and ord is not None:
        if x.ndim not in (1, 2):
            raise complaint(ShapeError, "norm", f"with ord, x is a vector or a matrix, not of {x.ndim} axes",
                            {"x": x, "ord": ord}, "name the axes: axis=")
        axis = tuple(range(x.ndim))
    return _either("norm", x, ord, axis, keepdims, dtype)


@functional
def cond(x: Tensor, /, p: Order = None) -> Tensor:
    """The condition numbers ``norm(x, p) * norm(inv(x), p)`` of matrices; inf of singular ones.

    ``p`` is an order of `matrix_norm`; None stands for 2, for which matrices need not be square.

    >>> import tensorlite as tl
    >>> tl.linalg.cond(tl.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(2.)
    """
    if p in (None, 2, -2):
        values = _svdvals(x)
        if not values.shape[-1]:
            raise complaint(ShapeError, "cond", "a matrix without elements has no condition", {"x": x})
        first, last = values[..., 0], values[..., -1]
        return last / first if p == -2 else first / last
    sign, _ = _slogdet(x)
    is_singular = equal(sign, 0)
    regular = where(by_row(by_row(is_singular)), identity(x.shape[-1], x), x)
    return where(is_singular, inf, matrix_norm(x, p) * matrix_norm(inv(regular), p))
