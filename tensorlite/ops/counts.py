"""How often numbers occur: bincount, histc, histogram; and into which interval each falls: bucketize."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.cumulative import diff
from tensorlite.ops.elementwise import equal, greater_equal, isfinite, less_equal, logical_and, where
from tensorlite.ops.extremes import max as _largest
from tensorlite.ops.extremes import min as _smallest
from tensorlite.ops.filled import full, ones, zeros
from tensorlite.ops.indexing.scatter import _scatter_add
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import sum
from tensorlite.ops.results import Histogram
from tensorlite.ops.shape import _reshape, astype
from tensorlite.ops.sort import searchsorted
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_INTEGER, FLOATS, INTEGERS, float32, float64
from tensorlite.traced import is_traced, require_elements


@public
def bincount(x: Tensor, /, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2 ... occurs in a vector of integers, or what the weights of those add up to.

    The result has one element more than the largest integer, and at least ``minlength``. Raises `ArgumentError` for
    negative integers and lengths, `ShapeError` for other than one axis and weights of another shape.

    >>> import tensorlite as tl
    >>> tl.bincount(tl.tensor([0, 3, 3]))
    tensor([1, 0, 0, 2])
    """
    if x.dtype not in INTEGERS:
        raise complaint(DTypeError, "bincount", f"takes integers, not {x.dtype.name}", {"x": x})
    if x.ndim != 1:
        raise complaint(ShapeError, "bincount", f"takes one dimension, x has {x.ndim}", {"x": x})
    if minlength < 0:
        raise complaint(ArgumentError, "bincount", f"minlength must be 0 or more, not {minlength}", {"x": x})
    if weights is not None and weights.shape != x.shape:
        raise complaint(ShapeError, "bincount", "there must be one weight for each element",
                        {"x": x, "weights": weights})
    require_elements(x, "classes", "bincount")
    low, high = (int(x.min().item()), int(x.max().item())) if x.size else (0, -1)
    if low < 0:
        raise complaint(ArgumentError, "bincount", f"integers must be 0 or more, not {low}", {"x": x})
    return _counted(astype(x, DEFAULT_INTEGER, copy=False), weights, max(high + 1, minlength))


def _counted(places: Tensor, weights: Tensor | None, size: int) -> Tensor:
    """The numbers of equal places, or the sums of their weights."""
    if weights is None:
        weights = ones(places.shape, dtype=DEFAULT_INTEGER, device=places.device)
    elif weights.dtype not in (float32, float64):
        weights = astype(weights, float64)
    return _scatter_add(zeros((size,), dtype=weights.dtype, device=places.device), weights, places, axis=0)


def _range(op: str, x: Tensor, low: float, high: float, margin: float) -> tuple[Tensor, Tensor]:
    """The bounds of a histogram: those given, or those of the elements where both are equal; never of no width."""
    if not np.isfinite([low, high]).all() or low > high:
        raise complaint(ArgumentError, op, f"the range from {low} to {high} is none", {"x": x})
    if low == high and x.size:
        first, last = _smallest(x), _largest(x)
        if not is_traced(x) and not bool(isfinite(first) & isfinite(last)):
            raise complaint(ArgumentError, op, f"the elements reach from {first.item()} to {last.item()}, which are "
                            "not finite", {"x": x}, "give a range")
    else:
        first, last = (full((), bound, dtype=x.dtype, device=x.device) for bound in (low, high))
    wider = where(equal(first, last), margin, 0.0)
    return first - astype(wider, x.dtype), last + astype(wider, x.dtype)


def _floating(op: str, x: Tensor) -> Tensor:
    if x.dtype not in FLOATS:
        raise complaint(DTypeError, op, f"takes real floating dtypes, not {x.dtype.name}", {"x": x},
                        "cast it first: x.to(tl.float32)")
    return _reshape(x.detach(), shape=(x.size,))


