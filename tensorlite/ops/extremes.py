"""The largest and the smallest: max, min, and where they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import primitive, public
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.axes import one_axis, reduced_shape, some_axes
from tensorlite.ops.elementwise import equal
from tensorlite.ops.reduce import REDUCE_SAMPLES, Axis, _sum, count_of, spread
from tensorlite.ops.shape import _reshape, astype, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_INTEGER, TensorType


def extreme_type(x: TensorType, *, axis: tuple[int, ...], keepdims: bool) -> TensorType:
    """The type of a reduction that no elements do not have."""
    if not count_of(x.shape, axis) and np.prod(reduced_shape(x.shape, axis, keepdims)):
        raise ShapeError("no elements have no extreme", "check x.size first")
    return retype(x, reduced_shape(x.shape, axis, keepdims))


def _extreme_vjp(g: Tensor, x: Tensor, y: Tensor, axis: tuple[int, ...]) -> Tensor:
    """Gives the cotangent to the elements that are the extreme, in equal parts."""
    chosen = astype(equal(x, spread(y, x.shape, axis)), g.dtype)
    count = _sum(chosen, axis=axis, keepdims=False, dtype=None)
    return spread(_reshape(g, shape=count.shape) / count, x.shape, axis) * chosen


@primitive("reduce", type=extreme_type, vjp={"x": _extreme_vjp}, samples=REDUCE_SAMPLES)
def _max(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return xp.max(x, axis=axis, keepdims=keepdims)


@primitive("reduce", type=extreme_type, vjp={"x": _extreme_vjp}, samples=REDUCE_SAMPLES)
def _min(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return xp.min(x, axis=axis, keepdims=keepdims)


def _ordered(op: str, x: Tensor) -> Tensor:
    if x.dtype.kind == "c":
        raise complaint(DTypeError, op, f"{x.dtype.name} numbers have no order", {"x": x}, "use tl.abs(x) or tl.real(x)")
    return x


@public
def max(x: Tensor, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over one, several or all axes; NaN where one is. Ties share the derivative.

    Raises `ShapeError` for no elements.

    >>> import tensorlite as tl
    >>> tl.max(tl.tensor([[1.0, 5.0], [3.0, 4.0]]), axis=0)
    tensor([3., 5.])
    """
    return _max(_ordered("max", x), axis=some_axes("max", x, axis), keepdims=bool(keepdims))


@public
def min(x: Tensor, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over one, several or all axes; NaN where one is. Ties share the derivative.

    Raises `ShapeError` for no elements.

    >>> import tensorlite as tl
    >>> tl.min(tl.tensor([[1.0, 5.0], [3.0, 4.0]]), axis=0)
    tensor([1., 4.])
    """
    return _min(_ordered("min", x), axis=some_axes("min", x, axis), keepdims=bool(keepdims))


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
    return _argmax(_ordered("argmax", x), axis=axis, keepdims=bool(keepdims))


@public
def argmin(x: Tensor, /, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the smallest element along an axis, or in all of ``x`` flattened; the first of several.

    A NaN counts as the smallest. Raises `ShapeError` for no elements.

    >>> import tensorlite as tl
    >>> tl.argmin(tl.tensor([[1.0, 5.0], [3.0, 4.0]]))
    tensor(0)
    """
    axis = None if axis is None else one_axis("argmin", x, axis)
    return _argmin(_ordered("argmin", x), axis=axis, keepdims=bool(keepdims))
