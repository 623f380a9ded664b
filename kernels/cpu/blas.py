"""NumPy's BLAS on one thread, while an op of ours runs.

OpenBLAS divides a product differently for every number of threads, so that bits depend on it, and its threads spin: on
a busy machine they made a training step 20 to 80 times slower. Other BLAS libraries are left as they are.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_PREFIXES = ("scipy_openblas", "openblas")
_SUFFIXES = ("64_", "64", "")


@functools.cache
def controls() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Return the functions that get and set the number of threads of the OpenBLAS that is loaded, if one is."""
    for path in _loaded():
        library = ctypes.CDLL(path)
        for name in (f"{prefix}_{{}}_num_threads{suffix}" for prefix in _PREFIXES for suffix in _SUFFIXES):
            if hasattr(library, name.format("get")) and hasattr(library, name.format("set")):
                return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return None


def _loaded() -> list[str]:
    """Return the shared libraries of this process that look like OpenBLAS."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    paths = (line.split(maxsplit=5)[-1] for line in lines if "openblas" in line)
    return sorted({path for path in paths if path.startswith("/")})


class OneThread:
    """A block in which BLAS uses one thread; blocks of several Python threads may overlap."""

    def __init__(self) -> None:
        self._restart()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._restart)

    def _restart(self) -> None:
        self._lock, self._depth, self._before = threading.RLock(), 0, 1  # reentrant: a signal handler may compute too

    def __enter__(self) -> None:
        found = controls()
        if found is None:
            return
        with self._lock:
            if not self._depth:
                get, set_to = found
                self._before = get()
                if self._before != 1:
                    set_to(1)
            self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        found = controls()
        if found is None:
            return
        with self._lock:
            self._depth = max(0, self._depth - 1)
            if not self._depth and self._before != 1:
                found[1](self._before)


one_thread = OneThread()
