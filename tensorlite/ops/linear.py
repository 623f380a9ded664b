"""The affine map of the last axis: one matrix product, however many axes come before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tensorlite.batch import Attributes, Batch, move_axis, padded, reshape
from tensorlite.declare import functional, primitive, public
from tensorlite.dispatch import apply
from tensorlite.errors import DTypeError, ShapeError, TensorliteError, complaint
from tensorlite.op import OPS, Sample
from tensorlite.ops.checks import check_alike, check_floating
from tensorlite.ops.linear_algebra.linalg import NATIVE_PRODUCT, _matmul, matmul, swap_last
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _permute_dims, _reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

__all__ = ["bilinear", "linear"]


def _check(x: Any, weight: Any, bias: tuple[Any, ...]) -> None:
    check_alike(x, weight=weight, **({"bias": bias[0]} if bias else {}))
    if len(weight.shape) != 2 or not x.shape:
        raise ShapeError("weight must be [out features, in features], and x have at least one axis")
    if x.shape[-1] != weight.shape[1]:
        raise ShapeError(f"weight expects {weight.shape[1]} features, x has {x.shape[-1]}")
    if bias and bias[0].shape != weight.shape[:1]:
        raise ShapeError(f"bias must have shape [{weight.shape[0]}], one number for each of weight's rows")


def _linear_type(x: TensorType, weight: TensorType, *bias: TensorType) -> TensorType:
    check_floating(x)
    _check(x, weight, bias)
    return TensorType(x.dtype, (*x.shape[:-1], weight.shape[0]), x.device)


def _rows(x: Tensor) -> Tensor:
    """A stack of vectors as one matrix."""
    return x if x.ndim == 2 else _reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


def _weight_vjp(g: Tensor, x: Tensor) -> Tensor:
    return _matmul(_permute_dims(_rows(g), axes=(1, 0)), _rows(x))


def _linear_meaning(x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor | None:
    return apply(OPS["add"], _linear(x, weight), bias[0]) if bias else None


def _linear_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Vectors of the batch are more rows; weights of the batch are more columns, or a stack of matrices."""
    (x, weight, *bias), (place, own, *of_bias) = inputs, batch.axes
    if own is None and of_bias in ([], [None]):
        place = 0 if place == x.ndim - 1 else place
        return batch.apply(move_axis(x, batch.axes[0], place), weight, *bias), place  # type: ignore[arg-type]
    x = move_axis(x, place, 0)
    ndim = x.ndim - (place is not None)
    if own is None:
        out = batch.apply(x, weight)
        place = None if place is None else 0
    elif place is None:
        matrices = move_axis(weight, own, 0)
        rows = reshape(matrices, (batch.size * matrices.shape[1], matrices.shape[2]))
        out = move_axis(reshape(batch.apply(x, rows), (*x.shape[:-1], *matrices.shape[:2])), ndim - 1, 0)
    else:
        rows = reshape(x, (batch.size, math.prod(x.shape[1:-1]), x.shape[-1]))
        product = _matmul(rows, swap_last(move_axis(weight, own, 0)))
        out = reshape(product, (*x.shape[:-1], product.shape[-1]))
    for b, axis in zip(bias, of_bias, strict=True):
        out = apply(OPS["add"], out, b if axis is None else padded(move_axis(b, axis, 0), ndim))
    return out, 0


@primitive("contract", autocast="narrow",
           type=_linear_type, meaning=_linear_meaning, batch=_linear_batch, native_size=NATIVE_PRODUCT,
           vjp={"x": lambda g, weight: _linear(g, _permute_dims(weight, axes=(1, 0))), "weight": _weight_vjp,
                "bias": lambda g: g},
           samples=[Sample((3, 4), (2, 4)), Sample((2, 3, 4), (5, 4), (5,)), Sample((4,), (2, 4), (2,)),
                    Sample((0, 4), (2, 4), (2,)), Sample((2, 0), (3, 0))])
def _linear(xp: Any, x: Any, weight: Any, *bias: Any) -> Any:
    check_floating(x)
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
    others = () if bias is None else (bias,)
    if input.dtype.kind in "ciu":
        return _linear_of_others(input, weight, others)
    return _linear(input, weight, *others)


def _linear_of_others(x: Tensor, weight: Tensor, bias: tuple[Tensor, ...]) -> Tensor:
    """That of integers and of complex numbers, as a product of matrices."""
    try:
        _check(x, weight, bias)
    except TensorliteError as error:
        given = {"x": x, "weight": weight, **({"bias": bias[0]} if bias else {})}
        raise complaint(type(error), "linear", error.problem, given, error.fix) from None
    product = matmul(x, _permute_dims(weight, axes=(1, 0)))
    return apply(OPS["add"], product, bias[0]) if bias else product


@functional
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``y[k] = input1 @ weight[k] @ input2 + bias[k]``.

    input1: [..., n], input2: [..., m], of equal leading axes; weight: [out features, n, m]; bias: [out features].
    Raises `ShapeError` and `DTypeError` where these do not fit.

    >>> import tensorlite as tl
    >>> bilinear(tl.tensor([1.0, 2.0]), tl.tensor([3.0]), tl.ones((1, 2, 1)))
    tensor([9.])
    """
    given = {"input1": input1, "input2": input2, "weight": weight, **({} if bias is None else {"bias": bias})}
    if len({x.dtype for x in given.values()}) > 1:
        raise complaint(DTypeError, "bilinear", "all must have one dtype", given)
    if not input1.ndim or not input2.ndim or weight.ndim != 3 or weight.shape[1:] != (
            input1.shape[-1], input2.shape[-1]):
        raise complaint(ShapeError, "bilinear", "weight must be [out features, features of input1, features of input2]",
                        given)
    if input1.shape[:-1] != input2.shape[:-1]:
        raise complaint(ShapeError, "bilinear", "the inputs must agree in all axes but the last", given)
    if bias is not None and bias.shape != weight.shape[:1]:
        raise complaint(ShapeError, "bilinear", f"bias must have shape [{weight.shape[0]}]", given)
    outputs, n, m = weight.shape
    leading = input1.shape[:-1]
    seen = _reshape(linear(input2, _reshape(weight, shape=(outputs * n, m))), shape=(*leading, outputs, n))
    result = _reshape(_matmul(seen, _reshape(input1, shape=(*leading, n, 1))), shape=(*leading, outputs))
    return result if bias is None else result + bias
