"""Bessel's functions, the scaled tail of the error function, and normal quantiles, in mpmath's numbers."""

from __future__ import annotations

from typing import Any

_ENOUGH = 1e-45  # of fifty digits


def _asymptotic(first: Any, factor: Any) -> Any:
    """The sum of an asymptotic series for a large argument: each term is the last times ``factor(k)``."""
    total = term = first
    for k in range(1, 300):
        following = term * factor(k)
        if abs(following) > abs(term) or abs(following) < _ENOUGH:
            break
        term = following
        total += term
    return total


def _bessel(order: int, x: Any, scaled: bool) -> Any:
    from mpmath import mp
    size = abs(x)
    if mp.isinf(size):
        found = mp.mpf(0) if scaled else size
    elif size > 500:
        series = _asymptotic(mp.mpf(1), lambda k: -(4 * order**2 - (2 * k - 1) ** 2) / (8 * k * size))
        found = series / mp.sqrt(2 * mp.pi * size) * (1 if scaled else mp.exp(min(size, 2000)))
    else:
        found = mp.besseli(order, size) * (mp.exp(-size) if scaled else 1)
    return -found if order and x < 0 else found


def erfcx(x: Any) -> Any:
    """``exp(x**2) erfc(x)``."""
    from mpmath import mp
    if x < -100:
        return mp.inf
    if x > 30:
        return _asymptotic(mp.mpf(1), lambda k: -(2 * k - 1) / (2 * x * x)) / (x * mp.sqrt(mp.pi))
    with mp.workdps(60 + int(x * x / 2)):
        return mp.exp(x * x) * mp.erfc(x)


def ndtri(p: Any) -> Any:
    """The number below which a share ``p`` of the normal distribution lies, by Newton's steps."""
    from mpmath import mp
    below = min(p, 1 - p)
    if below <= 0:
        return mp.inf if p > 0.5 else -mp.inf
    y = mp.sqrt(2) * mp.erfinv(1 - 2 * below) if below > 1e-3 else mp.sqrt(-2 * mp.log(below))
    for _ in range(60):
        tail = mp.erfc(y / mp.sqrt(2)) / 2
        moved = y + (mp.log(tail) - mp.log(below)) * tail * mp.exp(y * y / 2) * mp.sqrt(2 * mp.pi)
        done, y = abs(moved - y) <= _ENOUGH * abs(y), moved
        if done:
            break
    return -y if p < 0.5 else y


FUNCTIONS = {
    "i0": lambda x: _bessel(0, x, False), "i0e": lambda x: _bessel(0, x, True),
    "i1": lambda x: _bessel(1, x, False), "i1e": lambda x: _bessel(1, x, True), "erfcx": erfcx, "ndtri": ndtri,
}
