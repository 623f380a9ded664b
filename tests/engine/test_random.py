"""Random numbers depend on a seed and a position and on nothing else."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tolerance import assert_same

import tensorlite as tl
from tensorlite.errors import ArgumentError, DeviceError, DTypeError, ShapeError
from tensorlite.random import philox


@pytest.fixture(autouse=True)
def seeded():
    tl.manual_seed(7)


def test_the_bits_are_philox():
    """The known answers of Random123's own test, kat_vectors."""
    assert [hex(w) for w in philox(np, np.array([0], np.uint64), 0)[0]] == [
        "0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def test_a_seed_gives_the_same_numbers_again():
    draws = [(lambda: tl.rand(3, 4)), lambda: tl.randn(5), lambda: tl.randint(0, 100, (6,)), lambda: tl.randperm(9),
             lambda: tl.bernoulli(tl.full((20,), 0.5)), lambda: tl.rand(3, dtype=tl.float64),
             lambda: tl.normal(1.0, 2.0, (3,)),
             lambda: tl.zeros(4).uniform_(-1, 1), lambda: tl.zeros(4).normal_(), lambda: tl.zeros(9).bernoulli_(0.3)]
    first = [draw().tolist() for draw in draws]
    tl.manual_seed(7)
    assert [draw().tolist() for draw in draws] == first
    assert [draw().tolist() for draw in draws] != first


def test_states_are_kept_and_restored():
    state = tl.get_rng_state()
    first = tl.rand(5)
    tl.set_rng_state(state)
    assert_same(tl.rand(5), first)


def test_generators_have_streams_of_their_own():
    one, other = tl.Generator().manual_seed(1), tl.Generator().manual_seed(1)
    expected = tl.rand(6, generator=one)
    tl.rand(100)
    assert_same(tl.rand(6, generator=other), expected)
    for twin in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        state = one.get_state()
        assert_same(tl.rand(3, generator=twin), tl.rand(3, generator=one))
        one.set_state(state)


def test_a_draw_continues_where_the_last_one_ended():
    parts = tl.concat([tl.rand(4) for _ in range(3)])
    tl.manual_seed(7)
    assert_same(tl.rand(12), parts)


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float32, tl.float64], ids=lambda d: d.name)
def test_uniform_numbers_fill_the_half_open_unit_interval(dtype):
    x = tl.rand(20000, dtype=dtype)
    values = x.numpy().astype(np.float64)
    assert x.dtype == dtype
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.histogram(values, bins=10, range=(0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi-square with 9 degrees of freedom, 0.1 %


def test_normal_numbers_are_normal():
    x = tl.randn(40000, dtype=tl.float64).numpy()
    assert abs(x.mean()) < 4 / 200
    assert abs(x.std() - 1) < 4 / 283
    assert abs((x**3).mean()) < 4 * 15**0.5 / 200
    assert abs((x**4).mean() - 3) < 4 * 96**0.5 / 200


def test_integers_fill_their_range():
    x = tl.randint(-3, 4, (7000,))
    assert x.dtype == tl.int64
    assert sorted(np.unique(x.numpy()).tolist()) == list(range(-3, 4))
    assert tl.randint(5, (100,)).max().item() == 4
    extremes = tl.randint(-2**63, 2**63 - 1, (100,)).numpy()
    assert extremes.min() < 0 < extremes.max()


def test_permutations_are_permutations():
    assert sorted(tl.randperm(100).tolist()) == list(range(100))
    assert tl.randperm(0).shape == (0,)
    assert len({tuple(tl.randperm(3).tolist()) for _ in range(200)}) == 6


def test_shapes_as_integers_or_one_sequence():
    assert tl.rand().shape == ()
    assert tl.rand(2, 3).shape == tl.rand((2, 3)).shape == tl.randn([2, 3]).shape == (2, 3)
    assert tl.rand(0, 3).shape == (0, 3)
    assert tl.rand_like(tl.zeros((2, 1), dtype=tl.float64)).dtype == tl.float64


def test_drawn_tensors_may_be_leaves():
    x = tl.rand(3, requires_grad=True)
    assert x.is_leaf
    x.sum().backward()
    assert x.grad.tolist() == [1.0] * 3


def test_threads_never_draw_the_same_numbers():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            rows = [row for rows in pool.map(lambda _: [tuple(tl.rand(4).tolist()) for _ in range(100)], range(8))
                    for row in rows]
    finally:
        sys.setswitchinterval(before)
    assert len(set(rows)) == 800


def test_a_signal_handler_may_draw_while_its_thread_does():
    drawn = []

    def draw(*_):
        drawn.append(tl.rand(2).tolist())
        signal.setitimer(signal.ITIMER_REAL, 1e-4)  # one after the other, however slow the machine is

    before = signal.signal(signal.SIGALRM, draw)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4)
        for _ in range(2000):
            tl.rand(2)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # a handler that is due may have set the timer once more
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert drawn


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_while_a_thread_draws():
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: [tl.rand(2) for _ in range(5000)])
        while not running.done():
            child = os.fork()
            if not child:
                signal.alarm(20)  # a child that hangs dies of it
                tl.rand(2)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("dtype", [tl.complex64, tl.complex128], ids=lambda d: d.name)
