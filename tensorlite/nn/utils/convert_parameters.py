"""Parameters as one vector, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tensorlite.errors import ShapeError, complaint
from tensorlite.modes import no_grad
from tensorlite.ops.join import concat
from tensorlite.ops.shape import reshape
from tensorlite.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of some parameters, one after the other.

    >>> import tensorlite as tl
    >>> tl.nn.utils.parameters_to_vector([tl.ones((2, 2)), tl.zeros(1)])
    tensor([1., 1., 1., 1., 0.])
    """
    return concat([reshape(p, -1) for p in parameters])


@no_grad()
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Fills parameters from one vector of their elements; raises `ShapeError` where it is of another length."""
    given = list(parameters)
    wanted = sum(math.prod(p.shape) for p in given)
    if vec.shape != (wanted,):
        raise complaint(ShapeError, "vector_to_parameters", f"the parameters have {wanted} elements", {"vec": vec})
    start = 0
    for p in given:
        p.copy_(reshape(vec[start:start + p.size], p.shape))
        start += p.size
