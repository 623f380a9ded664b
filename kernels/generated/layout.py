"""How the arrays of one operation lie to each other: dimensions merged and ordered, the innermost one classified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
Strides = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Extents, outermost first, and for each array its strides in elements; 0 where it is repeated."""

    extents: tuple[int, ...]
    strides: tuple[Strides, ...]

    @property
    def inner(self) -> str:
        """For each array a letter: how it runs along the innermost dimension, in unit steps, repeated, or strided."""
        return "".join({1: "u", 0: "b"}.get(strides[-1], "s") for strides in self.strides)


def describe(arrays: tuple[Array, ...], shape: tuple[int, ...]) -> Dimensions | None:
    """Return how ``arrays``, broadcast to ``shape``, are walked together in the order of the last one's memory.

    None if an array's elements are not a whole number of elements apart.

    >>> import numpy as np
    >>> x = np.zeros((4, 3, 2))
    >>> describe((x, x), (4, 3, 2))
    Dimensions(extents=(24,), strides=((1,), (1,)))
    """
    columns = [strides_of(array, shape) for array in arrays]
    if any(column is None for column in columns):
        return None
    axes = [(extent, *steps) for extent, *steps in zip(shape, *columns, strict=True) if extent != 1]  # type: ignore[arg-type]
    axes.sort(key=lambda axis: -abs(axis[-1]))
    merged = _merge(axes) or [(1, *(1 for _ in arrays))]
    return Dimensions(tuple(axis[0] for axis in merged), tuple(zip(*(axis[1:] for axis in merged), strict=True)))


def strides_of(array: Array, shape: tuple[int, ...]) -> Strides | None:
    """Return the strides in elements after broadcasting."""
    size = array.itemsize
    if any(stride % size for stride in array.strides):
        return None
    missing = len(shape) - array.ndim
    own = (0 if extent == 1 else stride // size for extent, stride in zip(array.shape, array.strides, strict=True))
    return (0,) * missing + tuple(own)


def _merge(axes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Join neighbours that every array walks as one."""
    merged: list[tuple[int, ...]] = []
    for extent, *steps in axes:
        if merged and all(outer == step * extent for outer, step in zip(merged[-1][1:], steps, strict=True)):
            merged[-1] = (merged[-1][0] * extent, *steps)
        else:
            merged.append((extent, *steps))
    return merged
