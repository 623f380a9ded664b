"""Planned matrix products against float64 NumPy: any shapes, strides, stacks, epilogues, and the same bits always."""

from __future__ import annotations

import numpy as np
import pytest
from guarded import Guarded, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close

from tensorlite.kernels import interp
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import matmul, stages, team
from tensorlite.kernels.stage import Array, Plan

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
EXTENTS = st.sampled_from([1, 2, 3, 5, 6, 7, 12, 13, 16, 17, 31, 64, 65, 67, 129, 150])
PRODUCT = s.Var("product")


def numbers(shape, dtype=F32, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(dtype)


def lay(shape, dtype, way, seed):
    """Return an array of that shape and of that way to lie in memory."""
    if way == "turned":
        return numbers((*shape[:-2], shape[-1], shape[-2]), dtype, seed).swapaxes(-1, -2)
    if way == "sliced":
        return numbers((*shape[:-1], 2 * shape[-1] + 1), dtype, seed)[..., 1::2]
    if way == "backwards":
        return numbers(shape, dtype, seed)[..., ::-1, :]
    if way == "repeated":
        return np.broadcast_to(numbers((*shape[:-2], 1, shape[-1]), dtype, seed), shape)
    return numbers(shape, dtype, seed)


WAYS = st.sampled_from(["straight", "turned", "sliced", "backwards", "repeated"])


def run(plan: Plan, inputs, shapes, dtypes, threads=1):
    """Run a plan with its outputs between guard zones; return them."""
    guarded = [Guarded(np.full(shape, 7, dtype)) for shape, dtype in zip(shapes, dtypes, strict=True)]
    stages.run(plan, [*inputs, *(g.array for g in guarded)], threads)
    for one in guarded:
        one.check()
    return [one.array.copy() for one in guarded]


def product(a, b, epilogue=None, operands=(), dtypes=None):
    """Plan and run a product with 1, 2 and 4 threads; return its outputs, which must not differ."""
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    dtypes = dtypes or [a.dtype]
    outputs = [Array.contiguous(dtype, shape) for dtype in dtypes]
    described = [stages.described(x) for x in (a, b, *operands)]
    plan = matmul.plan(*described[:2], outputs, epilogue, described[2:])
    assert plan is not None
    found = [run(plan, (a, b, *operands), [shape] * len(dtypes), dtypes, threads) for threads in (1, 2, 4)]
    for other in found[1:]:
        assert all(map(same_bits, found[0], other))
    return found[0]


@settings(max_examples=120, deadline=None)
@given(m=EXTENTS, n=EXTENTS, k=st.one_of(st.just(0), EXTENTS, st.just(300)), dtype=st.sampled_from([F32, F64]),
       left=WAYS, right=WAYS)  # fmt: skip
def test_matrices(m, n, k, dtype, left, right):
    a, b = lay((m, k), dtype, left, 1), lay((k, n), dtype, right, 2)
    (found,) = product(a, b)
    assert_close(found, a.astype(F64) @ b.astype(F64), dtype=dtype, terms=k)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), dtype=st.sampled_from([F32, F64]), left=WAYS, right=WAYS)
def test_stacks_broadcast(data, dtype, left, right):
    small = st.sampled_from([1, 2, 3, 7, 20])
    shape = data.draw(st.lists(st.integers(1, 3), max_size=3))
    m, n, k = (data.draw(small) for _ in range(3))
    stacks = [[x if data.draw(st.booleans()) else 1 for x in shape][data.draw(st.integers(0, 1)) :] for _ in range(2)]
    a, b = lay((*stacks[0], m, k), dtype, left, 1), lay((*stacks[1], k, n), dtype, right, 2)
    (found,) = product(a, b)
    assert_close(found, a.astype(F64) @ b.astype(F64), dtype=dtype, terms=k)


@settings(max_examples=60, deadline=None)
@given(m=EXTENTS, n=EXTENTS, k=EXTENTS, left=WAYS, right=WAYS, stack=st.sampled_from([(), (2,), (2, 3)]),
       others=st.lists(st.sampled_from(["row", "column", "same", "number", "turned", "sliced"]), min_size=1,
                       max_size=2))  # fmt: skip
def test_epilogues(m, n, k, left, right, stack, others):
    a, b = lay((*stack, m, k), F32, left, 1), lay((k, n), F32, right, 2)
    shapes = {"row": (n,), "column": (m, 1), "number": (1,)}
    operands = [lay(shapes.get(way, (*stack, m, n)), F32, way, 3 + i) for i, way in enumerate(others)]
    total = PRODUCT
    for i in range(len(operands)):
        total = total + s.Var(f"e{i}")
    epilogue = [s.maximum(total, 0.0), total * 2.0, s.greater(total, 0.0)]
    found = product(a, b, epilogue, operands, [F32, F64, np.dtype(bool)])
    expected = a.astype(F64) @ b.astype(F64) + sum(x.astype(F64) for x in operands)
    assert_close(found[0], np.maximum(expected, 0), terms=2 * k)
    assert_close(found[1], expected * 2, dtype=F32, terms=2 * k)
    assert found[1].dtype == F64
    assert same_bits(found[2], found[0] > 0)


