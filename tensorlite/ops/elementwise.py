"""Elementwise ops: each is one scalar function, and everything else about it is read from that.

Derivatives follow from the chain rule over the atoms. Where that rule loses accuracy or meets 0 * inf, one is
stated. At kinks: ``relu`` at 0 is 0, ``maximum`` and ``minimum`` split a tie, ``abs`` at 0 is 0.
"""

from __future__ import annotations

import math

from tensorlite.declare import elementwise
from tensorlite.kernels import scalar as s

# --- arithmetic ---------------------------------------------------------------------------------------------------


@elementwise(accepts="any")
def add(x1, x2):
    """The sum ``x1 + x2``; of bools, their logical or."""
    return s.add(x1, x2)


@elementwise
def subtract(x1, x2):
    """The difference ``x1 - x2``."""
    return s.subtract(x1, x2)


@elementwise(accepts="any")
def multiply(x1, x2):
    """The product ``x1 * x2``; of bools, their logical and."""
    return s.multiply(x1, x2)


@elementwise(accepts="floating", domain={"x2": (0.3, 3.0)},
             vjp={"x1": lambda g, x2: g / s.conj(x2), "x2": lambda g, y, x2: -g * s.conj(y / x2)})
def divide(x1, x2):
    """The quotient ``x1 / x2``; integers are divided as floats."""
    return s.divide(x1, x2)


@elementwise(accepts="real", domain={"x2": (0.3, 3.0)})
def floor_divide(x1, x2):
    """The quotient rounded towards minus infinity; an integer divided by zero gives 0."""
    return s.floor_divide(x1, x2)


@elementwise(accepts="real", domain={"x2": (0.3, 3.0)})
def remainder(x1, x2):
    """What is left of ``x1`` after ``floor_divide(x1, x2) * x2``, with the sign of ``x2``."""
    return s.remainder(x1, x2)


def _stays_zero(x1, x2):
    """Whether a power is 0 or 1 for every exponent near ``x2``."""
    return s.logical_and(s.equal(x1, 0), s.real(x2) >= 0)


@elementwise(autocast="wide", domain={"x1": (0.2, 2.0)}, vjp={
    "x1": lambda g, x1, x2: g * s.conj(s.where(s.equal(x2, 0), 0, x2 * x1 ** (x2 - 1))),
    "x2": lambda g, y, x1, x2: g * s.conj(s.where(_stays_zero(x1, x2), 0, y * s.log(x1)))})
def pow(x1, x2):
    """``x1`` to the power ``x2``; an integer to a negative integer power raises."""
    return s.pow(x1, x2)


@elementwise
def negative(x):
    """The number with its sign changed."""
    return s.negative(x)


@elementwise
def positive(x):
    """The number itself."""
    return s.positive(x)


@elementwise(vjp={"x": lambda g, x: g * s.sign(x)}, domain={"x": (0.1, 3.0)})
def abs(x):
    """The absolute value, or a complex number's modulus."""
    return s.abs(x)


@elementwise
def square(x):
    """The number times itself."""
    return s.square(x)


@elementwise(autocast="wide", accepts="floating", domain={"x": (0.3, 3.0)})
def reciprocal(x):
    """One over the number."""
    return s.reciprocal(x)


@elementwise(accepts="floating", domain={"x": (0.1, 4.0)})
def sqrt(x):
    """The square root; NaN below zero."""
    return s.sqrt(x)


@elementwise(autocast="wide", accepts="floating", domain={"x": (0.1, 4.0)})
def rsqrt(x):
    """One over the square root."""
    return s.rsqrt(x)


@elementwise(accepts="real floating", domain={"x1": (0.5, 3.0), "x2": (0.5, 3.0)})
def hypot(x1, x2):
    """``sqrt(x1**2 + x2**2)`` without overflow on the way."""
    return s.hypot(x1, x2)


@elementwise(accepts="real or bool")
def maximum(x1, x2):
    """The larger of two numbers; NaN where either is. A tie splits the derivative."""
    return s.maximum(x1, x2)


@elementwise(accepts="real or bool")
def minimum(x1, x2):
    """The smaller of two numbers; NaN where either is. A tie splits the derivative."""
    return s.minimum(x1, x2)


# --- exponentials and logarithms ----------------------------------------------------------------------------------


@elementwise(autocast="wide", accepts="floating")
def exp(x):
    """The exponential function."""
    return s.exp(x)


@elementwise(autocast="wide", accepts="floating")
def exp2(x):
    """Two to the power of the number."""
    return s.exp2(x)


