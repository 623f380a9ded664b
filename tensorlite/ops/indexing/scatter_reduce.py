"""Many numbers gathered into one at places that integer tensors name: scatter_reduce and index_reduce."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.batch import leading
from tensorlite.declare import primitive, public
from tensorlite.errors import ShapeError, complaint
from tensorlite.op import Integers, Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.elementwise import conj, equal, floor_divide, maximum, where
from tensorlite.ops.filled import full_like, ones_like, zeros_like
from tensorlite.ops.indexing.masks import check_reduce
from tensorlite.ops.indexing.scatter import (
    _check_along,
    _corner,
    _corner_of,
    _gather,
    _scatter,
    _scatter_add,
    _scatter_type,
    _within,
    check_places,
    grid,
)
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _broadcast_to, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import GROUPS

REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


def _source_part(source: Tensor, places: Tensor) -> Tensor:
    """The corner of a source that the index covers."""
    return source if source.shape == places.shape else _corner_of(source, shape=places.shape)


def _uncorner(g: Tensor, shape: tuple[int, ...]) -> Tensor:
    return g if g.shape == shape else _within(g, shape=shape)


def _shares(x: Tensor, source: Tensor, places: Tensor, y: Tensor, g: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The cotangents of the elements that are the extreme, which share it in equal parts."""
    own = astype(equal(x, y), g.dtype)
    theirs = astype(equal(source, _gather(y, places, axis=axis)), g.dtype)
    share = g / _scatter_add(own, theirs, places, axis=axis)
    return own * share, theirs * _gather(share, places, axis=axis)


def _others(x: Tensor, source: Tensor, places: Tensor, y: Tensor, g: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The cotangents times the products of all the other factors of a place, also where some are 0."""
    none, no_source = equal(x, 0), equal(source, 0)
    safe, safe_source = where(none, 1, x), where(no_source, 1, source)
    product = _scatter_with(safe, safe_source, places, axis=axis, how="prod")
    zeros = _scatter_add(astype(none, np.dtype(np.int64)), astype(no_source, np.dtype(np.int64)), places, axis=axis)
    return (conj(_without(none, safe, product, zeros)) * g,
            conj(_without(no_source, safe_source, _gather(product, places, axis=axis),
                          _gather(zeros, places, axis=axis))) * _gather(g, places, axis=axis))


def _without(none: Tensor, factor: Tensor, product: Tensor, zeros: Tensor) -> Tensor:
    """The product of the factors but one, from that of all that are not 0 and the number of zeros."""
    return where(zeros > astype(none, zeros.dtype), 0, where(none, product, product / factor))


_COTANGENTS = {"prod": _others, "amax": _shares, "amin": _shares}


def _x_vjp(g: Tensor, x: Tensor, source: Tensor, places: Tensor, y: Tensor, axis: int, how: str) -> Tensor:
    return _COTANGENTS[how](x, _source_part(source, places), places, y, g, axis)[0]


def _source_vjp(g: Tensor, x: Tensor, source: Tensor, places: Tensor, y: Tensor, axis: int, how: str) -> Tensor:
    found = _COTANGENTS[how](x, _source_part(source, places), places, y, g, axis)[1]
    return _uncorner(found, source.shape)


_UNITES = {"prod": "multiply", "amax": "maximum", "amin": "minimum"}


@primitive("index", type=lambda x, source, places, *, axis, how: _scatter_type(x, source, places, axis=axis),
           batch=leading, vjp={"x": _x_vjp, "source": _source_vjp}, samples=[
    Sample((4, 5), (4, 3), Integers((4, 3), 0, 5), axis=1, how="prod"),
    Sample((4, 5), (3, 6), Integers((2, 5), 0, 4), axis=0, how="amax"),
    Sample((5,), (4,), Integers((4,), 0, 5), axis=0, how="amin")])
def _scatter_with(xp: Any, x: Any, source: Any, places: Any, *, axis: int, how: str) -> Any:
    """The numbers at places multiplied by a source's, or replaced by theirs where these are larger or smaller."""
    _check_along(x, places, axis, source)
    check_places(places, x.shape[axis])
    out = x.astype(accumulator(x.dtype), copy=True)
    part = source[_corner(places.shape)].astype(out.dtype, copy=False)
    getattr(xp, _UNITES[how]).at(out, grid(xp, places, axis), part)
    return out.astype(x.dtype, copy=False)


def _scattered(op: str, x: Tensor, axis: int, index: Tensor, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    source = _source_part(src, index) if src.ndim == index.ndim else src
    start = x if include_self else _scatter(x, full_like(source, _first(x.dtype, reduce)), index, axis=axis)
    if reduce in _UNITES:
        return _scatter_with(start, source, index, axis=axis, how=reduce)
    total = _scatter_add(start, source, index, axis=axis)
    if reduce == "sum":
        return total
    dtype = x.dtype if x.dtype.kind in "fVc" or x.dtype in GROUPS["floating"] else np.dtype(np.int64)
    counts = _scatter_add((ones_like if include_self else zeros_like)(x, dtype=dtype),
                          ones_like(source, dtype=dtype), index, axis=axis)
    counts = counts if include_self else maximum(counts, 1) if dtype.kind != "c" else where(equal(counts, 0), 1, counts)
    return total / counts if dtype == x.dtype and x.dtype.kind not in "biu" else astype(
        floor_divide(total, counts), x.dtype, copy=False)


def _first(dtype: np.dtype, reduce: str) -> Any:
    """What changes nothing: the start of a reduction that leaves out what was there."""
    if reduce not in ("amax", "amin"):
        return int(reduce == "prod")
    if dtype.kind == "b":
        return reduce == "amin"
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).min if reduce == "amax" else np.iinfo(dtype).max)
    return -float("inf") if reduce == "amax" else float("inf")


