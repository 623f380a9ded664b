"""Asking which and whether: argmax, argmin, nonzero, count_nonzero, any, all."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import PUBLIC, primitive, public
from tensorlite.errors import ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.axes import one_axis, some_axes
from tensorlite.ops.extremes import extreme_type, ordered
from tensorlite.ops.reduce import REDUCE_SAMPLES, Axis, _sum, reduce_type
from tensorlite.ops.shape import astype, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_INTEGER, TensorType

# --- where the extremes are ---------------------------------------------------------------------------------------


def _place_type(x: TensorType, *, axis: int | None, keepdims: bool) -> TensorType:
    axes = tuple(range(len(x.shape))) if axis is None else (axis,)
    return retype(extreme_type(x, axis=axes, keepdims=keepdims), dtype=DEFAULT_INTEGER)


PLACE_SAMPLES = (Sample((3, 4), axis=1, keepdims=False), Sample((3, 4), axis=0, keepdims=True),
                 Sample((3, 4), axis=None, keepdims=False), Sample((), axis=None, keepdims=False))


@primitive("reduce", type=_place_type, samples=PLACE_SAMPLES)
def _argmax(xp: Any, x: Any, *, axis: int | None, keepdims: bool) -> Any:
    return xp.argmax(x, axis=axis, keepdims=keepdims)


@primitive("reduce", type=_place_type, samples=PLACE_SAMPLES)
def _argmin(xp: Any, x: Any, *, axis: int | None, keepdims: bool) -> Any:
    return xp.argmin(x, axis=axis, keepdims=keepdims)


@public
def argmax(x: Tensor, /, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the largest element along an axis, or in all of ``x`` flattened; the first of several.

    A NaN counts as the largest. Raises `ShapeError` for no elements.

    >>> import tensorlite as tl
    >>> tl.argmax(tl.tensor([[1.0, 5.0], [3.0, 4.0]]), axis=1)
    tensor([1, 1])
    """
    axis = None if axis is None else one_axis("argmax", x, axis)
    return _argmax(ordered("argmax", x), axis=axis, keepdims=bool(keepdims))


@public
def argmin(x: Tensor, /, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the smallest element along an axis, or in all of ``x`` flattened; the first of several.

    A NaN counts as the smallest. Raises `ShapeError` for no elements.

    >>> import tensorlite as tl
    >>> tl.argmin(tl.tensor([[1.0, 5.0], [3.0, 4.0]]))
    tensor(0)
    """
    axis = None if axis is None else one_axis("argmin", x, axis)
    return _argmin(ordered("argmin", x), axis=axis, keepdims=bool(keepdims))


# --- what is not zero ---------------------------------------------------------------------------------------------


@primitive("opaque", samples=[Sample((3, 4)), Sample((0, 2))])
def _nonzero(xp: Any, x: Any) -> Any:
    return xp.nonzero(x)


@public
def nonzero(x: Tensor, /, *, as_tuple: bool = True) -> Any:
    """The positions of the elements that are not zero: one tensor of integers for each axis.

    With ``as_tuple=False``, which is PyTorch's default, the positions are the rows of one tensor (`argwhere`); else
    raises `ShapeError` for a 0-dimensional tensor.

    >>> import tensorlite as tl
    >>> tl.nonzero(tl.tensor([[0, 1], [2, 0]]))
    (tensor([0, 1]), tensor([1, 0]))
    """
    if not as_tuple:
        return PUBLIC["argwhere"](x)
    if x.ndim == 0:
        raise complaint(ShapeError, "nonzero", "a 0-dimensional tensor has no positions", {"x": x}, "use x != 0")
    return _nonzero(x)


def _count_type(x: TensorType, *, axis: tuple[int, ...], keepdims: bool) -> TensorType:
    return retype(reduce_type(x, axis=axis, keepdims=keepdims), dtype=DEFAULT_INTEGER)


def _truth_type(x: TensorType, *, axis: tuple[int, ...], keepdims: bool) -> TensorType:
    return retype(reduce_type(x, axis=axis, keepdims=keepdims), dtype=np.dtype(bool))


def _count_meaning(x: Tensor, *, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    return _sum(astype(astype(x, np.dtype(bool)), DEFAULT_INTEGER), axis=axis, keepdims=keepdims, dtype=None)


@primitive("reduce", type=_count_type, meaning=_count_meaning, samples=REDUCE_SAMPLES)
def _count_nonzero(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return xp.sum(x.astype(bool), axis=axis, keepdims=keepdims, dtype=DEFAULT_INTEGER)


@primitive("reduce", type=_truth_type, samples=REDUCE_SAMPLES)
def _any(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return xp.any(x.astype(bool, copy=False), axis=axis, keepdims=keepdims)


@primitive("reduce", type=_truth_type, samples=REDUCE_SAMPLES)
def _all(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return xp.all(x.astype(bool, copy=False), axis=axis, keepdims=keepdims)


@public
def count_nonzero(x: Tensor, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements are not zero over one, several or all axes; NaN counts.

    >>> import tensorlite as tl
    >>> tl.count_nonzero(tl.tensor([[0, 1], [2, 3]]), axis=0)
    tensor([1, 2])
    """
    return _count_nonzero(x, axis=some_axes("count_nonzero", x, axis), keepdims=bool(keepdims))


@public
def any(x: Tensor, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element is true (not zero) over one, several or all axes; false of no elements.

    >>> import tensorlite as tl
    >>> tl.any(tl.tensor([[0, 0], [2, 0]]), axis=1)
    tensor([False,  True])
    """
    return _any(x, axis=some_axes("any", x, axis), keepdims=bool(keepdims))


@public
def all(x: Tensor, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements are true (not zero) over one, several or all axes; true of no elements.

    >>> import tensorlite as tl
    >>> tl.all(tl.tensor([[1, 0], [2, 3]]), axis=1)
    tensor([False,  True])
    """
    return _all(x, axis=some_axes("all", x, axis), keepdims=bool(keepdims))
