"""Every approximation keeps to the error it states, over all numbers: float32 by its bits, float64 against mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import special_references

from tensorlite.kernels import scalar as s
from tensorlite.kernels.scalar.approx_exp import exp_from_top

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0]

_REFERENCES: dict[str, Callable[..., np.ndarray]] = {
    "erf": np.vectorize(math.erf, otypes=[float]),
    "erfc": np.vectorize(math.erfc, otypes=[float]),
    "sigmoid": lambda x: np.where(x < 0, np.exp(x), 1.0) / (1 + np.exp(-abs(x))),
    # their float64 forms, which mpmath judges below
    **{name: (lambda x, name=name: evaluate(name, x)) for name in (
        "erfinv", "lgamma", "digamma", *special_references.FUNCTIONS)},
}


def stated(dtype: np.dtype) -> list[tuple[str, float]]:
    return sorted((name, d.ulp) for (name, key), d in s.definitions().items() if key == dtype and d.ulp > 0)


def within_domain(name: str, dtype: np.dtype, *arrays: np.ndarray) -> list[np.ndarray]:
    """The numbers of which the definition states an error."""
    low, high = s.definitions()[name, dtype].domain
    kept = [np.isnan(a) | (a >= low) & (a <= high) & ~((a == low) & np.signbit(a)) for a in arrays]
    return [a[np.logical_and.reduce(kept)] for a in arrays]


def reference(name: str) -> Callable[..., np.ndarray]:
    return _REFERENCES.get(name) or getattr(np, s.ATOMS[name].numpy or name)


def evaluate(name: str, *arrays: np.ndarray) -> np.ndarray:
    names = "ab"[: len(arrays)]
    typed = s.lower(s.ATOMS[name](*map(s.Var, names)), dict.fromkeys(names, arrays[0].dtype))
    return s.evaluate_typed(typed, dict(zip(names, arrays)))


def every_pattern(step: int = 30011) -> np.ndarray:
    """Float32 numbers spread evenly over all bit patterns, subnormals, infinities and NaN too, and special ones."""
    bits = np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)
    edges = np.array([0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x00000001, 0x80000001, 0xFF7FFFFF], np.uint32).view(
        np.float32
    )
    near = np.linspace(-4, 4, 20001, dtype=np.float32)
    wide = np.linspace(-130, 130, 20001, dtype=np.float32)
    return np.concatenate([bits, edges, near, wide, np.float32(SPECIAL)])


def errors(got: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The error in units of the last place of the true value; infinite where a NaN, infinity or zero's sign differs.

    Next to overflow the largest number and infinity are one unit apart.
    """
    with np.errstate(all="ignore"):
        rounded = truth.astype(got.dtype)
        unit = np.spacing(np.minimum(np.abs(rounded), np.finfo(got.dtype).max)).astype(truth.dtype)
        error = np.abs(got.astype(truth.dtype) - truth) / unit
        overflows = np.abs(truth) > np.finfo(got.dtype).max * (1 - 1e-6)
        error = np.where(np.isinf(got) != np.isinf(rounded), np.where(overflows, 1.0, np.inf), error)
        same = (got == rounded) & (np.isinf(got) | (np.signbit(got) == np.signbit(rounded)))
        error = np.where((got == 0) & (rounded == 0) & (truth == 0) & ~same, np.inf, error)
        both_nan = np.isnan(got) & np.isnan(rounded)
        error = np.where(both_nan | (same & np.isinf(rounded)), 0.0, error)
    return np.where(np.isnan(error), np.inf, error)


def assert_within(name: str, ulp: float, got: np.ndarray, truth: np.ndarray, *arrays: np.ndarray) -> None:
    error = errors(got, truth)
    worst = int(np.argmax(error))
    at = ", ".join(repr(float(array[worst])) for array in arrays)
    assert error[worst] <= ulp, f"{name}({at}) = {got[worst]!r}, {truth[worst]!r} expected: {error[worst]:.3f} ulp"


@pytest.mark.parametrize(("name", "ulp"), [n for n in stated(SINGLE) if s.ATOMS[n[0]].arity == 1])
def test_float32_over_all_bit_patterns(name, ulp):
    (x,) = within_domain(name, SINGLE, every_pattern())
    with np.errstate(all="ignore"):
        truth = reference(name)(x.astype(np.float64))
    assert_within(name, ulp, evaluate(name, x), truth, x)


