"""The different elements of a tensor. NaNs all differ from each other; 0.0 and -0.0 do not."""

from __future__ import annotations

from typing import Any, NamedTuple

from tensorlite.declare import primitive, public
from tensorlite.op import Sample
from tensorlite.ops.scatter import _take_rows
from tensorlite.ops.shape import _reshape
from tensorlite.ops.sort import comparable
from tensorlite.tensor import Tensor


class UniqueAll(NamedTuple):
    """What `unique_all` gives."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: Tensor
    inverse_indices: Tensor


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
