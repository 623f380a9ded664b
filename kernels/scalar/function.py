"""Functions of scalars: tracing them from Python, and rewriting their bodies."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from tensorlite.kernels.scalar.expr import Call, Expr, Operand, Var, as_expr, call, intern, make_frozen, postorder


class Function:
    """Parameters and a body; equal functions are one object. ``memo`` keeps what others derive from it."""

    __slots__ = ("__weakref__", "body", "memo", "parameters")
    parameters: tuple[str, ...]
    body: Expr
    memo: dict[Any, Any]

    def __new__(cls, parameters: tuple[str, ...], body: Expr) -> Function:
        missing = [name for name in free_variables(body) if name not in parameters]
        if missing:
            raise ValueError(
                f"Function: the body uses {', '.join(missing)}, not a parameter of ({', '.join(parameters)})"
            )
        return intern((cls, parameters, body), lambda: make_frozen(cls, parameters=parameters, body=body, memo={}))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("Function is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        return Function, (self.parameters, self.body)

    def __repr__(self) -> str:
        return f"Function({', '.join(self.parameters)}: {self.body!r})"


def free_variables(expr: Expr) -> tuple[str, ...]:
    """Return the names of the variables, in order of first occurrence."""
    return tuple(node.name for node in postorder(expr) if isinstance(node, Var))


def trace(function: Callable[..., Operand], **constants: Any) -> Function:
    """Run a Python function on variables named after its parameters.

    ``constants`` gives some parameters a fixed value: they are passed on and are no variables.

    >>> trace(lambda x, slope: x * slope, slope=0.5).parameters
    ('x',)
    """
    positional, keyword_only, variadic = parameter_names(function)
    names = (*positional, *variadic, *keyword_only)
    given = {name: constants[name] if name in constants else Var(name) for name in names}
    body = as_expr(function(*(given[name] for name in (*positional, *variadic)),
                            **{name: given[name] for name in keyword_only}))
    return Function(tuple(name for name in names if name not in constants), body)


def parameter_names(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The names of a function's parameters: positional ones, those by keyword alone, and that of ``*args``, if any.

    Read from its code, as `inspect.signature` does, but in a twentieth of the time: some hundred ops are declared.

    >>> parameter_names(lambda x, *more, slope: x)
    (('x',), ('slope',), ('more',))
    """
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        parameters = inspect.signature(function).parameters.values()
        return (tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)),
                tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY),
                tuple(p.name for p in parameters if p.kind is p.VAR_POSITIONAL))
    code = function.__code__
    first, last = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    has_more = bool(code.co_flags & inspect.CO_VARARGS)
    return code.co_varnames[:first], code.co_varnames[first:last], code.co_varnames[last:last + has_more]


def substitute(expr: Expr, replacements: dict[Expr, Expr]) -> Expr:
    """Replace whole subexpressions, the largest first; the rest is rebuilt, and so simplified.

    >>> x, y = Var("x"), Var("y")
    >>> substitute(x * x + x, {x * x: y}) is y + x
    True
    """
    return rebuild(expr, lambda node: replacements.get(node))


def rebuild(expr: Expr, replace: Callable[[Expr], Expr | None]) -> Expr:
    """Rebuild bottom-up, putting ``replace(node)`` for each original node where it is not None."""
    built: dict[Expr, Expr] = {}
    for node in postorder(expr):
        replacement = replace(node)
        if replacement is not None:
            built[node] = replacement
        elif isinstance(node, Call):
            args = tuple(built[arg] for arg in node.args)
            built[node] = node if args == node.args else call(node.atom, args)
        else:
            built[node] = node
    return built[expr]