@pytest.mark.parametrize(("name", "ulp"), [n for n in stated(SINGLE) if s.ATOMS[n[0]].arity == 2])
def test_float32_pairs(name, ulp):
    generator = np.random.default_rng(1)
    a, b = (part.ravel() for part in np.meshgrid(np.float32(SPECIAL), np.float32(SPECIAL)))
    bits = generator.integers(0, 2**32, (2, 40000), dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = generator.uniform(-4, 4, (2, 40000)).astype(np.float32)
    powers = generator.uniform(0, 3, 40000).astype(np.float32), generator.uniform(-90, 90, 40000).astype(np.float32)
    whole = near[0], np.rint(powers[1] / 8)
    x, y = (np.concatenate(parts) for parts in zip((a, b), bits, near, powers, whole))
    with np.errstate(all="ignore"):
        truth = reference(name)(x.astype(np.float64), y.astype(np.float64))
    assert_within(name, ulp, evaluate(name, x, y), truth, x, y)


def doubles(name: str) -> list[np.ndarray]:
    """Numbers where the function is hard: its smooth domain, near 0 and 1, wide, all exponents."""
    generator = np.random.default_rng(2)

    def one(interval: tuple[float, float]) -> np.ndarray:
        smooth = generator.uniform(*interval, 400)
        tiny = np.ldexp(generator.uniform(0.5, 1, 300), generator.integers(-60, 3, 300)) * generator.choice(
            [-1, 1], 300
        )
        wide, unit = generator.uniform(-30, 30, 300), generator.uniform(-1, 1, 300)
        every = generator.integers(0, 2**64, 300, dtype=np.uint64).view(np.float64)
        return np.concatenate([smooth, tiny, wide, unit, 1 + tiny[:200] / 8, every[np.isfinite(every)][:250]])

    arrays = [one(interval) for interval in s.ATOMS[name].domain]
    if name == "pow":
        near = 1 + generator.uniform(-1, 1, 300) * 1e-5, generator.uniform(-1e7, 1e7, 300)
        arrays = [np.concatenate(parts) for parts in zip((np.abs(arrays[0]), arrays[1]), near)]
    if name in ("sin", "cos", "tan"):  # next to multiples of pi/2; the first number is the nearest of all to one
        multiples = np.rint(np.exp(generator.uniform(0, 25, 300))) * (np.pi / 2)
        arrays = [np.concatenate([[6381956970095103 * 2.0**797], multiples, arrays[0]])]
    return arrays


def exact(mpmath, name: str) -> Callable:
    mp = mpmath.mp
    return {
        "exp2": lambda x: mp.mpf(2) ** x,
        "pow": mp.power,
        "log2": lambda x: mp.log(x, 2),
        "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
        "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
        "erf": lambda x: mp.sign(x) if abs(x) > 40 else mp.erf(x),
        "erfc": lambda x: 1 - mp.sign(x) if abs(x) > 40 else mp.erfc(x),
        "lgamma": lambda x: mp.re(mp.loggamma(x)),
        **special_references.FUNCTIONS,
    }.get(name) or getattr(mp, name)


def to_double(value) -> float:
    """The real number in float64 (mpmath keeps no subnormals back); NaN for a complex one."""
    return math.nan if getattr(value, "imag", 0) != 0 else float(value)


@pytest.mark.parametrize(("name", "ulp"), stated(DOUBLE))
def test_float64_against_mpmath(name, ulp):
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the reference of float64")
    function = exact(mpmath, name)
    arrays = within_domain(name, DOUBLE, *doubles(name))
    got = evaluate(name, *arrays)
    with mpmath.workdps(50):
        for i, value in enumerate(got):
            point = [mpmath.mpf(float(array[i])) for array in arrays]
            assert_near(name, ulp, float(value), point, function)


def assert_near(name: str, ulp: float, value: float, point: list, function: Callable) -> None:
    outside = (name.startswith("log") and point[0] <= (-1 if name == "log1p" else 0)) or (
        name in ("asin", "acos", "atanh", "erfinv") and abs(point[0]) > 1 or name == "acosh" and point[0] < 1
    )
    if outside:
        assert not math.isfinite(value), f"{name}({point}) = {value!r}"
        return
    truth = function(*point)
    largest = float(np.finfo(np.float64).max)
    if abs(truth) > largest:
        assert abs(value) >= largest, f"{name}({point}) = {value!r}, overflow expected"
        return
    unit = float(np.spacing(abs(float(truth))))
    error = float(abs(value - truth) / unit) if math.isfinite(value) else math.inf
    assert error <= ulp, f"{name}({point}) = {value!r}, {float(truth)!r} expected: {error:.3f} ulp"


@pytest.mark.parametrize(("name", "ulp"), stated(DOUBLE))
def test_float64_special_values(name, ulp):
    values = np.array([*SPECIAL, 5e-324, -5e-324, 1e308, -1e308])
    arrays = [part.ravel() for part in np.meshgrid(values, values)] if s.ATOMS[name].arity == 2 else [values]
    arrays = within_domain(name, DOUBLE, *arrays)
    with np.errstate(all="ignore"):
        truth = reference(name)(*arrays)
    assert_within(name, ulp + 1, evaluate(name, *arrays), truth, *arrays)


POLES = [0.0, -0.0, -1.0, -2.0, -1e300, math.inf, -math.inf, math.nan]
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
@pytest.mark.parametrize(("function", "expected"), [
    (s.lgamma, [INF, INF, INF, INF, INF, INF, INF, NAN]),
    (s.digamma, [-INF, INF, NAN, NAN, NAN, INF, NAN, NAN]),
    (lambda x: s.polygamma(x, 1), [INF, INF, INF, INF, INF, 0, NAN, NAN]),
    (lambda x: s.polygamma(x, 2), [-INF, -INF, -INF, -INF, -INF, 0, NAN, NAN]),
], ids=["lgamma", "digamma", "trigamma", "tetragamma"])
def test_the_gamma_functions_at_their_poles_and_ends(function, expected, dtype):
    with np.errstate(all="ignore"):
        x = np.maximum(POLES, -np.finfo(dtype).max / 2).astype(dtype)
        x[POLES.index(-math.inf)] = -math.inf
        got = s.evaluate_typed(s.lower(function(s.Var("a")), {"a": dtype}), {"a": x})
    np.testing.assert_array_equal(got, expected)


def below_zero() -> np.ndarray:
    generator = np.random.default_rng(6)
    x = -np.concatenate([generator.uniform(0, 6, 300), generator.uniform(0, 100, 100),
                         np.exp(generator.uniform(-30, 0, 100))])
    return x[x != np.rint(x)]


def test_the_gamma_functions_below_zero():
    """Good to the units of their parts, as the file says."""
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the reference of float64")
    x = below_zero()
    with mpmath.workdps(40):
        points = [mpmath.mpf(float(number)) for number in x]
        cases = [("lgamma", s.lgamma, 4, lambda p: mpmath.re(mpmath.loggamma(p)),
                  lambda p: max(1, abs(mpmath.loggamma(-p)))),
                 ("digamma", s.digamma, 6, mpmath.digamma, lambda p: max(1, abs(mpmath.digamma(1 - p))))]
        for order in (1, 2, 3, 6):
            cases.append((f"polygamma {order}", lambda v, order=order: s.polygamma(v, order), 2 * (4 + order),
                          lambda p, order=order: mpmath.psi(order, p),
                          lambda p, order=order: max(abs(mpmath.psi(order, mpmath.mpf(0.25))),
                                                     abs(mpmath.psi(order, 1 - p)))))
        for name, function, units, truth, part in cases:
            got = s.evaluate_typed(s.lower(function(s.Var("a")), {"a": DOUBLE}), {"a": x})
            for point, value in zip(points, got):
                true = truth(point)
                unit = float(np.spacing(float(max(abs(true), part(point)))))
                assert abs(float(value - true)) <= units * unit, f"{name}({point}) = {value!r}, not {float(true)!r}"


def test_a_member_of_a_family_is_found_by_its_name():
    for expression in (s.polygamma(s.Var("x"), 2), s.differentiate(s.digamma(s.Var("x")), "x")):
        assert s.parse(s.text(expression)) is expression
    assert s.differentiate(s.polygamma(s.Var("x"), 2), "x") is s.polygamma(s.Var("x"), 3)


@pytest.mark.parametrize("order", [1, 2, 3, 5, 10, 40, 100])
def test_polygamma_against_mpmath(order):
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the reference of float64")
    x = np.abs(doubles("digamma")[0][::4])
    got = s.evaluate_typed(s.lower(s.polygamma(s.Var("a"), order), {"a": DOUBLE}), {"a": x})
    with mpmath.workdps(50):
        for number, value in zip(x, got):
            truth = mpmath.psi(order, mpmath.mpf(float(number)))
            if 1e-290 < abs(truth) < 1e308:
                unit = float(np.spacing(abs(float(truth))))
                assert abs(float(value - truth)) <= (4 + order) * unit, (number, value, float(truth))
            else:
                assert abs(value) < 1e-289 or abs(value) > 1e307, (number, value, float(truth))


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
def test_logaddexp_is_good_to_the_larger_of_its_parts(dtype):
    """Where x, y < 0 the result may be near 0, and no relative error is promised."""
    generator = np.random.default_rng(5)
    spread = (
        generator.uniform(-30, 30, (2, 20000)),
        generator.uniform(-1, 1, (2, 20000)),
        generator.uniform(0, 9, (2, 999)),
    )
    x, y = np.concatenate(spread, axis=1).astype(dtype)
    truth = np.logaddexp(x.astype(np.longdouble), y.astype(np.longdouble))
    unit = np.spacing(np.maximum(np.maximum(np.abs(x), np.abs(y)), 1))
    assert np.max(np.abs(evaluate("logaddexp", x, y) - truth) / unit) < 2
    softplus = np.logaddexp(x.astype(np.longdouble), 0)
    assert_within("softplus", 3.0, evaluate("logaddexp", x, np.zeros_like(x)), softplus, x)


def test_division_of_floats_is_exact():
    """The rest of float32 numbers of any size, against integers of any size."""
    generator = np.random.default_rng(4)
    bits = generator.integers(0, 2**32, (2, 3000), dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = generator.uniform(-20, 20, (2, 3000)).astype(np.float32)
    x, y = (np.concatenate(parts) for parts in zip(bits, near))
    finite = np.isfinite(x) & np.isfinite(y) & (y != 0)
    x, y = x[finite], y[finite]
    rest, quotient = evaluate("remainder", x, y), evaluate("floor_divide", x, y)
    for a, b, r, q in zip(x, y, rest, quotient):
        above, below = float(a).as_integer_ratio(), float(b).as_integer_ratio()
        numerator, denominator = above[0] * below[1], below[0] * above[1]
        scale = above[1] * below[1]
        assert r == np.float32(numerator % denominator / scale), (a, b)
        if abs(numerator // denominator) < 2**53:
            assert q == np.float32(numerator // denominator), (a, b)


def test_division_of_doubles_is_that_of_numpy():
    """Numbers of any size, of all exponents, of like ones, whole ones, by the least of all: bit by bit."""
    generator = np.random.default_rng(4)
    bits = generator.integers(0, 2**64, (2, 20000), dtype=np.uint64).view(np.float64)
    near, whole = generator.uniform(-20, 20, (2, 20000)), np.rint(generator.uniform(-900, 900, (2, 20000)))
    tiny = np.stack([bits[0], np.full(20000, 5e-324)])
    x, y = np.concatenate([bits, near, whole, tiny], axis=1)
    for name in ("remainder", "floor_divide"):
        with np.errstate(all="ignore"):
            got, truth = evaluate(name, x, y), getattr(np, name)(x, y)
        np.testing.assert_array_equal(got, truth, err_msg=name)
        np.testing.assert_array_equal(np.signbit(got[got == 0]), np.signbit(truth[got == 0]), err_msg=name)


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
def test_division_of_floats_at_the_ends_is_that_of_numpy(dtype):
    values = np.array([0.0, -0.0, 1, -1, 3.5, -3.5, 1e-45, 3e38, np.inf, -np.inf, np.nan], dtype)
    x, y = (part.ravel() for part in np.meshgrid(values, values))
    for name in ("remainder", "floor_divide"):
        with np.errstate(all="ignore"):
            truth = getattr(np, name)(x, y)
        np.testing.assert_array_equal(evaluate(name, x, y), truth, err_msg=name)


def test_values_stay_in_their_range():
    x = every_pattern()
    with np.errstate(all="ignore"):
        for name, low, high in [("tanh", -1, 1), ("erf", -1, 1), ("sigmoid", 0, 1), ("sin", -1, 1), ("cos", -1, 1)]:
            value = evaluate(name, x)
            assert np.all(np.isnan(value) | ((value >= low) & (value <= high))), name


def test_every_atom_of_floats_has_a_native_form():
    for atom in s.ATOMS.values():
        names = "abc"[: atom.arity]
        call = s.Call(atom, tuple(map(s.Var, names)))
        for dtype in (SINGLE, DOUBLE):
            types = dict.fromkeys(names, dtype) | ({"a": np.dtype(bool)} if atom.name == "where" else {})
            if atom.accepts not in ("integer", "whole"):
                assert s.lower(call, types).dtype == s.infer(call, types)


@pytest.mark.parametrize(("dtype", "smallest", "ulp"), [(SINGLE, -86.0, 1.3), (DOUBLE, -707.0, 1.4)])
def test_exp_from_the_top(dtype, smallest, ulp):
    """The exponential of weights: as exact as exp up to 1, zero far below, and a NaN is not lost."""
    typed = s.lower(exp_from_top(s.Var("a"), dtype), {"a": dtype})
    x = np.concatenate([np.linspace(smallest, 1, 200001), np.linspace(-1, 1, 20001)]).astype(dtype)
    truth = np.exp(x.astype(np.longdouble))
    with np.errstate(all="ignore"):
        assert_within("exp_from_top", ulp, s.evaluate_typed(typed, {"a": x}), truth, x)
        few = np.array([0, -np.inf, 1.01 * smallest, np.finfo(dtype).min, np.nan], dtype)
        special = s.evaluate_typed(typed, {"a": few})
    assert np.array_equal(special, np.array([1, 0, 0, 0, np.nan], dtype), equal_nan=True)
