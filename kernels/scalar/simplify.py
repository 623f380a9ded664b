"""Exact algebraic rules, each named by its equation, applied whenever an atom is called.

A rule keeps every value of every dtype, signed zeros, infinities and NaN included; so ``x + 0 = x`` (wrong for ``x =
-0.0``) and ``x * 0 = 0`` (wrong for infinities) are not among them. Tests: ``tests/kernels/scalar/test_simplify.py``.
"""

from __future__ import annotations

import math

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.expr import IDENTITIES, Call, Const, Expr, call, postorder


def _commuted(x: Expr, y: Expr) -> tuple[tuple[Expr, Expr], ...]:
    return ((x, y), (y, x))


def x_times_1_is_x(x: Expr, y: Expr) -> Expr | None:
    """``x * 1 = x``."""
    return next((p for p, q in _commuted(x, y) if _is_one(q)), None)


def x_times_minus_1_is_minus_x(x: Expr, y: Expr) -> Expr | None:
    """``x * -1 = -x``."""
    return next((a.negative(p) for p, q in _commuted(x, y) if a.is_number(q, -1)), None)


def minus_x_times_minus_y_is_x_times_y(x: Expr, y: Expr) -> Expr | None:
    """``-x * -y = x * y``."""
    if a.is_call(x, a.negative) and a.is_call(y, a.negative):
        return x.args[0] * y.args[0]
    return None


def x_plus_minus_y_is_x_minus_y(x: Expr, y: Expr) -> Expr | None:
    """``x + -y = x - y``."""
    return next((p - q.args[0] for p, q in _commuted(x, y) if a.is_call(q, a.negative)), None)


def x_minus_0_is_x(x: Expr, y: Expr) -> Expr | None:
    """``x - 0 = x``."""
    return x if a.is_number(y, 0) else None


def x_minus_minus_y_is_x_plus_y(x: Expr, y: Expr) -> Expr | None:
    """``x - -y = x + y``."""
    return x + y.args[0] if a.is_call(y, a.negative) else None


def x_over_1_is_x(x: Expr, y: Expr) -> Expr | None:
    """``x / 1 = x``."""
    return x if _is_one(y) else None


def x_over_power_of_2_is_a_product(x: Expr, y: Expr) -> Expr | None:
    """``x / 2**k = x * 2**-k`` while both are normal numbers of every dtype."""
    if isinstance(y, Const) and isinstance(y.value, (int, float)) and not isinstance(x, Const):
        mantissa, exponent = math.frexp(y.value)
        if abs(mantissa) == 0.5 and abs(exponent) <= 14:
            return x * (1 / y.value)
    return None


def minus_minus_x_is_x(x: Expr) -> Expr | None:
    """``-(-x) = x``."""
    return x.args[0] if a.is_call(x, a.negative) else None


def abs_abs_x_is_abs_x(x: Expr) -> Expr | None:
    """``abs(abs(x)) = abs(x)``; ``abs(-x)`` is another number where x is unsigned."""
    return x if a.is_call(x, a.abs_) else None


def square_ignores_sign(x: Expr) -> Expr | None:
    """``square(-x) = square(x)``."""
    return a.square(x.args[0]) if a.is_call(x, a.negative) else None


def power_0_is_1(x: Expr, y: Expr) -> Expr | None:
    """``x ** 0 = 1`` (of NaN too, as in IEEE 754)."""
    return Const(1) if a.is_number(y, 0) else None


def power_1_is_x(x: Expr, y: Expr) -> Expr | None:
    """``x ** 1 = x``."""
    return x if a.is_number(y, 1) else None


def power_2_is_square(x: Expr, y: Expr) -> Expr | None:
    """``x ** 2 = square(x)``."""
    return a.square(x) if a.is_number(y, 2) else None


def x_is_x(x: Expr) -> Expr | None:
    """``+x = x``."""
    return x


def extremum_of_x_and_x_is_x(x: Expr, y: Expr) -> Expr | None:
    """``maximum(x, x) = x``."""
    return x if x is y else None


def where_same_is_that(c: Expr, x: Expr, y: Expr) -> Expr | None:
    """``where(c, x, x) = x``."""
    return x if x is y else None


def where_constant_chooses(c: Expr, x: Expr, y: Expr) -> Expr | None:
    """``where(True, x, y) = x``."""
    if isinstance(c, Const):
        return x if c.value else y
    return None


def where_not_swaps(c: Expr, x: Expr, y: Expr) -> Expr | None:
    """``where(not c, x, y) = where(c, y, x)``."""
    return a.where(c.args[0], y, x) if a.is_call(c, a.logical_not) else None


def conj_conj_x_is_x(x: Expr) -> Expr | None:
    """``conj(conj(x)) = x``."""
    return x.args[0] if a.is_call(x, a.conj) else None


def invert_invert_x_is_x(x: Expr) -> Expr | None:
    """``~~x = x``."""
    return x.args[0] if a.is_call(x, a.bitwise_invert) else None


def rounding_twice_is_once(x: Expr) -> Expr | None:
    """``floor(ceil(x)) = ceil(x)``, and so on."""
    return x if any(a.is_call(x, atom) for atom in (a.floor, a.ceil, a.trunc, a.round_)) else None


def _is_one(x: Expr) -> bool:
    return isinstance(x, Const) and x.value == 1 and type(x.value) in (int, float)


IDENTITIES.update(
    multiply=(x_times_1_is_x, x_times_minus_1_is_minus_x, minus_x_times_minus_y_is_x_times_y),
    add=(x_plus_minus_y_is_x_minus_y,),
    subtract=(x_minus_0_is_x, x_minus_minus_y_is_x_plus_y),
    divide=(x_over_1_is_x, x_over_power_of_2_is_a_product),
    negative=(minus_minus_x_is_x,),
    abs=(abs_abs_x_is_abs_x,),
    square=(square_ignores_sign,),
    pow=(power_0_is_1, power_1_is_x, power_2_is_square),
    positive=(x_is_x,),
    maximum=(extremum_of_x_and_x_is_x,),
    minimum=(extremum_of_x_and_x_is_x,),
    where=(where_same_is_that, where_constant_chooses, where_not_swaps),
    conj=(conj_conj_x_is_x,),
    bitwise_invert=(invert_invert_x_is_x,),
    **dict.fromkeys(("floor", "ceil", "trunc", "round"), (rounding_twice_is_once,)),
)


def simplify(expr: Expr) -> Expr:
    """Rebuild ``expr`` so that every call has met the rules; the value is the same.

    >>> from tensorlite.kernels.scalar import Call, Const, Var, multiply
    >>> simplify(Call(multiply, (Var("x"), Const(1)))) is Var("x")
    True
    """
    built: dict[Expr, Expr] = {}
    for node in postorder(expr):
        built[node] = call(node.atom, tuple(built[arg] for arg in node.args)) if isinstance(node, Call) else node
    return built[expr]
