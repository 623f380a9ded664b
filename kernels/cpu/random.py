"""Random bits and numbers under the names and signatures of their ops, by the plans that compiled graphs have too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorlite.kernels.cpu import prepared, random_stages
from tensorlite.kernels.stage import Array


def _words(state: Any, *, size: int) -> list[Array] | None:
    """Return how the words lie; None where there are none."""
    return [Array.contiguous(np.dtype(np.uint32), (size,))] if size else None


def _numbers(state: Any, *parameters: Any) -> list[Array] | None:
    """Return how numbers lie, one for each of their parameters; None where there are none."""
    first = parameters[0]
    return [Array.contiguous(first.dtype, first.shape)] if first.size else None


_REJECTING = ("standard_gamma", "poisson", "binomial", "von_mises")

KERNELS: dict[str, Callable[..., Any]] = {
    **{name: prepared.kernel(random_stages.PLANS[name], _numbers, lambda dtype: 0.0) for name in _REJECTING},
    "random_bits": prepared.kernel(random_stages.plan_random_bits, _words, lambda dtype: 0.0),  # NumPy: from 80 us on
}
