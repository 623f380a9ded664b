"""The bits of integers: and, or, exclusive or, negation and shifts."""

from __future__ import annotations

from tensorlite.declare import elementwise
from tensorlite.kernels import scalar as s


@elementwise(accepts="integer or bool", differentiable=False)
def bitwise_and(x1, x2):
    """The bits set in both."""
    return s.bitwise_and(x1, x2)


@elementwise(accepts="integer or bool", differentiable=False)
def bitwise_or(x1, x2):
    """The bits set in either."""
    return s.bitwise_or(x1, x2)


@elementwise(accepts="integer or bool", differentiable=False)
def bitwise_xor(x1, x2):
    """The bits set in exactly one."""
    return s.bitwise_xor(x1, x2)


@elementwise(accepts="integer or bool", differentiable=False)
def bitwise_invert(x):
    """All bits flipped; of a bool, its negation."""
    return s.bitwise_invert(x)


@elementwise(accepts="integer", differentiable=False)
def bitwise_left_shift(x1, x2):
    """The bits of ``x1`` moved up by ``x2`` places."""
    return s.left_shift(x1, x2)


@elementwise(accepts="integer", differentiable=False)
def bitwise_right_shift(x1, x2):
    """The bits of ``x1`` moved down by ``x2`` places, the sign kept."""
    return s.right_shift(x1, x2)
