"""Sorting: sort, argsort, topk, searchsorted. NaN counts as the largest number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, looped
from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import isnan, less, less_equal, logical_and, logical_not, logical_or, minimum, where
from tensorlite.ops.filled import full, zeros
from tensorlite.ops.indexing.scatter import _gather
from tensorlite.ops.indexing.take import take_along_axis
from tensorlite.ops.results import TopK
from tensorlite.ops.shape import astype, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_INTEGER, FLOATS, INTEGERS, TensorType, bfloat16, float32, int32, promote


def comparable(x: Any) -> Any:
    """Numbers in the same order that NumPy can sort: it puts bfloat16 NaNs anywhere."""
    return x.astype(float32) if x.dtype == bfloat16 else x


def _kind(stable: bool) -> str | None:
    return "stable" if stable else None


SORT_SAMPLES = (
    Sample((3, 4), axis=1, descending=False, stable=True), Sample((3, 2), axis=0, descending=True, stable=True),
    Sample((2, 0), axis=1, descending=False, stable=False), Sample((5,), axis=0, descending=True, stable=False))


def _sort_vjp(g: Tensor, x: Tensor, axis: int, descending: bool, stable: bool) -> Tensor:
    order = _argsort(x, axis=axis, descending=descending, stable=stable)
    return _gather(g, _argsort(order, axis=axis, descending=False, stable=True), axis=axis)


@primitive("opaque", type=lambda x, **_: x, vjp={"x": _sort_vjp}, samples=SORT_SAMPLES)
def _sort(xp: Any, x: Any, *, axis: int, descending: bool, stable: bool) -> Any:
    keys = xp.flip(comparable(x), axis) if descending else comparable(x)
    result = xp.sort(keys, axis=axis, kind=_kind(stable))
    return (xp.flip(result, axis) if descending else result).astype(x.dtype, copy=False)


@primitive("opaque", type=lambda x, **_: retype(x, dtype=DEFAULT_INTEGER), samples=SORT_SAMPLES)
def _argsort(xp: Any, x: Any, *, axis: int, descending: bool, stable: bool) -> Any:
    return _order_of(xp, x, axis, descending, stable)


def _order_of(xp: Any, x: Any, axis: int, descending: bool, stable: bool = True) -> Any:
    if not descending:
        return xp.argsort(comparable(x), axis=axis, kind=_kind(stable))
    order = xp.argsort(xp.flip(comparable(x), axis), axis=axis, kind=_kind(stable))
    return xp.flip(x.shape[axis] - 1 - order, axis)


def _first_type(x: TensorType, *, axis: int, k: int, descending: bool) -> TensorType:
    return retype(x, (*x.shape[:axis], k, *x.shape[axis + 1:]), DEFAULT_INTEGER)


@primitive("opaque", type=_first_type, samples=[
    Sample((3, 4), axis=1, k=2, descending=True), Sample((3, 2), axis=0, k=3, descending=False),
    Sample((5,), axis=0, k=0, descending=True), Sample((0, 3), axis=1, k=1, descending=True)])
def _first(xp: Any, x: Any, *, axis: int, k: int, descending: bool) -> Any:
    """The positions of the first elements in order."""
    return xp.take(_order_of(xp, x, axis, descending), xp.arange(k), axis=axis)


def _checked(op: str, x: Tensor, axis: int) -> int:
    if x.dtype.kind == "c":
        raise complaint(DTypeError, op, f"{x.dtype.name} numbers have no order", {"x": x},
                        "sort tl.abs(x) or tl.real(x)")
    if x.ndim == 0:
        raise complaint(ShapeError, op, "a 0-dimensional tensor has no axis", {"x": x})
    return one_axis(op, x, axis)


@public
def sort(x: Tensor, /, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements in order along an axis; ``stable`` keeps equal ones in the order that they came in.

    >>> import tensorlite as tl
    >>> tl.sort(tl.tensor([3.0, 1.0, 2.0]), descending=True)
    tensor([3., 2., 1.])
    """
    return _sort(x, axis=_checked("sort", x, axis), descending=bool(descending), stable=bool(stable))


