"""Convolutions of integers, and the transposed ones: for each of the kernel's taps one product of matrices.

Sums wrap in the dtype of the input, as all arithmetic of integers does. What is quantized has kernels of its own
(`quantized_conv2d`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import reduce
from typing import Any

from tensorlite.dispatch import apply
from tensorlite.op import OPS
from tensorlite.ops.convolution.window import Extents, Pair, steps
from tensorlite.ops.indexing.index import _slice, _unslice
from tensorlite.ops.linear_algebra.linalg import matmul
from tensorlite.ops.shape import _permute_dims, _reshape
from tensorlite.tensor import Tensor

_ALL = slice(None)


def is_integer(input: Any) -> bool:
    """Whether to convolve by taps."""
    return isinstance(input, Tensor) and input.dtype.kind in "iu"


def convolved(x: Tensor, weight: Tensor, bias: tuple[Tensor, ...], counts: Extents, stride: Extents,
              padding: tuple[Pair, ...], dilation: Extents, groups: int) -> Tensor:
    """The convolution of a batch along any number of axes, with so many windows along each."""
    whole = [n + before + after for n, (before, after) in zip(x.shape[2:], padding, strict=True)]
    inner = [slice(before, before + n) for n, (before, _) in zip(x.shape[2:], padding, strict=True)]
    x = _unslice(x, spec=(_ALL, _ALL, *inner), shape=(*x.shape[:2], *whole))
    filters = _reshape(weight, shape=(groups, weight.shape[0] // groups, *weight.shape[1:]))
    parts = [_product(_slice(filters, spec=(_ALL, _ALL, _ALL, *tap)), _slice(x, spec=(_ALL, _ALL, *places)), groups)
             for tap, places in _taps(weight.shape[2:], counts, stride, dilation)]
    return _with_bias(reduce(_added, parts), bias)


def transposed(x: Tensor, weight: Tensor, bias: tuple[Tensor, ...], size: Extents, stride: Extents,
               padding: tuple[Pair, ...], dilation: Extents, groups: int) -> Tensor:
    """The transposed convolution of a batch along any number of axes, whose output has that size."""
    whole = [n + before + after for n, (before, after) in zip(size, padding, strict=True)]
    filters = _reshape(weight, shape=(groups, weight.shape[0] // groups, *weight.shape[1:]))
    filters = _permute_dims(filters, axes=(0, 2, 1, *range(3, filters.ndim)))
    parts = []
    for tap, places in _taps(weight.shape[2:], x.shape[2:], stride, dilation):
        part = _product(_slice(filters, spec=(_ALL, _ALL, _ALL, *tap)), x, groups)
        parts.append(_unslice(part, spec=(_ALL, _ALL, *places), shape=(*part.shape[:2], *whole)))
    inner = [slice(before, before + n) for n, (before, _) in zip(size, padding, strict=True)]
    return _with_bias(_slice(reduce(_added, parts), spec=(_ALL, _ALL, *inner)), bias)


def _taps(kernel: Extents, counts: Extents, stride: Extents, dilation: Extents) -> Iterator[tuple[Any, Any]]:
    """The place of each tap in the kernel, and those that it meets in the padded image."""
    for tap in itertools.product(*map(range, kernel)):
        yield tap, [steps(k * d, n, s) for k, d, n, s in zip(tap, dilation, counts, stride, strict=True)]


def _product(tap: Tensor, x: Tensor, groups: int) -> Tensor:
    """Filters of one tap, [groups, out, in], times all channels of a batch."""
    batch, channels, *extents = x.shape
    columns = 1
    for n in extents:
        columns *= n
    found = matmul(tap, _reshape(x, shape=(batch, groups, channels // groups, columns)))
    return _reshape(found, shape=(batch, groups * tap.shape[1], *extents))


def _added(x: Tensor, y: Tensor) -> Tensor:
    return apply(OPS["add"], x, y)


def _with_bias(x: Tensor, bias: tuple[Tensor, ...]) -> Tensor:
    return _added(x, _reshape(bias[0], shape=(bias[0].size, *(1,) * (x.ndim - 2)))) if bias else x
