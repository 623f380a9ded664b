"""Special functions by the names of `torch.special`, which SciPy's mostly are.

>>> import tensorlite as tl
>>> tl.special.ndtr(tl.tensor([0.0]))
tensor([0.5])
"""

from __future__ import annotations

import math

from tensorlite.declare import functional
from tensorlite.ops.bessel import erfcx, i0, i0e, i1, i1e, log_ndtr, ndtri
from tensorlite.ops.bounds import round
from tensorlite.ops.elementwise import (
    equal,
    exp2,
    expm1,
    isinf,
    less,
    less_equal,
    log1p,
    logical_and,
    logical_or,
    where,
)
from tensorlite.ops.elementwise import sigmoid as expit
from tensorlite.ops.incomplete_gamma import gammainc, gammaincc
from tensorlite.ops.reduce import logsumexp
from tensorlite.ops.softmax import log_softmax, softmax
from tensorlite.ops.special import digamma, erf, erfc, erfinv, logit, polygamma, sinc, xlogy
from tensorlite.ops.special import digamma as psi
from tensorlite.ops.special import lgamma as gammaln
from tensorlite.ops.torch_functions import mvlgamma as multigammaln
from tensorlite.tensor import Tensor

__all__ = ["digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc",
           "gammaln", "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp",
           "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax", "xlog1py", "xlogy"]


@functional
def entr(x: Tensor, /) -> Tensor:
    """``-x * log(x)``: 0 at 0, and -inf below.

    >>> import tensorlite as tl
    >>> tl.special.entr(tl.tensor([-1.0, 0.0, 1.0]))
    tensor([-inf,  -0.,  -0.])
    """
    return where(less(x, 0), -math.inf, -xlogy(x, x))


@functional
def xlog1py(x: Tensor, other: Tensor, /) -> Tensor:
    """``x * log(1 + other)``, and 0 where ``x`` is 0, whatever ``other`` is but NaN.

    >>> import tensorlite as tl
    >>> tl.special.xlog1py(tl.tensor([0.0, 2.0]), tl.tensor([-1.0, 0.0]))
    tensor([0., 0.])
    """
    is_nothing = logical_and(equal(x, 0), logical_or(less_equal(other, -1), isinf(other)))
    return where(is_nothing, 0, x * log1p(where(is_nothing, 0.0, other)))


@functional
def ndtr(x: Tensor, /) -> Tensor:
    """The distribution function of the standard normal distribution, accurate far below 0.

    >>> import tensorlite as tl
    >>> tl.special.ndtr(tl.tensor([-1.0, 1.0]))
    tensor([0.1587, 0.8413])
    """
    return erfc(x * -math.sqrt(0.5)) * 0.5
