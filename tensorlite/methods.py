"""Operators and methods, bound onto Tensor late: the one place where names meet the class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorlite import autograd, copying, display, interop
from tensorlite.augmented import augmented
from tensorlite.declare import IN_PLACE, METHODS
from tensorlite.in_place import in_place, set_item
from tensorlite.ops import scaled, torch_members, torch_names
from tensorlite.ops.indexing import index
from tensorlite.tensor import Tensor

_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "pow", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
}
_COMPARISONS = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal",
                "ne": "not_equal"}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "bitwise_invert"}

_NUMBERS = (bool, int, float, complex, np.ndarray, np.generic)
_OPERANDS = (Tensor, *_NUMBERS)


def _binary(function: Callable[..., Any]) -> Callable[..., Any]:
    def operator(self: Tensor, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return function(self, other)
        return NotImplemented
    return operator


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    def operator(self: Tensor, other: Any) -> Any:
        return function(other, self) if isinstance(other, _NUMBERS) else NotImplemented
    return operator


def _power(self: Tensor, exponent: Any) -> Any:
    if type(exponent) is int and exponent == 2 and self.dtype != bool:
        return METHODS["square"](self)
    return METHODS["pow"](self, exponent) if isinstance(exponent, _OPERANDS) else NotImplemented


def bind() -> None:
    """Puts every operator and method onto `Tensor`."""
    for name, function in METHODS.items():
        _set(name, _as_method(name, function))
    for name, function in IN_PLACE.items():
        _set(f"{name}_", in_place(f"{name}_", function))
    for operator, name in _OPERATORS.items():
        function = scaled.OPERATORS.get(name, METHODS[name])
        _set(f"__{operator}__", _binary(function))
        _set(f"__r{operator}__", _reflected(function))
        _set(f"__i{operator}__", augmented(operator, function))
    for operator, name in _COMPARISONS.items():
        _set(f"__{operator}__", _binary(METHODS[name]))
    for operator, name in _UNARY.items():
        _set(f"__{operator}__", METHODS[name])
    _set("__pow__", _power)
    _set("__hash__", object.__hash__)
    _set("__getitem__", index.get_item)
    _set("__setitem__", set_item)
    for module in (torch_names, torch_members, interop, display, autograd, copying):
        for name, member in module.TENSOR_MEMBERS.items():
            _set(name, member)


def _set(name: str, member: Any) -> None:
    setattr(Tensor, name, member)


def _as_method(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    if getattr(function, "__name__", name) == name:
        return function
    def method(self: Tensor, *arguments: Any, **kwargs: Any) -> Any:
        return function(self, *arguments, **kwargs)
    method.__name__, method.__doc__ = name, function.__doc__
    return method
