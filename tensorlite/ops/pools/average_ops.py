"""The ops of averages of windows over images, and their transpose."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tensorlite.batch import folded
from tensorlite.declare import primitive
from tensorlite.op import Sample
from tensorlite.ops.checks import check_floating
from tensorlite.ops.convolution.window import Pair, pad, steps, uncover, window_counts
from tensorlite.ops.pools.maximum_ops import scatter_type
from tensorlite.ops.pools.windows import NATIVE_IMAGES, borders_of, over
from tensorlite.ops.reduce import accumulator
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType


def _average_counts(size: Pair, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool) -> Pair:
    return window_counts(size, kernel, stride, (1, 1), tuple((p, p) for p in padding), ceil_mode)


def _divisors(xp: Any, size: Pair, counts: Pair, kernel: Pair, stride: Pair, padding: Pair, include_pad: bool,
              divisor: int | None, dtype: np.dtype) -> Any:
    """What each window's sum is divided by: the elements that it holds, or a given number."""
    if divisor is not None:
        return dtype.type(divisor)
    held = _held(size, counts, kernel, stride, padding, include_pad)
    return dtype.type(held) if isinstance(held, int) else xp.asarray(held.astype(dtype))


@lru_cache(256)
def _held(size: Pair, counts: Pair, kernel: Pair, stride: Pair, padding: Pair, include_pad: bool) -> int | np.ndarray:
    """How many elements windows have: one number where all have as many."""
    spans = []
    for axis in (0, 1):
        start = np.arange(counts[axis]) * stride[axis] - padding[axis]
        end = np.minimum(start + kernel[axis], size[axis] + padding[axis])
        spans.append(end - start if include_pad else np.minimum(end, size[axis]) - np.maximum(start, 0))
    if all((s == s[0]).all() for s in spans):
        return int(spans[0][0] * spans[1][0])
    return np.multiply.outer(*spans)


def average_geometry(kernel: Pair, stride: Pair, padding: Pair = (0, 0), ceil_mode: bool = False,
                     include_pad: bool = True, divisor: int | None = None) -> dict[str, Any]:
    """The attributes of an average."""
    return {"kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode, "include_pad": include_pad,
            "divisor": divisor}


def _average_type(x: TensorType, *, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool, **_: Any) -> TensorType:
    check_floating(x)
    counts = _average_counts(x.shape[2:], kernel, stride, padding, ceil_mode)  # type: ignore[arg-type]
    return TensorType(x.dtype, (*x.shape[:2], *counts), x.device)


def _average_vjp(g: Tensor, x_shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool,
                 include_pad: bool, divisor: int | None) -> Tensor:
    return _avg_pool2d_spread(g, size=x_shape[2:],
                              **average_geometry(kernel, stride, padding, ceil_mode, include_pad, divisor))


@primitive("reduce", native_size=NATIVE_IMAGES, type=_average_type, batch=folded, vjp={"x": _average_vjp}, samples=[
    Sample((2, 3, 4, 6), **average_geometry((2, 2), (2, 2))),
    Sample((1, 2, 7, 6), **average_geometry((3, 2), (2, 1), (1, 1), True)),
    Sample((1, 2, 7, 6), **average_geometry((3, 3), (2, 3), (1, 1), True, False)),
    Sample((1, 1, 4, 5), **average_geometry((2, 3), (1, 1), divisor=5))])
def _avg_pool2d(xp: Any, x: Any, *, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool, include_pad: bool,
                divisor: int | None) -> Any:
    check_floating(x)
    counts = _average_counts(x.shape[2:], kernel, stride, padding, ceil_mode)
    borders = borders_of(x.shape[2:], counts, kernel, stride, padding, (1, 1))
    wide = accumulator(x.dtype)
    total = over(xp, pad(xp, x.astype(wide, copy=False), borders, 0), kernel, stride, (1, 1), counts, xp.add)
    total /= _divisors(xp, x.shape[2:], counts, kernel, stride, padding, include_pad, divisor, wide)
    return total.astype(x.dtype, copy=False)


def _spread_vjp(g: Tensor, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool, include_pad: bool,
                divisor: int | None) -> Tensor:
    return _avg_pool2d(g, **average_geometry(kernel, stride, padding, ceil_mode, include_pad, divisor))


@primitive("index", native_size=NATIVE_IMAGES, type=scatter_type, batch=folded, vjp={"g_": _spread_vjp}, samples=[
    Sample((2, 3, 2, 3), size=(4, 6), **average_geometry((2, 2), (2, 2))),
    Sample((1, 2, 4, 7), size=(7, 6), **average_geometry((3, 2), (2, 1), (1, 1), True, False))])
def _avg_pool2d_spread(xp: Any, g_: Any, *, size: Pair, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool,
                       include_pad: bool, divisor: int | None) -> Any:
    """The transpose of `avg_pool2d`: gives each window's elements their share of its cotangent."""
    counts = g_.shape[2:]
    borders = borders_of(size, counts, kernel, stride, padding, (1, 1))
    wide = accumulator(g_.dtype)
    share = g_ / _divisors(xp, size, counts, kernel, stride, padding, include_pad, divisor, wide)
    width = xp.zeros((*share.shape[:3], size[1] + sum(borders[1])), wide)
    for j in range(kernel[1]):
        width[..., steps(j, counts[1], stride[1])] += share
    out = xp.zeros((*g_.shape[:2], size[0] + sum(borders[0]), width.shape[3]), wide)
    for i in range(kernel[0]):
        out[..., steps(i, counts[0], stride[0]), :] += width
    return uncover(out, borders, size).astype(g_.dtype, copy=False)
