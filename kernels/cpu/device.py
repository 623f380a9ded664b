"""The CPU as a device: NumPy for small arrays, native kernels for large ones."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from math import prod
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import allocator

#: From this many elements on native kernels are used. They are faster from some ten elements on (an eager call costs
#: 0.3 us, NumPy's 0.4), but each must be compiled once, and planned for each shape, in the time of 100 such calls.
NATIVE_SIZE = 8192


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
        shape = arrays[0].shape
        if any(array.shape != shape for array in arrays):
            shape = np.broadcast_shapes(*(array.shape for array in arrays))
        if prod(shape) < NATIVE_SIZE:
            return np.asarray(s.numpy_function(function)(np, *arrays)).astype(dtype, copy=False)
        out = allocator.empty(shape, dtype)
        if _kernels().elementwise(function, arrays, out) is NotImplemented:
            _by_numpy(function, arrays, out)
        return out

    def sweep(self, *what: Any) -> Callable[..., None]:
        """Return what computes several values of each element of arrays at once (`generated.sweeps.Sweep`)."""
        found: Callable[..., None] = _kernels().Sweep(*what)
        return found

    def pointwise(self, function: s.Function) -> Callable[..., Any]:
        """Return what computes a scalar function of broadcastable arrays natively, or returns ``NotImplemented``."""
        kernel: Callable[..., Any] = _kernels().pointwise(function)
        return kernel

    def kernel(self, name: str) -> Callable[..., Any] | None:
        """Return the native kernel for an op, or None; it returns ``NotImplemented`` for what it does not take."""
        kernel: Callable[..., Any] | None = _kernels().KERNELS.get(name)
        return kernel

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


@functools.cache
def _kernels() -> ModuleType:
    """The native kernels and what compiles them, imported for the first large array: that takes 30 ms."""
    return importlib.import_module("tensorlite.kernels.cpu.registry")


def _by_numpy(function: s.Function, arrays: Sequence[npt.NDArray[Any]], out: npt.NDArray[Any]) -> None:
    """What has no native form (complex numbers ...): NumPy, straight into ``out`` where it is one ufunc."""
    ufunc = s.numpy_ufunc(function)
    if ufunc is not None:
        ufunc(*arrays, out=out, casting="unsafe")
    else:
        np.copyto(out, s.numpy_function(function)(np, *arrays), casting="unsafe")


CPU = CpuDevice()
