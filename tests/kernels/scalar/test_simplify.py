"""Simplification changes the expression, never a value: signed zeros, infinities and integers that wrap included."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tensorlite.kernels import scalar as s
from tensorlite.kernels.scalar.expr import IDENTITIES

x, y, c = s.Var("x"), s.Var("y"), s.Var("c")
VALUES = {
    np.dtype(np.float32): [0.0, -0.0, 1.0, -1.5, 2.0**-149, 3e38, np.inf, -np.inf, np.nan, 0.5, -7.0],
    np.dtype(np.float64): [0.0, -0.0, 1.0, -1.5, 5e-324, 1e308, np.inf, -np.inf, np.nan, 0.5, -7.0],
    np.dtype(np.int8): [0, 1, -1, 2, 127, -128, -7, 100],
    np.dtype(np.uint16): [0, 1, 2, 65535, 32768, 77, 3, 9],
    np.dtype(bool): [False, True],
}


def operands() -> list[s.Expr]:
    return [x, y, s.Call(s.negative, (x,)), s.Call(s.abs, (y,)), *map(s.Const, (0, 1, -1, 2, 3, 0.0, -0.0, 1.0, 4.0))]


def conditions() -> list[s.Expr]:
    return [c, s.Call(s.logical_not, (c,)), s.Const(True), s.Const(False)]


def programs(name: str) -> list[s.Expr]:
    atom = s.ATOMS[name]
    if name == "where":
        return [s.Call(atom, (p, *q)) for p in conditions() for q in itertools.product(operands()[:6], repeat=2)]
    if atom.arity == 1:
        return [s.Call(atom, (s.Call(inner, (x,)),)) for inner in s.ATOMS.values() if inner.arity == 1]
    return [s.Call(atom, pair) for pair in itertools.product(operands(), repeat=2)]


def run(expr: s.Expr, arrays: dict[str, np.ndarray]) -> np.ndarray:
    names = s.free_variables(expr)
    with np.errstate(all="ignore"):
        return s.numpy_function(s.Function(names, expr))(np, *(arrays[name] for name in names))


@pytest.mark.parametrize("name", sorted(IDENTITIES))
def test_values_stay_the_same_bit_by_bit(name):
    met = 0
    for dtype, values in VALUES.items():
        grid = np.array(list(itertools.product(values, values)), dtype)
        arrays = {"x": grid[:, 0].copy(), "y": grid[:, 1].copy(), "c": np.arange(len(grid)) % 2 == 0}
        types = {"x": dtype, "y": dtype, "c": np.dtype(bool)}
        for raw in programs(name):
            simplified = s.simplify(raw)
            try:
                known = s.free_variables(simplified) and s.infer(raw, types) == s.infer(simplified, types)
                expected = run(raw, arrays)
            except (s.ScalarTypeError, OverflowError, TypeError, ValueError):
                continue  # not of this dtype, in NumPy neither
            if known:
                met += raw is not simplified
                assert_same_bits(run(simplified, arrays), expected, s.text(raw))
    assert met > 0


def assert_same_bits(actual: np.ndarray, expected: np.ndarray, text: str) -> None:
    assert actual.dtype == expected.dtype, text
    differ = actual.view(f"u{actual.itemsize}") != expected.view(f"u{actual.itemsize}")
    if actual.dtype.kind == "f":
        differ &= ~(np.isnan(actual) & np.isnan(expected))
    assert not differ.any(), f"{text}: {actual[differ][:3]} for {expected[differ][:3]}"


@pytest.mark.parametrize(
    ("raw", "simple"),
    [
        (x * 1, x),
        (1.0 * x, x),
        (x * -1, -x),
        (s.negative(-x), x),
        (-x * -y, x * y),
        (x**2, s.square(x)),
        (x**1, x),
        (x**0, s.Const(1)),
        (x - 0, x),
        (x + -y, x - y),
        (x - -y, x + y),
        (x / 1, x),
        (x / 2, x * 0.5),
        (abs(abs(x)), abs(x)),
        (s.maximum(x, x), x),
        (s.where(c, x, x), x),
        (s.where(True, x, y), x),
        (s.where(s.logical_not(c), x, y), s.where(c, y, x)),
        (~~x, x),
        (s.conj(s.conj(x)), x),
        (s.floor(s.ceil(x)), s.ceil(x)),
        (s.Const(2) * 3 + 4, s.Const(10)),
        (s.sqrt(s.Const(2.25)), s.Const(1.5)),
        (s.Const(1.0) < 2, s.Const(True)),
    ],
    ids=str,
)
def test_rules_apply_as_expressions_are_made(raw, simple):
    assert raw is simple


@pytest.mark.parametrize("expr", [x + 0, 0 + x, x * 0, x / 3, x - x, s.sqrt(x) ** 3, s.exp(s.log(x))], ids=s.text)
def test_what_would_change_a_value_is_left(expr):
    assert isinstance(expr, s.Call)


def test_poles_of_constants_are_left_to_run_time():
    assert isinstance(s.Const(1) / 0, s.Call)
    assert isinstance(s.sqrt(s.Const(-1.0)), s.Call)
    assert isinstance(s.exp(s.Const(1.0)), s.Call)  # not exact: each backend rounds it itself