def test_complex_numbers_are_two_draws(dtype):
    """Of evenly spread parts, and of normal ones that share the variance."""
    n = 40_000
    for values, mean, variance in ((tl.rand(n, dtype=dtype), 0.5 + 0.5j, 1 / 6), (tl.randn(n, dtype=dtype), 0, 1),
                                   (tl.zeros(n, dtype=dtype).uniform_(-1, 3), 1 + 1j, 16 / 6),
                                   (tl.zeros(n, dtype=dtype).normal_(2, 3), 2, 9)):
        assert values.dtype == dtype
        found = values.numpy()
        spread = 5 * (variance / n) ** 0.5
        assert abs(found.mean() - mean) < spread
        for part in (found.real, found.imag):
            assert abs(part.var() / (variance / 2) - 1) < 10 / n**0.5
        assert abs(np.corrcoef(found.real, found.imag)[0, 1]) < 5 / n**0.5


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: tl.rand(-1), ShapeError, "rand: no tensor has shape [-1]"),
    (lambda: tl.rand("a"), DTypeError, "rand: a shape is made of integers, not 'a'"),
    (lambda: tl.rand(2, dtype=tl.int32), DTypeError, "rand: draws real floating numbers, not int32"),
    (lambda: tl.tensor([1, 2]).uniform_(), DTypeError, "rand: draws real floating numbers, not int64"),
    (lambda: tl.randint(3, 3, (1,)), ArgumentError, "randint: the range [3, 3) is empty or size is missing"),
    (lambda: tl.randint(3), ArgumentError, "randint: the range [0, 3) is empty or size is missing"),
    (lambda: tl.randperm(-1), ShapeError, "randperm: no tensor has shape [-1]"),
    (lambda: tl.manual_seed(1.5), DTypeError, "manual_seed: a seed is an integer, not float"),
    (lambda: tl.manual_seed("a"), DTypeError, "manual_seed: a seed is an integer, not str"),
    (lambda: tl.Generator(0), DeviceError, "Generator: a device is a name, not 0"),
    (lambda: tl.set_rng_state(tl.zeros(2)), ArgumentError, "set_state: a state is uint64[2]"),
])
def test_misuse_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).splitlines()[0] == text


def test_a_compiled_function_seeds_as_often_as_it_says():
    """The second seeding of a call counts too, and each of later calls."""
    def draw(x):
        tl.manual_seed(5)
        first = tl.rand(3)
        tl.manual_seed(5)
        state = tl.get_rng_state()
        second = tl.rand(3)
        tl.set_rng_state(state)
        return x * first, second, tl.rand(3)

    compiled, expected = tl.jit(draw), draw(tl.ones(3))
    for _ in range(2):
        tl.manual_seed(1)
        for found, wanted in zip(compiled(tl.ones(3)), expected, strict=True):
            assert_same(found, wanted)
        assert tl.get_rng_state().tolist() == [5, 1]
