"""Complex numbers: their parts, and made of their parts."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import elementwise, primitive
from tensorlite.kernels import scalar as s
from tensorlite.op import Sample
from tensorlite.ops.shape import retype
from tensorlite.tensor_type import complex_dtype


@elementwise
def real(x):
    """The real part; a real number itself."""
    return s.real(x)


@elementwise
def imag(x):
    """The imaginary part; 0 of a real number."""
    return s.imag(x)


@elementwise(accepts="floating")
def angle(x):
    """The angle in radians of the complex number in the plane; of a real number, 0 or pi."""
    return s.angle(x)


@primitive("opaque", type=lambda re, im: retype(re, dtype=complex_dtype(re.dtype)), samples=[Sample((2, 3), (2, 3))],
           vjp={"re": lambda g: real(g), "im": lambda g: imag(g)})
def _from_parts(xp: Any, re: Any, im: Any) -> Any:
    """The complex numbers of given parts, of one shape and dtype."""
    out = xp.empty(re.shape, complex_dtype(re.dtype))
    out.real, out.imag = re, im
    return out
