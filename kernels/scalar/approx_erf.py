"""erf and erfc.

``erfc(x) = exp(-x**2) F(t) / (1 + 2 x)`` with ``t = (x - k) / (x + k)`` for x >= 0 (Shepherd and Laframboise, Chebyshev
approximation of (1 + 2x) exp(x^2) erfc x, 1981); ``erf`` is odd and polynomial below 1, and ``1 - erfc`` above. Coefficients:
minimax of the relative error (Remez in mpmath, 60 digits). The float64 forms serve NumPy too: they need no fused operation.
"""

from __future__ import annotations

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import SINGLE, clamp, polynomial
from tensorlite.kernels.scalar.approx_exp import fast_exp
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64

_ERF_SINGLE = (0.12837915, -0.37612504, 0.11281922, -0.026770493, 0.0049989591, -0.00060207996)
_LOG2_ERFC_SINGLE = (-0.0026290035, -1.6163923, -0.9384066, -0.13175084, 0.022581842, -0.0018197865)
_EXP2_SINGLE = (1.0000001, 0.6931474, 0.24021919, 0.055497043, 0.009684819, 0.0013658357)
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


@define("erf", FLOAT32, ulp=1.5)
def _erf_single(x: Expr) -> Expr:
    """Below 0.9 a polynomial, above ``1 - 2**p(|x|)``; 1 from 3.95 on."""
    size = abs(x)
    size = a.where(size > 3.95, 3.95, size)
    z = size * size
    near = a.fma(size, polynomial(z, _ERF_SINGLE), size)
    logarithm = polynomial(size, _LOG2_ERFC_SINGLE)
    magic = SINGLE.magic + SINGLE.bias
    shifted = logarithm + magic
    fraction = polynomial(logarithm - (shifted - magic), _EXP2_SINGLE)
    scale = a.bitcast(a.bitcast(shifted, np.int32) << SINGLE.shift, np.float32)
    return a.copysign(a.where(size < 0.9, near, a.fma(-fraction, scale, 1.0)), x)


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


@define("erf", FLOAT64, ulp=2.0)
def _erf_double(x: Expr) -> Expr:
    """A polynomial below 1, ``1 - erfc`` above."""
    return _erf_of(x, _erfc_tail(clamp(abs(x), 0.0, 27.5)))


@define("erfc", FLOAT64, ulp=4.0)
def _erfc_double(x: Expr) -> Expr:
    """``1 - erf`` below 1/2."""
    tail = _erfc_tail(clamp(abs(x), 0.0, 27.5))
    return a.where(x < 0.5, 1 - _erf_of(x, tail), tail)
