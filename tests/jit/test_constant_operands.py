"""Operands that are constants of a graph, or unchanged state, are packed or transformed once."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close

import tensorlite as tl
from tensorlite.jit import settle
from tensorlite.jit.pipeline import compile_graph
from tensorlite.jit.program import Native


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


def stages(executable):
    return [step.stage.key for phase in executable.schedule.phases for step in phase if isinstance(step, Native)]


@pytest.mark.parametrize("name", ["matmul", "linear", "with an epilogue", "half"])
def test_a_constant_is_packed_once(name, monkeypatch):
    monkeypatch.setattr(settle, "_WORTH", 0.0)
    program, shape = PROGRAMS[name]
    executable = compile_graph(tl.trace(program, tl.ones(shape)), {})
    assert any(key.startswith("pack ") for key in stages(executable.preparation.executable))
    product = next(key for key in stages(executable) if key.startswith("matmul"))
    assert " packed " in product and not any(key.startswith("pack ") for key in stages(executable))


def test_state_is_packed_when_it_changes():
    weight = tl.tensor(np.ones((64, 64), np.float32))
    step = tl.jit(lambda x: x @ weight)
    x = tl.ones((500, 64))
    for expected in (64, 128, 192):
        assert float(step(x)[0, 0]) == float(step(x)[0, 0]) == expected
        weight += 1
