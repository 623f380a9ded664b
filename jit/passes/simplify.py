"""Simplify: exact identities, each rule named by its equation.

    before:  v1 = reshape(v0, shape=(6,)); v2 = reshape(v1, shape=(2, 3))
    after:   v2 = reshape(v0, shape=(2, 3))

Requires a verified graph; ensures the same bits (no rule reorders arithmetic). Tests: tests/jit/test_passes.py.
"""

from __future__ import annotations

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.rewrite import Rewriter, rewrite
from tensorlite.op import OPS

#: What gives a single element as it is.
_REDUCTIONS = frozenset({"sum", "mean", "prod", "max", "min", "any", "all"})


def simplify(graph: Graph) -> Graph:
    """Applies every rule of `RULES`."""
    return rewrite(graph, RULES)


def _is(equation: Equation, name: str) -> bool:
    return equation.op is OPS.get(name)


def _same_type(equation: Equation, x: object) -> Value | None:
    return x if isinstance(x, Value) and x.type == equation.outputs[0].type else None


def identity_of_x_is_x(state: Rewriter, equation: Equation) -> Value | None:
    """``copy(x) = x``, ``positive(x) = x``, and ``stop_gradient(x) = x``: values never change."""
    named = _is(equation, "copy") or _is(equation, "positive") or _is(equation, "stop_gradient")
    return _same_type(equation, equation.inputs[0]) if named else None


def cast_to_own_dtype_is_x(state: Rewriter, equation: Equation) -> Value | None:
    """``cast(x, dtype of x) = x``."""
    return _same_type(equation, equation.inputs[0]) if _is(equation, "cast") else None


def reshape_to_own_shape_is_x(state: Rewriter, equation: Equation) -> Value | None:
    """``reshape(x, shape of x) = x``, and so for broadcast_to."""
    named = _is(equation, "reshape") or _is(equation, "broadcast_to")
    return _same_type(equation, equation.inputs[0]) if named else None


def reshape_of_reshape_is_reshape(state: Rewriter, equation: Equation) -> Value | None:
    """``reshape(reshape(x, a), b) = reshape(x, b)``."""
    if not _is(equation, "reshape"):
        return None
    inner = state.maker(equation.inputs[0], "reshape")
    if inner is None:
        return None
    x = inner.inputs[0]
    return _same_type(equation, x) or state.emit("reshape", x, **equation.attributes)


def permute_in_order_is_x(state: Rewriter, equation: Equation) -> Value | None:
    """``permute_dims(x, (0, 1, ...)) = x``."""
    if not _is(equation, "permute_dims"):
        return None
    axes = equation.attributes["axes"]
    return _same_type(equation, equation.inputs[0]) if axes == tuple(range(len(axes))) else None


def permute_of_permute_is_permute(state: Rewriter, equation: Equation) -> Value | None:
    """``permute_dims(permute_dims(x, a), b) = permute_dims(x, a[b])``."""
    inner = state.maker(equation.inputs[0], "permute_dims") if _is(equation, "permute_dims") else None
    if inner is None:
        return None
    axes = tuple(inner.attributes["axes"][b] for b in equation.attributes["axes"])
    x = inner.inputs[0]
    if axes == tuple(range(len(axes))):
        return _same_type(equation, x)
    return state.emit("permute_dims", x, axes=axes)


def broadcast_of_broadcast_is_broadcast(state: Rewriter, equation: Equation) -> Value | None:
    """``broadcast_to(broadcast_to(x, a), b) = broadcast_to(x, b)``."""
    inner = state.maker(equation.inputs[0], "broadcast_to") if _is(equation, "broadcast_to") else None
    return None if inner is None else state.emit("broadcast_to", inner.inputs[0], **equation.attributes)


def sum_of_one_is_reshape(state: Rewriter, equation: Equation) -> Value | None:
    """``sum(x, axis) = reshape(x)`` over axes of extent 1, or none, and so for the other reductions that keep one."""
    if equation.op.name not in _REDUCTIONS or not _is(equation, equation.op.name):
        return None
    x, output = equation.inputs[0], equation.outputs[0]
    if not isinstance(x, Value) or x.dtype != output.dtype or x.size != output.size or not x.size:
        return None
    return _same_type(equation, x) or state.emit("reshape", x, shape=output.shape)


def times_1_is_x(state: Rewriter, equation: Equation) -> Value | None:
    """``x * 1 = x``, ``1 * x = x``, ``x / 1 = x``; not of complex numbers, where infinity times 1 + 0j has a NaN."""
    left_only = _is(equation, "divide")
    if not _is(equation, "multiply") and not left_only or equation.outputs[0].dtype.kind == "c":
        return None
    x, y = equation.inputs
    if not isinstance(y, Value) and y == 1:
        return _same_type(equation, x)
    if not left_only and not isinstance(x, Value) and x == 1:
        return _same_type(equation, y)
    return None


def minus_minus_x_is_x(state: Rewriter, equation: Equation) -> Value | None:
    """``-(-x) = x``."""
    inner = state.maker(equation.inputs[0], "negative") if _is(equation, "negative") else None
    return None if inner is None else _same_type(equation, inner.inputs[0])


def conj_of_real_is_x(state: Rewriter, equation: Equation) -> Value | None:
    """``conj(x) = x`` for real numbers."""
    if not _is(equation, "conj") or equation.outputs[0].dtype.kind == "c":
        return None
    return _same_type(equation, equation.inputs[0])


RULES = (
    identity_of_x_is_x, cast_to_own_dtype_is_x, reshape_to_own_shape_is_x, reshape_of_reshape_is_reshape,
    permute_in_order_is_x, permute_of_permute_is_permute, broadcast_of_broadcast_is_broadcast, sum_of_one_is_reshape,
    times_1_is_x, minus_minus_x_is_x, conj_of_real_is_x,
)
