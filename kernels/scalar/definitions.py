"""The register of atoms defined in the scalar language: exactly in ``exact.py``, nearly in ``approx_*.py``."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.kernels.scalar.expr import Const, Expr, Operand
from tensorlite.kernels.scalar.function import Function, trace
from tensorlite.kernels.scalar.typing import BFLOAT16, FLOAT16, FLOAT32, DType, kind

Spelling = Callable[..., Operand]


@dataclass(frozen=True)
class Definition:
    """A spelling of an atom in others; ``ulp`` bounds its error, on all numbers or those of its ``domain``."""

    spelling: Spelling
    ulp: float = 0.0
    domain: tuple[float, float] = (-math.inf, math.inf)

    @functools.cached_property
    def function(self) -> Function:
        """The spelling, traced at first use."""
        return trace(self.spelling)


_DEFINITIONS: dict[tuple[str, Any], Definition] = {}  # by atom name and dtype, or kind of dtype
_FAMILIES: dict[tuple[str, Any], Callable[[Expr, int], Operand]] = {}  # by the name before the bracket, and dtype
_SPECIAL: dict[str, Callable[[Const, str], Function | None]] = {}  # by atom name: forms for a constant last operand


def define(
    name: str, *dtypes: DType, ulp: float = 0.0, domain: tuple[float, float] = (-math.inf, math.inf)
) -> Callable[[Spelling], Spelling]:
    """Register a Python function over expressions as the definition of an atom for operands of these dtypes."""

    def register(function: Spelling) -> Spelling:
        for dtype in dtypes:
            _DEFINITIONS[name, np.dtype(dtype)] = Definition(function, ulp, domain)
        return function

    return register


def define_kind(name: str, kinds: str) -> Callable[[Spelling], Spelling]:
    """Register a definition for every dtype of these kinds (``b i u f``)."""

    def register(function: Spelling) -> Spelling:
        for letter in kinds:
            _DEFINITIONS[name, letter] = Definition(function)
        return function

    return register


def define_family(name: str, *dtypes: DType) -> Callable[[Callable[[Expr, int], Operand]], Callable[..., Operand]]:
    """Register a function of a number and an integer as the definition of the atoms ``name[integer]``."""

    def register(function: Callable[[Expr, int], Operand]) -> Callable[..., Operand]:
        for dtype in dtypes:
            _FAMILIES[name, np.dtype(dtype)] = function
        return function

    return register


@functools.cache
def _member(name: str, dtype: DType) -> Function:
    """The function of one atom of a family, traced at first use."""
    family, _, member = name.rstrip("]").partition("[")
    return trace(lambda x: _FAMILIES[family, dtype](x, int(member)))


def define_special(name: str, choose: Callable[[Const, str], Function | None]) -> None:
    """Register forms of an atom for a constant last operand: ``choose(constant, kind of dtype)``."""
    _SPECIAL[name] = choose


def definitions() -> dict[tuple[str, Any], Definition]:
    """Return every definition by atom name and dtype (or kind of dtype)."""
    return dict(_DEFINITIONS)


def definition(name: str, dtype: DType, last: Expr | None = None) -> tuple[Function, DType] | None:
    """Return the function that computes an atom on operands of ``dtype``, and the dtype of its variables.

    That is float32 for 16-bit floats without a definition of their own. ``last`` is the last operand.
    """
    carrier = FLOAT32 if dtype in (FLOAT16, BFLOAT16) else dtype
    if name in _SPECIAL and isinstance(last, Const):
        special = _SPECIAL[name](last, kind(dtype))
        if special is not None:
            return special, carrier
    for key in (dtype, carrier, kind(dtype)):
        if (name, key) in _DEFINITIONS:
            return _DEFINITIONS[name, key].function, dtype if key == dtype else carrier
    if (name.partition("[")[0], carrier) in _FAMILIES:
        return _member(name, carrier), carrier
    return None