@public(in_place=True)
def scatter_reduce(x: Tensor, /, axis: int, index: Tensor, src: Tensor, reduce: str, *,
                   include_self: bool = True) -> Tensor:
    """``x`` with the numbers of ``src`` joined to those at the places that ``index`` names: their sum, prod or mean, or
    the largest (amax) or the smallest (amin) of them.

    index: integers [i][j], which name ``y[i][index[i][j]]`` for the last of two axes. What was in ``x`` counts too,
    unless ``include_self`` is false. Ties of extremes share the derivative. Raises `ArgumentError` for another
    reduction, `IndexingError` for places that ``x`` does not have.

    >>> import tensorlite as tl
    >>> tl.scatter_reduce(tl.zeros(2), 0, tl.tensor([0, 0, 1]), tl.tensor([1.0, 3.0, 5.0]), "mean", include_self=False)
    tensor([2., 5.])
    """
    check_reduce("scatter_reduce", reduce, REDUCTIONS)
    if not x.ndim:
        line, index, src = (t if t.ndim else _reshape(t, shape=(1,)) for t in (x, index, src))
        axis = one_axis("scatter_reduce", line, axis)
        return _reshape(_scattered("scatter_reduce", line, axis, index, src, reduce, include_self), shape=())
    return _scattered("scatter_reduce", x, one_axis("scatter_reduce", x, axis), index, src, reduce, include_self)


@public(in_place=True)
def index_reduce(x: Tensor, /, axis: int, index: Tensor, source: Tensor, reduce: str, *,
                 include_self: bool = True) -> Tensor:
    """``x`` with slices of ``source`` joined to those that ``index`` names, as by `scatter_reduce`.

    The reduction is prod, mean, amax or amin.

    >>> import tensorlite as tl
    >>> tl.index_reduce(tl.ones((2, 2)), 0, tl.tensor([1, 1]), tl.full((2, 2), 3.0), "prod")
    tensor([[1., 1.],
            [9., 9.]])
    """
    check_reduce("index_reduce", reduce, REDUCTIONS[1:])
    axis = one_axis("index_reduce", x, axis)
    if index.shape != source.shape[axis:axis + 1]:
        raise complaint(ShapeError, "index_reduce", "index must name a place for each slice of source",
                        {"x": x, "index": index, "source": source})
    places = _broadcast_to(_reshape(index, shape=(index.size, *(1,) * (source.ndim - axis - 1))), shape=source.shape)
    return _scattered("index_reduce", x, axis, places, source, reduce, include_self)
