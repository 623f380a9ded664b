"""Modified Bessel functions of the first kind, of the orders 0 and 1, and these over ``exp(|x|)``.

``exp(-|x|) I(x)`` is a polynomial of ``t = |x| / 4 - 1`` up to 8 (of order 1, times x), and from there on one of
``t = 16 / |x| - 1`` over ``sqrt(|x|)``, which holds at infinity too. Coefficients: interpolation at Chebyshev's points
(mpmath, 50 digits), to 2**-58.
"""

from __future__ import annotations

import math

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.approx import clamp, polynomial
from tensorlite.kernels.scalar.definitions import define
from tensorlite.kernels.scalar.expr import Expr
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64

_I0_NEAR = (
    0.2070019212239867,
    -0.11300432688620549,
    0.09451562853995128,
    -0.08904344136075962,
    0.08734341617550408,
    -0.08496338091616305,
    0.07927522590772476,
    -0.06954119561719381,
    0.056777032011256987,
    -0.04298594945479612,
    0.0301779121034198,
    -0.01968265469059234,
    0.011960077419502311,
    -0.0067923998730731695,
    0.003617128473996364,
    -0.001811886793937724,
    0.0008563093345358882,
    -0.00038290209550065975,
    0.00016241792341840366,
    -6.550861389620851e-05,
    2.5183377189964778e-05,
    -9.251680584432654e-06,
    3.2498478284328534e-06,
    -1.0883393970072518e-06,
    3.5212842626130005e-07,
    -1.1384114641747256e-07,
    3.39695180931004e-08,
    -7.723094556846333e-09,
    2.1878041523620257e-09,
    -1.1852342482684723e-09,
    3.043616766866286e-10,
)
_I0_FAR = (
    0.4021765094450081,
    0.0033605519836678865,
    0.00013621607439233397,
    1.1143033788352455e-05,
    1.4838475432345007e-06,
    2.9735993830791437e-07,
    8.872269443436982e-08,
    3.9324708328742377e-08,
    2.1542697342456968e-08,
    7.563772015545939e-09,
    -6.709029656231886e-09,
    -1.345382293152273e-08,
    -5.573331421583346e-09,
    7.69766201906049e-09,
    7.923178069721518e-09,
    -3.820995123085163e-09,
    -6.9389962770598784e-09,
    1.983359036871014e-09,
    4.9905012773878745e-09,
    -1.0267340552408551e-09,
    -2.8718659936363406e-09,
    4.3888610449391574e-10,
    1.2061857016144355e-09,
    -1.2429481430336455e-10,
    -3.210161203848058e-10,
    1.664547360254005e-11,
    4.00522776429572e-11,
)
_I1_NEAR = (
    0.044687709875608835,
    -0.06112433802966629,
    0.0680575999095116,
    -0.06848260620582547,
    0.06376740371340721,
    -0.055280039227051464,
    0.04467457262125467,
    -0.03367135551992323,
    0.023686016957729535,
    -0.015571309256763564,
    0.009583962150731578,
    -0.00553456775924123,
    0.0030057624197775295,
    -0.0015388749696724586,
    0.0007445123445061157,
    -0.00034117472445271377,
    0.0001484212433475852,
    -6.142655719704761e-05,
    2.4233753149624307e-05,
    -9.131775730568571e-06,
    3.293899139003749e-06,
    -1.1381566323785447e-06,
    3.759367306404118e-07,
    -1.1993980285486188e-07,
    3.802984785138283e-08,
    -1.1224475126135595e-08,
    2.603206542331157e-09,
    -7.277033556073836e-10,
    3.7284532079392345e-10,
    -9.506861180736366e-11,
)
_I1_FAR = (
    0.38939845902587233,
    -0.00974957719323576,
    -0.00021923576383430914,
    -1.503854719814553e-05,
    -1.8349101091858603e-06,
    -3.4838565069237384e-07,
    -1.0001340021780364e-07,
    -4.3128111749721084e-08,
    -2.33680165606592e-08,
    -8.436290430234449e-09,
    6.6942656124140575e-09,
    1.4076395500754362e-08,
    6.149852311550125e-09,
    -7.778592763968048e-09,
    -8.401102179661743e-09,
    3.7219797447199423e-09,
    7.268242563388642e-09,
    -1.873645046997864e-09,
    -5.202221759979579e-09,
    9.568523624814434e-10,
    2.9887350375720677e-09,
    -4.0869842334135476e-10,
    -1.2547972490884798e-09,
    1.1618136302645857e-10,
    3.3398673552611973e-10,
    -1.5626599071604906e-11,
    -4.168108977770373e-11,
)


def _far(size: Expr, coefficients: tuple[float, ...]) -> Expr:
    """``exp(-size) I(size)`` from 8 on."""
    return polynomial(16 / size - 1, coefficients) / a.sqrt(size)


@define("i0e", FLOAT64, ulp=4.5)
def _i0e(x: Expr) -> Expr:
    size = abs(x)
    near = polynomial(clamp(size, 0.0, 8.0) * 0.25 - 1, _I0_NEAR)
    return a.where(size < 8, near, _far(clamp(size, 8.0, math.inf), _I0_FAR))


@define("i1e", FLOAT64, ulp=6.0)
def _i1e(x: Expr) -> Expr:
    size = abs(x)
    near = size * polynomial(clamp(size, 0.0, 8.0) * 0.25 - 1, _I1_NEAR)
    return a.copysign(a.where(size < 8, near, _far(clamp(size, 8.0, math.inf), _I1_FAR)), x)


def _unscaled(x: Expr, scaled: Expr) -> Expr:
    """Times ``exp(|x|)``, in two parts, since the product overflows after it."""
    part = a.exp(abs(x) * 0.5)
    return a.where(a.equal(abs(x), math.inf), x, scaled * part * part)


define("i0", FLOAT64, ulp=6.0)(lambda x: _unscaled(abs(x), a.i0e(x)))
define("i1", FLOAT64, ulp=9.0)(lambda x: _unscaled(x, a.i1e(x)))


define("i0", FLOAT32, ulp=0.6)(lambda x: a.cast(a.i0(a.cast(x, np.float64)), np.float32))
define("i1", FLOAT32, ulp=0.6)(lambda x: a.cast(a.i1(a.cast(x, np.float64)), np.float32))
define("i0e", FLOAT32, ulp=0.6)(lambda x: a.cast(a.i0e(a.cast(x, np.float64)), np.float32))
define("i1e", FLOAT32, ulp=0.6)(lambda x: a.cast(a.i1e(a.cast(x, np.float64)), np.float32))
