"""Running sums and products, products, and differences of neighbours.

The derivatives of products divide by nothing, so that zeros do them no harm.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.batch import leading
from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.axes import one_axis, reduced_shape, some_axes
from tensorlite.ops.elementwise import conj, logical_xor, subtract
from tensorlite.ops.filled import full, full_like
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.join import along, concat
from tensorlite.ops.manipulation import _flip
from tensorlite.ops.reduce import REDUCE_SAMPLES, Axis, accumulator, samples_with, spread
from tensorlite.ops.shape import _copy, _permute_dims, _reshape, astype, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, dtype_of, sum_dtype

AXIS_SAMPLES = (Sample((2, 4), axis=1), Sample((3, 2), axis=0), Sample((1,), axis=0), Sample((2, 0), axis=1))


def _same_type(x: TensorType, *, axis: int) -> TensorType:
    return x


# --- cumulative sum -----------------------------------------------------------------------------------------------


def _from_the_end(g: Tensor, axis: int) -> Tensor:
    return _flip(_cumulative_sum(_flip(g, axis=(axis,)), axis=axis), axis=(axis,))


@primitive("opaque", autocast="wide", type=_same_type, vjp={"x": _from_the_end}, samples=AXIS_SAMPLES)
def _cumulative_sum(xp: Any, x: Any, *, axis: int) -> Any:
    return xp.cumsum(x, axis=axis, dtype=accumulator(x.dtype)).astype(x.dtype, copy=False)


@public
def cumulative_sum(x: Tensor, /, axis: int | None = None, *, dtype: Any = None,
                   include_initial: bool = False) -> Tensor:
    """The sums of the elements so far along an axis, which may be left out where there is only one.

    Integers are summed in 64 bits. With ``include_initial`` the result starts with 0 and is one longer.

    >>> import tensorlite as tl
    >>> tl.cumulative_sum(tl.tensor([1, 2, 3]), include_initial=True)
    tensor([0, 1, 3, 6])
    """
    x, axis = _prepared("cumulative_sum", x, axis, dtype)
    result = _cumulative_sum(x, axis=axis)
    return _with_initial(result, axis, 0) if include_initial else result


def _prepared(op: str, x: Tensor, axis: int | None, dtype: Any) -> tuple[Tensor, int]:
    """The tensor in the dtype that it is accumulated in, and the axis."""
    if axis is None and x.ndim != 1:
        raise complaint(ArgumentError, op, f"axis must be given for {x.ndim} dimensions", {"x": x})
    return astype(x, sum_dtype(x.dtype) if dtype is None else dtype_of(dtype), copy=False), one_axis(op, x, axis or 0)


def _with_initial(x: Tensor, axis: int, first: int) -> Tensor:
    """The elements along an axis with ``first`` before them."""
    start = full((*x.shape[:axis], 1, *x.shape[axis + 1:]), first, dtype=x.dtype, device=x.device)
    return concat([start, x], axis)


# --- cumulative product -------------------------------------------------------------------------------------------


def _before(x: Tensor, axis: int, first: int) -> Tensor:
    """The elements moved one place on along an axis, with ``first`` before them."""
    start = full_like(_slice(x, spec=along(axis, slice(0, 1))), first)
    return concat([start, _slice(x, spec=along(axis, slice(0, -1)))], axis)


def _scan_back(g: Tensor, factor: Tensor, axis: int) -> Tensor:
    """``h[i] = g[i] + factor[i+1] * h[i+1]``, run from the end: the cotangent of a recurrence's terms."""
    backwards = _before(_flip(conj(factor), axis=(axis,)), axis, 1)
    return _flip(_linear_scan(backwards, _flip(g, axis=(axis,)), axis=axis), axis=(axis,))


@primitive("opaque", type=lambda factor, term, *, axis: term, batch=leading, vjp={
    "factor": lambda g, factor, y, axis: _scan_back(g, factor, axis) * conj(_before(y, axis, 0)), "term": _scan_back},
           samples=[Sample((2, 4), (2, 4), axis=1), Sample((3, 2), (3, 2), axis=0), Sample((2, 0), (2, 0), axis=1)])
def _linear_scan(xp: Any, factor: Any, term: Any, *, axis: int) -> Any:
    """``y[i] = factor[i] * y[i-1] + term[i]`` along an axis, from ``y[-1] = 0``, in a logarithm of steps.

    Two steps of the recurrence make one of the same form: ``(a', b') o (a, b) = (a' a, a' b + b')``.
    """
    dtype, wide = term.dtype, accumulator(term.dtype)
    factor, term = xp.moveaxis(factor.astype(wide), axis, 0), xp.moveaxis(term.astype(wide), axis, 0)
    reach = 1
    while reach < len(term):
        term[reach:] = term[reach:] + factor[reach:] * term[:-reach]
        factor[reach:] = factor[reach:] * factor[:-reach]
        reach *= 2
    return xp.moveaxis(term, 0, axis).astype(dtype, copy=False)


