"""The canonical text of an expression, stable across processes, and its inverse."""

from __future__ import annotations

import ast
import math

from tensorlite.kernels.scalar.expr import Call, Const, Expr, Number, Var, find_atom, postorder


def text(expr: Expr) -> str:
    """Return the text: one call a statement, named ``_0``, ``_1`` ..., the last one being the value.

    >>> from tensorlite.kernels.scalar import Var, exp
    >>> x = Var("x")
    >>> text(1 / (1 + exp(-x)))
    '_0=negative(x); _1=exp(_0); _2=add(1,_1); divide(1,_2)'
    """
    names: dict[Expr, str] = {}
    statements: list[str] = []
    for node in postorder(expr):
        if isinstance(node, Call):
            spelled = f"{node.atom.name}({','.join(names[arg] for arg in node.args)})"
            names[node] = f"_{len(statements)}"
            statements.append(spelled if node is expr else f"{names[node]}={spelled}")
        else:
            names[node] = node.name if isinstance(node, Var) else _number(node.value)  # type: ignore[attr-defined]
    return "; ".join(statements) or names[expr]


def _number(value: Number) -> str:
    if isinstance(value, complex):
        return f"complex({_number(value.real)},{_number(value.imag)})"
    if isinstance(value, float) and not math.isfinite(value):
        return "+nan" if math.isnan(value) else "+inf" if value > 0 else "-inf"
    return repr(value)


def parse(source: str) -> Expr:
    """Return the expression whose ``text`` is ``source``."""
    shared: dict[str, Expr] = {}
    value: Expr | None = None
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            shared[statement.targets[0].id] = _parse(statement.value, shared)
        elif isinstance(statement, ast.Expr):
            value = _parse(statement.value, shared)
    if value is None:
        raise ValueError(f"parse: no value in {source!r}")
    return value


def _parse(node: ast.expr, shared: dict[str, Expr]) -> Expr:
    if isinstance(node, ast.Name):
        return shared[node.id] if node.id in shared else Var(node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "complex":
        return Const(complex(*(_parse_number(arg) for arg in node.args)))
    if isinstance(node, ast.Call):
        return Call(find_atom(ast.unparse(node.func)), tuple(_parse(arg, shared) for arg in node.args))
    return Const(_parse_number(node))


def _parse_number(node: ast.expr) -> Number:
    if isinstance(node, ast.UnaryOp):
        sign = -1 if isinstance(node.op, ast.USub) else 1
        operand = node.operand
        return sign * (float(operand.id) if isinstance(operand, ast.Name) else _parse_number(operand))
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        return node.value
    raise ValueError(f"parse: {ast.unparse(node)!r} is not a number")
