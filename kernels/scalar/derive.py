"""Derivatives by the chain rule over atoms."""

from __future__ import annotations

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.expr import Call, Const, Expr, Var, as_expr, postorder


def differentiate(body: Expr, wrt: str, *, complex: bool = False) -> Expr:
    """Return d body / d wrt, sharing subexpressions with ``body``.

    With ``complex`` the variables are complex. A holomorphic body has its complex derivative ``d``, and the cotangent
    of ``wrt`` is ``g * conj(d)``; the same product holds for a body that is a single ``abs``, ``real``, ``imag`` or
    ``angle``. ``conj``, and those inside a larger body, have no such ``d``: a TypeError is raised.

    >>> from tensorlite.kernels.scalar import Var, tanh, text
    >>> text(differentiate(tanh(Var("x")), "x"))
    '_0=tanh(x); _1=multiply(_0,_0); subtract(1,_1)'
    """
    slopes: dict[Expr, Expr] = {}
    for node in postorder(body):
        if isinstance(node, Var):
            if node.name == wrt:
                slopes[node] = Const(1)
        elif isinstance(node, Call):
            slope = _slope(node, slopes, complex, outermost=node is body)
            if slope is not None:
                slopes[node] = slope
    return slopes.get(body, Const(0))


def _slope(node: Call, slopes: dict[Expr, Expr], complex: bool, outermost: bool) -> Expr | None:
    total: Expr | None = None
    for rule, operand in zip(_rules(node, slopes, complex, outermost), node.args, strict=True):
        if rule is None or operand not in slopes:
            continue
        local = as_expr(rule(*node.args, node))
        if a.is_number(local, 0):
            continue
        term = _masked(local, slopes[operand])
        total = term if total is None else total + term
    return total


def _rules(node: Call, slopes: dict[Expr, Expr], complex: bool, outermost: bool):  # type: ignore[no-untyped-def]
    if not complex or not any(operand in slopes for operand in node.args):
        return node.atom.derivatives
    if node.atom is a.conj or (node.atom.result == "real" and not (outermost and isinstance(node.args[0], Var))):
        raise TypeError(f"differentiate: {node.atom.name} has no complex derivative inside an expression")
    return node.atom.complex_derivatives or node.atom.derivatives


def _masked(local: Expr, slope: Expr) -> Expr:
    """``where(c, 1, 0) * slope`` is spelled ``where(c, slope, 0)``: the branch not taken contributes no inf * 0."""
    if a.is_call(local, a.where):
        condition, chosen, other = local.args
        if a.is_number(chosen, 1) and a.is_number(other, 0):
            return a.where(condition, slope, 0)
        if a.is_number(chosen, 0) and a.is_number(other, 1):
            return a.where(condition, 0, slope)
    return local * slope
