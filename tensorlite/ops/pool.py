"""Pooling: maxima and averages of windows that slide over images, and what carries cotangents back through them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.batch import folded
from tensorlite.declare import primitive, public
from tensorlite.errors import ArgumentError, complaint
from tensorlite.op import Integers, Sample
from tensorlite.ops.checks import check_floating
from tensorlite.ops.linalg import matmul
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import _mean, accumulator
from tensorlite.ops.shape import _reshape, astype
from tensorlite.ops.window import (
    Padding,
    Pair,
    batched,
    pad,
    pair,
    span,
    steps,
    uncover,
    views,
    window_counts,
    zeros,
)
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

__all__ = ["adaptive_avg_pool2d", "avg_pool2d", "max_pool2d"]


def _over(xp: Any, x: Any, kernel: Pair, stride: Pair, dilation: Pair, counts: Pair, combine: Any) -> Any:
    """Combines the elements of every window, first along the columns of images and then along their rows."""
    rows = [x[..., steps(i * dilation[0], counts[0], stride[0]), :] for i in range(kernel[0])]
    x = _fold(rows, combine)
    return _fold([x[..., steps(j * dilation[1], counts[1], stride[1])] for j in range(kernel[1])], combine)


def _fold(parts: list[Any], combine: Any) -> Any:
    if len(parts) == 1:
        return parts[0].copy()
    out = combine(parts[0], parts[1])
    for part in parts[2:]:
        combine(out, part, out=out)
    return out


# --- max ----------------------------------------------------------------------------------------------------------


def _max_type(x: TensorType, **geometry: Any) -> TensorType:
    check_floating(x)
    return TensorType(x.dtype, (*x.shape[:2], *_max_counts(x, **geometry)), x.device)


def _max_counts(x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Pair:
    return window_counts(x.shape[2:], kernel, stride, dilation, tuple((p, p) for p in padding), ceil_mode)


def _borders(size: Pair, counts: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Padding:
    """The padding before, and after it what the windows reach over the end."""
    (top, left), ends = padding, [(n - 1) * s + span(k, d) for n, s, k,
                                  d in zip(counts, stride, kernel, dilation, strict=True)]
    return (top, max(0, ends[0] - top - size[0])), (left, max(0, ends[1] - left - size[1]))


def _max_vjp(g: Tensor, x: Tensor, y: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    winner = _max_pool2d_winner(x.detach(), y.detach(), kernel=kernel, stride=stride, padding=padding,
                                dilation=dilation)
    return _max_pool2d_scatter(g, winner, size=x.shape[2:], kernel=kernel, stride=stride, padding=padding,
                               dilation=dilation)


def _geometry(kernel: Pair, stride: Pair, padding: Pair = (0, 0), dilation: Pair = (1, 1)) -> dict[str, Any]:
    return {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}


@primitive("reduce", type=_max_type, batch=folded, vjp={"x": _max_vjp}, samples=[
    Sample((2, 3, 4, 6), **_geometry((2, 2), (2, 2)), ceil_mode=False),
    Sample((1, 2, 7, 6), **_geometry((3, 2), (2, 1), (1, 1)), ceil_mode=True),
    Sample((2, 1, 6, 7), **_geometry((2, 3), (1, 2), (0, 0), (2, 1)), ceil_mode=False),
    Sample((0, 1, 4, 4), **_geometry((2, 2), (2, 2)), ceil_mode=False)])
def _max_pool2d(xp: Any, x: Any, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Any:
    check_floating(x)
    counts = _max_counts(x, kernel, stride, padding, dilation, ceil_mode)
    borders = _borders(x.shape[2:], counts, kernel, stride, padding, dilation)
    return _over(xp, pad(xp, x, borders, -np.inf), kernel, stride, dilation, counts, xp.maximum)


def _winner_type(x: TensorType, top: TensorType, *, kernel: Pair, **_: Any) -> TensorType:
    return TensorType(np.min_scalar_type(kernel[0] * kernel[1]), top.shape, x.device)


@primitive("reduce", type=_winner_type, batch=folded, samples=[
    Sample((2, 3, 4, 6), (2, 3, 2, 3), **_geometry((2, 2), (2, 2)))])
def _max_pool2d_winner(xp: Any, x: Any, top: Any, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """For each window the place of its maximum ``top`` in the kernel, row by row: the first of equals, the last NaN."""
    counts = top.shape[2:]
    borders = _borders(x.shape[2:], counts, kernel, stride, padding, dilation)
    padded = pad(xp, x, borders, np.nan)
    parts = list(views(padded, kernel, stride, dilation, counts))
    winner = xp.zeros(top.shape, np.min_scalar_type(len(parts)))
    for part in reversed(parts[:-1]):  # not_0 * (1 + not_1 * (1 + not_2 * ...)), ten times faster than masked writes
        winner += 1
        winner *= part != top
    lost = top != top
    if lost.any():
        for place, part in enumerate(views(pad(xp, x, borders, 0), kernel, stride, dilation, counts)):
            xp.copyto(winner, place, where=lost & (part != part))
    return winner


def _scatter_type(g_: TensorType, *_winner: TensorType, size: Pair, **_: Any) -> TensorType:
    return TensorType(g_.dtype, (*g_.shape[:2], *size), g_.device)


@primitive("index", type=_scatter_type, batch=folded, samples=[
    Sample((2, 3, 2, 3), Integers((2, 3, 2, 3), 0, 4), size=(4, 6), **_geometry((2, 2), (2, 2))),
    Sample((1, 2, 3, 4), Integers((1, 2, 3, 4), 0, 6), size=(5, 5), **_geometry((3, 2), (2, 1), (1, 0)))],
           vjp={"g_": lambda g, winner, kernel, stride, padding, dilation: _max_pool2d_gather(
               g, winner, kernel=kernel, stride=stride, padding=padding, dilation=dilation)})
def _max_pool2d_scatter(xp: Any, g_: Any, winner: Any, *, size: Pair, kernel: Pair, stride: Pair, padding: Pair,
                        dilation: Pair) -> Any:
    """Puts each window's number where its maximum lay, and adds where windows share one."""
    counts = g_.shape[2:]
    borders = _borders(size, counts, kernel, stride, padding, dilation)
    wide = accumulator(g_.dtype)
    out = zeros(xp, (*g_.shape[:2], *(size[i] + sum(borders[i]) for i in (0, 1))), wide)
    disjoint = all(s >= span(k, d) for s, k, d in zip(stride, kernel, dilation, strict=True))
    for place, view in enumerate(views(out, kernel, stride, dilation, counts)):
        chosen = winner == place
        if disjoint:
            xp.multiply(g_, chosen, out=view, dtype=wide)
        else:
            view += g_ * chosen
    return uncover(out, borders, size).astype(g_.dtype, copy=False)


