"""Gradients and parameters of a model taken together."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterable

from tensorlite.errors import NumericsError, ShapeError, complaint
from tensorlite.modes import no_grad
from tensorlite.ops.bounds import clip
from tensorlite.ops.elementwise import abs, minimum, sqrt, square
from tensorlite.ops.extremes import max
from tensorlite.ops.filled import zeros
from tensorlite.ops.join import concat, stack
from tensorlite.ops.reduce import accumulator, sum
from tensorlite.ops.shape import astype, reshape
from tensorlite.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]


def _with_gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The parameters that have a gradient."""
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p for p in given if p.grad is not None]


def _norm(x: Tensor, kind: float) -> Tensor:
    """The norm of all elements, in a dtype wide enough for their sum."""
    x = astype(x, accumulator(x.dtype), copy=False)
    if math.isinf(kind):
        return max(abs(x)) if x.size else zeros((), dtype=x.dtype)
    return sqrt(sum(square(x))) if kind == 2 else sum(abs(x) ** kind) ** (1 / kind)


@no_grad()
def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False) -> Tensor:
    """Scales gradients so that the norm of all together is at most ``max_norm``; returns the norm that they had.

    Raises `NumericsError` for a norm that is not finite, if asked to.

    >>> import tensorlite as tl
    >>> w = tl.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> tl.nn.utils.clip_grad_norm_([w], 5.0)
    tensor(10.)
    >>> w.grad
    tensor([3., 4.])
    """
    tracked = _with_gradients(parameters)
    if not tracked:
        return zeros(())
    norms = [_norm(p.grad, float(norm_type)) for p in tracked]  # type: ignore[arg-type]
    total = _norm(stack([astype(n, norms[0].dtype, copy=False) for n in norms]), float(norm_type))
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise complaint(NumericsError, "clip_grad_norm_", f"the norm of the gradients is {total.item()}")
    scale = minimum(max_norm / (total + 1e-6), 1.0)
    for p in tracked:
        p.grad = p.grad * astype(scale, p.grad.dtype, copy=False)  # type: ignore[union-attr]
    return total


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Keeps every element of the gradients within ``[-clip_value, clip_value]``."""
    for p in _with_gradients(parameters):
        p.grad = clip(p.grad, -float(clip_value), float(clip_value))


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
    wanted = builtins.sum(p.size for p in given)
    if vec.shape != (wanted,):
        raise complaint(ShapeError, "vector_to_parameters", f"the parameters have {wanted} elements", {"vec": vec})
    start = 0
    for p in given:
        p.copy_(reshape(vec[start:start + p.size], p.shape))
        start += p.size
