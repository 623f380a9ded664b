"""Stochastic depth: leaving whole residual branches out at random."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import PUBLIC, functional
from tensorlite.errors import ArgumentError, complaint
from tensorlite.ops.dropout import keep_scaled
from tensorlite.ops.elementwise import greater_equal
from tensorlite.tensor import Tensor

__all__ = ["drop_path", "stochastic_depth"]


def _left_out(input: Tensor, p: float, rows: int, scale: float, generator: Any) -> Tensor:
    """The input with whole rows, or all, replaced by zeros with probability ``p``, and the others scaled."""
    kept = greater_equal(PUBLIC["rand"]((rows, *(1,) * (input.ndim - 1)), generator=generator), p)
    return keep_scaled(kept, input, scale)


def _check(op: str, name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise complaint(ArgumentError, op, f"{name} must be between 0 and 1, not {p}")


@functional
def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True, *, generator: Any = None) -> Tensor:
    """Zeroes the input with probability ``p`` and divides it by ``1 - p`` else; nothing unless ``training``.

    Huang et al., "Deep networks with stochastic depth", 2016. By ``mode``, ``"batch"`` or ``"row"``, all samples
    together or each for itself; input: [batch, ...].

    >>> import tensorlite as tl
    >>> stochastic_depth(tl.ones((2, 2)), 0.5, "row", training=False)
    tensor([[1., 1.],
            [1., 1.]])
    """
    _check("stochastic_depth", "p", p)
    if mode not in ("batch", "row"):
        raise complaint(ArgumentError, "stochastic_depth", f"mode must be 'batch' or 'row', not {mode!r}")
    if not training or p == 0.0:
        return input
    rows = input.shape[0] if mode == "row" else 1
    return _left_out(input, p, rows, 1 / (1 - p) if p < 1 else 0.0, generator)


@functional
def drop_path(x: Tensor, drop_prob: float = 0.0, training: bool = False, scale_by_keep: bool = True, *,
              generator: Any = None) -> Tensor:
    """Zeroes each sample with probability ``drop_prob``, and by default divides the others by ``1 - drop_prob``.

    Huang et al., "Deep networks with stochastic depth", 2016, by the names that timm gives it. Nothing changes unless
    ``training``. x: [batch, ...].

    >>> import tensorlite as tl
    >>> drop_path(tl.ones((2, 1)), 1.0, training=True)
    tensor([[0.],
            [0.]])
    """
    _check("drop_path", "drop_prob", drop_prob)
    if not training or drop_prob == 0.0:
        return x
    keep = 1 - drop_prob
    return _left_out(x, drop_prob, x.shape[0], 1 / keep if scale_by_keep and keep else 1.0, generator)
