"""Tensors cut and joined along the axes that are usual: tensor_split, hsplit and kin, hstack and kin, atleast_1d."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.axes import one_axis
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.join import along, concat, of_one_dtype
from tensorlite.ops.shape import _reshape
from tensorlite.tensor import Tensor
from tensorlite.traced import require_elements


def _cuts(op: str, x: Tensor, cuts: Any) -> Any:
    """A number of parts or a list of places, from what users write."""
    if isinstance(cuts, Tensor):
        require_elements(cuts, "index", op)
        cuts = cuts.tolist()
    if hasattr(cuts, "__index__"):
        cuts = cuts.__index__()
        if cuts < 1:
            raise complaint(ArgumentError, op, f"there cannot be {cuts} parts", {"x": x})
        return cuts
    if not isinstance(cuts, Sequence) or not all(hasattr(n, "__index__") for n in cuts):
        raise complaint(DTypeError, op, f"cuts are an integer or several, not {cuts!r}", {"x": x})
    return [n.__index__() for n in cuts]


@public
def tensor_split(x: Tensor, indices_or_sections: int | Sequence[int] | Tensor, /, axis: int = 0) -> tuple[Tensor, ...]:
    """The tensor cut along an axis before the given places, or into a number of parts that differ by at most one.

    >>> import tensorlite as tl
    >>> tl.tensor_split(tl.arange(5), 2), tl.tensor_split(tl.arange(5), (1, 3))
    ((tensor([0, 1, 2]), tensor([3, 4])), (tensor([0]), tensor([1, 2]), tensor([3, 4])))
    """
    return _split("tensor_split", x, indices_or_sections, one_axis("tensor_split", x, axis))


def _split(op: str, x: Tensor, cuts: Any, axis: int) -> tuple[Tensor, ...]:
    cuts, extent = _cuts(op, x, cuts), x.shape[axis]
    if isinstance(cuts, int):
        each, more = divmod(extent, cuts)
        cuts = [i * each + min(i, more) for i in range(1, cuts)]
    bounds = [slice(first, last) for first, last in zip([0, *cuts], [*cuts, extent], strict=True)]
    return tuple(_slice(x, spec=along(axis, part)) for part in bounds)


def _split_by(op: str, x: Tensor, cuts: Any, axis: int, least: int) -> tuple[Tensor, ...]:
    if x.ndim < least:
        raise complaint(ShapeError, op, f"takes at least {least} dimensions, x has {x.ndim}", {"x": x})
    parts = _cuts(op, x, cuts)
    if isinstance(parts, int) and x.shape[axis] % parts:
        raise complaint(ArgumentError, op, f"axis {axis} of {x.shape[axis]} has no {parts} equal parts", {"x": x},
                        "use tl.tensor_split")
    return _split(op, x, parts, axis)


@public
def hsplit(x: Tensor, indices_or_sections: int | Sequence[int] | Tensor, /) -> tuple[Tensor, ...]:
    """The tensor cut along its second axis, or the only one, into equal parts or before places.

    Raises `ArgumentError` where it has no such equal parts.

    >>> import tensorlite as tl
    >>> tl.hsplit(tl.tensor([[1, 2], [3, 4]]), 2)[0]
    tensor([[1],
            [3]])
    """
    return _split_by("hsplit", x, indices_or_sections, 0 if x.ndim == 1 else 1, 1)


@public
def vsplit(x: Tensor, indices_or_sections: int | Sequence[int] | Tensor, /) -> tuple[Tensor, ...]:
    """The tensor, of two axes or more, cut along the first into equal parts or before places; as `hsplit`.

    >>> import tensorlite as tl
    >>> tl.vsplit(tl.tensor([[1, 2], [3, 4]]), 2)[0]
    tensor([[1, 2]])
    """
    return _split_by("vsplit", x, indices_or_sections, 0, 2)


@public
def dsplit(x: Tensor, indices_or_sections: int | Sequence[int] | Tensor, /) -> tuple[Tensor, ...]:
    """The tensor, of three axes or more, cut along the third into equal parts or before places; as `hsplit`.

    >>> import tensorlite as tl
    >>> [part.shape for part in tl.dsplit(tl.zeros((2, 2, 4)), [1])]
    [(2, 2, 1), (2, 2, 3)]
    """
    return _split_by("dsplit", x, indices_or_sections, 2, 3)


# --- at least so many axes ----------------------------------------------------------------------------------------


def _each(function: Any, tensors: tuple[Any, ...]) -> Any:
    """A function of a tensor, of each of several, or of each of a sequence."""
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return function(tensors[0])
    several = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], Sequence) else tensors
    return tuple(map(function, several))


def _rows(x: Tensor) -> Tensor:
    return x if x.ndim else _reshape(x, shape=(1,))


def _matrix(x: Tensor) -> Tensor:
    return x if x.ndim > 1 else _reshape(x, shape=(1, x.size))


def _volume(x: Tensor) -> Tensor:
    return x if x.ndim > 2 else _reshape(x, shape=(1, x.size, 1) if x.ndim < 2 else (*x.shape, 1))


@public(method=False)
def atleast_1d(*tensors: Any) -> Any:
    """The tensor, or each of several, with one axis where it has none.

    >>> import tensorlite as tl
    >>> tl.atleast_1d(tl.tensor(1.0))
    tensor([1.])
    """
    return _each(_rows, tensors)


@public(method=False)
def atleast_2d(*tensors: Any) -> Any:
    """The tensor, or each of several, as a row of a matrix where it has fewer than two axes.

    >>> import tensorlite as tl
    >>> tl.atleast_2d(tl.tensor([1.0, 2.0]))
    tensor([[1., 2.]])
    """
    return _each(_matrix, tensors)


@public(method=False)
def atleast_3d(*tensors: Any) -> Any:
    """The tensor, or each of several, with axes added where it has fewer than three: [1, n, 1] and [n, m, 1].

    >>> import tensorlite as tl
    >>> tl.atleast_3d(tl.zeros((2, 3))).shape
    (2, 3, 1)
    """
    return _each(_volume, tensors)


# --- side by side -------------------------------------------------------------------------------------------------


@public(method=False)
def hstack(tensors: Sequence[Tensor], /) -> Tensor:
    """The tensors one after the other along the second axis, or the only one. Dtypes promote.

    >>> import tensorlite as tl
    >>> tl.hstack([tl.tensor([1, 2]), tl.tensor([3])])
    tensor([1, 2, 3])
    """
    parts = [_rows(x) for x in of_one_dtype("hstack", tensors)]
    return concat(parts, 0 if parts[0].ndim == 1 else 1)


@public(method=False)
def vstack(tensors: Sequence[Tensor], /) -> Tensor:
    """The tensors one below the other, vectors as rows. Dtypes promote.

    >>> import tensorlite as tl
    >>> tl.vstack([tl.tensor([1, 2]), tl.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return concat([_matrix(x) for x in of_one_dtype("vstack", tensors)], 0)


@public(method=False)
def dstack(tensors: Sequence[Tensor], /) -> Tensor:
    """The tensors one behind the other, along a third axis. Dtypes promote.

    >>> import tensorlite as tl
    >>> tl.dstack([tl.tensor([1, 2]), tl.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return concat([_volume(x) for x in of_one_dtype("dstack", tensors)], 2)


@public(method=False)
def column_stack(tensors: Sequence[Tensor], /) -> Tensor:
    """The tensors side by side, vectors as columns. Dtypes promote.

    >>> import tensorlite as tl
    >>> tl.column_stack([tl.tensor([1, 2]), tl.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    parts = [x if x.ndim > 1 else _reshape(x, shape=(x.size, 1)) for x in of_one_dtype("column_stack", tensors)]
    return concat(parts, 1)
