"""Views: what a movement op makes of an array's layout, asked of NumPy itself on an array without memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tensorlite.jit.graph import Equation
from tensorlite.jit.program import Place
from tensorlite.kernels.stage import Array

_VIEWS = frozenset({"permute_dims", "broadcast_to", "slice", "flip", "corner_of", "stop_gradient", "parts", "unbind"})


def views(equation: Equation, place: Place) -> list[Place] | None:
    """Where a movement's results are if nothing moves; None if something must."""
    op, array = equation.op, place.array
    if op.name == "reshape" and array.size:
        found_as = reshaped(array, equation.attributes["shape"])
        return None if found_as is None else [Place(place.buffer, place.offset, found_as)]
    if op.name not in _VIEWS:
        return None
    stand_in = _stand_in(array)
    seen = op.body(np, stand_in, **equation.attributes)
    found = []
    for part in seen if isinstance(seen, tuple) else (seen,):
        if type(part) is not np.ndarray or not np.may_share_memory(part, stand_in):
            return None  # of an array without dimensions NumPy makes a number
        offset = _address(part) - _address(stand_in)
        strides = tuple(stride // array.dtype.itemsize for stride in part.strides)
        found.append(Place(place.buffer, place.offset + offset, Array(array.dtype, part.shape, strides)))
    return found


def reshaped(array: Array, shape: tuple[int, ...]) -> Array | None:
    """The array seen in another shape; None if it would have to be copied.

    NumPy is not asked: it finds out by making the copy, which of a stand-in reads memory that may not be there.
    """
    if not array.size:
        return Array.contiguous(array.dtype, shape)
    runs, strides = _runs(array), []
    rest, step = runs.pop()
    for extent in reversed(shape):
        if rest == 1 and extent != 1:
            rest, step = runs.pop()
        if rest % extent:
            return None
        strides.append(step)
        rest, step = rest // extent, step * extent
    return Array(array.dtype, shape, tuple(reversed(strides)))


def _runs(array: Array) -> list[tuple[int, int]]:
    """Extents and strides after axes that lie as one are one, and those of extent 1 are left out."""
    runs = [(1, 1)]
    for extent, stride in zip(array.shape, array.strides, strict=True):
        if extent != 1:
            before, step = runs[-1]
            if before == 1 or step != extent * stride:
                runs.append((extent, stride))
            else:
                runs[-1] = before * extent, stride
    return runs


def _stand_in(array: Array) -> np.ndarray[Any, Any]:
    """An array that lies as that one does, in memory that is never touched."""
    size = array.dtype.itemsize
    return as_strided(np.empty(1, array.dtype), array.shape, tuple(n * size for n in array.strides))


def _address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])
