"""The ops of maxima of windows over images: the maxima, where they lie, and what goes there or is read there."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.batch import folded
from tensorlite.declare import primitive
from tensorlite.errors import DTypeError
from tensorlite.op import Integers, Sample
from tensorlite.ops.convolution.window import Pair, pad, span, uncover, views, window_counts, zeros
from tensorlite.ops.pools.windows import NATIVE_IMAGES, borders_of, over
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import GROUPS, TensorType


def check_real(x: Any) -> None:
    """Raises `DTypeError` where numbers have no order, or are bools."""
    if x.dtype not in GROUPS["real"]:
        raise DTypeError(f"takes real dtypes, not {x.dtype.name}", "cast it first: x.to(tl.float32)")


def _least(dtype: np.dtype) -> Any:
    """What no number of a dtype is below."""
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _max_type(x: TensorType, **geometry: Any) -> TensorType:
    check_real(x)
    return TensorType(x.dtype, (*x.shape[:2], *_max_counts(x, **geometry)), x.device)


def _max_counts(x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Pair:
    return window_counts(x.shape[2:], kernel, stride, dilation, tuple((p, p) for p in padding), ceil_mode)


def _max_vjp(g: Tensor, x: Tensor, y: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    winner = _max_pool2d_winner(x.detach(), y.detach(), kernel=kernel, stride=stride, padding=padding,
                                dilation=dilation)
    return _max_pool2d_scatter(g, winner, size=x.shape[2:], kernel=kernel, stride=stride, padding=padding,
                               dilation=dilation)


def _geometry(kernel: Pair, stride: Pair, padding: Pair = (0, 0), dilation: Pair = (1, 1)) -> dict[str, Any]:
    return {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}


@primitive("reduce", native_size=NATIVE_IMAGES, type=_max_type, batch=folded, vjp={"x": _max_vjp}, samples=[
    Sample((2, 3, 4, 6), **_geometry((2, 2), (2, 2)), ceil_mode=False),
    Sample((1, 2, 7, 6), **_geometry((3, 2), (2, 1), (1, 1)), ceil_mode=True),
    Sample((2, 1, 6, 7), **_geometry((2, 3), (1, 2), (0, 0), (2, 1)), ceil_mode=False),
    Sample((0, 1, 4, 4), **_geometry((2, 2), (2, 2)), ceil_mode=False)])
def _max_pool2d(xp: Any, x: Any, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Any:
    check_real(x)
    counts = _max_counts(x, kernel, stride, padding, dilation, ceil_mode)
    borders = borders_of(x.shape[2:], counts, kernel, stride, padding, dilation)
    return over(xp, pad(xp, x, borders, _least(x.dtype)), kernel, stride, dilation, counts, xp.maximum)


def _winner_type(x: TensorType, top: TensorType, *, kernel: Pair, **_: Any) -> TensorType:
    return TensorType(np.min_scalar_type(kernel[0] * kernel[1]), top.shape, x.device)


@primitive("reduce", native_size=NATIVE_IMAGES, type=_winner_type, batch=folded, samples=[
    Sample((2, 3, 4, 6), (2, 3, 2, 3), **_geometry((2, 2), (2, 2)))])
def _max_pool2d_winner(xp: Any, x: Any, top: Any, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """For each window the place of its maximum ``top`` in the kernel, row by row: the first of equals, the last NaN."""
    counts = top.shape[2:]
    borders = borders_of(x.shape[2:], counts, kernel, stride, padding, dilation)
    whole = x.dtype.kind in "iu"  # no number can stand for a border among them
    parts = list(views(pad(xp, x, borders, 0 if whole else np.nan), kernel, stride, dilation, counts))
    held = xp.ones(x.shape[2:], bool)
    real = list(views(pad(xp, held, borders, False), kernel, stride, dilation, counts)) if whole else None
    winner = xp.zeros(top.shape, np.min_scalar_type(len(parts)))
    for place in reversed(range(len(parts) - 1)):  # not_0 * (1 + not_1 * (1 + ...)): ten times as fast as masked writes
        winner += 1
        missed = parts[place] != top
        winner *= missed if real is None else missed | ~real[place]
    lost = top != top
    if lost.any():
        for place, part in enumerate(views(pad(xp, x, borders, 0), kernel, stride, dilation, counts)):
            xp.copyto(winner, place, where=lost & (part != part))
    return winner


def scatter_type(g_: TensorType, *_winner: TensorType, size: Pair, **_: Any) -> TensorType:
    """The type of images that windows are spread over."""
    return TensorType(g_.dtype, (*g_.shape[:2], *size), g_.device)


@primitive("index", native_size=NATIVE_IMAGES, type=scatter_type, batch=folded, samples=[
    Sample((2, 3, 2, 3), Integers((2, 3, 2, 3), 0, 4), size=(4, 6), **_geometry((2, 2), (2, 2))),
    Sample((1, 2, 3, 4), Integers((1, 2, 3, 4), 0, 6), size=(5, 5), **_geometry((3, 2), (2, 1), (1, 0)))],
           vjp={"g_": lambda g, winner, kernel, stride, padding, dilation: _max_pool2d_gather(
               g, winner, kernel=kernel, stride=stride, padding=padding, dilation=dilation)})
def _max_pool2d_scatter(xp: Any, g_: Any, winner: Any, *, size: Pair, kernel: Pair, stride: Pair, padding: Pair,
                        dilation: Pair) -> Any:
    """Puts each window's number where its maximum lay, and adds where windows share one."""
    counts = g_.shape[2:]
    borders = borders_of(size, counts, kernel, stride, padding, dilation)
    wide = accumulator(g_.dtype)
    out = zeros(xp, (*g_.shape[:2], *(size[i] + sum(borders[i]) for i in (0, 1))), wide)
    disjoint = all(s >= span(k, d) for s, k, d in zip(stride, kernel, dilation, strict=True))
    zero = g_.dtype.type(0)
    for place, view in enumerate(views(out, kernel, stride, dilation, counts)):
        chosen = xp.where(winner == place, g_, zero)  # no product, in which an infinity would be felt elsewhere
        if disjoint:
            view[...] = chosen
        else:
            view += chosen
    return uncover(out, borders, size).astype(g_.dtype, copy=False)


