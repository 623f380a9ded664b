"""erfinv, the inverse of the error function.

``erfinv(x) = x P(w)`` with ``w = -log(1 - x**2)``, in three pieces (Giles, Approximating the erfinv function, 2010).
Coefficients: interpolation at Chebyshev's points (mpmath, 60 digits).
"""

from __future__ import annotations

import math

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import polynomial
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64

_MIDDLE = (
    1.6536545626831027,
    0.24015818242558834,
    -0.006033670871426851,
    -0.0007407025341546431,
    0.00018673420801981186,
    -1.3882523393957483e-05,
    -1.3654691758785656e-06,
    4.23478816822246e-07,
    -2.907039127564132e-08,
    -4.1126604371632185e-09,
    1.051223377050429e-09,
    -5.414303283919504e-11,
    -1.2978805369932565e-11,
    2.6305268312595183e-12,
    -8.07192593899004e-14,
    -4.0020031087558496e-14,
    6.521333511502239e-15,
    -3.94018812230432e-17,
    -1.2215637192404172e-16,
    1.5510787009902526e-17,
    6.075050702072414e-19,
    -3.4734793888538036e-19,
    1.999259988861535e-20,
    3.194015548136271e-21,
    -3.5932028927020693e-22,
)
"""In w - 3.125, up to 6.25."""
_OUTER = (
    3.0838856104922208,
    1.0052589676941655,
    0.005370914553555033,
    -0.0037512085082247342,
    0.00249144209795696,
    -0.0016882755354488555,
    0.0009532893415794137,
    -0.0003550378137852452,
    2.4031512865758357e-05,
    6.828711739251955e-05,
    -4.732068066544697e-05,
    1.2465028224217455e-05,
    2.93257845538535e-06,
    -3.985705945648173e-06,
    1.4815977874022539e-06,
    -2.761716223816241e-08,
    -2.4549818963339823e-07,
    1.3158663683192966e-07,
    -2.091453334773126e-08,
    -1.5305397964152548e-08,
    7.680200479077053e-09,
)
"""In sqrt(w) - 3.25, up to 16."""
_OUTERMOST = (
    4.90042105144364,
    1.0102850175977713,
    -0.00016985809149409954,
    -0.000200312006632442,
    7.124031543921429e-05,
    -1.8374536902451674e-05,
    4.19385359839948e-06,
    -9.070804867494313e-07,
    2.0161977749293592e-07,
    -5.4953735846437286e-08,
    2.1819954198957403e-08,
    -1.1157237339184449e-08,
    5.8087843476216895e-09,
    -2.7011823678111614e-09,
    1.0457388953820878e-09,
    -3.2873300626025563e-10,
    7.870516370080181e-11,
    2.5642334664972383e-12,
    -1.5691036320801854e-11,
    5.0294638317171275e-12,
)
"""In sqrt(w) - 5.05, up to 37.2, which no number next to 1 exceeds."""


def over_argument(w: Expr) -> Expr:
    """``erfinv(x) / x``."""
    root = a.sqrt(w)
    outer = a.where(w < 16, polynomial(root - 3.25, _OUTER), polynomial(root - 5.05, _OUTERMOST))
    return a.where(w < 6.25, polynomial(w - 3.125, _MIDDLE), outer)


@define("erfinv", FLOAT64, ulp=3.0)
def _erfinv_double(x: Expr) -> Expr:
    """On [-1, 1], infinite at the ends; NaN beyond."""
    value = x * over_argument(-a.log((1 - x) * (1 + x)))
    return a.where(a.equal(abs(x), 1), a.copysign(math.inf, x), value)


@define("erfinv", FLOAT32, ulp=0.6)
def _erfinv_single(x: Expr) -> Expr:
    return a.cast(a.erfinv(a.cast(x, np.float64)), np.float32)
