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
_watched: dict[int, weakref.ref[Any]] = {}
_exports = [0]


def borrow(array: Any) -> None:
    """Note that an array came from outside, or is given away, where others may write to its memory."""
    owner = _owner(array)
    if isinstance(owner, np.ndarray):
        _note(owner, _lent)
        _exports[0] += id(owner) in _watched


def watch(array: Any) -> None:
    """Count from now on when the memory of an array is lent."""
    owner = _owner(array)
    if isinstance(owner, np.ndarray):
        _note(owner, _watched)


def exports() -> int:
    """Return how often memory that is watched was lent: as long as that is the same, nobody else has written there."""
    return _exports[0]


def is_lent(array: Any) -> bool:
    """Tell whether others may write to an array's memory; true of memory of unknown origin."""
    owner = _owner(array)
    return id(owner) in _lent or type(owner) not in (np.ndarray, bytes)


def _note(owner: Any, where: dict[int, weakref.ref[Any]]) -> None:
    """Keep an array's number as long as it lives."""
    number = id(owner)
    if number not in where:
        where[number] = weakref.ref(owner, lambda _: where.pop(number, None))


def _owner(array: Any) -> Any:
    """Return the first of the arrays that share memory, or the object that it belongs to if that is none of ours."""
    while isinstance(array, np.ndarray) and array.base is not None and not is_block(array.base):
        array = array.base
    return array
