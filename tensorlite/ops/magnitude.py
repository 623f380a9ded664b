"""Lengths and distances of vectors: norm, dist, renorm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.axes import one_axis, some_axes
from tensorlite.ops.complex_numbers import imag, real
from tensorlite.ops.elementwise import abs as _abs
from tensorlite.ops.elementwise import equal, not_equal, square, where
from tensorlite.ops.elementwise import pow as _pow
from tensorlite.ops.extremes import _max, _min
from tensorlite.ops.reduce import _sum, accumulator, count_of, deviation
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import GROUPS, dtype_of

_INFINITY = float("inf")


@public
def norm(x: Tensor, /, p: float | str | None = "fro", axis: int | Sequence[int] | None = None,
         keepdims: bool = False, *,
         dtype: Any = None) -> Tensor:
    """The ``p``-norm ``sum(abs(x)**p)**(1/p)`` over one, several or all axes; ``"fro"`` and None mean 2.

    Infinity and -infinity give the largest and the smallest modulus, 0 the number of elements that are not zero. The
    derivative where a norm is 0 is 0. Raises `DTypeError` for integers, `ArgumentError` for ``p="nuc"``.

    >>> import tensorlite as tl
    >>> tl.norm(tl.tensor([[3.0, 4.0], [6.0, 8.0]]), dim=1)
    tensor([ 5., 10.])
    """
    if isinstance(p, str) and p != "fro":
        raise complaint(ArgumentError, "norm", f"p must be a number or 'fro', not {p!r}", {"x": x})
    if dtype is not None:
        x = astype(x, dtype_of(dtype), copy=False)
    if x.dtype not in GROUPS["floating"]:
        raise complaint(DTypeError, "norm", f"takes floating dtypes, not {x.dtype.name}", {"x": x},
                        "cast it first: x.to(tl.float32)")
    return _norm("norm", x, 2.0 if p is None or p == "fro" else float(p), some_axes("norm", x, axis), bool(keepdims))


def _norm(op: str, x: Tensor, p: float, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    real_dtype = x.dtype if x.dtype.kind != "c" else real(x).dtype
    wide = astype(x, accumulator(x.dtype), copy=False)
    if p in (_INFINITY, -_INFINITY):
        if not count_of(x.shape, axis):
            raise complaint(ShapeError, op, "no elements have no extreme", {"x": x, "p": p})
        found = (_max if p > 0 else _min)(_abs(wide), axis=axis, keepdims=keepdims)
    elif p == 0:
        found = _sum(astype(not_equal(wide, 0), accumulator(real_dtype)), axis=axis, keepdims=keepdims, dtype=None)
    elif p == 2:
        squares = square(wide) if x.dtype.kind != "c" else square(real(wide)) + square(imag(wide))
        found = deviation(_sum(squares, axis=axis, keepdims=keepdims, dtype=None))
    else:
        found = _of_powers(_abs(wide), p, axis, keepdims)
    return astype(found, real_dtype, copy=False)


def _of_powers(size: Tensor, p: float, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    """The norm of moduli by their powers; zeros, where powers have no derivative, are masked."""
    if p == 1:
        return _sum(size, axis=axis, keepdims=keepdims, dtype=None)
    zero = equal(size, 0)
    powers = where(zero, 0.0 if p > 0 else _INFINITY, _pow(where(zero, 1.0, size), p))
    total = _sum(powers, axis=axis, keepdims=keepdims, dtype=None)
    none = equal(total, 0.0 if p > 0 else _INFINITY)
    return where(none, 0.0, _pow(where(none, 1.0, total), 1 / p))


@public
def dist(x: Tensor, other: Tensor, /, p: float = 2) -> Tensor:
    """The ``p``-norm of ``x - other``, which broadcast.

    >>> import tensorlite as tl
    >>> tl.dist(tl.tensor([1.0, 2.0]), tl.tensor([4.0, 6.0]))
    tensor(5.)
    """
    return norm(x - other, p)


@public(in_place=True)
def renorm(x: Tensor, /, p: float, axis: int, maxnorm: float) -> Tensor:
    """The slices across an axis, those whose ``p``-norm is above ``maxnorm`` scaled down to it.

    Raises `ArgumentError` for ``p`` not above 0 and for a negative ``maxnorm``, `ShapeError` for fewer than two axes.

    >>> import tensorlite as tl
    >>> tl.renorm(tl.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6, 0.8],
            [0.3, 0.4]])
    """
    if p <= 0:
        raise complaint(ArgumentError, "renorm", f"p must be positive, not {p}", {"x": x})
    if maxnorm < 0:
        raise complaint(ArgumentError, "renorm", f"maxnorm must be 0 or more, not {maxnorm}", {"x": x})
    if x.ndim < 2:
        raise complaint(ShapeError, "renorm", f"takes at least 2 dimensions, x has {x.ndim}", {"x": x})
    axis = one_axis("renorm", x, axis)
    others = tuple(a for a in range(x.ndim) if a != axis)
    length = _norm("renorm", x, float(p), others, True)
    return x * astype(where(length > maxnorm, maxnorm / (length + 1e-7), 1.0), x.dtype, copy=False)
