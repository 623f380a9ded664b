"""The CPU as a device: NumPy for small arrays, native kernels for large ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import allocator

#: From this many elements on a native kernel is worth its launch.
NATIVE_SIZE = 4096


class CpuDevice:
    """The processor and its memory; there is one, ``CPU``."""

    name = "cpu"
    xp = np

    def __repr__(self) -> str:
        return self.name

    def elementwise(
        self, function: s.Function, arrays: Sequence[npt.NDArray[Any]], dtype: npt.DTypeLike
    ) -> npt.NDArray[Any]:
        """Compute a scalar function on broadcastable arrays of one dtype (conditions bool) into a fresh array."""
        return np.asarray(s.numpy_function(function)(np, *arrays)).astype(dtype, copy=False)

    def kernel(self, name: str) -> Callable[..., Any] | None:
        """Return the native kernel for an op, or None; it returns ``NotImplemented`` for what it does not take."""
        return None

    def asarray(self, array: Any) -> npt.NDArray[Any]:
        """Return the array as one of NumPy's; copies only from another device."""
        if type(array).__module__.partition(".")[0] == "cupy":
            return np.asarray(array.get())
        return np.asarray(array)

    def to_numpy(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the array itself."""
        return array

    def synchronize(self) -> None:
        """Return at once: nothing is ever under way."""

    def memory(self) -> dict[str, int]:
        """Return bytes of large arrays: ``allocated``, ``cached`` for later, the ``peak`` and the cache's ``bound``."""
        return allocator.memory()


CPU = CpuDevice()
