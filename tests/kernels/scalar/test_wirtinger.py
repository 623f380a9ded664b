"""Both Wirtinger derivatives against differences along the real and the imaginary axis."""

from __future__ import annotations

import numpy as np
import pytest

from tensorlite.kernels import scalar as s
from tensorlite.kernels.scalar.wirtinger import is_holomorphic, wirtinger

#: The same function over scalars of the language and over NumPy's arrays.
FUNCTIONS = {
    "z * conj(z)": lambda m, z: z * m.conj(z),
    "exp(z) * conj(sin(z))": lambda m, z: m.exp(z) * m.conj(m.sin(z)),
    "abs(z) * z": lambda m, z: m.abs(z) * z,
    "sign(z * z)": lambda m, z: m.sign(z * z),
    "real(z) * imag(z) + z": lambda m, z: m.real(z) * m.imag(z) + z,
    "conj(conj(z) + 1j) / z": lambda m, z: m.conj(m.conj(z) + 1j) / z,
    "angle(z) * 2": lambda m, z: m.angle(z) * 2,
}
POINTS = np.array([0.7 + 0.4j, 1.3 - 0.8j, -0.5 + 1.1j])
STEP = 1e-6


def run(expression: s.Expr, z: np.ndarray) -> np.ndarray:
    return np.asarray(s.numpy_function(s.Function(("z",), expression))(np, z)) + 0j


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_agree_with_differences(name):
    function = FUNCTIONS[name]
    body = s.trace(lambda z: function(s, z)).body
    by_real = (function(np, POINTS + STEP) - function(np, POINTS - STEP)) / (2 * STEP)
    by_imag = (function(np, POINTS + 1j * STEP) - function(np, POINTS - 1j * STEP)) / (2 * STEP)
    first, second = (run(slope, POINTS) for slope in wirtinger(body, "z"))
    np.testing.assert_allclose(first, (by_real - 1j * by_imag) / 2, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(second, (by_real + 1j * by_imag) / 2, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("function", "answer"), [
    (lambda z: s.exp(z) * z, True), (s.abs, True), (lambda z: s.conj(z) * z, False), (lambda z: s.abs(z) * z, False)])
def test_is_holomorphic_says_whether_the_chain_rule_is_enough(function, answer):
    assert is_holomorphic(s.trace(function).body) is answer