@elementwise(autocast="wide", accepts="floating", vjp={"x": lambda g, y: g * s.conj(y + 1)})
def expm1(x):
    """``exp(x) - 1``, accurate near zero."""
    return s.expm1(x)


@elementwise(autocast="wide", accepts="floating", domain={"x": (0.1, 4.0)})
def log(x):
    """The natural logarithm."""
    return s.log(x)


@elementwise(autocast="wide", accepts="floating", domain={"x": (-0.5, 3.0)})
def log1p(x):
    """``log(1 + x)``, accurate near zero."""
    return s.log1p(x)


@elementwise(autocast="wide", accepts="floating", domain={"x": (0.1, 4.0)})
def log2(x):
    """The logarithm to base 2."""
    return s.log2(x)


@elementwise(autocast="wide", accepts="floating", domain={"x": (0.1, 4.0)})
def log10(x):
    """The logarithm to base 10."""
    return s.log10(x)


def _share(x, other):
    """``exp(x) / (exp(x) + exp(other))``: a half where both are the same infinity."""
    gap = s.where(s.logical_and(s.equal(x, other), s.isinf(x)), 0, other - x)
    return 1 / (1 + s.exp(gap))


@elementwise(autocast="wide", accepts="real floating", name="logaddexp", hidden=True, vjp={
    "x1": lambda g, x1, x2: g * _share(x1, x2), "x2": lambda g, x1, x2: g * _share(x2, x1)})
def _logaddexp(x1, x2):
    """``log(exp(x1) + exp(x2))`` without overflow."""
    return s.logaddexp(x1, x2)


def _share_of_2(x, other):
    """``2**x / (2**x + 2**other)``: a half where both are the same infinity."""
    gap = s.where(s.logical_and(s.equal(x, other), s.isinf(x)), 0, other - x)
    return 1 / (1 + s.exp2(gap))


@elementwise(autocast="wide", accepts="real floating", vjp={"x1": lambda g, x1, x2: g * _share_of_2(x1, x2),
                                           "x2": lambda g, x1, x2: g * _share_of_2(x2, x1)})
def logaddexp2(x1, x2):
    """``log2(2**x1 + 2**x2)`` without overflow."""
    far = s.log1p(s.exp2(-s.abs(x1 - x2))) * (1 / math.log(2))
    return s.where(s.equal(x1, x2), x1 + 1, s.maximum(x1, x2) + far)


# --- trigonometric and hyperbolic ---------------------------------------------------------------------------------


@elementwise(accepts="floating")
def sin(x):
    """The sine of an angle in radians."""
    return s.sin(x)


@elementwise(accepts="floating")
def cos(x):
    """The cosine of an angle in radians."""
    return s.cos(x)


@elementwise(autocast="wide", accepts="floating", domain={"x": (-1.2, 1.2)})
def tan(x):
    """The tangent of an angle in radians."""
    return s.tan(x)


@elementwise(autocast="wide", accepts="floating", domain={"x": (-0.9, 0.9)})
def asin(x):
    """The angle in radians whose sine is the number."""
    return s.asin(x)


@elementwise(autocast="wide", accepts="floating", domain={"x": (-0.9, 0.9)})
def acos(x):
    """The angle in radians whose cosine is the number."""
    return s.acos(x)


@elementwise(accepts="floating")
def atan(x):
    """The angle in radians whose tangent is the number."""
    return s.atan(x)


def _over_square(x, radius):
    """``x / radius**2`` without overflow or underflow on the way, and 0 at the origin."""
    return s.where(s.equal(radius, 0), 0, x / radius / radius)


@elementwise(accepts="real floating", domain={"x1": (0.3, 3.0), "x2": (0.3, 3.0)}, vjp={
    "x1": lambda g, x1, x2: g * _over_square(x2, s.hypot(x1, x2)),
    "x2": lambda g, x1, x2: -g * _over_square(x1, s.hypot(x1, x2))})
def atan2(x1, x2):
    """The angle in radians of the point ``(x2, x1)``, in its quadrant."""
    return s.atan2(x1, x2)


@elementwise(autocast="wide", accepts="floating")
def sinh(x):
    """The hyperbolic sine."""
    return s.sinh(x)


@elementwise(autocast="wide", accepts="floating")
def cosh(x):
    """The hyperbolic cosine."""
    return s.cosh(x)


@elementwise(accepts="floating")
def tanh(x):
    """The hyperbolic tangent."""
    return s.tanh(x)


@elementwise(accepts="floating")
def asinh(x):
    """The inverse of ``sinh``."""
    return s.asinh(x)


@elementwise(accepts="floating", domain={"x": (1.2, 4.0)})
def acosh(x):
    """The inverse of ``cosh``; NaN below one."""
    return s.acosh(x)


