"""New tensors by a rule: arange, linspace, eye and meshgrid."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.filled import create, extents
from tensorlite.ops.shape import broadcast_to, reshape
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import (
    COMPLEX,
    DEFAULT_COMPLEX,
    DEFAULT_FLOAT,
    DEFAULT_INTEGER,
    TensorType,
    dtype_of,
    float64,
    int32,
)


@primitive("create", type=lambda *, start, step, count, dtype: TensorType(dtype, (count,), state.device),
           samples=[Sample(start=1, step=2, count=5, dtype=int32),
                    Sample(start=0.5, step=-0.25, count=3, dtype=DEFAULT_FLOAT)])
def _arange(xp: Any, *, start: float, step: float, count: int, dtype: np.dtype) -> Any:
    if dtype.kind in "iu" and isinstance(start, int) and isinstance(step, int):
        return xp.arange(start, start + step * count, step, dtype=dtype) if count else xp.zeros(0, dtype)
    return (xp.arange(count, dtype=float64) * step + start).astype(dtype)


@public(method=False)
def arange(start: float, /, stop: float | None = None, step: float = 1, *, dtype: Any = None,
           device: str | None = None) -> Tensor:
    """The numbers from ``start`` up to but without ``stop``, ``step`` apart; with one argument, from 0 up to it.

    int64 where all three are integers, else float32. Raises `ArgumentError` for a step of 0.

    >>> import tensorlite as tl
    >>> tl.arange(5), tl.arange(1, 0, -0.25)
    (tensor([0, 1, 2, 3, 4]), tensor([1.  , 0.75, 0.5 , 0.25]))
    """
    start, stop = (0, start) if stop is None else (start, stop)
    start, stop, step = (_number("arange", x) for x in (start, stop, step))
    if step == 0:
        raise complaint(ArgumentError, "arange", "a step of 0 never arrives", {"start": start, "stop": stop})
    whole = all(isinstance(x, int) for x in (start, stop, step))
    count = -((start - stop) // step) if whole else _steps(start, stop, step)
    wanted = dtype_of(dtype) if dtype is not None else DEFAULT_INTEGER if whole else DEFAULT_FLOAT
    return create("arange", _arange, device, start=start, step=step, count=max(int(count), 0), dtype=wanted)


def _steps(start: float, stop: float, step: float) -> int:
    count = (stop - start) / step
    if not math.isfinite(count):
        raise complaint(ArgumentError, "arange", "the range has no end",
                        {"start": start, "stop": stop, "step": step})
    return math.ceil(count)


def _number(op: str, value: Any) -> Any:
    """A real number from a Python, NumPy or tensor scalar."""
    if isinstance(value, Tensor | np.generic):
        value = value.item()
    if not isinstance(value, int | float):
        raise complaint(DTypeError, op, f"takes real numbers, not {type(value).__name__}", {"argument": value})
    return value


@primitive("create", type=lambda *, start, stop, num, dtype, endpoint: TensorType(dtype, (num,), state.device),
           samples=[Sample(start=0.0, stop=1.0, num=5, dtype=DEFAULT_FLOAT, endpoint=True),
                    Sample(start=1.0, stop=-1.0, num=4, dtype=DEFAULT_FLOAT, endpoint=False)])
def _linspace(xp: Any, *, start: complex, stop: complex, num: int, dtype: np.dtype, endpoint: bool) -> Any:
    return xp.linspace(start, stop, num, endpoint=endpoint).astype(dtype)


@public(method=False)
def linspace(start: complex, stop: complex, /, num: int, *, dtype: Any = None, device: str | None = None,
             endpoint: bool = True) -> Tensor:
    """``num`` evenly spaced numbers from ``start`` to ``stop``, which is left out where ``endpoint`` is false.

    float32, or complex64 where an end is complex. Raises `DTypeError` for integer dtypes.

    >>> import tensorlite as tl
    >>> tl.linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    ends = [x.item() if isinstance(x, Tensor | np.generic) else x for x in (start, stop)]
    is_complex = any(isinstance(x, complex) for x in ends)
    wanted = dtype_of(dtype) if dtype is not None else DEFAULT_COMPLEX if is_complex else DEFAULT_FLOAT
    if wanted.kind in "biu" or (is_complex and wanted not in COMPLEX):
        raise complaint(DTypeError, "linspace", f"{wanted.name} cannot hold the numbers",
                        {"start": start, "stop": stop}, f"use dtype=tl.{'complex64' if is_complex else 'float32'}")
    (count,) = extents("linspace", num)
    return create("linspace", _linspace, device, start=ends[0], stop=ends[1], num=count, dtype=wanted,
                  endpoint=bool(endpoint))


@primitive("create", type=lambda *, shape, k, dtype: TensorType(dtype, shape, state.device),
           samples=[Sample(shape=(3, 4), k=1, dtype=DEFAULT_FLOAT), Sample(shape=(2, 0), k=0, dtype=DEFAULT_FLOAT)])
def _eye(xp: Any, *, shape: tuple[int, int], k: int, dtype: np.dtype) -> Any:
    return xp.eye(*shape, k=k, dtype=dtype)


@public(method=False)
def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None,
        device: str | None = None) -> Tensor:
    """A matrix with ones on its ``k``-th diagonal (above the main one where positive) and zeros elsewhere.

    >>> import tensorlite as tl
    >>> tl.eye(2, 3, k=1)
    tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    shape = extents("eye", (n_rows, n_rows if n_cols is None else n_cols))
    return create("eye", _eye, device, shape=shape, k=max(-shape[0], min(int(k), shape[1])),
                  dtype=dtype_of(dtype or DEFAULT_FLOAT))


@public(method=False)
def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Grids of coordinates: one tensor for each of the given axes, repeated along all the others.

    The tensors may be given as one list. ``indexing`` is ``"ij"`` for axes in the given order, ``"xy"`` for the first
    two exchanged, as in a picture. Raises `ShapeError` for a tensor of more than one axis, `DTypeError` where dtypes
    differ.

    >>> import tensorlite as tl
    >>> rows, columns = tl.meshgrid(tl.arange(2), tl.arange(3), indexing="ij")
    >>> columns
    tensor([[0, 1, 2],
            [0, 1, 2]])
    """
    if len(arrays) == 1 and isinstance(arrays[0], list | tuple):
        arrays = tuple(arrays[0])
    if indexing not in ("xy", "ij"):
        raise complaint(ArgumentError, "meshgrid", f"indexing is 'xy' or 'ij', not {indexing!r}")
    named = {f"arrays[{i}]": x for i, x in enumerate(arrays)}
    if any(x.ndim > 1 for x in arrays):
        raise complaint(ShapeError, "meshgrid", "coordinates have one axis", named)
    if len({x.dtype for x in arrays}) > 1:
        raise complaint(DTypeError, "meshgrid", "coordinates have one dtype", named, "cast them first: x.to(...)")
    places = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        places[:2] = 1, 0
    shape = [0] * len(arrays)
    for place, x in zip(places, arrays, strict=True):
        shape[place] = x.size
    return tuple(
        broadcast_to(reshape(x, tuple(x.size if i == place else 1 for i in range(len(arrays)))), shape)
        for place, x in zip(places, arrays, strict=True))
