"""Random bits under the name and signature of their op, by the plan that compiled graphs have too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorlite.kernels.cpu import prepared, random_stages
from tensorlite.kernels.stage import Array


def _words(state: Any, *, size: int) -> list[Array] | None:
    """Return how the words lie; None where there are none."""
    return [Array.contiguous(np.dtype(np.uint32), (size,))] if size else None


KERNELS: dict[str, Callable[..., Any]] = {
    "random_bits": prepared.kernel(random_stages.plan_random_bits, _words, lambda dtype: 0.0),  # NumPy: from 80 us on
}
