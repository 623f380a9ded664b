"""Indexing: slices are views, integer arrays gather, masks are integer arrays in disguise; assignment makes a value.

An index is split into a `spec`, where integers, slices, None and Ellipsis stand for themselves and `ARRAY` for each
integer tensor, and those tensors, which are the op's inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.declare import primitive
from tensorlite.op import Integers, Sample
from tensorlite.ops.shape import _sum_to, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

ARRAY = "array"


def split_index(index: Any) -> tuple[tuple[Any, ...], list[Tensor]]:
    """The spec and the tensors of an index as users write it; masks become the positions of their true elements."""
    spec: list[Any] = []
    tensors: list[Tensor] = []
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, bool | np.bool_):
            part = Tensor(np.asarray(part))
        elif isinstance(part, list | np.ndarray):
            part = Tensor(np.asarray(part) if len(part) else np.zeros(np.shape(part), np.int64))
        if isinstance(part, Tensor):
            _add_tensor(part, spec, tensors)
        elif part is None or part is Ellipsis:
            spec.append(part)
        elif isinstance(part, slice):
            spec.append(slice(*(None if bound is None else bound.__index__()
                                for bound in (part.start, part.stop, part.step))))
        elif hasattr(part, "__index__"):
            spec.append(part.__index__())
        else:
            raise errors.IndexingError(
                f"an index is made of integers, slices, None, ... and tensors, not {type(part).__name__}")
    return tuple(spec), tensors


def _add_tensor(part: Tensor, spec: list[Any], tensors: list[Tensor]) -> None:
    if part.dtype == bool:
        if part.ndim == 0:
            spec += [None, ARRAY]
            tensors.append(Tensor(np.zeros(int(part.array), np.int64)))
            return
        positions = part.array.nonzero()
        spec += [ARRAY] * part.ndim
        tensors += map(Tensor, positions)
        return
    if part.dtype.kind not in "iu":
        raise errors.IndexingError(f"a tensor that indexes must be integer or bool, not {part.dtype.name}",
                                   "cast it first: x.to(tl.int64)")
    spec.append(ARRAY)
    tensors.append(part)


def join_index(spec: Sequence[Any], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The index that NumPy understands: arrays in their places in the spec."""
    rest = iter(arrays)
    return tuple(next(rest) if part is ARRAY or part == ARRAY and isinstance(part, str) else part for part in spec)


def indexed_shape(shape: tuple[int, ...], spec: Sequence[Any], indices: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that an index gives, found on an array without elements of its own."""
    probe = np.broadcast_to(np.empty((), np.bool_), shape)
    return probe[join_index(spec, [np.zeros(s, np.int64) for s in indices])].shape if 0 not in shape else (
        np.empty(shape, np.bool_)[join_index(spec, [np.zeros((0,) * len(s), np.int64) for s in indices])].shape)


@primitive("movement", type=lambda x, *, spec: retype(x, indexed_shape(x.shape, spec, ())),
           vjp={"x": lambda g, x_shape, spec: _unslice(g, spec=spec, shape=x_shape)},
           samples=[Sample((4, 5), spec=(slice(1, 3),)), Sample((4, 5), spec=(..., None, slice(None, None, -2))),
                    Sample((3, 4), spec=(1, 2))])
def _slice(xp: Any, x: Any, *, spec: tuple[Any, ...]) -> Any:
    return x[(*spec, Ellipsis) if Ellipsis not in spec else spec]


@primitive("index", type=lambda g, *, spec, shape: retype(g, shape), vjp={"g_": lambda g, spec: _slice(g, spec=spec)},
           samples=[Sample((2, 5), spec=(slice(1, 3),), shape=(4, 5))])
def _unslice(xp: Any, g_: Any, *, spec: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    out = xp.zeros(shape, g_.dtype)
    out[spec] = g_
    return out


def _take_type(x: TensorType, *indices: TensorType, spec: tuple[Any, ...]) -> TensorType:
    return retype(x, indexed_shape(x.shape, spec, [i.shape for i in indices]))


@primitive("index", type=_take_type, vjp={"x": lambda g, indices, x_shape, spec: _put_add(
    g, *indices, spec=spec, shape=x_shape)},
           samples=[Sample((4, 5), Integers((3,), -4, 4), spec=(ARRAY,)),
                    Sample((4, 5), Integers((2, 1), 0, 4), Integers((3,), 0, 5), spec=(ARRAY, ARRAY)),
                    Sample((4, 5, 2), Integers((3,), 0, 2), spec=(..., ARRAY))])
def _take_at(xp: Any, x: Any, *indices: Any, spec: tuple[Any, ...]) -> Any:
    return x[join_index(spec, indices)]


@primitive("index", type=lambda g_, *indices, spec, shape: retype(g_, shape),
           vjp={"g_": lambda g, indices, spec: _take_at(g, *indices, spec=spec)},
           samples=[Sample((3, 5), Integers((3,), 0, 4), spec=(ARRAY,), shape=(4, 5))])
def _put_add(xp: Any, g_: Any, *indices: Any, spec: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    out = xp.zeros(shape, g_.dtype)
    xp.add.at(out, join_index(spec, indices), g_)
    return out


def get_item_at(x: Tensor, indices: Sequence[Tensor], spec: tuple[Any, ...]) -> Tensor:
    """Reads what an index that was split names."""
    return _take_at(x, *indices, spec=spec) if indices else _slice(x, spec=spec)


def _set_value_vjp(g: Tensor, indices: tuple[Tensor, ...], value_shape: tuple[int, ...],
                   spec: tuple[Any, ...]) -> Tensor:
    return _sum_to(get_item_at(g, indices, spec), shape=value_shape)


@primitive("index", type=lambda x, value, *indices, spec: x,
           vjp={"x": lambda g, indices, spec: set_item_at(g, 0, indices, spec), "value": _set_value_vjp},
           samples=[Sample((4, 5), (2, 5), spec=(slice(1, 3),)), Sample((4, 5), (5,), Integers((2,), 0, 1), spec=(ARRAY,))])
def _set_at(xp: Any, x: Any, value: Any, *indices: Any, spec: tuple[Any, ...]) -> Any:
    out = x.copy()
    out[join_index(spec, indices)] = value
    return out


def get_item(x: Tensor, index: Any) -> Tensor:
    """Reads ``x[index]``."""
    try:
        spec, indices = split_index(index)
    except errors.IndexingError as error:
        raise errors.complaint(errors.IndexingError, "getitem", error.problem, {"x": x, "index": index},
                               error.fix) from None
    return get_item_at(x, indices, spec)


def set_item_at(x: Tensor, value: Any, indices: Sequence[Tensor], spec: tuple[Any, ...]) -> Tensor:
    """The value that ``x`` has after an assignment to what a split index names."""
    value = value if isinstance(value, Tensor) else Tensor(np.asarray(value, dtype=x.dtype))
    return _set_at(x, value, *indices, spec=spec)
