"""Indexing: slices are views, integer arrays gather, masks are integer arrays in disguise; assignment makes a value.

An index is split into a `spec`, where integers, slices, None and Ellipsis stand for themselves, `ARRAY` for each
integer tensor and `YES` or `NO` for a mask without axes, and those tensors, which are the op's inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.declare import primitive
from tensorlite.kernels import device as devices
from tensorlite.op import Integers, Sample
from tensorlite.ops.creation import from_python
from tensorlite.ops.elementwise import equal, where
from tensorlite.ops.filled import zeros
from tensorlite.ops.indexing import batched as batched_index
from tensorlite.ops.indexing.errors import what_is_wrong
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _reshape, retype, sum_to
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType
from tensorlite.traced import require_elements

ARRAY, YES, NO = "array", "yes", "no"

Spec = tuple[Any, ...]


# --- reading an index ---------------------------------------------------------------------------------------------


def split_index(index: Any, x: Tensor) -> tuple[Spec, list[Tensor]]:
    """The spec and the tensors of an index as users write it; masks become the positions of their true elements."""
    if type(index) is int:
        return (index,), []
    parts = [_read(part, x) for part in (index if isinstance(index, tuple) else (index,))]
    spare = x.ndim - sum(map(_axes_taken, parts))
    spec: list[Any] = []
    tensors: list[Tensor] = []
    axis = 0
    for part in parts:
        if not isinstance(part, Tensor):
            spec.append(part)
        elif part.dtype.kind == "b":
            _add_mask(part, x, axis, spec, tensors)
        else:
            spec.append(ARRAY)
            tensors.append(part)
        axis += spare if part is Ellipsis else _axes_taken(part)
    return tuple(spec), tensors


def _read(part: Any, x: Tensor) -> Any:
    """One part of an index: an integer, a slice, None, Ellipsis, or a tensor of integers or bools."""
    if part is None or part is Ellipsis or type(part) is int:
        return part
    if isinstance(part, slice):
        if part.step == 0:
            raise errors.IndexingError("a slice's step cannot be 0")
        return slice(_bound(part.start), _bound(part.stop), _bound(part.step))
    if isinstance(part, list | np.ndarray | bool | np.bool_):
        array = from_python(part, None)
        array = array.astype(np.int64) if isinstance(part, list) and not array.size else array
        part = Tensor(devices.get(x.device).asarray(array))
    if isinstance(part, Tensor):
        if part.dtype.kind not in "biu":
            raise errors.IndexingError(f"a tensor that indexes must be integer or bool, not {part.dtype.name}",
                                       "cast it first: x.to(tl.int64)")
        return part
    if hasattr(part, "__index__"):
        return part.__index__()
    raise errors.IndexingError(
        f"an index is made of integers, slices, None, ... and tensors, not {type(part).__name__}")


def _bound(bound: Any) -> int | None:
    if bound is not None and not hasattr(bound, "__index__"):
        raise errors.IndexingError(f"a slice is made of integers and None, not {type(bound).__name__}")
    return None if bound is None else bound.__index__()


def _axes_taken(part: Any) -> int:
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, Tensor) and part.dtype.kind == "b" else 1


def _add_mask(mask: Tensor, x: Tensor, axis: int, spec: list[Any], tensors: list[Tensor]) -> None:
    require_elements(mask, "mask", "index")
    if mask.ndim == 0:
        spec.append(YES if mask.array else NO)
        return
    extents = x.shape[axis:axis + mask.ndim]
    if mask.shape != extents:
        raise errors.IndexingError(f"a mask of shape {list(mask.shape)} does not fit axes of extents {list(extents)}")
    spec += [ARRAY] * mask.ndim
    tensors += map(Tensor, mask.array.nonzero())


def join_index(spec: Sequence[Any], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The index that NumPy understands: arrays in their places, and a final ... so that no element becomes a scalar."""
    index = _in_places(spec, arrays)
    return index if Ellipsis in spec else (*index, Ellipsis)


def _in_places(spec: Sequence[Any], arrays: Sequence[Any]) -> tuple[Any, ...]:
    rest = iter(arrays)
    return tuple(part if type(part) is not str else next(rest) if part == ARRAY else part == YES for part in spec)


