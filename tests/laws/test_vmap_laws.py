"""Every op maps over a batch: `vmap` of it is the stack of what it gives for each element, and so of derivatives."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from laws.drawing import DEFAULT_DOMAIN, ELEMENTWISE, SHAPES, STRUCTURED, sample_id, samples, seeded, smooth_values
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.batch import Batch, looped, rule_for
from tensorlite.dispatch import apply
from tensorlite.op import OPS, Elementwise, Integers, Op

SIZE = 3

#: What maps in a loop, one element after another: their results' shapes depend on what they are given.
LOOPED = {op.name for op in STRUCTURED if op.type_rule is None}

Axes = tuple[int | None, ...]


def combinations(count: int) -> list[Axes]:
    """Batch axes of some inputs: all first, all last, one input at a time, and all but one."""
    mixed = tuple((0, -1)[j % 2] for j in range(count))
    alone = [tuple(axis if i == j else None for j in range(count)) for i in range(count) for axis in (0, -1)]
    others = [(*mixed[:i], None, *mixed[i + 1:]) for i in range(count)] if count > 2 else []
    return list(dict.fromkeys([(0,) * count, (-1,) * count, mixed, *alone, *others]))


def batch_of(draw: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...], axis: int | None) -> np.ndarray:
    """An array of a shape, or a batch of them along an axis."""
    if axis is None:
        return draw(shape)
    return np.stack([draw(shape) for _ in range(SIZE)], axis=axis)


def element(array: Any, axis: int | None, i: int) -> Any:
    """One element of a batch."""
    return array if axis is None else np.take(array, i, axis=axis)


def outputs(result: Any) -> tuple[tl.Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


def check(function: Callable[..., Any], arrays: Sequence[np.ndarray], axes: Axes, terms: int = 16) -> None:
    """`vmap` of a function, with the batch of the results first and last."""
    rows = [outputs(function(*(tl.asarray(element(a, axis, i)) for a, axis in zip(arrays, axes)))) for i in range(SIZE)]
    inputs = [tl.asarray(a) for a in arrays]
    for out in (0, -1):
        found = outputs(tl.vmap(function, in_axes=axes, out_axes=out)(*inputs))
        expected = [np.stack([y.numpy() for y in column], axis=out) for column in zip(*rows, strict=True)]
        for y, z in zip(found, expected, strict=True):
            assert y.dtype == z.dtype
            assert_close(y, z, terms=terms)


ELEMENTWISE_CASES = [(op, name, axes) for op in ELEMENTWISE for name in ("matrix", "broadcast both", "0-d")
                     for axes in combinations(len(op.inputs))]


def elementwise_arrays(op: Elementwise, name: str, axes: Axes) -> list[np.ndarray]:
    random = seeded(op.name, name, axes)
    dtype = tl.float64 if tl.float64 in op.dtypes else tl.complex128 if tl.complex128 in op.dtypes else (
        tl.int64 if tl.int64 in op.dtypes else tl.bool)
    arrays = []
    for place, (parameter, shape, axis) in enumerate(zip(op.inputs, itertools.cycle(SHAPES[name]), axes)):
        if parameter in op.conditions or dtype.kind in "bi":
            own = np.dtype(bool) if parameter in op.conditions else dtype
            arrays.append(batch_of(lambda s, own=own: np.asarray(random.integers(0, 2, s)).astype(own), shape, axis))
        else:
            domain = op.domain.get(parameter, DEFAULT_DOMAIN)
            arrays.append(batch_of(lambda s, p=place, d=domain: smooth_values(random, s, dtype, p, d), shape, axis))
    return arrays


@pytest.mark.parametrize(("op", "name", "axes"), ELEMENTWISE_CASES, ids=sample_id)
def test_elementwise_ops_map(op, name, axes):
    check(functools.partial(apply, op), elementwise_arrays(op, name, axes), axes)


def structured_cases() -> Iterator[tuple[Op, Any, Axes]]:
    """Every sample of every op that has inputs, with batch axes."""
    for op, sample in samples():
        for axes in combinations(len(sample.inputs)) if sample.inputs else ():
            yield op, sample, axes


STRUCTURED_CASES = list(structured_cases())
SAMPLES = [(op, sample) for op, sample in samples() if sample.inputs and op.name not in LOOPED]


def structured_arrays(op: Op, sample: Any, axes: Axes) -> list[np.ndarray]:
    random = seeded(op.name, sample_id(sample), axes)
    return [batch_of(lambda s, i=i: np.asarray(random.integers(i.low, i.high, s)).astype(i.dtype), i.shape, axis)
            if isinstance(i, Integers) else
            batch_of(lambda s, place=place: smooth_values(random, s, tl.float64, place), i, axis)
            for place, (i, axis) in enumerate(zip(sample.inputs, axes, strict=True))]


@pytest.mark.parametrize(("op", "sample", "axes"), [c for c in STRUCTURED_CASES if c[0].name not in LOOPED],
                         ids=sample_id)
def test_structured_ops_map(op, sample, axes):
    check(functools.partial(apply, op, **sample.attributes), structured_arrays(op, sample, axes), axes)


def weigh(random: np.random.Generator, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [random.standard_normal(a.shape) if a.dtype.kind != "c" else
            random.standard_normal(a.shape) + 1j * random.standard_normal(a.shape) for a in arrays]


def check_derivatives(function: Callable[..., Any], arrays: Sequence[np.ndarray], axes: Axes, key: Any) -> None:
    """`vmap` of the derivative is the derivative of each element, and the derivative of `vmap` is theirs together."""
    moving = [k for k, a in enumerate(arrays) if a.dtype.kind in "fc"]
    first = outputs(function(*(tl.asarray(element(a, axis, 0)) for a, axis in zip(arrays, axes))))
    chosen = [k for k, y in enumerate(first) if y.dtype.kind in "fc"]
    weights = [tl.asarray(w) for w in weigh(seeded(key), [first[k].numpy() for k in chosen])]

    def loss(*inputs: tl.Tensor) -> tl.Tensor:
        found = outputs(function(*inputs))
        total = tl.tensor(0.0, dtype=tl.float64)
        for k, w in zip(chosen, weights, strict=True):
            product = found[k] * w
            total = total + (tl.real(product) + tl.imag(product) if product.dtype.kind == "c" else product).sum()
        return total

    if not moving or not chosen:
        return
    gradient = tl.grad(loss, argnums=moving)
    inputs = [tl.asarray(a) for a in arrays]
    rows = [gradient(*(tl.asarray(element(a, axis, i)) for a, axis in zip(arrays, axes))) for i in range(SIZE)]
    expected = [np.stack([g.numpy() for g in column]) for column in zip(*rows, strict=True)]
    for found, wanted in zip(tl.vmap(gradient, in_axes=axes)(*inputs), expected, strict=True):
        assert_close(found, wanted, terms=64)
    whole = tl.grad(lambda *inputs: tl.vmap(loss, in_axes=axes)(*inputs).sum(), argnums=moving)(*inputs)
    for k, found, wanted in zip(moving, whole, expected, strict=True):
        assert_close(found, wanted.sum(0) if axes[k] is None else np.moveaxis(wanted, 0, axes[k]), terms=64)


@pytest.mark.parametrize(("op", "name", "axes"), [
    case for case in ELEMENTWISE_CASES if case[0].differentiable and case[1] == "broadcast both"], ids=sample_id)
def test_derivatives_of_elementwise_ops_map(op, name, axes):
    check_derivatives(functools.partial(apply, op), elementwise_arrays(op, name, axes), axes, op.name)


@pytest.mark.parametrize(("op", "sample"), SAMPLES, ids=sample_id)
def test_jitted_batches_are_the_same(op, sample):
    function = functools.partial(apply, op, **sample.attributes)
    count = len(sample.inputs)
    for axes in combinations(count)[:1] + combinations(count)[2:4]:
        inputs = [tl.asarray(a) for a in structured_arrays(op, sample, axes)]
        eager, jitted = (outputs(f(*inputs)) for f in (tl.vmap(function, axes), tl.jit(tl.vmap(function, axes))))
        for y, z in zip(jitted, eager, strict=True):
            assert y.type == z.type
            assert_close(y, z, terms=64)


@pytest.mark.parametrize(("op", "sample", "axes"), [case for case in STRUCTURED_CASES if case[0].is_differentiable],
                         ids=sample_id)
def test_derivatives_of_structured_ops_map(op, sample, axes):
    function = functools.partial(apply, op, **sample.attributes)
    check_derivatives(function, structured_arrays(op, sample, axes), axes, op.name)


@pytest.mark.parametrize(("op", "sample"), SAMPLES, ids=sample_id)
def test_a_batch_of_batches(op, sample):
    function = functools.partial(apply, op, **sample.attributes)
    random = seeded(op.name, sample_id(sample), "twice")
    arrays = [i.draw(random, 2, SIZE) if isinstance(i, Integers)
              else smooth_values(random, type(i)((2, SIZE, *i)), tl.float64, place)
              for place, i in enumerate(sample.inputs)]
    found = outputs(tl.vmap(tl.vmap(function))(*map(tl.asarray, arrays)))
    rows = [[outputs(function(*(tl.asarray(a[i, j]) for a in arrays))) for j in range(SIZE)] for i in range(2)]
    for k, y in enumerate(found):
        assert_close(y, np.stack([np.stack([r[k].numpy() for r in row]) for row in rows]), terms=16)


@pytest.mark.parametrize(("op", "sample"), SAMPLES, ids=sample_id)
def test_an_empty_batch(op, sample):
    function = functools.partial(apply, op, **sample.attributes)
    arrays = [np.zeros((0, *i.shape), i.dtype) if isinstance(i, Integers) else np.zeros((0, *i))
              for i in sample.inputs]
    types = [tl.asarray(np.zeros(a.shape[1:], a.dtype)).type for a in arrays]
    one = outputs(op.type_rule(*types, **sample.attributes))
    found = outputs(tl.vmap(function)(*map(tl.asarray, arrays)))
    assert [(y.dtype, y.shape) for y in found] == [(t.dtype, (0, *t.shape)) for t in one]


def test_few_ops_are_mapped_in_a_loop():
    """What has no rule and none that follows; an op that is added here is mapped slowly."""
    declared = [op for op in (*ELEMENTWISE, *STRUCTURED) if op.inputs and op.name != "fused"]  # the compiler's own
    assert {op.name for op in declared if rule_for(Batch(op, SIZE, (0,))) is looped} == LOOPED


@pytest.mark.parametrize("op", sorted(LOOPED))
def test_results_of_one_shape_stack(op):
    x = tl.tensor([[[0, 1], [2, 0]], [[3, 0], [0, 4]]])
    found = outputs(tl.vmap(functools.partial(apply, OPS[op]))(x))
    rows = [outputs(apply(OPS[op], x[i])) for i in range(2)]
    for y, column in zip(found, zip(*rows, strict=True), strict=True):
        assert_same(y, tl.stack(column))
