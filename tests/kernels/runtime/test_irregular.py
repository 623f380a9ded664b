"""Kernels that are Python functions: compiled without Python inside, kept in our cache, the same as what they say."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tensorlite.kernels.cpu import native, team
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.generated import launch
from tensorlite.kernels.irregular.kernel import Kernel, barrier


def double(value):
    return value + value


def doubled(thread, threads, x, out, n, scale):
    """Writes twice the elements of a thread's share, by a function of this module."""
    for i in range(n):
        if i % threads == thread:
            out[i] = double(x[i]) * scale


def in_two_steps(thread, threads, x, n):
    """Adds to each element its neighbour, once all have been turned around."""
    size = (n + threads - 1) // threads
    for i in range(thread * size, min(n, (thread + 1) * size)):
        x[n + i] = -x[i]
    barrier(threads)
    for i in range(thread * size, min(n, (thread + 1) * size)):
        x[i] = x[n + i] + x[n + (i + 1) % n]


def raising(thread, threads, x, n):
    """Does what a kernel must not."""
    if x[0] > n:
        raise ValueError
    x[0] = n


DOUBLED = Kernel(doubled, ("float32*", "float32*", "int64", "float64"))


def compiled(kernel):
    return native.compile(launch.module_of(kernel), f"test {kernel.function.__name__}", speed=0)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_function_with_addresses_and_numbers(threads):
    x, out = np.arange(1001, dtype=np.float32), np.zeros(1001, np.float32)
    block = struct.pack("3qd", x.ctypes.data, out.ctypes.data, 1000, 0.25)
    team.run(compiled(DOUBLED), block, threads)
    np.testing.assert_array_equal(out, np.append(x[:1000] / 2, 0).astype(np.float32))
    again = np.zeros(1001, np.float32)
    for thread in range(threads):  # as plain Python it means the same
        doubled(thread, threads, x, again, 1000, 0.25)
    np.testing.assert_array_equal(again, out)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_meet(threads):
    n = 5000
    x = np.concatenate([np.arange(n), np.zeros(n, np.int64)])
    expected = -np.arange(n) - np.roll(np.arange(n), -1)
    team.run(compiled(Kernel(in_two_steps, ("int64*", "int64"))), struct.pack("2q", x.ctypes.data, n), threads)
    np.testing.assert_array_equal(x[:n], expected)


def test_what_needs_python_is_refused():
    with pytest.raises(KernelError, match=r"^irregular: raising calls .*PyErr_.* of Numba or Python$"):
        Kernel(raising, ("int64*", "int64")).llvm()


def test_the_module_calls_nothing_from_outside():
    text = DOUBLED.llvm()
    assert not list(native.undefined_symbols(native.emit_object(text)))
    assert launch.source_of(DOUBLED).startswith("def doubled(thread, threads, x, out, n, scale):")


WORK = """
import sys
import numpy as np
import tensorlite as tl
assert "numba" not in sys.modules
x = tl.tensor(np.random.default_rng(0).random((100, 300), np.float32))
values, places = tl.topk(x, 5)
assert (places.numpy() == np.argsort(-x.numpy(), axis=1, kind="stable")[:, :5]).all()
order = tl.jit(lambda x: tl.argsort(x))(x)
assert (order.numpy() == np.argsort(x.numpy(), axis=1, kind="stable")).all()
print("numba" in sys.modules)
"""


def test_a_warm_start_does_not_import_numba(program, tmp_path):
    runs = [program(WORK, TENSORLITE_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    assert [run.stdout.strip() for run in runs] == ["True", "False"], [run.stderr for run in runs]


def test_it_compiles_where_numba_is_switched_off(program, tmp_path):
    run = program(WORK, TENSORLITE_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="1")
    assert run.stdout.strip() == "True", run.stderr


def test_a_folder_that_cannot_be_written_is_no_obstacle(program):
    run = program(WORK, TENSORLITE_CACHE_DIR="/proc/nothing", PYTHONWARNINGS="ignore")
    assert run.returncode == 0, run.stderr


def test_a_forked_child_compiles_and_runs(program, tmp_path):
    run = program(
        """
        import faulthandler, os, threading
        import numpy as np
        import tensorlite as tl
        faulthandler.dump_traceback_later(100, exit=True)
        x = tl.tensor(np.random.default_rng(0).random(1 << 17))
        tl.argsort(tl.astype(x, tl.float32))  # modules are imported: Python itself does not fork amid an import
        busy = threading.Thread(target=lambda: tl.argsort(x))
        busy.start()  # compiles while the process forks
        child = os.fork()
        if child == 0:
            same = (tl.argsort(x).numpy() == np.argsort(x.numpy(), kind="stable")).all()
            os._exit(0 if same and tl.topk(x, 3).indices.shape == (3,) else 1)
        busy.join()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """,
        timeout=120,
        TENSORLITE_CACHE_DIR=str(tmp_path),
    )
    assert run.returncode == 0, run.stderr
