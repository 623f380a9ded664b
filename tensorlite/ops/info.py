"""What the array API asks about dtypes and about the library itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import ml_dtypes
import numpy as np

from tensorlite.declare import PUBLIC, public
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.kernels import device as devices
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import (
    COMPLEX,
    DEFAULT_COMPLEX,
    DEFAULT_FLOAT,
    DEFAULT_INTEGER,
    FLOATS,
    INTEGERS,
    SIGNED,
    UNSIGNED,
    bool_,
    dtype_of,
    float32,
    float64,
    promote,
    promote_scalar,
    real_dtype,
    scalar_kind,
)

KINDS: dict[str, tuple[np.dtype, ...]] = {
    "bool": (bool_,), "signed integer": SIGNED, "unsigned integer": UNSIGNED, "integral": INTEGERS,
    "real floating": FLOATS, "complex floating": COMPLEX, "numeric": (*INTEGERS, *FLOATS, *COMPLEX),
}


@public(method=False)
def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a dtype, a name as ``"real floating"``, or a tuple of these.

    The names are bool, signed integer, unsigned integer, integral, real floating, complex floating and numeric.
    Raises `ArgumentError` for another name.

    >>> import tensorlite as tl
    >>> tl.isdtype(tl.float32, ("integral", "real floating"))
    True
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if not isinstance(kind, str):
        return dtype_of(dtype) == dtype_of(kind)
    if kind not in KINDS:
        raise complaint(ArgumentError, "isdtype", f"no kind of dtype is called {kind!r}", None,
                        f"use {', '.join(KINDS)}")
    return dtype_of(dtype) in KINDS[kind]


@public(method=False)
def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype that tensors, dtypes and Python numbers promote to; numbers are weak within their kind.

    Raises `ArgumentError` without a tensor or dtype among them.

    >>> import tensorlite as tl
    >>> tl.result_type(tl.int8, tl.uint8, 1)
    dtype('int16')
    """
    scalars = [kind for x in arrays_and_dtypes if (kind := scalar_kind(x)) is not None]
    dtypes = [x.dtype if isinstance(x, Tensor | np.ndarray | np.generic) else dtype_of(x)
              for x in arrays_and_dtypes if scalar_kind(x) is None]
    if not dtypes:
        raise complaint(ArgumentError, "result_type", "takes at least one tensor or dtype")
    return reduce(promote_scalar, scalars, reduce(promote, dtypes))


@public(method=False)
def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether a tensor or dtype promotes to a dtype, so that their sum has that dtype.

    >>> import tensorlite as tl
    >>> tl.can_cast(tl.int8, tl.int16), tl.can_cast(tl.int16, tl.int8)
    (True, False)
    """
    source, target = from_.dtype if isinstance(from_, Tensor) else dtype_of(from_), dtype_of(to)
    return promote(source, target) == target


@dataclass(frozen=True, slots=True)
class FloatInfo:
    """The limits of a floating dtype, as Python floats; of a complex one, those of its parts."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: np.dtype


@dataclass(frozen=True, slots=True)
class IntegerInfo:
    """The limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: np.dtype


@public(method=False)
def finfo(type: Any, /) -> FloatInfo:
    """The limits of a floating or complex dtype, or of a tensor's: bits, eps, max, min, smallest_normal, dtype.

    Raises `DTypeError` for other dtypes.

    >>> import tensorlite as tl
    >>> tl.finfo(tl.float32).eps
    1.1920928955078125e-07
    """
    dtype = real_dtype(_dtype("finfo", type))
    if dtype not in FLOATS:
        raise complaint(DTypeError, "finfo", f"{dtype.name} is not floating", None, "use tl.iinfo for integers")
    limits: Any = ml_dtypes.finfo(dtype)
    return FloatInfo(dtype.itemsize * 8, float(limits.eps), float(limits.max), float(limits.min),
                     float(limits.smallest_normal), dtype)


@public(method=False)
def iinfo(type: Any, /) -> IntegerInfo:
    """The limits of an integer dtype, or of a tensor's: bits, max, min, dtype.

    Raises `DTypeError` for other dtypes.

    >>> import tensorlite as tl
    >>> tl.iinfo(tl.int8).max
    127
    """
    dtype = _dtype("iinfo", type)
    if dtype not in INTEGERS:
        raise complaint(DTypeError, "iinfo", f"{dtype.name} is not an integer", None, "use tl.finfo for floats")
    limits = np.iinfo(dtype)
    return IntegerInfo(limits.bits, int(limits.max), int(limits.min), dtype)


def _dtype(op: str, type: Any) -> np.dtype:
    try:
        return type.dtype if isinstance(type, Tensor | np.ndarray) else dtype_of(type)
    except TypeError as problem:
        raise complaint(DTypeError, op, str(problem)) from None


class NamespaceInfo:
    """What ``__array_namespace_info__`` gives: what the library can do, on which devices, with which dtypes."""

    def capabilities(self) -> dict[str, Any]:
        """Whether optional parts of the standard are there."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The device of new tensors."""
        return state.device

    def devices(self) -> list[str]:
        """The names of the devices that can be used here."""
        return list(devices.available())

    def default_dtypes(self, *, device: str | None = None) -> dict[str, np.dtype]:
        """The dtypes of tensors made of Python numbers, and of indices."""
        return {"real floating": DEFAULT_FLOAT, "complex floating": DEFAULT_COMPLEX, "integral": DEFAULT_INTEGER,
                "indexing": DEFAULT_INTEGER}

    def dtypes(self, *, device: str | None = None, kind: Any = None) -> dict[str, np.dtype]:
        """The standard's dtypes by name, or those of a kind; float16 and bfloat16 are there besides."""
        standard = (bool_, *INTEGERS, float32, float64, *COMPLEX)
        return {dtype.name: dtype for dtype in standard if kind is None or isdtype(dtype, kind)}


def __array_namespace_info__() -> NamespaceInfo:
    """What the library can do, on which devices, with which dtypes: the standard's inspection.

    >>> import tensorlite as tl
    >>> tl.__array_namespace_info__().default_dtypes()["real floating"]
    dtype('float32')
    """
    return NamespaceInfo()


PUBLIC["__array_namespace_info__"] = __array_namespace_info__
