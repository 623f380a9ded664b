"""Derivatives of ops: the stated rules, and for elementwise ops the chain rule over their atoms."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tensorlite.eager import elementwise_type, runner
from tensorlite.kernels import scalar as s
from tensorlite.op import Elementwise, Op


@dataclass(frozen=True, slots=True)
class Rule:
    """The cotangent of one input: an op or a function in Tensor ops, and the names of what it is given.

    `compute` is None where the derivative is zero everywhere, and `identity` where it is the cotangent itself.
    `complex` asks for the cotangent as a complex number, as the derivatives of ``abs`` and ``imag`` do.
    """

    compute: Callable[..., Any] | Op | None
    parameters: tuple[str, ...]
    complex: bool = False


def identity(g: Any) -> Any:
    """The rule of ``x + c``: the cotangent, unchanged."""
    return g


_ZERO = Rule(None, ())
_IDENTITY = Rule(identity, ("g",))


def rule_for(op: Op, name: str, complex: bool = False) -> Rule | None:
    """The derivative of an op with respect to one input, or None where there is none.

    ``complex`` says that some tracked input is complex: then the chain rule's factor is conjugated.
    """
    if isinstance(op, Elementwise):
        is_tracked = op.differentiable and name not in op.conditions
        return _elementwise_rule(op, name, complex) if is_tracked else None
    function = op.rules.get(name)
    return None if function is None else Rule(function, tuple(inspect.signature(function).parameters))


def _elementwise_rule(op: Elementwise, name: str, complex: bool) -> Rule:
    expression = cotangent(op, name, complex)
    parameters = s.free_variables(expression)
    if expression is s.Var("g"):
        return _IDENTITY
    if "g" not in parameters:
        return _ZERO
    title = f"{op.name}_vjp_{name}{'_complex' if complex else ''}"
    return Rule(elementwise_op(_own_names(parameters, expression), title,
                               conditions=op.conditions.intersection(parameters)), parameters, complex)


def _own_names(parameters: tuple[str, ...], expression: s.Expr) -> s.Function:
    """A function of its own of a cotangent's expression: its inputs are not called ``g`` and ``y``.

    These names mean its own cotangent and output when it is differentiated in turn.
    """
    names = list(parameters)
    for taken in {"g", "y"}.intersection(parameters):
        fresh = taken + "_"
        while fresh in names:
            fresh += "_"
        names[names.index(taken)] = fresh
        expression = s.substitute(expression, {s.Var(taken): s.Var(fresh)})
    return s.Function(tuple(names), expression)


def cotangent(op: Elementwise, name: str, complex: bool = False) -> s.Expr:
    """The expression of an input's cotangent in ``g``, ``y`` (the output) and the inputs."""
    if name in op.stated:
        rule = op.stated[name]
        stated = rule(*(s.Var(p) for p in inspect.signature(rule).parameters))
        return s.simplify(stated if complex else without_conj(stated))
    body = op.function.body
    found = complex_cotangent(body, name) if complex else _scaled(s.Var("g"), s.differentiate(body, name))
    return s.simplify(found if "y" in op.inputs else s.substitute(found, {body: s.Var("y")}))


def complex_cotangent(body: s.Expr, name: str) -> s.Expr:
    """The cotangent of a complex input, from the output to it: its users' times their conjugate slopes.

    ``conj`` reflects a cotangent, which no slope could say. The scalar language mixes no real numbers with complex
    ones, so that an op with a real value is a whole body, and its ``g`` is real though of the complex dtype.
    """
    cotangents: dict[s.Expr, s.Expr] = {body: s.Var("g")}
    for node in reversed(list(s.postorder(body))):
        if not isinstance(node, s.Call) or node not in cotangents:
            continue
        g = cotangents[node]
        rules = _REAL_LINEAR.get(node.atom) or node.atom.complex_derivatives or node.atom.derivatives
        for rule, operand in zip(rules, node.args, strict=True):
            if rule is None:
                continue
            if node.atom in _REAL_LINEAR:
                part = rule(g, *node.args)
            else:
                part = _scaled(g, s.conj(s.as_expr(rule(*node.args, node))))
            cotangents[operand] = cotangents[operand] + part if operand in cotangents else part
    return cotangents.get(s.Var(name), s.Const(0))


def _scaled(g: s.Expr, slope: s.Expr) -> s.Expr:
    """The product, and nothing where the slope is zero everywhere: not ``0 * g``, a NaN for an infinite ``g``."""
    return s.Const(0) if any(isinstance(x, s.Const) and x.value == 0 for x in (g, slope)) else g * slope


def _sign_cotangent(g: s.Expr, x: s.Expr) -> s.Expr:
    """That of ``u = x / abs(x)``: the part of ``g`` across ``u``, over the modulus."""
    u = s.sign(x)
    across = (g - u * u * s.conj(g)) / 2
    return s.where(s.equal(x, 0), 0 * x, across / (x * s.conj(u)))


#: Cotangents of the atoms that are linear over the real numbers only, and of ``where``, which masks.
_REAL_LINEAR: dict[Any, tuple[Any, ...]] = {
    s.conj: (lambda g, x: s.conj(g),),
    s.sign: (_sign_cotangent,),
    s.where: (None, lambda g, c, a, b: s.where(c, g, 0), lambda g, c, a, b: s.where(c, 0, g)),
}


def without_conj(expression: s.Expr) -> s.Expr:
    """The expression for real numbers, which are their own conjugates."""
    replaced: dict[s.Expr, s.Expr] = {}
    for node in s.postorder(expression):
        if isinstance(node, s.Call) and node.atom is s.conj:
            replaced[node] = s.substitute(node.args[0], replaced)
    return s.substitute(expression, replaced)


def elementwise_op(function: s.Function, name: str, accepts: str = "numeric", **facts: Any) -> Elementwise:
    """Makes an elementwise op of a scalar function."""
    op = Elementwise(name=name, kind="elementwise", body=s.numpy_function(function), inputs=function.parameters,
                     function=function, accepts=accepts, runner=runner, **facts)
    op.type_rule = functools.partial(elementwise_type, op)
    return op
