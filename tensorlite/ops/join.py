"""Joining tensors and taking them apart: concat, stack, unstack, split, chunk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from typing import Any

from tensorlite.batch import leading
from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.axes import one_axis
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.shape import _reshape, astype
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, promote


def along(axis: int, part: Any) -> tuple[Any, ...]:
    """The index that takes ``part`` of one axis and all of the others."""
    return (*(slice(None),) * axis, part)


def _concat_type(*arrays: TensorType, axis: int, _offsets: tuple[int, ...]) -> TensorType:
    first = arrays[0].shape
    for x in arrays[1:]:
        if len(x.shape) != len(first) or any(n != m for i, (n, m) in enumerate(zip(first, x.shape)) if i != axis):
            raise ShapeError(f"{list(first)} and {list(x.shape)} differ on another axis than {axis}",
                             "all extents but that of the axis must be equal")
    return TensorType(arrays[0].dtype, (*first[:axis], _offsets[-1], *first[axis + 1:]), arrays[0].device)


@primitive("movement", type=_concat_type, vjp={"arrays": lambda g, index, axis, _offsets: _slice(
    g, spec=along(axis, slice(_offsets[index], _offsets[index + 1])))}, batch=leading,
           samples=[Sample((2, 3), (1, 3), axis=0, _offsets=(0, 2, 3)),
                    Sample((2, 0), (2, 3), axis=1, _offsets=(0, 0, 3)), Sample((2, 3), axis=0, _offsets=(0, 2))])
def _concat(xp: Any, *arrays: Any, axis: int, _offsets: tuple[int, ...]) -> Any:
    return xp.concatenate(arrays, axis=axis)


def of_one_dtype(op: str, arrays: Sequence[Tensor]) -> list[Tensor]:
    """Tensors brought to the dtype that they all promote to."""
    if isinstance(arrays, Tensor):
        arrays = [arrays[i] for i in range(len(arrays))]
    if not isinstance(arrays, Sequence) or not all(isinstance(x, Tensor) for x in arrays):
        raise complaint(DTypeError, op, "takes a sequence of tensors", {"arrays": arrays})
    if not arrays:
        raise complaint(ArgumentError, op, "takes at least one tensor")
    dtype = reduce(promote, (x.dtype for x in arrays))
    return [astype(x, dtype, copy=False) for x in arrays]


@public(method=False)
def concat(arrays: Sequence[Tensor], /, axis: int | None = 0) -> Tensor:
    """The tensors one after the other along an axis that they have; flattened first where ``axis`` is None.

    Dtypes promote. Raises `ShapeError` where other extents differ.

    >>> import tensorlite as tl
    >>> tl.concat([tl.tensor([1, 2]), tl.tensor([3])])
    tensor([1, 2, 3])
    """
    parts = of_one_dtype("concat", arrays)
    if axis is None:
        parts, axis = [_reshape(x, shape=(x.size,)) for x in parts], 0
    axis = one_axis("concat", parts[0], axis)
    if any(x.ndim != parts[0].ndim for x in parts):
        raise complaint(ShapeError, "concat", "tensors to join have the same number of axes",
                        {f"arrays[{i}]": x for i, x in enumerate(parts)})
    return _concat(*parts, axis=axis, _offsets=(0, *accumulate(x.shape[axis] for x in parts)))


@public(method=False)
def stack(arrays: Sequence[Tensor], /, axis: int = 0) -> Tensor:
    """The tensors side by side along a new axis.

    Dtypes promote. Raises `ShapeError` where shapes differ.

    >>> import tensorlite as tl
    >>> tl.stack([tl.tensor([1, 2]), tl.tensor([3, 4])], axis=1)
    tensor([[1, 3],
            [2, 4]])
    """
    parts = of_one_dtype("stack", arrays)
    first = parts[0].shape
    if any(x.shape != first for x in parts):
        raise complaint(ShapeError, "stack", "tensors to stack have one shape",
                        {f"arrays[{i}]": x for i, x in enumerate(parts)})
    axis = one_axis("stack", parts[0], axis, len(first) + 1)
    shape = (*first[:axis], 1, *first[axis:])
    return _concat(*(_reshape(x, shape=shape) for x in parts), axis=axis, _offsets=tuple(range(len(parts) + 1)))


@public
def unstack(x: Tensor, /, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of a tensor along an axis, which they no longer have.

    >>> import tensorlite as tl
    >>> tl.unstack(tl.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    if x.ndim == 0:
        raise complaint(ShapeError, "unstack", "a 0-dimensional tensor has no axis", {"x": x})
    axis = one_axis("unstack", x, axis)
    return tuple(_slice(x, spec=along(axis, i)) for i in range(x.shape[axis]))


@public
def split(x: Tensor, split_size: int | Sequence[int], /, axis: int = 0) -> tuple[Tensor, ...]:
    """The tensor in parts along an axis, each ``split_size`` long (the last maybe shorter), or of the given lengths.

    Raises `ShapeError` where given lengths do not add up to the extent.

    >>> import tensorlite as tl
    >>> tl.split(tl.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    axis = one_axis("split", x, axis)
    extent = x.shape[axis]
    if isinstance(split_size, int):
        if split_size <= 0:
            raise complaint(ArgumentError, "split", f"parts cannot be {split_size} long", {"x": x})
        ends = [*range(split_size, extent, split_size), extent]
    else:
        ends = list(accumulate(split_size))
        if not ends or ends[-1] != extent or any(n < 0 for n in split_size):
            raise complaint(ShapeError, "split", f"the lengths do not add up to {extent}",
                            {"x": x, "split_size": split_size, "axis": axis})
    starts = [0, *ends[:-1]]
    lengths = {end - start for start, end in zip(starts, ends, strict=True)}
    if state.met is not None and len(ends) > 1 and len(lengths) == 1:  # a trace has no views that could be changed
        return _parts(x, axis=axis, count=len(ends))
    return tuple(_slice(x, spec=along(axis, slice(*bounds))) for bounds in zip(starts, ends, strict=True))


def _parts_type(x: TensorType, *, axis: int, count: int) -> tuple[TensorType, ...]:
    if x.shape[axis] % count:
        raise ShapeError(f"axis {axis} of extent {x.shape[axis]} has no {count} equal parts")
    shape = (*x.shape[:axis], x.shape[axis] // count, *x.shape[axis + 1:])
    return (TensorType(x.dtype, shape, x.device),) * count


@primitive("index", type=_parts_type, vjp={"x": lambda g, axis: concat(g, axis=axis)},
           samples=[Sample((2, 6), axis=1, count=3), Sample((4, 0), axis=0, count=2), Sample((3,), axis=0, count=1)])
def _parts(xp: Any, x: Any, *, axis: int, count: int) -> Any:
    """Equal parts along an axis, whose derivative is one concatenation of theirs."""
    if x.shape[axis] % count:
        raise ShapeError(f"axis {axis} of extent {x.shape[axis]} has no {count} equal parts")
    each = x.shape[axis] // count
    return tuple(x[along(axis, slice(i * each, (i + 1) * each))] for i in range(count))


@public
def chunk(x: Tensor, chunks: int, /, axis: int = 0) -> tuple[Tensor, ...]:
    """The tensor in at most ``chunks`` parts along an axis, equally long but for the last.

    >>> import tensorlite as tl
    >>> tl.chunk(tl.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if chunks < 1:
        raise complaint(ArgumentError, "chunk", f"there cannot be {chunks} parts", {"x": x})
    axis = one_axis("chunk", x, axis)
    return split(x, max(-(-x.shape[axis] // chunks), 1), axis)
