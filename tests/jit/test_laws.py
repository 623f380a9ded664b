"""Every op, and programs of them, mean the same eager, traced, after each pass and as native code; derivatives too."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from laws import stages
from laws.drawing import (
    ELEMENTWISE,
    LAYOUTS,
    SHAPES,
    STRUCTURED,
    inputs_of,
    reaches,
    sample_arrays,
    seeded,
    smooth_values,
    taken_dtypes,
)
from laws.programs import LARGE_SHAPES, Program, programs
from laws.stages import check_stages
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.dispatch import apply
from tensorlite.errors import InternalError, TensorliteError
from tensorlite.jit.graph import Equation
from tensorlite.kernels.device import NATIVE_SIZE
from tensorlite.op import Integers, Op, Sample

Gradient = Callable[..., Any]

#: Sums of the samples and small programs are short; products of programs multiply what their steps round.
TERMS = 24
PROGRAM_TERMS = 1024

STEPPED = ("floor", "ceil", "trunc", "remainder", "floor_divide", "sign", "rint")


def together(calls: Sequence[tuple[Op, Sequence[Any], dict[str, Any]]]) -> tuple[Callable[..., Any], list[tl.Tensor]]:
    """One function of the tensors of several calls that gives their results; numbers among the operands stay."""
    tensors = [x for _, operands, _ in calls for x in operands if isinstance(x, tl.Tensor)]

    def function(*given: tl.Tensor) -> list[Any]:
        rest = iter(given)
        return [apply(op, *(next(rest) if isinstance(x, tl.Tensor) else x for x in operands), **attributes)
                for op, operands, attributes in calls]
    return function, tensors


def names_of(calls: Sequence[tuple[Op, Sequence[Any], dict[str, Any]]]) -> list[str]:
    """The name of each result's op."""
    return [op.name for op, operands, attributes in calls for _ in stages.leaves(apply(op, *operands, **attributes))]


def check_together(calls: Sequence[tuple[Op, Sequence[Any], dict[str, Any]]], terms: int = 1) -> None:
    function, tensors = together(calls)
    check_stages(function, tensors, terms=terms, names=names_of(calls))


def elementwise_calls(dtype: np.dtype, shapes: str, layout: str = "contiguous") -> list[tuple[Op, list[Any], dict]]:
    return [(op, [tl.asarray(a) for a in inputs_of(op, dtype, SHAPES[shapes], layout, seeded(op.name, dtype.name))], {})
            for op in ELEMENTWISE if dtype in taken_dtypes(op)]


#: One of each size and kind; the others share their kernels' code.
WIDTHS = [tl.float32, tl.float64, tl.float16, tl.bfloat16, tl.int32, tl.int64, tl.uint8, tl.bool, tl.complex64]


@pytest.mark.parametrize("dtype", WIDTHS, ids=lambda d: d.name)
def test_elementwise_ops(dtype):
    check_together(elementwise_calls(dtype, "matrix"))


@pytest.mark.parametrize("shapes", [name for name in SHAPES if name != "matrix"])
def test_shapes_of_elementwise_ops(shapes):
    check_together(elementwise_calls(np.dtype(np.float32), shapes))


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_layouts_of_elementwise_ops(layout):
    check_together(elementwise_calls(np.dtype(np.float32), "matrix", layout))


@pytest.mark.parametrize("scalar", [1, 2.0], ids=["int", "float"])
@pytest.mark.parametrize("dtype", [tl.float32, tl.bfloat16, tl.uint8], ids=lambda d: d.name)
def test_elementwise_ops_of_tensors_and_numbers(dtype, scalar):
    calls = []
    for op, operands, attributes in elementwise_calls(dtype, "matrix"):
        if len(operands) == 2 and not op.conditions:
            for mixed in ([operands[0], scalar], [scalar, operands[1]]):
                try:
                    apply(op, *mixed)
                except TensorliteError:
                    continue
                calls.append((op, mixed, attributes))
    assert len(calls) > 20
    check_together(calls)


# --- structured ops -----------------------------------------------------------------------------------------------

RESULT_UNKNOWN = {op.name for op in STRUCTURED if op.type_rule is None}
OTHERS = [tl.float64, tl.float16, tl.bfloat16, tl.int64, tl.uint8, tl.bool, tl.int32, tl.complex64, tl.int8,
          tl.complex128]


def structured_calls(op: Op, samples: Sequence[Sample], dtype: np.dtype) -> list[tuple[Op, list[Any], dict]]:
    """The calls that a sampled op takes in a dtype."""
    calls = []
    for sample in samples if reaches(op, dtype) else ():
        operands = [tl.asarray(a) for a in sample_arrays(op, sample, dtype)]
        try:
            apply(op, *operands, **sample.attributes)
        except TensorliteError as error:
            assert not isinstance(error, InternalError), error
            continue
        calls.append((op, operands, dict(sample.attributes)))
    return calls


