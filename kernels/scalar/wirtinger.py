"""Derivatives of expressions that conjugate: with respect to a number and to its conjugate (Wirtinger, 1927).

``abs``, ``sign``, ``real``, ``imag`` and ``angle`` are first spelled with ``conj``, and ``conj`` is moved inwards to
the variables, which every other atom allows: it is real on the real axis, and so ``f(conj(z)) = conj(f(z))``.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.derive import differentiate
from tensorlite.kernels.scalar.expr import Call, Const, Expr, Var, call, postorder
from tensorlite.kernels.scalar.function import substitute

_BAR = "_conj"


def wirtinger(body: Expr, wrt: str) -> tuple[Expr, Expr]:
    """Return d body / d wrt and d body / d conj(wrt). With a cotangent g of the body, that of wrt is
    ``g * conj(first) + conj(g) * second``.

    >>> from tensorlite.kernels.scalar import Var, conj, text
    >>> z = Var("z")
    >>> [text(slope) for slope in wirtinger(z * conj(z), "z")]
    ['conj(z)', 'z']
    """
    spelled = _holomorphic(body)
    bars = {Var(name): a.conj(Var(name.removesuffix(_BAR))) for name in _names(spelled) if name.endswith(_BAR)}
    slopes = (differentiate(spelled, name, complex=True) for name in (wrt, wrt + _BAR))
    first, second = (substitute(slope, bars) for slope in slopes)  # type: ignore[arg-type]
    return first, second


def is_holomorphic(body: Expr) -> bool:
    """Tell whether ``differentiate`` has the derivative: no conj, no abs or its like but as the whole body."""
    calls = [node for node in postorder(body) if isinstance(node, Call)]
    return not any(node.atom is a.conj or node.atom.name in _SPELLED and node is not body for node in calls)


def _names(expr: Expr) -> list[str]:
    return [node.name for node in postorder(expr) if isinstance(node, Var)]


def _holomorphic(body: Expr) -> Expr:
    """Rebuild an expression without conj: the conjugate of a variable ``z`` is a variable ``z_conj``."""
    built: dict[Expr, Expr] = {}
    bars: dict[Expr, Expr] = {}
    for node in postorder(body):
        if not isinstance(node, Call):
            built[node] = node
        elif node.atom is a.conj:
            built[node] = _bar(built[node.args[0]], bars)
        elif node.atom.name in _SPELLED:
            x = built[node.args[0]]
            built[node] = _SPELLED[node.atom.name](x, _bar(x, bars))
        else:
            built[node] = call(node.atom, tuple(built[arg] for arg in node.args))
    return built[body]


def _bar(expr: Expr, bars: dict[Expr, Expr]) -> Expr:
    """Return the conjugate of an expression that is free of conj."""
    for node in postorder(expr):
        if node in bars:
            continue
        if isinstance(node, Var):
            bars[node] = Var(node.name.removesuffix(_BAR) if node.name.endswith(_BAR) else node.name + _BAR)
        elif isinstance(node, Const):
            value = node.value
            bars[node] = Const(value.conjugate()) if isinstance(value, complex) else node
        elif isinstance(node, Call):
            keep = node.atom.result == "bool"
            bars[node] = node if keep else call(node.atom, tuple(bars[arg] for arg in node.args))
    return bars[expr]


_SPELLED: dict[str, Callable[[Expr, Expr], Expr]] = {
    "abs": lambda z, bar: a.sqrt(z * bar),
    "sign": lambda z, bar: z / a.sqrt(z * bar),
    "real": lambda z, bar: (z + bar) * 0.5,
    "imag": lambda z, bar: (z - bar) * -0.5j,
    "angle": lambda z, bar: (a.log(z) - a.log(bar)) * -0.5j,
}
