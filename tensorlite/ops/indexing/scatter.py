"""Reading and writing at places that integer tensors name: gather, scatter, scatter_add, index_select, one_hot."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.batch import leading
from tensorlite.declare import primitive, public
from tensorlite.dispatch import apply
from tensorlite.errors import ArgumentError, DTypeError, IndexingError, ShapeError, complaint
from tensorlite.op import OPS, Integers, Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.filled import full
from tensorlite.ops.indexing import batched as batched_index
from tensorlite.ops.reduce import accumulator
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, can_hold
from tensorlite.traced import require_elements


def check_places(places: Any, size: int) -> None:
    """Raises where an array of places is no integer or leaves ``[0, size)``."""
    if places.dtype.kind not in "iu":
        raise DTypeError(f"index must hold integers, not {places.dtype.name}", "cast it first: index.to(tl.int64)")
    if places.size and (places.min() < 0 or places.max() >= size):
        outside = places[(places < 0) | (places >= size)]
        raise IndexingError(f"index {int(outside.reshape(-1)[0])} is out of range for an axis of {size}",
                            f"use 0 to {size - 1}")


def _check_along(x: Any, places: Any, axis: int, source: Any = None) -> None:
    """Raises where an index does not fit into the other axes of what it reads or writes."""
    if len(places.shape) != len(x.shape):
        raise ShapeError(f"index has {len(places.shape)} dimensions, x has {len(x.shape)}")
    if any(i > n for a, (i, n) in enumerate(zip(places.shape, x.shape, strict=True)) if a != axis):
        raise ShapeError(f"index must not be larger than x along any axis but {axis}")
    if source is not None and (len(source.shape) != len(places.shape) or any(
            i > n for i, n in zip(places.shape, source.shape, strict=True))):
        raise ShapeError("index must not be larger than the source along any axis")
    if source is not None and not can_hold(x.dtype, source.dtype):
        raise DTypeError(f"x cannot hold {source.dtype.name} values", f"cast them first: source.to(tl.{x.dtype.name})")


def _corner(shape: tuple[int, ...], axis: int | None = None) -> tuple[slice, ...]:
    """The part of a larger array that an index of ``shape`` covers, whole along one axis."""
    return tuple(slice(None) if a == axis else slice(n) for a, n in enumerate(shape))


def _gather_type(x: TensorType, places: TensorType, *, axis: int) -> TensorType:
    _check_along(x, places, axis)
    return TensorType(x.dtype, places.shape, x.device)


def _gather_vjp(g: Tensor, places: Tensor, x_shape: tuple[int, ...], axis: int) -> Tensor:
    return _scatter_new(g, places, axis=axis, shape=x_shape)


@primitive("index", type=_gather_type, batch=leading, samples=[
    Sample((4, 5), Integers((4, 3), 0, 5), axis=1), Sample((4, 5), Integers((2, 5), 0, 4), axis=0),
    Sample((2, 3, 4), Integers((1, 2, 6), 0, 4), axis=2), Sample((3, 2), Integers((0, 2), 0, 3), axis=0)],
           vjp={"x": _gather_vjp})
def _gather(xp: Any, x: Any, places: Any, *, axis: int) -> Any:
    _check_along(x, places, axis)
    check_places(places, x.shape[axis])
    return xp.take_along_axis(x[_corner(places.shape, axis)], places, axis)


@primitive("index", type=lambda g_, places, *, axis, shape: TensorType(g_.dtype, shape, g_.device), samples=[
    Sample((4, 3), Integers((4, 3), 0, 5), axis=1, shape=(4, 5)),
    Sample((2, 5), Integers((2, 5), 0, 4), axis=0, shape=(4, 6))],
           batch=leading, vjp={"g_": lambda g, places, axis: _gather(g, places, axis=axis)})
def _scatter_new(xp: Any, g_: Any, places: Any, *, axis: int, shape: tuple[int, ...]) -> Any:
    """Adds numbers to zeros at the places that an index names."""
    return _added(xp, xp.zeros(shape, accumulator(g_.dtype)), g_, places, axis).astype(g_.dtype, copy=False)


def grid(xp: Any, places: Any, axis: int) -> tuple[Any, ...]:
    """The index of every element that an index names, one array an axis."""
    index = [xp.arange(n).reshape((-1, *(1,) * (places.ndim - a - 1))) for a, n in enumerate(places.shape)]
    index[axis] = places
    return tuple(index)


def _added(xp: Any, out: Any, source: Any, places: Any, axis: int) -> Any:
    check_places(places, out.shape[axis])
    xp.add.at(out, grid(xp, places, axis), source[_corner(places.shape)].astype(out.dtype, copy=False))
    return out


def _scatter_type(x: TensorType, source: TensorType, places: TensorType, *, axis: int) -> TensorType:
    _check_along(x, places, axis, source)
    return x


def _source_vjp(g: Tensor, source_shape: tuple[int, ...], places: Tensor, axis: int) -> Tensor:
    taken = _gather(g, places, axis=axis)
    return taken if taken.shape == source_shape else _within(taken, shape=source_shape)


def _within_vjp(g: Tensor, x_shape: tuple[int, ...]) -> Tensor:
    return _corner_of(g, shape=x_shape)


@primitive("index", type=lambda x, *, shape: TensorType(x.dtype, shape, x.device),
           batch=leading, samples=[Sample((2, 1), shape=(3, 4))], vjp={"x": _within_vjp})
def _within(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """The array as the first corner of a larger one of zeros."""
    out = xp.zeros(shape, x.dtype)
    out[_corner(x.shape)] = x
    return out


@primitive("movement", type=lambda x, *, shape: TensorType(x.dtype, shape, x.device),
           batch=leading, samples=[Sample((3, 4), shape=(2, 1))],
           vjp={"x": lambda g, x_shape: _within(g, shape=x_shape)})
def _corner_of(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    return x[_corner(shape)]


_SCATTERS = (Sample((4, 5), (4, 3), Integers((4, 3), 0, 5), axis=1),
             Sample((4, 5), (3, 6), Integers((2, 5), 0, 4), axis=0))


@primitive("index", type=_scatter_type, batch=leading, samples=_SCATTERS,
           vjp={"x": lambda g: g, "source": _source_vjp})
def _scatter_add(xp: Any, x: Any, source: Any, places: Any, *, axis: int) -> Any:
    _check_along(x, places, axis, source)
    return _added(xp, x.astype(accumulator(x.dtype)), source, places, axis).astype(x.dtype, copy=False)


def _kept(g: Tensor, places: Tensor, axis: int) -> Tensor:
    zeros = full(places.shape, 0.0, dtype=g.dtype, device=g.device)
    return _scatter(g, zeros, places, axis=axis)


@primitive("index", type=_scatter_type, batch=leading, samples=[
    Sample((4, 5), (4, 1), Integers((4, 1), 0, 5), axis=1)],
           vjp={"x": lambda g, places, axis: _kept(g, places, axis), "source": _source_vjp})
def _scatter(xp: Any, x: Any, source: Any, places: Any, *, axis: int) -> Any:
    _check_along(x, places, axis, source)
    check_places(places, x.shape[axis])
    out = x.copy()
    out[grid(xp, places, axis)] = source[_corner(places.shape)]
    return out


def _taken_type(x: TensorType, places: TensorType, *, axis: int) -> TensorType:
    return TensorType(x.dtype, x.shape[:axis] + places.shape + x.shape[axis + 1:], x.device)


def _taken_vjp(g: Tensor, places: Tensor, x_shape: tuple[int, ...], axis: int) -> Tensor:
    return _add_rows(g, places, axis=axis, size=x_shape[axis])


@primitive("index", type=_taken_type, batch=batched_index.take_rows_rule, samples=[
    Sample((4, 3), Integers((2, 5), 0, 4), axis=0), Sample((2, 3, 4), Integers((4,), 0, 3), axis=1),
    Sample((3, 2), Integers((0,), 0, 3), axis=0)],
           vjp={"x": _taken_vjp})
def _take_rows(xp: Any, x: Any, places: Any, *, axis: int) -> Any:
    """The slices across an axis that an index of any shape names; its shape takes the axis's place."""
    check_places(places, x.shape[axis])
    return xp.take(x, places, axis=axis)


