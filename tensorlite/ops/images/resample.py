"""Sparse linear maps along an axis: the op that interpolation is made of, its own transpose by other tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, looped, move_axis
from tensorlite.declare import primitive
from tensorlite.errors import ShapeError
from tensorlite.kernels import device as devices
from tensorlite.op import Integers, Sample
from tensorlite.ops.checks import check_floating
from tensorlite.ops.reduce import accumulator
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType


def _type(x: TensorType, places: TensorType, weights: TensorType, back_places: TensorType, back_weights: TensorType, *,
          axis: int) -> TensorType:
    check_floating(x)
    if places.shape != weights.shape or back_places.shape != back_weights.shape:
        raise ShapeError("places and weights must have one shape")
    return TensorType(x.dtype, (*x.shape[:axis], places.shape[1], *x.shape[axis + 1:]), x.device)


def _vjp(g: Tensor, places: Tensor, weights: Tensor, back_places: Tensor, back_weights: Tensor, axis: int) -> Tensor:
    return _resample(g, back_places, back_weights, places, weights, axis=axis)


def _batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    if any(axis is not None for axis in batch.axes[1:]):
        return looped(batch, inputs, attributes)
    return batch.apply(move_axis(inputs[0], batch.axes[0], 0), *inputs[1:], axis=attributes["axis"] + 1), 0


#: Tables that are each other's transposes whatever is drawn.
_ALIKE = (Integers((2, 1), 0, 1), Integers((2, 1), 3, 4)) * 2


@primitive("index", type=_type, vjp={"x": _vjp}, batch=_batch, samples=[
    Sample((2, 1, 3), *_ALIKE, axis=1), Sample((3, 1), *_ALIKE, axis=1), Sample((0, 1), *_ALIKE, axis=1)])
def _resample(xp: Any, x: Any, places: Any, weights: Any, back_places: Any, back_weights: Any, *, axis: int) -> Any:
    """``y[..., j, ...] = sum_k weights[k, j] * x[..., places[k, j], ...]``, and the tables of the transposed map."""
    check_floating(x)
    wide = accumulator(x.dtype)
    along = (-1, *(1,) * (x.ndim - axis - 1))
    total = None
    for place, weight in zip(places, weights, strict=True):
        term = x.take(place, axis=axis) * weight.astype(wide, copy=False).reshape(along)
        total = term if total is None else xp.add(total, term, out=total)
    return total.astype(x.dtype, copy=False)  # type: ignore[union-attr]


def mapped(x: Tensor, axis: int, tables: tuple[np.ndarray, ...]) -> Tensor:
    """The map along an axis that tables of `resample_tables` say."""
    device = devices.get(x.device)
    return _resample(x, *(Tensor(device.asarray(table)) for table in tables), axis=axis)
