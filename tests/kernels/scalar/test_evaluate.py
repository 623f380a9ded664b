"""The meaning of primitives: one rounding in fma, saturation, wrapping, widths."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tensorlite.kernels import scalar as s


def apply(op: str, dtype, *args: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return s.apply_primitive(op, np.dtype(dtype), *args)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_fma_rounds_once(dtype):
    generator = np.random.default_rng(3)
    a, b = (generator.standard_normal(4000).astype(dtype) for _ in range(2))
    parts = (generator.standard_normal(1000), -(a * b)[1000:2000], 1e-9 * a[2000:3000], 1e9 * a[3000:])
    c = np.concatenate(parts).astype(dtype)
    exact = [Fraction(float(p)) * Fraction(float(q)) + Fraction(float(r)) for p, q, r in zip(a, b, c)]
    got = apply("fma", dtype, a, b, c)
    for value, truth in zip(got, exact):
        below, above = np.nextafter(value, dtype(-np.inf)), np.nextafter(value, dtype(np.inf))
        error = abs(Fraction(float(value)) - truth)
        assert error <= min(abs(Fraction(float(below)) - truth), abs(Fraction(float(above)) - truth))


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_fma_of_special_values(dtype):
    big, inf, nan = np.finfo(dtype).max, np.inf, np.nan
    a = np.array([big, inf, 0, 1, nan, big, -0.0], dtype)
    b = np.array([2, 0, inf, inf, 1, 1, 1], dtype)
    c = np.array([0, 1, 1, -inf, 1, big, -0.0], dtype)
    got = apply("fma", dtype, a, b, c)
    np.testing.assert_array_equal(got, np.array([inf, nan, nan, nan, nan, inf, -0.0], dtype))
    assert np.signbit(got[-1])


def test_floats_become_integers_by_saturation():
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.9, -2.9, 127.5, -128.9], np.float32)
    assert apply("convert", np.int8, x).tolist() == [0, 127, -128, 127, -128, 2, -2, 127, -128]
    assert apply("convert", np.uint8, x).tolist() == [0, 255, 0, 255, 0, 2, 0, 127, 0]
    assert apply("convert", np.int64, x)[3] == 2**63 - 1
    assert apply("convert", np.bool_, x).tolist() == [True] * 9


def test_integers_divide_towards_zero_and_wrap():
    a, b = np.array([7, -7, 7, -7], np.int32), np.array([2, 2, -2, -2], np.int32)
    assert apply("div", np.int32, a, b).tolist() == [3, -3, -3, 3]
    assert apply("rem", np.int32, a, b).tolist() == [1, -1, 1, -1]
    assert apply("add", np.int8, np.int8([127]), np.int8([1])).tolist() == [-128]
    assert apply("shr", np.int8, np.int8([-8]), np.int8([1])).tolist() == [-4]
    assert apply("shr", np.uint8, np.uint8([248]), np.uint8([1])).tolist() == [124]


def test_variables_must_have_their_dtype():
    x = s.Typed("var", (), "float32", "x")
    with pytest.raises(TypeError, match="evaluate_typed: x is float64, not float32"):
        s.evaluate_typed(x, {"x": np.ones(2)})


def test_every_primitive_is_in_the_table():
    for op, (operands, kinds, meaning) in s.PRIMITIVES.items():
        assert 0 <= operands <= 3
        assert set(kinds) <= set("biufhw")
        assert meaning
        if op not in ("var", "const", "convert", "bitcast", "dot2"):
            dtype = np.dtype(np.float32 if "f" in kinds else np.int32 if set("iw") & set(kinds) else bool)
            args = [np.ones(2, dtype)] * operands
            args[0] = np.ones(2, bool) if op == "select" else args[0]
            assert apply(op, dtype, *args).dtype == dtype
