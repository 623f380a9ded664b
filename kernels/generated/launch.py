"""What generated kernels share: compilation by key, addresses of arrays, and how many threads are worth waking."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import llvm, loop_text, loops
from tensorlite.kernels.cpu import native, team
from tensorlite.kernels.irregular import kernel as irregular
from tensorlite.kernels.module import Module
from tensorlite.kernels.stage import Build
from tensorlite.kernels.verify import verify

PARALLEL_NANOSECONDS = 20_000  # of one thread's work: below, waking a second one does not pay
VERIFIES = False
"""Whether loops are verified before they are compiled: tests do it, and so it takes users no time."""

_DATA = 16  # where NumPy keeps the address of the elements, after the head of a Python object


def compile(build: Build, key: str) -> int:
    """Return the address of the kernel that ``build`` makes; a warm cache loads it by its key, and builds nothing."""
    return native.compile(_maker_of(build), f"loops {key}", speed=0)


def compile_many(kernels: Iterable[tuple[Build, str]]) -> None:
    """Compile what of several kernels nothing has compiled yet, on all cores."""
    native.compile_many([(_maker_of(build), f"loops {key}") for build, key in kernels], speed=0)


def _maker_of(build: Build) -> Callable[[], Module]:
    """Return the function that makes a kernel's module; its parts stand apart where objects say what they call."""

    def module() -> Module:
        kernel = build()
        if isinstance(kernel, irregular.Kernel) or not native.SHARES:
            return Module(module_of(kernel))
        return llvm.emit_apart(_checked(kernel), llvm.host())

    return module


def module_of(kernel: loops.Kernel | irregular.Kernel) -> str:
    """Return the LLVM module of a kernel with all its parts, whose function is called ``kernel``."""
    return kernel.llvm() if isinstance(kernel, irregular.Kernel) else llvm.emit(_checked(kernel), llvm.host())


def _checked(kernel: loops.Kernel) -> loops.Kernel:
    return verify(kernel) if VERIFIES else kernel


def source_of(kernel: loops.Kernel | irregular.Kernel) -> str:
    """Return the text of a kernel: its loops, or its Python."""
    return kernel.source if isinstance(kernel, irregular.Kernel) else loop_text.text(kernel)


def _find_address() -> Callable[[npt.NDArray[Any]], int]:
    """Return the fast way to an array's address (80 ns) where it gives what the official one (800 ns) does."""

    def fast(array: npt.NDArray[Any], _at: Callable[[int], Any] = ctypes.c_ssize_t.from_address) -> int:
        return _at(id(array) + _DATA).value

    def official(array: npt.NDArray[Any]) -> int:
        return int(array.ctypes.data)

    samples = [np.arange(12.0), np.arange(12.0)[3:], np.zeros((3, 4), np.int8).T, np.array(1)]
    return fast if all(fast(sample) == official(sample) for sample in samples) else official


address = _find_address()
"""Return the address of the first element of an array; of nothing else."""


def _reads_objects() -> bool:
    """Tell whether arrays' type, address and flags stand where native code looks for them: at 8, 16 and 64 bytes."""
    number, flags = ctypes.c_ssize_t.from_address, ctypes.c_int32.from_address
    samples = [np.zeros((3, 4)), np.zeros((3, 4)).T, np.zeros((3, 4))[:, ::2], np.zeros(3), np.zeros(())]
    return address.__name__ == "fast" and all(
        number(id(x) + 8).value == id(np.ndarray) and (flags(id(x) + 64).value & 1) == x.flags.c_contiguous
        for x in samples
    )


READS_OBJECTS = _reads_objects()


def threads_for(nanoseconds: float) -> int | None:
    """Return how many threads work of that size is worth; None is all of them."""
    return 1 if nanoseconds < PARALLEL_NANOSECONDS else None


run = team.run
