"""Types of tensors: dtype, shape and device, and the rules by which dtypes promote."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import ml_dtypes
import numpy as np

from tensorlite import errors

bool_ = np.dtype(np.bool_)
int8, int16, int32, int64 = (np.dtype(f"int{bits}") for bits in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64))
float16, float32, float64 = (np.dtype(f"float{bits}") for bits in (16, 32, 64))
bfloat16 = np.dtype(ml_dtypes.bfloat16)
complex64, complex128 = np.dtype(np.complex64), np.dtype(np.complex128)

SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
INTEGERS = SIGNED + UNSIGNED
FLOATS = (float16, bfloat16, float32, float64)
COMPLEX = (complex64, complex128)
DTYPES = (bool_, *INTEGERS, *FLOATS, *COMPLEX)

DEFAULT_INTEGER, DEFAULT_FLOAT, DEFAULT_COMPLEX = int64, float32, complex64

#: What an op may accept, by the array API's names for groups of dtypes.
GROUPS: dict[str, frozenset[np.dtype]] = {
    "any": frozenset(DTYPES),
    "bool": frozenset((bool_,)),
    "integer": frozenset(INTEGERS),
    "integer or bool": frozenset((*INTEGERS, bool_)),
    "real": frozenset((*INTEGERS, *FLOATS)),
    "real or bool": frozenset((*INTEGERS, *FLOATS, bool_)),
    "numeric": frozenset((*INTEGERS, *FLOATS, *COMPLEX)),
    "real floating": frozenset(FLOATS),
    "floating": frozenset((*FLOATS, *COMPLEX)),
    "complex": frozenset(COMPLEX),
}

DIFFERENTIABLE = GROUPS["floating"]


@dataclass(frozen=True, slots=True)
class TensorType:
    """The dtype, shape and device of a tensor, printed as ``float32[8, 3]``."""

    dtype: np.dtype
    shape: tuple[int, ...]
    device: str = "cpu"

    def __str__(self) -> str:
        where = "" if self.device == "cpu" else f" on {self.device}"
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]{where}"


def kind(dtype: np.dtype) -> str:
    """Gives a dtype's kind: ``bool``, ``int``, ``float`` or ``complex``."""
    if dtype.kind == "b":
        return "bool"
    if dtype.kind in "iu":
        return "int"
    return "complex" if dtype.kind == "c" else "float"


_RANK = {"bool": 0, "int": 1, "float": 2, "complex": 3}


def can_hold(dtype: np.dtype, other: np.dtype) -> bool:
    """Whether values of ``other`` may be put into a tensor of ``dtype``: not where a kind would be lost."""
    return _RANK[kind(other)] <= _RANK[kind(dtype)]


_DEFAULT = {"bool": bool_, "int": DEFAULT_INTEGER, "float": DEFAULT_FLOAT, "complex": DEFAULT_COMPLEX}


@cache
def promote(a: np.dtype, b: np.dtype) -> np.dtype:
    """The dtype that two tensors meet in, after the array API's table.

    Where the standard leaves kinds open, the higher kind's dtype wins: int64 with float16 gives float16, as in
    PyTorch; float64 with complex64 gives complex128; float16 with bfloat16 gives float32; uint64 with a signed
    integer gives float64, as in NumPy.

    >>> promote(np.dtype("int8"), np.dtype("uint8")).name
    'int16'
    """
    if a == b:
        return a
    low, high = sorted((a, b), key=lambda dtype: _RANK[kind(dtype)])
    if kind(low) == kind(high) or high.kind == "c" and low.kind == "f":
        if {low, high} == {float16, bfloat16}:
            return float32
        return np.promote_types(low, high)
    return high


def scalar_kind(value: object) -> str | None:
    """The kind of a Python scalar, or None for anything else."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    return "complex" if isinstance(value, complex) else None


@cache
def promote_scalar(dtype: np.dtype, kind_of_scalar: str) -> np.dtype:
    """The dtype of a tensor of ``dtype`` met by a Python scalar, which is weak within its kind."""
    if _RANK[kind_of_scalar] <= _RANK[kind(dtype)]:
        return dtype
    if kind_of_scalar == "complex" and dtype == float64:
        return complex128
    return _DEFAULT[kind_of_scalar]


def default_dtype(kind_of_scalar: str) -> np.dtype:
    """The dtype that a Python scalar of a kind has on its own."""
    return _DEFAULT[kind_of_scalar]


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of a number's real part."""
    return {complex64: float32, complex128: float64}.get(dtype, dtype)


def complex_dtype(dtype: np.dtype) -> np.dtype:
    """The complex dtype whose parts have at least the precision of ``dtype``."""
    return complex128 if dtype in (float64, complex128) else complex64


def floating_dtype(dtype: np.dtype) -> np.dtype:
    """``dtype`` if it is floating, else the default float: what ``exp`` of integers gives."""
    return dtype if dtype in DIFFERENTIABLE else DEFAULT_FLOAT


def sum_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of a sum or product: integers widen to 64 bits, as the array API asks."""
    if dtype.kind in "bi":
        return int64
    return uint64 if dtype.kind == "u" else dtype


def dtype_of(spec: object) -> np.dtype:
    """Reads a dtype from a dtype, a NumPy scalar type, its name, or ``bool``/``int``/``float``/``complex``."""
    try:
        return _dtype_of(spec)
    except TypeError:
        raise errors.complaint(errors.DTypeError, "dtype", f"no tensor has dtype {spec}", None,
                               f"there are {', '.join(dtype.name for dtype in DTYPES)}") from None


@cache
def _dtype_of(spec: object) -> np.dtype:
    if spec is bool or spec is int or spec is float or spec is complex:
        return _DEFAULT[spec.__name__]
    if spec == "bfloat16":
        return bfloat16
    dtype = np.dtype(spec)  # type: ignore[call-overload]
    if dtype not in GROUPS["any"]:
        raise TypeError
    return np.dtype(dtype.type)  # native byte order
