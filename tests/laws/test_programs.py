"""Programs drawn at random mean the same in tensorlite as in NumPy, and so do their derivatives."""

from __future__ import annotations

from unittest import mock

import numpy as np
from hypothesis import given, settings
from laws.differences import check_first, check_second
from laws.drawing import DEFAULT_DOMAIN
from laws.programs import INSTRUCTIONS, LARGE_SHAPES, Program, Step, into, programs
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import eager
from tensorlite.declare import IN_PLACE
from tensorlite.kernels.cpu import device as cpu
from tensorlite.kernels.device import NATIVE_SIZE
from tensorlite.op import OPS

TERMS = 64


def run(program: Program, arrays: list[np.ndarray]) -> tl.Tensor:
    return program.tensor([tl.tensor(a) for a in arrays])[-1]


@given(programs())
@settings(max_examples=400)
def test_every_value_is_numpys(program):
    arrays = program.inputs()
    for found, expected in zip(program.tensor([tl.tensor(a) for a in arrays]), program.numpy(arrays), strict=True):
        assert found.dtype == tl.float64
        assert_close(found, expected, terms=TERMS)


@given(programs())
@settings(max_examples=400)
def test_the_first_derivative_agrees_with_differences(program):
    check_first(lambda *inputs: program.tensor(inputs)[-1], program.inputs(), np.random.default_rng(program.seed))


@given(programs(LARGE_SHAPES))
@settings(max_examples=80)
def test_native_kernels_give_numpys_values_and_gradients(program):
    """Forward and backward, with native kernels and without any."""
    native, leaves = gradients(program)
    with mock.patch.object(eager, "NATIVE_SIZE", 1 << 60), mock.patch.object(cpu, "NATIVE_SIZE", 1 << 60):
        _, others = gradients(program)
    for found, expected in zip(native, program.numpy(program.inputs()), strict=True):
        assert_close(found, expected, terms=NATIVE_SIZE)
    for x, y in zip(leaves, others):
        assert (x.grad is None) == (y.grad is None)
        if x.grad is not None:
            assert_close(x.grad, y.grad, terms=NATIVE_SIZE)


@given(programs())
@settings(max_examples=120)
def test_the_second_derivative_agrees_with_differences(program):
    check_second(lambda *inputs: program.tensor(inputs)[-1], program.inputs(), np.random.default_rng(program.seed))


def gradients(program: Program, spelled=None, **options) -> tuple[list[tl.Tensor], list[tl.Tensor]]:
    leaves = [tl.tensor(a, requires_grad=True) for a in program.inputs()]
    values = program.tensor(leaves, spelled)
    if values[-1].requires_grad:
        values[-1].sum().backward(**options)
    return values, leaves


@given(programs())
@settings(max_examples=100)
def test_a_retained_graph_is_walked_again_and_gradients_accumulate(program):
    _, once = gradients(program)
    leaves = [tl.tensor(a, requires_grad=True) for a in program.inputs()]
    total = program.tensor(leaves)[-1].sum()
    if total.requires_grad:
        total.backward(retain_graph=True)
        total.backward()
    for x, y in zip(once, leaves):
        assert (x.grad is None) == (y.grad is None)
        if x.grad is not None:
            assert_same(y.grad, x.grad + x.grad)


@given(programs())
@settings(max_examples=100)
def test_a_recorded_walk_gives_the_same_gradients(program):
    for plain, recorded in zip(gradients(program)[1], gradients(program, create_graph=True)[1]):
        assert (plain.grad is None) == (recorded.grad is None)
        if plain.grad is not None:
            assert_same(plain.grad, recorded.grad)


def in_place(step: Step, *operands: tl.Tensor) -> tl.Tensor | None:
    """The step by an in-place spelling on a copy of its first operand, where that can hold the result."""
    op = OPS.get(step.name)
    if step.name not in IN_PLACE or op is None or op.kind != "elementwise":
        return None
    moved = [into(tl, x, op.domain.get(name, DEFAULT_DOMAIN)) for name, x in zip(op.inputs, operands)]
    target, *others = moved
    if np.broadcast_shapes(*(x.shape for x in moved)) != target.shape:
        return None
    before = target.tolist()
    kept, alias = target.clone(), target[...]
    alone = target.clone()
    assert getattr(alone, f"{step.name}_")(*others) is alone
    assert target.tolist() == alias.tolist() == kept.tolist() == before
    return alone


@given(programs())
@settings(max_examples=150)
def test_in_place_spellings_give_the_same_numbers_and_change_no_other_value(program):
    values, leaves = gradients(program)
    spelled, others = gradients(program, in_place)
    for x, y, expected in zip(values, spelled, program.numpy(program.inputs()), strict=True):
        assert_close(x, y, terms=TERMS)
        assert_close(y, expected, terms=TERMS)
    for x, y in zip(leaves, others):
        assert (x.grad is None) == (y.grad is None)
        if x.grad is not None:
            assert_close(x.grad, y.grad, terms=TERMS)


@given(programs())
@settings(max_examples=100)
def test_functions_of_functions_agree_with_the_tape(program):
    leaves = gradients(program)[1]
    found = tl.grad(lambda *inputs: program.tensor(inputs)[-1].sum(), argnums=tuple(range(len(leaves))))(
        *(tl.tensor(a) for a in program.inputs()))
    for x, g in zip(leaves, found):
        assert_same(g, tl.zeros_like(x.detach()) if x.grad is None else x.grad)


@given(programs())
@settings(max_examples=60)
def test_single_precision_stays_near(program):
    arrays = [a.astype(np.float32) for a in program.inputs()]
    expected = program.numpy([a.astype(np.float64) for a in arrays])
    for found, value, step in zip(program.tensor([tl.tensor(a) for a in arrays])[len(arrays):],
                                  expected[len(arrays):], program.steps):
        assert found.dtype == tl.float32
        if step.name in ("floor", "ceil", "trunc", "remainder", "floor_divide", "sign", "rint"):
            return  # a rounded operand may fall on the other side of a step
        assert_close(found, value, terms=TERMS)


def test_the_instructions_cover_the_ops():
    assert {"add", "exp", "sigmoid", "matmul", "index", "assign", "sort"} <= set(INSTRUCTIONS)
    assert len(INSTRUCTIONS) > 70
