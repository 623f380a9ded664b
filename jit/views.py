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
    stand_in = _stand_in(array)
    if op.name in _VIEWS:
        seen = op.body(np, stand_in, **equation.attributes)
    elif op.name == "reshape":
        seen = stand_in[...]
        try:
            seen.shape = equation.attributes["shape"]
        except AttributeError:  # it would have to be copied
            return None
    else:
        return None
    found = []
    for part in seen if isinstance(seen, tuple) else (seen,):
        if type(part) is not np.ndarray or not np.may_share_memory(part, stand_in):
            return None  # of an array without dimensions NumPy makes a number
        offset = _address(part) - _address(stand_in)
        strides = tuple(stride // array.dtype.itemsize for stride in part.strides)
        found.append(Place(place.buffer, place.offset + offset, Array(array.dtype, part.shape, strides)))
    return found


def reshaped(array: Array, shape: tuple[int, ...]) -> Array | None:
    """The array seen in another shape; None if it would have to be copied."""
    seen = _stand_in(array)[...]
    try:
        seen.shape = shape
    except AttributeError:
        return None
    return Array(array.dtype, shape, tuple(stride // array.dtype.itemsize for stride in seen.strides))


def _stand_in(array: Array) -> np.ndarray[Any, Any]:
    """An array that lies as that one does, in memory that is never touched."""
    size = array.dtype.itemsize
    return as_strided(np.empty(1, array.dtype), array.shape, tuple(n * size for n in array.strides))


def _address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])