SAMPLED = [op for op in STRUCTURED if op.samples and op.name not in RESULT_UNKNOWN]


@pytest.mark.parametrize("op", SAMPLED, ids=lambda op: op.name)
def test_structured_ops(op):
    check_together(structured_calls(op, op.samples, np.dtype(np.float32)), TERMS)


@pytest.mark.parametrize("number", range(len(OTHERS)), ids=[d.name for d in OTHERS])
def test_structured_ops_in_other_dtypes(number):
    """Each op meets every dtype, with one sample each."""
    calls = [call for place, op in enumerate(SAMPLED)
             for call in structured_calls(op, [op.samples[(place + number) % len(op.samples)]], OTHERS[number])]
    check_together(calls, TERMS)


# --- derivatives --------------------------------------------------------------------------------------------------


def loss(op: Op, attributes: dict[str, Any], operands: Sequence[tl.Tensor]) -> Any:
    """A sum of the floating results with weights."""
    total: Any = 0.0
    for y in stages.leaves(apply(op, *operands, **attributes)):
        if y.dtype.kind == "f":
            weights = np.cos(np.arange(y.size, dtype=y.dtype)).reshape(y.shape)
            total = total + (y * tl.tensor(weights)).sum()
    return total


def gradient(op: Op, attributes: dict[str, Any], wanted: Sequence[int],
             wrap: Callable[..., Any] = lambda f: f) -> Gradient:
    return tl.grad(wrap(lambda *operands: loss(op, attributes, operands)), argnums=tuple(wanted))


def second(function: Gradient, wanted: Sequence[int], wrap: Callable[..., Any] = lambda f: f) -> Gradient:
    def scalar(*operands: tl.Tensor) -> tl.Tensor:
        return sum(((g * g).sum() for g in function(*operands)), tl.tensor(0.0, dtype=operands[wanted[0]].dtype))
    return tl.grad(wrap(scalar), argnums=tuple(wanted))


def smooth_calls(dtype: np.dtype) -> list[tuple[Op, list[Any], dict, list[int]]]:
    """Differentiable ops, with operands away from kinks and the places of those that have derivatives."""
    calls: list[tuple[Op, list[Any], dict, list[int]]] = []
    for op in ELEMENTWISE:
        if op.differentiable and dtype in op.dtypes and not op.conditions:
            random = seeded(op.name, "jit")
            shapes = itertools.cycle([(3, 4), (1, 4), (3, 1)])
            operands = [tl.asarray(smooth_values(random, shape, dtype, place, op.domain.get(name, (-2.0, 2.0))))
                        for place, (name, shape) in enumerate(zip(op.inputs, shapes))]
            calls.append((op, operands, {}, list(range(len(operands)))))
    for op in SAMPLED:
        if op.is_differentiable and reaches(op, dtype):
            for sample in op.samples:
                places = [k for k, x in enumerate(sample.inputs) if not isinstance(x, Integers)]
                operands = [tl.asarray(a) for a in sample_arrays(op, sample, dtype)]
                if any(y.dtype.kind == "f" for y in stages.leaves(apply(op, *operands, **sample.attributes))):
                    calls.append((op, operands, dict(sample.attributes), places))
    return calls


SMOOTH = smooth_calls(np.dtype(np.float64))
DIFFERENTIABLE = list(dict.fromkeys(op for op, *_ in SMOOTH))
PARTS = [DIFFERENTIABLE[k :: 12] for k in range(12)]
by_part = pytest.mark.parametrize("part", PARTS, ids=[part[0].name for part in PARTS])


def one_each(part: Sequence[Op]) -> list[tuple[Op, list[Any], dict, list[int]]]:
    """The first call of each op."""
    return list({op: call for call in reversed(SMOOTH) if (op := call[0]) in part}.values())


def check_derivatives(chosen: Sequence[tuple[Op, list[Any], dict, list[int]]], make: Callable[..., Gradient],
                      terms: int) -> None:
    """The derivatives of several calls, as results of one function."""
    tensors = [x for _, operands, _, _ in chosen for x in operands]
    names = [op.name for op, _, _, wanted in chosen for _ in wanted]

    def function(*given: tl.Tensor) -> list[Any]:
        rest = iter(given)
        return [make(op, attributes, wanted)(*(next(rest) for _ in operands))
                for op, operands, attributes, wanted in chosen]
    check_stages(function, tensors, terms=terms, names=names)


@by_part
def test_first_derivatives(part):
    check_derivatives([call for call in smooth_calls(np.dtype(np.float32)) if call[0] in part], gradient, 16 * TERMS)


@by_part
def test_second_derivatives(part):
    check_derivatives(one_each(part), lambda op, attributes, wanted: second(gradient(op, attributes, wanted), wanted),
                      16 * TERMS)


