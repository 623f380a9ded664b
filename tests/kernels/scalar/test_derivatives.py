"""Derivatives: every atom's rule against differences on its domain, conventions at kinks, sharing, complex numbers."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import DIFFERENCES, assert_close

from tensorlite.kernels import scalar as s

x, y, z = s.Var("x"), s.Var("y"), s.Var("z")
NAMES = ("a", "b", "c")


def run(expr: s.Expr, **arrays: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return s.numpy_function(s.Function(tuple(arrays), expr))(np, *arrays.values())


def smooth_atoms() -> list[s.Atom]:
    """Atoms from floats to floats; ``where`` has a test of its own."""
    atoms = [*s.ATOMS.values(), s.cast(x, np.float64).atom]
    return [a for a in atoms if a.accepts not in ("integer", "whole") and a.result != "bool" and a.name != "where"]


@pytest.mark.parametrize("atom", smooth_atoms(), ids=lambda atom: atom.name)
def test_the_rule_agrees_with_central_differences(atom):
    generator = np.random.default_rng(7)
    names = NAMES[: atom.arity]
    point = {name: generator.uniform(*interval, 50) for name, interval in zip(names, atom.domain)}
    body = s.Call(atom, tuple(map(s.Var, names)))
    step = 1e-6
    for name in names:
        up, down = ({**point, name: point[name] + h} for h in (step, -step))
        differences = (run(body, **up) - run(body, **down)) / (2 * step)
        assert_close(run(s.differentiate(body, name), **point), differences, tolerance=DIFFERENCES)


@pytest.mark.parametrize("atom", smooth_atoms(), ids=lambda atom: atom.name)
def test_the_rule_of_the_rule_agrees_with_central_differences(atom):
    generator = np.random.default_rng(8)
    names = NAMES[: atom.arity]
    point = {name: generator.uniform(*interval, 50) for name, interval in zip(names, atom.domain)}
    body = s.differentiate(s.Call(atom, tuple(map(s.Var, names))), names[0])
    step = 1e-6
    for name in names:
        up, down = ({**point, name: point[name] + h} for h in (step, -step))
        differences = (run(body, **up) - run(body, **down)) / (2 * step)
        assert_close(run(s.differentiate(body, name), **point), differences, tolerance=DIFFERENCES)


def holomorphic_atoms() -> list[s.Atom]:
    without = ("abs", "sign", "real", "imag", "conj", "angle")
    return [a for a in smooth_atoms() if a.accepts in ("any", "number", "floating") and a.name not in without]


@pytest.mark.parametrize("atom", [a for a in holomorphic_atoms() if a.dtype is None], ids=lambda atom: atom.name)
def test_complex_derivatives_agree_with_differences_in_any_direction(atom):
    generator = np.random.default_rng(9)
    names = NAMES[: atom.arity]
    point = {
        name: generator.uniform(*interval, 30) + 0.1j * generator.uniform(-1, 1, 30)
        for name, interval in zip(names, atom.domain)
    }
    body = s.Call(atom, tuple(map(s.Var, names)))
    step = 1e-6 * (0.6 + 0.8j)
    for name in names:
        up, down = ({**point, name: point[name] + h} for h in (step, -step))
        differences = (run(body, **up) - run(body, **down)) / (2 * step)
        assert_close(run(s.differentiate(body, name, complex=True), **point), differences, tolerance=DIFFERENCES)


@pytest.mark.parametrize("name", ["abs", "real", "imag", "angle"])
def test_real_values_of_complex_numbers_have_a_cotangent(name):
    generator = np.random.default_rng(10)
    point, direction = (generator.standard_normal(30) + 1j * generator.standard_normal(30) for _ in range(2))
    body = s.ATOMS[name](x)
    step = 1e-6
    differences = (run(body, x=point + step * direction) - run(body, x=point - step * direction)) / (2 * step)
    cotangent = np.conj(run(s.differentiate(body, "x", complex=True), x=point))
    assert_close(np.real(np.conj(cotangent) * direction), differences, tolerance=DIFFERENCES)


def test_conj_has_no_complex_derivative():
    with pytest.raises(TypeError, match="differentiate: conj has no complex derivative inside an expression"):
        s.differentiate(s.conj(x) * x, "x", complex=True)
    assert s.differentiate(s.conj(x), "x") is s.Const(1)


def test_kinks_follow_the_conventions():
    zero, same = np.zeros(1), np.full(1, 2.5)
    assert run(s.differentiate(abs(x), "x"), x=zero) == 0
    assert run(s.differentiate(s.where(x > 0, x, 0), "x"), x=zero) == 0
    for atom in (s.maximum, s.minimum):
        for name in "xy":
            assert run(s.differentiate(atom(x, y), name), x=same, y=same) == 0.5
    for step in (s.floor, s.sign, s.round, s.trunc, s.ceil):
        assert s.differentiate(step(x), "x") is s.Const(0)
    assert run(s.differentiate(s.hypot(x, y), "x"), x=zero, y=zero) == 0
    assert run(s.differentiate(x**y, "x"), x=zero, y=zero) == 0


def test_the_branch_not_taken_adds_nothing():
    slope = s.differentiate(s.where(x > 0, s.log(x), 0), "x")
    assert run(slope, x=np.zeros(1)) == 0


def test_stable_where_the_formula_overflows():
    far = np.array([-1000.0, 1000.0])
    assert run(s.differentiate(s.sigmoid(x), "x"), x=far).tolist() == [0, 0]
    assert run(s.differentiate(s.logaddexp(x, 0), "x"), x=far).tolist() == [0, 1]
    assert run(s.differentiate(s.logaddexp(x, y), "x"), x=np.full(2, -np.inf), y=np.full(2, -np.inf))[0] == 0.5


def test_the_value_stands_in_the_derivative():
    for body, slope in [(s.exp(x), y), (s.tanh(x), 1 - y * y), (s.sqrt(x), 0.5 / y), (s.sigmoid(x), y * (1 - y))]:
        assert s.substitute(s.differentiate(body, "x"), {body: y}) is slope


def test_other_variables_are_constants():
    assert s.differentiate(s.exp(x), "y") is s.Const(0)
    assert s.differentiate(x * y + z, "y") is x
