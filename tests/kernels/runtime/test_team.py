"""The thread team: every share runs once, for any number of threads, callers and processes, and nothing ever hangs."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from tensorlite.kernels.cpu import host, native, spmd, team

HERE = str(Path(__file__).parent)


def expect_right(kernels, number=None, stages=20):
    x = np.zeros(1001, np.int64)
    kernels.count(x, number)
    assert (x == 1).all()
    a = np.arange(97)
    assert (kernels.stages(a, stages, number) == kernels.stages_meaning(a, stages)).all()


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_every_share_runs_once(kernels, threads, number):
    threads(number)
    for pause in (0, 0, 0, 0.002, 0.02):  # awake and asleep workers
        time.sleep(pause)
        expect_right(kernels)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_run_may_ask_for_fewer_threads_but_gets_no_more(kernels, threads, number):
    threads(2)
    seen = []
    kernels.call(ctypes.CFUNCTYPE(None, ctypes.c_int64)(seen.append))
    expect_right(kernels, number)
    assert seen == [2]


def test_a_run_never_waits_for_workers_that_are_not_there(program):
    done = program(
        """
        import ctypes
        from conftest import Kernels
        from test_team import expect_right
        from tensorlite.kernels.cpu import team
        kernels = Kernels()
        expect_right(kernels)
        native_run, team._run = team._run, lambda entry, arguments, _: native_run(entry, arguments, 100)
        expect_right(kernels)
        seen = []
        kernels.call(ctypes.CFUNCTYPE(None, ctypes.c_int64)(seen.append))
        print(seen)
        """,
        TENSORLITE_NUM_THREADS="3",
    )
    assert (done.stdout, done.stderr) == ("[3]\n", "")


def test_many_small_runs(kernels, threads):
    threads(2)
    x = np.zeros(64, np.int64)
    for _ in range(20_000):
        kernels.count(x)
    assert (x == 20_000).all()


def test_eight_python_threads_at_once_while_the_size_changes(kernels, threads):
    stop = time.monotonic() + 2.0
    wrong = []

    def work():
        while time.monotonic() < stop:
            try:
                expect_right(kernels)
            except BaseException as error:
                wrong.append(error)
                return

    callers = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for caller in callers:
        caller.start()
    sizes = 0
    while time.monotonic() < stop:
        threads(1 + sizes % 4)
        sizes += 1
        time.sleep(0.01)
    for caller in callers:
        caller.join(30)
    assert not wrong
    assert not any(caller.is_alive() for caller in callers)


def test_a_nested_run_is_serial(kernels, threads):
    threads(2)
    seen = []

    def inner(number):
        seen.append(number)
        kernels.call(ctypes.CFUNCTYPE(None, ctypes.c_int64)(seen.append))
        expect_right(kernels)

    kernels.call(ctypes.CFUNCTYPE(None, ctypes.c_int64)(inner))
    assert seen == [2, 1]
    expect_right(kernels)


def fork_and_check(kernels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on Python warns of forks beside threads
        child = os.fork()
    if child == 0:
        try:
            expect_right(kernels)
            seen = []
            kernels.call(ctypes.CFUNCTYPE(None, ctypes.c_int64)(seen.append))
            os._exit(0 if seen == [team.get_num_threads()] else 2)
        except BaseException:
            os._exit(1)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def test_a_forked_child_has_a_team_of_its_own(kernels, threads):
    threads(2)
    expect_right(kernels)
    assert fork_and_check(kernels) == 0
    expect_right(kernels)


def test_a_fork_while_the_team_is_busy(kernels, threads):
    threads(2)
    stop = threading.Event()

    def work():
        a = np.arange(5000)
        while not stop.is_set():
            kernels.stages(a, 50)

    caller = threading.Thread(target=work, daemon=True)
    caller.start()
    try:
        assert [fork_and_check(kernels) for _ in range(8)] == [0] * 8
    finally:
        stop.set()
        caller.join(30)
    expect_right(kernels)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(program, method):
    done = program(
        f"""
        import multiprocessing, sys, warnings
        from conftest import Kernels
        from test_team import expect_right

        def work(_):
            expect_right(Kernels())
            return True

        if __name__ == "__main__":
            warnings.simplefilter("ignore", DeprecationWarning)
            sys.modules["__main__"].work = work
            expect_right(Kernels())
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                import test_team
                print(pool.map(test_team.work_in_a_pool, range(4)))
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[True, True, True, True]\n", "")


def work_in_a_pool(_):
    from conftest import Kernels

    expect_right(Kernels())
    return True


LAST = """
class Last:
    def __del__(self, check=expect_right, kernels=kernels):
        check(kernels)
sys.last_one = Last()
"""
FOREVER = """
def forever():
    while True:
        expect_right(kernels)
threading.Thread(target=forever, daemon=True).start()
time.sleep(0.05)
"""
USE = "expect_right(kernels)\n"
EXITS = {
    "no use": "",
    "after use": USE,
    "first use in atexit": "atexit.register(expect_right, kernels)",
    "use in atexit": USE + "atexit.register(expect_right, kernels)",
    "a daemon thread goes on": FOREVER,
    "first use in a finaliser": LAST,
    "use in a finaliser": USE + LAST,
    "many threads": "team.set_num_threads(16)\n" + USE,
    "a changed size": USE + "team.set_num_threads(3)\n" + USE + "team.set_num_threads(1)",
    "sys.exit": USE + "print(time.monotonic(), flush=True); sys.exit()",
    "the workers still spin": USE * 3 + "print(time.monotonic(), flush=True); os._exit(0)",
}


