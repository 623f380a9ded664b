"""Linear algebra: products of matrices and their kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import primitive, public
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.op import Sample
from tensorlite.ops.elementwise import conj
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _permute_dims, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, promote


def swap_last(x: Tensor) -> Tensor:
    """The tensor with its last two axes exchanged."""
    n = x.ndim
    return _permute_dims(x, axes=(*range(n - 2), n - 1, n - 2))


def matmul_type(x1: TensorType, x2: TensorType) -> TensorType:
    """The type of a product of (stacks of) matrices."""
    if x1.shape[-1] != x2.shape[-2]:
        raise ShapeError(f"x1 has {x1.shape[-1]} columns, x2 has {x2.shape[-2]} rows")
    try:
        batch = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    except ValueError:
        raise ShapeError(f"stacks {list(x1.shape[:-2])} and {list(x2.shape[:-2])} do not broadcast") from None
    return TensorType(promote(x1.dtype, x2.dtype), (*batch, x1.shape[-2], x2.shape[-1]), x1.device)


@primitive("contract", type=matmul_type,
           vjp={"x1": lambda g, x2: _matmul(g, conj(swap_last(x2))), "x2": lambda g, x1: _matmul(conj(swap_last(x1)), g)},
           samples=[Sample((2, 3), (3, 4)), Sample((5, 2, 3), (3, 4)), Sample((2, 1, 2, 3), (4, 3, 2)),
                    Sample((0, 3), (3, 2)), Sample((2, 0), (0, 3))])
def _matmul(xp: Any, x1: Any, x2: Any) -> Any:
    wide = accumulator(x1.dtype)
    return xp.matmul(x1.astype(wide, copy=False), x2.astype(wide, copy=False)).astype(x1.dtype, copy=False)


@public
def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The product of matrices, of stacks of matrices, or with vectors, as the operator ``@``.

    x1: [..., n, k] or [k]; x2: [..., k, m] or [k]; the result: [..., n, m], without the axis of a vector. Raises
    `ShapeError` where the inner extents differ.

    >>> import tensorlite as tl
    >>> tl.matmul(tl.tensor([[1.0, 2.0]]), tl.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    if not isinstance(x1, Tensor) or not isinstance(x2, Tensor):
        raise complaint(DTypeError, "matmul", "both arguments must be tensors", {"x1": x1, "x2": x2},
                        "make it one: tl.asarray(...)")
    if x1.ndim == 0 or x2.ndim == 0:
        raise complaint(ShapeError, "matmul", "a 0-dimensional tensor is no matrix", {"x1": x1, "x2": x2}, "use x1 * x2")
    if x1.dtype != x2.dtype:
        dtype = promote(x1.dtype, x2.dtype)
        x1, x2 = astype(x1, dtype, copy=False), astype(x2, dtype, copy=False)
    left = _reshape(x1, shape=(1, *x1.shape)) if x1.ndim == 1 else x1
    right = _reshape(x2, shape=(*x2.shape, 1)) if x2.ndim == 1 else x2
    product = _matmul(left, right)
    shape = product.shape[:-2] + product.shape[-2:-1] * (x1.ndim > 1) + product.shape[-1:] * (x2.ndim > 1)
    return product if shape == product.shape else _reshape(product, shape=shape)
