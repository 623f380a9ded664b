"""From expressions to ``Typed`` graphs of primitive operations.

Every atom is one primitive (``_DIRECT``), a few primitives (``_EXPANDED``: integer division, shifts, conversions), or a
definition in the scalar language itself (``exact.py``, ``approx_*.py``), which is lowered in its place. float16 and
bfloat16 are computed in float32 and rounded once, at the end or at a cast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tensorlite.kernels.scalar.definitions import definition
from tensorlite.kernels.scalar.expr import Call, Const, Expr, Var, postorder
from tensorlite.kernels.scalar.primitive import (
    BOOL,
    carrier,
    constant,
    convert,
    floor_divide,
    from_carrier,
    left_shift,
    remainder,
    right_shift,
    to_carrier,
)
from tensorlite.kernels.scalar.typed import Typed
from tensorlite.kernels.scalar.typing import DType, infer, joined_dtype, kind, operand_dtypes, resolve, settle


class NoLowering(Exception):
    """There is no native form; the message says of what. NumPy computes it instead."""


def lower(expr: Expr, variables: Mapping[str, DType]) -> Typed:
    """Lower ``expr`` to primitives, its variables having these dtypes.

    >>> from tensorlite.kernels.scalar import Var, typed_text
    >>> print(typed_text(lower(Var("x") * 2.0, {"x": np.dtype(np.float32)})))
    %0 = var float32 x
    %1 = const float32 0x1.0000000000000p+1
    %2 = mul float32 %0 %1
    """
    variables = {name: np.dtype(dtype) for name, dtype in variables.items()}
    _refuse_complex(variables)
    environment = {name: to_carrier(Typed("var", (), dtype, name)) for name, dtype in variables.items()}
    dtype = infer(expr, variables)
    return from_carrier(_expand(expr, variables, environment), dtype)


def _refuse_complex(variables: Mapping[str, DType]) -> None:
    for name, dtype in variables.items():
        if kind(dtype) not in "biuf" or dtype.itemsize > 8:
            raise NoLowering(f"{name} is {dtype}")


def _expand(body: Expr, variables: Mapping[str, DType], environment: Mapping[str, Typed]) -> Typed:
    """Lower ``body``; ``environment`` holds the (carried) value of each variable."""
    types = resolve(body, variables)
    lowered: dict[Expr, Typed] = {}

    def at(node: Expr, dtype: DType) -> Typed:
        if node in lowered:
            return convert(lowered[node], carrier(dtype))  # a bool beside numbers
        if isinstance(node, Const):
            return constant(node.value, dtype)
        assert isinstance(node, Call)  # weak: it takes the dtype that its user wants
        dtypes = operand_dtypes(node.atom, dtype)
        return _emit(node, dtype, [at(*pair) for pair in zip(node.args, dtypes, strict=True)], dtypes)

    for node in postorder(body):
        if isinstance(node, Var):
            lowered[node] = environment[node.name]
        elif isinstance(node, Call) and isinstance(types[node], np.dtype):
            dtypes = operand_dtypes(node.atom, joined_dtype(node, types, variables))
            lowered[node] = _emit(
                node, types[node], [at(*pair) for pair in zip(node.args, dtypes, strict=True)], dtypes
            )
    return at(body, settle(types[body], variables))


def _emit(node: Call, dtype: Any, args: list[Typed], dtypes: list[DType]) -> Typed:
    """Apply the atom of ``node`` to carried operands that stand for ``dtypes``, giving a carried ``dtype``."""
    atom = node.atom
    operand = dtypes[-1]
    if kind(operand) == "c" or kind(dtype) == "c":
        raise NoLowering(f"{atom.name} of complex numbers")
    if atom.dtype is not None:
        return _emit_typed(atom.name.partition("[")[0], args[0], operand, atom.dtype)
    if atom.name.startswith("logical"):
        args = [convert(arg, BOOL) for arg in args]
    direct = _DIRECT.get(atom.name, {}).get("b" if atom.name.startswith("logical") else kind(operand))
    if direct is not None:
        return args[0] if direct == "" else Typed(direct, tuple(args), carrier(dtype))
    if atom.name in _EXPANDED and kind(operand) in "iu":
        return _EXPANDED[atom.name](*args)
    return _define(node, operand, args)


def _emit_typed(name: str, x: Typed, source: DType, target: DType) -> Typed:
    if name == "cast":
        return to_carrier(from_carrier(x, target))
    if source.itemsize != target.itemsize:
        raise NoLowering(f"bitcast of {source} to {target}, of another width")
    bits = from_carrier(x, source)
    return to_carrier(bits if bits.dtype == target else Typed("bitcast", (bits,), target))


def _define(node: Call, operand: DType, args: list[Typed]) -> Typed:
    found = definition(node.atom.name, operand, node.args[-1])
    if found is None:
        raise NoLowering(f"{node.atom.name} of {operand}")
    function, dtype = found
    variables = dict.fromkeys(function.parameters, dtype)
    return _expand(function.body, variables, dict(zip(function.parameters, args, strict=True)))


def _kinds(**ops: str) -> dict[str, str]:
    return {letter: op for letters, op in ops.items() for letter in letters}


_DIRECT: dict[str, dict[str, str]] = {
    # atom: {kinds of the operands: primitive}; "" is the operand itself
    "add": _kinds(iuf="add", b="or"),
    "subtract": _kinds(iuf="sub"),
    "multiply": _kinds(iuf="mul", b="and"),
    "divide": _kinds(f="div"),
    "negative": _kinds(iuf="neg"),
    "positive": _kinds(iuf=""),
    "abs": _kinds(f="abs", i="abs", ub=""),
    "fma": _kinds(f="fma"),
    "sqrt": _kinds(f="sqrt"),
    "floor": _kinds(f="floor", iu=""),
    "ceil": _kinds(f="ceil", iu=""),
    "trunc": _kinds(f="trunc", iu=""),
    "round": _kinds(f="rint", iu=""),
    "maximum": _kinds(iuf="max", b="or"),
    "minimum": _kinds(iuf="min", b="and"),
    "copysign": _kinds(f="copysign"),
    "less": _kinds(biuf="lt"),
    "less_equal": _kinds(biuf="le"),
    "greater": _kinds(biuf="gt"),
    "greater_equal": _kinds(biuf="ge"),
    "equal": _kinds(biuf="eq"),
    "not_equal": _kinds(biuf="ne"),
    "logical_and": _kinds(b="and"),
    "logical_or": _kinds(b="or"),
    "logical_xor": _kinds(b="xor"),
    "logical_not": _kinds(b="not"),
    "bitwise_and": _kinds(biu="and"),
    "bitwise_or": _kinds(biu="or"),
    "bitwise_xor": _kinds(biu="xor"),
    "bitwise_invert": _kinds(biu="not"),
    "where": _kinds(biuf="select"),
    "real": _kinds(iuf=""),
    "conj": _kinds(iuf=""),
}

_EXPANDED: dict[str, Callable[..., Typed]] = {
    "floor_divide": floor_divide,
    "remainder": remainder,
    "left_shift": left_shift,
    "right_shift": right_shift,
}
