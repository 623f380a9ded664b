"""Lowered programs hold together: nothing is read before it is written, shared while it lives, or out of bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from laws.programs import LARGE_SHAPES, SHAPES, programs
from tolerance import assert_close

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.benchmarks.workloads import workload
from tensorlite.jit.compiled import Compiled
from tensorlite.jit.graph import Graph
from tensorlite.jit.lower import lower
from tensorlite.jit.memory import ALIGNMENT, Memory, plan_memory
from tensorlite.jit.pipeline import optimize
from tensorlite.jit.program import Buffer, Edge, Home, Native, Place, Step, steps_within
from tensorlite.jit.schedule import Schedule, fault_of, schedule
from tensorlite.jit.trace import Traced, trace_call

NAMES = ["W1", "W2", "W3", "W4", "W5"]


def over_of(traced: Traced) -> dict[int, int]:
    """Outputs that may take the memory of the state that they replace, as compiling asks for it."""
    arguments = len(traced.graph.inputs) - len(traced.state)
    numbers = {id(tensor): k for k, tensor in enumerate(traced.state)}
    return {change.output: arguments + numbers[id(change.tensor)] for change in traced.changes
            if change.slot == "array" and id(change.tensor) in numbers and change.output is not None}


def planned(graph: Graph, over: dict[int, int] | None = None) -> tuple[Schedule, Memory]:
    scheduled = schedule(lower(optimize(graph), over or {}))
    return scheduled, plan_memory(scheduled)


@cache
def of_workload(name: str, small: bool = False) -> tuple[Schedule, Memory]:
    training = workload(name, small=small).start(0)
    training.step(*training.batch)  # gradients are there from now on, as in all calls but the first
    traced = trace_call(training.step, training.batch, {})
    return planned(traced.graph, over_of(traced))


def touched(step: Step) -> Iterator[Place]:
    yield from step.reads
    yield from step.writes


def span(place: Place) -> tuple[int, int]:
    """The first byte that a place takes of its buffer, and the one after its last."""
    array, size = place.array, place.array.dtype.itemsize
    steps = [(n - 1) * stride * size for n, stride in zip(array.shape, array.strides, strict=True)]
    return (place.offset + sum(s for s in steps if s < 0), place.offset + sum(s for s in steps if s > 0) + size)


def meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def check_bounds(scheduled: Schedule) -> None:
    """Every place is within its buffer; what a loop's steps read of it moves on, and is the loop's to keep within."""
    for step in (step for phase in scheduled.phases for step in phase):
        for place in touched(step):
            if place.array.size:
                low, high = span(place)
                assert low >= 0
                assert high <= place.buffer.size


def check_order(scheduled: Schedule) -> None:
    """What a step reads was written in an earlier phase; steps of one phase keep out of each other's way."""
    written: set[Buffer] = set()
    heirs = {given: result for result, given in scheduled.over.items()}
    for phase in scheduled.phases:
        for step in phase:
            for place in step.reads:
                given = place.buffer.home in (Home.INPUT, Home.CONSTANT)
                assert given or place.buffer in written or not place.array.size
                assert heirs.get(place.buffer) not in written, "an input is read after its successor was written"
        for number, step in enumerate(phase):
            for other in phase[:number]:
                check_apart(step, other, scheduled.over)
        written.update(place.buffer for step in phase for place in step.writes)


def check_apart(step: Step, other: Step, over: dict[Buffer, Buffer]) -> None:
    for one, two in ((step, other), (other, step)):
        for place in one.writes:
            for taken in touched(two):
                same = taken.buffer is place.buffer or taken.buffer is over.get(place.buffer)
                assert not (same and place.array.size and taken.array.size and meet(span(place), span(taken)))


def lifetimes(scheduled: Schedule) -> dict[Buffer, tuple[int, int]]:
    """The phases from which to which each temporary is needed; faults are looked at when all is done."""
    lives: dict[Buffer, tuple[int, int]] = {}
    for number, phase in enumerate(scheduled.phases):
        for step in phase:
            for place in touched(step):
                if place.buffer.home is Home.ARENA:
                    lives[place.buffer] = lives.get(place.buffer, (number, number))[0], number
            if (fault := fault_of(step)) is not None:
                lives[fault] = 0, len(scheduled.phases)
    return lives


def takes_over(scheduled: Schedule, lives: dict[Buffer, tuple[int, int]], old: Buffer, new: Buffer) -> bool:
    """Whether a buffer begins where another ends, in a step that reads of it only what it writes."""
    phase = lives[new][0]
    if lives[old][1] != phase:
        return False
    users = [step for step in scheduled.phases[phase] if any(place.buffer is old for place in touched(step))]
    return (len(users) == 1 and isinstance(users[0], Native) and old in users[0].matched
            and any(place.buffer is new for place in users[0].writes))


def check_memory(scheduled: Schedule, memory: Memory) -> None:
    """Temporaries that live at the same time lie apart, aligned, within the arena."""
    lives = lifetimes(scheduled)
    assert set(lives) <= set(memory.offsets)
    where = {buffer: (memory.offsets[buffer], memory.offsets[buffer] + max(buffer.size, 1)) for buffer in lives}
    for buffer, (start, end) in where.items():
        assert start % ALIGNMENT == 0
        assert end <= memory.size
        for other, place in where.items():
            if other is not buffer and meet((start, end), place) and meet(
                    (lives[buffer][0], lives[buffer][1] + 1), (lives[other][0], lives[other][1] + 1)):
                assert takes_over(scheduled, lives, buffer, other) or takes_over(scheduled, lives, other, buffer)
    assert memory.bound <= memory.size


