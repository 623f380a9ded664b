"""Elementwise functions of whole arrays into fresh ones, prepared and kept as other kernels are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import prepared
from tensorlite.kernels.generated.elementwise import plan_fresh
from tensorlite.kernels.stage import Array


def kernel(function: s.Function) -> Callable[..., Any]:
    """Return the function that computes ``function`` of arrays natively, whose shapes broadcast, into a fresh one.

    ``NotImplemented`` says that there is no native form.

    >>> x = np.arange(4, dtype=np.float32)
    >>> kernel(s.trace(lambda x, y: x * y + 1))(x, x)
    array([ 1.,  2.,  5., 10.], dtype=float32)
    """
    found: Callable[..., Any] | None = function.memo.get("pointwise")
    if found is None:
        found = prepared.fast(prepared.kernel(partial(plan_fresh, function), _results(function), lambda _: 0.0))
        function.memo["pointwise"] = found
    return found


def _results(function: s.Function) -> prepared.Results:
    def results(*arrays: npt.NDArray[Any]) -> Sequence[Array]:
        dtypes = dict(zip(function.parameters, (array.dtype for array in arrays), strict=True))
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        return [Array.contiguous(s.infer(function.body, dtypes), shape)]

    return results