def test_a_long_epilogue_and_other_dtypes():
    a, b, e = numbers((70, 40), seed=1), numbers((40, 70), seed=2), numbers((70, 70), np.float16, 3)
    value = s.tanh(PRODUCT) * s.cast(s.Var("e0"), F32)
    (found,) = product(a, b, [value], [e], [np.dtype(np.float16)])
    expected = np.tanh(a.astype(F64) @ b.astype(F64)) * e.astype(F64)
    assert_close(found, expected, dtype=np.float16)


@pytest.mark.parametrize("right", ["rows", "columns", "straight", "dot", "strided"])
@pytest.mark.parametrize(("m", "n", "k"), [(1, 3, 5), (7, 19, 18), (1, 70, 3), (5, 70, 130), (9, 17, 33)])
def test_interpreted(m, n, k, right):
    """The kernel's meaning is what runs natively, bit by bit, and it touches nothing that it must not."""
    a = numbers((m, k), seed=1)
    b = {"rows": numbers((k, n)), "straight": numbers((k, n)), "strided": numbers((k, 2 * n))[:, ::2]}.get(
        right, numbers((n, k)).T
    )
    view = matmul.simplify(
        matmul.Product((), m, n, k, matmul.View((), k, 1), matmul.View((), *stages.described(b).strides), ())
    )
    stage = matmul.stage(view, F32, matmul.gemm_loops.Epilogue((PRODUCT,), ("float32",)), right)
    out, names = np.zeros((m, n), F32), [p.name for p in stage.build().parameters]
    values = dict(zip(names[3:], np.frombuffer(stage.numbers, np.int64).tolist(), strict=True))
    memory = np.ascontiguousarray(b.base if b.base is not None else b)
    for threads in (1, 3):
        result = np.zeros(m * n, F32)
        interp.run(stage.build(), {"a": a.ravel(), "b": memory.ravel(), "out0": result, **values}, threads)
        stages.run(Plan((stage,)), [a, b, out], threads)
        assert same_bits(result.reshape(m, n), out)
    assert_close(out, a.astype(F64) @ b.astype(F64), terms=k)


def test_results_of_both_ways_to_take_rows_are_the_same():
    a, b = numbers((200, 300), seed=1), numbers((300, 130), seed=2)
    (few,), (many,) = product(a, b), product(np.concatenate([a, a]), b)
    assert same_bits(np.concatenate([few, few]), many)


def test_bits_do_not_depend_on_how_the_work_is_cut(monkeypatch):
    a, b = numbers((130, 300), seed=1), numbers((90, 300), seed=2).T
    found = []
    for threads in (1, 3, 16):
        monkeypatch.setattr(team, "get_num_threads", lambda threads=threads: threads)
        plan = matmul.plan(stages.described(a), stages.described(b), [Array.contiguous(F32, (130, 90))])
        found.append((plan.stages[0].numbers, run(plan, (a, b), [(130, 90)], [F32])[0]))
    assert found[0][0] != found[2][0]
    assert same_bits(found[0][1], found[1][1])
    assert same_bits(found[0][1], found[2][1])


@pytest.mark.parametrize("shape", [(6, 9), (2, 3, 9), (9,), (0, 9), (5, 1, 9)])
@pytest.mark.parametrize("biased", [False, True])
def test_linear(shape, biased):
    x, weight, bias = numbers(shape, seed=1), numbers((4, 9), seed=2), numbers((4,), seed=3)
    inputs = [x, weight, bias][: 2 + biased]
    out = np.zeros((*shape[:-1], 4), F32)
    plan = matmul.PLANS["linear"]([stages.described(i) for i in inputs], [stages.described(out)])
    stages.run(plan, [*inputs, out])
    assert_close(out, x.astype(F64) @ weight.T + (bias if biased else 0), terms=9)


def test_empty_products():
    for m, n in [(0, 5), (5, 0)]:
        assert product(numbers((m, 4)), numbers((4, n)))[0].shape == (m, n)
    assert product(numbers((0, 2, 4)), numbers((4, 3)))[0].size == 0


def test_what_has_no_plan():
    whole = Array.contiguous(np.int64, (4, 4))
    assert matmul.plan(whole, whole, [whole]) is None
    a = Array.contiguous(np.float32, (4, 4))
    assert matmul.plan(a, a, [Array(F32, (4, 4), (1, 4))]) is None
    assert matmul.plan(a, a, [Array.contiguous(np.complex64, (4, 4))]) is None
    assert matmul.plan(a, a, [a], [s.real(s.cast(PRODUCT, np.complex64))]) is None


def test_micro_kernels_have_rows_that_suit_few_rows_of_a_product():
    assert [matmul.least_waste(m, 6) for m in (7, 8, 10, 16, 32, 49, 60, 64, 98)] == [4, 4, 5, 4, 4, 5, 6, 6, 6]
