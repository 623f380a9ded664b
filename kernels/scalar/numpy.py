"""Functions of the scalar language on whole arrays, through NumPy or whatever spells like it (``xp``).

A function is turned into straight-line Python once for each combination of dtypes; a single atom is the ufunc itself.
Floats of 16 bits are rounded once, at the end. Atoms that NumPy lacks are spelled with it: ``fma`` rounds twice here,
``erf``, ``lgamma`` and their kin use their float64 definition.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, cast

import numpy as np

from tensorlite.kernels.scalar.definitions import definition
from tensorlite.kernels.scalar.expr import Atom, Call, Const, Expr, Var, postorder
from tensorlite.kernels.scalar.function import Function
from tensorlite.kernels.scalar.typing import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    DType,
    infer,
    joined_dtype,
    kind,
    operand_dtypes,
    resolve,
    settle,
)

ArrayFunction = Callable[..., Any]
_FILE = "<tensorlite scalar function>"  # where such functions say that they come from


def numpy_ufunc(function: Function, xp: Any = np) -> ArrayFunction | None:
    """Return the ufunc of ``xp`` that is ``function``: one atom of the parameters in their order; else None.

    >>> from tensorlite.kernels.scalar import add, trace
    >>> numpy_ufunc(trace(lambda a, b: a + b))
    <ufunc 'add'>
    """
    body = function.body
    if not isinstance(body, Call) or body.atom.numpy is None or body.atom.name in _SPELLED:
        return None
    if body.args != tuple(Var(name) for name in function.parameters):
        return None
    return getattr(xp, body.atom.numpy)


def numpy_function(function: Function) -> ArrayFunction:
    """Return ``f(xp, *arrays) -> array`` that computes ``function``; arrays of one dtype, conditions bool.

    The result is a fresh array of the dtype that ``infer`` gives: constants take that of the arrays, whatever it is.

    >>> import numpy as np
    >>> from tensorlite.kernels.scalar import exp, trace
    >>> numpy_function(trace(lambda x: 1 / (1 + exp(-x))))(np, np.float32([0]))
    array([0.5], dtype=float32)
    """
    if "numpy" not in function.memo:
        function.memo["numpy"] = _single(function) or _dispatcher(function)
    return function.memo["numpy"]


def _single(function: Function) -> ArrayFunction | None:
    if numpy_ufunc(function) is None:
        return None
    get = operator.attrgetter(function.body.atom.numpy)  # type: ignore[attr-defined]
    return FunctionType(_single_code(len(function.parameters)), {"_get": get})


def _dispatcher(function: Function) -> ArrayFunction:
    return FunctionType(_dispatcher_code(len(function.parameters)), {"_table": _Table(function)})


@functools.cache  # compiling such a line for every op is a good part of importing them
def _single_code(count: int) -> CodeType:
    parameters = ", ".join(f"x{number}" for number in range(count))
    return _code(f"lambda xp, {parameters}: _get(xp)({parameters})")


@functools.cache
def _dispatcher_code(count: int) -> CodeType:
    parameters = ", ".join(f"x{number}" for number in range(count))
    keys = "".join(f", x{number}.dtype" for number in range(count))
    return _code(f"lambda xp, {parameters}: _table[xp{keys}]({parameters})")


def _code(source: str) -> CodeType:
    """The code of a lambda, under a file name of ours: a trace takes no note of what such code reads."""
    return cast(FunctionType, eval(compile(source, _FILE, "eval"))).__code__


class _Table(dict[Any, ArrayFunction]):
    """Compiled variants by (xp, dtypes of the arrays)."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.parameters, self.body = function.parameters, function.body  # not the function: it owns this table

    def __missing__(self, key: tuple[Any, ...]) -> ArrayFunction:
        xp, *dtypes = key if isinstance(key, tuple) else (key,)
        variables = dict(zip(self.parameters, dtypes, strict=True))
        narrow = next((dtype for dtype in dtypes if dtype in _NARROW), None)
        if narrow is None or _passes(self.body) == 1 or _names_dtypes(self.body):
            self[key] = compiled = _Source(xp, self.body, variables).compile(self.parameters)
        else:
            self[key] = compiled = _rounding_once(xp, self.body, variables, narrow)
        return compiled