def indexed_shape(shape: tuple[int, ...], spec: Sequence[Any], indices: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that an index gives, found on an array without memory of its own; integers count as in bounds."""
    roomy = tuple(max(n, 1) if part == ARRAY else n for n, part in zip(shape, _by_axis(spec, len(shape)), strict=True))
    probe = np.broadcast_to(np.empty((), np.bool_), roomy)
    return probe[join_index(spec, [np.broadcast_to(np.int64(0), s) for s in indices])].shape


def _by_axis(spec: Sequence[Any], ndim: int) -> list[Any]:
    """The part of a spec that stands for each axis."""
    parts = [part for part in spec if part not in (None, YES, NO)]
    place = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    rest = ndim - len(parts) + (Ellipsis in parts)
    return [*parts[:place], *[slice(None)] * rest, *parts[place + 1:]]


# --- basic indexing: views ----------------------------------------------------------------------------------------


@primitive("movement", type=lambda x, *, spec: retype(x, indexed_shape(x.shape, spec, ())),
           vjp={"x": lambda g, x_shape, spec: _unslice(g, spec=spec, shape=x_shape)},
           batch=batched_index.read_rule,
           samples=[Sample((4, 5), spec=(slice(1, 3),)), Sample((4, 5), spec=(..., None, slice(None, None, -2))),
                    Sample((3, 4), spec=(1, 2)), Sample((3, 0), spec=(slice(2),))])
def _slice(xp: Any, x: Any, *, spec: Spec) -> Any:
    return x[join_index(spec, ())]


@primitive("index", type=lambda g, *, spec, shape: retype(g, shape), vjp={"g_": lambda g, spec: _slice(g, spec=spec)},
           batch=batched_index.place_rule,
           samples=[Sample((2, 5), spec=(slice(1, 3),), shape=(4, 5))])
def _unslice(xp: Any, g_: Any, *, spec: Spec, shape: tuple[int, ...]) -> Any:
    out = xp.zeros(shape, g_.dtype)
    out[join_index(spec, ())] = g_
    return out


# --- integer tensors ----------------------------------------------------------------------------------------------


def _take_type(x: TensorType, *indices: TensorType, spec: Spec) -> TensorType:
    return retype(x, indexed_shape(x.shape, spec, [i.shape for i in indices]))


@primitive("index", type=_take_type, vjp={"x": lambda g, indices, x_shape, spec: _put_add(
    g, *indices, spec=spec, shape=x_shape)}, batch=batched_index.read_rule,
           samples=[Sample((4, 5), Integers((3,), -4, 4), spec=(ARRAY,)),
                    Sample((4, 5), Integers((2, 1), 0, 4), Integers((3,), 0, 5), spec=(ARRAY, ARRAY)),
                    Sample((4, 5, 2), Integers((3,), 0, 2), spec=(..., ARRAY)),
                    Sample((3, 4, 2), Integers((3,), 0, 2), spec=(1, slice(None), ARRAY)),
                    Sample((4, 5), Integers((0,), 0, 4), spec=(slice(None, None, 2), ARRAY))])
def _take_at(xp: Any, x: Any, *indices: Any, spec: Spec) -> Any:
    return x[join_index(spec, indices)]


@primitive("index", type=lambda g_, *indices, spec, shape: retype(g_, shape),
           vjp={"g_": lambda g, indices, spec: _take_at(g, *indices, spec=spec)}, batch=batched_index.place_rule,
           samples=[Sample((3, 5), Integers((3,), 0, 4), spec=(ARRAY,), shape=(4, 5))])
def _put_add(xp: Any, g_: Any, *indices: Any, spec: Spec, shape: tuple[int, ...]) -> Any:
    out = xp.zeros(shape, accumulator(g_.dtype))
    xp.add.at(out, join_index(spec, indices), g_.astype(out.dtype, copy=False))
    return out.astype(g_.dtype, copy=False)


def get_item_at(x: Tensor, indices: Sequence[Tensor], spec: Spec) -> Tensor:
    """Reads what an index that was split names."""
    return _take_at(x, *indices, spec=spec) if indices else _slice(x, spec=spec)


def get_item(x: Tensor, index: Any) -> Tensor:
    """Reads ``x[index]``.

    Integers, slices, None, Ellipsis, integer tensors, masks, and lists of integers or bools index as in NumPy. Raises
    `IndexingError` for what ``x`` does not have.

    >>> import tensorlite as tl
    >>> x = tl.tensor([[1, 2, 3], [4, 5, 6]])
    >>> x[1, ::-1], x[x > 4], x[[0, 0], [1, 2]]
    (tensor([6, 5, 4]), tensor([5, 6]), tensor([2, 3]))
    """
    try:
        spec, indices = split_index(index, x)
        return get_item_at(x, indices, spec)
    except errors.IndexingError as error:
        raise _index_error("getitem", error, x, index) from None


errors.ENTRIES[id(get_item.__code__)] = "getitem"


def _index_error(op: str, error: errors.IndexingError, x: Tensor, index: Any,
                 **more: object) -> errors.IndexingError:
    """The error about an index in the user's terms."""
    problem = (error.problem.splitlines()[0], error.fix)
    if error.complete:  # the arrays refused it
        spec, indices = split_index(index, x)
        problem = what_is_wrong(x.shape, join_index(spec, [i.array for i in indices])) or problem
    return errors.complaint(errors.IndexingError, op, problem[0], {"x": x, "index": index, **more}, problem[1])  # type: ignore[return-value]


# --- assignment ---------------------------------------------------------------------------------------------------


def _set_value_vjp(g: Tensor, indices: tuple[Tensor, ...], value_shape: tuple[int, ...], spec: Spec) -> Tensor:
    """Reads the assigned elements; where several went to one place, only the one that stayed counts."""
    region = get_item_at(g, indices, spec)
    if indices:
        region = where(_stayed(*indices, spec=spec, shape=g.shape), region, 0)
    fitting = value_shape[max(len(value_shape) - region.ndim, 0):]
    return _reshape(sum_to(region, fitting), shape=value_shape)


def _stayed_meaning(*indices: Tensor, spec: Spec, shape: tuple[int, ...]) -> Tensor:
    region = indexed_shape(shape, spec, [i.shape for i in indices])
    numbers = _reshape(arange(prod(region)), shape=region)
    board = _set_at(zeros(shape, dtype=numbers.dtype), numbers, *indices, spec=spec)
    return equal(get_item_at(board, indices, spec), numbers)


@primitive("index", type=lambda *indices, spec, shape: retype(indices[0], indexed_shape(
    shape, spec, [i.shape for i in indices]), np.dtype(bool)), meaning=_stayed_meaning, batch=batched_index.stayed_rule,
           samples=[Sample(Integers((3,), 0, 4), spec=(ARRAY,), shape=(4, 2))])
def _stayed(xp: Any, *indices: Any, spec: Spec, shape: tuple[int, ...]) -> Any:
    """Whether each of the elements assigned to an index is still there afterwards."""
    index = join_index(spec, indices)
    board = xp.zeros(shape, np.int64)
    numbers = xp.arange(board[index].size).reshape(board[index].shape)
    board[index] = numbers
    return board[index] == numbers


def _set_type(x: TensorType, value: TensorType, *indices: TensorType, spec: Spec) -> TensorType:
    region = indexed_shape(x.shape, spec, [i.shape for i in indices])
    fitting = value.shape[max(len(value.shape) - len(region), 0):] if set(value.shape) <= {1} else value.shape
    try:
        fits = np.broadcast_shapes(region, fitting) == region
    except ValueError:
        fits = False
    if not fits:
        raise errors.ShapeError(f"a value of shape {list(value.shape)} does not broadcast to the shape {list(region)} "
                                "that the index names")
    return x


@primitive("index", type=_set_type, batch=batched_index.set_rule,
           vjp={"x": lambda g, indices, spec: set_item_at(g, 0, indices, spec), "value": _set_value_vjp},
           samples=[Sample((4, 5), (2, 5), spec=(slice(1, 3),)), Sample((4, 5), (), spec=(1, 2)),
                    Sample((4, 5), (5,), Integers((2,), 0, 1), spec=(ARRAY,)),
                    Sample((4, 5), (3, 1), Integers((3,), 0, 5), spec=(slice(0, 3), ARRAY))])
def _set_at(xp: Any, x: Any, value: Any, *indices: Any, spec: Spec) -> Any:
    out = x.copy()
    out[join_index(spec, indices)] = value
    return out


def set_item_at(x: Tensor, value: Any, indices: Sequence[Tensor], spec: Spec) -> Tensor:
    """The value that ``x`` has after an assignment to what a split index names."""
    if not isinstance(value, Tensor):
        value = Tensor(devices.get(x.device).asarray(np.asarray(value, dtype=x.dtype)))
    try:
        return _set_at(x, value, *indices, spec=spec)
    except errors.TensorliteError as error:
        index = _in_places(spec, indices)
        index = index[0] if len(index) == 1 else index
        if isinstance(error, errors.IndexingError):
            raise _index_error("setitem", error, x, index, value=value) from None
        raise errors.complaint(type(error), "setitem", error.problem.splitlines()[0].removeprefix("set_at: "),
                               {"x": x, "index": index, "value": value}, error.fix) from None
