"""The dtype of every node of an expression.

A constant, and an expression of constants only, is weak: its type is a Python kind (int, float, complex) until a
sibling gives it a dtype; alone it takes the dtype of the variables, if they have one of its kind, else NumPy's
default. Operands of different dtypes are an error (cast them), save that a bool joins any number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from tensorlite.kernels.scalar.expr import Atom, Call, Const, Expr, Var, postorder

DType: TypeAlias = np.dtype[Any]
Type: TypeAlias = "DType | type"  # a dtype, or the Python kind of a weak value

BOOL = np.dtype(np.bool_)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOAT16, FLOAT32, FLOAT64 = (np.dtype(name) for name in ("float16", "float32", "float64"))

_ACCEPTED = {
    "any": "biufc",
    "any real": "biuf",
    "number": "iufc",
    "real": "iuf",
    "floating": "fc",
    "real floating": "f",
    "integer": "biu",
    "whole": "iu",
}
_WEAK_RANK = (bool, int, float, complex)
_DEFAULT = {int: np.dtype(np.int64), float: FLOAT64, complex: np.dtype(np.complex128)}
_WEAK_KIND = {int: "i", float: "f", complex: "c"}


class ScalarTypeError(TypeError):
    """An atom met a dtype that it does not take, or two that do not go together."""


def kind(dtype: DType) -> str:
    """Return ``b i u f`` or ``c``; bfloat16 is a float, which NumPy does not say."""
    return "f" if dtype == BFLOAT16 else dtype.kind


def real_dtype(dtype: DType) -> DType:
    """Return the dtype of the real part."""
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def infer(expr: Expr, variables: Mapping[str, DType]) -> DType:
    """Return the dtype of ``expr`` when its variables have these dtypes.

    >>> from tensorlite.kernels.scalar import Var
    >>> infer(Var("x") * 2.0 > 1, {"x": np.dtype(np.float32)})
    dtype('bool')
    """
    return settle(resolve(expr, variables)[expr], variables)


def resolve(expr: Expr, variables: Mapping[str, DType]) -> dict[Expr, Type]:
    """Return the type of every node: a dtype, or a Python kind where it is weak."""
    types: dict[Expr, Type] = {}
    for node in postorder(expr):
        if isinstance(node, Var):
            types[node] = np.dtype(variables[node.name])
        elif isinstance(node, Const):
            types[node] = BOOL if isinstance(node.value, bool) else type(node.value)
        elif isinstance(node, Call):
            types[node] = result_type(node.atom, tuple(types[arg] for arg in node.args))
    return types


def settle(type_: Type, variables: Mapping[str, DType]) -> DType:
    """Return the dtype that a weak value takes with no sibling: that of the variables if its kind allows."""
    if isinstance(type_, np.dtype):
        return type_
    wide_enough = "iufc"["iufc".index(_WEAK_KIND[type_]) :]
    dtypes = [np.dtype(dtype) for dtype in variables.values() if kind(np.dtype(dtype)) in wide_enough]
    return dtypes[0] if dtypes else _DEFAULT[type_]


def result_type(atom: Atom, args: tuple[Type, ...]) -> Type:
    """Return the type of a call, from those of its operands."""
    if atom.dtype is not None:
        return atom.dtype
    joined = operand_type(atom, args)
    if atom.result == "bool":
        return BOOL
    if atom.result == "real":
        return real_dtype(joined) if isinstance(joined, np.dtype) else float if joined is complex else joined
    return joined


def operand_type(atom: Atom, args: tuple[Type, ...]) -> Type:
    """Return the one type that the operands are brought to (for ``where``: its two values)."""
    if atom.name == "where":
        if args[0] != BOOL:
            raise ScalarTypeError(f"where: the condition must be bool, not {_spell(args[0])}")
        args = args[1:]
    if atom.dtype is not None:
        return args[0]
    joined = _join(atom, args)
    accepted = _ACCEPTED[atom.accepts]
    if isinstance(joined, np.dtype):
        if kind(joined) not in accepted:
            raise ScalarTypeError(f"{atom.name}: takes {atom.accepts} operands, not {joined}")
    elif joined is int and "i" not in accepted:
        return float
    return joined


def joined_dtype(node: Call, types: Mapping[Expr, Type], variables: Mapping[str, DType]) -> DType:
    """Return the dtype that the operands of a call are brought to; a constant that is cast is at once of that dtype."""
    target, first = node.atom.dtype, node.args[0]
    if target is not None and node.atom.name.startswith("cast") and isinstance(first, Const) and _holds(target, first):
        return target
    return settle(operand_type(node.atom, tuple(types[arg] for arg in node.args)), variables)


def _holds(dtype: DType, constant: Const) -> bool:
    if kind(dtype) == "f":
        return isinstance(constant.value, (int, float))
    if kind(dtype) == "b" or not isinstance(constant.value, int):
        return kind(dtype) == "c"
    return kind(dtype) == "c" or np.iinfo(dtype).min <= constant.value <= np.iinfo(dtype).max


def operand_dtypes(atom: Atom, joined: DType) -> list[DType]:
    """Return the dtype of each operand, when ``joined`` is what ``operand_type`` found."""
    return [BOOL if atom.name == "where" and i == 0 else joined for i in range(atom.arity)]


def _join(atom: Atom, args: tuple[Type, ...]) -> Type:
    strong = [arg for arg in args if isinstance(arg, np.dtype)]
    weak = max((arg for arg in args if not isinstance(arg, np.dtype)), key=_WEAK_RANK.index, default=bool)
    numbers = {dtype for dtype in strong if dtype != BOOL}
    if len(numbers) > 1:
        raise ScalarTypeError(f"{atom.name}: operands of different dtypes: {', '.join(map(_spell, args))}")
    if not numbers and weak is bool:
        return BOOL
    if not numbers and strong:
        raise ScalarTypeError(f"{atom.name}: a bool and a Python {weak.__name__}: cast the bool, or use where")
    if not numbers:
        return weak
    dtype = numbers.pop()
    if (weak is complex and kind(dtype) != "c") or (weak is float and kind(dtype) not in "fc"):
        raise ScalarTypeError(f"{atom.name}: {dtype} and a Python {weak.__name__}: cast one of them")
    return dtype


def _spell(type_: Type) -> str:
    return str(type_) if isinstance(type_, np.dtype) else f"a Python {type_.__name__}"
