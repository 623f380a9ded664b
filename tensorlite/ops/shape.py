"""Ops that move elements without changing them: reshape, permute_dims, broadcast_to, cast and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, leading, padded, unchanged
from tensorlite.declare import primitive, public
from tensorlite.dispatch import apply
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.op import OPS, Sample
from tensorlite.ops.axes import as_shape, fill_in, one_axis
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, dtype_of


def retype(x: TensorType, shape: Sequence[int] | None = None, dtype: np.dtype | None = None) -> TensorType:
    """A type like ``x`` of another shape or dtype."""
    return TensorType(dtype or x.dtype, x.shape if shape is None else tuple(shape), x.device)


# --- copy and cast ------------------------------------------------------------------------------------------------


@primitive("opaque", type=lambda x: x, vjp={"x": lambda g: g}, batch=unchanged,
           samples=[Sample((2, 3)), Sample(())])
def _copy(xp: Any, x: Any) -> Any:
    return x.copy()


@primitive("opaque", type=lambda x, *, dtype: retype(x, dtype=dtype), vjp={"x": lambda g: g}, batch=unchanged,
           samples=[Sample((2, 3), dtype=np.dtype("float64"))])
def _cast(xp: Any, x: Any, *, dtype: np.dtype) -> Any:
    return x.astype(dtype)


@primitive("create", type=lambda x: x, samples=[Sample((2, 3))])
def _zeros_like(xp: Any, x: Any) -> Any:
    return xp.zeros(x.shape, x.dtype)


@public
def astype(x: Tensor, dtype: Any, /, *, copy: bool = True, device: str | None = None) -> Tensor:
    """Casts to another dtype; floats become integers by dropping the fraction.

    >>> import tensorlite as tl
    >>> tl.astype(tl.tensor([1.7, -1.7]), tl.int32)
    tensor([ 1, -1], dtype=int32)
    """
    dtype = dtype_of(dtype)
    if x.dtype == dtype:
        return _copy(x) if copy else x
    if x.dtype.kind == "c" and dtype.kind not in "cb":
        raise complaint(DTypeError, "astype", f"complex numbers do not become {dtype.name}", {"x": x}, "use tl.real(x)")
    return _cast(x, dtype=dtype)


# --- reshape and permute ------------------------------------------------------------------------------------------


@primitive("movement", type=lambda x, *, shape: retype(x, shape),
           vjp={"x": lambda g, x_shape: apply(OPS["reshape"], g, shape=x_shape)}, batch=leading,
           samples=[Sample((2, 6), shape=(3, 4)), Sample((4,), shape=(2, 2)), Sample((1, 1), shape=())])
def _reshape(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    return x.reshape(shape)


def _permute_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    (x,), (place,) = inputs, batch.axes
    return batch.apply(x, axes=(place, *(a + (a >= place) for a in attributes["axes"]))), 0


@primitive("movement", type=lambda x, *, axes: retype(x, [x.shape[a] for a in axes]),
           vjp={"x": lambda g, axes: apply(OPS["permute_dims"], g, axes=tuple(np.argsort(axes).tolist()))},
           batch=_permute_batch,
           samples=[Sample((2, 3, 4), axes=(2, 0, 1)), Sample((2, 3), axes=(1, 0))])
def _permute_dims(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    return x.transpose(axes)


@public
def reshape(x: Tensor, /, shape: int | Sequence[int], *, copy: bool | None = None) -> Tensor:
    """The same elements, in order, in another shape; one extent may be -1 and is then filled in.

    Raises `ShapeError` where the elements do not fill the shape.

    >>> import tensorlite as tl
    >>> tl.reshape(tl.arange(6), (2, -1)).shape
    (2, 3)
    """
    result = _reshape(x, shape=fill_in("reshape", x, shape))
    return _copy(result) if copy else result


@public
def permute_dims(x: Tensor, /, axes: Sequence[int]) -> Tensor:
    """The tensor with its axes in another order.

    >>> import tensorlite as tl
    >>> tl.permute_dims(tl.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    order = tuple(one_axis("permute_dims", x, a) for a in axes)
    if sorted(order) != list(range(x.ndim)):
        raise complaint(ShapeError, "permute_dims", f"axes must name each of {x.ndim} axes once",
                        {"x": x, "axes": axes})
    return _permute_dims(x, axes=order)


# --- broadcast ----------------------------------------------------------------------------------------------------


def _broadcast_type(x: TensorType, *, shape: tuple[int, ...]) -> TensorType:
    padded = (1,) * (len(shape) - len(x.shape)) + x.shape
    if len(padded) > len(shape) or any(n not in (1, m) for n, m in zip(padded, shape, strict=True)):
        raise ShapeError(f"{list(x.shape)} does not broadcast to {list(shape)}")
    return retype(x, shape)


def _broadcast_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    (x,), shape = batch.in_front(inputs), attributes["shape"]
    return batch.apply(padded(x, len(shape)), shape=(batch.size, *shape)), 0


@primitive("movement", type=_broadcast_type, vjp={"x": lambda g, x_shape: sum_to(g, x_shape)}, batch=_broadcast_batch,
           samples=[Sample((3, 1), shape=(2, 3, 4)), Sample((), shape=(2,))])
def _broadcast_to(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    return xp.broadcast_to(x, shape)


def sum_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The sum over what broadcasting to the shape of ``x`` repeated: the derivative of `broadcast_to`."""
    lead = x.ndim - len(shape)
    axis = tuple(range(lead)) + tuple(i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1)
    return _reshape(apply(OPS["sum"], x, axis=axis, keepdims=True, dtype=None), shape=shape)


@public
def broadcast_to(x: Tensor, /, shape: Sequence[int]) -> Tensor:
    """The tensor seen in a larger shape, its axes of extent 1 repeated without copying.

    >>> import tensorlite as tl
    >>> tl.broadcast_to(tl.tensor([1, 2]), (3, 2)).shape
    (3, 2)
    """
    return _broadcast_to(x, shape=as_shape("broadcast_to", shape))