@by_part
def test_derivatives_of_compiled_functions(part):
    for op, operands, attributes, wanted in one_each(part):
        expected = gradient(op, attributes, wanted)(*operands)
        found = gradient(op, attributes, wanted, tl.jit)(*operands)
        for x, y in zip(found, expected, strict=True):
            assert_close(x, y, terms=16 * TERMS)


# --- programs -----------------------------------------------------------------------------------------------------


def has_steps(program: Program) -> bool:
    """Whether a rounded operand may fall on the other side of a step."""
    return any(step.name in STEPPED for step in program.steps)


def tensors_of(program: Program, dtype: np.dtype) -> list[tl.Tensor]:
    return [tl.tensor(a.astype(dtype)) for a in program.inputs()]


def values(program: Program) -> Callable[..., Any]:
    return lambda *inputs: program.tensor(inputs)[len(inputs):]


def derivative(program: Program, wrap: Callable[..., Any] = lambda f: f) -> Gradient:
    places = tuple(range(len(program.shapes)))
    return tl.grad(wrap(lambda *inputs: program.tensor(inputs)[-1].sum()), argnums=places)


def second_derivative(program: Program, inner: Callable[..., Any] = lambda f: f,
                      outer: Callable[..., Any] = lambda f: f) -> Gradient:
    return second(derivative(program, inner), list(range(len(program.shapes))), outer)


precision = st.sampled_from([np.dtype(np.float64), np.dtype(np.float32)])


@given(programs(), precision)
@settings(max_examples=60)
def test_programs(program, dtype):
    assume(dtype == tl.float64 or not has_steps(program))
    check_stages(values(program), tensors_of(program, dtype), terms=PROGRAM_TERMS)


@given(programs(LARGE_SHAPES), precision)
@settings(max_examples=25)
def test_large_programs(program, dtype):
    assume(dtype == tl.float64 or not has_steps(program))
    check_stages(values(program), tensors_of(program, dtype), terms=NATIVE_SIZE)


@given(programs(), precision)
@settings(max_examples=40)
def test_first_derivatives_of_programs(program, dtype):
    assume(dtype == tl.float64 or not has_steps(program))
    check_stages(derivative(program), tensors_of(program, dtype), terms=PROGRAM_TERMS)


@given(programs())
@settings(max_examples=15)
def test_second_derivatives_of_programs(program):
    check_stages(second_derivative(program), tensors_of(program, np.dtype(np.float64)), terms=PROGRAM_TERMS)


@given(programs())
@settings(max_examples=12)
def test_derivatives_of_compiled_programs(program):
    inputs = tensors_of(program, np.dtype(np.float64))
    for expected, found in ((derivative(program), derivative(program, tl.jit)),
                            (second_derivative(program), second_derivative(program, tl.jit)),
                            (second_derivative(program), second_derivative(program, outer=tl.jit))):
        for x, y in zip(found(*inputs), expected(*inputs), strict=True):
            assert_close(x, y, terms=PROGRAM_TERMS)


@given(programs())
@settings(max_examples=15)
def test_half_precision_programs_round_where_eager_rounds(program):
    """What is fused is rounded as often as what is stored, so that sums and products alone may differ."""
    assume(not has_steps(program))
    check_stages(values(program), tensors_of(program, np.dtype(np.float16)), terms=TERMS)


# --- the harness itself -------------------------------------------------------------------------------------------


def test_the_first_pass_that_changes_the_answer_is_named():
    def break_sine(graph):
        found = {e.op.name: e.op for e in graph.equations}
        return graph.with_equations([Equation(found["cos"], e.inputs, e.attributes, e.outputs, e.line)
                                     if e.op.name == "sin" else e for e in graph.equations])

    passes = (*stages.PASSES[:2], break_sine, *stages.PASSES[2:])
    with mock.patch.object(stages, "PASSES", passes), pytest.raises(AssertionError) as error:
        check_stages(lambda x: (tl.cos(x), tl.sin(x)), [tl.tensor([1.0, 2.0])], names=["cos", "sin"])
    assert str(error.value).startswith("sin is wrong after break_sine: ")


def test_a_fault_of_lowering_is_told_from_one_of_a_pass():
    wrong = mock.patch.object(stages.tl, "jit", return_value=lambda x: x + 1)
    with wrong, pytest.raises(AssertionError, match="result 0 is wrong after native code"):
        check_stages(lambda x: x * 1, [tl.tensor([1.0])])


def test_the_trace_means_the_eager_call_to_the_bit():
    x = tl.tensor(np.linspace(-2, 2, 12).reshape(3, 4))
    function = tl.grad(lambda x: (tl.softmax(x @ x.T, axis=-1) ** 2).sum())
    (found,) = tl.trace(function, x)(x)
    assert_same(found, function(x))