@elementwise(accepts="floating", domain={"x": (-0.9, 0.9)})
def atanh(x):
    """The inverse of ``tanh``; NaN beyond one."""
    return s.atanh(x)


# --- rounding and signs -------------------------------------------------------------------------------------------


@elementwise(accepts="real")
def floor(x):
    """The nearest integer below or equal."""
    return s.floor(x)


@elementwise(accepts="real")
def ceil(x):
    """The nearest integer above or equal."""
    return s.ceil(x)


@elementwise(accepts="real")
def trunc(x):
    """The number without its fraction."""
    return s.trunc(x)


@elementwise(differentiable=True)
def sign(x):
    """-1, 0 or 1, or NaN for NaN; ``x / abs(x)`` of a complex number."""
    return s.sign(x)


@elementwise(accepts="real floating", domain={"x1": (0.1, 3.0), "x2": (0.1, 3.0)})
def copysign(x1, x2):
    """``x1`` with the sign of ``x2``."""
    return s.copysign(x1, x2)


@elementwise(accepts="real floating", differentiable=False)
def nextafter(x1, x2):
    """The next floating number after ``x1`` towards ``x2``."""
    return s.nextafter(x1, x2)


@elementwise(accepts="real floating", differentiable=False)
def signbit(x):
    """Whether the sign bit is set, as it is for -0.0."""
    return s.signbit(x)


# --- comparisons and logic -----------------------------------------------------------------------------------------


@elementwise(accepts="real or bool", differentiable=False)
def less(x1, x2):
    """Whether ``x1 < x2``."""
    return s.less(x1, x2)


@elementwise(accepts="real or bool", differentiable=False)
def less_equal(x1, x2):
    """Whether ``x1 <= x2``."""
    return s.less_equal(x1, x2)


@elementwise(accepts="real or bool", differentiable=False)
def greater(x1, x2):
    """Whether ``x1 > x2``."""
    return s.greater(x1, x2)


@elementwise(accepts="real or bool", differentiable=False)
def greater_equal(x1, x2):
    """Whether ``x1 >= x2``."""
    return s.greater_equal(x1, x2)


@elementwise(accepts="any", differentiable=False)
def equal(x1, x2):
    """Whether ``x1 == x2``; never for NaN."""
    return s.equal(x1, x2)


@elementwise(accepts="any", differentiable=False)
def not_equal(x1, x2):
    """Whether ``x1 != x2``; always for NaN."""
    return s.not_equal(x1, x2)


@elementwise(accepts="any", differentiable=False)
def logical_and(x1, x2):
    """Whether both are true (not zero)."""
    return s.logical_and(x1, x2)


@elementwise(accepts="any", differentiable=False)
def logical_or(x1, x2):
    """Whether either is true (not zero)."""
    return s.logical_or(x1, x2)


@elementwise(accepts="any", differentiable=False)
def logical_xor(x1, x2):
    """Whether exactly one is true (not zero)."""
    return s.logical_xor(x1, x2)


@elementwise(accepts="any", differentiable=False)
def logical_not(x):
    """Whether the number is zero, or the bool false."""
    return s.logical_not(x)


@elementwise(accepts="any", differentiable=False)
def isfinite(x):
    """Whether the number is neither infinite nor NaN."""
    return s.isfinite(x)


@elementwise(accepts="any", differentiable=False)
def isinf(x):
    """Whether the number is infinite."""
    return s.isinf(x)


@elementwise(accepts="any", differentiable=False)
def isnan(x):
    """Whether the number is NaN."""
    return s.isnan(x)


@elementwise(accepts="any", conditions=("condition",), vjp={
    "x1": lambda g, condition: s.where(condition, g, 0), "x2": lambda g, condition: s.where(condition, 0, g)})
def where(condition, x1, x2):
    """``x1`` where the condition holds, else ``x2``."""
    return s.where(condition, x1, x2)


# --- two activations that layers are made of ---------------------------------------------------------------------


@elementwise(accepts="floating")
def sigmoid(x):
    """The logistic function ``1 / (1 + exp(-x))``."""
    return s.sigmoid(x)


@elementwise(accepts="real", vjp={"x": lambda g, y: s.where(y <= 0, 0, g)})
def relu(x):
    """The positive part ``max(x, 0)``, NaN of NaN; its derivative at 0 is 0."""
    return s.where(x <= 0, 0, x)


# --- complex numbers ----------------------------------------------------------------------------------------------


@elementwise(vjp={"x": lambda g: s.conj(g)})
def conj(x):
    """The complex conjugate; a real number itself."""
    return s.conj(x)
