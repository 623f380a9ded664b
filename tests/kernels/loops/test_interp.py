"""The interpreter finds what a kernel must not do, and defines the order of what it does."""

from __future__ import annotations

import numpy as np
import pytest
from loop_samples import SAMPLES, C, I, N, V

from tensorlite.kernels import interp, loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.interp import KernelFault
from tensorlite.kernels.loops import (
    Assign,
    Barrier,
    Buffer,
    If,
    Load,
    Local,
    Parameter,
    Reduce,
    Store,
    parallel,
    vector,
)

F32 = np.dtype(np.float32)
OUT = (Buffer("out", F32, True), Parameter("n"))
ONE = loops.constant(1.0, F32)


def run(body, arguments, threads=2, parameters=OUT):
    interp.run(loops.build("k", parameters, body), arguments, threads)


def test_shares_cover_everything_once():
    for extent in (0, 1, 5, 16):
        for threads in (1, 2, 3, 7):
            shares = [i for thread in range(threads) for i in interp.share(extent, thread, threads)]
            assert shares == list(range(extent))


@pytest.mark.parametrize("index, origin", [(C, 0), (C - 3, 2), (C, 5)])
def test_out_of_bounds(index, origin):
    with pytest.raises(KernelFault) as raised:
        run((parallel("c", N, Store("out", index, ONE)),), {"out": (np.zeros(6, F32), origin), "n": 8})
    assert "is out of bounds" in str(raised.value)
    assert str(raised.value).endswith(f": {-origin} to {5 - origin}")


def test_two_iterations_store_to_one_element():
    with pytest.raises(KernelFault) as raised:
        run((parallel("c", N, Store("out", C // 2, ONE)),), {"out": np.zeros(6, F32), "n": 6})
    assert str(raised.value) == "a race: two iterations store to out[0], and there is no barrier between"


def test_an_iteration_reads_what_another_stored():
    body = parallel("c", N, Store("out", C, ONE), Load("x", "out", 0), Store("out", N + C, V("x")))
    with pytest.raises(KernelFault) as raised:
        run((body,), {"out": np.zeros(4, F32), "n": 2})
    assert str(raised.value).startswith("a race: an iteration reads what another stored in out[0], and there is no")


def test_an_iteration_stores_over_what_another_read():
    body = parallel("c", N, Load("x", "out", (C + 1) % N), Store("out", C, V("x")))
    with pytest.raises(KernelFault) as raised:
        run((body,), {"out": np.zeros(4, F32), "n": 4})
    assert "an iteration stores over what another read in out[1]" in str(raised.value)


def test_a_barrier_ends_the_race():
    first = parallel("c", N, Store("out", C, s.cast(C, F32)))
    second = parallel("d", N, Load("x", "out", N - 1 - V("d")), Store("out", N + V("d"), V("x")))
    out = np.zeros(10, F32)
    run((first, Barrier(), second), {"out": out, "n": 5}, threads=3)
    assert out.tolist() == [0, 1, 2, 3, 4, 4, 3, 2, 1, 0]
    with pytest.raises(KernelFault):
        run((first, second), {"out": out, "n": 5}, threads=3)


def test_threads_must_meet_equally_often():
    uneven = loops.Kernel("k", OUT, (If(s.Typed("lt", (loops.index(V("t")), loops.index(1)), bool), (Barrier(),)),))
    with pytest.raises(KeyError):
        interp.run(uneven, {"out": np.zeros(1, F32), "n": 1})


def test_the_wrong_dtype():
    with pytest.raises(KernelFault) as raised:
        run((), {"out": np.zeros(3), "n": 3})
    assert str(raised.value) == "out: float64 of 1 dimensions, not float32 of one"


def test_lanes_are_merged_by_halves():
    """Lane l has the elements l, l + 4, ...; then 0 takes in 2, 1 takes in 3; then 0 takes in 1; the local is left."""
    step = Assign("t", V("t") * 10 + V("x"))
    reduce = Reduce(("t",), (0.0,), (V("t") * 1000 + V("t_right"),), 4, (vector("i", N, 4, Load("x", "a", I), step),))
    body = parallel("c", 1, Local("t", loops.constant(7.0, np.float64)), reduce, Store("out", C, V("t")))
    parameters = (Buffer("a", np.dtype(np.float64)), Buffer("out", np.dtype(np.float64), True), Parameter("n"))
    out = np.zeros(1)
    run((body,), {"a": np.arange(1.0, 7.0), "out": out, "n": 6}, 1, parameters)
    lanes = [15.0, 26.0, 3.0, 4.0]
    low, high = lanes[0] * 1000 + lanes[2], lanes[1] * 1000 + lanes[3]
    assert out[0] == 7 * 1000 + (low * 1000 + high)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_number_of_threads_changes_nothing(name):
    results = []
    for threads in (1, 2, 3, 5):
        kernel, arguments = SAMPLES[name](100)
        interp.run(kernel, arguments, threads)
        results.append([arguments[p].tobytes() for p, buffer in kernel.buffers.items() if buffer.writable])
    assert all(result == results[0] for result in results)


def test_scratch_begins_undefined():
    body = parallel("c", N, loops.Scratch("z", F32, 2), Load("x", "z", 0), Store("z", 0, ONE), Store("out", C, V("x")))
    out = np.zeros(2, F32)
    run((body,), {"out": out, "n": 2})
    assert out[0] == out[1] != 1
