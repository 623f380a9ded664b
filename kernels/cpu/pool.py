"""Pooling under the names and signatures of ops, by the plans that compiled graphs have too.

The answer ``NotImplemented`` leaves the case to the op's own body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorlite.kernels.cpu import pool_stages, prepared
from tensorlite.kernels.stage import Array


def _images(dtype: Any, *shape: int) -> list[Array] | None:
    """Return how images lie; None where there are none."""
    return [Array.contiguous(dtype, shape)] if len(shape) == 4 and min(shape) > 0 else None


def _of_windows(
    x: Any, *, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], ceil_mode: bool,
    dilation: tuple[int, int] = (1, 1), **_: Any,
) -> list[Array] | None:  # fmt: skip
    if x.ndim != 4:
        return None
    counts = []
    for size, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True):
        room = size + 2 * p - (k - 1) * d - 1
        count = (room + (s - 1 if ceil_mode else 0)) // s + 1
        counts.append(count - (ceil_mode and (count - 1) * s >= size + p))
    return _images(x.dtype, *x.shape[:2], *counts)


def _of_winners(x: Any, top: Any, *, kernel: tuple[int, int], **_: Any) -> list[Array] | None:
    return _images(np.min_scalar_type(kernel[0] * kernel[1]), *top.shape)


def _of_spread(g: Any, *winner: Any, size: tuple[int, int], **_: Any) -> list[Array] | None:
    return _images(g.dtype, *g.shape[:2], *size)


def _of_gathered(x: Any, winner: Any, **_: Any) -> list[Array] | None:
    return _images(x.dtype, *winner.shape)


def _worth(dtype: Any) -> float:
    """Return the work from which a kernel is worth a call: the bodies call NumPy at least a dozen times."""
    return 0.0


_RESULTS: dict[str, prepared.Results] = {
    "max_pool2d": _of_windows, "max_pool2d_winner": _of_winners, "max_pool2d_scatter": _of_spread,
    "max_pool2d_gather": _of_gathered, "avg_pool2d": _of_windows, "avg_pool2d_spread": _of_spread,
}  # fmt: skip

KERNELS: dict[str, Callable[..., Any]] = {
    op: prepared.kernel(pool_stages.PLANS[op], results, _worth) for op, results in _RESULTS.items()
}
"""The kernels of this family, by op."""