@primitive("index", native_size=NATIVE_IMAGES, batch=folded,
           type=lambda x, winner, **_: TensorType(x.dtype, winner.shape, x.device), samples=[
    Sample((2, 3, 4, 6), Integers((2, 3, 2, 3), 0, 4), **_geometry((2, 2), (2, 2))),
    Sample((1, 2, 5, 5), Integers((1, 2, 3, 4), 0, 6), **_geometry((3, 2), (2, 1), (1, 0)))],
           vjp={"x": lambda g, winner, x_shape, kernel, stride, padding, dilation: _max_pool2d_scatter(
               g, winner, size=x_shape[2:], kernel=kernel, stride=stride, padding=padding, dilation=dilation)})
def _max_pool2d_gather(xp: Any, x: Any, winner: Any, *, kernel: Pair, stride: Pair, padding: Pair,
                       dilation: Pair) -> Any:
    """Reads each window at the place that `winner` gives."""
    borders = borders_of(x.shape[2:], winner.shape[2:], kernel, stride, padding, dilation)
    out = xp.zeros(winner.shape, x.dtype)
    parts = views(pad(xp, x, borders, 0), kernel, stride, dilation, winner.shape[2:])
    for place, part in enumerate(parts):
        xp.copyto(out, part, where=winner == place)
    return out


def _indices_meaning(winner: Tensor, *, size: Pair, kernel: Pair, stride: Pair, padding: Pair,
                     dilation: Pair) -> Tensor:
    number = astype(winner, np.dtype(np.int64), copy=False)
    down, across = (arange(n) * s - p for n, s, p in zip(winner.shape[2:], stride, padding))
    rows = number // kernel[1] * dilation[0] + _reshape(down, shape=(down.size, 1))
    return rows * size[1] + number % kernel[1] * dilation[1] + across


@primitive("index", batch=folded, type=lambda winner, **_: TensorType(np.dtype(np.int64), winner.shape, winner.device),
           meaning=_indices_meaning, samples=[
    Sample(Integers((1, 2, 3, 4), 0, 6), size=(5, 5), **_geometry((3, 2), (2, 1), (1, 0)))])
def _max_pool2d_indices(xp: Any, winner: Any, *, size: Pair, kernel: Pair, stride: Pair, padding: Pair,
                        dilation: Pair) -> Any:
    """The places of maxima in their images, counted row by row."""
    down, across = (xp.arange(n) * s - p for n, s, p in zip(winner.shape[2:], stride, padding, strict=True))
    rows = winner // kernel[1] * dilation[0] + down[:, None]
    return (rows * size[1] + winner % kernel[1] * dilation[1] + across).astype(np.int64)
