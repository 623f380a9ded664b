"""erf and erfc.

``erfc(x) = exp(-x**2) F(t) / (1 + 2 x)`` with ``t = (x - k) / (x + k)`` for x >= 0 (Shepherd and Laframboise,
Chebyshev approximation of (1 + 2x) exp(x^2) erfc x, 1981); ``erf`` is odd; in float64 a polynomial below 1, and ``1 -
erfc`` above. Coefficients: minimax of the relative error (Remez in mpmath, 60 digits). The float64 forms serve NumPy
too: they need no fused operation.
"""

from __future__ import annotations

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import clamp, polynomial
from tensorlite.kernels.scalar.approx_exp import fast_exp
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64

_ERF_ABOVE = (1.13458681, 0.191833749, 0.053080752, 0.00380041776, 0.000286375929, 2.05320339e-06)
_ERF_BELOW = (1.00550139, 0.505174756, 0.114886239, 0.0150799751, 0.00117162697, 3.82131657e-05)
_ERF_DOUBLE = (
    0.12837916709551256,
    -0.3761263890318352,
    0.11283791670944185,
    -0.02686617064311153,
    0.00522397760611888,
    -0.000854832592932979,
    0.00012055293577272878,
    -1.4924712308029719e-05,
    1.6447131635680484e-06,
    -1.6206314196309946e-07,
    1.3710982108482451e-08,
    -7.779471406957415e-10,
)
_ERFC_DOUBLE = (  # k = 4, 0 <= x <= 27.5
    1.2329951186255526,
    -0.13962111684056286,
    0.015379652102620036,
    0.06809705425473445,
    -0.10103906603631732,
    0.09373283499688775,
    -0.06633036581218589,
    0.037167515561044626,
    -0.016197734052944387,
    0.005031969768468749,
    -0.0007577733737789883,
    -0.00019925557365076411,
    0.00015062234217585164,
    -2.4402952301088553e-05,
    -1.1224954952797966e-05,
    5.717443466208531e-06,
    3.014726970027117e-07,
    -8.346174136112082e-07,
    6.274064644223834e-08,
    1.1498767708256887e-07,
    -7.821976077130305e-09,
    -1.3573063790431544e-08,
    -1.776249618377452e-09,
)
_ERFC_FAST = (  # k = 2, 0 <= x <= 10.2, to 2**-30
    1.2769783826876562,
    -0.09276382066344017,
    -0.1660305224216208,
    0.16405104060698705,
    -0.05421781565459976,
    -0.008030875498926018,
    0.008709027262679176,
    0.0012527165574031933,
    -0.0014206321364696804,
    -0.0004007189025946927,
    0.00016925283843382714,
    7.935142025326844e-05,
)


@define("erf", FLOAT32, ulp=4.5)
def _erf_single(x: Expr) -> Expr:
    """``x P(x**2) / Q(x**2)`` on |x| <= 3.93, where the value rounds to 1.

    P and Q share the factor that made the rounded coefficients best. One division is all: ``1 - 2**p(|x|)`` is within
    2 ulp and takes twice as long.
    """
    near = clamp(x, -3.93, 3.93)
    z = near * near
    above = polynomial(z, _ERF_ABOVE)
    return clamp(near * above / polynomial(z, _ERF_BELOW), -1.0, 1.0)


@define("erfc", FLOAT32, ulp=0.6)
def _erfc_single(x: Expr) -> Expr:
    size = clamp(abs(a.cast(x, np.float64)), 0.0, 10.2)
    fraction = polynomial((size - 2) / (size + 2), _ERFC_FAST) / (1 + 2 * size)
    tail = fast_exp(-(size * size)) * fraction
    return a.cast(a.where(x < 0, 2 - tail, tail), np.float32)


def _erfc_tail(size: Expr) -> Expr:
    """erfc of 0 <= size <= 27.5."""
    high = a.bitcast(a.bitcast(size, np.int64) & (-1 << 27), np.float64)  # its square is exact
    low = (size - high) * (size + high)
    correction = low * (1 - low * (0.5 - low * (1 / 6)))  # 1 - exp(-low), low < 2e-6
    gauss = a.exp(-(high * high))
    fraction = polynomial((size - 4) / (size + 4), _ERFC_DOUBLE) / (1 + 2 * size)
    return (gauss - gauss * correction) * fraction


def _erf_of(x: Expr, tail: Expr) -> Expr:
    size = clamp(abs(x), 0.0, 1.0)
    near = a.fma(size, polynomial(size * size, _ERF_DOUBLE), size)
    return a.copysign(a.where(abs(x) < 1, near, 1 - tail), x)


@define("erf", FLOAT64, ulp=1.2)
def _erf_double(x: Expr) -> Expr:
    """A polynomial below 1, ``1 - erfc`` above."""
    return _erf_of(x, _erfc_tail(clamp(abs(x), 0.0, 27.5)))


@define("erfc", FLOAT64, ulp=4.5)
def _erfc_double(x: Expr) -> Expr:
    """``1 - erf`` below 1/2."""
    tail = _erfc_tail(clamp(abs(x), 0.0, 27.5))
    return a.where(x < 0.5, 1 - _erf_of(x, tail), tail)
