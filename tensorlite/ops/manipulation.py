"""Moving elements about: axes inserted, removed and reordered, elements flipped, rolled, repeated and tiled."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.batch import leading
from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.kernels import device as devices
from tensorlite.op import Sample
from tensorlite.ops.axes import one_axis, some_axes
from tensorlite.ops.indexing.index import ARRAY, _take_at
from tensorlite.ops.join import along
from tensorlite.ops.shape import _broadcast_to, _permute_dims, _reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import INTEGERS, TensorType
from tensorlite.traced import require_elements

Axis = int | Sequence[int]


# --- axes ---------------------------------------------------------------------------------------------------------


@public
def expand_dims(x: Tensor, /, axis: int = 0) -> Tensor:
    """The tensor with an axis of extent 1 inserted, which has number ``axis`` in the result.

    >>> import tensorlite as tl
    >>> tl.expand_dims(tl.zeros((2, 3)), 1).shape
    (2, 1, 3)
    """
    axis = one_axis("expand_dims", x, axis, x.ndim + 1)
    return _reshape(x, shape=(*x.shape[:axis], 1, *x.shape[axis:]))


@public
def squeeze(x: Tensor, /, axis: Axis | None = None) -> Tensor:
    """The tensor without axes of extent 1: those given, or all of them. Raises `ShapeError` for another extent.

    >>> import tensorlite as tl
    >>> tl.squeeze(tl.zeros((2, 1, 3, 1)), 1).shape
    (2, 3, 1)
    """
    axes = tuple(i for i, n in enumerate(x.shape) if n == 1) if axis is None else some_axes("squeeze", x, axis)
    for a in axes:
        if x.shape[a] != 1:
            raise complaint(ShapeError, "squeeze", f"axis {a} has extent {x.shape[a]}, not 1", {"x": x, "axis": axis})
    return _reshape(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))


@public
def moveaxis(x: Tensor, source: Axis, destination: Axis, /) -> Tensor:
    """The tensor with some axes moved to other places, the rest in their order.

    >>> import tensorlite as tl
    >>> tl.moveaxis(tl.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    origins = _in_order("moveaxis", x, source)
    targets = _in_order("moveaxis", x, destination)
    if len(origins) != len(targets):
        raise complaint(ArgumentError, "moveaxis", "source and destination name different numbers of axes",
                        {"x": x, "source": source, "destination": destination})
    order = [a for a in range(x.ndim) if a not in origins]
    for target, origin in sorted(zip(targets, origins, strict=True)):
        order.insert(target, origin)
    return _permute_dims(x, axes=tuple(order))


@public
def swapaxes(x: Tensor, axis1: int, axis2: int, /) -> Tensor:
    """The tensor with two axes exchanged.

    >>> import tensorlite as tl
    >>> tl.swapaxes(tl.zeros((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    order = list(range(x.ndim))
    i, j = one_axis("swapaxes", x, axis1), one_axis("swapaxes", x, axis2)
    order[i], order[j] = j, i
    return _permute_dims(x, axes=tuple(order))


def _in_order(op: str, x: Tensor, axis: Axis) -> tuple[int, ...]:
    """Axes counted from the front, in the order given and without repetition."""
    some_axes(op, x, axis)
    return tuple(one_axis(op, x, a) for a in (axis if isinstance(axis, tuple | list) else (axis,)))


@public(method=False)
def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """The tensors broadcast to the shape that they have together. Raises `ShapeError` where there is none.

    >>> import tensorlite as tl
    >>> [x.shape for x in tl.broadcast_arrays(tl.zeros((3, 1)), tl.zeros(2))]
    [(3, 2), (3, 2)]
    """
    try:
        shape = np.broadcast_shapes(*(x.shape for x in arrays))
    except ValueError:
        raise complaint(ShapeError, "broadcast_arrays", "the shapes do not broadcast",
                        {f"arrays[{i}]": x for i, x in enumerate(arrays)},
                        "extents must be equal or 1, counted from the last axis") from None
    return tuple(_broadcast_to(x, shape=shape) for x in arrays)


# --- order of elements --------------------------------------------------------------------------------------------


def _same(x: TensorType, **_: Any) -> TensorType:
    return x


@primitive("movement", type=_same, vjp={"x": lambda g, axis: _flip(g, axis=axis)},
           samples=[Sample((2, 3), axis=(1,)), Sample((2, 3), axis=(0, 1)), Sample((), axis=())])
def _flip(xp: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    return xp.flip(x, axis)


@public
def flip(x: Tensor, /, axis: Axis | None = None) -> Tensor:
    """The elements in the reverse order along one, several or all axes.

    >>> import tensorlite as tl
    >>> tl.flip(tl.tensor([1, 2, 3]))
    tensor([3, 2, 1])
    """
    return _flip(x, axis=some_axes("flip", x, axis))


@primitive("movement", type=_same,
           vjp={"x": lambda g, shift, axis: _roll(g, shift=tuple(-n for n in shift), axis=axis)}, batch=leading,
           samples=[Sample((5,), shift=(2,), axis=(0,)), Sample((2, 3), shift=(1, -1), axis=(1, 0)),
                    Sample((2, 0), shift=(1,), axis=(1,))])
def _roll(xp: Any, x: Any, *, shift: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    return xp.roll(x, shift, axis)


@public
def roll(x: Tensor, /, shift: Axis, axis: Axis | None = None) -> Tensor:
    """The elements moved on by ``shift`` places along axes, those pushed out coming in again at the other end.

    Without an axis the elements move as if they lay in one row.

    >>> import tensorlite as tl
    >>> tl.roll(tl.tensor([1, 2, 3, 4]), 1)
    tensor([4, 1, 2, 3])
    """
    shifts = tuple(shift) if isinstance(shift, tuple | list) else (shift,)
    if not shifts:
        raise complaint(ArgumentError, "roll", "there is no shift", {"x": x, "shift": shift, "axis": axis})
    if axis is None:
        row = _roll(_reshape(x, shape=(x.size,)), shift=(sum(shifts),), axis=(0,))
        return _reshape(row, shape=x.shape)
    axes = tuple(one_axis("roll", x, a) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(shifts) == 1:
        shifts *= len(axes)
    if len(shifts) != len(axes):
        raise complaint(ArgumentError, "roll", f"{len(shifts)} shifts for {len(axes)} axes",
                        {"x": x, "shift": shift, "axis": axis})
    return _roll(x, shift=shifts, axis=axes)


# --- repetition ---------------------------------------------------------------------------------------------------


@public
def repeat(x: Tensor, repeats: int | Tensor, /, *, axis: int | None = None) -> Tensor:
    """Each element repeated, along an axis or in all of ``x`` flattened; ``repeats`` may say how often for each.

    Raises `ShapeError` where there is not one count for each element, `ArgumentError` for a negative one.

    >>> import tensorlite as tl
    >>> tl.repeat(tl.tensor([1, 2]), 2), tl.repeat(tl.tensor([1, 2]), tl.tensor([1, 3]))
    (tensor([1, 1, 2, 2]), tensor([1, 2, 2, 2]))
    """
    if axis is None:
        x, axis = _reshape(x, shape=(x.size,)), 0
    axis = one_axis("repeat", x, axis)
    device = devices.get(x.device)
    if isinstance(repeats, Tensor):
        require_elements(repeats, "index", "repeat")
    counts = device.to_numpy(repeats.array) if isinstance(repeats, Tensor) else np.asarray(repeats)
    if counts.size and counts.dtype not in INTEGERS:
        raise complaint(DTypeError, "repeat", "repeats must be integers", {"x": x, "repeats": repeats})
    if counts.size and counts.min() < 0:
        raise complaint(ArgumentError, "repeat", "nothing is repeated a negative number of times",
                        {"x": x, "repeats": repeats})
    n = x.shape[axis]
    if counts.size == 1:
        return _repeat_all(x, int(counts.reshape(())), axis)
    if counts.shape != (n,):
        raise complaint(ShapeError, "repeat", f"repeats must have one count for each of {n} elements",
                        {"x": x, "repeats": repeats})
    places = Tensor(device.asarray(np.repeat(np.arange(n), counts.astype(np.int64))))
    return _take_at(x, places, spec=along(axis, ARRAY))


def _repeat_all(x: Tensor, count: int, axis: int) -> Tensor:
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1:]
    several = _broadcast_to(_reshape(x, shape=(*before, n, 1, *after)), shape=(*before, n, count, *after))
    return _reshape(several, shape=(*before, n * count, *after))


@public
def tile(x: Tensor, repetitions: Sequence[int], /) -> Tensor:
    """The whole tensor repeated along each axis; missing axes and repetitions count as 1.

    >>> import tensorlite as tl
    >>> tl.tile(tl.tensor([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    try:
        counts = tuple(map(operator.index, repetitions if isinstance(repetitions, tuple | list) else (repetitions,)))
    except TypeError:
        raise complaint(DTypeError, "tile", f"repetitions are integers, not {repetitions!r}", {"x": x}) from None
    ndim = max(x.ndim, len(counts))
    shape = (1,) * (ndim - x.ndim) + x.shape
    counts = (1,) * (ndim - len(counts)) + counts
    if any(n < 0 for n in counts):
        raise complaint(ArgumentError, "tile", "nothing is repeated a negative number of times",
                        {"x": x, "repetitions": repetitions})
    apart = tuple(n for extent in shape for n in (1, extent))
    wide = tuple(n for pair in zip(counts, shape, strict=True) for n in pair)
    several = _broadcast_to(_reshape(x, shape=apart), shape=wide)
    return _reshape(several, shape=tuple(n * count for n, count in zip(shape, counts, strict=True)))


# --- triangles ----------------------------------------------------------------------------------------------------


def _matrices(op: str, x: Tensor) -> Tensor:
    if x.ndim < 2:
        raise complaint(ShapeError, op, "a matrix has two axes", {"x": x})
    return x


TRIANGLES = [Sample((3, 4), k=0), Sample((2, 3, 3), k=-1), Sample((3, 2), k=1), Sample((0, 2), k=0)]


@primitive("opaque", type=_same, vjp={"x": lambda g, k: _tril(g, k=k)}, batch=leading, samples=TRIANGLES)
def _tril(xp: Any, x: Any, *, k: int) -> Any:
    return xp.where(xp.tri(*x.shape[-2:], k=k, dtype=bool), x, x.dtype.type(0))


@primitive("opaque", type=_same, vjp={"x": lambda g, k: _triu(g, k=k)}, batch=leading, samples=TRIANGLES)
def _triu(xp: Any, x: Any, *, k: int) -> Any:
    return xp.where(xp.tri(*x.shape[-2:], k=k - 1, dtype=bool), x.dtype.type(0), x)


@public
def tril(x: Tensor, /, k: int = 0) -> Tensor:
    """The lower triangles of matrices: zeros above the ``k``-th diagonal.

    >>> import tensorlite as tl
    >>> tl.tril(tl.ones((2, 2)))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _tril(_matrices("tril", x), k=int(k))


@public
def triu(x: Tensor, /, k: int = 0) -> Tensor:
    """The upper triangles of matrices: zeros below the ``k``-th diagonal.

    >>> import tensorlite as tl
    >>> tl.triu(tl.ones((2, 2)))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _triu(_matrices("triu", x), k=int(k))
