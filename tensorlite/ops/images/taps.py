"""Weighed sums of elements that places name, for all channels alike: the form that interpolation between elements has.

``sum g[b, c, s] * weights[b, k, s] * x[b, c, places[b, k, s]]`` is linear in three of its factors. The three ops here
leave out one of them each, and are each other's derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from tensorlite.batch import Attributes, Batch, merged, parted
from tensorlite.declare import primitive
from tensorlite.errors import IndexingError
from tensorlite.op import Integers, Sample
from tensorlite.ops.checks import check_alike, check_floating
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

_PLACES = Integers((2, 4, 5), 0, 6)
_MANY = Integers((1, 3, 2), 0, 4)


def _batched(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Elements of the batch are more images."""
    arrays = batch.all_in_front(inputs)
    found = batch.apply(*map(merged, arrays), **attributes)
    return parted(found, 0, batch.size, arrays[0].shape[1]), 0


def _check(x: Any, **other: Any) -> None:
    check_floating(x)
    check_alike(x, **other)


def _check_places(places: Any, extent: int) -> None:
    if places.size and not (0 <= places.min() and places.max() < extent):
        raise IndexingError(f"a place lies outside of {extent} elements", "number elements from 0")


def _taken(xp: Any, x: Any, places: Any) -> Any:
    """The elements that places name: [batch, channels, taps, samples]."""
    _check_places(places, x.shape[2])
    batch, channels, _ = x.shape
    shape = (batch, channels, *places.shape[1:])
    at = xp.broadcast_to(places[:, None], shape).reshape(batch, channels, prod(places.shape[1:]))
    return xp.take_along_axis(x, at, 2).reshape(shape)


def _weigh_type(x: TensorType, places: TensorType, weights: TensorType) -> TensorType:
    _check(x, weights=weights)
    return TensorType(x.dtype, (*x.shape[:2], places.shape[2]), x.device)


def _weigh_x_vjp(g: Tensor, places: Tensor, weights: Tensor, x_shape: tuple[int, ...]) -> Tensor:
    return _spread_taps(g, places, weights, extent=x_shape[2])


@primitive("index", type=_weigh_type, batch=_batched, samples=[
    Sample((2, 3, 6), _PLACES, (2, 4, 5)), Sample((1, 2, 4), _MANY, (1, 3, 2))],
    vjp={"x": _weigh_x_vjp, "weights": lambda g, x, places: _dot_taps(x, g, places)})
def _weigh_taps(xp: Any, x: Any, places: Any, weights: Any) -> Any:
    """``sum_k weights[b, k, s] * x[b, c, places[b, k, s]]``."""
    _check(x, weights=weights)
    return xp.einsum("bcks,bks->bcs", _taken(xp, x, places), weights)


def _spread_type(g_: TensorType, places: TensorType, weights: TensorType, *, extent: int) -> TensorType:
    _check(g_, weights=weights)
    return TensorType(g_.dtype, (*g_.shape[:2], extent), g_.device)


@primitive("index", type=_spread_type, batch=_batched, samples=[
    Sample((2, 3, 5), _PLACES, (2, 4, 5), extent=6), Sample((1, 2, 2), _MANY, (1, 3, 2), extent=4)],
    vjp={"g_": lambda g, places, weights, extent: _weigh_taps(g, places, weights),
         "weights": lambda g, g_, places, extent: _dot_taps(g, g_, places)})
def _spread_taps(xp: Any, g_: Any, places: Any, weights: Any, *, extent: int) -> Any:
    """``weights[b, k, s] * g[b, c, s]`` added to element ``places[b, k, s]`` of zeros."""
    _check(g_, weights=weights)
    _check_places(places, extent)
    batch, channels, _ = g_.shape
    out = xp.zeros((batch, channels, extent), g_.dtype)
    images, rows = (xp.arange(n).reshape(-1, *(1,) * k) for n, k in ((batch, 3), (channels, 2)))
    xp.add.at(out, (images, rows, places[:, None]), g_[:, :, None] * weights[:, None])
    return out


def _dot_type(x: TensorType, g_: TensorType, places: TensorType) -> TensorType:
    _check(x, g_=g_)
    return TensorType(x.dtype, places.shape, x.device)


def _dot_x_vjp(g: Tensor, g_: Tensor, places: Tensor, x_shape: tuple[int, ...]) -> Tensor:
    return _spread_taps(g_, places, g, extent=x_shape[2])


@primitive("index", type=_dot_type, batch=_batched, samples=[
    Sample((2, 3, 6), (2, 3, 5), _PLACES), Sample((1, 2, 4), (1, 2, 2), _MANY)],
    vjp={"x": _dot_x_vjp, "g_": lambda g, x, places: _weigh_taps(x, places, g)})
def _dot_taps(xp: Any, x: Any, g_: Any, places: Any) -> Any:
    """``sum_c g[b, c, s] * x[b, c, places[b, k, s]]``."""
    _check(x, g_=g_)
    return xp.einsum("bcks,bcs->bks", _taken(xp, x, places), g_)
