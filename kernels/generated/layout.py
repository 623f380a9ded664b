"""How the arrays of one kernel lie to each other: the dimensions that they are walked along together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """A dimension: its extent, and for each array the stride in elements (0 where it is repeated)."""

    extent: int
    strides: tuple[int, ...]


def axes_of(arrays: Sequence[Array], shape: Shape) -> list[Axis] | None:
    """Return the dimensions of ``arrays`` broadcast to ``shape``; None if one's elements are not whole elements apart.

    >>> import numpy as np
    >>> axes_of((np.zeros((4, 3)), np.zeros(3)), (4, 3))
    [Axis(extent=4, strides=(3, 0)), Axis(extent=3, strides=(1, 1))]
    """
    if any(stride % array.itemsize for array in arrays for stride in array.strides):
        return None
    columns = [strides_of(array, shape) for array in arrays]
    return [Axis(extent, tuple(column[d] for column in columns)) for d, extent in enumerate(shape)]


def strides_of(array: Array, shape: Shape) -> tuple[int, ...]:
    """Return an array's strides in elements after broadcasting to ``shape``."""
    size = array.itemsize
    own = (0 if extent == 1 else stride // size for extent, stride in zip(array.shape, array.strides, strict=True))
    return (0,) * (len(shape) - array.ndim) + tuple(own)


def merge(axes: Iterable[Axis]) -> tuple[Axis, ...]:
    """Join neighbouring dimensions that are one in every array's memory, and drop those of one element.

    >>> merge([Axis(5, (6, 6)), Axis(6, (1, 1)), Axis(1, (0, 0))])
    (Axis(extent=30, strides=(1, 1)),)
    """
    merged: list[Axis] = []
    for axis in axes:
        if axis.extent == 1:
            continue
        if merged and merged[-1].strides == tuple(stride * axis.extent for stride in axis.strides):
            merged[-1] = Axis(merged[-1].extent * axis.extent, axis.strides)
        else:
            merged.append(axis)
    return tuple(merged)


def letters(axis: Axis) -> str:
    """Say how each array runs along a dimension: in unit steps (u), repeated (b), or strided (s)."""
    return "".join({1: "u", 0: "b"}.get(stride, "s") for stride in axis.strides)
