"""Complex numbers of their parts, and their parts: complex, polar, view_as_real and view_as_complex."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import public
from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.ops import complex_numbers
from tensorlite.ops.complex_numbers import _from_parts
from tensorlite.ops.elementwise import cos, sin
from tensorlite.ops.join import stack
from tensorlite.ops.manipulation import broadcast_arrays
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import FLOATS, promote


def pair_of(op: str, x1: Tensor, x2: Tensor, dtypes: Any, kind: str) -> tuple[Tensor, ...]:
    """Two tensors in the dtype and shape that they have together."""
    dtype = promote(x1.dtype, x2.dtype)
    if dtype not in dtypes:
        raise complaint(DTypeError, op, f"takes {kind} dtypes, not {dtype.name}", {"x1": x1, "x2": x2})
    return broadcast_arrays(astype(x1, dtype, copy=False), astype(x2, dtype, copy=False))


@public(method=False)
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """The complex numbers of given real and imaginary parts, which broadcast. Raises `DTypeError` for others.

    >>> import tensorlite as tl
    >>> tl.complex(tl.tensor([1.0, 2.0]), tl.tensor([3.0, 4.0]))
    tensor([1.+3.j, 2.+4.j], dtype=complex64)
    """
    return _from_parts(*pair_of("complex", real, imag, FLOATS, "real floating"))


@public(method=False)
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """The complex numbers of given moduli and angles, which broadcast. Raises `DTypeError` for others.

    >>> import tensorlite as tl
    >>> tl.polar(tl.tensor([2.0]), tl.tensor([0.0]))
    tensor([2.+0.j], dtype=complex64)
    """
    length, turn = pair_of("polar", abs, angle, FLOATS, "real floating")
    return _from_parts(length * cos(turn), length * sin(turn))


@public(method=False)
def view_as_real(x: Tensor, /) -> Tensor:
    """Complex numbers as pairs of real ones, along a new last axis. Raises `DTypeError` for real numbers.

    >>> import tensorlite as tl
    >>> tl.view_as_real(tl.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    if x.dtype.kind != "c":
        raise complaint(DTypeError, "view_as_real", f"takes complex dtypes, not {x.dtype.name}", {"x": x})
    return stack([complex_numbers.real(x), complex_numbers.imag(x)], -1)


@public(method=False)
def view_as_complex(x: Tensor, /) -> Tensor:
    """Pairs of real numbers along the last axis as complex numbers. Raises `ShapeError` for no pairs.

    >>> import tensorlite as tl
    >>> tl.view_as_complex(tl.tensor([[1.0, 2.0]]))
    tensor([1.+2.j], dtype=complex64)
    """
    if x.ndim == 0 or x.shape[-1] != 2:
        raise complaint(ShapeError, "view_as_complex", "the last axis must hold pairs", {"x": x})
    return complex(x[..., 0], x[..., 1])
