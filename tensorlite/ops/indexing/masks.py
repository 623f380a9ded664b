"""Elements chosen by masks: masked_fill, masked_select, masked_scatter, argwhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, IndexingError, ShapeError, complaint
from tensorlite.ops.cumulative import _cumulative_sum
from tensorlite.ops.elementwise import maximum, where
from tensorlite.ops.filled import full
from tensorlite.ops.indexing.index import get_item
from tensorlite.ops.indexing.scatter import _take_rows
from tensorlite.ops.indexing.search import nonzero
from tensorlite.ops.join import stack
from tensorlite.ops.shape import _broadcast_to, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_INTEGER, can_hold, promote_scalar, scalar_kind


def _broadcast(op: str, x: Tensor, mask: Tensor) -> tuple[int, ...]:
    """The shape of a tensor and its mask together."""
    if not isinstance(mask, Tensor) or mask.dtype.kind != "b":
        raise complaint(DTypeError, op, "mask must be a bool tensor", {"x": x, "mask": mask},
                        "compare: mask != 0")
    try:
        return np.broadcast_shapes(x.shape, mask.shape)
    except ValueError:
        raise complaint(ShapeError, op, "mask does not broadcast with x", {"x": x, "mask": mask},
                        "extents must be equal or 1, counted from the last axis") from None


def as_filling(op: str, x: Tensor, value: Any) -> Tensor:
    """A number, or a tensor that is one, in the dtype of ``x``."""
    if not isinstance(value, Tensor):
        if isinstance(value, np.generic):
            value = value.item()
        if not isinstance(value, bool | int | float | complex):
            raise complaint(DTypeError, op, f"value must be a number, not {type(value).__name__}", {"x": x})
        if isinstance(value, float) and value.is_integer() and x.dtype.kind in "iu":
            value = int(value)
        if promote_scalar(x.dtype, scalar_kind(value)) != x.dtype:
            raise complaint(DTypeError, op, f"{x.dtype.name} cannot hold {value}", {"x": x},
                            "cast x first: x.to(tl.float32)")
        return full((), value, dtype=x.dtype, device=x.device)
    if value.ndim:
        raise complaint(ShapeError, op, f"value must be a number, not a tensor of {value.ndim} dimensions",
                        {"x": x, "value": value})
    if not can_hold(x.dtype, value.dtype):
        raise complaint(DTypeError, op, f"x cannot hold {value.dtype.name} values", {"x": x, "value": value},
                        f"cast one: value.to(tl.{x.dtype.name})")
    return astype(value, x.dtype, copy=False)


@public(in_place=True)
def masked_fill(x: Tensor, /, mask: Tensor, value: Any) -> Tensor:
    """``x`` with a number, also a tensor that is one, where ``mask`` is true; mask and ``x`` broadcast.

    Raises `DTypeError` for a mask that is not bool, and for a value that the dtype of ``x`` cannot hold.

    >>> import tensorlite as tl
    >>> tl.masked_fill(tl.tensor([1.0, 2.0]), tl.tensor([True, False]), -tl.inf)
    tensor([-inf,   2.])
    """
    _broadcast("masked_fill", x, mask)
    return where(mask, as_filling("masked_fill", x, value), x)


@public
def masked_select(x: Tensor, /, mask: Tensor) -> Tensor:
    """The elements where ``mask`` is true, in a row; mask and ``x`` broadcast.

    Raises `DTypeError` for a mask that is not bool.

    >>> import tensorlite as tl
    >>> tl.masked_select(tl.tensor([[1, 2], [3, 4]]), tl.tensor([True, False]))
    tensor([1, 3])
    """
    shape = _broadcast("masked_select", x, mask)
    return get_item(_broadcast_to(x, shape=shape), _broadcast_to(mask, shape=shape))


@public(in_place=True)
def masked_scatter(x: Tensor, /, mask: Tensor, source: Tensor) -> Tensor:
    """``x`` with the elements where ``mask`` is true replaced by those of ``source``, in order.

    Mask and ``x`` broadcast; more elements of ``source`` than are asked for stay unused. Raises `DTypeError` for a mask
    that is not bool and for another dtype of source, `IndexingError` for too few elements.

    >>> import tensorlite as tl
    >>> tl.masked_scatter(tl.zeros(3), tl.tensor([True, False, True]), tl.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 2.])
    """
    shape = _broadcast("masked_scatter", x, mask)
    if source.dtype != x.dtype:
        raise complaint(DTypeError, "masked_scatter", f"x is {x.dtype.name}, source is {source.dtype.name}",
                        {"x": x, "source": source}, f"cast it first: source.to(tl.{x.dtype.name})")
    wide, mask = _broadcast_to(x, shape=shape), _broadcast_to(mask, shape=shape)
    row = _reshape(mask, shape=(mask.size,))
    count = maximum(_cumulative_sum(astype(row, DEFAULT_INTEGER), axis=0) - 1, 0)
    values = _reshape(source, shape=(source.size,))
    if not source.size:  # so that a mask of nothing needs no source
        values = full((1,), 0, dtype=x.dtype, device=x.device)
        count = count + astype(row, DEFAULT_INTEGER)
    try:
        taken = _take_rows(values, count, axis=0)
    except IndexingError:
        raise complaint(IndexingError, "masked_scatter", f"the mask asks for more than {source.size} elements",
                        {"x": x, "mask": mask, "source": source}) from None
    return where(mask, _reshape(taken, shape=shape), wide)


@public
def argwhere(x: Tensor, /) -> Tensor:
    """The positions of the elements that are not zero, one a row: int64[elements, axes].

    >>> import tensorlite as tl
    >>> tl.argwhere(tl.tensor([[0, 1], [2, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    if x.ndim:
        return stack(nonzero(x), 1)
    (found,) = nonzero(_reshape(x, shape=(1,)))
    return _reshape(found, shape=(found.size, 1))[:, :0]


def check_reduce(op: str, reduce: str, names: tuple[str, ...]) -> None:
    """Raises `ArgumentError` for a reduction that an op does not know."""
    if reduce not in names:
        raise complaint(ArgumentError, op, f"reduce must be one of {', '.join(names)}, not {reduce!r}")