@public
def argsort(x: Tensor, /, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The positions of the elements in order along an axis; ``stable`` keeps equal ones in the order they came in.

    >>> import tensorlite as tl
    >>> tl.argsort(tl.tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])
    """
    return _argsort(x, axis=_checked("argsort", x, axis), descending=bool(descending), stable=bool(stable))


@public
def topk(x: Tensor, /, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> TopK:
    """The ``k`` largest elements along an axis, or the smallest, in order, and their positions.

    The result has the fields ``values`` and ``indices``. A NaN counts as the largest number; of equal elements the
    first ones are taken, and come first. ``sorted=False`` allows any order, and this one is as good. Raises
    `ArgumentError` where the axis does not have ``k`` elements.

    >>> import tensorlite as tl
    >>> tl.topk(tl.tensor([3.0, 1.0, 3.0, 2.0]), 2).indices
    tensor([0, 2])
    """
    axis = _checked("topk", x, axis)
    try:
        k = k.__index__()
    except AttributeError:
        raise complaint(ArgumentError, "topk", f"k must be an integer, not {type(k).__name__}", {"x": x}) from None
    if not 0 <= k <= x.shape[axis]:
        raise complaint(ArgumentError, "topk", f"k is {k}, and axis {axis} has {x.shape[axis]} elements", {"x": x},
                        f"use 0 to {x.shape[axis]}")
    places = _first(x, axis=axis, k=k, descending=bool(largest))
    return TopK(_gather(x, places, axis=axis), places)


def _searchsorted_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    if batch.axes[0] is None:  # each of x2 is looked up alone
        return batch.apply(*inputs, **attributes), batch.axes[1]
    return looped(batch, inputs, attributes)


@primitive("opaque", type=lambda x1, x2, *, side: TensorType(DEFAULT_INTEGER, x2.shape, x2.device),
           batch=_searchsorted_batch, samples=[Sample((4,), (2, 3), side="left"), Sample((0,), (3,), side="right")])
def _searchsorted(xp: Any, x1: Any, x2: Any, *, side: str) -> Any:
    return xp.searchsorted(comparable(x1), comparable(x2), side=side)


@public
def searchsorted(x1: Tensor, x2: Any, /, *, out_int32: bool = False, right: bool = False, side: str = "left",
                 sorter: Tensor | None = None) -> Tensor:
    """Where each of ``x2`` would go into ``x1``, whose last axis is in order, or is by ``sorter``.

    Before elements that equal it with ``side="left"``, after them with ``side="right"`` or ``right=True``. Where ``x1``
    has several axes, all but the last are those of ``x2``, and each line is looked up in its own. int64, or int32 if so
    wished. Raises `ShapeError` where axes differ.

    >>> import tensorlite as tl
    >>> tl.searchsorted(tl.tensor([1, 3, 5]), tl.tensor([0, 3, 9]))
    tensor([0, 1, 3])
    """
    if side not in ("left", "right"):
        raise complaint(ArgumentError, "searchsorted", f"side is 'left' or 'right', not {side!r}")
    if not isinstance(x2, Tensor):
        x2 = asarray(x2, device=x1.device)
    if x1.ndim == 0:
        raise complaint(ShapeError, "searchsorted", "x1 must have an axis", {"x1": x1, "x2": x2})
    if x1.ndim > 1 and (x2.ndim != x1.ndim or x1.shape[:-1] != x2.shape[:-1]):
        raise complaint(ShapeError, "searchsorted", "x1 must have one axis, or all but its last in common with x2",
                        {"x1": x1, "x2": x2})
    if "c" in (x1.dtype.kind, x2.dtype.kind):
        raise complaint(DTypeError, "searchsorted", "complex numbers have no order", {"x1": x1, "x2": x2})
    if sorter is not None:
        if sorter.dtype not in INTEGERS or sorter.shape != x1.shape:
            raise complaint(ArgumentError, "searchsorted", "sorter must hold one position for each element of x1",
                            {"x1": x1, "sorter": sorter}, "use tl.argsort(x1)")
        x1 = take_along_axis(x1, sorter)
    dtype: np.dtype = promote(x1.dtype, x2.dtype)
    lookup = _searchsorted if x1.ndim == 1 else _search_lines
    found = lookup(astype(x1, dtype, copy=False), astype(x2, dtype, copy=False),
                   side="right" if right else side)
    return astype(found, int32, copy=False) if out_int32 else found


def _search_lines(x1: Tensor, x2: Tensor, *, side: str) -> Tensor:
    """`searchsorted` of each line in its own: the range that is left is halved until it is empty."""
    axis, n = x1.ndim - 1, x1.shape[-1]
    low, count = zeros(x2.shape, dtype=DEFAULT_INTEGER, device=x2.device), n
    high = full(x2.shape, n, dtype=DEFAULT_INTEGER, device=x2.device)
    while count:
        middle = (low + high) // 2
        reads = _gather(x1, minimum(middle, n - 1), axis=axis)
        goes_on = logical_and(_is_before(reads, x2, side), less(middle, high))
        low, high = where(goes_on, middle + 1, low), where(goes_on, high, middle)
        count //= 2
    return low


def _is_before(x: Tensor, y: Tensor, side: str) -> Tensor:
    """Whether elements come before others in order; NaN comes last."""
    if side == "left":
        return logical_or(less(x, y), logical_and(isnan(y), logical_not(isnan(x)))) if _has_nan(x) else less(x, y)
    return logical_or(less_equal(x, y), isnan(y)) if _has_nan(x) else less_equal(x, y)


def _has_nan(x: Tensor) -> bool:
    return x.dtype in FLOATS
