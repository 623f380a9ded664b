"""Lending: which memory others can write to behind our back, as tensors that are made of NumPy arrays share it.

What was computed of an array is still right as long as the array is the same object, nobody overwrites it, and it was
never lent. Arrays that we make are overwritten only where nobody else holds them (`allocator.owns_alone`).
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from tensorlite.kernels.cpu.allocator import is_block

_lent: dict[int, weakref.ref[Any]] = {}
_exports = [0]


def borrow(array: Any) -> None:
    """Note that an array came from outside, where others may write to its memory."""
    owner = _owner(array)
    if type(owner) is np.ndarray and id(owner) not in _lent:
        number = id(owner)
        _lent[number] = weakref.ref(owner, lambda _: _lent.pop(number, None))
        _exports[0] += owner is not array  # a view of what may have been ours


def export(array: Any) -> None:
    """Note that others are given an array, and may write to its memory from now on."""
    borrow(array)
    _exports[0] += 1


def exports() -> int:
    """Return how often memory that was ours was given away: as long as that is the same, what was ours still is."""
    return _exports[0]


def is_lent(array: Any) -> bool:
    """Tell whether others may write to an array's memory; true of memory of unknown origin."""
    owner = _owner(array)
    return id(owner) in _lent or not isinstance(owner, np.ndarray | bytes)


def _owner(array: Any) -> Any:
    """Return the first of the arrays that share memory, or the object that it belongs to if that is none of ours."""
    while type(array) is np.ndarray and array.base is not None and not is_block(array.base):
        array = array.base
    return array
