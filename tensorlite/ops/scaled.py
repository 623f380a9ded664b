"""Sums, differences and quotients with the options that PyTorch gives them: ``alpha`` and ``rounding_mode``."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import IN_PLACE, METHODS, PUBLIC
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.ops import elementwise
from tensorlite.ops.elementwise import floor_divide, less, logical_and, logical_xor, not_equal, trunc
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor

#: What operators apply: the ops themselves, which have no options to look at.
OPERATORS = {"add": elementwise.add, "subtract": elementwise.subtract, "divide": elementwise.divide}


def add(x1: Any, x2: Any, /, *, alpha: Any = 1) -> Tensor:
    """The sum ``x1 + alpha * x2``; of bools, their logical or. Raises `DTypeError` for integers times a float.

    >>> import tensorlite as tl
    >>> tl.add(tl.tensor([1.0, 2.0]), tl.tensor([1.0, 1.0]), alpha=10)
    tensor([11., 12.])
    """
    return elementwise.add(x1, x2 if type(alpha) is int and alpha == 1 else _times("add", x1, x2, alpha))


def subtract(x1: Any, x2: Any, /, *, alpha: Any = 1) -> Tensor:
    """The difference ``x1 - alpha * x2``. Raises `DTypeError` for integers times a float.

    >>> import tensorlite as tl
    >>> tl.subtract(tl.tensor([1.0, 2.0]), tl.tensor([1.0, 1.0]), alpha=2)
    tensor([-1.,  0.])
    """
    return elementwise.subtract(x1, x2 if type(alpha) is int and alpha == 1 else _times("subtract", x1, x2, alpha))


def _times(op: str, x1: Any, x2: Any, alpha: Any) -> Any:
    whole = all(x.dtype.kind in "biu" if isinstance(x, Tensor) else isinstance(x, int) for x in (x1, x2))
    if whole and isinstance(alpha, float | complex):
        raise complaint(DTypeError, op, f"integers are not scaled by {alpha!r}", {"x1": x1, "x2": x2, "alpha": alpha},
                        "cast one first: x2.to(tl.float32)")
    return elementwise.multiply(x2, alpha) if isinstance(x2, Tensor) else x2 * alpha


def divide(x1: Any, x2: Any, /, *, rounding_mode: str | None = None) -> Tensor:
    """The quotient ``x1 / x2``, rounded towards 0 with ``"trunc"`` and downwards with ``"floor"``.

    Integers are divided as floats, and remain integers where the quotient is rounded. Raises `ArgumentError` for
    another mode.

    >>> import tensorlite as tl
    >>> x = tl.tensor([-7, 7])
    >>> tl.divide(x, 2), tl.divide(x, 2, rounding_mode="trunc"), tl.divide(x, 2, rounding_mode="floor")
    (tensor([-3.5,  3.5]), tensor([-3,  3]), tensor([-4,  3]))
    """
    if rounding_mode is None:
        return elementwise.divide(x1, x2)
    if rounding_mode == "floor":
        return floor_divide(x1, x2)
    if rounding_mode != "trunc":
        raise complaint(ArgumentError, "divide", f"rounding_mode is None, 'trunc' or 'floor', not {rounding_mode!r}",
                        {"x1": x1, "x2": x2})
    down = floor_divide(x1, x2)
    if down.dtype.kind not in "iu":
        return trunc(elementwise.divide(x1, x2))
    is_below = logical_and(logical_xor(less(x1, 0), less(x2, 0)), not_equal(down * x2, x1))
    return down + astype(is_below, down.dtype)


for _function in (add, subtract, divide):
    for _table in (PUBLIC, METHODS, IN_PLACE):
        _table[_function.__name__] = _function
