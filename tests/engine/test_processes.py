"""Processes: forks after use, exit codes, interrupts and the end of the interpreter; nothing hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tensorlite as tl

TIMEOUT = 120

PRELUDE = """
import os, signal, sys, threading, time, warnings
import numpy as np
import tensorlite as tl
from tensorlite.kernels.device import NATIVE_SIZE

def work():
    '''Small and native ops, a product of matrices, and a walk.'''
    x = tl.tensor(np.linspace(-1, 1, 40 * NATIVE_SIZE), dtype=tl.float32, requires_grad=True)
    w = tl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    ((tl.sigmoid(x) * x).sum() + (w @ w).sum()).backward()
    return float(x.grad.sum().item()), w.grad.tolist()

expected = work()
"""


def python(program: str, *, send: int | None = None) -> subprocess.CompletedProcess:
    """Runs a program; with ``send``, that signal reaches it once it has printed ``ready``."""
    environment = os.environ | {"PYTHONPATH": str(Path(tl.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(program)], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    try:
        if send is not None:
            while process.stdout.readline().strip() != "ready":
                assert process.poll() is None, process.stderr.read()
            process.send_signal(send)
        output, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def says(program: str, *lines: str) -> None:
    process = python(program)
    assert process.returncode == 0, process.stderr
    assert process.stdout.split() == list(lines)
    assert process.stderr == ""


def test_a_forked_child_computes_as_its_parent():
    says("""
        for generation in range(3):
            child = os.fork()
            if child:
                assert os.waitpid(child, 0)[1] == 0
                assert work() == expected
                break
            assert work() == expected
        print(generation, flush=True)
        os._exit(0)
    """, "2", "2", "1", "0")


def test_a_fork_while_other_threads_compute():
    says("""
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of forking with threads
        stop = threading.Event()
        def loop():
            while not stop.is_set():
                work()
        threads = [threading.Thread(target=loop) for _ in range(3)]
        for thread in threads: thread.start()
        for _ in range(10):
            child = os.fork()
            if not child:
                os._exit(0 if work() == expected else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for thread in threads: thread.join()
        print("done")
    """, "done")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes(method, tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(PRELUDE + textwrap.dedent(f"""
        import multiprocessing

        def job(i):
            return work() == expected, i

        def of_tensor(x):
            return x * 2

        if __name__ == "__main__":
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                print(pool.map(job, range(4)), pool.map(of_tensor, [tl.tensor([1.0, 2.0])]))
    """))
    environment = os.environ | {"PYTHONPATH": str(Path(tl.__file__).parents[1])}
    process = subprocess.run([sys.executable, str(script)], text=True, capture_output=True, timeout=TIMEOUT,
                             env=environment, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == "[(True, 0), (True, 1), (True, 2), (True, 3)] [tensor([2., 4.])]"


def test_a_programs_exit_code_is_its_own():
    assert python("sys.exit(3)").returncode == 3
    assert python("raise SystemExit").returncode == 0
    failed = python("tl.add(tl.tensor([1.0, 2.0]), tl.tensor([1.0, 2.0, 3.0]))")
    assert failed.returncode == 1
    last = failed.stderr.splitlines()[-5:]
    assert last[:3] == ["tensorlite.errors.ShapeError: add: shapes [2] and [3] do not broadcast", "  x1  float32[2]",
                        "  x2  float32[3]"]
    assert last[3].endswith(" in <module>")


LOOP = """
    print("ready", flush=True)
    {before}
    while True:
        work()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_end_a_loop(number):
    process = python(LOOP.format(before=""), send=number)
    assert process.returncode in (-number, 128 + number, 1 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert process.stderr.rstrip().endswith("KeyboardInterrupt")


def test_an_interrupt_leaves_the_interpreter_usable():
    process = python("""
        try:
            print("ready", flush=True)
            while True:
                work()
        except KeyboardInterrupt:
            assert work() == expected
            assert tl.is_grad_enabled()
            print("sound")
    """, send=signal.SIGINT)
    assert process.returncode == 0, process.stderr
    assert process.stdout.split() == ["sound"]


def test_a_handler_that_raises_out_of_an_op_is_not_dressed_up():
    process = python("""
        class Stop(Exception): pass
        def handle(number, frame): raise Stop("now")
        signal.signal(signal.SIGUSR1, handle)
        try:
            print("ready", flush=True)
            while True:
                work()
        except Stop as stop:
            print(stop)
        assert work() == expected
    """, send=signal.SIGUSR1)
    assert process.returncode == 0, process.stderr
    assert process.stdout.split() == ["now"]


def test_threads_that_compute_at_exit():
    says("""
        def loop():
            while True:
                work()
        threading.Thread(target=loop, daemon=True).start()
        time.sleep(0.2)
        print("done")
    """, "done")


def test_ops_in_atexit_and_finalisers_at_the_end():
    says("""
        import atexit
        class Last:
            def __init__(self): self.x = tl.tensor([1.0, 2.0], requires_grad=True)
            def __del__(self):
                (self.x * self.x).sum().backward()
                print("deleted", flush=True)
        atexit.register(lambda: print("atexit", work() == expected, flush=True))
        keep = Last()
    """, "atexit", "True", "deleted")


def test_leaving_without_ceremony():
    assert python("threading.Thread(target=lambda: (work(), os._exit(5))).start(); time.sleep(60)").returncode == 5
    aborted = python("signal.raise_signal(signal.SIGABRT)")
    assert aborted.returncode == -signal.SIGABRT


def test_deep_graphs_are_dropped_at_exit_without_recursion():
    says("""
        x = tl.tensor(0.5, requires_grad=True)
        h = x
        for _ in range(100_000):
            h = h * 1.0 + x
        print("built")
    """, "built")


def test_deep_graphs_on_threads_with_small_stacks():
    says("""
        threading.stack_size(256 << 10)
        def run():
            x = tl.tensor(0.5, dtype=tl.float64, requires_grad=True)
            h = x
            for _ in range(20_000):
                h = tl.sin(h) * 1.0 + x
            h.backward()
            print(x.grad.shape)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    """, "()")


def test_an_environment_without_a_home_does_not_matter():
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(tl.__file__).parents[1])}
    process = subprocess.run([sys.executable, "-c", PRELUDE + "print(expected[1])"], text=True, capture_output=True,
                             timeout=TIMEOUT, env=environment, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == str([[7.0, 11.0], [9.0, 13.0]])
