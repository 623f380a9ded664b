"""Operands that are constants of a graph are packed or transformed while it is compiled; captured state never is."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close

import tensorlite as tl
from tensorlite.jit.lower import lower
from tensorlite.jit.lower_constants import run_on_constants
from tensorlite.jit.pipeline import optimize
from tensorlite.jit.program import UNTYPED, Buffer, Home, Native, Place, steps_within
from tensorlite.kernels.stage import Array, Plan, Stage


def waves(*shape):
    """Numbers that a trace computes from nothing, and so folds."""
    return tl.cos(tl.reshape(tl.arange(int(np.prod(shape)), dtype=tl.float32), shape))


PROGRAMS = {
    "matmul": (lambda x: x @ waves(40, 70), (50, 40)),
    "linear": (lambda x: tl.linear(x, waves(70, 40)), (50, 40)),
    "with an epilogue": (lambda x: tl.relu(tl.linear(x, waves(70, 40), waves(70)) + 1), (50, 40)),
    "a row": (lambda x: x @ waves(40, 70), (1, 40)),
    "half": (lambda x: x.to(tl.bfloat16) @ waves(40, 70).to(tl.bfloat16), (50, 40)),
    "convolution": (lambda x: tl.nn.functional.conv2d(x, waves(32, 32, 3, 3), padding=1), (2, 32, 20, 20)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_give_what_they_give_eagerly(name):
    program, shape = PROGRAMS[name]
    step = tl.jit(program)
    for seed in (1, 2):
        x = tl.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))
        expected = program(x)
        assert_close(step(x).to(tl.float32), expected.to(tl.float32), dtype=expected.dtype, terms=300)


@pytest.mark.parametrize("name", ["matmul", "linear", "with an epilogue", "half"])
def test_a_constant_is_packed_once(name):
    program, shape = PROGRAMS[name]
    lowered = lower(optimize(tl.trace(program, tl.ones(shape))))
    keys = [step.stage.key for step in steps_within(lowered.steps) if isinstance(step, Native)]
    product = next(step for step in lowered.steps if isinstance(step, Native) and step.stage.key.startswith("matmul"))
    assert " packed " in product.stage.key and not any(key.startswith("pack ") for key in keys)
    assert product.reads[1].buffer.home is Home.CONSTANT


def test_state_that_changes_is_seen():
    weight = tl.from_numpy(np.ones((64, 64), np.float32))
    step = tl.jit(lambda x: x @ weight)
    x = tl.ones((500, 64))
    assert float(step(x)[0, 0]) == 64
    weight += 1
    assert float(step(x)[0, 0]) == 128


def place(home, size, index=0):
    return Place(Buffer(home, size, index), 0, Array.contiguous(UNTYPED, (size,)))


def stage(reads, writes):
    return Stage("never run", lambda: None, reads, writes, b"", 0.0)


@pytest.mark.parametrize("stages,fault", [
    ([stage((0,), (3,))], None),  # of what is given at each call
    ([stage((1,), (2,))], None),  # into a result
    ([stage((), (3,))], None),  # of nothing
    ([stage((1,), (3,)), stage((0,), (3,))], None),  # into what is written again
    ([stage((1,), (3,))], 3),  # into what says that an index is out of range
])  # fmt: skip
def test_what_is_not_run_beforehand(stages, fault):
    places = [place(Home.INPUT, 8), place(Home.CONSTANT, 8), place(Home.OUTPUT, 8), place(Home.ARENA, 8)]
    constants = [np.zeros(1)]
    assert run_on_constants(Plan(tuple(stages), (8,), fault), places, 3, constants) == stages
    assert len(constants) == 1
