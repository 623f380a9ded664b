"""The logarithm of a sum of two exponentials, of real and of complex numbers."""

from __future__ import annotations

from tensorlite.declare import public
from tensorlite.ops.complex_numbers import real
from tensorlite.ops.elementwise import _logaddexp, exp, log1p, logical_and, where
from tensorlite.tensor import Tensor


@public(in_place=True)
def logaddexp(x1: Tensor, x2: Tensor, /) -> Tensor:
    """``log(exp(x1) + exp(x2))`` without overflow.

    Of complex numbers, the one of the larger real part keeps its imaginary part, which the other turns by less than pi.

    >>> import tensorlite as tl
    >>> tl.logaddexp(tl.tensor([1000.0, 0.0]), tl.tensor([1000.0, -tl.inf]))
    tensor([1000.6932,    0.    ])
    """
    if any(isinstance(x, Tensor) and x.dtype.kind == "c" for x in (x1, x2)):
        return _of_complex(x1, x2)
    return _logaddexp(x1, x2)


def _of_complex(x1: Tensor, x2: Tensor) -> Tensor:
    swapped = real(x1) < real(x2)
    top, low = where(swapped, x2, x1), where(swapped, x1, x2)
    infinite = logical_and(real(top) == real(low), real(top) == -float("inf"))
    gap = where(infinite, 0.0, low - top)
    return where(infinite, low, top + log1p(exp(gap)))
