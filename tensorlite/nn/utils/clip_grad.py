"""Bounds for gradients: on the norm of all of them, or on each of their elements.

``foreach`` is PyTorch's choice between two ways to the same numbers: there is one way here, and it is not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from tensorlite.errors import NumericsError, complaint
from tensorlite.modes import no_grad
from tensorlite.ops.bounds import clip
from tensorlite.ops.elementwise import abs, minimum, not_equal, sqrt, square
from tensorlite.ops.extremes import max, min
from tensorlite.ops.filled import zeros
from tensorlite.ops.join import stack
from tensorlite.ops.reduce import accumulator, sum
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _with_gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The parameters that have a gradient."""
    return [p for p in _listed(parameters) if p.grad is not None]


def _norm(x: Tensor, kind: float) -> Tensor:
    """The norm of all elements, in a dtype wide enough for their sum."""
    x = astype(x, accumulator(x.dtype), copy=False)
    if not x.size:
        return zeros((), dtype=x.dtype)
    if kind in _EXTREMES:
        return _EXTREMES[kind](abs(x))
    if kind == 0:
        return sum(astype(not_equal(x, 0), x.dtype))
    return sqrt(sum(square(x))) if kind == 2 else sum(abs(x) ** kind) ** (1 / kind)


_EXTREMES = {math.inf: max, -math.inf: min}


def _total_norm(op: str, tensors: list[Tensor], norm_type: float, error_if_nonfinite: bool) -> Tensor:
    if not tensors:
        return zeros(())
    kind = float(norm_type)
    norms = [_norm(x, kind) for x in tensors]
    total = _norm(stack([astype(n, norms[0].dtype, copy=False) for n in norms]), kind)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise complaint(NumericsError, op, f"the norm of the gradients is {total.item()}")
    return total


@no_grad()
def get_total_norm(tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False,
                   foreach: bool | None = None) -> Tensor:
    """The norm of the norms of tensors, which is that of all their elements together.

    ``norm_type`` may be infinite. Raises `NumericsError` for a norm that is not finite, if asked to.

    >>> import tensorlite as tl
    >>> tl.nn.utils.get_total_norm([tl.tensor([3.0]), tl.tensor([4.0])])
    tensor(5.)
    """
    return _total_norm("get_total_norm", _listed(tensors), norm_type, error_if_nonfinite)


@no_grad()
def clip_grads_with_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor,
                          foreach: bool | None = None) -> None:
    """Scales gradients, whose norm is known to be ``total_norm``, so that it is at most ``max_norm``."""
    scale = minimum(max_norm / (total_norm + 1e-6), 1.0)
    for p in _with_gradients(parameters):
        p.grad = p.grad * astype(scale, p.grad.dtype, copy=False)  # type: ignore[union-attr]


@no_grad()
def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
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
    total = _total_norm("clip_grad_norm_", [p.grad for p in tracked], norm_type,  # type: ignore[misc]
                        error_if_nonfinite)
    clip_grads_with_norm_(tracked, max_norm, total)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Keeps every element of the gradients within ``[-clip_value, clip_value]``."""
    for p in _with_gradients(parameters):
        p.grad = clip(p.grad, -float(clip_value), float(clip_value))
