"""The largest and the smallest: max and min."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import primitive, public
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.ops.axes import reduced_shape, some_axes
from tensorlite.ops.elementwise import equal
from tensorlite.ops.reduce import REDUCE_SAMPLES, Axis, _sum, count_of, spread
from tensorlite.ops.shape import _reshape, astype, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType


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
    return x.max(axis=axis, keepdims=keepdims)


@primitive("reduce", type=extreme_type, vjp={"x": _extreme_vjp}, samples=REDUCE_SAMPLES)
def _min(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return x.min(axis=axis, keepdims=keepdims)


def ordered(op: str, x: Tensor) -> Tensor:
    """The tensor, unless its numbers have no order."""
    if x.dtype.kind == "c":
        raise complaint(DTypeError, op, f"{x.dtype.name} numbers have no order", {"x": x},
                        "use tl.abs(x) or tl.real(x)")
    return x


@public
def max(x: Tensor, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over one, several or all axes; NaN where one is. Ties share the derivative.

    Raises `ShapeError` for no elements.

    >>> import tensorlite as tl
    >>> tl.max(tl.tensor([[1.0, 5.0], [3.0, 4.0]]), axis=0)
    tensor([3., 5.])
    """
    return _max(ordered("max", x), axis=some_axes("max", x, axis), keepdims=bool(keepdims))


@public
def min(x: Tensor, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over one, several or all axes; NaN where one is. Ties share the derivative.

    Raises `ShapeError` for no elements.

    >>> import tensorlite as tl
    >>> tl.min(tl.tensor([[1.0, 5.0], [3.0, 4.0]]), axis=0)
    tensor([1., 4.])
    """
    return _min(ordered("min", x), axis=some_axes("min", x, axis), keepdims=bool(keepdims))
