"""The thread team: ``run`` calls a native SPMD function once per thread, all inside one native call.

A kernel is ``void kernel(i64 thread, i64 threads, ptr arguments)``. The workers are Python threads parked in a native
loop (``spmd.py``) with the GIL released; they start at the first run that wants them and live until the process ends,
which they never hold up. A run while the team is busy (another Python thread, a callback inside a kernel) happens
serially on the caller, as thread 0 of 1. So may every run, and the results must not differ. A forked child starts a
team of its own. Ctrl-C lets a run end first.

A kernel may call ``declare void @tensorlite_barrier(i64 threads)`` with the number of threads that it was given: all
threads meet there (nothing happens for one). All of them must come there equally often. A kernel without a barrier
must not wait for its other threads in any other way: the caller runs the shares that no worker has started.

``TENSORLITE_NUM_THREADS`` sets the number of threads; otherwise it is the number of physical cores that we may use.
"""

from __future__ import annotations

import _thread
import ctypes
import importlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial

from tensorlite.kernels.cpu import host, spmd, symbols

MAX_THREADS = spmd.MAX_THREADS
_DEFAULT_CAP = 64
_SPIN_SECONDS = 30e-6  # before a waiting thread sleeps: about what waking it costs, so that waiting costs at most twice
_SPIN_SECONDS_CROWDED = 1e-6  # with more threads than cores, who spins keeps another from working
_START_SECONDS = 2.0

_Run = Callable[[int, "int | bytes", int], None]
BARRIER = "tensorlite_barrier"
"""The name under which kernels call the meeting of a team's threads."""
RUN, READY, WANTED = "tensorlite_run", "tensorlite_ready", "tensorlite_wanted"
"""The names under which native code calls ``void run(entry, arguments, i64 threads)``, for at most as many threads as
are ready (0 until the workers are there: `run` starts them), and asks how many are wanted."""

_lock = threading.Lock()
_library: _Library | None = None
_started = 0


class _Library:
    """The team's native functions and how many pauses a second takes; made once in a process, kept by its forks."""

    def __init__(self) -> None:
        threaded = ("worker", "ready_workers", "set_spins", "pause_many", "reset") if spmd.has_threads() else ()
        limits = ("ready_threads", "wanted_threads", "set_limits")
        names = ("run", "run_if_awake", "tensorlite_barrier", *limits, *threaded)
        native = importlib.import_module("tensorlite.kernels.cpu.native")  # 10 ms that an import need not take
        addresses = dict(zip(names, native.compile_all(spmd.source(), "team", names, speed=0), strict=True))
        number, pointer = ctypes.c_int64, ctypes.c_void_p
        self.provided = {BARRIER: addresses["tensorlite_barrier"], RUN: addresses["run"]}
        self.provided |= {READY: addresses["ready_threads"], WANTED: addresses["wanted_threads"]}
        self.set_limits = ctypes.CFUNCTYPE(None, number, number)(addresses["set_limits"])
        self.run: _Run = ctypes.CFUNCTYPE(None, pointer, pointer, number)(addresses["run"])
        self.run_if_awake: _Run = ctypes.CFUNCTYPE(None, pointer, pointer, number)(addresses["run_if_awake"])
        if spmd.has_threads():
            self.worker = ctypes.CFUNCTYPE(None, number)(addresses["worker"])
            self.ready_workers = ctypes.CFUNCTYPE(ctypes.c_int32)(addresses["ready_workers"])
            self.set_spins = ctypes.CFUNCTYPE(None, ctypes.c_int32)(addresses["set_spins"])
            self.reset = ctypes.CFUNCTYPE(None)(addresses["reset"])
            self.pauses_per_second = _pauses_per_second(ctypes.CFUNCTYPE(None, ctypes.c_int32)(addresses["pause_many"]))