@pytest.mark.parametrize("case", EXITS)
def test_the_interpreter_exits_at_once(program, case):
    text = (
        "import atexit, os, sys, threading, time\n"
        "from conftest import Kernels\nfrom test_team import expect_right\n"
        "from tensorlite.kernels.cpu import team\n"
        f"kernels = Kernels()\n{EXITS[case]}\nprint(time.monotonic())"
    )
    done = program(text, timeout=30, TENSORLITE_NUM_THREADS="2")
    finished = time.monotonic()
    assert (done.returncode, done.stderr) == (0, "")
    assert finished - float(done.stdout.split()[0]) < 2.0  # 0.1 s on a quiet machine; one clock for all processes


def test_an_interrupt_comes_after_the_run():
    text = f"""
        import sys; sys.path.insert(0, {HERE!r})
        import numpy as np
        from conftest import Kernels
        kernels = Kernels()
        x = np.zeros(150_000_000, np.int64)
        try:
            print("ready", flush=True)
            for _ in range(100): kernels.count(x)
        except KeyboardInterrupt:
            print("interrupted", len(set(x[::1000].tolist())) == 1, flush=True)
        kernels.count(x); print("usable", flush=True)
        """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "interrupted True\nusable\n")


def test_a_busy_machine_slows_it_in_proportion(kernels, threads):
    """With two other processes on every core a run may take some times longer, not the hundreds that spinning costs."""

    def seconds():
        x = np.zeros(100_000, np.int64)
        start = time.perf_counter()
        for _ in range(2000):
            kernels.count(x)
        return time.perf_counter() - start

    threads(2)
    quiet = min(seconds() for _ in range(3))
    cores = len(os.sched_getaffinity(0))
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * cores)]
    try:
        time.sleep(0.3)
        busy = min(seconds() for _ in range(2))
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert busy < 20 * quiet


@pytest.mark.parametrize("number", [0, -1, 129])
def test_a_size_out_of_range_is_refused(number):
    with pytest.raises(ValueError) as caught:
        team.set_num_threads(number)
    assert str(caught.value) == f"set_num_threads: expected a number from 1 to 128, got {number}"


@pytest.mark.parametrize(
    ("value", "number", "warning"),
    [("3", "3", ""), (" 1 ", "1", ""), ("zero", None, "'zero' is not a number"), ("0", None, "'0' is not a number")],
)
def test_the_environment_sets_the_size(program, value, number, warning):
    done = program(
        """
        from tensorlite.kernels.cpu import host, team
        print(team.get_num_threads(), min(64, host.usable_cores()), team.describe()["threads"])
        """,
        TENSORLITE_NUM_THREADS=value,
    )
    chosen, default, *_ = done.stdout.split()
    assert chosen == (number or default)
    assert warning in done.stderr
    assert bool(warning) == bool(done.stderr)


def test_without_native_threads_everything_is_serial(program):
    done = program(
        """
        from tensorlite.kernels.cpu import spmd
        spmd.has_threads = lambda: False
        from conftest import Kernels
        from test_team import expect_right
        from tensorlite.kernels.cpu import team
        import ctypes
        team.set_num_threads(4)
        kernels = Kernels()
        expect_right(kernels)
        seen = []
        kernels.call(ctypes.CFUNCTYPE(None, ctypes.c_int64)(seen.append))
        print(seen, "serial" in team.describe()["threads"])
        """
    )
    assert (done.stdout, done.stderr) == ("[1] True\n", "")


def test_when_the_system_has_no_more_threads_the_team_is_smaller(program):
    done = program(
        """
        import _thread
        from tensorlite.kernels.cpu import team
        def refuse(*_): raise RuntimeError("can't start new thread")
        start, _thread.start_new_thread = _thread.start_new_thread, refuse
        from conftest import Kernels
        from test_team import expect_right
        expect_right(Kernels())
        _thread.start_new_thread = start
        expect_right(Kernels())
        print("right")
        """,
        TENSORLITE_NUM_THREADS="3",
    )
    assert (done.stdout, done.stderr) == ("right\n", "")


def test_the_native_half_compiles_for_aarch64():
    text = native.emit_assembly(spmd.parallel_source("aarch64"), "aarch64-unknown-linux-gnu", features="+lse")
    assert {"isb", "casal", "syscall"} <= set(text.replace(",", " ").split())


@pytest.mark.skipif(host.usable_cores() < 2, reason="needs two cores")
def test_a_sleeping_worker_is_woken_on_another_core_than_the_callers(program):
    """There it would wait until the caller has done all the work; wherever the caller is, and back again."""
    done = program(
        """
        import os, time
        from pathlib import Path
        from conftest import Kernels
        from test_team import expect_right
        kernels, cores, main = Kernels(), sorted(os.sched_getaffinity(0))[:2], str(os.getpid())
        before = {path.name for path in Path("/proc/self/task").iterdir()}
        expect_right(kernels)
        (worker,) = {path.name for path in Path("/proc/self/task").iterdir()} - before
        for core in (*cores, *cores):
            os.sched_setaffinity(0, {core})
            time.sleep(0.05)  # it sleeps by then
            expect_right(kernels)
            print(core in os.sched_getaffinity(int(worker)), len(os.sched_getaffinity(int(worker))) > 0)
        """,
        TENSORLITE_NUM_THREADS="2",
    )
    assert (done.stdout, done.stderr) == ("False True\n" * 4, "")
