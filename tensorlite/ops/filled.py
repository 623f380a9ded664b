"""New tensors of a given shape: full, zeros, ones, empty, and the same shaped like another tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite.context import find
from tensorlite.declare import primitive, public
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.axes import as_shape
from tensorlite.ops.shape import astype, broadcast_to
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, TensorType, can_hold, default_dtype, dtype_of, scalar_kind


def create(name: str, op: Callable[..., Tensor], device: str | None, **attributes: Any) -> Tensor:
    """Applies an op that has no inputs, for the public function ``name``, on a device."""
    if device is None or device == state.device:
        return op(**attributes)
    before, state.device = state.device, find(device, name).name
    try:
        return op(**attributes)
    finally:
        state.device = before


def extents(op: str, shape: int | Sequence[int]) -> tuple[int, ...]:
    """A shape to fill; raises `ShapeError` where an extent is negative."""
    wanted = as_shape(op, shape)
    if any(n < 0 for n in wanted):
        raise complaint(ShapeError, op, f"no tensor has shape {list(wanted)}", None, "extents are 0 or more")
    return wanted


def _together(shape: Any, more: tuple[int, ...]) -> Any:
    """A shape given as one sequence, or its extents one by one."""
    return (shape, *more) if more else shape


def _created_type(*, shape: tuple[int, ...], dtype: np.dtype, **_: Any) -> TensorType:
    return TensorType(dtype, shape, state.device)


@primitive("create", type=_created_type, samples=[Sample(shape=(2, 3), fill_value=1.5, dtype=DEFAULT_FLOAT),
                                                  Sample(shape=(), fill_value=2, dtype=DEFAULT_FLOAT)])
def _full(xp: Any, *, shape: tuple[int, ...], fill_value: Any, dtype: np.dtype) -> Any:
    return xp.full(shape, fill_value, dtype)


@primitive("create", type=_created_type, samples=[Sample(shape=(2, 0), dtype=DEFAULT_FLOAT)])
def _zeros(xp: Any, *, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    return xp.zeros(shape, dtype)


@primitive("create", type=_created_type)
def _empty(xp: Any, *, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    return xp.empty(shape, dtype)


def _filled(op: str, shape: int | Sequence[int], value: Any, dtype: np.dtype | None, device: str | None) -> Tensor:
    wanted = extents(op, shape)
    if isinstance(value, Tensor):
        return broadcast_to(astype(value, dtype or value.dtype, copy=False), wanted)
    if isinstance(value, np.generic):
        value = value.item()
    kind = scalar_kind(value)
    if kind is None:
        raise complaint(DTypeError, op, f"fill_value must be a number, not {type(value).__name__}")
    dtype = dtype or default_dtype(kind)
    if not can_hold(dtype, default_dtype(kind)) and not _is_exact(value, dtype):
        raise complaint(DTypeError, op, f"{dtype.name} cannot hold {value!r}", None, "choose another dtype")
    return create(op, _full, device, shape=wanted, fill_value=value, dtype=dtype)


def _is_exact(value: Any, dtype: np.dtype) -> bool:
    try:
        return dtype.type(value) == value
    except (OverflowError, TypeError, ValueError):
        return False


@public(method=False)
def full(shape: int | Sequence[int], fill_value: Any, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """A tensor whose elements all are ``fill_value``: a Python number, or a tensor that broadcasts.

    Its dtype is by default float32, int64, bool or complex64, as the number is. Raises `DTypeError` where the dtype
    cannot hold the number.

    >>> import tensorlite as tl
    >>> tl.full((2, 2), 1.5)
    tensor([[1.5, 1.5],
            [1.5, 1.5]])
    """
    return _filled("full", shape, fill_value, None if dtype is None else dtype_of(dtype), device)


@public(method=False)
def zeros(shape: int | Sequence[int], *more: int, dtype: Any = None, device: str | None = None) -> Tensor:
    """A tensor of zeros, by default float32; its extents in a sequence or one by one.

    >>> import tensorlite as tl
    >>> tl.zeros((2, 3)).type
    TensorType(dtype=dtype('float32'), shape=(2, 3), device='cpu')
    """
    wanted = extents("zeros", _together(shape, more))
    return create("zeros", _zeros, device, shape=wanted, dtype=dtype_of(dtype or DEFAULT_FLOAT))


@public(method=False)
def ones(shape: int | Sequence[int], *more: int, dtype: Any = None, device: str | None = None) -> Tensor:
    """A tensor of ones, by default float32; its extents in a sequence or one by one.

    >>> import tensorlite as tl
    >>> tl.ones(3, dtype=tl.int64)
    tensor([1, 1, 1])
    """
    return _filled("ones", _together(shape, more), 1, dtype_of(dtype or DEFAULT_FLOAT), device)


@public(method=False)
def empty(shape: int | Sequence[int], *more: int, dtype: Any = None, device: str | None = None) -> Tensor:
    """A tensor whose elements are whatever its memory holds, by default float32; its extents as those of `zeros`.

    >>> import tensorlite as tl
    >>> tl.empty((2, 3)).shape
    (2, 3)
    """
    wanted = extents("empty", _together(shape, more))
    return create("empty", _empty, device, shape=wanted, dtype=dtype_of(dtype or DEFAULT_FLOAT))


@public(method=False)
def full_like(x: Tensor, /, fill_value: Any, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """A tensor of the shape, dtype and device of ``x`` whose elements all are ``fill_value``.

    >>> import tensorlite as tl
    >>> tl.full_like(tl.tensor([1, 2]), 7)
    tensor([7, 7])
    """
    return _filled("full_like", x.shape, fill_value, x.dtype if dtype is None else dtype_of(dtype), device or x.device)


@public(method=False)
def zeros_like(x: Tensor, /, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """Zeros of the shape, dtype and device of ``x``.

    >>> import tensorlite as tl
    >>> tl.zeros_like(tl.tensor([1, 2]))
    tensor([0, 0])
    """
    return create("zeros_like", _zeros, device or x.device, shape=x.shape, dtype=dtype_of(dtype or x.dtype))


@public(method=False)
def ones_like(x: Tensor, /, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """Ones of the shape, dtype and device of ``x``.

    >>> import tensorlite as tl
    >>> tl.ones_like(tl.tensor([1.0, 2.0]))
    tensor([1., 1.])
    """
    return _filled("ones_like", x.shape, 1, dtype_of(dtype or x.dtype), device or x.device)


@public(method=False)
def empty_like(x: Tensor, /, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """An uninitialised tensor of the shape, dtype and device of ``x``.

    >>> import tensorlite as tl
    >>> tl.empty_like(tl.zeros((2, 3))).shape
    (2, 3)
    """
    return create("empty_like", _empty, device or x.device, shape=x.shape, dtype=dtype_of(dtype or x.dtype))