def _pauses_per_second(pause_many: Callable[[int], None]) -> float:
    """Measure the CPU's pause instruction, which takes from 10 to 140 cycles."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        pause_many(500)
        times.append(time.perf_counter() - start)
    return 500 / min(times)


def run(entry: int, arguments: int | bytes, threads: int | None = None) -> None:
    """Call the native function at ``entry`` as ``(thread, threads, arguments)`` once for each thread; wait for all.

    ``arguments`` is the address of the argument block, or the block. ``threads`` is at most the team's size, which is
    also the default; the function may be given fewer.
    """
    _run(entry, arguments, _limit if threads is None or threads > _limit else threads)


def run_if_awake(entry: int, arguments: int | bytes) -> None:
    """Call the native function as ``run`` does, if the workers need not be woken; else on this thread alone.

    For work of less than the 50 us or so that waking a worker can take. The workers are woken for the next such call.
    """
    if _library is None or _run is _run_and_start:
        _run(entry, arguments, _limit)
    else:
        _library.run_if_awake(entry, arguments, _limit)


def get_num_threads() -> int:
    """Return how many threads a run may use."""
    return _wanted


def set_num_threads(number: int) -> None:
    """Let runs use ``number`` threads from now on, 1 to 128; results do not depend on it."""
    global _wanted, _limit, _run
    number = number.__index__()
    if not 1 <= number <= MAX_THREADS:
        raise ValueError(f"set_num_threads: expected a number from 1 to {MAX_THREADS}, got {number}")
    with _lock:
        _wanted = _limit = number
        _run = _run_and_start
        if _library is not None:
            _library.set_limits(0, number)


def describe() -> dict[str, str]:
    """Return the facts that ``tensorlite doctor`` shows, in words."""
    kind = "native team" if spmd.has_threads() else "serial: no native threads on this system"
    named = os.environ.get("TENSORLITE_NUM_THREADS")
    return {"threads": f"{_wanted} ({kind}, {_started} workers started, TENSORLITE_NUM_THREADS {named or 'not set'})"}


def _address_of(name: str) -> int:
    """Return the address of a function that native code calls by this name."""
    return _load().provided[name]


def _run_and_start(entry: int, arguments: int | bytes, threads: int) -> None:
    """What ``_run`` is until the workers are there."""
    global _limit, _run
    with _lock:
        library = _load()
        if threads > 1 or _wanted == 1:
            _limit = min(_wanted, 1 + _start_workers(library, _wanted - 1))
            if _limit == _wanted or not spmd.has_threads():
                _run = library.run
                library.set_limits(_limit, _wanted)
    library.run(entry, arguments, min(threads, _limit))


def _load() -> _Library:
    """Without our lock, which a thread may hold while it waits for the compiler; loading twice does no harm."""
    global _library
    if _library is None:
        _library = _Library()
        _library.set_limits(0, _wanted)
    return _library


def _start_workers(library: _Library, number: int) -> int:
    """Start what is missing of ``number`` workers and return how many are parked and ready."""
    global _started
    if not spmd.has_threads():
        return 0
    crowded = number + 1 > host.usable_cores()
    seconds = _SPIN_SECONDS_CROWDED if crowded else _SPIN_SECONDS
    library.set_spins(int(seconds * library.pauses_per_second))
    fresh = number > _started
    while _started < number and not sys.is_finalizing():
        try:
            _thread.start_new_thread(library.worker, (_started + 1,))
        except RuntimeError:  # the system has no more threads to give: smaller, not broken
            break
        _started += 1
    deadline = time.monotonic() + _START_SECONDS * fresh
    while library.ready_workers() < min(number, _started) and time.monotonic() < deadline:
        time.sleep(2e-5)
    return int(library.ready_workers())


def _threads_from_environment() -> int:
    default = min(host.usable_cores(), _DEFAULT_CAP)
    text = os.environ.get("TENSORLITE_NUM_THREADS", "").strip()
    if text and not (text.isdecimal() and 1 <= int(text) <= MAX_THREADS):
        expected = f"a number from 1 to {MAX_THREADS}"
        warnings.warn(f"TENSORLITE_NUM_THREADS={text!r} is not {expected}: using {default}", stacklevel=2)
    elif text:
        return int(text)
    return default


def _start_afresh() -> None:
    """In a forked child: its parent's workers do not exist here, whatever they were doing."""
    global _lock, _started, _limit, _run
    _lock = threading.Lock()
    _started = 0
    _limit = _wanted
    _run = _run_and_start
    if _library is not None:
        _library.set_limits(0, _wanted)
        if spmd.has_threads():
            _library.reset()


_wanted = _limit = _threads_from_environment()
_run: _Run = _run_and_start
for _name in (BARRIER, RUN, READY, WANTED):
    symbols.provide(_name, partial(_address_of, _name))
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)