@primitive("opaque", autocast="wide", type=_same_type, samples=AXIS_SAMPLES, vjp={
    "x": lambda g, x, y, axis: _scan_back(g, x, axis) * conj(_before(y, axis, 1))})
def _cumulative_prod(xp: Any, x: Any, *, axis: int) -> Any:
    return xp.cumprod(x, axis=axis, dtype=accumulator(x.dtype)).astype(x.dtype, copy=False)


@public
def cumulative_prod(x: Tensor, /, axis: int | None = None, *, dtype: Any = None,
                    include_initial: bool = False) -> Tensor:
    """The products of the elements so far along an axis, which may be left out where there is only one.

    Integers are multiplied in 64 bits. With ``include_initial`` the result starts with 1 and is one longer.

    >>> import tensorlite as tl
    >>> tl.cumulative_prod(tl.tensor([2, 3, 4]))
    tensor([ 2,  6, 24])
    """
    x, axis = _prepared("cumulative_prod", x, axis, dtype)
    result = _cumulative_prod(x, axis=axis)
    return _with_initial(result, axis, 1) if include_initial else result


# --- product ------------------------------------------------------------------------------------------------------


def _prod_vjp(g: Tensor, x: Tensor, axis: tuple[int, ...]) -> Tensor:
    """The product of all the others: of those before an element and of those after it."""
    kept = tuple(i for i in range(x.ndim) if i not in axis)
    order = (*kept, *axis)
    moved = _permute_dims(x, axes=order)
    flat = _reshape(moved, shape=(*moved.shape[:len(kept)], int(np.prod(moved.shape[len(kept):]))))
    last = len(kept)
    after = _flip(_before(_cumulative_prod(_flip(flat, axis=(last,)), axis=last), last, 1), axis=(last,))
    others = _reshape(_before(_cumulative_prod(flat, axis=last), last, 1) * after, shape=moved.shape)
    return spread(g, x.shape, axis) * conj(_permute_dims(others, axes=tuple(np.argsort(order).tolist())))


@primitive("reduce", autocast="wide",
           type=lambda x, *, axis, keepdims, dtype: retype(x, reduced_shape(x.shape, axis, keepdims), dtype),
           vjp={"x": _prod_vjp}, samples=samples_with(REDUCE_SAMPLES, dtype=None))
def _prod(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool, dtype: np.dtype | None) -> Any:
    dtype = dtype or x.dtype
    return xp.prod(x, axis=axis, keepdims=keepdims, dtype=accumulator(dtype)).astype(dtype, copy=False)


@public
def prod(x: Tensor, /, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product over one, several or all axes; integers are multiplied in 64 bits. 1 of no elements.

    >>> import tensorlite as tl
    >>> tl.prod(tl.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([3., 8.])
    """
    wanted = sum_dtype(x.dtype) if dtype is None else dtype_of(dtype)
    return _prod(x, axis=some_axes("prod", x, axis), keepdims=bool(keepdims), dtype=wanted)


# --- differences --------------------------------------------------------------------------------------------------


@public
def diff(x: Tensor, /, n: int = 1, axis: int = -1, prepend: Tensor | None = None,
         append: Tensor | None = None) -> Tensor:
    """The differences ``x[i+1] - x[i]`` along an axis, ``n`` times over; of bools, whether both differ.

    ``prepend`` and ``append`` are joined to ``x`` first, unless ``n`` is 0. Raises `ShapeError` for a 0-dimensional
    tensor.

    >>> import tensorlite as tl
    >>> tl.diff(tl.tensor([1, 4, 9, 16])), tl.diff(tl.tensor([1, 4, 9, 16]), n=2)
    (tensor([3, 5, 7]), tensor([2, 2]))
    """
    if x.ndim == 0:
        raise complaint(ShapeError, "diff", "a 0-dimensional tensor has no neighbours", {"x": x})
    if n < 0:
        raise complaint(ArgumentError, "diff", f"n must be 0 or more, not {n}", {"x": x})
    axis = one_axis("diff", x, axis)
    if n == 0:
        return _copy(x)
    parts = [part for part in (prepend, x, append) if part is not None]
    result = concat(parts, axis) if len(parts) > 1 else x
    differ = logical_xor if result.dtype.kind == "b" else subtract
    for _ in range(n):
        result = differ(_slice(result, spec=along(axis, slice(1, None))),
                        _slice(result, spec=along(axis, slice(None, -1))))
    return result
