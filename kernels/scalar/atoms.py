"""The atoms: a row each, with NumPy's name, the kinds taken and given, derivatives, exact value, smooth domain.

A derivative is a function of the operands and of the value ``y``. Where a function has a kink: ``abs'(0) = 0``,
``maximum`` and ``minimum`` split a tie in halves, steps (``floor``, ``sign``, ``round``) have derivative zero.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

from tensorlite.kernels.scalar.expr import ATOMS, FAMILIES, Atom, Call, Const, Expr, Number, Operand, find_atom

ANY = (-3.0, 3.0)
POSITIVE = (0.2, 4.0)
UNIT = (-0.9, 0.9)


def _atom(name: str, arity: int, numpy: str | None = "", **row: Any) -> Atom:
    row["derivatives"] = row.get("derivatives", (None,) * arity)
    row["domain"] = row.get("domain", (ANY,) * arity)
    ATOMS[name] = Atom(name, arity, name if numpy == "" else numpy, **row)
    return ATOMS[name]


def _whole(rounding: Callable[[float], int]) -> Callable[[Any], Number]:
    def fold(x: Any) -> Number:
        return x if isinstance(x, int) else math.copysign(float(rounding(x)), x)

    return fold


def _integers(function: Callable[..., Number]) -> Callable[..., Number]:
    def fold(*values: Any) -> Number:
        if not all(type(value) is int for value in values):
            raise TypeError("folded for integers only")
        return function(*values)

    return fold


def _real(function: Callable[..., Number]) -> Callable[..., Number]:
    def fold(*values: Any) -> Number:
        if any(isinstance(value, (bool, complex)) for value in values):
            raise TypeError("folded for real numbers only")
        return function(*values)

    return fold


def _power(x: int, y: int) -> int:
    if y < 0 or y > 64:
        raise ValueError("not an exact integer power")
    return int(x**y)


def _extremum(pick: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Number]:
    def fold(x: Any, y: Any) -> Number:
        return math.nan if x != x or y != y else pick(x, y)

    return _real(fold)


# Arithmetic

add: Atom = _atom("add", 2, accepts="any", derivatives=(lambda a, b, y: 1, lambda a, b, y: 1), fold=_real(operator.add))
subtract: Atom = _atom("subtract", 2, derivatives=(lambda a, b, y: 1, lambda a, b, y: -1), fold=_real(operator.sub))
multiply: Atom = _atom(
    "multiply", 2, accepts="any", derivatives=(lambda a, b, y: b, lambda a, b, y: a), fold=_real(operator.mul)
)
divide: Atom = _atom(
    "divide",
    2,
    accepts="floating",
    derivatives=(lambda a, b, y: reciprocal(b), lambda a, b, y: -y / b),
    fold=_real(operator.truediv),
    domain=(ANY, POSITIVE),
)
floor_divide: Atom = _atom(
    "floor_divide", 2, accepts="real", fold=_integers(operator.floordiv), domain=((0.6, 0.9), (0.4, 0.5))
)
remainder: Atom = _atom(
    "remainder",
    2,
    accepts="real",
    derivatives=(lambda a, b, y: 1, lambda a, b, y: -floor_divide(a, b)),
    fold=_integers(operator.mod),
    domain=((0.6, 0.7), (0.4, 0.5)),
)
pow_: Atom = _atom(
    "pow",
    2,
    "power",
    derivatives=(
        lambda a, b, y: where(equal(b, 0), 0, b * pow_(a, b - 1)),
        lambda a, b, y: where(logical_and(equal(a, 0), b >= 0), 0, y * log(a)),
    ),
    fold=_integers(_power),
    domain=(POSITIVE, (-2.0, 2.5)),
)
negative: Atom = _atom("negative", 1, derivatives=(lambda x, y: -1,), fold=_real(operator.neg))
positive: Atom = _atom("positive", 1, derivatives=(lambda x, y: 1,), fold=_real(operator.pos))
abs_: Atom = _atom(
    "abs",
    1,
    "absolute",
    accepts="any",
    result="real",
    derivatives=(lambda x, y: sign(x),),
    complex_derivatives=(lambda x, y: conj(sign(x)),),
    fold=_real(operator.abs),
    domain=(POSITIVE,),
)
sign: Atom = _atom("sign", 1, domain=(POSITIVE,))
square: Atom = _atom("square", 1, derivatives=(lambda x, y: 2 * x,), fold=_real(lambda x: x * x))
reciprocal: Atom = _atom("reciprocal", 1, accepts="floating", derivatives=(lambda x, y: -(y * y),), domain=(POSITIVE,))
fma: Atom = _atom(
    "fma",
    3,
    None,
    accepts="real floating",
    derivatives=(lambda a, b, c, y: b, lambda a, b, c, y: a, lambda a, b, c, y: 1),
)

# Exponentials, logarithms, roots

exp: Atom = _atom("exp", 1, accepts="floating", derivatives=(lambda x, y: y,))
expm1: Atom = _atom("expm1", 1, accepts="floating", derivatives=(lambda x, y: y + 1,))
exp2: Atom = _atom("exp2", 1, accepts="floating", derivatives=(lambda x, y: y * math.log(2),))
log: Atom = _atom("log", 1, accepts="floating", derivatives=(lambda x, y: reciprocal(x),), domain=(POSITIVE,))
log1p: Atom = _atom(
    "log1p", 1, accepts="floating", derivatives=(lambda x, y: reciprocal(1 + x),), domain=((-0.8, 4.0),)
)
log2: Atom = _atom("log2", 1, accepts="floating", derivatives=(lambda x, y: 1 / math.log(2) / x,), domain=(POSITIVE,))
log10: Atom = _atom(
    "log10", 1, accepts="floating", derivatives=(lambda x, y: 1 / math.log(10) / x,), domain=(POSITIVE,)
)
sigmoid: Atom = _atom("sigmoid", 1, None, accepts="floating", derivatives=(lambda x, y: y * (1 - y),))
logaddexp: Atom = _atom(
    "logaddexp",
    2,
    accepts="real floating",
    derivatives=(
        lambda a, b, y: where(equal(a, b), 0.5, exp(a - y)),
        lambda a, b, y: where(equal(a, b), 0.5, exp(b - y)),
    ),
)
sqrt: Atom = _atom(
    "sqrt", 1, accepts="floating", derivatives=(lambda x, y: 0.5 / y,), fold=_real(math.sqrt), domain=(POSITIVE,)
)
rsqrt: Atom = _atom(
    "rsqrt", 1, None, accepts="floating", derivatives=(lambda x, y: -0.5 * y * (y * y),), domain=(POSITIVE,)
)
cbrt: Atom = _atom(
    "cbrt", 1, accepts="real floating", derivatives=(lambda x, y: 1 / (3 * (y * y)),), domain=(POSITIVE,)
)
hypot: Atom = _atom(
    "hypot",
    2,
    accepts="real floating",
    derivatives=(lambda a, b, y: where(equal(y, 0), 0, a / y), lambda a, b, y: where(equal(y, 0), 0, b / y)),
    domain=(ANY, POSITIVE),
)

# Trigonometric and hyperbolic functions

sin: Atom = _atom("sin", 1, accepts="floating", derivatives=(lambda x, y: cos(x),))
cos: Atom = _atom("cos", 1, accepts="floating", derivatives=(lambda x, y: -sin(x),))
tan: Atom = _atom("tan", 1, accepts="floating", derivatives=(lambda x, y: 1 + y * y,), domain=((-1.2, 1.2),))
asin: Atom = _atom(
    "asin", 1, "arcsin", accepts="floating", derivatives=(lambda x, y: rsqrt((1 - x) * (1 + x)),), domain=(UNIT,)
)
acos: Atom = _atom(
    "acos", 1, "arccos", accepts="floating", derivatives=(lambda x, y: -rsqrt((1 - x) * (1 + x)),), domain=(UNIT,)
)
atan: Atom = _atom("atan", 1, "arctan", accepts="floating", derivatives=(lambda x, y: reciprocal(1 + x * x),))
atan2: Atom = _atom(
    "atan2",
    2,
    "arctan2",
    accepts="real floating",
    derivatives=(lambda a, b, y: b / (a * a + b * b), lambda a, b, y: -a / (a * a + b * b)),
    domain=(ANY, POSITIVE),
)
sinh: Atom = _atom("sinh", 1, accepts="floating", derivatives=(lambda x, y: cosh(x),))
cosh: Atom = _atom("cosh", 1, accepts="floating", derivatives=(lambda x, y: sinh(x),))
tanh: Atom = _atom("tanh", 1, accepts="floating", derivatives=(lambda x, y: 1 - y * y,))
asinh: Atom = _atom("asinh", 1, "arcsinh", accepts="floating", derivatives=(lambda x, y: rsqrt(x * x + 1),))
acosh: Atom = _atom(
    "acosh",
    1,
    "arccosh",
    accepts="floating",
    derivatives=(lambda x, y: rsqrt(x - 1) * rsqrt(x + 1),),
    domain=((1.2, 4.0),),
)
atanh: Atom = _atom(
    "atanh", 1, "arctanh", accepts="floating", derivatives=(lambda x, y: reciprocal((1 - x) * (1 + x)),), domain=(UNIT,)
)
erf: Atom = _atom(
    "erf", 1, None, accepts="real floating", derivatives=(lambda x, y: 2 / math.sqrt(math.pi) * exp(-(x * x)),)
)
erfc: Atom = _atom(
    "erfc", 1, None, accepts="real floating", derivatives=(lambda x, y: -2 / math.sqrt(math.pi) * exp(-(x * x)),)
)
erfinv: Atom = _atom(
    "erfinv",
    1,
    None,
    accepts="real floating",
    derivatives=(lambda x, y: math.sqrt(math.pi) / 2 * exp(y * y),),
    domain=(UNIT,),
)
lgamma: Atom = _atom(
    "lgamma", 1, None, accepts="real floating", derivatives=(lambda x, y: digamma(x),), domain=(POSITIVE,)
)
digamma: Atom = _atom(
    "digamma", 1, None, accepts="real floating", derivatives=(lambda x, y: polygamma(x, 1),), domain=(POSITIVE,)
)


def _over(numerator: Expr, x: Operand) -> Expr:
    """The quotient of a function that is about ``x / 2`` near 0; 0 where it overflows, beside a larger one."""
    quotient = where(equal(abs_(numerator), math.inf), 0, numerator) / where(equal(x, 0), 1, x)
    return where(equal(x, 0), 0.5, quotient)


i0: Atom = _atom("i0", 1, None, accepts="real floating", derivatives=(lambda x, y: i1(x),))
i1: Atom = _atom("i1", 1, None, accepts="real floating", derivatives=(lambda x, y: i0(x) - _over(y, x),))
i0e: Atom = _atom(
    "i0e", 1, None, accepts="real floating", derivatives=(lambda x, y: i1e(x) - sign(x) * y,), domain=((0.1, 3.0),)
)
i1e: Atom = _atom(
    "i1e",
    1,
    None,
    accepts="real floating",
    derivatives=(lambda x, y: i0e(x) - abs_(y) - _over(y, x),),
    domain=((0.1, 3.0),),
)
erfcx: Atom = _atom(
    "erfcx", 1, None, accepts="real floating", derivatives=(lambda x, y: 2 * x * y - 2 / math.sqrt(math.pi),)
)
ndtri: Atom = _atom(
    "ndtri",
    1,
    None,
    accepts="real floating",
    derivatives=(lambda x, y: math.sqrt(2 * math.pi) * exp(y * y * 0.5),),
    domain=((0.1, 0.9),),
)

# Rounding, extrema, sign bits

floor: Atom = _atom("floor", 1, accepts="real", fold=_real(_whole(math.floor)), domain=((0.1, 0.9),))
ceil: Atom = _atom("ceil", 1, accepts="real", fold=_real(_whole(math.ceil)), domain=((0.1, 0.9),))
trunc: Atom = _atom("trunc", 1, accepts="real", fold=_real(_whole(math.trunc)), domain=((0.1, 0.9),))
round_: Atom = _atom("round", 1, "rint", accepts="real", fold=_real(_whole(round)), domain=((0.6, 0.9),))
maximum: Atom = _atom(
    "maximum",
    2,
    accepts="any real",
    derivatives=(
        lambda a, b, y: where(equal(a, b), 0.5, where(a > b, 1.0, 0.0)),
        lambda a, b, y: where(equal(a, b), 0.5, where(a > b, 0.0, 1.0)),
    ),
    fold=_extremum(max),
    domain=((-3.0, 0.0), (0.1, 3.0)),
)
minimum: Atom = _atom(
    "minimum",
    2,
    accepts="any real",
    derivatives=(
        lambda a, b, y: where(equal(a, b), 0.5, where(a < b, 1.0, 0.0)),
        lambda a, b, y: where(equal(a, b), 0.5, where(a < b, 0.0, 1.0)),
    ),
    fold=_extremum(min),
    domain=((-3.0, 0.0), (0.1, 3.0)),
)
copysign: Atom = _atom(
    "copysign",
    2,
    accepts="real floating",
    derivatives=(lambda a, b, y: where(equal(a, 0), 0.0, where(equal(signbit(a), signbit(b)), 1.0, -1.0)), None),
    domain=(POSITIVE, POSITIVE),
)
nextafter: Atom = _atom("nextafter", 2, accepts="real floating", derivatives=(lambda a, b, y: 1, None))
signbit: Atom = _atom("signbit", 1, accepts="real floating", result="bool", domain=(POSITIVE,))

# Comparison, logic, bits

_COMPARE: dict[str, Any] = {"accepts": "any", "result": "bool", "domain": ((-3.0, 0.0), (0.1, 3.0))}
less: Atom = _atom("less", 2, fold=_real(operator.lt), **_COMPARE)
less_equal: Atom = _atom("less_equal", 2, fold=_real(operator.le), **_COMPARE)
greater: Atom = _atom("greater", 2, fold=_real(operator.gt), **_COMPARE)
greater_equal: Atom = _atom("greater_equal", 2, fold=_real(operator.ge), **_COMPARE)
equal: Atom = _atom("equal", 2, fold=_real(operator.eq), **_COMPARE)
not_equal: Atom = _atom("not_equal", 2, fold=_real(operator.ne), **_COMPARE)
logical_and: Atom = _atom("logical_and", 2, accepts="any", result="bool", fold=lambda a, b: bool(a and b))
logical_or: Atom = _atom("logical_or", 2, accepts="any", result="bool", fold=lambda a, b: bool(a or b))
logical_xor: Atom = _atom("logical_xor", 2, accepts="any", result="bool", fold=lambda a, b: bool(a) != bool(b))
logical_not: Atom = _atom("logical_not", 1, accepts="any", result="bool", fold=operator.not_)
bitwise_and: Atom = _atom("bitwise_and", 2, accepts="integer", fold=_integers(operator.and_))
bitwise_or: Atom = _atom("bitwise_or", 2, accepts="integer", fold=_integers(operator.or_))
bitwise_xor: Atom = _atom("bitwise_xor", 2, accepts="integer", fold=_integers(operator.xor))
bitwise_invert: Atom = _atom("bitwise_invert", 1, "invert", accepts="integer", fold=_integers(operator.invert))
left_shift: Atom = _atom("left_shift", 2, accepts="whole", fold=_integers(operator.lshift))
right_shift: Atom = _atom("right_shift", 2, accepts="whole", fold=_integers(operator.rshift))
isfinite: Atom = _atom("isfinite", 1, accepts="any", result="bool", fold=_real(math.isfinite))
isinf: Atom = _atom("isinf", 1, accepts="any", result="bool", fold=_real(math.isinf))
isnan: Atom = _atom("isnan", 1, accepts="any", result="bool", fold=_real(math.isnan))
where: Atom = _atom(
    "where", 3, accepts="any", derivatives=(None, lambda c, a, b, y: where(c, 1, 0), lambda c, a, b, y: where(c, 0, 1))
)

# Complex numbers: on reals, conj and real are the identity and imag is zero

real: Atom = _atom("real", 1, result="real", derivatives=(lambda x, y: 1,), fold=_real(operator.pos))
imag: Atom = _atom("imag", 1, result="real", complex_derivatives=(lambda x, y: -1j,))
conj: Atom = _atom("conj", 1, "conjugate", derivatives=(lambda x, y: 1,), fold=_real(operator.pos))
angle: Atom = _atom(
    "angle", 1, accepts="floating", result="real", complex_derivatives=(lambda x, y: -1j / x,), domain=(POSITIVE,)
)


@functools.cache
def _cast(dtype: np.dtype[Any]) -> Atom:
    return Atom(
        f"cast[{dtype.name}]",
        1,
        None,
        "any",
        "dtype",
        derivatives=(lambda x, y: 1,),
        complex_derivatives=(lambda x, y: 1,),
        domain=(ANY,),
        dtype=dtype,
    )


@functools.cache
def _bitcast(dtype: np.dtype[Any]) -> Atom:
    return Atom(f"bitcast[{dtype.name}]", 1, None, "any", "dtype", derivatives=(None,), domain=(ANY,), dtype=dtype)


@functools.cache
def _polygamma(order: int) -> Atom:
    return Atom(
        f"polygamma[{order}]",
        1,
        None,
        "real floating",
        derivatives=(lambda x, y: polygamma(x, order + 1),),
        domain=(POSITIVE,),
    )


FAMILIES.update(
    cast=lambda name: _cast(np.dtype(name)),
    bitcast=lambda name: _bitcast(np.dtype(name)),
    polygamma=lambda order: _polygamma(int(order)),
)


def polygamma(x: Operand, order: int) -> Expr:
    """The derivative of ``digamma`` of an order from 1 on."""
    return find_atom(f"polygamma[{order}]")(x)


def cast(x: Operand, dtype: Any) -> Expr:
    """Convert ``x`` to ``dtype``; a cast constant is no longer weak."""
    return _cast(np.dtype(dtype))(x)


def bitcast(x: Operand, dtype: Any) -> Expr:
    """Read the bits of ``x`` as a value of another dtype of the same width."""
    return _bitcast(np.dtype(dtype))(x)


def is_call(expr: Expr, atom: Atom) -> bool:
    """Tell whether ``expr`` is a call of ``atom``."""
    return isinstance(expr, Call) and expr.atom is atom


def is_number(expr: Expr, value: Number) -> bool:
    """Tell whether ``expr`` is the constant ``value``, of any kind; -0.0 is not 0."""
    if not isinstance(expr, Const) or expr.value != value:
        return False
    return not (isinstance(expr.value, float) and value == 0 and math.copysign(1.0, expr.value) < 0)
