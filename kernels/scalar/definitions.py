"""The register of atoms defined in the scalar language: exactly in ``exact.py``, nearly in ``approx_*.py``."""

from __future__ import annotations

import functools
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
    """A spelling of an atom in others; ``ulp`` bounds its error, on all numbers."""

    spelling: Spelling
    ulp: float = 0.0

    @functools.cached_property
    def function(self) -> Function:
        """The spelling, traced at first use."""
        return trace(self.spelling)


_DEFINITIONS: dict[tuple[str, Any], Definition] = {}  # by atom name and dtype, or kind of dtype
_SPECIAL: dict[str, Callable[[Const, str], Function | None]] = {}  # by atom name: forms for a constant last operand


def define(name: str, *dtypes: DType, ulp: float = 0.0) -> Callable[[Spelling], Spelling]:
    """Register a Python function over expressions as the definition of an atom for operands of these dtypes."""

    def register(function: Spelling) -> Spelling:
        for dtype in dtypes:
            _DEFINITIONS[name, np.dtype(dtype)] = Definition(function, ulp)
        return function

    return register


def define_kind(name: str, kinds: str) -> Callable[[Spelling], Spelling]:
    """Register a definition for every dtype of these kinds (``b i u f``)."""

    def register(function: Spelling) -> Spelling:
        for letter in kinds:
            _DEFINITIONS[name, letter] = Definition(function)
        return function

    return register


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
    return None
