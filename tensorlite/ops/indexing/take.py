"""Taking elements by position: take, take_along_axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.batch import unchanged
from tensorlite.declare import primitive, public
from tensorlite.errors import DTypeError, IndexingError, ShapeError, complaint
from tensorlite.op import Integers, Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.indexing.errors import out_of_bounds
from tensorlite.ops.indexing.scatter import _gather, _take_rows
from tensorlite.ops.shape import _broadcast_to, reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import INTEGERS


@primitive("index", type=lambda indices, **_: indices, batch=unchanged,
           samples=[Sample(Integers((3,), -4, 4), axis=1, extent=4)])
def _from_the_front(xp: Any, indices: Any, *, axis: int, extent: int) -> Any:
    """Positions counted from the front, those below 0 having been counted from the end."""
    problem = out_of_bounds(indices, axis, extent)
    if problem is not None:
        raise IndexingError(*problem)
    return xp.where(indices < 0, indices + extent, indices) if indices.dtype.kind == "i" else indices


def positions(op: str, x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Positions along an axis; raises `IndexingError` where the axis does not have one."""
    if not isinstance(indices, Tensor) or indices.dtype not in INTEGERS:
        raise complaint(DTypeError, op, "indices must be a tensor of integers", {"x": x, "indices": indices},
                        "make it one: tl.asarray(...)")
    try:
        return _from_the_front(indices, axis=axis, extent=x.shape[axis])
    except IndexingError as error:
        problem = error.problem.splitlines()[0].partition(": ")[2]
        raise complaint(IndexingError, op, problem, {"x": x, "indices": indices, "axis": axis}, error.fix) from None


@public
def take(x: Tensor, indices: Tensor, /, axis: int | None = None) -> Tensor:
    """The slices of ``x`` at positions along an axis; the shape of ``indices`` takes the place of the axis.

    Negative positions count from the end. Without an axis they count all elements in order, as in PyTorch. Raises
    `IndexingError` for positions that the axis does not have.

    >>> import tensorlite as tl
    >>> tl.take(tl.tensor([[1, 2, 3], [4, 5, 6]]), tl.tensor([2, 0]), axis=1)
    tensor([[3, 1],
            [6, 4]])
    """
    if axis is None and x.ndim != 1:
        x = reshape(x, (-1,))
    axis = one_axis("take", x, 0 if axis is None else axis)
    return _take_rows(x, positions("take", x, indices, axis), axis=axis)


@public
def take_along_axis(x: Tensor, indices: Tensor, /, axis: int = -1) -> Tensor:
    """For each line of ``x`` along an axis, the elements at positions of its own: what `argsort` gives sorts.

    ``indices`` broadcasts with ``x`` but for that axis; negative positions count from the end. Raises `IndexingError`
    for positions that the axis does not have.

    >>> import tensorlite as tl
    >>> x = tl.tensor([[3, 1, 2], [6, 5, 4]])
    >>> tl.take_along_axis(x, tl.argsort(x), axis=1)
    tensor([[1, 2, 3],
            [4, 5, 6]])
    """
    axis = one_axis("take_along_axis", x, axis)
    places = positions("take_along_axis", x, indices, axis)
    if places.ndim != x.ndim:
        raise complaint(ShapeError, "take_along_axis", f"indices have {places.ndim} axes, x has {x.ndim}",
                        {"x": x, "indices": indices})
    lines = [list(shape) for shape in (x.shape, places.shape)]
    counts = lines[0][axis], lines[1][axis]
    lines[0][axis] = lines[1][axis] = 1
    try:
        shape = list(np.broadcast_shapes(*map(tuple, lines)))
    except ValueError:
        raise complaint(ShapeError, "take_along_axis", f"indices do not broadcast with x off axis {axis}",
                        {"x": x, "indices": indices}) from None
    wide = [tuple(shape[:axis] + [count] + shape[axis + 1:]) for count in counts]
    return _gather(_broadcast_to(x, shape=wide[0]), _broadcast_to(places, shape=wide[1]), axis=axis)
