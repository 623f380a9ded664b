"""The implicit derivative of gamma numbers: against the incomplete gamma function, and what follows for draws."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import GAMMA_RATE, GAMMA_RATE_OF_TORCH, assert_close

import tensorlite as tl
from tensorlite.random.gamma_rate import gamma_rate

CONCENTRATIONS = (1e-3, 0.02, 0.3, 0.9, 1.0, 1.4, 1.6, 2.0, 3.5, 9.0, 40.0, 300.0)
QUANTILES = (1e-6, 0.01, 0.2, 0.5, 0.8, 0.99, 1 - 1e-6)


def exact(a: float, x: float) -> float:
    """``dx/da`` by the series of the incomplete gamma function, in 60 digits."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(60):
        a, x = mp.mpf(a), mp.mpf(x)
        term, psi, found, k = 1 / a, mp.digamma(a + 1), mp.mpf(0), 0
        while k < x or abs(term) > mp.mpf(10) ** -50 * abs(found):
            found += term * (mp.log(x) - psi)
            k += 1
            psi += 1 / (a + k)
            term *= x / (a + k)
        return float(-x * found)


def points() -> tuple[np.ndarray, np.ndarray]:
    special = pytest.importorskip("scipy.special")
    a, q = np.meshgrid(CONCENTRATIONS, QUANTILES)
    x = special.gammaincinv(a.reshape(-1), q.reshape(-1))
    kept = x > 1e-290
    return a.reshape(-1)[kept], x[kept]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rates_are_as_accurate_as_is_said(dtype):
    a, x = (v.astype(dtype) for v in points())
    kept = x > np.finfo(dtype).tiny
    a, x = a[kept], x[kept]
    a, x = np.append(a, [1e4, 1e4]).astype(dtype), np.append(x, [9900, 10200]).astype(dtype)
    expected = np.array([exact(float(p), float(q)) for p, q in zip(a, x)])
    found = gamma_rate(tl.tensor(a), tl.tensor(x)).numpy()
    assert found.dtype == dtype
    assert np.abs(found / expected - 1).max() < GAMMA_RATE[dtype]


def test_rates_agree_with_those_of_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    a, x = points()
    expected = torch._standard_gamma_grad(torch.tensor(a), torch.tensor(x)).numpy()
    assert_close(gamma_rate(tl.tensor(a), tl.tensor(x)), expected, tolerance=GAMMA_RATE_OF_TORCH)


def test_rates_have_derivatives():
    a = tl.tensor([0.05, 0.7, 2.5, 30.0, 3.0, 3.0], dtype=tl.float64, requires_grad=True)
    x = tl.tensor([0.01, 1.2, 1.8, 25.0, 9.0, 0.3], dtype=tl.float64, requires_grad=True)
    assert tl.autograd.gradcheck(gamma_rate, (a, x))
    assert tl.autograd.gradgradcheck(gamma_rate, (a, x))


def test_draws_move_with_their_concentration_as_the_mean_does():
    tl.manual_seed(2)
    for a in (0.2, 1.0, 8.0):
        shape = tl.full((200000,), a, dtype=tl.float64).requires_grad_()
        x = tl.random.standard_gamma(shape)
        x.sum().backward()
        rate = shape.grad.numpy()
        assert abs(rate.mean() - 1) < 4 * rate.std() / 200000**0.5
        square = 2 * x.detach().numpy() * rate  # of E[x**2] = a (a + 1)
        assert abs(square.mean() - (2 * a + 1)) < 4 * square.std() / 200000**0.5
