"""Arithmetic beyond the operators: blends, remainders as C has them, extremes that pass over NaN, angles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorlite.declare import elementwise, public
from tensorlite.errors import DTypeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.elementwise import equal, greater, less, logical_and, logical_xor, not_equal, pow, trunc, where
from tensorlite.ops.elementwise import remainder as _remainder
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import GROUPS, complex128, float64


@elementwise(accepts="floating", name="lerp", hidden=True)
def _lerp(x, end, weight):
    """``x + weight * (end - x)``, computed from the nearer end, so that a weight of 1 gives ``end`` exactly."""
    gap = end - x
    return s.where(s.abs(weight) < 0.5, x + weight * gap, end - gap * (1 - weight))


@public(in_place=True)
def lerp(x: Tensor, /, end: Any, weight: Any) -> Tensor:
    """``x + weight * (end - x)``: ``x`` for a weight of 0, ``end`` for a weight of 1, exactly.

    ``end`` and ``weight`` are tensors or numbers that broadcast with ``x``.

    >>> import tensorlite as tl
    >>> tl.lerp(tl.tensor([1.0, 2.0]), tl.tensor([3.0, 10.0]), 0.25)
    tensor([1.5, 4. ])
    """
    return _lerp(x, end, weight)


@public(in_place=True)
def addcmul(x: Tensor, /, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """``x + value * tensor1 * tensor2``.

    >>> import tensorlite as tl
    >>> tl.addcmul(tl.tensor([1.0]), tl.tensor([2.0]), tl.tensor([3.0]), value=10)
    tensor([61.])
    """
    product = tensor1 * tensor2
    return x + (product if _is_one(value) else value * product)


@public(in_place=True)
def addcdiv(x: Tensor, /, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """``x + value * tensor1 / tensor2``; raises `DTypeError` where both are integers, which PyTorch refuses too.

    >>> import tensorlite as tl
    >>> tl.addcdiv(tl.tensor([1.0]), tl.tensor([3.0]), tl.tensor([2.0]), value=2)
    tensor([4.])
    """
    if all(isinstance(t, Tensor) and t.dtype.kind in "biu" for t in (tensor1, tensor2)):
        raise complaint(DTypeError, "addcdiv", "takes floating dtypes, not integers on both sides of the division",
                        {"tensor1": tensor1, "tensor2": tensor2}, "cast one first: tensor1.to(tl.float32)")
    return x + (tensor1 if _is_one(value) else value * tensor1) / tensor2


def _is_one(value: Any) -> bool:
    return type(value) in (int, float) and value == 1


@public(in_place=True)
def frac(x: Tensor, /) -> Tensor:
    """What follows the point, with the number's sign: ``x - trunc(x)``.

    >>> import tensorlite as tl
    >>> tl.frac(tl.tensor([1.5, -2.25]))
    tensor([ 0.5 , -0.25])
    """
    return x - trunc(x)


@elementwise(accepts="real floating", name="fmod_floats", hidden=True, domain={"x2": (0.3, 3.0)}, vjp={
    "x1": lambda g: g, "x2": lambda g, x1, x2: -g * s.trunc(x1 / x2)})
def _fmod(x1, x2):
    """The remainder of a division that is rounded towards 0, exact."""
    return s.copysign(s.remainder(s.abs(x1), s.abs(x2)), x1)


@public(in_place=True)
def fmod(x1: Any, x2: Any, /) -> Tensor:
    """What is left of ``x1`` after a division by ``x2`` that is rounded towards 0, with the sign of ``x1``.

    As C's ``fmod``; `remainder` has the sign of ``x2``. An integer divided by 0 leaves 0.

    >>> import tensorlite as tl
    >>> tl.fmod(tl.tensor([-3.0, 5.5]), 2)
    tensor([-1. ,  1.5])
    """
    rest = _remainder(x1, x2)
    if rest.dtype.kind not in "iu":
        return _fmod(x1, x2)
    return where(logical_and(not_equal(rest, 0), logical_xor(less(rest, 0), less(x1, 0))), rest - x2, rest)


def _first_of_larger(x1, x2):
    return s.logical_or(x1 >= x2, s.isnan(x2))


def _first_of_smaller(x1, x2):
    return s.logical_or(x1 <= x2, s.isnan(x2))


@elementwise(accepts="real or bool", vjp={
    "x1": lambda g, x1, x2: s.where(_first_of_larger(x1, x2), g, 0),
    "x2": lambda g, x1, x2: s.where(_first_of_larger(x1, x2), 0, g)})
def fmax(x1, x2):
    """The larger of two numbers, passing over NaN; of a tie, ``x1`` has the derivative."""
    return s.where(_first_of_larger(x1, x2), x1, x2)


@elementwise(accepts="real or bool", vjp={
    "x1": lambda g, x1, x2: s.where(_first_of_smaller(x1, x2), g, 0),
    "x2": lambda g, x1, x2: s.where(_first_of_smaller(x1, x2), 0, g)})
def fmin(x1, x2):
    """The smaller of two numbers, passing over NaN; of a tie, ``x1`` has the derivative."""
    return s.where(_first_of_smaller(x1, x2), x1, x2)


@public(in_place=True)
def heaviside(x: Tensor, /, values: Any) -> Tensor:
    """0 below 0, 1 above it, and ``values`` at 0: Heaviside's step; 0 for NaN, as in PyTorch.

    >>> import tensorlite as tl
    >>> tl.heaviside(tl.tensor([-2.0, 0.0, 3.0]), 0.5)
    tensor([0. , 0.5, 1. ])
    """
    return where(equal(x, 0), values, astype(greater(x, 0), x.dtype))


@public
def float_power(x1: Any, x2: Any, /) -> Tensor:
    """``x1`` to the power ``x2`` in float64, or in complex128 where either is complex.

    >>> import tensorlite as tl
    >>> tl.float_power(tl.tensor([2, 3]), -1)
    tensor([0.5   , 0.3333], dtype=float64)
    """
    kinds = {x.dtype.kind if isinstance(x, Tensor) else np.result_type(type(x)).kind for x in (x1, x2)}
    dtype = complex128 if "c" in kinds else float64
    return pow(*(astype(x, dtype, copy=False) if isinstance(x, Tensor) else dtype.type(x).item() for x in (x1, x2)))


@public(in_place=True)
def deg2rad(x: Tensor, /) -> Tensor:
    """An angle in degrees, in radians.

    >>> import tensorlite as tl
    >>> tl.deg2rad(tl.tensor([180.0]))
    tensor([3.1416])
    """
    return _scaled("deg2rad", x, math.pi / 180)


@public(in_place=True)
def rad2deg(x: Tensor, /) -> Tensor:
    """An angle in radians, in degrees.

    >>> import tensorlite as tl
    >>> tl.rad2deg(tl.tensor([tl.pi]))
    tensor([180.])
    """
    return _scaled("rad2deg", x, 180 / math.pi)


def _scaled(op: str, x: Tensor, factor: float) -> Tensor:
    if x.dtype in GROUPS["complex"]:
        raise complaint(DTypeError, op, f"takes real dtypes, not {x.dtype.name}", {"x": x},
                        "use tl.abs(x) or tl.real(x)")
    return x * factor
