"""Copies from any layout into any other, with conversion: the elementwise kernel of the identity."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import elementwise

_IDENTITY = s.Function(("x",), s.Var("x"))


def run(x: npt.NDArray[Any], out: npt.NDArray[Any]) -> Any:
    """Copy ``x``, broadcast to the shape of ``out``, into ``out``, converted to its dtype; return ``out``.

    Floats become integers by truncation, and saturate. Returns ``NotImplemented`` for complex numbers.

    >>> import numpy as np
    >>> run(np.array([1.5, -1e9]), np.empty(2, np.int8))
    array([   1, -128], dtype=int8)
    """
    return elementwise.run(_IDENTITY, (x,), out)
