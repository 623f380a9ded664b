"""NumPy's BLAS on one thread, while an op of ours runs.

OpenBLAS divides a product differently for every number of threads, so that bits depend on it, and its threads spin: on
a busy machine they made a training step 20 to 80 times slower. Other BLAS libraries are left as they are.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
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


class _State:
    """What the blocks of this process share. Each open block refers to ``token``: an interrupt cannot lose count."""

    def __init__(self) -> None:
        self.lock, self.token, self.before = threading.RLock(), object(), 1  # reentrant: a signal handler computes too

    def is_open(self) -> bool:
        """Tell whether any thread is inside of a block."""
        return sys.getrefcount(self.token) > 2  # ours and the argument


class one_thread:
    """A block in which BLAS uses one thread; blocks of several Python threads may overlap.

    The last block that ends puts back the number that the first one found. If an interrupt prevents that, the next
    one does.
    """

    __slots__ = ("token",)

    def __enter__(self) -> None:
        found = controls()
        if found is None:
            return
        get, set_to = found
        with _state.lock:
            if not _state.is_open():
                number = get()
                if number != 1:
                    _state.before = number
                    set_to(1)
            self.token = _state.token

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        found = controls()
        if found is None:
            return
        with _state.lock:
            self.token = None
            if not _state.is_open() and _state.before != 1:
                found[1](_state.before)
                _state.before = 1


def _start_afresh() -> None:
    """In a forked child: what its parent's other threads were inside of is not open here."""
    global _state
    before, _state = _state.before, _State()
    _state.before = before


_state = _State()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)
