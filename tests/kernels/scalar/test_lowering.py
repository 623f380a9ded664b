"""Lowering: random programs mean what they mean in NumPy; integers at their edges; 16-bit floats; what has no form."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from tolerance import assert_close

from tensorlite.kernels import scalar as s

x, y, c = s.Var("x"), s.Var("y"), s.Var("c")
FLOATS = [np.dtype(d) for d in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)]
INTEGERS = [np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)]


def both(expr: s.Expr, **arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The value through primitives, and through NumPy."""
    dtypes = {name: array.dtype for name, array in arrays.items()}
    with np.errstate(all="ignore"):
        through_numpy = s.numpy_function(s.Function(tuple(arrays), expr))(np, *arrays.values())
    return np.broadcast_to(s.evaluate_typed(s.lower(expr, dtypes), arrays), through_numpy.shape), through_numpy


SMOOTH = (s.tanh, s.atan, s.sigmoid, s.erf, s.negative, s.abs, s.asinh, lambda v: s.exp(s.tanh(v)),
          lambda v: s.log1p(abs(v)), lambda v: s.sqrt(abs(v) + 0.25), lambda v: s.square(s.tanh(v)),
          lambda v: s.reciprocal(1.5 + abs(v)))  # fmt: skip
PAIRED = (s.add, s.subtract, lambda p, q: s.tanh(p) * q, s.maximum, s.minimum, s.hypot, s.logaddexp,
          lambda p, q: p / (2 + abs(q)), lambda p, q: s.where(x > y, p, q), lambda p, q: s.fma(p, 0.75, q))  # fmt: skip


def float_programs() -> st.SearchStrategy[s.Expr]:
    def grow(operands: st.SearchStrategy[s.Expr]) -> st.SearchStrategy[s.Expr]:
        one = st.builds(lambda f, v: f(v), st.sampled_from(SMOOTH), operands)
        two = st.builds(lambda f, p, q: f(p, q), st.sampled_from(PAIRED), operands, operands)
        return one | two

    leaves = st.sampled_from([x, y]) | st.floats(-2, 2, width=16).map(s.Const)
    return st.recursive(leaves, grow, max_leaves=8)


@settings(max_examples=150)
@given(float_programs(), st.sampled_from(FLOATS[2:]))
def test_programs_of_floats_mean_the_same(expr, dtype):
    generator = np.random.default_rng(0)
    arrays = {name: generator.uniform(-3, 3, 40).astype(dtype) for name in "xy"}
    lowered, through_numpy = both(expr, **arrays)
    assert lowered.dtype == through_numpy.dtype
    assert_close(lowered, through_numpy)


WHOLE = (s.add, s.subtract, s.multiply, s.floor_divide, s.remainder, s.bitwise_and, s.bitwise_or, s.bitwise_xor,
         s.left_shift, s.right_shift, s.maximum, s.minimum, lambda p, q: s.where(p < q, p, q + 1))  # fmt: skip
WHOLE_ONE = (s.negative, s.abs, s.sign, s.square, s.bitwise_invert, s.floor, s.round, lambda v: v**5, lambda v: v >> 2)


def integer_programs() -> st.SearchStrategy[s.Expr]:
    def grow(operands: st.SearchStrategy[s.Expr]) -> st.SearchStrategy[s.Expr]:
        one = st.builds(lambda f, v: f(v), st.sampled_from(WHOLE_ONE), operands)
        two = st.builds(lambda f, p, q: f(p, q), st.sampled_from(WHOLE), operands, operands)
        return one | two | st.builds(lambda f, p, k: f(p, k), st.sampled_from(WHOLE), operands, st.integers(0, 9))

    return st.recursive(st.sampled_from([x, y]), grow, max_leaves=8)


def edges(dtype: np.dtype) -> dict[str, np.ndarray]:
    limits = np.iinfo(dtype)
    values = {limits.min, limits.min + 1, limits.max, limits.max - 1, 0, 1, 2, 3, 7, 8, 31, 63, 64, 100}
    values |= {-1, -2, -7, -64} if limits.min < 0 else set()
    grid = np.array(list(itertools.product(sorted(values), repeat=2)), dtype)
    return {"x": grid[:, 0].copy(), "y": grid[:, 1].copy()}


