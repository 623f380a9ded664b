"""Small native kernels to run the team with, and Python programs to run beside this process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorlite.kernels.cpu import native, team

NAMES = ("count", "stages", "call")
TEXT = """
declare void @tensorlite_barrier(i64)

; arguments: x, n. x[i] += 1 over this thread's part.
define void @count(i64 %thread, i64 %threads, ptr %arguments) nounwind {
  %x = load ptr, ptr %arguments
  %n.at = getelementptr i64, ptr %arguments, i64 1
  %n = load i64, ptr %n.at
  %a = mul i64 %n, %thread
  %start = sdiv i64 %a, %threads
  %next = add i64 %thread, 1
  %b = mul i64 %n, %next
  %stop = sdiv i64 %b, %threads
  br label %check
check:
  %i = phi i64 [%start, %0], [%j, %body]
  %more = icmp slt i64 %i, %stop
  br i1 %more, label %body, label %done
body:
  %p = getelementptr i64, ptr %x, i64 %i
  %v = load volatile i64, ptr %p
  %w = add i64 %v, 1
  store volatile i64 %w, ptr %p
  %j = add i64 %i, 1
  br label %check
done:
  ret void
}

; arguments: a, b, n, stages. b[i] = a[(i + 1) mod n] + i, a and b change places, again: wrong unless all threads meet.
define void @stages(i64 %thread, i64 %threads, ptr %arguments) nounwind {
  %a = load ptr, ptr %arguments
  %b.at = getelementptr i64, ptr %arguments, i64 1
  %b = load ptr, ptr %b.at
  %n.at = getelementptr i64, ptr %arguments, i64 2
  %n = load i64, ptr %n.at
  %stages.at = getelementptr i64, ptr %arguments, i64 3
  %stages = load i64, ptr %stages.at
  br label %stage
stage:
  %s = phi i64 [0, %0], [%s.next, %meet]
  %source = phi ptr [%a, %0], [%target, %meet]
  %target = phi ptr [%b, %0], [%source, %meet]
  br label %check
check:
  %i = phi i64 [%thread, %stage], [%j, %body]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %meet
body:
  %i1 = add i64 %i, 1
  %neighbour = urem i64 %i1, %n
  %p = getelementptr i64, ptr %source, i64 %neighbour
  %v = load i64, ptr %p
  %w = add i64 %v, %i
  %q = getelementptr i64, ptr %target, i64 %i
  store i64 %w, ptr %q
  %j = add i64 %i, %threads
  br label %check
meet:
  call void @tensorlite_barrier(i64 %threads)
  %s.next = add i64 %s, 1
  %again = icmp slt i64 %s.next, %stages
  br i1 %again, label %stage, label %done
done:
  ret void
}

; arguments: function. Thread 0 calls it with the number of threads.
define void @call(i64 %thread, i64 %threads, ptr %arguments) nounwind {
  %first = icmp eq i64 %thread, 0
  br i1 %first, label %do, label %done
do:
  %function = load ptr, ptr %arguments
  call void %function(i64 %threads)
  br label %done
done:
  ret void
}
"""


class Kernels:
    """The kernels above as functions on arrays."""

    def __init__(self) -> None:
        self.count_address, self.stages_address, self.call_address = native.compile_all(TEXT, "test", NAMES)

    def count(self, x: np.ndarray, threads: int | None = None) -> None:
        arguments = np.array([x.ctypes.data, x.size], np.int64)
        team.run(self.count_address, arguments.ctypes.data, threads)

    def stages(self, a: np.ndarray, stages: int, threads: int | None = None) -> np.ndarray:
        work = [a.copy(), np.empty_like(a)]
        arguments = np.array([work[0].ctypes.data, work[1].ctypes.data, a.size, stages], np.int64)
        team.run(self.stages_address, arguments.ctypes.data, threads)
        return work[stages % 2]

    @staticmethod
    def stages_meaning(a: np.ndarray, stages: int) -> np.ndarray:
        for _ in range(stages):
            a = np.roll(a, -1) + np.arange(a.size)
        return a

    def call(self, function: Any) -> None:
        arguments = np.array([_address(function)], np.int64)
        team.run(self.call_address, arguments.ctypes.data)


def _address(function: Any) -> int:
    import ctypes

    return ctypes.cast(function, ctypes.c_void_p).value or 0


@pytest.fixture(scope="session")
def kernels() -> Kernels:
    return Kernels()


@pytest.fixture
def threads() -> Any:
    """``set_num_threads``, undone after the test."""
    before = team.get_num_threads()
    yield team.set_num_threads
    team.set_num_threads(before)


@pytest.fixture
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python program in a process of its own that may import this file as ``conftest``."""

    def run(text: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(text)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | {"PYTHONPATH": path} | environment,
        )

    return run
