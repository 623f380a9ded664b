"""GPUs through CuPy: every op runs through its body on arrays, with CuPy in NumPy's place.

CuPy is imported when a GPU is first asked for, never before; without it, or without a GPU, the error says what is
missing.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.errors import DeviceUnavailable


class CudaDevice:
    """One GPU."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.name = f"cuda:{index}"
        self.xp = cupy()

    def __repr__(self) -> str:
        return self.name

    def here(self) -> Any:
        """Return a context in which CuPy uses this GPU."""
        return self.xp.cuda.Device(self.index)

    def elementwise(self, function: s.Function, arrays: Sequence[Any], dtype: npt.DTypeLike) -> Any:
        """Compute a scalar function on broadcastable arrays, by CuPy's own elementwise functions."""
        with self.here():
            return self.xp.asarray(s.numpy_function(function)(self.xp, *arrays)).astype(dtype, copy=False)

    def kernel(self, name: str) -> Callable[..., Any] | None:
        """There are none yet: bodies on CuPy do."""
        return None

    def asarray(self, array: Any) -> Any:
        """Bring an array to this GPU; one that is there already is returned as it is."""
        with self.here():
            return self.xp.asarray(array)

    def to_numpy(self, array: Any) -> npt.NDArray[Any]:
        """Copy an array to the CPU; waits for its value."""
        with self.here():
            return np.asarray(self.xp.asnumpy(array))

    def synchronize(self) -> None:
        """Wait until everything asked of this GPU is done."""
        with self.here():
            self.xp.cuda.runtime.deviceSynchronize()

    def memory(self) -> dict[str, int]:
        """Return bytes in use by arrays, kept by CuPy's pool for later, and free and in all on the GPU."""
        with self.here():
            pool = self.xp.get_default_memory_pool()
            free, total = self.xp.cuda.runtime.memGetInfo()
            return {"allocated": pool.used_bytes(), "cached": pool.free_bytes(), "free": free, "total": total}


@functools.cache
def cupy() -> Any:
    """Return CuPy with at least one GPU to use; raises `DeviceUnavailable`."""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise DeviceUnavailable(f"cuda: CuPy cannot be imported: {error}") from None
        raise DeviceUnavailable("cuda: CuPy is not installed; pip install 'tensorlite[cuda]'") from None
    except Exception as error:  # whatever a broken installation raises: it is the reason that we pass on
        raise DeviceUnavailable(f"cuda: CuPy cannot be imported: {error}") from None
    try:
        number = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CUDARuntimeError, which is a plain RuntimeError with the driver's words
        raise DeviceUnavailable(f"cuda: CuPy finds no NVIDIA driver that it can use: {error}") from None
    if not number:
        raise DeviceUnavailable("cuda: CuPy finds no GPU (nvidia-smi and CUDA_VISIBLE_DEVICES tell more)")
    return cupy


def count() -> int:
    """Return how many GPUs can be used."""
    return 0 if reason() else int(cupy().cuda.runtime.getDeviceCount())


def reason() -> str | None:
    """Return why there is no GPU to use, for ``tensorlite doctor``; None if there is one."""
    try:
        cupy()
    except DeviceUnavailable as error:
        return str(error)
    return None


def get(index: int) -> CudaDevice:
    """Return the GPU of that number; raises `DeviceUnavailable`."""
    number = int(cupy().cuda.runtime.getDeviceCount())
    if index >= number:
        there = "only cuda:0" if number == 1 else f"cuda:0 to cuda:{number - 1}"
        raise DeviceUnavailable(f"cuda:{index}: there is no such GPU, {there}")
    return _device(index)


@functools.cache
def _device(index: int) -> CudaDevice:
    return CudaDevice(index)


def is_array(array: Any) -> bool:
    """Tell whether this is a CuPy array, without importing CuPy."""
    module = sys.modules.get("cupy")
    return module is not None and isinstance(array, module.ndarray)


def of(array: Any) -> CudaDevice:
    """Return the GPU that a CuPy array lives on."""
    return _device(array.device.id)


def describe() -> dict[str, str]:
    """Return the facts that ``tensorlite doctor`` shows, in words."""
    why_not = reason()
    if why_not is not None:
        return {"cuda": f"not available: {why_not}"}
    runtime = cupy().cuda.runtime
    properties = [runtime.getDeviceProperties(index) for index in range(count())]
    names = [f"cuda:{index} {found['name'].decode()}" for index, found in enumerate(properties)]
    return {"cuda": f"{', '.join(names)} (CuPy {cupy().__version__}, runtime {runtime.runtimeGetVersion()})"}