def check_whole(scheduled: Schedule, memory: Memory) -> None:
    check_bounds(scheduled)
    check_order(scheduled)
    check_memory(scheduled, memory)


@pytest.mark.parametrize("name", NAMES)
def test_workloads_hold_together(name):
    check_whole(*of_workload(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_arena_is_near_what_lives_at_once(name):
    _, memory = of_workload(name)
    assert memory.size <= 1.1 * memory.bound


@pytest.mark.parametrize("name", NAMES)
def test_no_op_of_a_workload_is_run_from_python(name):
    scheduled, _ = of_workload(name)
    assert [step.equation.op.name for phase in scheduled.phases for outer in phase for step in steps_within(outer)
            if isinstance(step, Edge)] == []


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_state_are_updated_where_they_are(name):
    training = workload(name, small=True).start(0)
    training.step(*training.batch)
    traced = trace_call(training.step, training.batch, {})
    wishes = over_of(traced)
    scheduled, _ = planned(traced.graph, wishes)
    kept = [result.index for result in scheduled.over]
    parameters = {id(p) for p in training.model.parameters()}
    assert {change.output for change in traced.changes
            if change.slot == "array" and id(change.tensor) in parameters} <= set(kept)


@given(programs())
@settings(max_examples=40)
def test_programs_hold_together(program):
    inputs = [tl.tensor(a) for a in program.inputs()]
    function = tl.grad(lambda *given: program.tensor(given)[-1].sum(), argnums=tuple(range(len(inputs))))
    check_whole(*planned(trace_call(function, inputs, {}).graph))


@given(programs((*SHAPES, *LARGE_SHAPES)))
@settings(max_examples=30)
def test_values_of_programs_hold_together(program):
    inputs = [tl.tensor(a) for a in program.inputs()]
    check_whole(*planned(trace_call(lambda *given: program.tensor(given), inputs, {}).graph))


def test_a_plan_that_shares_too_much_is_found():
    scheduled, memory = of_workload("W1", small=True)
    check_memory(scheduled, memory)
    with pytest.raises(AssertionError):
        check_memory(scheduled, Memory(dict.fromkeys(memory.offsets, 0), memory.size, memory.bound))
    with pytest.raises(AssertionError):
        check_order(Schedule(scheduled.phases[::-1], scheduled.over))


def test_a_chain_of_large_values_needs_two_of_them():
    def chain(x):
        for _ in range(10):
            x = (x @ x) * 0.01
        return x.sum()
    x = tl.zeros((128, 128))
    _, memory = planned(tl.trace(chain, x))
    assert memory.size <= 2 * x.size * 4 + 8 * ALIGNMENT + 64 * 1024


def test_elementwise_results_take_over_their_operands():
    def passes(x):
        y = tl.sort(x, axis=0)
        return tl.sort(tl.exp(y) + 1, axis=0)
    x = tl.zeros((128, 128))
    one = x.size * 4
    _, memory = planned(tl.trace(passes, x))
    assert memory.size < 3 * one


def test_state_is_not_moved_by_calls():
    """In the steady state a step writes where its tensors are, and allocates what it returns alone."""
    tl.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 300), nn.ReLU(), nn.Linear(300, 300), nn.BatchNorm1d(300))
    opt = optim.Adam(model.parameters())

    @tl.jit
    def step(x):
        loss = (model(x) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss
    x = tl.randn(32, 16)
    for _ in range(3):
        step(x)
    held = [*model.parameters(), *model.buffers(), *(y for kept in opt.state.values() for y in kept.values())]

    def addresses() -> list[int]:
        return [y.array.__array_interface__["data"][0] for y in (*held, *(p.grad for p in model.parameters()))]
    before = addresses()
    for _ in range(5):
        step(x)
    assert addresses() == before


def test_explained_memory_is_what_is_mapped():
    """The peak is known before anything runs."""
    jitted = tl.jit(lambda x: tl.sort(tl.exp(x), axis=0).sum())
    x = tl.tensor(np.ones((64, 64), np.float32))
    jitted(x)
    compiled: Sequence[Compiled] = [each for known in jitted.variants.values() for each in known]
    executable = compiled[0].executable
    assert executable.frames[0].arena.nbytes == max(executable.memory.size, 1)


@pytest.mark.parametrize("extent", [10, 14, 16])
def test_a_result_does_not_lie_over_an_operand_of_a_kernel_that_stores_twice(extent):
    random = np.random.default_rng(0)
    x, weight, points = (tl.asarray(random.standard_normal(shape).astype(np.float32))
                         for shape in ((1, 8, extent + 2, extent + 2), (16, 8, 3, 3), (3, 16, 1, 1)))
    gradient = tl.grad(lambda w: tl.conv2d(tl.conv2d(x, w).tanh(), points).sum())
    terms = extent**2 * weight[0].size  # sums of derivatives of sums
    assert_close(tl.jit(gradient)(weight).detach(), gradient(weight).detach(), terms=terms)
