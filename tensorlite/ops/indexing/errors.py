"""What is wrong with an index, in the user's terms; asked only after the arrays refused it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.kernels import device as devices

Problem = tuple[str, str | None]


def what_is_wrong(shape: Sequence[int], index: Sequence[Any]) -> Problem | None:
    """The problem and the fix of an index of integers, slices, None, bools, Ellipsis and integer arrays, if any."""
    index = [part for part in index if part is not None and not isinstance(part, bool)]
    used = sum(part is not Ellipsis for part in index)
    if sum(part is Ellipsis for part in index) > 1:
        return "an index has one ... at most", None
    if used > len(shape):
        if not shape:
            return "a 0-dimensional tensor has no axis to index", "use x[()] or x[...] for the whole tensor"
        return f"{used} indices for {len(shape)} {'axis' if len(shape) == 1 else 'axes'}", None
    axis = 0
    for part in index:
        if part is Ellipsis:
            axis += len(shape) - used
        else:
            problem = None if isinstance(part, slice) else out_of_bounds(part, axis, shape[axis])
            if problem is not None:
                return problem
            axis += 1
    return _arrays_problem([part.shape for part in index if hasattr(part, "shape")])


def out_of_bounds(index: Any, axis: int, extent: int) -> Problem | None:
    """The problem of an integer, or of an array's first integer, that an axis does not have."""
    values = np.asarray(index if isinstance(index, int) else devices.of(index).to_numpy(index)).reshape(-1)
    wrong = values[(values < -extent) | (values >= extent)]
    if not wrong.size:
        return None
    fix = f"use -{extent} to {extent - 1}" if extent else "the axis is empty"
    return f"index {wrong[0]} is out of bounds for axis {axis} of extent {extent}", fix


def _arrays_problem(shapes: Sequence[tuple[int, ...]]) -> Problem | None:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return f"index tensors of shapes {' and '.join(str(list(shape)) for shape in shapes)} do not broadcast", None
    return None
