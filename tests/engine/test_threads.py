"""Several Python threads, tasks, signal handlers and finalisers use the engine at once."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.declare import primitive
from tensorlite.kernels.device import NATIVE_SIZE

TIMEOUT = 60


def train(seed: int, steps: int = 30, rows: int = 64) -> list[float]:
    """A small network from its own seed; large enough rows take native kernels."""
    random = np.random.default_rng(seed)
    parameters = [tl.tensor(random.standard_normal(s) / 4, dtype=tl.float32, requires_grad=True)
                  for s in [(8, 16), (16,), (16, 1)]]
    x, y = (tl.tensor(random.standard_normal(s), dtype=tl.float32) for s in [(rows, 8), (rows, 1)])
    losses = []
    for _ in range(steps):
        loss = ((tl.tanh(x @ parameters[0] + parameters[1]) @ parameters[2] - y) ** 2).mean()
        loss.backward()
        descend(parameters)
        losses.append(loss.item())
    return losses


@tl.no_grad()
def descend(parameters: list[tl.Tensor]) -> None:
    for p in parameters:
        p -= 0.1 * p.grad
        p.grad = None


def at_once(function, count: int = 8) -> list:
    """Runs ``function(i)`` on as many threads, all starting together; raises what any raised."""
    start = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        def run(i):
            start.wait(TIMEOUT)
            return function(i)
        return [future.result(TIMEOUT) for future in [pool.submit(run, i) for i in range(count)]]


@pytest.mark.parametrize("rows", [64, 2 * NATIVE_SIZE // 8])
def test_eight_threads_train_as_one_does(rows):
    alone = [train(seed, rows=rows) for seed in range(8)]
    assert at_once(lambda i: train(i, rows=rows)) == alone
    assert all(losses[-1] < losses[0] for losses in alone)


def test_threads_declare_plans_and_kernels_of_the_same_ops_at_once():
    names = ["sin", "gelu", "softplus", "erf", "log1p", "silu"]

    def use(i):
        x = tl.tensor(np.linspace(0.1, 2, 3 * NATIVE_SIZE), dtype=tl.float64, requires_grad=True)
        for name in names:
            getattr(tl, name)(x).sum().backward()
        return x.grad.numpy()

    first, *others = at_once(use)
    for other in others:
        assert_same(other, first)


def test_threads_add_to_the_gradients_of_shared_parameters():
    w = tl.tensor(np.zeros(3), requires_grad=True)

    def use(i):
        for _ in range(1000):
            (w * 1.0).sum().backward()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        at_once(use)
    finally:
        sys.setswitchinterval(before)
    assert w.grad.tolist() == [8000.0] * 3


def test_a_tensor_made_on_one_thread_is_walked_on_another():
    def make(i):
        x = tl.tensor([float(i), 2.0], requires_grad=True)
        return x, (x * x).sum()

    for x, loss in at_once(make):
        thread = threading.Thread(target=loss.backward)
        thread.start()
        thread.join(TIMEOUT)
        assert_same(x.grad, 2 * x.detach())


def test_modes_and_devices_are_each_threads_own_under_load():
    def use(i):
        for step in range(300):
            with tl.set_grad_enabled(i % 2 == step % 2):
                x = tl.tensor([1.0], requires_grad=True)
                assert (x * 2).requires_grad == (i % 2 == step % 2)
        return tl.is_grad_enabled()

    assert at_once(use) == [True] * 8


def test_no_warning_of_numpy_leaks_from_any_thread():
    def use(i):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(50):
                x = tl.tensor([0.0, -1.0, 1e30])
                assert np.isnan(tl.log(x).tolist()[1])
                assert (x / 0 * x * x).tolist()[2] == float("inf")
        return np.geterr()

    assert at_once(use) == [np.geterr()] * 8


def test_the_users_own_settings_of_numpy_are_left_alone():
    with np.errstate(all="raise"):
        assert np.isinf((tl.tensor([1.0]) / 0).item())
        with pytest.raises(FloatingPointError):
            np.array([1.0]) / np.array([0.0])


# --- asyncio ------------------------------------------------------------------------------------------------------


def test_tasks_interleave():
    async def one(seed):
        x = tl.tensor([float(seed)], requires_grad=True)
        h = x
        for _ in range(20):
            h = h * 1.5
            await asyncio.sleep(0)
        h.sum().backward()
        return x.grad.item()

    async def main():
        return await asyncio.gather(*(one(seed) for seed in range(10)))

    assert asyncio.run(main()) == [float(np.float32(1.5) ** 20)] * 10


def test_work_in_an_executor_of_an_event_loop():
    async def main():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(None, train, seed) for seed in range(4)))

    assert asyncio.run(main()) == [train(seed) for seed in range(4)]
    assert asyncio.run(asyncio.wait_for(asyncio.to_thread(train, 0), TIMEOUT)) == train(0)


def test_context_variables_of_the_user_reach_hooks_and_custom_functions():
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    class Spy(tl.autograd.Function):
        @staticmethod
        def forward(context, x):
            seen.append(variable.get())
            return x * 2

        @staticmethod
        def backward(context, g):
            seen.append(variable.get())
            return g * 2

    variable.set("mine")
    x = tl.tensor([1.0], requires_grad=True)
    x.register_hook(lambda g: seen.append(variable.get()))
    Spy.apply(x).sum().backward()
    assert seen == ["mine"] * 3


# --- ops inside ops -----------------------------------------------------------------------------------------------


@tl.enable_grad()
def busy() -> None:
    """Everything that a handler or finaliser may do."""
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    y = tl.exp(x) * x[0]
    y[0] = 3
    y += 1
    y[1] += 2
    (y.sum() + tl.sum(x.reshape(2, 1) @ x.reshape(1, 2))).backward()
    assert_close(x.grad, np.array([np.e**2 * 1 + 6, np.e**2 + 6], np.float32))
    large = tl.zeros(2 * NATIVE_SIZE)
    large[0] = 5
    assert (large + 1).sum().item() == 2 * NATIVE_SIZE + 5
    assert np.isinf((tl.tensor([1.0]) / 0).item())


@pytest.fixture
def interrupted():
    """An op whose body is interrupted by ``action`` while it runs."""
    from tensorlite.op import OPS

    actions = []

    @primitive("opaque", type=lambda x: x)
    def _interrupted(xp, x):
        actions[0]()
        return x * 2

    yield lambda x, action: (actions.append(action), _interrupted(x), actions.clear())[1]
    del OPS["interrupted"]


def test_ops_run_within_ops(interrupted):
    assert interrupted(tl.tensor([1.0]), busy).tolist() == [2.0]
    assert interrupted(tl.tensor([1.0]), lambda: interrupted_again(interrupted)).tolist() == [2.0]
    assert interrupted(tl.zeros(2 * NATIVE_SIZE) + 1, busy).sum().item() == 4 * NATIVE_SIZE


def interrupted_again(interrupted):
    busy()
    assert tl.tensor([2.0]).square().item() == 4.0


def test_finalisers_run_ops_while_an_op_runs(interrupted):
    done = []

    class Finaliser:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            busy()
            done.append(1)

    def collect():
        Finaliser()
        gc.collect()

    assert interrupted(tl.tensor([1.0]), collect).tolist() == [2.0]
    assert done == [1]
    with np.errstate(all="raise"):
        assert interrupted(tl.tensor([1.0]), collect).tolist() == [2.0]
    assert np.isinf((tl.tensor([1.0]) / 0).item())


def test_signal_handlers_run_ops_while_an_op_runs(interrupted):
    done = []

    def handle(number, frame):
        busy()
        done.append(number)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        assert interrupted(tl.tensor([1.0]), lambda: signal.raise_signal(signal.SIGUSR1)).tolist() == [2.0]
        x = tl.tensor([1.0], requires_grad=True)
        x.register_hook(lambda g: signal.raise_signal(signal.SIGUSR1))
        (x * x).sum().backward()
        assert x.grad.tolist() == [2.0]
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert done == [signal.SIGUSR1] * 2


def test_an_interrupted_loop_leaves_everything_usable(interrupted):
    def interrupt():
        raise KeyboardInterrupt

    w = tl.tensor([1.0, 2.0], requires_grad=True)
    for action in (lambda: interrupted(w.detach(), interrupt), lambda: walk_interrupted(w),
                   lambda: grad_interrupted(w)):
        with pytest.raises(KeyboardInterrupt):
            action()
        assert tl.is_grad_enabled()
        busy()
    w.grad = None
    (w * w).sum().backward()
    assert w.grad.tolist() == [2.0, 4.0]


def walk_interrupted(w):
    def interrupt(g):
        raise KeyboardInterrupt

    h = w * 3
    h.register_hook(interrupt)
    with tl.no_grad(), tl.enable_grad():
        (h * h).sum().backward()


def grad_interrupted(w):
    def loss(x):
        with tl.no_grad():
            raise KeyboardInterrupt

    tl.grad(loss)(w)


# A handler that raises while Python is inside a finaliser is told of there and goes no further: that is Python's way.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupts_at_any_moment_of_a_loop():
    """A timer fires again and again in the middle of training; recording, gradients and ops stay sound.

    The updates are in a decorated function: of a block, no Python library can promise that, as the interrupt may come
    when its `__exit__` has been called and has not begun.
    """
    expected, count = train(3), 0

    class Tick(Exception):
        pass

    def tick(number, frame):
        raise Tick

    before = signal.signal(signal.SIGALRM, tick)
    try:
        for delay in np.linspace(2e-4, 1.5e-2, 60):
            signal.setitimer(signal.ITIMER_REAL, float(delay))
            try:
                train(3)
            except Tick:
                count += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert tl.is_grad_enabled()
    except Tick:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert count > 10
    assert train(3) == expected