def _rounding_once(xp: Any, body: Expr, variables: dict[str, DType], narrow: DType) -> ArrayFunction:
    """What computes in float32 what floats of 16 bits mean, as kernels do: ``exp(x)`` may be beyond float16."""
    wide = {name: FLOAT32 if dtype == narrow else dtype for name, dtype in variables.items()}
    compute, dtype = _Source(xp, body, wide, narrow).compile(tuple(variables)), infer(body, variables)

    def compiled(*arrays: Any) -> Any:
        return compute(*(x.astype(FLOAT32) if x.dtype == narrow else x for x in arrays)).astype(dtype, copy=False)

    return compiled


def _names_dtypes(body: Expr) -> bool:
    return any(isinstance(node, Call) and node.atom.dtype is not None for node in postorder(body))


class _Source:
    """The straight-line source of one body for given dtypes, and the names that it uses."""

    def __init__(self, xp: Any, body: Expr, variables: dict[str, DType], narrow: DType | None = None) -> None:
        self.xp, self.body, self.variables = xp, body, variables
        self.narrow = narrow  # constants have its precision
        self.types = resolve(body, variables)
        self.names: dict[Any, str] = {}
        self.globals: dict[str, Any] = {}
        self.lines: list[str] = []

    def compile(self, parameters: tuple[str, ...]) -> ArrayFunction:
        for node in postorder(self.body):
            if isinstance(node, Var):
                self.names[node] = node.name
            elif isinstance(node, Call) and isinstance(self.types[node], np.dtype):
                self.names[node] = self.statement(node, joined_dtype(node, self.types, self.variables))
        result = self.operand(self.body, settle(self.types[self.body], self.variables))
        if _may_alias(self.body):
            result = self.call(self.xp.array, result)
        used = {node.name for node in postorder(self.body) if isinstance(node, Var)}
        if used != set(parameters):
            result = self.call(_broadcast, result, *parameters)
        source = "\n    ".join([f"def compiled({', '.join(parameters)}):", *self.lines, f"return {result}"])
        exec(compile(source, _FILE, "exec"), self.globals)
        return self.globals["compiled"]

    def statement(self, node: Call, dtype: DType) -> str:
        """Add the line that computes ``node`` from operands of ``dtype``; return its name."""
        wanted = operand_dtypes(node.atom, dtype)
        operands = [self.operand(*pair) for pair in zip(node.args, wanted, strict=True)]
        name = f"_{len(self.lines)}"
        self.lines.append(f"{name} = {self.spell(node.atom, dtype, operands)}")
        return name

    def spell(self, atom: Atom, dtype: DType, operands: list[str]) -> str:
        if _family(atom) in _SPELLED:
            return self.call(_SPELLED[_family(atom)](self.xp, dtype, atom), *operands)
        if atom.dtype is not None:
            method = "astype" if atom.name.startswith("cast") else "view"
            return f"{operands[0]}.{method}({self.bind(atom.dtype)})"
        assert atom.numpy is not None
        return self.call(getattr(self.xp, atom.numpy), *operands)

    def operand(self, node: Expr, dtype: DType) -> str:
        if node in self.names:
            return self.names[node]
        if isinstance(node, Const):
            value = np.asarray(node.value, dtype)
            if self.narrow is not None and dtype == FLOAT32:
                value = value.astype(self.narrow).astype(dtype)
            return self.bind(
                value if self.xp is np else self.xp.asarray(value), (type(node.value), repr(node.value), dtype)
            )
        assert isinstance(node, Call)  # weak: it takes the dtype that its user wants
        if (node, dtype) not in self.names:
            self.names[node, dtype] = self.statement(node, dtype)
        return self.names[node, dtype]

    def call(self, function: ArrayFunction, *operands: str) -> str:
        return f"{self.bind(function)}({', '.join(operands)})"

    def bind(self, value: Any, key: Any = None) -> str:
        name = self.names.setdefault(key or ("bound", id(value)), f"_{len(self.globals)}c")
        self.globals[name] = value
        return name


def _family(atom: Atom) -> str:
    """The name without what an atom carries in brackets."""
    return atom.name.partition("[")[0]


def _may_alias(expr: Expr) -> bool:
    """Tell whether the value may be (a view of) a variable's own array."""
    while isinstance(expr, Call) and (expr.atom.name in _VIEWS or expr.atom.name.startswith("bitcast")):
        expr = expr.args[0]
    return isinstance(expr, Var)


