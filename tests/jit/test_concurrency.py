"""Threads, forks, interrupts and long runs: the same bits, nothing lost, nothing hung, no memory kept."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from laws.stages import leaves
from tolerance import assert_close

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.benchmarks.workloads import workload
from tensorlite.data import DataLoader
from tensorlite.jit.trace import Trace
from tensorlite.kernels.cpu import allocator, team
from tensorlite.kernels.scalar import expr
from tensorlite.nn import functional as F
from tensorlite.state import state

RANDOM = np.random.default_rng(0)
MATRIX = tl.tensor(RANDOM.standard_normal((450, 600), np.float32))
WEIGHT = tl.tensor(RANDOM.standard_normal((600, 300), np.float32))
IMAGES = tl.tensor(RANDOM.standard_normal((4, 8, 28, 28), np.float32))
FILTERS = tl.tensor(RANDOM.standard_normal((16, 8, 3, 3), np.float32))


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Lets the team have so many threads."""
    before = team.get_num_threads()
    team.set_num_threads(number)
    try:
        yield
    finally:
        team.set_num_threads(before)


#: Each large enough that two threads share it.
LARGE: dict[str, Callable[[], Any]] = {
    "products": lambda: (tl.gelu(MATRIX @ WEIGHT), (MATRIX @ WEIGHT).sum(0), (MATRIX @ WEIGHT).sum()),
    "reductions": lambda: (MATRIX.sum(), MATRIX.sum(0), MATRIX.sum(1), MATRIX.var(), MATRIX.prod(1), MATRIX.max()),
    "softmax": lambda: (tl.softmax(MATRIX, axis=1), tl.softmax(MATRIX, axis=0), tl.logsumexp(MATRIX, axis=1)),
    "fused": lambda: (tl.exp(MATRIX).sum(), (tl.sin(MATRIX) * MATRIX).mean(0)),
    "random": lambda: (tl.randn(300, 300), F.dropout(MATRIX, 0.5), tl.randperm(5000)),
    "loss": lambda: tl.grad(lambda z: F.cross_entropy(z, tl.arange(450)))(MATRIX),
    "scan": lambda: (tl.cumulative_sum(MATRIX, axis=0), tl.sort(MATRIX, axis=1)),
    "embedding": lambda: tl.grad(lambda w: (w[tl.arange(20000) % 450] ** 2).sum())(MATRIX),
    "convolution": lambda: tl.grad(lambda x, w: (F.conv2d(x, w, padding=1) ** 2).sum(), argnums=(0, 1))(IMAGES,
                                                                                                        FILTERS),
    "normalization": lambda: tl.grad(lambda x: (F.layer_norm(x, (600,)) ** 3).sum())(MATRIX),
}


@pytest.mark.parametrize("name", LARGE)
def test_bits_do_not_depend_on_the_number_of_threads(name):
    found = []
    for number in (1, 2, 4):
        with threads(number):
            tl.manual_seed(0)
            function = tl.jit(LARGE[name])
            found.append([y.numpy().tobytes() for _ in range(2) for y in leaves(function())])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", ["W1", "W5"])
def test_training_does_not_depend_on_the_number_of_threads(name):
    found = []
    for number in (1, 2, 4):
        with threads(number):
            training = workload(name).start(0, jit=True)
            losses = [training.step(*training.batch).item() for _ in range(2)]
            found.append((losses, [p.detach().numpy().tobytes() for p in training.model.parameters()]))
    assert found[0] == found[1] == found[2]


