"""Reductions over axes: sum and its kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.declare import primitive, public
from tensorlite.op import Sample
from tensorlite.ops.axes import reduced_shape, some_axes
from tensorlite.ops.shape import _broadcast_to, _reshape, retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, bfloat16, dtype_of, float16, float32, sum_dtype


def spread(g: Tensor, x_shape: tuple[int, ...], axis: tuple[int, ...]) -> Tensor:
    """Repeats a reduction's cotangent over the reduced axes."""
    kept = tuple(1 if i in axis else n for i, n in enumerate(x_shape))
    return _broadcast_to(_reshape(g, shape=kept), shape=x_shape)


def reduce_type(x: TensorType, *, axis: tuple[int, ...], keepdims: bool) -> TensorType:
    """The type of a reduction that keeps the dtype."""
    return retype(x, reduced_shape(x.shape, axis, keepdims))


REDUCE_SAMPLES = (Sample((2, 3, 4), axis=(1,), keepdims=False), Sample((2, 3, 4), axis=(0, 2), keepdims=True),
                  Sample((3, 4), axis=(0, 1), keepdims=False), Sample((5,), axis=(0,), keepdims=True))


def accumulator(dtype: np.dtype) -> np.dtype:
    """The dtype that sums of a dtype are kept in: at least float32."""
    return float32 if dtype in (float16, bfloat16) else dtype


@primitive("reduce", type=lambda x, *, axis, keepdims, dtype: retype(x, reduced_shape(x.shape, axis, keepdims), dtype),
           samples=[Sample(*sample.inputs, **sample.attributes, dtype=None) for sample in REDUCE_SAMPLES],
           vjp={"x": lambda g, x_shape, axis: spread(g, x_shape, axis)})
def _sum(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool, dtype: np.dtype | None) -> Any:
    dtype = dtype or x.dtype
    return xp.sum(x, axis=axis, keepdims=keepdims, dtype=accumulator(dtype)).astype(dtype, copy=False)


@public
def sum(x: Tensor, /, axis: int | Sequence[int] | None = None, keepdims: bool = False, *,
        dtype: Any = None) -> Tensor:
    """The sum over one, several or all axes; integers are summed in 64 bits.

    >>> import tensorlite as tl
    >>> tl.sum(tl.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.])
    """
    wanted: np.dtype = sum_dtype(x.dtype) if dtype is None else dtype_of(dtype)
    return _sum(x, axis=some_axes("sum", x, axis), keepdims=bool(keepdims), dtype=wanted)
