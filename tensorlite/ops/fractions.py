"""`frexp`: floating numbers as fractions of powers of 2."""

from __future__ import annotations

import math

import numpy as np

from tensorlite.declare import elementwise, public
from tensorlite.errors import DTypeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.elementwise import exp2, floor_divide
from tensorlite.ops.results import Frexp
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import GROUPS


@elementwise(accepts="real floating", hidden=True, differentiable=False)
def binary_exponent(x):
    """The least whole number to which 2 is raised above ``|x|``; 0 of 0, infinities and NaN."""
    size = s.abs(s.cast(x, np.float64))
    tiny = size < 2.0**-1022
    exponent = (s.bitcast(size * s.where(tiny, 2.0**60, 1.0), np.int64) >> 52) - s.where(tiny, 1082, 1022)
    return s.cast(s.where(s.logical_and(size > 0, size < math.inf), exponent, 0), np.int32)


@public
def frexp(x: Tensor, /) -> Frexp:
    """Mantissas of sizes in [1/2, 1) and exponents, int32, with ``x = mantissa * 2**exponent``.

    0, infinities and NaN are mantissas themselves, their exponents 0. Raises `DTypeError` for integers.

    >>> import tensorlite as tl
    >>> mantissa, exponent = tl.frexp(tl.tensor([1.0, -10.0, 0.0]))
    >>> mantissa, exponent
    (tensor([ 0.5  , -0.625,  0.   ]), tensor([1, 4, 0], dtype=int32))
    """
    if x.dtype not in GROUPS["real floating"]:
        raise complaint(DTypeError, "frexp", f"takes real floating dtypes, not {x.dtype.name}", {"x": x},
                        "cast it first: x.to(tl.float32)")
    exponent = binary_exponent(x.detach())
    first = floor_divide(exponent, 2)  # a power of the whole exponent may overflow
    scales = [exp2(astype(-part, x.dtype)) for part in (first, exponent - first)]
    return Frexp(x * scales[0] * scales[1], exponent)