def eight(work: Callable[[int], None]) -> None:
    """Runs work in eight threads that begin together and change often; raises what one of them raised."""
    problems: list[BaseException] = []
    barrier = threading.Barrier(8)

    def run(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        except BaseException as problem:
            problems.append(problem)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        crowd = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(60)
            assert not thread.is_alive()
    finally:
        sys.setswitchinterval(interval)
    if problems:
        raise problems[0]


def test_eight_threads_call_one_function_from_its_first_call_on():
    w = tl.tensor(np.random.default_rng(1).standard_normal((8, 8)), dtype=tl.float32)
    function = lambda a: (tl.softmax(a @ w, axis=-1) * a).sum(-1) + a[:, 0]
    jitted = tl.jit(function)

    def work(number):
        random = np.random.default_rng(number)
        for turn in range(60):
            a = tl.tensor(random.standard_normal((5 + turn % 2, 8)), dtype=tl.float32)
            assert_close(jitted(a), function(a), terms=8)
    eight(work)
    assert sum(map(len, jitted.variants.values())) == 2


def test_eight_threads_take_derivatives_of_one_function():
    jitted = tl.jit(lambda a: (tl.sin(a) * a).sum())

    def work(number):
        for turn in range(60):
            x = tl.tensor([0.1 * number, 0.01 * turn, 1.0], requires_grad=True)
            jitted(x).backward()
            a = x.detach()
            assert_close(x.grad, tl.sin(a) + a * tl.cos(a), terms=4)
    eight(work)


def test_eight_threads_on_the_team_at_once():
    """Only one has the workers at a time; the others run alone and give the same bits."""
    jitted = tl.jit(lambda a: (tl.tanh(a @ WEIGHT), (a * a).sum()))
    expected = [y.numpy().tobytes() for y in jitted(MATRIX)]

    def work(number):
        for _ in range(4):
            assert [y.numpy().tobytes() for y in jitted(MATRIX)] == expected
    eight(work)


def test_eight_threads_compile_functions_of_their_own():
    def work(number):
        for turn in range(4):
            jitted = tl.jit(lambda a, turn=turn: a * number + turn)
            assert jitted(tl.tensor([1.0, 2.0])).tolist() == [number + turn, 2.0 * number + turn]
    eight(work)


def test_eight_threads_train_models_of_their_own():
    trainings = [[workload("W1", small=True).start(number, jit=jit) for jit in (False, True)] for number in range(8)]

    def work(number):
        eager, found = ([t.step(*t.batch).item() for _ in range(3)] for t in trainings[number])
        np.testing.assert_allclose(found, eager, rtol=1e-4)
    eight(work)


def in_child(function: Callable[[], bool]) -> None:
    """Asserts that a function is true in a forked child, which has twenty seconds."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            os._exit(0 if function() else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_calls_what_its_parent_compiled_and_compiles_on():
    jitted = tl.jit(lambda a: (tl.tanh(a @ WEIGHT)).sum(1))
    expected = jitted(MATRIX).tolist()
    in_child(lambda: jitted(MATRIX).tolist() == expected)
    in_child(lambda: tl.jit(lambda a: a * 3)(tl.tensor([1.0, 2.0])).tolist() == [3.0, 6.0])
    assert jitted(MATRIX).tolist() == expected


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_another_thread_compiles():
    ended = threading.Event()

    def compile_on():
        number = 0
        while not ended.is_set():
            number += 1
            tl.jit(lambda a, k=number: a * (k + 0.5) + k)(tl.tensor([1.0]))
    thread = threading.Thread(target=compile_on)
    thread.start()
    try:
        for number in range(5):
            in_child(lambda k=number: tl.jit(lambda a: a * k - 0.25)(tl.tensor([1.0])).tolist() == [k - 0.25])
    finally:
        ended.set()
        thread.join()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::tensorlite.jit.RecompileWarning")
def test_a_fork_while_the_same_function_is_compiled():
    jitted = tl.jit(lambda a, k: tl.sin(a) * k)
    x, ended = tl.ones((2, 3)), threading.Event()

    def compile_on():
        number = 0
        while not ended.is_set():
            number += 1
            jitted(x, float(number))
    thread = threading.Thread(target=compile_on)
    thread.start()
    try:
        for number in range(12):
            time.sleep(0.007)
            in_child(lambda k=number: jitted(x, -0.5 - k).shape == (2, 3))
    finally:
        ended.set()
        thread.join()


class Squares:
    """A data set whose items are computed by a jitted function."""

    def __init__(self):
        self.square = tl.jit(lambda a: a * a + 1)

    def __len__(self):
        return 10

    def __getitem__(self, number):
        return self.square(tl.tensor([float(number)]))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("called_before", [True, False])
def test_workers_of_a_data_loader_call(called_before):
    data = Squares()
    if called_before:
        data[0]
    found = [x for batch in DataLoader(data, batch_size=5, num_workers=2) for x in batch.flatten().tolist()]
    assert found == [number * number + 1.0 for number in range(10)]


# --- interrupts ---------------------------------------------------------------------------------------------------


def run_python(program: str) -> str:
    """What a program prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60,
                          check=False, env={**os.environ, "TENSORLITE_NUM_THREADS": "2"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_interrupt_during_calls_leaves_the_state_whole():
    assert run_python("""
        import os, signal, threading, time
        import numpy as np, tensorlite as tl
        a = tl.tensor(np.full((700, 700), 1e-3, np.float32))
        w = tl.tensor(np.zeros((700, 700), np.float32))
        @tl.jit
        def run(a):
            y = a
            for _ in range(3):
                y = tl.tanh(y @ a)
            w.add_(1.0)
            return y.sum()
        run(a)
        count = 1
        for k in range(12):
            timer = threading.Timer(0.003 * k, os.kill, (os.getpid(), signal.SIGINT))
            try:
                timer.start()
                while True:
                    run(a)
                    count += 1
            except KeyboardInterrupt:
                pass
            timer.join()
            values = w.numpy()
            assert (values == values[0, 0]).all()
            assert count <= values[0, 0] <= count + k + 1, (count, values[0, 0])
        print("whole")
        """) == "whole\n"


def test_an_interrupt_during_compilation_changes_nothing():
    assert run_python("""
        import os, signal, sys, threading, time
        import numpy as np, tensorlite as tl
        from tensorlite.benchmarks.workloads import workload
        from tensorlite.state import state
        reference = workload("W1", small=True).start(0)
        expected = [reference.step(*reference.batch).item() for _ in range(4)]
        interrupted = 0
        for k in range(15):
            training = workload("W1", small=True).start(0, jit=True)
            before = [p.tolist() for p in training.model.parameters()]
            timer = threading.Timer(0.006 * k, os.kill, (os.getpid(), signal.SIGINT))
            try:
                timer.start()
                training.step(*training.batch)
                timer.join()
                time.sleep(0.01)
            except KeyboardInterrupt:
                interrupted += 1
            timer.join()
            assert state.interpreter is state.met is state.control is state.read is None and state.recording
            assert sys.getprofile() is None
            done = [p.tolist() for p in training.model.parameters()] != before
            found = [training.step(*training.batch).item() for _ in range(3)]
            np.testing.assert_allclose(found, expected[done : done + 3], rtol=1e-4)
        assert interrupted > 5
        print("as before")
        """) == "as before\n"


def test_an_interrupt_while_tensors_are_put_back_leaves_none_of_the_trace(monkeypatch):
    model = nn.Linear(2, 2)
    restore, interrupted = Trace.restore, []

    def interrupt(tracer):
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return restore(tracer)
    monkeypatch.setattr(Trace, "restore", interrupt)

    @tl.jit
    def halve():
        with tl.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.5)
    before = model(tl.ones(2))
    with pytest.raises(KeyboardInterrupt):
        halve()
    assert_close(model(tl.ones(2)), before)
    halve()
    assert_close(model(tl.ones(2)), before / 2)


def test_an_error_in_the_function_leaves_the_world_as_it_was():
    w = tl.tensor([1.0], requires_grad=True)
    kept = w.array

    def fail(x):
        (w * x).sum().backward()
        with tl.no_grad():
            w.add_(1.0)
        raise KeyError("mine")
    jitted = tl.jit(fail)
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            jitted(tl.tensor([1.0]))
        assert w.array is kept
        assert w.grad is None
        assert state.interpreter is None
        assert sys.getprofile() is None or "coverage" in sys.modules


# --- memory -------------------------------------------------------------------------------------------------------


def resident() -> int:
    """The process's memory in KiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux tells a process its memory")
def test_ten_thousand_calls_keep_no_memory():
    p = nn.Parameter(tl.ones((16, 16)))
    opt = optim.Adam([p])

    @tl.jit
    def step(x):
        loss = ((x @ p) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss, {"loss": loss.detach()}

    x = tl.ones((4, 16))
    for _ in range(200):
        step(x)
    gc.collect()
    before = resident()
    for _ in range(10_000):
        step(x)
    gc.collect()
    assert resident() - before < 1024
    tracemalloc.start()
    for _ in range(50):
        step(x)
    gc.collect()
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(1000):
        step(x)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    assert grown < 2000


def test_calls_leave_nothing_for_the_garbage_collector():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    jitted = tl.jit(lambda a: (a * 2, [a + 1]))

    def call():
        made = jitted(x)
        (made[0].sum() + made[1][0].sum()).backward()
    for _ in range(20):
        call()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(200):
            call()
        assert len(gc.get_objects()) - before < 50
    finally:
        gc.enable()


def test_large_results_go_back_to_the_pool():
    jitted = tl.jit(lambda a: (a * 2, (a + 1).T @ a))
    jitted(MATRIX)
    gc.collect()
    before = allocator.memory()["allocated"]
    for _ in range(30):
        jitted(MATRIX)
    assert allocator.memory()["allocated"] == before


def test_a_function_that_is_gone_takes_its_programs_along():
    def use(number):
        jitted = tl.jit(lambda a: (a * 2 + number).sum(0))
        jitted(tl.tensor(np.ones((3, 4))))
        (compiled,) = (each for known in jitted.variants.values() for each in known)
        return weakref.ref(compiled), weakref.ref(compiled.executable)
    held = [use(number) for number in range(3)]
    gc.collect()
    assert all(ref() is None for refs in held for ref in refs)


def test_calls_that_hang_nowhere_take_microseconds():
    """Ten thousand steady calls are over in seconds: no lock is waited for, nothing is compiled again."""
    jitted = tl.jit(lambda a: a + 1)
    x = tl.tensor([1.0])
    jitted(x)
    start = time.perf_counter()
    for _ in range(10_000):
        jitted(x)
    assert time.perf_counter() - start < 5


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_another_thread_makes_an_expression():
    begun, ended = threading.Event(), threading.Event()

    def build():
        begun.set()
        ended.wait()
        return threading.Event()

    thread = threading.Thread(target=lambda: expr.intern(("never made again",), build))
    thread.start()
    try:
        begun.wait()
        in_child(lambda: tl.jit(lambda a: a * 7 - 3)(tl.tensor([1.0])).tolist() == [4.0])
    finally:
        ended.set()
        thread.join()
