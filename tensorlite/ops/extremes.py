"""The largest and the smallest: max and min along an axis, amax and amin, aminmax.

As in PyTorch, an extreme along one axis has its derivative at the first of equal elements, others share it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import primitive, public
from tensorlite.dispatch import apply
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.op import OPS
from tensorlite.ops.axes import one_axis, reduced_shape, some_axes
from tensorlite.ops.elementwise import equal
from tensorlite.ops.reduce import REDUCE_SAMPLES, Axis, _sum, count_of, spread
from tensorlite.ops.results import AMinMax
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


def _along_one_axis(op: str, x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    """An extreme; the derivative of one along a single axis goes to the first element that is it."""
    reduce, place = _ORDERS[op]
    x = ordered(op, x)
    tracked = x.requires_grad or hasattr(x.array, "level")  # what vmap maps may be tracked outside of it
    if not tracked or not hasattr(axis, "__index__") or not x.size:
        return reduce(x, axis=some_axes(op, x, axis), keepdims=bool(keepdims))
    axis = one_axis(op, x, axis)  # type: ignore[arg-type]
    places = apply(OPS[place], x.detach(), axis=axis, keepdims=True)
    found = apply(OPS["gather"], x, places, axis=axis)
    return found if keepdims else _reshape(found, shape=reduced_shape(x.shape, (axis,), False))


_ORDERS: dict[str, tuple[Any, str]] = {"max": (_max, "argmax"), "min": (_min, "argmin")}


@public
def max(x: Tensor, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over one, several or all axes; NaN where one is.

    Of equal ones along a single axis the first has the derivative; over several or all axes they share it, as those of
    `amax` always do. Raises `ShapeError` for no elements.

    >>> import tensorlite as tl
    >>> tl.max(tl.tensor([[1.0, 5.0], [3.0, 4.0]]), axis=0)
    tensor([3., 5.])
    """
    return _along_one_axis("max", x, axis, keepdims)


@public
def min(x: Tensor, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over one, several or all axes; NaN where one is.

    Of equal ones along a single axis the first has the derivative; over several or all axes they share it, as those of
    `amin` always do. Raises `ShapeError` for no elements.

    >>> import tensorlite as tl
    >>> tl.min(tl.tensor([[1.0, 5.0], [3.0, 4.0]]), axis=0)
    tensor([1., 4.])
    """
    return _along_one_axis("min", x, axis, keepdims)


def _all_if_none(op: str, x: Tensor, axis: Axis) -> tuple[int, ...]:
    """Axes counted from the front; an empty choice stands for all, too, and 0 for the axis that a number lacks."""
    if not x.ndim and isinstance(axis, int):
        one_axis(op, x, axis, 1)
        return ()
    return some_axes(op, x, None if isinstance(axis, tuple | list) and not axis else axis)


@public
def amax(x: Tensor, /, axis: Axis = (), keepdims: bool = False) -> Tensor:
    """The largest element over one, several or all axes, as `max`; equal ones share the derivative.

    >>> import tensorlite as tl
    >>> tl.amax(tl.tensor([[1.0, 5.0], [3.0, 4.0]]), axis=(0, 1))
    tensor(5.)
    """
    return _max(ordered("amax", x), axis=_all_if_none("amax", x, axis), keepdims=bool(keepdims))


@public
def amin(x: Tensor, /, axis: Axis = (), keepdims: bool = False) -> Tensor:
    """The smallest element over one, several or all axes, as `min`; equal ones share the derivative.

    >>> import tensorlite as tl
    >>> tl.amin(tl.tensor([[1.0, 5.0], [3.0, 4.0]]), axis=(0, 1))
    tensor(1.)
    """
    return _min(ordered("amin", x), axis=_all_if_none("amin", x, axis), keepdims=bool(keepdims))


@public
def aminmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> AMinMax:
    """The smallest and the largest element along an axis or of all: fields ``min`` and ``max``; as `amin` and `amax`.

    >>> import tensorlite as tl
    >>> tl.aminmax(tl.tensor([3, 1, 2]))
    AMinMax(min=tensor(1), max=tensor(3))
    """
    axes = () if axis is None else (one_axis("aminmax", x, axis, x.ndim or 1),) if x.ndim else ()
    return AMinMax(amin(ordered("aminmax", x), axes, keepdims), amax(x, axes, keepdims))
