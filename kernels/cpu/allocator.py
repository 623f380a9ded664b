"""Big arrays over blocks that are kept and used again, because fresh pages cost five times the arithmetic.

``empty`` gives an ordinary writable C-contiguous ndarray. From 256 KiB on, its memory is a block of a pool: mapped
pages, 64-byte aligned, huge ones from 4 MiB where the system grants them. The array's ``base`` is a small owner
object; when the array and all its views are gone the owner's finaliser puts the block back, pages warm. Sizes are
rounded up to an eighth of a power of two. What lies unused is bounded by ``TENSORLITE_CACHE_BYTES`` (default: a
quarter of the memory, at most 4 GiB).

The reference contract: views of views refer straight to the first array (NumPy collapses the chain), that array alone
refers to the owner, and an owner has no other use. Hence ``owns_alone``.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import sys
import threading
import warnings
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

POOL_BYTES = 256 << 10  # arrays from this size on are pooled
_HUGE_BYTES = 4 << 20
_HUGE_PAGE = 2 << 20
_PAGE = 4096
_COLOURS = 16  # starts of blocks differ by multiples of 256 bytes, or equal arrays would meet in the same cache sets
_LARGER_CLASSES = 4  # a block up to 1.5 times too large is better than fresh pages

_LIMIT = (
    1 << 47 if hasattr(mmap, "MAP_ANONYMOUS") else 0
)  # more than an address space holds; elsewhere NumPy does it all
POOLS = _LIMIT > 0
"""Whether large arrays are blocks of a pool here, and so begin at multiples of 64 bytes."""
_lock = threading.RLock()
_pools: dict[int, _Pool] = {}
_spans: dict[int, tuple[int, int]] = {}  # what was mapped for the block that starts there: address and length


class _Totals:
    """Bytes mapped now and at most, and bytes of unused blocks (kept without a lock: corrected whenever it matters)."""

    __slots__ = ("bound", "cached", "mapped", "peak")

    def __init__(self) -> None:
        self.mapped = self.peak = self.cached = 0
        self.bound = _bound_from_environment()


class _Owner:
    """What all owners have in common, to know them by."""

    __slots__ = ()


class _Pool:
    """The unused blocks of one size, and the type of the owners that lend them out."""

    __slots__ = ("free", "lend", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.free: list[int] = []
        self.lend = self._owner_type().from_address

    def _owner_type(self) -> Any:
        free, size, address_of, totals = self.free, self.size, ctypes.addressof, _totals

        class Owner(ctypes.c_char * size, _Owner):  # type: ignore[misc]
            """The memory of one array, given back when the last reference goes."""

            __slots__ = ()

            def __del__(self) -> None:
                free.append(address_of(self))
                totals.cached += size
                if totals.cached > totals.bound:
                    _trim(totals.bound)

        return Owner


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an uninitialised array, as ``np.empty`` does."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if not POOL_BYTES <= size < _LIMIT or dtype.hasobject:
        return np.empty(shape, dtype)
    size = _class_size(size)
    pool = _pools.get(size)
    try:
        address = pool.free.pop()  # type: ignore[union-attr]
        _totals.cached -= size
    except (AttributeError, IndexError):
        pool, address = _find_block(size)
    return np.ndarray(shape, dtype, pool.lend(address))  # type: ignore[union-attr]


def _class_size(size: int) -> int:
    """Round up to a multiple of an eighth of the power of two below ``size``."""
    step = (size - 1).bit_length() - 4
    return -(-size >> step) << step


def _find_block(size: int) -> tuple[_Pool, int]:
    """Take an unused block that is a little too large, else map a new one."""
    larger = size
    for _ in range(_LARGER_CLASSES):
        larger = _class_size(larger + 1)
        pool = _pools.get(larger)
        if pool is not None and pool.free:
            try:
                address = pool.free.pop()
            except IndexError:  # another thread was faster
                continue
            _totals.cached -= larger
            return pool, address
    with _lock:
        if size not in _pools:
            _pools[size] = _Pool(size)
        return _pools[size], _map(size)


def _map(size: int) -> int:
    room = size + _PAGE + (_HUGE_PAGE if size >= _HUGE_BYTES else 0)
    try:
        start = _map_pages(room)
    except MemoryError:
        _trim(0)
        start = _map_pages(room)
    address = start
    if size >= _HUGE_BYTES:
        address = -(-start // _HUGE_PAGE) * _HUGE_PAGE
        if hasattr(mmap, "MADV_HUGEPAGE"):  # a kernel without huge pages says no, which does no harm
            _libc().madvise(address, size, mmap.MADV_HUGEPAGE)
    address += len(_spans) % _COLOURS * (_PAGE // _COLOURS)
    _spans[address] = start, room
    _totals.mapped += size
    _totals.peak = max(_totals.peak, _totals.mapped)
    return address


def _map_pages(room: int) -> int:
    """Map fresh pages through libc: one of Python's mmap objects would unmap them under live arrays at exit."""
    rights, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    start = _libc().mmap(None, room, rights, kind, -1, 0)
    if start == ctypes.c_void_p(-1).value:
        raise MemoryError(f"cannot allocate {room / 2**20:.0f} MiB: {os.strerror(ctypes.get_errno())}")
    return int(start)


