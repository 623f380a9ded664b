"""Axes merged, parted and turned, and elements combined: flatten, rot90, expand, combinations, vander and kin."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tensorlite.declare import METHODS, PUBLIC, public
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.ops.axes import as_shape, one_axis, some_axes
from tensorlite.ops.creation import asarray
from tensorlite.ops.cumulative import _cumulative_prod
from tensorlite.ops.filled import ones
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.indexing.scatter import _take_rows
from tensorlite.ops.join import concat, stack
from tensorlite.ops.manipulation import _flip, flip, repeat, swapaxes
from tensorlite.ops.ranges import meshgrid
from tensorlite.ops.shape import _broadcast_to, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import sum_dtype

# --- shapes -------------------------------------------------------------------------------------------------------


@public
def flatten(x: Tensor, /, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The tensor with the axes from ``start_dim`` to ``end_dim`` made one; a single number becomes a row of one.

    Raises `ArgumentError` where ``start_dim`` comes after ``end_dim``.

    >>> import tensorlite as tl
    >>> tl.flatten(tl.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    first, last = (one_axis("flatten", x, dim, x.ndim or 1) for dim in (start_dim, end_dim))
    if first > last:
        raise complaint(ArgumentError, "flatten", f"start_dim {start_dim} comes after end_dim {end_dim}", {"x": x})
    return _reshape(x, shape=(*x.shape[:first], prod(x.shape[first:last + 1]), *x.shape[last + 1:]))


@public
def unflatten(x: Tensor, /, axis: int, sizes: Sequence[int]) -> Tensor:
    """The tensor with an axis parted into several, one of which may be -1 and is then filled in.

    Raises `ShapeError` where the extents do not multiply to that of the axis.

    >>> import tensorlite as tl
    >>> tl.unflatten(tl.zeros((2, 12)), 1, (3, -1)).shape
    (2, 3, 4)
    """
    axis = one_axis("unflatten", x, axis)
    wanted, extent = as_shape("unflatten", sizes), x.shape[axis]
    known = prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known and extent % known == 0:
        wanted = tuple(extent // known if n == -1 else n for n in wanted)
    if not wanted or min(wanted) < 0 or prod(wanted) != extent:
        raise complaint(ShapeError, "unflatten", f"axis {axis} of {extent} has no parts {tuple(wanted)}", {"x": x})
    return _reshape(x, shape=(*x.shape[:axis], *wanted, *x.shape[axis + 1:]))


@public
def ravel(x: Tensor, /) -> Tensor:
    """The elements in a row.

    >>> import tensorlite as tl
    >>> tl.ravel(tl.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return _reshape(x, shape=(x.size,))


def expand_as(x: Tensor, other: Tensor, /) -> Tensor:
    """The tensor seen in the shape of another, its axes of extent 1 repeated."""
    return _broadcast_to(x, shape=other.shape)


def view_as(x: Tensor, other: Tensor, /) -> Tensor:
    """The same elements in the shape of another tensor."""
    return PUBLIC["reshape"](x, other.shape)


def flip_axes(x: Tensor, *axis: Any, **options: Any) -> Tensor:
    """The elements in the reverse order along axes, given one by one or as one sequence; all of them if none is."""
    return flip(x, *(axis if len(axis) < 2 else (axis,)), **options)


METHODS.update(expand_as=expand_as, view_as=view_as, reshape_as=view_as, flip=flip_axes)


@public(method=False)
def broadcast_shapes(*shapes: Sequence[int] | int) -> tuple[int, ...]:
    """The shape that tensors of the given shapes have together. Raises `ShapeError` where there is none.

    >>> import tensorlite as tl
    >>> tl.broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    try:
        return np.broadcast_shapes(*(as_shape("broadcast_shapes", shape) for shape in shapes))
    except ValueError:
        raise complaint(ShapeError, "broadcast_shapes", "the shapes do not broadcast",
                        {f"shapes[{i}]": shape for i, shape in enumerate(shapes)},
                        "extents must be equal or 1, counted from the last axis") from None


@public
def repeat_interleave(x: Tensor, /, repeats: int | Tensor, axis: int | None = None, *,
                      output_size: int | None = None) -> Tensor:
    """Each element repeated, along an axis or in all of ``x`` flattened; ``repeats`` may say how often for each.

    ``output_size`` is what the counts add up to, where that is known. Raises as `repeat` does, and `ShapeError` where
    the result has another extent.

    >>> import tensorlite as tl
    >>> tl.repeat_interleave(tl.tensor([[1, 2], [3, 4]]), tl.tensor([1, 2]), 0)
    tensor([[1, 2],
            [3, 4],
            [3, 4]])
    """
    found = repeat(x, repeats, axis=axis)
    place = 0 if axis is None else one_axis("repeat_interleave", x, axis)
    if output_size is not None and found.shape[place] != output_size:
        raise complaint(ShapeError, "repeat_interleave", f"the result has {found.shape[place]} elements along its axis,"
                        f" not output_size {output_size}", {"x": x, "repeats": repeats})
    return found


# --- turns --------------------------------------------------------------------------------------------------------


@public
def rot90(x: Tensor, /, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """The tensor turned ``k`` times by 90 degrees, from the first of two axes towards the second.

    Raises `ArgumentError` for other than two different axes.

    >>> import tensorlite as tl
    >>> tl.rot90(tl.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2:
        raise complaint(ArgumentError, "rot90", f"turns two axes, not {len(dims)}", {"x": x, "dims": dims})
    some_axes("rot90", x, tuple(dims))
    first, second = (one_axis("rot90", x, a) for a in dims)
    turned = k % 4
    if turned % 2 == 0:
        return _flip(x, axis=tuple(sorted((first, second))) if turned else ())
    exchanged = swapaxes(x, first, second)
    return _flip(exchanged, axis=(first if turned == 1 else second,))


def _flipped(op: str, x: Tensor, axis: int) -> Tensor:
    if x.ndim <= axis:
        raise complaint(ShapeError, op, f"takes at least {axis + 1} dimensions, x has {x.ndim}", {"x": x})
    return _flip(x, axis=(axis,))


@public
def fliplr(x: Tensor, /) -> Tensor:
    """The elements in the reverse order along the second axis, left and right exchanged.

    >>> import tensorlite as tl
    >>> tl.fliplr(tl.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    return _flipped("fliplr", x, 1)


@public
def flipud(x: Tensor, /) -> Tensor:
    """The elements in the reverse order along the first axis, up and down exchanged.

    >>> import tensorlite as tl
    >>> tl.flipud(tl.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    return _flipped("flipud", x, 0)


# --- combinations -------------------------------------------------------------------------------------------------


def _vector(op: str, x: Tensor) -> Tensor:
    if x.ndim != 1:
        raise complaint(ShapeError, op, f"takes one dimension, x has {x.ndim}", {"x": x})
    return x


@public(method=False)
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All ways to take one element of each vector, one a row; of one vector, itself.

    >>> import tensorlite as tl
    >>> tl.cartesian_prod(tl.tensor([1, 2]), tl.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    vectors = [_vector("cartesian_prod", x) for x in tensors]
    if len(vectors) == 1:
        return vectors[0]
    return stack([_reshape(x, shape=(x.size,)) for x in meshgrid(*vectors, indexing="ij")], 1)


@public(method=False)
def combinations(x: Tensor, /, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to choose ``r`` elements of a vector in its order, one a row, also the same more than once if so wished.

    >>> import tensorlite as tl
    >>> tl.combinations(tl.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    _vector("combinations", x)
    if r < 0:
        raise complaint(ArgumentError, "combinations", f"r must be 0 or more, not {r}", {"x": x})
    if r == 0:
        return _slice(x, spec=(slice(0, 0),))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(x.size), r)), np.int64).reshape(-1, r)
    return _take_rows(x, asarray(rows, device=x.device), axis=0)


@public(method=False)
def vander(x: Tensor, /, N: int | None = None, increasing: bool = False) -> Tensor:
    """The matrix of the powers of the elements of a vector, falling from ``N - 1`` to 0, or rising.

    >>> import tensorlite as tl
    >>> tl.vander(tl.tensor([2, 3]), 3)
    tensor([[4, 2, 1],
            [9, 3, 1]])
    """
    _vector("vander", x)
    count = x.size if N is None else N
    if count < 0:
        raise complaint(ArgumentError, "vander", f"N must be 0 or more, not {N}", {"x": x})
    wide = astype(x, sum_dtype(x.dtype), copy=False)
    first = ones((x.size, min(count, 1)), dtype=wide.dtype, device=x.device)
    if count < 2:
        return first
    powers = _cumulative_prod(_broadcast_to(_reshape(wide, shape=(x.size, 1)), shape=(x.size, count - 1)), axis=1)
    found: Any = concat([first, powers], 1)
    return found if increasing else _flip(found, axis=(1,))


