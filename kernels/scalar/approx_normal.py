"""erfcx and ndtri: the error function's tail over its Gaussian, and the normal distribution's quantiles.

``erfcx(x) = F(t) / (1 + 2 x)`` with ``t = (x - 4) / (x + 4)`` for x >= 0, as `erfc` has it, up to infinity; below, ``2
exp(x**2) - erfcx(-x)``. ``ndtri(p) = sqrt(2) (2 p - 1) P(w)`` with ``w = -log(4 p (1 - p))``, as `erfinv` has it; a
small p needs more pieces, in ``sqrt(w)``. Coefficients: interpolation at Chebyshev's points (mpmath, 50 digits), to
2**-58.
"""

from __future__ import annotations

import math

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import clamp, polynomial
from tensorlite.kernels.scalar.approx_erfinv import over_argument
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64

_ERFCX = (
    1.2329951186255526,
    -0.1396211168405625,
    0.015379652102619604,
    0.0680970542546904,
    -0.10103906603630056,
    0.09373283499843826,
    -0.06633036581218697,
    0.03716751553592911,
    -0.016197734059799265,
    0.005031969992669933,
    -0.0007577732613730956,
    -0.0001992567757633648,
    0.0001506214900124047,
    -2.4398944545280832e-05,
    -1.1221287012353486e-05,
    5.709206053072183e-06,
    2.919733377963012e-07,
    -8.249198427508354e-07,
    7.746992727017941e-08,
    1.1009737295274889e-07,
    -2.05606492756992e-08,
    -1.4709550868669278e-08,
    3.1695881915648173e-09,
    1.7903326159489847e-09,
    -2.659599690242689e-10,
    -1.374652989001164e-10,
)
_TAIL = (
    7.8771136061629345,
    2.0152137093424014,
    -0.0018795310084486327,
    0.00015280392314245188,
    2.0104573375755318e-05,
    -1.6316007972196624e-05,
    6.316544134264127e-06,
    -2.024962008480341e-06,
    5.942702545149891e-07,
    -1.6553595290737157e-07,
    4.45083397622688e-08,
    -1.1658733592115496e-08,
    2.997930900199125e-09,
    -7.559823918259796e-10,
    1.8079348449576938e-10,
    -4.4093334151685536e-11,
    1.4292002193938846e-11,
    -3.439658500634255e-12,
)
"""In (sqrt(w) - 8) / 2, from 6 to 10."""
_FAR_TAIL = (
    18.62484495385255,
    8.72256954349461,
    -0.0076264248218260245,
    0.0026591711184263175,
    -0.00092765619797305,
    0.00031662805998971985,
    -0.00010284379260560285,
    3.016917588776183e-05,
    -6.869128560066973e-06,
    2.4868792718227073e-07,
    1.1087444516555881e-06,
    -1.028633350357782e-06,
    6.956362230240922e-07,
    -4.1523616433574746e-07,
    2.2873963544335859e-07,
    -1.2223277503908685e-07,
    7.012903502779295e-08,
    -3.647841917743246e-08,
    9.584294612165206e-09,
    -4.0983037425013585e-09,
    1.0126358046551845e-08,
    -5.367323006018269e-09,
    -2.2411125767461906e-09,
    1.235995831162141e-09,
    1.0914485574383368e-09,
    -5.455497612105325e-10,
)
"""In (sqrt(w) - 18.7) / 8.7, from 10 to 27.4, which no positive number exceeds."""


@define("erfcx", FLOAT64, ulp=4.5)
def _erfcx(x: Expr) -> Expr:
    size = abs(x)
    far = clamp(size, 0.0, 1e300)
    tail = polynomial((far - 4) / (far + 4), _ERFCX) * 0.5 / (0.5 + size)
    near = clamp(size, 0.0, 27.0)
    high = a.bitcast(a.bitcast(near, np.int64) & (-1 << 27), np.float64)  # its square is exact
    growth = a.exp(high * high)
    whole = growth + growth * a.expm1((near - high) * (near + high))
    return a.where(x < 0, a.where(size > 26.64, math.inf, 2 * whole - tail), tail)


@define("ndtri", FLOAT64, ulp=4.5, domain=(0.0, 1.0))
def _ndtri(p: Expr) -> Expr:
    """On [0, 1], infinite at the ends; NaN beyond."""
    below = a.minimum(p, 1 - p)
    w = -a.log(4 * below * (1 - below))
    root = a.sqrt(w)
    beyond = a.where(root < 10, polynomial(root * 0.5 - 4, _TAIL), polynomial((root - 18.7) * (1 / 8.7), _FAR_TAIL))
    value = math.sqrt(2) * (2 * p - 1) * a.where(root < 6, over_argument(w), beyond)
    ends = a.equal(below, 0)
    return a.where(ends, a.copysign(math.inf, p - 0.5), value)


define("erfcx", FLOAT32, ulp=0.6)(lambda x: a.cast(a.erfcx(a.cast(x, np.float64)), np.float32))
define("ndtri", FLOAT32, ulp=0.6, domain=(0.0, 1.0))(lambda p: a.cast(a.ndtri(a.cast(p, np.float64)), np.float32))
