"""The scalar language: small expressions that are evaluated by NumPy, differentiated, and lowered to native loops."""

from tensorlite.kernels.scalar import (
    approx_erf,
    approx_exp,
    approx_inverse,
    approx_log,
    approx_power,
    approx_power_double,
    approx_trig,
    approx_trig_double,
    exact,
)
from tensorlite.kernels.scalar.atoms import abs_ as abs
from tensorlite.kernels.scalar.atoms import (
    acos,
    acosh,
    add,
    angle,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitcast,
    bitwise_and,
    bitwise_invert,
    bitwise_or,
    bitwise_xor,
    cast,
    cbrt,
    ceil,
    conj,
    copysign,
    cos,
    cosh,
    divide,
    equal,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    fma,
    greater,
    greater_equal,
    hypot,
    imag,
    isfinite,
    isinf,
    isnan,
    left_shift,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    not_equal,
    positive,
    real,
    reciprocal,
    remainder,
    right_shift,
    rsqrt,
    sigmoid,
    sign,
    signbit,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    trunc,
    where,
)
from tensorlite.kernels.scalar.atoms import pow_ as pow
from tensorlite.kernels.scalar.atoms import round_ as rint
from tensorlite.kernels.scalar.atoms import round_ as round
from tensorlite.kernels.scalar.definitions import define, definitions
from tensorlite.kernels.scalar.derive import differentiate
from tensorlite.kernels.scalar.evaluate import apply_primitive, evaluate_typed
from tensorlite.kernels.scalar.expr import ATOMS, Atom, Call, Const, Expr, Operand, Var, as_expr, postorder
from tensorlite.kernels.scalar.function import Function, free_variables, substitute, trace
from tensorlite.kernels.scalar.lower import NoLowering, lower
from tensorlite.kernels.scalar.numpy import numpy_function, numpy_passes, numpy_ufunc
from tensorlite.kernels.scalar.simplify import simplify
from tensorlite.kernels.scalar.text import parse, text
from tensorlite.kernels.scalar.typed import PRIMITIVES, Typed, typed_text
from tensorlite.kernels.scalar.typing import ScalarTypeError, infer
