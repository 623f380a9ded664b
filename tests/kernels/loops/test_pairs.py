"""Products of pairs of bfloat16, and reading several elements as one number: natively and by their definitions."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from guarded import compile_kernel, run_native, same_bits

from tensorlite.kernels import interp, llvm, loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import host
from tensorlite.kernels.loop_text import text
from tensorlite.kernels.loops import Buffer, Load, Parameter, Store
from tensorlite.kernels.verify import MalformedKernel, verify

BFLOAT, F32, PAIR = np.dtype(ml_dtypes.bfloat16), np.dtype(np.float32), np.dtype(np.uint32)
OPERANDS = tuple(s.Typed("var", (), dtype, name) for dtype, name in ((F32, "a"), (PAIR, "b"), (PAIR, "c")))
DOT2 = s.Typed("dot2", OPERANDS, F32)
TARGETS = [None, llvm.Target("software", converts_half=host.is_x86())]


def kernel(lanes: int) -> loops.Kernel:
    buffers = (Buffer("in_a", F32), Buffer("in_b", BFLOAT), Buffer("in_c", BFLOAT), Buffer("out", F32, writable=True))
    i = s.Var("i")
    read = [Load("a", "in_a", i), Load("b", "in_b", i * 2, PAIR), Load("c", "in_c", i * 2, PAIR)]
    each = loops.vector("i", s.Var("n"), lanes, *read, Store("out", i, DOT2))
    return loops.build("pairs", (*buffers, Parameter("n")), (loops.parallel("once", 1, each),))


def compute(how, a, b, c, lanes=16):
    out = np.zeros(len(a), F32)
    arguments = {"in_a": a, "in_b": b, "in_c": c, "out": out, "n": len(a)}
    if how == "interpreted":
        interp.run(verify(kernel(lanes)), arguments)
    else:
        run_native(kernel(lanes), arguments, address=compile_kernel(kernel(lanes), how))
    return out


def drawn(n, seed=0):
    random = np.random.default_rng(seed)
    a = (random.normal(0, 1, n) * 2.0 ** random.integers(-20, 20, n)).astype(F32)
    b, c = ((random.normal(0, 1, 2 * n) * 2.0 ** random.integers(-10, 10, 2 * n)).astype(BFLOAT) for _ in range(2))
    return a, b, c


@pytest.mark.parametrize("target", TARGETS, ids=["host", "software"])
@pytest.mark.parametrize("lanes", [2, 4, 8, 16, 32, 64])
def test_natively_as_interpreted(lanes, target):
    for n in (1, 2, 15, 64, 301):
        a, b, c = drawn(n)
        assert same_bits(compute(target, a, b, c, lanes), compute("interpreted", a, b, c, lanes))


def test_the_upper_product_is_added_first_and_each_is_rounded_once():
    a, b, c = drawn(1000)
    low, high = (x.astype(np.float64).reshape(-1, 2).T for x in (b, c))
    first = (a + low[1] * high[1]).astype(F32)  # in float64, the products of bfloat16s are exact and the sums nearly so
    expected = (first + low[0] * high[0]).astype(F32)
    assert np.mean(compute("interpreted", a, b, c) == expected) > 0.999


@pytest.mark.parametrize("target", TARGETS, ids=["host", "software"])
def test_no_nan_and_no_infinity_is_lost(target):
    odd = np.array([0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan, 3e38], np.float64)
    every = np.stack(np.meshgrid(odd, odd, odd, odd, odd, indexing="ij"), -1).reshape(-1, 5)
    a, b, c = every[:, 0].astype(F32), every[:, 1:3].astype(BFLOAT).ravel(), every[:, 3:].astype(BFLOAT).ravel()
    assert same_bits(compute(target, a, b, c), compute("interpreted", a, b, c))


@pytest.mark.skipif("avx512bf16" not in host.features(), reason="the instruction is not there")
def test_the_machine_takes_subnormal_numbers_for_zero():
    tiny = [2.0**-130, -(2.0**-127), 2.0**-126, 2.0**-60, 2.0**-70, 0.0, 1.0]
    every = np.stack(np.meshgrid(*[np.array(tiny)] * 5, indexing="ij"), -1).reshape(-1, 5)
    a, b, c = every[:, 0].astype(F32), every[:, 1:3].astype(BFLOAT).ravel(), every[:, 3:].astype(BFLOAT).ravel()
    assert same_bits(compute(None, a, b, c), compute("interpreted", a, b, c))
    assert compute(None, np.float32([2.0**-130]), b[:2] * 0, c[:2] * 0) == 0


# Elements read as another number


def gathering(step, dtype=PAIR, lanes=8) -> loops.Kernel:
    buffers = (Buffer("x", np.dtype(np.uint16)), Buffer("out", dtype, writable=True), Parameter("n"))
    i = s.Var("i")
    each = loops.vector("i", s.Var("n"), lanes, Load("v", "x", i * step + 1, dtype), Store("out", i, s.Var("v")))
    return loops.build("gather", buffers, (loops.parallel("once", 1, each),))


@pytest.mark.parametrize("target", [None, llvm.Target("plain")], ids=["host", "plain"])
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 7])
def test_elements_make_up_a_number_wherever_it_begins(step, dtype, target):
    x = np.random.default_rng(0).integers(0, 1 << 16, 400).astype(np.uint16)
    for n in (1, 7, 8, 50):
        places = 1 + step * np.arange(n)[:, None] + np.arange(np.dtype(dtype).itemsize // 2)
        expected = x[places].view(dtype)[:, 0]
        for run in (interp.run, run_native):
            out, built = np.zeros(n, dtype), verify(gathering(step, np.dtype(dtype)))
            more = {"address": compile_kernel(built, target)} if run is run_native else {}
            run(built, {"x": x, "out": out, "n": n}, **more)
            assert np.array_equal(out, expected)


def test_a_number_beyond_the_end_is_out_of_bounds():
    with pytest.raises(interp.KernelFault, match=r"(?s)x\[.*\] is out of bounds: 0 to 8"):
        interp.run(gathering(2), {"x": np.zeros(9, np.uint16), "out": np.zeros(5, PAIR), "n": 5})


def test_elements_must_fill_the_number():
    with pytest.raises(MalformedKernel, match="v: elements of uint16 do not fill one of uint8"):
        verify(gathering(1, np.dtype(np.uint8)))


def test_the_text_says_so():
    assert "load v = x[((i * 2) + 1)] as uint32" in text(gathering(2))