@functools.cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    library.mmap.argtypes, library.mmap.restype = (pointer, size, number, number, number, ctypes.c_long), pointer
    library.munmap.argtypes = (pointer, size)
    library.madvise.argtypes = (pointer, size, number)
    return library


def _trim(bound: int) -> None:
    """Unmap unused blocks, the oldest of the largest sizes first, until at most ``bound`` bytes lie unused."""
    with _lock:
        _totals.cached = sum(len(pool.free) * size for size, pool in list(_pools.items()))
        for size, pool in sorted(_pools.items(), reverse=True):
            while _totals.cached > bound and pool.free:
                try:
                    address = pool.free.pop(0)
                except IndexError:  # another thread uses it
                    break
                _libc().munmap(*_spans.pop(address))
                _totals.cached -= size
                _totals.mapped -= size


def empty_cache() -> None:
    """Give all unused memory back to the system."""
    _trim(0)


def memory() -> dict[str, int]:
    """Return bytes in use by arrays, bytes kept for later, and the most ever held (small arrays not counted)."""
    with _lock:
        cached = sum(len(pool.free) * size for size, pool in _pools.items())
        return {"allocated": _totals.mapped - cached, "cached": cached, "peak": _totals.peak, "bound": _totals.bound}


def is_block(x: object) -> bool:
    """Tell whether ``x`` is what an array of the pool has as its base."""
    return isinstance(x, _Owner)


def owns_alone(array: npt.NDArray[Any]) -> bool:
    """Tell whether nobody else can see the memory of ``array``, so that it may be overwritten: no other view lives.

    Call it with an attribute of an object, ``owns_alone(tensor.array)``: that slot is the one reference allowed; a
    local variable that also holds the array makes it False, as does any view, memoryview, DLPack capsule or other
    holder. Arrays that own their data, arrays from ``empty``, and a view of either whose first array nobody else
    holds qualify; memory that belongs to other objects (bytes, files, other libraries) and read-only arrays never do.
    """
    return _signature(array) in _alone


def _signature(array: npt.NDArray[Any]) -> tuple[int, ...]:
    """The reference counts along the chain from an array to the owner of its memory; empty if it ends elsewhere."""
    count = sys.getrefcount
    if not array.flags.writeable:
        return ()
    base = array.base
    if base is None:
        return (0, count(array)) if array.flags.owndata else ()
    if isinstance(base, _Owner):
        return (1, count(array), count(base))
    if type(base) is not np.ndarray:
        return ()
    first, base = base, base.base
    if base is None:
        return (2, count(array), count(first)) if first.flags.owndata else ()
    return (3, count(array), count(first), count(base)) if isinstance(base, _Owner) else ()


def _learn() -> set[tuple[int, ...]]:
    """The signatures of arrays known to be alone: reference counts depend on how an interpreter passes arguments."""

    def as_owns_alone_does(array: npt.NDArray[Any]) -> None:
        found.add(_signature(array))

    found: set[tuple[int, ...]] = set()
    for shape in ((2,), (POOL_BYTES,)):
        tensor = SimpleNamespace(array=empty(shape, np.uint8))
        as_owns_alone_does(tensor.array)
        tensor.array = tensor.array[:]
        as_owns_alone_does(tensor.array)
    return found


def _bound_from_environment() -> int:
    text = os.environ.get("TENSORLITE_CACHE_BYTES", "").strip()
    if text and not text.isdecimal():
        warnings.warn(f"TENSORLITE_CACHE_BYTES={text!r} is not a number of bytes: using the default", stacklevel=2)
    elif text:
        return int(text)
    try:
        memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        memory_bytes = 8 << 30
    return min(memory_bytes // 4, 4 << 30)


def _unlock_after_fork() -> None:
    """In a forked child the lock may be held by a thread that does not exist there."""
    global _lock
    _lock = threading.RLock()


_totals = _Totals()
_alone = _learn()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_after_fork)
