"""Complex numbers: their parts, and made of their parts."""

from __future__ import annotations

from typing import Any

from tensorlite.batch import leading
from tensorlite.declare import elementwise, primitive, public
from tensorlite.kernels import scalar as s
from tensorlite.op import Sample
from tensorlite.ops.elementwise import atan2
from tensorlite.ops.shape import retype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import complex_dtype


@elementwise
def real(x):
    """The real part; a real number itself."""
    return s.real(x)


@elementwise
def imag(x):
    """The imaginary part; 0 of a real number."""
    return s.imag(x)


@elementwise(accepts="real floating", hidden=True)
def real_angle(x):
    """The angle of a real number seen in the complex plane: 0, or pi where its sign bit is set."""
    return s.angle(x)


@public
def angle(x: Tensor, /) -> Tensor:
    """The angle in radians of a complex number in the plane, in (-pi, pi]; of a real number, 0 or pi.

    >>> import tensorlite as tl
    >>> tl.angle(tl.tensor([1j, -1.0]))
    tensor([1.5708, 3.1416])
    """
    return atan2(imag(x), real(x)) if x.dtype.kind == "c" else real_angle(x)


@primitive("opaque", type=lambda re, im: retype(re, dtype=complex_dtype(re.dtype)), batch=leading,
           samples=[Sample((2, 3), (2, 3))], vjp={"re": lambda g: real(g), "im": lambda g: imag(g)})
def _from_parts(xp: Any, re: Any, im: Any) -> Any:
    """The complex numbers of given parts, of one shape and dtype."""
    out = xp.empty(re.shape, complex_dtype(re.dtype))
    out.real, out.imag = re, im
    return out
