"""First and second derivatives of every differentiable op agree with differences, away from kinks."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from laws.differences import check_first, check_second
from laws.drawing import DEFAULT_DOMAIN, ELEMENTWISE, SHAPES, reaches, sample_id, samples, seeded, smooth_values
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.dispatch import apply
from tensorlite.errors import InternalError, TensorliteError
from tensorlite.op import Elementwise, Integers, Op, Sample

DIFFERENTIABLE = [op for op in ELEMENTWISE if op.differentiable]
CASES = [(op, dtype) for op in DIFFERENTIABLE for dtype in (tl.float64, tl.complex128) if dtype in op.dtypes]
by_case = pytest.mark.parametrize(("op", "dtype"), CASES, ids=lambda x: x.name)

SAMPLES = [(op, sample) for op, sample in samples() if op.is_differentiable]
by_sample = pytest.mark.parametrize(("op", "sample"), SAMPLES, ids=sample_id)


def smooth_inputs(op: Elementwise, dtype: np.dtype, name: str) -> list[np.ndarray]:
    random = seeded(op.name, dtype.name, name)
    arrays = []
    for place, (parameter, shape) in enumerate(zip(op.inputs, itertools.cycle(SHAPES[name]))):
        if parameter in op.conditions:
            arrays.append(np.asarray(random.integers(0, 2, shape), bool))
        else:
            arrays.append(smooth_values(random, shape, dtype, place, op.domain.get(parameter, DEFAULT_DOMAIN)))
    return arrays


@pytest.mark.parametrize("shapes", ["matrix", "broadcast both", "0-d", "empty axis"])
@by_case
def test_first_derivatives_of_elementwise_ops(op, dtype, shapes):
    arrays = smooth_inputs(op, dtype, shapes)
    check_first(functools.partial(apply, op), arrays, seeded(op.name, dtype.name, shapes, 1))


@pytest.mark.parametrize("shapes", ["matrix", "broadcast both"])
@by_case
def test_second_derivatives_of_elementwise_ops(op, dtype, shapes):
    arrays = smooth_inputs(op, dtype, shapes)
    check_second(functools.partial(apply, op), arrays, seeded(op.name, dtype.name, shapes, 2))


@by_case
def test_third_derivatives_are_second_derivatives_of_the_first(op, dtype):
    arrays = smooth_inputs(op, dtype, "matrix")

    def first(*inputs):
        y = apply(op, *inputs)
        wanted = [x for x in inputs if x.requires_grad]
        if not y.requires_grad:
            return tuple(tl.zeros_like(x) for x in inputs if x.dtype != bool)
        found = tl.autograd.grad(y, wanted, tl.ones_like(y.detach()), create_graph=True, allow_unused=True)
        found = iter(found)
        return tuple(g for x in inputs if x.requires_grad if (g := next(found)) is not None)

    check_second(first, arrays, seeded(op.name, dtype.name, 3))


@by_case
def test_recording_changes_no_bit(op, dtype):
    for name in ("matrix", "broadcast both", "0-d"):
        arrays = smooth_inputs(op, dtype, name)
        plain = apply(op, *map(tl.tensor, arrays))
        recorded = apply(op, *(tl.tensor(a, requires_grad=a.dtype != bool) for a in arrays))
        assert recorded.requires_grad == (plain.dtype.kind in "fc")
        assert_same(recorded, plain)


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float32], ids=lambda d: d.name)
@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=lambda op: op.name)
def test_gradients_have_their_values_dtype_and_agree_with_float64(op, dtype):
    if dtype not in op.dtypes:
        assert dtype in (tl.float16, tl.bfloat16, tl.float32)
        return
    arrays = [a if a.dtype == bool else a.astype(dtype) for a in smooth_inputs(op, tl.float64, "broadcast both")]
    narrow = [tl.tensor(a, requires_grad=a.dtype != bool) for a in arrays]
    wide = [tl.tensor(a if a.dtype == bool else a.astype(np.float64), requires_grad=a.dtype != bool) for a in arrays]
    for inputs in (narrow, wide):
        apply(op, *inputs).sum().backward()
    for x, reference in zip(narrow, wide):
        if x.dtype != bool:
            assert x.grad.dtype == dtype
            assert_close(x.grad, reference.grad, terms=12)


def sample_inputs(op: Op, sample: Sample, dtype: np.dtype = tl.float64) -> list[np.ndarray]:
    random = seeded(op.name, sample_id(sample))
    return [shape.draw(random) if isinstance(shape, Integers)
            else smooth_values(random, shape, dtype, place) for place, shape in enumerate(sample.inputs)]


@by_sample
def test_first_derivatives_of_structured_ops(op, sample):
    function = functools.partial(apply, op, **sample.attributes)
    check_first(function, sample_inputs(op, sample), seeded(op.name, sample_id(sample), 1))


def check_each_input_alone(function, arrays):
    """Only one input is tracked at a time, the others are constants."""
    for place, array in enumerate(arrays):
        if array.dtype.kind in "fc":
            rest = [tl.tensor(a) for a in arrays]
            check_first(lambda x, place=place, rest=rest: function(*rest[:place], x, *rest[place + 1:]), [array],
                        np.random.default_rng(place))


@by_case
def test_each_input_of_an_elementwise_op_alone(op, dtype):
    check_each_input_alone(functools.partial(apply, op), smooth_inputs(op, dtype, "broadcast both"))


@by_sample
def test_each_input_of_a_structured_op_alone(op, sample):
    check_each_input_alone(functools.partial(apply, op, **sample.attributes), sample_inputs(op, sample))


@pytest.mark.parametrize(("op", "sample"), [pair for pair in SAMPLES if reaches(pair[0], tl.complex128)], ids=sample_id)
def test_derivatives_of_structured_ops_of_complex_numbers(op, sample):
    """Where an op takes complex numbers, which no type rule says without running it."""
    function, arrays = functools.partial(apply, op, **sample.attributes), sample_inputs(op, sample, tl.complex128)
    try:
        function(*map(tl.tensor, arrays))
    except TensorliteError as error:
        assert not isinstance(error, InternalError)
    else:
        check_first(function, arrays, seeded(op.name, sample_id(sample), 3))
        check_second(function, arrays, seeded(op.name, sample_id(sample), 4))


@by_sample
def test_second_derivatives_of_structured_ops(op, sample):
    function = functools.partial(apply, op, **sample.attributes)
    check_second(function, sample_inputs(op, sample), seeded(op.name, sample_id(sample), 2))
