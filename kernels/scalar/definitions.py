"""Atoms defined in the scalar language itself: exact ones here, approximations in ``approx_*.py``.

``definition(name, dtype, args)`` finds the one for an atom and the dtype of its operands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.kernels.scalar import atoms as a
from tensorlite.kernels.scalar.expr import Call, Const, Expr, Function, Operand, trace
from tensorlite.kernels.scalar.typing import FLOAT32, FLOAT64, DType, kind


@dataclass(frozen=True)
class Definition:
    """A function that computes an atom; ``ulp`` is its largest error found, ``domain`` where that was (None: everywhere)."""

    function: Function
    ulp: float = 0.0
    domain: str = "all"


_DEFINITIONS: dict[tuple[str, Any], Definition] = {}
_CONSTANT: dict[str, Callable[[Const], Function | None]] = {}
"""Special forms for a constant last operand (pow)."""


def define(
    name: str, *dtypes: DType, ulp: float = 0.0, domain: str = "all"
) -> Callable[[Callable[..., Operand]], Callable[..., Operand]]:
    """Register a Python function over expressions as the definition of an atom for operands of these dtypes."""

    def register(function: Callable[..., Operand]) -> Callable[..., Operand]:
        for dtype in dtypes:
            _DEFINITIONS[name, np.dtype(dtype)] = Definition(trace(function), ulp, domain)
        return function

    return register


def definitions() -> dict[tuple[str, Any], Definition]:
    """Return every definition by atom name and dtype."""
    return dict(_DEFINITIONS)


def definition(name: str, dtype: DType, args: tuple[Expr, ...]) -> Function | None:
    """Return the function that computes the atom for operands of ``dtype``, or None."""
    if name in _CONSTANT and isinstance(args[-1], Const):
        special = _CONSTANT[name](args[-1])
        if special is not None:
            return special
    found = _DEFINITIONS.get((name, dtype)) or _DEFINITIONS.get((name, kind(dtype)))
    return None if found is None else found.function


def define_kind(name: str, kinds: str) -> Callable[[Callable[..., Operand]], Callable[..., Operand]]:
    def register(function: Callable[..., Operand]) -> Callable[..., Operand]:
        for letter in kinds:
            _DEFINITIONS[name, letter] = Definition(trace(function))
        return function

    return register


define_kind("square", "iuf")(lambda x: Call(a.multiply, (x, x)))
define_kind("square", "b")(lambda x: x)
define_kind("reciprocal", "f")(lambda x: 1 / x)
define_kind("rsqrt", "f")(lambda x: 1 / a.sqrt(x))
define_kind("isnan", "f")(lambda x: a.not_equal(x, x))
define_kind("isinf", "f")(lambda x: a.equal(abs(x), float("inf")))
define_kind("isfinite", "f")(lambda x: a.less(abs(x), float("inf")))
define_kind("isnan", "biu")(lambda x: False)
define_kind("isinf", "biu")(lambda x: False)
define_kind("isfinite", "biu")(lambda x: True)
define_kind("imag", "iuf")(lambda x: a.where(a.equal(x, x), 0, 0))
define_kind("sign", "if")(lambda x: a.where(x > 0, 1, a.where(x < 0, -1, a.where(a.equal(x, 0), 0, x))))
define_kind("sign", "u")(lambda x: a.where(x > 0, 1, x))
define("signbit", FLOAT32)(lambda x: a.bitcast(x, np.int32) < 0)
define("signbit", FLOAT64)(lambda x: a.bitcast(x, np.int64) < 0)
