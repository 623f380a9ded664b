"""The different elements of a tensor. NaNs all differ from each other; 0.0 and -0.0 do not."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import primitive, public
from tensorlite.op import Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.cumulative import _cumulative_sum
from tensorlite.ops.elementwise import not_equal
from tensorlite.ops.filled import full
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.indexing.scatter import _take_rows
from tensorlite.ops.indexing.search import _any, _nonzero
from tensorlite.ops.join import concat
from tensorlite.ops.manipulation import moveaxis
from tensorlite.ops.results import UniqueAll, UniqueCounts, UniqueInverse
from tensorlite.ops.shape import _reshape, astype
from tensorlite.ops.sort import comparable
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_INTEGER


@primitive("opaque", samples=[Sample((3, 4)), Sample((0,)), Sample(())])
def _unique(xp: Any, x: Any) -> Any:
    """Where each different element comes first, in order of value, which of them each is, and how many there are."""
    _, indices, inverse, counts = xp.unique(
        comparable(x).reshape(-1), return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
    return indices, inverse.reshape(x.shape), counts


@public
def unique_all(x: Tensor, /) -> UniqueAll:
    """The different elements in order, where each comes first, which of them each element is, and their counts.

    The result has the fields ``values``, ``indices``, ``inverse_indices`` (of the shape of ``x``) and ``counts``.

    >>> import tensorlite as tl
    >>> tl.unique_all(tl.tensor([3, 1, 3])).counts
    tensor([1, 2])
    """
    row = _reshape(x, shape=(x.size,))
    indices, inverse, counts = _unique(x)
    return UniqueAll(_take_rows(row, indices, axis=0), indices, inverse, counts)


@public
def unique_counts(x: Tensor, /) -> UniqueCounts:
    """The different elements in order and how often each is there: fields ``values`` and ``counts``.

    >>> import tensorlite as tl
    >>> tl.unique_counts(tl.tensor([3, 1, 3])).values
    tensor([1, 3])
    """
    values, _, _, counts = unique_all(x)
    return UniqueCounts(values, counts)


@public
def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """The different elements in order and which of them each element is: fields ``values`` and ``inverse_indices``.

    >>> import tensorlite as tl
    >>> tl.unique_inverse(tl.tensor([3, 1, 3])).inverse_indices
    tensor([1, 0, 1])
    """
    values, _, inverse, _ = unique_all(x)
    return UniqueInverse(values, inverse)


@public
def unique_values(x: Tensor, /) -> Tensor:
    """The different elements, in order.

    >>> import tensorlite as tl
    >>> tl.unique_values(tl.tensor([3, 1, 3]))
    tensor([1, 3])
    """
    return unique_all(x).values


# --- PyTorch's ----------------------------------------------------------------------------------------------------


@primitive("opaque", samples=[Sample((4, 3)), Sample((0, 2))])
def _unique_rows(xp: Any, x: Any) -> Any:
    """What `unique` gives, of the rows of a matrix, which are in order of their first element, then of the others."""
    order = _row_order(xp, x)
    ranked = x[order]
    starts = xp.concatenate([xp.ones(min(len(x), 1), bool), (ranked[1:] != ranked[:-1]).any(axis=1)])
    inverse = xp.empty(len(x), np.int64)
    inverse[order] = xp.cumsum(starts) - 1
    firsts = xp.flatnonzero(starts)
    return order[firsts], inverse, xp.diff(xp.append(firsts, len(x)))


def _row_order(xp: Any, x: Any) -> Any:
    """The positions that sort rows, stably: by the first column, and only what ties there by the others."""
    if not x.size:
        return xp.arange(len(x))
    columns = comparable(x).T
    order = xp.argsort(columns[0], kind="stable")
    first = columns[0][order]
    if (first[1:] != first[:-1]).all():
        return order
    return xp.lexsort(columns[::-1])


def _wanted(values: Tensor, inverse: Tensor, counts: Tensor, return_inverse: bool, return_counts: bool) -> Any:
    found = (values, *([inverse] if return_inverse else []), *([counts] if return_counts else []))
    return found if len(found) > 1 else values


def _as_rows(x: Tensor, axis: int) -> Tensor:
    """The slices across an axis as the rows of a matrix."""
    moved = moveaxis(x, axis, 0)
    return _reshape(moved, shape=(x.shape[axis], int(np.prod(moved.shape[1:]))))


@public
def unique(x: Tensor, /, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
           axis: int | None = None) -> Any:
    """The different elements in order, or the different slices across an axis.

    ``return_inverse`` adds which of them each is, of the shape of ``x`` or one number a slice, ``return_counts`` how
    often each is there: the result is then a tuple. ``sorted=False`` allows any order, and this one is as fast.

    >>> import tensorlite as tl
    >>> tl.unique(tl.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    >>> tl.unique(tl.tensor([[2, 1], [0, 5], [2, 1]]), dim=0)
    tensor([[0, 5],
            [2, 1]])
    """
    if axis is None:
        values, _, inverse, counts = unique_all(x)
    else:
        axis = one_axis("unique", x, axis)
        indices, inverse, counts = _unique_rows(_as_rows(x, axis))
        values = _take_rows(x, indices, axis=axis)
    return _wanted(values, inverse, counts, return_inverse, return_counts)


@public
def unique_consecutive(x: Tensor, /, return_inverse: bool = False, return_counts: bool = False,
                       axis: int | None = None) -> Any:
    """The elements, or the slices across an axis, without those that equal the one before; options as of `unique`.

    >>> import tensorlite as tl
    >>> tl.unique_consecutive(tl.tensor([1, 1, 2, 1]), return_counts=True)
    (tensor([1, 2, 1]), tensor([2, 1, 1]))
    """
    if axis is None:
        along, place, shape = _reshape(x, shape=(x.size,)), 0, x.shape
        rows = _reshape(x, shape=(x.size, 1))
    else:
        along, place = x, one_axis("unique_consecutive", x, axis)
        shape, rows = (x.shape[place],), _as_rows(x, place)
    n = rows.shape[0]
    differs = not_equal(_slice(rows, spec=(slice(1, None),)), _slice(rows, spec=(slice(None, -1),)))
    flat = _reshape(differs, shape=(differs.size,))
    differs = flat if axis is None else _any(differs, axis=(1,), keepdims=False)
    starts = concat([full((min(n, 1),), True, dtype=bool, device=x.device), differs])
    (firsts,) = _nonzero(starts)
    found: tuple[Tensor, ...] = (_take_rows(along, firsts, axis=place),)
    if return_inverse:
        inverse = _cumulative_sum(astype(starts, DEFAULT_INTEGER), axis=0) - 1
        found += (_reshape(inverse, shape=shape),)
    if return_counts:
        ends = concat([_slice(firsts, spec=(slice(1, None),)), full((min(n, 1),), n, dtype=DEFAULT_INTEGER,
                                                                    device=x.device)])
        found += (ends - firsts,)
    return found if len(found) > 1 else found[0]