def _rows_type(g_: TensorType, places: TensorType, *, axis: int, size: int) -> TensorType:
    return TensorType(g_.dtype, (*g_.shape[:axis], size, *g_.shape[axis + len(places.shape):]), g_.device)


@primitive("index", type=_rows_type, batch=batched_index.add_rows_rule, samples=[
    Sample((2, 5, 3), Integers((2, 5), 0, 4), axis=0, size=4), Sample((2, 4, 3), Integers((4,), 0, 3), axis=1, size=3),
    Sample((0, 2), Integers((0,), 0, 3), axis=0, size=3)],
           vjp={"g_": lambda g, places, axis: _take_rows(g, places, axis=axis)})
def _add_rows(xp: Any, g_: Any, places: Any, *, axis: int, size: int) -> Any:
    """The transpose of `take_rows`: adds slices to zeros where they came from, equal places after sorting."""
    check_places(places, size)
    wide = accumulator(g_.dtype)
    before, after = g_.shape[:axis], g_.shape[axis + places.ndim:]
    outer, inner = int(np.prod(before)), int(np.prod(after))
    rows = g_.reshape(outer, places.size, inner).transpose(1, 0, 2).reshape(places.size, outer * inner)
    out = xp.zeros((size, outer * inner), wide)
    if places.size:
        _sum_equal(xp, out, rows.astype(wide, copy=False), places.reshape(-1))
    return out.reshape(size, outer, inner).transpose(1, 0, 2).reshape(*before, size, *after).astype(g_.dtype,
                                                                                                    copy=False)


