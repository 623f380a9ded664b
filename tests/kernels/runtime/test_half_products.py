"""Products of 16-bit floats and of packed operands against float64, planned, eager and compiled; and convolutions."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from guarded import Guarded, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import LAYOUTS, interpret, laid, run_guarded
from tolerance import assert_close, assert_close_to_scale, rounded_tolerance, tolerance_of, wide

import tensorlite as tl
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import contract, conv, matmul, stages
from tensorlite.kernels.stage import Array

BFLOAT, HALF, F32, F64 = (np.dtype(x) for x in (ml_dtypes.bfloat16, np.float16, np.float32, np.float64))
HALVES = [BFLOAT, HALF]
EXTENTS = st.sampled_from([0, 1, 1, 2, 3, 5, 7, 16, 17, 33, 64, 67, 130])
LAID = st.sampled_from(LAYOUTS)
PRODUCT = s.Var("product")


def numbers(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(dtype)


@pytest.fixture(params=["as the CPU can", "widened"])
def pairs(request, monkeypatch):
    """Products of bfloat16 by pairs, where the CPU has them, and not so."""
    if request.param == "widened":
        monkeypatch.setattr(matmul, "has_pairs", lambda dtype: False)


@pytest.fixture(params=[480, 0])
def packing(request, monkeypatch):
    """Right operands packed first where rows are many, and always."""
    monkeypatch.setattr(matmul, "_ROWS_TO_PACK_FIRST", request.param)


def product(a, b, epilogue=None, operands=(), packed=None):
    """The product by 1, 2 and 4 threads, between guard zones."""
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    described = [stages.described(x) for x in (a, b, *operands)]
    result = Array.contiguous(a.dtype, shape)
    plan = matmul.plan(*described[:2], [result], epilogue, described[2:], packed=packed is not None)
    return run_guarded(plan, [a, b if packed is None else packed, *operands], shape, [a.dtype])[0]


def packed_of(b):
    """What `packing` makes of a matrix."""
    plan, lies = matmul.packing(stages.described(b))
    return run_guarded(plan, [b], lies.shape, [lies.dtype])[0]


def assert_rounded(found, expected, terms):
    """Raise unless a result of 16 bits is a sum in float32, rounded once."""
    assert_close(found, expected, tolerance=rounded_tolerance(found.dtype, terms))


@pytest.mark.usefixtures("pairs", "packing")
class TestMatrices:
    @settings(max_examples=60, deadline=None)
    @given(m=EXTENTS, n=EXTENTS, k=st.one_of(EXTENTS, st.just(301)), dtype=st.sampled_from(HALVES), left=LAID,
           right=LAID)  # fmt: skip
    def test_any_shape_and_layout(self, m, n, k, dtype, left, right):
        a, b = laid(numbers((m, k), dtype, 1), left), laid(numbers((k, n), dtype, 2), right)
        assert_rounded(product(a, b), a.astype(F64) @ b.astype(F64), k)

    @settings(max_examples=30, deadline=None)
    @given(data=st.data(), dtype=st.sampled_from(HALVES), left=LAID, right=LAID)
    def test_stacks_broadcast(self, data, dtype, left, right):
        shape = data.draw(st.lists(st.integers(1, 3), max_size=3))
        m, n, k = (data.draw(st.sampled_from([1, 2, 3, 20, 70])) for _ in range(3))
        stacks = [[x if data.draw(st.booleans()) else 1 for x in shape][data.draw(st.integers(0, 1)) :] for _ in "ab"]
        a, b = laid(numbers((*stacks[0], m, k), dtype, 1), left), laid(numbers((*stacks[1], k, n), dtype, 2), right)
        assert_rounded(product(a, b), a.astype(F64) @ b.astype(F64), k)

    @pytest.mark.parametrize("dtype", HALVES, ids=str)
    @pytest.mark.parametrize(("m", "n", "k"), [(70, 70, 131), (7, 20, 33), (1, 90, 64), (20, 1, 45), (3, 17, 1)])
    def test_what_follows_is_computed_before_rounding(self, m, n, k, dtype):
        a, b = numbers((m, k), dtype, 1), numbers((k, n), dtype, 2)
        bias, residual = numbers((n,), dtype, 3), numbers((m, n), dtype, 4)
        value = s.maximum(PRODUCT + s.Var("e0"), 0.0) * 0.5 + s.Var("e1")
        expected = np.maximum(a.astype(F64) @ b.astype(F64) + bias.astype(F64), 0) * 0.5 + residual.astype(F64)
        assert_rounded(product(a, b, [value], [bias, residual]), expected, k)

    @pytest.mark.parametrize("dtype", HALVES, ids=str)
    def test_no_nan_is_lost(self, dtype):
        a, b = numbers((70, 67), dtype, 1), numbers((67, 70), dtype, 2)
        a[3, 66], b[5, 9], a[60, 0] = np.nan, np.nan, np.inf
        found = product(a, b)
        with np.errstate(invalid="ignore"):
            expected = a.astype(F64) @ b.astype(F64)
        assert np.array_equal(np.isnan(wide(found)), np.isnan(expected))
        assert np.array_equal(np.isinf(wide(found)), np.isinf(expected))

    @pytest.mark.parametrize("dtype", HALVES, ids=str)
    @pytest.mark.parametrize("right", LAYOUTS[:3])
    @pytest.mark.parametrize("left", LAYOUTS[:2])
    def test_interpreted(self, left, right, dtype):
        """The loops mean what runs natively, bit by bit."""
        a, b = numbers((20, 37), dtype, 1), numbers((37, 18), dtype, 2)
        a, b = a if left == "contiguous" else a[:, ::-1].T.copy().T, laid(b, right)
        plan = matmul.plan_matmul([stages.described(x) for x in (a, b)], [Array.contiguous(dtype, (20, 18))])
        memory = [x if x.base is None else x.base.reshape(-1) for x in (a, b)]
        out = np.zeros((20, 18), dtype)
        interpret(plan, [*(np.ascontiguousarray(x.T if x.ndim == 2 and x.T.flags.c_contiguous else x) for x in memory),
                         out])  # fmt: skip
        assert same_bits(out, product(a, b))


# Packed beforehand


@settings(max_examples=60, deadline=None)
@given(m=EXTENTS, n=EXTENTS, k=EXTENTS, dtype=st.sampled_from([*HALVES, F32, F64]), left=LAID, right=LAID)
def test_a_packed_operand_gives_the_same(m, n, k, dtype, left, right):
    a, b = laid(numbers((m, k), dtype, 1), left), laid(numbers((k, n), dtype, 2), right)
    found = product(a, b, packed=packed_of(b))
    assert_close(found, a.astype(F64) @ b.astype(F64), dtype=dtype, terms=max(k, 1))


@pytest.mark.parametrize("dtype", [*HALVES, F32, F64], ids=str)
@pytest.mark.parametrize("right", LAYOUTS)
def test_bits_do_not_depend_on_when_it_is_packed(dtype, right, monkeypatch):
    a, b = numbers((500, 133), dtype, 1), laid(numbers((133, 100), dtype, 2), right)
    first = product(a, b)
    assert same_bits(first, product(a, b, packed=packed_of(b)))
    monkeypatch.setattr(matmul, "_ROWS_TO_PACK_FIRST", 1000)
    assert same_bits(first, product(a, b))


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("shape", [(5, 3), (300, 130), (17, 33), (1, 1), (0, 4), (4, 0), (200, 96)])
def test_panels_follow_each_other(shape, dtype):
    b = numbers(shape, dtype)
    panels = packed_of(b)
    columns = panels.transpose(0, 2, 1).reshape(panels.shape[0] * panels.shape[2], panels.shape[1]).T
    assert same_bits(columns[: shape[0], : shape[1]], b)
    assert not columns[: shape[0], shape[1] :].any()


def test_a_stack_is_multiplied_by_a_packed_matrix():
    a, b = numbers((3, 1, 7, 40), F32, 1), numbers((40, 1), F32, 2)
    assert_close(product(a, b, packed=packed_of(b)), a.astype(F64) @ b, terms=40)


def test_what_is_not_packed():
    assert matmul.packing(Array.contiguous(np.int64, (4, 4))) is None
    assert matmul.packing(Array.contiguous(np.float32, (2, 4, 4))) is None


def test_packing_leaves_guard_zones_alone():
    for shape in [(33, 65), (129, 64), (7, 97)]:
        b = numbers(shape, BFLOAT).T.copy().T
        plan, lies = matmul.packing(stages.described(b))
        out = Guarded(np.zeros(lies.shape, lies.dtype))
        stages.run(plan, [b, out.array])
        out.check()


# Eager and compiled


PROGRAMS = {
    "matmul": lambda x, w, b: x @ w.T,
    "linear": lambda x, w, b: tl.linear(x, w, b),
    "einsum": lambda x, w, b: tl.einsum("ij,kj->ik", x, w),
    "vector": lambda x, w, b: tl.matmul(w, x[0]),
    "block": lambda x, w, b: tl.relu(tl.linear(x, w, b)) @ w + x,
}


@pytest.mark.parametrize("dtype", [tl.bfloat16, tl.float16], ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
def test_eager_and_compiled_programs_and_their_gradients(name, dtype):
    arrays = [numbers(shape, F32, seed) / shape[-1] ** 0.5 for seed, shape in enumerate([(90, 120), (70, 120), (70,)])]
    arrays = [x.astype(dtype) for x in arrays]
    exact = [tl.tensor(x.astype(F64)) for x in arrays]
    inputs = [tl.from_numpy(x) for x in arrays]
    program = PROGRAMS[name]

    def loss(x, w, b):
        return tl.sum(program(x, w, b).to(tl.float32) ** 2)

    def exact_loss(x, w, b):
        return tl.sum(program(x, w, b) ** 2)

    expected, slopes = program(*exact).numpy(), tl.grad(exact_loss, argnums=(0, 1))(*exact)
    for run in (lambda f: f, tl.jit):
        found = run(program)(*inputs)
        assert found.dtype == dtype
        assert_close(found, expected, dtype=dtype, terms=2)
        for slope, right in zip(run(tl.grad(loss, argnums=(0, 1)))(*inputs), slopes, strict=True):
            assert slope.dtype == dtype
            assert_close_to_scale(slope, right, tolerance_of(dtype).relative)


@pytest.mark.parametrize("dtype", [tl.bfloat16, tl.float16], ids=str)
def test_compiled_products_of_16_bits_are_one_native_kernel(dtype):
    x, w, b = (tl.from_numpy(numbers(shape, F32).astype(dtype)) for shape in [(9, 40), (30, 40), (30,)])
    step = tl.jit(lambda x, w, b: tl.relu(tl.linear(x, w, b)))
    step(x, w, b)
    assert "1 kernel (1 distinct)" in str(step.explain()) and "0 Python edges" in str(step.explain())


GEOMETRY = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [6, 64])
def test_convolutions_are_those_of_float32_rounded(channels, layout, dtype):
    x, weight = numbers((2, channels, 12, 11), dtype, 1), numbers((8, channels, 3, 3), dtype, 2)
    bias, g = numbers((8,), dtype, 3), numbers((2, 8, 12, 11), dtype, 4)
    x, weight, g = (laid(array, layout) for array in (x, weight, g))
    calls = {
        "conv2d": ((x, weight, bias), GEOMETRY),
        "conv2d_data": ((g, weight), GEOMETRY | {"size": (12, 11)}),
        "conv2d_weight": ((x, g), GEOMETRY | {"kernel": (3, 3)}),
    }
    for op, (arrays, attributes) in calls.items():
        found = contract.KERNELS[op](*arrays, **attributes)
        expected = contract.KERNELS[op](*(np.ascontiguousarray(a.astype(F32)) for a in arrays), **attributes)
        assert found.dtype == dtype
        assert same_bits(found, expected.astype(dtype))


def test_an_epilogue_that_rounds_on_its_way_has_no_plan():
    x, weight = Array.contiguous(BFLOAT, (1, 3, 8, 8)), Array.contiguous(BFLOAT, (4, 3, 3, 3))
    out = Array.contiguous(BFLOAT, (1, 4, 8, 8))
    rounds = s.cast(PRODUCT, HALF)
    assert conv.plan_conv2d(x, weight, [out], epilogue=[PRODUCT], **GEOMETRY) is not None
    assert conv.plan_conv2d(x, weight, [out], epilogue=[rounds + PRODUCT], **GEOMETRY) is None


def test_an_operand_too_large_to_be_copied_is_packed_in_parts(monkeypatch):
    a, b = numbers((500, 64), F32, 1), numbers((64, 64), F32, 2)
    described = [stages.described(x) for x in (a, b)]
    result = [Array.contiguous(F32, (500, 64))]
    assert len(matmul.plan(*described, result).stages) == 2
    before = product(a, b)
    monkeypatch.setattr(matmul, "_MOST_PACKED", 1000)
    assert len(matmul.plan(*described, result).stages) == 1
    assert same_bits(before, product(a, b))