@public
def histc(x: Tensor, /, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of ``bins`` equal intervals from ``min`` to ``max``, in the dtype of ``x``.

    The last interval has both its ends, elements outside and NaN do not count; equal bounds stand for those of the
    elements. Raises `ArgumentError` for fewer than one interval and for a range that is none.

    >>> import tensorlite as tl
    >>> tl.histc(tl.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    row = _floating("histc", x)
    if bins < 1:
        raise complaint(ArgumentError, "histc", f"bins must be at least 1, not {bins}", {"x": x})
    low, high = _range("histc", row, float(min), float(max), 1.0)
    counts = logical_and(greater_equal(row, low), less_equal(row, high))
    places = astype(where(counts, (row - low) * bins / (high - low), 0.0), DEFAULT_INTEGER)
    places = where(places == bins, bins - 1, places)
    return astype(_counted(places, astype(counts, float64), bins), x.dtype)


@public
def histogram(x: Tensor, bins: int | Tensor, /, *, range: tuple[float, float] | None = None,
              weight: Tensor | None = None, density: bool = False) -> Histogram:
    """How many elements lie in each interval, or what their weights add up to: fields ``hist`` and ``bin_edges``.

    bins: the number of equal intervals in ``range`` (that of the elements unless given), or the edges in order. The
    last interval has both its ends. With ``density``, the shares of the whole by the width. Raises `ArgumentError` for
    fewer than one interval and for a range that is none.

    >>> import tensorlite as tl
    >>> tl.histogram(tl.tensor([1.0, 2.0, 1.0]), 2, range=(0.0, 3.0))
    Histogram(hist=tensor([2., 1.]), bin_edges=tensor([0. , 1.5, 3. ]))
    """
    row = _floating("histogram", x)
    if weight is not None and (weight.shape != x.shape or weight.dtype != x.dtype):
        raise complaint(ShapeError, "histogram", "weight must have the shape and dtype of x", {"x": x,
                                                                                              "weight": weight})
    edges = _edges(x, row, bins, range)
    n = edges.size - 1
    places = searchsorted(edges, row, side="right") - 1
    places = where(row == edges[n], n - 1, places)
    counts = logical_and(places >= 0, places < n)
    weights = astype(counts, float64) if weight is None else where(counts, astype(
        _reshape(weight.detach(), shape=(weight.size,)), float64), 0.0)
    hist = astype(_counted(where(counts, places, 0), weights, n), x.dtype)
    return Histogram(hist / (sum(hist) * diff(edges)) if density else hist, edges)


def _edges(x: Tensor, row: Tensor, bins: Any, bounds: tuple[float, float] | None) -> Tensor:
    if isinstance(bins, Tensor):
        if bounds is not None:
            raise complaint(ArgumentError, "histogram", "edges leave no range to choose", {"x": x, "bins": bins})
        if bins.ndim != 1 or bins.size < 2 or bins.dtype != x.dtype:
            raise complaint(ShapeError, "histogram", "edges are two or more in a row, of the dtype of x",
                            {"x": x, "bins": bins})
        return bins.detach()
    if bins < 1:
        raise complaint(ArgumentError, "histogram", f"bins must be at least 1, not {bins}", {"x": x})
    low, high = (0.0, 0.0 if x.size else 1.0) if bounds is None else map(float, bounds)
    if bounds is not None and low == high:
        low, high = low - 0.5, high + 0.5
    first, last = _range("histogram", row, low, high, 0.5)
    step, numbers = (last - first) / bins, arange(bins + 1, dtype=x.dtype)
    return where(numbers < (bins + 1) // 2, first + numbers * step, last - (bins - numbers) * step)


@public
def bucketize(x: Any, boundaries: Tensor, /, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """Into which of the intervals between ``boundaries``, a vector in order, each element falls.

    Interval ``i`` ends with ``boundaries[i]``, or with ``right`` just before it. int64, or int32 if so wished. Raises
    `ShapeError` where boundaries do not have one axis.

    >>> import tensorlite as tl
    >>> tl.bucketize(tl.tensor([0, 3, 9]), tl.tensor([1, 3, 5]))
    tensor([0, 1, 3])
    """
    if boundaries.ndim != 1:
        raise complaint(ShapeError, "bucketize", "boundaries must have one axis", {"boundaries": boundaries})
    return searchsorted(boundaries, x, right=right, out_int32=out_int32)