def _sum_equal(xp: Any, out: Any, rows: Any, places: Any) -> None:
    if xp is not np:
        xp.add.at(out, places, rows)
        return
    order = np.argsort(places, kind="stable")
    sorted_index = places[order]
    first = np.flatnonzero(np.concatenate(([True], sorted_index[1:] != sorted_index[:-1])))
    out[sorted_index[first]] = np.add.reduceat(rows[order], first, axis=0)


# --- what users call ----------------------------------------------------------------------------------------------


@public
def gather(x: Tensor, /, axis: int, index: Tensor) -> Tensor:
    """The elements that ``index`` names along an axis: ``y[i][j] = x[i][index[i][j]]`` for the last of two axes.

    index: integers, at most as large as ``x`` along the other axes; the result has its shape. Raises `IndexingError`
    for places that ``x`` does not have.

    >>> import tensorlite as tl
    >>> tl.gather(tl.tensor([[1, 2], [3, 4]]), 1, tl.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    return _gather(x, index, axis=one_axis("gather", x, axis))


def _as_source(op: str, x: Tensor, index: Tensor, source: Any) -> Tensor:
    if isinstance(source, Tensor):
        return source
    if isinstance(source, bool | int | float | complex):
        return full(index.shape, source, dtype=x.dtype, device=x.device)
    raise complaint(DTypeError, op, f"the source must be a tensor or a number, not {type(source).__name__}", {"x": x})


@public(in_place=True)
def scatter_add(x: Tensor, /, axis: int, index: Tensor, src: Tensor) -> Tensor:
    """``x`` with ``src`` added at the places that ``index`` names: ``y[i][index[i][j]] += src[i][j]``.

    >>> import tensorlite as tl
    >>> tl.scatter_add(tl.zeros(3), 0, tl.tensor([0, 2, 2]), tl.ones(3))
    tensor([1., 0., 2.])
    """
    return _scatter_add(x, _as_source("scatter_add", x, index, src), index, axis=one_axis("scatter_add", x, axis))


@public(in_place=True)
def scatter(x: Tensor, /, axis: int, index: Tensor, src: Any = None, *, value: Any = None,
            reduce: str | None = None) -> Tensor:
    """``x`` with the elements that ``index`` names replaced: ``y[i][index[i][j]] = src[i][j]``, or by one number.

    ``src`` may be a number, which may also be given as ``value``. With ``reduce``, "add" or "multiply", the elements
    are joined to those that were there. Where an index names a place twice, the last one stays, and the derivative goes
    to every one, as in PyTorch. Raises `ArgumentError` for another reduction.

    >>> import tensorlite as tl
    >>> tl.scatter(tl.zeros(3), 0, tl.tensor([2]), 5.0)
    tensor([0., 0., 5.])
    >>> tl.scatter(tl.ones(3), 0, tl.tensor([2, 2]), 5.0, reduce="multiply")
    tensor([ 1.,  1., 25.])
    """
    if (src is None) == (value is None):
        raise complaint(ArgumentError, "scatter", "takes src or value, one of them", {"x": x, "index": index})
    if reduce not in _JOINS:
        raise complaint(ArgumentError, "scatter", f"reduce must be None, 'add' or 'multiply', not {reduce!r}",
                        {"x": x, "index": index}, "use tl.scatter_reduce for others")
    source = _as_source("scatter", x, index, value if src is None else src)
    op, attributes = _JOINS[reduce]
    return apply(OPS[op], x, source, index, axis=one_axis("scatter", x, axis), **attributes)


#: The op that joins elements to those that were there, by the name of the reduction, and its attributes.
_JOINS: dict[str | None, tuple[str, dict[str, str]]] = {
    None: ("scatter", {}), "add": ("scatter_add", {}), "multiply": ("scatter_with", {"how": "prod"})}


@public
def index_select(x: Tensor, /, axis: int, index: Tensor) -> Tensor:
    """The slices of ``x`` across an axis that ``index``, one axis of integers, names.

    >>> import tensorlite as tl
    >>> tl.index_select(tl.tensor([[1, 2, 3], [4, 5, 6]]), 1, tl.tensor([2, 0]))
    tensor([[3, 1],
            [6, 4]])
    """
    if index.ndim > 1:
        raise complaint(ShapeError, "index_select", "index must have one axis", {"x": x, "index": index},
                        "use tl.take or x[index]")
    picked = index if index.ndim else index.reshape(1)
    return _take_rows(x, picked, axis=one_axis("index_select", x, axis))


@primitive("index", type=lambda x, *, classes: TensorType(np.dtype(np.int64), (*x.shape, classes), x.device),
           batch=leading, samples=[Sample(Integers((2, 3), 0, 4), classes=5)])
def _one_hot(xp: Any, x: Any, *, classes: int) -> Any:
    check_places(x, classes)
    return (x[..., None] == xp.arange(classes)).astype(np.int64)


@public
def one_hot(x: Tensor, /, num_classes: int = -1) -> Tensor:
    """Integers as vectors with a one at that place and zeros elsewhere; -1 takes one class more than the largest.

    >>> import tensorlite as tl
    >>> tl.one_hot(tl.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if num_classes == -1:
        if not x.size:
            raise complaint(ArgumentError, "one_hot", "cannot count the classes of no elements", {"x": x},
                            "pass num_classes=")
        require_elements(x, "classes", "one_hot")
        num_classes = int(x.array.max()) + 1
    elif num_classes < 1:
        raise complaint(ArgumentError, "one_hot", f"num_classes must be positive or -1, not {num_classes}", {"x": x})
    return _one_hot(x, classes=num_classes)
