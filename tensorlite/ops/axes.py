"""Reading axes as users write them: negative, single, several or all."""

from __future__ import annotations

from collections.abc import Sequence

from tensorlite.errors import ArgumentError, AxisError, DTypeError, ShapeError, complaint
from tensorlite.tensor import Tensor


def one_axis(op: str, x: Tensor, axis: int, ndim: int | None = None) -> int:
    """An axis counted from the front; raises `AxisError` where ``x`` does not have it."""
    ndim = x.ndim if ndim is None else ndim
    if isinstance(axis, bool) or not hasattr(axis, "__index__"):
        raise complaint(DTypeError, op, f"axis must be an integer, not {type(axis).__name__}", {"x": x, "axis": axis})
    index = axis.__index__()
    if not -ndim <= index < ndim:
        bounds = f"use -{ndim} to {ndim - 1}" if ndim else "a 0-dimensional tensor has no axis"
        raise complaint(AxisError, op, f"axis {index} is out of range for {ndim} dimensions", {"x": x}, bounds)
    return index % ndim


def some_axes(op: str, x: Tensor, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """Axes counted from the front, in order and without repetition; None stands for all."""
    if axis is None:
        return tuple(range(x.ndim))
    chosen = tuple(one_axis(op, x, a) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(set(chosen)) < len(chosen):
        raise complaint(ArgumentError, op, "an axis is given twice", {"x": x, "axis": axis})
    return tuple(sorted(chosen))


def reduced_shape(shape: Sequence[int], axis: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    """The shape that remains when axes are reduced."""
    if keepdims:
        return tuple(1 if i in axis else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axis)


def as_shape(op: str, shape: Sequence[int] | int) -> tuple[int, ...]:
    """A shape from an integer or a sequence of integers."""
    try:
        return tuple(n.__index__() for n in shape) if isinstance(shape, Sequence | tuple) else (shape.__index__(),)
    except AttributeError:
        raise complaint(DTypeError, op, f"a shape is made of integers, not {shape!r}") from None


def fill_in(op: str, x: Tensor, shape: Sequence[int] | int) -> tuple[int, ...]:
    """A shape for `reshape`, its one -1 replaced by what the size asks for."""
    wanted = as_shape(op, shape)
    known = 1
    for n in wanted:
        known *= n if n != -1 else 1
    if wanted.count(-1) == 1 and known and x.size % known == 0:
        return tuple(x.size // known if n == -1 else n for n in wanted)
    if wanted.count(-1) or known != x.size or any(n < 0 for n in wanted):
        raise complaint(ShapeError, op, f"{x.size} elements do not fill the shape {tuple(wanted)}", {"x": x})
    return wanted
