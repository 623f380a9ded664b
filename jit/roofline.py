"""Roofline: what the machine can do at most, measured once in a process: bytes copied and multiply-adds a second.

A kernel that moves bytes and computes cannot take less time than either needs by itself (Williams, Waterman and
Patterson, "Roofline: an insightful visual performance model", 2009). What fits in the threads' own caches is held
against a copy there; what lies in a cache that all share may come faster than a copy in memory says.
"""

from __future__ import annotations

import functools
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import allocator, host, team
from tensorlite.kernels.cpu.matmul import has_pairs
from tensorlite.kernels.cpu.program import Frame, Step, block
from tensorlite.kernels.generated import gemm_loops, launch, pair_loops
from tensorlite.kernels.generated.elementwise_loops import Body
from tensorlite.kernels.generated.fused import plan_body
from tensorlite.kernels.scalar.typing import BFLOAT16, FLOAT32, FLOAT64

_DTYPES = (FLOAT32, FLOAT64, BFLOAT16)
_COPIED = 1 << 26  # bytes of the array that is copied: more than caches hold
_SECONDS = 0.05  # to try for the best of
_LENGTH = 4096  # multiply-adds one after the other in each lane of a task
_TASKS = 16  # for each thread


@dataclass(frozen=True)
class Machine:
    """Bytes a second that a copy reads and writes, and the most floating-point operations a second by dtype.

    ``cached`` is the bandwidth of a copy of no more than ``cache`` bytes, read and written: the threads' second caches.
    """

    threads: int
    bandwidth: float
    cached: float
    cache: int
    peak: Mapping[str, float]

    def seconds(self, moved: float, flops: float, dtype: str = "float32") -> float:
        """The least time that moving so many bytes and computing so many operations can take.

        >>> Machine(2, 20e9, 80e9, 2 << 20, {"float32": 200e9, "float64": 100e9}).seconds(20e9, 50e9)
        1.0
        """
        bandwidth = self.cached if moved <= self.cache else self.bandwidth
        return max(moved / bandwidth, flops / self.peak.get(dtype, self.peak["float32"]))


def machine() -> Machine:
    """This machine with the threads that calls take now; the first call measures, which takes about 0.2 s."""
    return _measured(team.get_num_threads())


@functools.cache
def _measured(threads: int) -> Machine:
    held = host.cache_sizes().get("L2", 1 << 20) * min(threads, host.usable_cores())
    return Machine(threads, _bandwidth(_COPIED), _bandwidth(held // 4), held,
                   {dtype.name: _peak(dtype, threads) for dtype in _DTYPES if dtype != BFLOAT16 or has_pairs(dtype)})


def _bandwidth(size: int) -> float:
    """Bytes a second of copying an array of so many bytes, both ways counted; a small one many times in one call."""
    count, times = size // 4, max(1, _COPIED // size // 8)
    source, target = (allocator.empty((count,), np.float32) for _ in range(2))
    source.fill(1)
    stage = plan_body(Body((source.dtype,), ((s.Var("x0"), target.dtype),)), (count,), ((1,), (1,))).stages[0]
    entry = launch.compile(stage.build, stage.key)
    copy = Step(entry, block(2, stage.numbers), ((0, 0), (1, 0)))
    frame, bases = Frame((copy,) * times, 2), struct.pack("2q", launch.address(source), launch.address(target))
    return 2 * times * size / _fastest(lambda: frame.run(bases, None))


def _peak(dtype: np.dtype, threads: int) -> float:
    """Floating-point operations a second of independent chains of multiply-adds in registers."""
    paired = dtype.itemsize == 2
    shape = gemm_loops.schedule(FLOAT32 if paired else dtype)
    entry = launch.compile(lambda: _chains(shape, paired), f"peak {shape} {paired}")
    tasks = _TASKS * threads
    ones, sums = np.ones(shape.lanes * (1 + paired), dtype), np.zeros(tasks * shape.lanes, shape.dtype)
    arguments = struct.pack("3q", launch.address(ones), launch.address(sums), tasks)
    flops = 2.0 * (1 + paired) * tasks * shape.rows * shape.lanes * _LENGTH
    return flops / _fastest(lambda: launch.run(entry, arguments, None))


def _chains(shape: gemm_loops.Schedule, paired: bool) -> loops.Kernel:
    """As many sums as a matrix product has, each added to again and again."""
    dtype, lane, task = np.dtype(shape.dtype), s.Var("lane"), s.Var("task")
    names = [f"sum{r}" for r in range(shape.rows)]
    add = pair_loops.add_pair if paired else partial(gemm_loops.multiplied, shape)
    adds = [loops.Assign(name, add("x", "x", name)) for name in names]
    total: s.Expr = s.Var(names[0])
    for name in names[1:]:
        total = total + s.Var(name)
    lanes = loops.vector(
        "lane", shape.lanes, shape.lanes, loops.Load("x", "ones", lane),
        *(loops.Local(name, loops.constant(0.0, dtype)) for name in names),
        loops.serial("p", _LENGTH, *adds), loops.Store("sums", task * shape.lanes + lane, total))
    ones = loops.Buffer("ones", gemm_loops.packed_dtype(shape, paired))
    parameters = (ones, loops.Buffer("sums", dtype, writable=True), loops.Parameter("tasks"))
    return loops.build("peak", parameters, (loops.parallel("task", s.Var("tasks"), lanes),))


def _fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs after a first one."""
    run()
    times: list[float] = []
    while len(times) < 3 or sum(times) < _SECONDS:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