def _broadcast(result: Any, *arrays: Any) -> Any:
    """Give a result that does not depend on every array the shape that they have together."""
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    return result if result.shape == shape else np.broadcast_to(result, shape).copy()


def _where(xp: Any, dtype: DType, atom: Atom) -> ArrayFunction:
    return xp.where


def _same(xp: Any, dtype: DType, atom: Atom) -> ArrayFunction:
    return getattr(xp, atom.name) if kind(dtype) == "c" else lambda x: x


def _imag(xp: Any, dtype: DType, atom: Atom) -> ArrayFunction:
    return xp.imag if kind(dtype) == "c" else xp.zeros_like


def _angle(xp: Any, dtype: DType, atom: Atom) -> ArrayFunction:
    return xp.angle if kind(dtype) == "c" else lambda x: xp.arctan2(xp.zeros_like(x), x)


def _rounding(xp: Any, dtype: DType, atom: Atom) -> ArrayFunction:
    return getattr(xp, str(atom.numpy)) if kind(dtype) == "f" else lambda x: x  # rint makes floats of integers


def _rsqrt(xp: Any, dtype: DType, atom: Atom) -> ArrayFunction:
    one = xp.asarray(np.asarray(1, dtype))
    return lambda x: one / xp.sqrt(x)


def _sigmoid(xp: Any, dtype: DType, atom: Atom) -> ArrayFunction:
    zero, one = (xp.asarray(np.asarray(value, dtype)) for value in (0, 1))

    if kind(dtype) == "c":
        return lambda x: one / (one + xp.exp(-x))

    def sigmoid(x: Any) -> Any:
        tail = xp.exp(-abs(x))
        return xp.where(x < zero, tail, one) / (one + tail)

    return sigmoid


def _fma(xp: Any, dtype: DType, atom: Atom) -> ArrayFunction:
    return lambda a, b, c: a * b + c


def _defined(xp: Any, dtype: DType, atom: Atom) -> ArrayFunction:
    """Compute in float64 by the atom's definition there."""
    found = definition(atom.name, FLOAT64)
    assert found is not None
    function = numpy_function(found[0])
    return lambda x: function(xp, x.astype(FLOAT64)).astype(dtype)


def _defined_or_one_by_one(xp: Any, dtype: DType, atom: Atom) -> ArrayFunction:
    """As ``_defined``, but a few numbers one by one in Python."""
    many, one = _defined(xp, dtype, atom), getattr(math, atom.name)

    def compute(x: Any) -> Any:
        if xp is np and x.size <= _FEW:
            return np.array([one(number) for number in x.ravel().tolist()], FLOAT64).reshape(x.shape).astype(dtype)
        return many(x)

    return compute


def numpy_passes(function: Function) -> int:
    """Return about how many times the NumPy form of ``function`` goes over its arrays: what a fused loop would save.

    >>> from tensorlite.kernels.scalar import exp, trace
    >>> numpy_passes(trace(lambda x: 1 / (1 + exp(-x))))
    4
    """
    return _passes(function.body)


def _passes(body: Expr) -> int:
    calls = [_family(node.atom) for node in postorder(body) if isinstance(node, Call)]
    return sum(_PASSES.get(name, 1) for name in calls)


_NARROW = (FLOAT16, BFLOAT16)
_FEW = 600  # numbers: 60 passes of NumPy cost as much as so many calls of math.erf
_PASSES = {"sigmoid": 7, "rsqrt": 2, "fma": 2}
_LONG = ("i0", "i0e", "i1", "i1e", "erfcx", "erfinv", "ndtri", "lgamma", "digamma", "polygamma")
_PASSES.update(dict.fromkeys(["erf", "erfc", *_LONG], 60))
_VIEWS = ("real", "imag", "conj", "floor", "ceil", "trunc", "round", "positive")
_SPELLED: dict[str, Callable[[Any, DType, Atom], ArrayFunction]] = {
    "where": _where,
    "real": _same,
    "conj": _same,
    "imag": _imag,
    "angle": _angle,
    "floor": _rounding,
    "ceil": _rounding,
    "trunc": _rounding,
    "round": _rounding,
    "rsqrt": _rsqrt,
    "sigmoid": _sigmoid,
    "fma": _fma,
    "erf": _defined_or_one_by_one,
    "erfc": _defined_or_one_by_one,
    **dict.fromkeys(_LONG, _defined),
}
