"""Keeping numbers within bounds, on integers, and finite: clip, round and nan_to_num."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from tensorlite.declare import elementwise, public
from tensorlite.errors import DTypeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.complex_numbers import _from_parts, imag, real
from tensorlite.ops.shape import _copy, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import GROUPS, INTEGERS, can_hold, default_dtype, kind, scalar_kind


@elementwise(accepts="real", hidden=True)
def rint(x):
    """The nearest integer, of two the even one."""
    return s.round(x)


@elementwise(accepts="real", hidden=True, vjp={"x": lambda g, x, low: s.where(x < low, 0, g),
                                  "low": lambda g, x, low: s.where(x < low, g, 0)})
def clip_low(x, low):
    """The number, or the bound where it is below."""
    return s.maximum(x, low)


@elementwise(accepts="real", hidden=True, vjp={"x": lambda g, x, high: s.where(x > high, 0, g),
                                  "high": lambda g, x, high: s.where(x > high, g, 0)})
def clip_high(x, high):
    """The number, or the bound where it is above."""
    return s.minimum(x, high)


@public(in_place=True)
def round(x: Tensor, /, *, decimals: int = 0) -> Tensor:
    """The nearest integer, of two the even one; of a complex number, each part rounded.

    With ``decimals``, the nearest number of so many digits after the point, or before it where negative.

    >>> import tensorlite as tl
    >>> tl.round(tl.tensor([0.5, 1.5, -1.2]))
    tensor([ 0.,  2., -1.])
    """
    if decimals:
        return rint(x * 10**decimals) / 10**decimals if decimals > 0 else rint(x / 10**-decimals) * 10**-decimals
    return rint(x) if x.dtype.kind != "c" else _from_parts(rint(real(x)), rint(imag(x)))


@public(in_place=True)
def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Tensor:
    """The numbers with those below ``min`` or above ``max`` replaced by that bound: a number or a tensor.

    The result has the dtype of ``x``. Where ``min`` exceeds ``max``, the result is ``max``. Raises `DTypeError` for
    complex numbers, and for bounds of a kind that ``x`` cannot hold.

    >>> import tensorlite as tl
    >>> tl.clip(tl.tensor([1.0, 2.0, 3.0]), 1.5, 2.5)
    tensor([1.5, 2. , 2.5])
    """
    if x.dtype not in GROUPS["real"]:
        raise complaint(DTypeError, "clip", f"takes real dtypes, not {x.dtype.name}", {"x": x})
    if min is None and max is None:
        return _copy(x)
    result = x if min is None else clip_low(x, _bound(x, "min", min))
    return result if max is None else clip_high(result, _bound(x, "max", max))


@elementwise(accepts="real floating", hidden=True, vjp={"x": lambda g, x: s.where(s.isfinite(x), g, 0)})
def finite_or(x, nan, posinf, neginf):
    """The number, or what stands for it where it is not finite."""
    infinite = s.where(s.equal(x, math.inf), posinf, s.where(s.equal(x, -math.inf), neginf, x))
    return s.where(s.isnan(x), nan, infinite)


@public(in_place=True)
def nan_to_num(x: Tensor, /, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """The numbers with NaN and the infinities replaced: by 0 and the largest finite numbers, where nothing is said.

    Integers are finite. Of a complex number each part is replaced. The derivative at what is replaced is 0.

    >>> import tensorlite as tl
    >>> tl.nan_to_num(tl.tensor([tl.nan, 1.0, tl.inf]), posinf=9.0)
    tensor([0., 1., 9.])
    """
    if x.dtype.kind == "c":
        return _from_parts(*(nan_to_num(part, nan, posinf, neginf) for part in (real(x), imag(x))))
    if x.dtype not in GROUPS["real floating"]:
        return _copy(x)
    largest = float(ml_dtypes.finfo(x.dtype).max)
    return finite_or(x, *(float(default if given is None else given)
                          for given, default in ((nan, 0.0), (posinf, largest), (neginf, -largest))))


def _bound(x: Tensor, name: str, bound: Any) -> Any:
    """A bound in the dtype of ``x``, moved into its range where it lies outside."""
    if isinstance(bound, np.ndarray | np.generic):
        bound = bound.item() if bound.ndim == 0 else Tensor(bound)
    number = scalar_kind(bound)
    if number is None and not isinstance(bound, Tensor):
        raise complaint(DTypeError, "clip", f"{name} must be a number or a tensor, not {type(bound).__name__}",
                        {"x": x})
    dtype = bound.dtype if number is None else default_dtype(number)
    if not can_hold(x.dtype, dtype) or kind(dtype) == "bool":
        raise complaint(DTypeError, "clip", f"{x.dtype.name} cannot hold the bound", {"x": x, name: bound},
                        f"cast x first: x.to(tl.{dtype.name})")
    if x.dtype not in INTEGERS:
        return bound if number else astype(bound, x.dtype, copy=False)
    limits = np.iinfo(x.dtype)
    if number:
        return sorted((limits.min, bound, limits.max))[1]
    if np.can_cast(bound.dtype, x.dtype):
        return astype(bound, x.dtype, copy=False)
    return astype(clip(bound, limits.min, limits.max), x.dtype)
