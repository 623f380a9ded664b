"""Augmented assignment: ``v += 1`` rebinds a tensor, and ``x[i] += 1`` goes back into ``x``."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from tensorlite.in_place import check_in_place, rebind
from tensorlite.tensor import Tensor, visible_base

_SYMBOLS = {"add": "+=", "sub": "-=", "mul": "*=", "truediv": "/=", "floordiv": "//=", "mod": "%=", "pow": "**=",
            "matmul": "@=", "and": "&=", "or": "|=", "xor": "^=", "lshift": "<<=", "rshift": ">>="}


def augmented(operator: str, function: Callable[..., Any]) -> Callable[..., Tensor]:
    """The augmented assignment of an operator.

    In ``x[i] += 1`` Python makes the view ``x[i]``, adds to it and assigns the sum to ``x[i]`` again: the view itself
    has no name, and so nobody can see whether it changed.
    """
    name = _SYMBOLS[operator]

    def method(self: Tensor, other: Any) -> Tensor:
        if visible_base(self) is not None and sys.getrefcount(self) <= _UNNAMED and _goes_back(sys._getframe(1)):
            return function(self, other)
        check_in_place(name, self)
        return rebind(name, self, function(self, other))
    method.__doc__ = f"Rebinds the tensor to what `{function.__name__}` gives, and returns it."
    return method


def _goes_back(frame: FrameType) -> bool:
    """Whether the caller stores what its present instruction gives into an item."""
    after = (i.opname for i in dis.get_instructions(frame.f_code) if i.offset > frame.f_lasti)
    return next((name for name in after if name not in ("SWAP", "CACHE", "ROT_THREE")), "") in (
        "STORE_SUBSCR", "STORE_SLICE")


class _Item:
    """Counts the references to an item of augmented assignment, which depend on how an interpreter passes it."""

    count = 0

    def __iadd__(self, other: object) -> _Item:
        _Item.count = sys.getrefcount(self)
        return self


class _Box:
    def __getitem__(self, index: int) -> _Item:
        return _Item()

    def __setitem__(self, index: int, item: _Item) -> None:
        pass


_box = _Box()
_box[0] += 1
_UNNAMED = _Item.count
