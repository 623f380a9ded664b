"""Dtypes: constants are weak, comparisons are bool, parts of complex numbers are real, and mixtures are refused."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tensorlite.kernels import scalar as s

x, y = s.Var("x"), s.Var("y")
FLOATS = [np.dtype(d) for d in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)]
INTEGERS = [np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)]
COMPLEX = [np.dtype(np.complex64), np.dtype(np.complex128)]


@pytest.mark.parametrize("dtype", FLOATS + COMPLEX, ids=str)
def test_constants_take_the_dtype_of_their_siblings(dtype):
    for expr in (x * 2, 1 / x, s.exp(x) + 0.5, s.where(s.equal(x, 0), 1.0, x), s.where(s.equal(x, 0), 1.0, 0.0)):
        assert s.infer(expr, {"x": dtype}) == dtype


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_stay_integers(dtype):
    for expr in (x + 1, x // 3, x % 2, abs(x), s.sign(x), s.floor(x), x << 1, ~x, s.maximum(x, 0)):
        assert s.infer(expr, {"x": dtype}) == dtype
    for function in (s.exp, s.sqrt, lambda v: v / 2, lambda v: v * 1.5):
        with pytest.raises(s.ScalarTypeError):
            s.infer(function(x), {"x": dtype})


def test_comparisons_and_predicates_are_bool():
    for dtype in (*FLOATS, *INTEGERS, np.dtype(bool)):
        for expr in (x < y, s.equal(x, y), s.logical_not(x), s.isnan(x)):
            assert s.infer(expr, {"x": dtype, "y": dtype}) == np.bool_


def test_parts_of_complex_numbers_are_real():
    for dtype, real in zip(COMPLEX, FLOATS[2:]):
        for atom in (s.abs, s.real, s.imag, s.angle):
            assert s.infer(atom(x), {"x": dtype}) == real
        assert s.infer(s.conj(x), {"x": dtype}) == dtype


def test_constants_alone_take_the_dtype_of_the_variables():
    assert s.infer(s.Const(1), {"x": np.dtype(np.float16)}) == np.float16
    assert s.infer(s.Const(1.5), {"x": np.dtype(np.int8)}) == np.float64
    assert s.infer(s.Const(True), {"x": np.dtype(np.float32)}) == np.bool_
    assert s.infer(s.Const(1), {}) == np.int64


def test_a_bool_joins_numbers():
    assert s.infer((x > 0) * x, {"x": np.dtype(np.float32)}) == np.float32


def test_refusals_say_what_was_met():
    wide = {"x": np.dtype(np.float32), "y": np.dtype(np.float64)}
    with pytest.raises(s.ScalarTypeError, match="add: operands of different dtypes: float32, float64"):
        s.infer(x + y, wide)
    with pytest.raises(s.ScalarTypeError, match="where: the condition must be bool, not float32"):
        s.infer(s.where(x, y, 2 * y), wide)
    with pytest.raises(s.ScalarTypeError, match="multiply: a bool and a Python float: cast the bool, or use where"):
        s.infer((x > 0) * 2.0, wide)
    with pytest.raises(s.ScalarTypeError, match="exp: takes floating operands, not int32"):
        s.infer(s.exp(x), {"x": np.dtype(np.int32)})
    with pytest.raises(s.ScalarTypeError, match="maximum: takes any real operands, not complex64"):
        s.infer(s.maximum(x, x * 1j), {"x": np.dtype(np.complex64)})
