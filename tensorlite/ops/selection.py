"""Elements chosen by their rank: kthvalue, median, quantile, mode and those that pass over NaN.

All sort, so that compiled functions run the kernels of `sort`; the derivative goes to the elements chosen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import ceil, equal, floor, isnan, logical_and, logical_not, logical_or, not_equal, where
from tensorlite.ops.extremes import _max, ordered
from tensorlite.ops.filled import full, full_like
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.indexing.scatter import _gather
from tensorlite.ops.indexing.search import _any, _argmax
from tensorlite.ops.join import along, concat
from tensorlite.ops.manipulation import moveaxis
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import _sum
from tensorlite.ops.results import Chosen
from tensorlite.ops.running import _running_place, with_an_axis
from tensorlite.ops.shape import _broadcast_to, _reshape, astype
from tensorlite.ops.sort import _argsort, _first, _sort
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_INTEGER, FLOATS, float32, float64
from tensorlite.traced import is_traced

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _chosen(x: Tensor, line: Tensor, places: Tensor, axis: int, keepdims: bool) -> Chosen:
    """The elements at one place of each line, and these places, in the shape of a reduction of ``x``."""
    shape = () if not x.ndim else places.shape if keepdims else (*places.shape[:axis], *places.shape[axis + 1:])
    return Chosen(_reshape(_gather(line, places, axis=axis), shape=shape), _reshape(places, shape=shape))


def _lines(op: str, x: Tensor, axis: int) -> tuple[Tensor, int]:
    line, axis = with_an_axis(op, ordered(op, x), axis)
    if not line.shape[axis]:
        raise complaint(ShapeError, op, f"axis {axis} has no elements to choose from", {"x": x})
    return line, axis


def _at(x: Tensor, axis: int, place: int) -> Tensor:
    """The slice at one place of an axis, which stays."""
    return _slice(x, spec=along(axis, slice(place, place + 1)))


@public
def kthvalue(x: Tensor, /, k: int, axis: int = -1, keepdims: bool = False) -> Chosen:
    """The ``k``-th smallest element along an axis, counted from 1, and where it is: fields ``values`` and ``indices``.

    A NaN counts as the largest number. Raises `ArgumentError` where the axis does not have ``k`` elements.

    >>> import tensorlite as tl
    >>> tl.kthvalue(tl.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    line, axis = with_an_axis("kthvalue", ordered("kthvalue", x), axis)
    if not isinstance(k, int | np.integer) or not 1 <= k <= line.shape[axis]:
        raise complaint(ArgumentError, "kthvalue", f"k is {k!r}, and axis {axis} has {line.shape[axis]} elements",
                        {"x": x}, f"use 1 to {line.shape[axis]}")
    places = _at(_first(line, axis=axis, k=int(k), descending=False), axis, int(k) - 1)
    return _chosen(x, line, places, axis, keepdims)


# --- medians ------------------------------------------------------------------------------------------------------


def _median_places(line: Tensor, axis: int, skip: bool) -> Tensor:
    """Where the lower of the elements in the middle of each line is; a NaN, which is there, comes before all others.

    With ``skip`` NaNs do not count, unless there is nothing else.
    """
    order = _argsort(line, axis=axis, descending=False, stable=True)
    middle = _at(order, axis, (line.shape[axis] - 1) // 2)
    if line.dtype not in FLOATS:
        return middle
    if skip:
        count = _sum(astype(logical_not(isnan(line)), DEFAULT_INTEGER), axis=(axis,), keepdims=True, dtype=None)
        return _gather(order, where(count > 0, (count - 1) // 2, 0), axis=axis)
    return where(_any(isnan(line), axis=(axis,), keepdims=True), _argmax(line, axis=axis, keepdims=True), middle)


def _median(op: str, x: Tensor, axis: int | None, keepdims: bool, skip: bool) -> Any:
    if axis is not None:
        line, axis = _lines(op, x, axis)
        return _chosen(x, line, _median_places(line, axis, skip), axis, keepdims)
    row = _reshape(ordered(op, x), shape=(x.size,))
    if not x.size:
        if x.dtype in FLOATS:
            return full((), float("nan"), dtype=x.dtype, device=x.device)
        raise complaint(ShapeError, op, "there are no elements to choose from", {"x": x})
    found = _gather(row, _median_places(row, 0, skip), axis=0)
    if x.requires_grad:
        found = _shared(row, found.detach())
    return _reshape(found, shape=(1,) * x.ndim if keepdims else ())


def _shared(row: Tensor, found: Tensor) -> Tensor:
    """A number that elements of a row equal, with a derivative that these share, as that of `amax`."""
    equals = logical_or(equal(row, found), logical_and(isnan(row), isnan(found)))
    return _max(where(equals, row, full_like(row, -float("inf"))), axis=(0,), keepdims=True)


@public
def median(x: Tensor, /, axis: int | None = None, keepdims: bool = False) -> Any:
    """The median: of two elements in the middle the lower one; NaN where one is.

    Without an axis, the median of all elements, whose equals share the derivative. Along an axis the result has the
    fields ``values`` and ``indices``. Raises `ShapeError` for an axis without elements.

    >>> import tensorlite as tl
    >>> tl.median(tl.tensor([3.0, 1.0, 4.0, 2.0]))
    tensor(2.)
    >>> tl.median(tl.tensor([[3, 1, 2], [6, 4, 5]]), 1)
    Chosen(values=tensor([2, 5]), indices=tensor([2, 2]))
    """
    return _median("median", x, axis, keepdims, False)


@public
def nanmedian(x: Tensor, /, axis: int | None = None, keepdims: bool = False) -> Any:
    """The `median` of the elements that are not NaN; NaN where there are none.

    >>> import tensorlite as tl
    >>> tl.nanmedian(tl.tensor([3.0, tl.nan, 1.0]))
    tensor(1.)
    """
    return _median("nanmedian", x, axis, keepdims, True)


@public
def mode(x: Tensor, /, axis: int = -1, keepdims: bool = False) -> Chosen:
    """The most frequent element along an axis, of several the smallest, and where one is.

    The result has the fields ``values`` and ``indices``. Raises `ShapeError` for an axis without elements.

    >>> import tensorlite as tl
    >>> tl.mode(tl.tensor([3, 1, 3, 2, 1])).values
    tensor(1)
    """
    line, axis = _lines("mode", x, axis)
    n = line.shape[axis]
    order = _argsort(line, axis=axis, descending=False, stable=True)
    ranked = _gather(line.detach(), order, axis=axis)
    differs = not_equal(_slice(ranked, spec=along(axis, slice(1, None))),
                        _slice(ranked, spec=along(axis, slice(None, -1))))
    numbers = _reshape(arange(n), shape=(n, *(1,) * (line.ndim - axis - 1)))
    first = full((*line.shape[:axis], 1, *line.shape[axis + 1:]), True, dtype=np.dtype(bool))
    starts = where(concat([first, differs], axis), numbers, 0)
    length = numbers - _gather(starts, _running_place(starts, axis=axis, largest=True), axis=axis)
    places = _gather(order, _argmax(length, axis=axis, keepdims=True), axis=axis)
    return _chosen(x, line, places, axis, keepdims)


# --- quantiles ----------------------------------------------------------------------------------------------------


def _levels(op: str, x: Tensor, q: Any) -> Tensor:
    """The wanted quantiles as a tensor like ``x``, of one axis or none."""
    if x.dtype not in (float32, float64):
        raise complaint(DTypeError, op, f"takes float32 and float64, not {x.dtype.name}", {"x": x, "q": q},
                        "cast it first: x.to(tl.float32)")
    levels = q if isinstance(q, Tensor) else asarray(q, dtype=x.dtype, device=x.device)
    if levels.dtype != x.dtype:
        raise complaint(DTypeError, op, f"x is {x.dtype.name}, q is {levels.dtype.name}", {"x": x, "q": q},
                        f"cast it first: q.to(tl.{x.dtype.name})")
    if levels.ndim > 1:
        raise complaint(ShapeError, op, "q must be a number or have one axis", {"x": x, "q": q})
    known = q if not isinstance(q, Tensor) else [] if is_traced(q) or state.met is not None else q.detach().numpy()
    if not ((np.asarray(known) >= 0) & (np.asarray(known) <= 1)).all():
        raise complaint(ArgumentError, op, "q must be between 0 and 1", {"x": x, "q": q})
    return levels


def _ranks(ranked: Tensor, levels: Tensor, skip: bool) -> Tensor:
    """How far into each sorted line the levels are; the last place for lines with a NaN, unless those are skipped."""
    last = ranked.ndim - 1
    n = ranked.shape[last]
    if not skip:
        return where(isnan(_at(ranked, last, n - 1)), n - 1, levels * (n - 1))
    count = _sum(astype(logical_not(isnan(ranked)), ranked.dtype), axis=(last,), keepdims=True, dtype=None)
    return levels * where(count > 0, count - 1, 0)


def _between(ranked: Tensor, ranks: Tensor, interpolation: str) -> Tensor:
    """The numbers at ranks that need not be whole."""
    def at(places: Tensor) -> Tensor:
        return _gather(ranked, astype(places.detach(), DEFAULT_INTEGER), axis=ranked.ndim - 1)

    if interpolation in ("lower", "higher", "nearest"):
        return at({"lower": floor, "higher": ceil, "nearest": lambda r: r.round()}[interpolation](ranks))
    below = floor(ranks).detach()
    low, high = at(below), at(ceil(ranks))
    share = ranks - below if interpolation == "linear" else full_like(ranks, 0.5)
    return where(share < 0.5, low + share * (high - low), high - (high - low) * (1 - share))


def _quantile(op: str, x: Tensor, q: Any, axis: int | None, keepdims: bool, interpolation: str, skip: bool) -> Tensor:
    if interpolation not in INTERPOLATIONS:
        raise complaint(ArgumentError, op, f"interpolation must be one of {', '.join(INTERPOLATIONS)}, not "
                        f"{interpolation!r}")
    levels = _levels(op, x, q)
    if not x.size:
        raise complaint(ShapeError, op, "there are no elements to choose from", {"x": x})
    if axis is None:
        lines, shape = _reshape(x, shape=(x.size,)), (1,) * x.ndim if keepdims else ()
    else:
        lined, axis = with_an_axis(op, x, axis)
        lines = moveaxis(lined, axis, -1)
        rest = x.shape[axis + 1:]
        shape = x.shape[:axis] + ((1,) if keepdims and x.ndim else ()) + rest
    row = _reshape(levels, shape=(levels.size,))
    ranked = _sort(lines, axis=lines.ndim - 1, descending=False, stable=True)
    ranks = _ranks(ranked, row, skip)
    found = _between(ranked, _broadcast_to(ranks, shape=(*lines.shape[:-1], levels.size)), interpolation)
    return _reshape(moveaxis(found, -1, 0), shape=levels.shape + shape)


@public
def quantile(x: Tensor, q: Any, /, axis: int | None = None, keepdims: bool = False, *,
             interpolation: str = "linear") -> Tensor:
    """The numbers below which a share ``q`` of the elements lies, along an axis or of all; NaN where one is.

    q: a number or a tensor of one axis, which the result then has first. ``interpolation`` says what stands between two
    elements: linear, lower, higher, midpoint or nearest. Raises `ArgumentError` for shares outside of 0 to 1.

    >>> import tensorlite as tl
    >>> tl.quantile(tl.tensor([4.0, 1.0, 3.0, 2.0]), 0.5)
    tensor(2.5)
    """
    return _quantile("quantile", x, q, axis, keepdims, interpolation, False)


@public
def nanquantile(x: Tensor, q: Any, /, axis: int | None = None, keepdims: bool = False, *,
                interpolation: str = "linear") -> Tensor:
    """The `quantile` of the elements that are not NaN; NaN where there are none.

    >>> import tensorlite as tl
    >>> tl.nanquantile(tl.tensor([4.0, tl.nan, 3.0]), 0.5)
    tensor(3.5)
    """
    return _quantile("nanquantile", x, q, axis, keepdims, interpolation, True)
