"""Activations made of straight and parabolic pieces; derivatives at the joints are PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import elementwise, functional
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.activation import kept, rebinding
from tensorlite.tensor import Tensor

__all__ = ["hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_", "relu6", "softshrink"]


def _inside(x: Any, low: Any, high: Any) -> s.Expr:
    return s.logical_and(x > low, x < high)


def _rise(x: s.Expr) -> s.Expr:
    """0 up to -3, then even to 6 at 3, and 6 from there on."""
    return s.minimum(s.maximum(x + 3, 0), 6)


@elementwise(accepts="real", hidden=True, domain={"low": (-1.5, -0.5), "high": (0.5, 1.5)}, vjp={
    "x": lambda g, x, low, high: s.where(_inside(x, low, high), g, 0),
    "low": lambda g, x, low: s.where(x < low, g, 0),
    "high": lambda g, x, low, high: s.where(s.logical_and(x > high, s.logical_not(x < low)), g, 0)})
def hardtanh_by(x, low, high):
    """``x`` between the bounds, and the bound beyond; the derivative at a bound is 0."""
    return s.where(x < low, low, s.where(x > high, high, x))


@elementwise(accepts="real floating", name="hardsigmoid", hidden=True,
             vjp={"x": lambda g, x: s.where(_inside(x, -3, 3), g / 6, 0)})
def _hardsigmoid(x):
    """``(x + 3) / 6`` between 0 and 1; the derivative at both ends is 0."""
    return _rise(x) / 6


@elementwise(accepts="real floating", name="hardswish", hidden=True,
             vjp={"x": lambda g, x: s.where(x <= -3, 0, s.where(x < 3, g * (x / 3 + 0.5), g))})
def _hardswish(x):
    """``x * hardsigmoid(x)``; the derivative is 0 at -3, and 1 at 3."""
    return x * _rise(x) / 6


@elementwise(accepts="real floating", hidden=True, domain={"lambd": (0.5, 1.0)},
             vjp={"x": lambda g, x, lambd: s.where(s.abs(x) > lambd, g, 0)})
def hardshrink_by(x, lambd):
    """``x`` where its size exceeds ``lambd``, else 0."""
    return s.where(s.abs(x) <= lambd, 0, x)


@elementwise(accepts="real floating", hidden=True, domain={"lambd": (0.5, 1.0)},
             vjp={"x": lambda g, x, lambd: s.where(s.abs(x) > lambd, g, 0)})
def softshrink_by(x, lambd):
    """``x`` brought nearer to 0 by ``lambd``, as far as 0."""
    return s.where(x > lambd, x - lambd, s.where(x < -lambd, x + lambd, s.where(s.isnan(x), x, 0)))


@functional
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` between two bounds, and the bound beyond; derivatives at the bounds are 0, unlike those of `clip`.

    Integers keep their dtype, and cut the bounds to integers. ``inplace`` rebinds the input to it. Raises
    `ArgumentError` where ``min_val`` exceeds ``max_val``, `DTypeError` for bool, and for a negative bound of unsigned
    integers.

    >>> import tensorlite as tl
    >>> hardtanh(tl.tensor([-2.0, 0.5, 2.0]))
    tensor([-1. ,  0.5,  1. ])
    """
    if min_val > max_val:
        raise complaint(ArgumentError, "hardtanh", f"min_val must not exceed max_val, but {min_val} > {max_val}",
                        {"input": input})
    return kept(input, _between("hardtanh", input, min_val, max_val), inplace)


@functional
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input, 0), 6)``; its derivatives at 0 and 6 are 0. ``inplace`` rebinds the input to it.

    Howard et al., "MobileNets", 2017.

    >>> import tensorlite as tl
    >>> relu6(tl.tensor([-1.0, 5.0, 7.0]))
    tensor([0., 5., 6.])
    """
    return kept(input, _between("relu6", input, 0, 6), inplace)


def _between(op: str, input: Tensor, low: float, high: float) -> Tensor:
    """The input between two bounds, in its own dtype."""
    if input.dtype == np.bool_:
        raise complaint(DTypeError, op, "takes real dtypes, not bool", {"input": input}, "cast it first: x.to(...)")
    if input.dtype.kind in "iu":
        low, high = int(low), int(high)
        if input.dtype.kind == "u" and low < 0:
            raise complaint(DTypeError, op, f"{input.dtype.name} cannot hold the bound {low}", {"input": input},
                            "cast it first: x.to(tl.int32)")
    return hardtanh_by(input, low, high)


@functional
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input + 3, 0), 6) / 6``, a sigmoid of straight pieces. ``inplace`` rebinds the input to it.

    >>> import tensorlite as tl
    >>> hardsigmoid(tl.tensor([-3.0, 0.0, 3.0]))
    tensor([0. , 0.5, 1. ])
    """
    return kept(input, _hardsigmoid(input), inplace)


@functional
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * hardsigmoid(input)``. ``inplace`` rebinds the input to it.

    Howard et al., "Searching for MobileNetV3", 2019.

    >>> import tensorlite as tl
    >>> hardswish(tl.tensor([-3.0, 0.0, 4.0]))
    tensor([-0.,  0.,  4.])
    """
    return kept(input, _hardswish(input), inplace)


@functional
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``input`` where its size exceeds ``lambd``, else 0.

    >>> import tensorlite as tl
    >>> hardshrink(tl.tensor([-1.0, 0.5, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    return hardshrink_by(input, lambd)


@functional
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``input`` brought nearer to 0 by ``lambd``, as far as 0. Raises `ArgumentError` for a negative ``lambd``.

    >>> import tensorlite as tl
    >>> softshrink(tl.tensor([-1.0, 0.5, 2.0]))
    tensor([-0.5,  0. ,  1.5])
    """
    if not lambd >= 0:
        raise complaint(ArgumentError, "softshrink", f"lambd must be 0 or more, not {lambd}", {"input": input})
    return softshrink_by(input, lambd)


hardtanh_ = rebinding(hardtanh)
