"""The affine map of the last axis: one matrix product, however many axes come before."""

from __future__ import annotations

import math
from typing import Any

from tensorlite.declare import primitive, public
from tensorlite.dispatch import apply
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.op import OPS, Sample
from tensorlite.ops.checks import check_alike, check_floating
from tensorlite.ops.linalg import _matmul
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _permute_dims, _reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType


def _check(x: Any, weight: Any, bias: tuple[Any, ...]) -> None:
    check_alike(x, weight=weight, **({"bias": bias[0]} if bias else {}))
    check_floating(x)
    if len(weight.shape) != 2 or not x.shape:
        raise ShapeError("weight must be [out features, in features], and x have at least one axis")
    if x.shape[-1] != weight.shape[1]:
        raise ShapeError(f"weight expects {weight.shape[1]} features, x has {x.shape[-1]}")
    if bias and bias[0].shape != weight.shape[:1]:
        raise ShapeError(f"bias must have shape [{weight.shape[0]}], one number for each of weight's rows")


def _linear_type(x: TensorType, weight: TensorType, *bias: TensorType) -> TensorType:
    _check(x, weight, bias)
    return TensorType(x.dtype, (*x.shape[:-1], weight.shape[0]), x.device)


def _rows(x: Tensor) -> Tensor:
    """A stack of vectors as one matrix."""
    return x if x.ndim == 2 else _reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


def _weight_vjp(g: Tensor, x: Tensor) -> Tensor:
    return _matmul(_permute_dims(_rows(g), axes=(1, 0)), _rows(x))


def _linear_meaning(x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
    product = _linear(x, weight)
    return apply(OPS["add"], product, bias[0]) if bias else product


@primitive("contract", type=_linear_type, meaning=_linear_meaning,
           vjp={"x": lambda g, weight: _linear(g, _permute_dims(weight, axes=(1, 0))), "weight": _weight_vjp,
                "bias": lambda g: g},
           samples=[Sample((3, 4), (2, 4)), Sample((2, 3, 4), (5, 4), (5,)), Sample((4,), (2, 4), (2,)),
                    Sample((0, 4), (2, 4), (2,)), Sample((2, 0), (3, 0))])
def _linear(xp: Any, x: Any, weight: Any, *bias: Any) -> Any:
    _check(x, weight, bias)
    wide = accumulator(x.dtype)
    rows = x.astype(wide, copy=False).reshape(math.prod(x.shape[:-1]), x.shape[-1])
    product = xp.matmul(rows, weight.astype(wide, copy=False).T)
    if bias:
        product += bias[0].astype(wide, copy=False)
    return product.astype(x.dtype, copy=False).reshape(*x.shape[:-1], weight.shape[0])


@public(method=False)
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``.

    input: [..., in features]; weight: [out features, in features]; bias: [out features]. Raises `ShapeError` and
    `DTypeError` where these do not fit.

    >>> import tensorlite as tl
    >>> tl.linear(tl.ones((2, 3)), tl.ones((1, 3)), tl.tensor([0.5]))
    tensor([[3.5],
            [3.5]])
    """
    if not isinstance(input, Tensor):
        raise complaint(DTypeError, "linear", f"takes a tensor, not {type(input).__name__}", None,
                        "make it one: tl.asarray(...)")
    return _linear(input, weight) if bias is None else _linear(input, weight, bias)
