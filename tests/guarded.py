"""Native kernels run on copies of their buffers between guard zones: what they must not touch stays as it was."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from tensorlite.kernels import llvm, loops
from tensorlite.kernels.cpu import native, team
from tensorlite.kernels.verify import verify

GUARD = 256
CANARY = 0xA5


class Guarded:
    """A copy of an array's elements with a guard zone before and after; ``offset`` bytes past a multiple of 64."""

    def __init__(self, array: np.ndarray, offset: int = 0) -> None:
        self.memory = np.full(2 * GUARD + array.nbytes + 128, CANARY, np.uint8)
        self.start = GUARD + (-(self.memory.ctypes.data + GUARD)) % 64 + offset
        self.stop = self.start + array.nbytes
        self.array = self.memory[self.start : self.stop].view(array.dtype).reshape(array.shape)
        self.array[...] = array

    def check(self) -> None:
        """Raise unless the guard zones are intact."""
        outside = np.concatenate((self.memory[: self.start], self.memory[self.stop :]))
        assert (outside == CANARY).all(), "a guard zone was overwritten"


def compile_kernel(kernel: loops.Kernel, target: llvm.Target | None = None) -> int:
    """Return the address of ``kernel``, verified and compiled for this machine."""
    return native.compile(llvm.emit(verify(kernel), target or llvm.host()), "test", speed=0)


def run_native(
    kernel: loops.Kernel,
    arguments: Mapping[str, Any],
    threads: int = 1,
    *,
    address: int | None = None,
    offset: int = 0,
) -> None:
    """Run ``kernel`` natively, with the arguments of ``interp.run``.

    A kernel without barriers is called once for each thread, one after the other; others go through the team.
    """
    address = address or compile_kernel(kernel)
    guarded, slots = {}, []
    for parameter in kernel.parameters:
        argument = arguments[parameter.name]
        if isinstance(parameter, loops.Parameter):
            slots.append(np.array(argument, parameter.dtype).tobytes().ljust(8, b"\0"))
            continue
        elements, origin = argument if isinstance(argument, tuple) else (argument, 0)
        guarded[parameter.name] = Guarded(elements, offset * elements.itemsize)
        data = guarded[parameter.name].array.ctypes.data
        slots.append(struct.pack("q", data + origin * elements.itemsize))
    block = np.frombuffer(b"".join(slots) or b"\0" * 8, np.int64)
    if any(isinstance(statement, loops.Barrier) for statement in loops.walk(kernel.body)):
        team.run(address, block.ctypes.data, threads)
    else:
        call = native_function(address)
        for thread in range(threads):
            call(thread, threads, block.ctypes.data)
    for name, copy in guarded.items():
        copy.check()
        elements = arguments[name][0] if isinstance(arguments[name], tuple) else arguments[name]
        if kernel.buffers[name].writable:
            elements[...] = copy.array
        else:
            assert copy.array.tobytes() == elements.tobytes(), f"{name} was overwritten"


def native_function(address: int) -> Any:
    """Return the SPMD function at ``address`` as a Python callable."""
    import ctypes

    return ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(address)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two arrays are equal bit for bit, any NaN being like any other."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    wide = np.float64 if a.dtype.kind in "fV" else a.dtype
    both_nan = np.isnan(a.astype(wide)) & np.isnan(b.astype(wide)) if a.dtype.kind in "fV" else np.zeros(a.shape, bool)
    width = np.dtype(f"u{a.dtype.itemsize}")
    return bool(((np.ascontiguousarray(a).view(width) == np.ascontiguousarray(b).view(width)) | both_nan).all())
