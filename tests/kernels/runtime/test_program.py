"""The native driver: loops of any depth that it has counters for, and an error for more."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import program
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.generated import launch


def nested(depth: int) -> list[program.Record]:
    """Records that add 1 to an int64 in that many loops of two iterations, one in the other, three in the innermost."""
    out = loops.Buffer("out", loops.INDEX, writable=True)
    add = loops.parallel("i", 1, loops.Load("old", "out", loops.index(s.Var("i"))),
                         loops.Store("out", loops.index(s.Var("i")), s.Var("old") + 1))  # fmt: skip
    entry = launch.compile(lambda: loops.build("count", (out,), (add,)), "counts in a test of nested loops")
    records: list[program.Record] = [program.Begin(level, level) for level in range(depth)]
    records.append(program.Step(entry, struct.pack("q", 0), ((0, 0),), thread=0))
    for level in reversed(range(depth)):
        records.append(program.Again(level, level, level + 1, 3 if level == depth - 1 else 1 + (level < 2)))
    return records


@pytest.mark.parametrize("depth", [1, 2, 16, 17, 40, program.MOST_DEPTH])
def test_nested_loops_count_for_themselves(depth):
    count = np.zeros(1, np.int64)
    program.Frame(nested(depth), 1).run(struct.pack("q", count.ctypes.data), 1)
    assert count.tolist() == [3 * 2 ** min(depth - 1, 2)]


def test_loops_that_are_nested_too_deep():
    with pytest.raises(KernelError, match=r"^program: loops are nested more than 64 deep$"):
        program.Frame(nested(program.MOST_DEPTH + 1), 1)


FAULTS = """
import struct
import numpy as np
from tensorlite.kernels import loops, scalar as s
from tensorlite.kernels.cpu import program, team
from tensorlite.kernels.generated import launch

team.set_num_threads(2)
out = loops.Buffer("out", loops.INDEX, writable=True)
add = loops.serial("i", 1, loops.Load("old", "out", loops.index(s.Var("i"))),
                   loops.Store("out", loops.index(s.Var("i")), s.Var("old") + 1))
entry = launch.compile(lambda: loops.build("count", (out,), (add,)), "counts in a test of faults")
step = program.Step(entry, struct.pack("q", 0), ((0, 0),), thread=0)
frame = program.Frame([program.Meet(fault=(0, 0)), step, program.Meet(fault=(0, 0)), step], 1)
fault = np.zeros(1, np.int64)
for _ in range(100_000):
    fault[0] = 0
    frame.run(struct.pack("q", fault.ctypes.data), 2)
    assert fault[0] == 1
print("all ended")
"""


def test_all_threads_leave_at_a_fault_or_none():
    """One may set it in the next phase while another has yet to look: it left alone, and the first waited for ever."""
    told = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, timeout=120, check=True)
    assert told.stdout == "all ended\n"