@primitive("index", batch=folded, type=lambda x, winner, **_: TensorType(x.dtype, winner.shape, x.device), samples=[
    Sample((2, 3, 4, 6), Integers((2, 3, 2, 3), 0, 4), **_geometry((2, 2), (2, 2))),
    Sample((1, 2, 5, 5), Integers((1, 2, 3, 4), 0, 6), **_geometry((3, 2), (2, 1), (1, 0)))],
           vjp={"x": lambda g, winner, x_shape, kernel, stride, padding, dilation: _max_pool2d_scatter(
               g, winner, size=x_shape[2:], kernel=kernel, stride=stride, padding=padding, dilation=dilation)})
def _max_pool2d_gather(xp: Any, x: Any, winner: Any, *, kernel: Pair, stride: Pair, padding: Pair,
                       dilation: Pair) -> Any:
    """Reads each window at the place that `winner` gives."""
    borders = _borders(x.shape[2:], winner.shape[2:], kernel, stride, padding, dilation)
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


def _pool_geometry(op: str, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1) -> dict[str, Pair]:
    """The options of a pooling as the primitives take them; raises where the padding is more than half a kernel."""
    kernel, dilations = pair(op, "kernel_size", kernel_size), pair(op, "dilation", dilation)
    strides = kernel if stride is None or isinstance(stride, tuple | list) and not stride else pair(op, "stride",
                                                                                                    stride)
    borders = pair(op, "padding", padding, least=0)
    if any(p > span(k, d) // 2 for p, k, d in zip(borders, kernel, dilations, strict=True)):
        raise complaint(ArgumentError, op, f"padding {borders} is more than half of the kernel {kernel}")
    return {"kernel": kernel, "stride": strides, "padding": borders, "dilation": dilations}


@public(method=False)
def max_pool2d(input: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None,
               padding: int | tuple[int, int] = 0, dilation: int | tuple[int, int] = 1, ceil_mode: bool = False,
               return_indices: bool = False) -> Any:
    """The maximum of each window; NaN where a window holds one. Of equal elements the first carries the derivative.

    input: [batch, channels, height, width] or [channels, height, width]. ``stride`` is the kernel's size unless given;
    ``ceil_mode`` adds windows that begin inside and end outside. With ``return_indices`` also where in its image
    each maximum lies, counted row by row: int64. Raises `ShapeError` where the kernel does not fit.

    >>> import tensorlite as tl
    >>> tl.max_pool2d(tl.reshape(tl.arange(16.0), (1, 4, 4)), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    geometry = _pool_geometry("max_pool2d", kernel_size, stride, padding, dilation)

    def compute(x: Tensor) -> Any:
        y = _max_pool2d(x, **geometry, ceil_mode=bool(ceil_mode))
        if not return_indices:
            return y
        winner = _max_pool2d_winner(x.detach(), y.detach(), **geometry)
        return y, _max_pool2d_indices(winner, size=x.shape[2:], **geometry)
    return batched("max_pool2d", compute, input)


# --- average ------------------------------------------------------------------------------------------------------


def _average_counts(size: Pair, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool) -> Pair:
    return window_counts(size, kernel, stride, (1, 1), tuple((p, p) for p in padding), ceil_mode)


def _divisors(xp: Any, size: Pair, counts: Pair, kernel: Pair, stride: Pair, padding: Pair, include_pad: bool,
              divisor: int | None, dtype: np.dtype) -> Any:
    """What each window's sum is divided by: the elements that it holds, or a given number."""
    if divisor is not None:
        return dtype.type(divisor)
    spans = []
    for axis in (0, 1):
        start = np.arange(counts[axis]) * stride[axis] - padding[axis]
        end = np.minimum(start + kernel[axis], size[axis] + padding[axis])
        spans.append(end - start if include_pad else np.minimum(end, size[axis]) - np.maximum(start, 0))
    if all((s == s[0]).all() for s in spans):
        return dtype.type(spans[0][0] * spans[1][0])
    return xp.asarray(np.multiply.outer(*spans).astype(dtype))


def _average_geometry(kernel: Pair, stride: Pair, padding: Pair = (0, 0), ceil_mode: bool = False,
                      include_pad: bool = True, divisor: int | None = None) -> dict[str, Any]:
    return {"kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode, "include_pad": include_pad,
            "divisor": divisor}


def _average_type(x: TensorType, *, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool, **_: Any) -> TensorType:
    check_floating(x)
    counts = _average_counts(x.shape[2:], kernel, stride, padding, ceil_mode)  # type: ignore[arg-type]
    return TensorType(x.dtype, (*x.shape[:2], *counts), x.device)


def _average_vjp(g: Tensor, x_shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool,
                 include_pad: bool, divisor: int | None) -> Tensor:
    return _avg_pool2d_spread(g, size=x_shape[2:],
                              **_average_geometry(kernel, stride, padding, ceil_mode, include_pad, divisor))


@primitive("reduce", type=_average_type, batch=folded, vjp={"x": _average_vjp}, samples=[
    Sample((2, 3, 4, 6), **_average_geometry((2, 2), (2, 2))),
    Sample((1, 2, 7, 6), **_average_geometry((3, 2), (2, 1), (1, 1), True)),
    Sample((1, 2, 7, 6), **_average_geometry((3, 3), (2, 3), (1, 1), True, False)),
    Sample((1, 1, 4, 5), **_average_geometry((2, 3), (1, 1), divisor=5))])
def _avg_pool2d(xp: Any, x: Any, *, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool, include_pad: bool,
                divisor: int | None) -> Any:
    check_floating(x)
    counts = _average_counts(x.shape[2:], kernel, stride, padding, ceil_mode)
    borders = _borders(x.shape[2:], counts, kernel, stride, padding, (1, 1))
    wide = accumulator(x.dtype)
    total = _over(xp, pad(xp, x.astype(wide, copy=False), borders, 0), kernel, stride, (1, 1), counts, xp.add)
    total /= _divisors(xp, x.shape[2:], counts, kernel, stride, padding, include_pad, divisor, wide)
    return total.astype(x.dtype, copy=False)


def _spread_vjp(g: Tensor, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool, include_pad: bool,
                divisor: int | None) -> Tensor:
    return _avg_pool2d(g, **_average_geometry(kernel, stride, padding, ceil_mode, include_pad, divisor))


@primitive("index", type=_scatter_type, batch=folded, vjp={"g_": _spread_vjp}, samples=[
    Sample((2, 3, 2, 3), size=(4, 6), **_average_geometry((2, 2), (2, 2))),
    Sample((1, 2, 4, 7), size=(7, 6), **_average_geometry((3, 2), (2, 1), (1, 1), True, False))])
def _avg_pool2d_spread(xp: Any, g_: Any, *, size: Pair, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool,
                       include_pad: bool, divisor: int | None) -> Any:
    """The transpose of `avg_pool2d`: gives each window's elements their share of its cotangent."""
    counts = g_.shape[2:]
    borders = _borders(size, counts, kernel, stride, padding, (1, 1))
    wide = accumulator(g_.dtype)
    share = g_ / _divisors(xp, size, counts, kernel, stride, padding, include_pad, divisor, wide)
    width = xp.zeros((*share.shape[:3], size[1] + sum(borders[1])), wide)
    for j in range(kernel[1]):
        width[..., steps(j, counts[1], stride[1])] += share
    out = xp.zeros((*g_.shape[:2], size[0] + sum(borders[0]), width.shape[3]), wide)
    for i in range(kernel[0]):
        out[..., steps(i, counts[0], stride[0]), :] += width
    return uncover(out, borders, size).astype(g_.dtype, copy=False)


@public(method=False)
def avg_pool2d(input: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None,
               padding: int | tuple[int, int] = 0, ceil_mode: bool = False, count_include_pad: bool = True,
               divisor_override: int | None = None) -> Tensor:
    """The average of each window.

    input: [batch, channels, height, width] or [channels, height, width]. ``stride`` is the kernel's size unless given;
    ``count_include_pad`` counts the zeros of the padding as elements; ``divisor_override`` replaces the count.

    >>> import tensorlite as tl
    >>> tl.avg_pool2d(tl.reshape(tl.arange(16.0), (1, 4, 4)), 2)
    tensor([[[ 2.5,  4.5],
             [10.5, 12.5]]])
    """
    geometry = _pool_geometry("avg_pool2d", kernel_size, stride, padding)
    del geometry["dilation"]
    if divisor_override == 0:
        raise complaint(ArgumentError, "avg_pool2d", "divisor_override must not be zero")
    return batched("avg_pool2d", lambda x: _avg_pool2d(
        x, **geometry, ceil_mode=bool(ceil_mode), include_pad=bool(count_include_pad), divisor=divisor_override), input)


def _averaging(size: int, wanted: int, dtype: np.dtype) -> Tensor:
    """The matrix that averages ``size`` numbers over ``wanted`` windows of nearly equal length."""
    matrix = np.zeros((wanted, size), dtype)
    for i in range(wanted):
        start, end = i * size // wanted, -(-(i + 1) * size // wanted)
        matrix[i, start:end] = 1 / (end - start)
    return Tensor(matrix)


@public(method=False)
def adaptive_avg_pool2d(input: Tensor, output_size: int | None | tuple[int | None, int | None]) -> Tensor:
    """Averages over as many windows of nearly equal size as the output is to have; None keeps an extent.

    >>> import tensorlite as tl
    >>> tl.adaptive_avg_pool2d(tl.reshape(tl.arange(12.0), (1, 3, 4)), (1, 2))
    tensor([[[4.5, 6.5]]])
    """
    size = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size, output_size)
    wanted = pair("adaptive_avg_pool2d", "output_size",
                  tuple(n if w is None else w for n, w in zip(input.shape[-2:], size, strict=True)), least=0)

    def compute(x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if wanted == (1, 1):
            return _mean(x, axis=(2, 3), keepdims=True)
        if all(w and n % w == 0 for n, w in zip((height, width), wanted, strict=True)):
            kernel = (height // wanted[0], width // wanted[1])
            return _avg_pool2d(x, **_average_geometry(kernel, kernel))
        down, across = _averaging(height, wanted[0], x.dtype), _averaging(width, wanted[1], x.dtype)
        return matmul(matmul(down, x), across.T)
    return batched("adaptive_avg_pool2d", compute, input)
