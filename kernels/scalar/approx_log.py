"""log, log1p, log2, log10, logaddexp.

``x = 2**n (1 + f)`` with ``1 + f`` between the square roots of 1/2 and 2; ``log(1 + f) = f + t`` with a small ``t``:
in float32 ``t = f**2 (f P(f) - 1/2)``, in float64 by ``s = f / (2 + f)`` and ``log(1 + f) = 2 atanh(s)`` (as in
fdlibm's e_log.c). Coefficients: minimax of the relative error of the logarithm (Remez in mpmath, 45 digits).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import DOUBLE, SINGLE, Format, polynomial
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64


def _tail_single(f: Expr) -> Expr:
    """log(1 + f) - f, for float32."""
    coefficients = (
        0.3333333134651184,
        -0.250008225440979,
        0.20001257956027985,
        -0.16623345017433167,
        0.1420113891363144,
        -0.13159650564193726,
        0.12765170633792877,
        -0.07640048116445541,
    )
    return f * f * a.fma(f, polynomial(f, coefficients), -0.5)


def _tail_double(f: Expr) -> Expr:
    """log(1 + f) - f, for float64."""
    coefficients = (
        0.6666666666666735,
        0.3999999999940935,
        0.2857142874368662,
        0.22222198428956316,
        0.1818357235624912,
        0.1531383212876113,
        0.14798259161459257,
    )
    s = f / (2 + f)
    z = s * s
    half_square = 0.5 * f * f
    return a.fma(s, a.fma(z, polynomial(z, coefficients), half_square), -half_square)


@dataclass(frozen=True)
class _Logarithm:
    """The logarithm in one format."""

    form: Format
    root_half: int  # the bits of sqrt(1/2)
    smallest: float  # normal number
    tail: Callable[[Expr], Expr]

    def exponent(self, bits: Expr) -> Expr:
        """Return n shifted into the exponent bits."""
        return (bits - self.root_half) & (-1 << self.form.shift)

    def as_float(self, exponent: Expr) -> Expr:
        """Return n, from what ``exponent`` gave; by the magic sum, since AVX2 cannot convert 64-bit integers."""
        n = exponent >> self.form.shift
        magic = self.form.dtype.type(self.form.magic).view(self.form.bits).item()
        return a.bitcast(n + magic, self.form.dtype) - self.form.magic

    def split(self, x: Expr) -> tuple[Expr, Expr]:
        """Return n and f for a positive ``x``, subnormal ones too."""
        lift = self.form.shift + 2
        tiny = x < self.smallest
        bits = a.bitcast(x * a.where(tiny, 2.0**lift, 1.0), self.form.bits)
        exponent = self.exponent(bits)
        n = self.as_float(exponent) - a.where(tiny, lift, 0)
        return n, a.bitcast(bits - exponent, self.form.dtype) - 1

    def split_next(self, x: Expr) -> tuple[Expr, Expr]:
        """Return n and f for ``1 + x``, losing nothing of a small ``x``."""
        lift = (self.form.bias + 1) // 2
        exponent = self.exponent(a.bitcast(1 + x, self.form.bits))
        lifted = a.bitcast(((self.form.bias + lift) << self.form.shift) - exponent, self.form.dtype)
        f = a.fma(x, lifted, lifted - 2.0**lift) * 2.0**-lift
        return self.as_float(exponent), f

    def natural(self, n: Expr, f: Expr) -> Expr:
        """Return n ln 2 + log(1 + f)."""
        high, low = self.form.split(math.log(2), 2.3190468138462996e-17)
        return a.fma(n, high, f + a.fma(n, low, self.tail(f)))

    def scaled(self, f: Expr, factor: float, rest: float) -> Expr:
        """Return log(1 + f) (factor + rest)."""
        high, low = self.form.split(factor, rest)
        return a.fma(f, high, a.fma(f, low, high * self.tail(f)))


_SINGLE = _Logarithm(SINGLE, 0x3F3504F3, 2.0**-126, _tail_single)
DOUBLE_LOGARITHM = _DOUBLE = _Logarithm(DOUBLE, 0x3FE6A09E667F3BCD, 2.0**-1022, _tail_double)


def _at_the_ends(x: Expr, zero: float, value: Expr) -> Expr:
    """-inf where x is ``zero``, NaN below it, inf at inf."""
    value = a.where(a.equal(x, math.inf), math.inf, value)
    return a.where(x > zero, value, a.where(a.equal(x, zero), -math.inf, math.nan))


def _log(x: Expr, e: _Logarithm) -> Expr:
    return _at_the_ends(x, 0.0, e.natural(*e.split(x)))


def _log1p(x: Expr, e: _Logarithm) -> Expr:
    value = _at_the_ends(x, -1.0, e.natural(*e.split_next(x)))
    return a.where(abs(x) < 2.0 ** -(e.form.shift + 2), x, value)


def _log2(x: Expr, e: _Logarithm) -> Expr:
    n, f = e.split(x)
    return _at_the_ends(x, 0.0, n + e.scaled(f, 1.4426950408889634, 2.0355273740931033e-17))


def _log10(x: Expr, e: _Logarithm) -> Expr:
    n, f = e.split(x)
    high, low = e.form.split(0.3010299956639812, -2.8037281277851704e-18)
    fraction = e.scaled(f, 0.4342944819032518, 1.098319650216765e-17)
    return _at_the_ends(x, 0.0, a.fma(n, high, a.fma(n, low, fraction)))


define("log", FLOAT32, ulp=1.0)(lambda x: _log(x, _SINGLE))
define("log", FLOAT64, ulp=1.0)(lambda x: _log(x, _DOUBLE))
define("log1p", FLOAT32, ulp=1.6)(lambda x: _log1p(x, _SINGLE))
define("log1p", FLOAT64, ulp=1.5)(lambda x: _log1p(x, _DOUBLE))
define("log2", FLOAT32, ulp=1.1)(lambda x: _log2(x, _SINGLE))
define("log2", FLOAT64, ulp=1.1)(lambda x: _log2(x, _DOUBLE))
define("log10", FLOAT32, ulp=1.1)(lambda x: _log10(x, _SINGLE))
define("log10", FLOAT64, ulp=1.1)(lambda x: _log10(x, _DOUBLE))


def _logaddexp(x: Expr, y: Expr, e: _Logarithm) -> Expr:
    """``log(exp(x) + exp(y))``; equal infinities give that infinity.

    ``1 + t`` is within [1, 2] for ``t = exp(-|x - y|)``, so that n is 0 or 1 and needs no bits.
    """
    larger = a.where(x > y, x, y)
    t = a.exp(-abs(x - y))
    upper = t > math.sqrt(2) - 1
    f = a.where(upper, a.fma(t, 0.5, -0.5), t)
    fraction = f + (e.tail(f) + a.where(upper, math.log(2), 0.0))
    return a.where(a.equal(x, y), x + math.log(2), larger + fraction)


define("logaddexp", FLOAT32)(lambda x, y: _logaddexp(x, y, _SINGLE))
define("logaddexp", FLOAT64)(lambda x, y: _logaddexp(x, y, _DOUBLE))