@settings(max_examples=200)
@given(integer_programs(), st.sampled_from(INTEGERS))
def test_programs_of_integers_are_equal_at_the_edges(expr, dtype):
    lowered, through_numpy = both(expr, **edges(dtype))
    assert lowered.dtype == through_numpy.dtype == dtype
    np.testing.assert_array_equal(lowered, through_numpy)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_division_never_traps(dtype):
    """Where NumPy warns: by zero gives 0, the smallest by -1 wraps; and no primitive is given such a divisor."""
    arrays = edges(dtype)
    typed = s.lower(x // y, {"x": dtype, "y": dtype})
    (division,) = [node for node in s.postorder(typed) if node.op == "div"]
    divisor = s.evaluate_typed(division.args[1], arrays)
    assert not np.any(divisor == 0)
    if dtype.kind == "i":
        assert not np.any((arrays["x"] == np.iinfo(dtype).min) & (divisor == -1))
    for expr in (x // y, x % y):
        lowered, through_numpy = both(expr, **arrays)
        np.testing.assert_array_equal(lowered, through_numpy)


def test_bool_arithmetic_is_logic():
    a, b = np.array([False, False, True, True]), np.array([False, True, False, True])
    for atom in (s.add, s.multiply, s.maximum, s.minimum, s.bitwise_xor, s.logical_and, s.less, s.equal):
        lowered, through_numpy = both(atom(x, y), x=a, y=b)
        assert lowered.dtype == through_numpy.dtype == np.bool_
        np.testing.assert_array_equal(lowered, through_numpy)
    with pytest.raises(s.ScalarTypeError):
        s.lower(x - y, {"x": a.dtype, "y": b.dtype})


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS + [np.dtype(bool)], ids=str)
def test_comparisons_and_logic(dtype):
    values = [0, 1, 1, 0, 2, 3] if dtype.kind != "b" else [0, 1, 1, 0, 1, 1]
    specials = [np.nan, np.inf, -np.inf, -0.0, np.nan, 1] if dtype in FLOATS else values[::-1]
    a, b = np.array(values + specials).astype(dtype), np.array(specials + values).astype(dtype)
    for name in "less less_equal greater greater_equal equal not_equal logical_and logical_or logical_xor".split():
        lowered, through_numpy = both(s.ATOMS[name](x, y), x=a, y=b)
        np.testing.assert_array_equal(lowered, through_numpy, err_msg=name)
    for name in ("logical_not", "isnan", "isinf", "isfinite"):
        lowered, through_numpy = both(s.ATOMS[name](x), x=a)
        np.testing.assert_array_equal(lowered, through_numpy, err_msg=name)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_exact_atoms_are_exact_on_special_values(dtype):
    tiny = ml_dtypes.finfo(dtype).smallest_subnormal
    values = np.array([0.0, -0.0, 1, -1, 0.5, -2.5, 3.5, tiny, -tiny, np.inf, -np.inf, np.nan, 100], np.float64)
    values = values.astype(dtype)
    a, b = (part.ravel() for part in np.meshgrid(values, values))
    for name in ("maximum", "minimum", "copysign", "add", "multiply", "divide"):
        lowered, through_numpy = both(s.ATOMS[name](x, y), x=a, y=b)
        assert_same_floats(lowered, through_numpy, name, signs=not name.endswith("imum"))
    apart = a != b  # of equal zeros NumPy gives the first in float16, and the second elsewhere
    assert_same_floats(*both(s.nextafter(x, y), x=a[apart], y=b[apart]), "nextafter")
    for name in "floor ceil trunc round sign abs negative sqrt square signbit imag angle".split():
        lowered, through_numpy = both(s.ATOMS[name](x), x=values)
        assert_same_floats(lowered, through_numpy, name, signs=name != "sign")


def assert_same_floats(actual: np.ndarray, expected: np.ndarray, name: str, signs: bool = True) -> None:
    """Equal, and where ``signs`` of the same sign, which NumPy leaves open for some zeros."""
    assert actual.dtype == expected.dtype, name
    wide = [part.astype(np.float64) for part in (actual, expected)]
    np.testing.assert_array_equal(*wide, err_msg=name)
    numbers = ~np.isnan(wide[1]) & (signs | (wide[1] != 0))
    np.testing.assert_array_equal(*(np.signbit(part[numbers]) for part in wide), err_msg=f"sign of {name}")


@pytest.mark.parametrize("dtype", FLOATS[:2], ids=str)
def test_sixteen_bits_round_once_to_nearest_even(dtype):
    every = np.arange(2**16, dtype=np.uint16).view(dtype)
    with np.errstate(all="ignore"):
        once = (every.astype(np.float32) * 1.5 + 0.25).astype(dtype)
        large = every.astype(np.float32) ** 2
        kept = np.where(every > 0, large / (large + 3), every).astype(dtype)  # the square is beyond float16
    for found in both(x * 1.5 + 0.25, x=every):
        assert_same_floats(found, once, "rounded")
    for found in both(s.where(x > 0, x * x / (x * x + 3), x), x=every):
        assert_same_floats(found, kept, "rounded")
    for name in ("tanh", "exp", "log"):
        lowered, through_numpy = both(s.ATOMS[name](x), x=every)
        assert_close(lowered, through_numpy)


@pytest.mark.parametrize("dtype", FLOATS[:2], ids=str)
@pytest.mark.parametrize("source", [np.float32, np.float64, np.int32, np.bool_], ids=lambda d: d.__name__)
def test_casts_to_sixteen_bits_are_correctly_rounded(dtype, source):
    """The middle between two neighbours, and a little to either side, which a second rounding would lose."""
    low = np.arange(2**14, 2**14 + 2000, dtype=np.uint16).view(dtype).astype(np.float64)
    middle = (low[1:] + low[:-1]) / 2
    values = np.concatenate([middle, middle * (1 + 2.0**-50), middle * (1 - 2.0**-50), [0.0, 1, -7]]).astype(source)
    got = s.evaluate_typed(s.lower(s.cast(x, dtype), {"x": values.dtype}), {"x": values})
    assert got.dtype == dtype
    wide = values.astype(np.float64)
    nearest = np.abs(got.astype(np.float64) - wide)
    for towards in (-np.inf, np.inf):
        neighbour = np.nextafter(got, dtype.type(towards)).astype(np.float64)
        assert np.all(nearest <= np.abs(neighbour - wide))


def test_what_sixteen_bits_cannot_hold_is_infinite():
    values = np.array([65519.99, 65520, -1e300, np.inf, np.nan, 1e-8])
    got = s.evaluate_typed(s.lower(s.cast(x, np.float16), {"x": values.dtype}), {"x": values})
    np.testing.assert_array_equal(got, np.float16([65504, np.inf, -np.inf, np.inf, np.nan, 0]))


@pytest.mark.parametrize("target", [*FLOATS, *INTEGERS, np.dtype(bool)], ids=str)
@pytest.mark.parametrize("source", [*FLOATS, *INTEGERS, np.dtype(bool)], ids=str)
def test_casts_agree_with_numpy_in_range(source, target):
    values = np.array([0, 1, 2, 3, 7, 100]).astype(source)
    lowered, through_numpy = both(s.cast(x, target), x=values)
    assert lowered.dtype == target
    np.testing.assert_array_equal(lowered, through_numpy)


def test_bits_are_read_and_written():
    values = np.float32([1.0, -0.0, np.inf, 3.5])
    lowered, through_numpy = both(s.bitcast(s.bitcast(x, np.int32) ^ np.iinfo(np.int32).min, np.float32), x=values)
    np.testing.assert_array_equal(lowered, -values)
    np.testing.assert_array_equal(lowered, through_numpy)
    with pytest.raises(s.NoLowering, match="bitcast of float32 to int64, of another width"):
        s.lower(s.bitcast(x, np.int64), {"x": values.dtype})


def test_shared_subexpressions_stay_shared():
    body = x
    for _ in range(40):
        body = s.tanh(body) * body
    assert len(s.postorder(s.lower(body, {"x": np.dtype(np.float32)}))) < 40 * 60


@pytest.mark.parametrize(
    ("expr", "dtype", "message"),
    [
        (x * 2, np.complex64, "x is complex64"),
        (s.cast(x, np.complex64) * 2, np.float32, "complex"),
        (x**y, np.int32, "pow of int32"),
    ],
    ids=str,
)
def test_what_has_no_native_form_says_so(expr, dtype, message):
    with pytest.raises(s.NoLowering, match=message):
        s.lower(expr, dict.fromkeys("xy", np.dtype(dtype)))


@pytest.mark.parametrize(("value", "source", "target"), [
    (0.1, np.float16, np.float64), (0.1, np.float32, np.float64), (-1, np.uint8, np.int64), (300, np.uint8, np.int32),
    (300, np.int8, np.float32)], ids=repr)
def test_constants_that_are_cast_never_take_the_dtype_of_the_variables(value, source, target):
    for found in both(s.cast(x, target) + s.cast(s.Const(value), target), x=np.ones(2, source)):
        np.testing.assert_array_equal(found, np.full(2, np.dtype(target).type(1) + np.dtype(target).type(value)))


def test_constants_out_of_bounds_are_refused():
    with pytest.raises(OverflowError):
        s.lower(x + 300, {"x": np.dtype(np.int8)})


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_small_powers_are_products(dtype):
    values = np.array([0.0, -0.0, 1.5, -2.0, 3.0, np.inf, -np.inf, np.nan]).astype(dtype)
    for exponent in (2, 3, 4, -1, -2, 1, 0):
        lowered, through_numpy = both(x**exponent, x=values)
        assert_close(lowered, through_numpy)
    assert s.lower(x**0.5, {"x": dtype}) is s.lower(s.sqrt(x), {"x": dtype})
