"""Graphs: traced from plain Python, optimized, and compiled to one native program.

The module itself is the decorator: ``tl.jit(function)``, ``@tl.jit`` and ``from tensorlite import jit`` all mean it.

>>> import tensorlite as tl
>>> @tl.jit
... def scaled(x, weight):
...     return tl.tanh(x @ weight) * 2
>>> scaled(tl.ones((2, 3)), tl.zeros((3, 2)))
tensor([[0., 0.],
        [0., 0.]])
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tensorlite.jit.function import Jitted, JittedModule, RecompileWarning
from tensorlite.jit.function import jit as _jit

__all__ = ["Jitted", "JittedModule", "RecompileWarning"]


class _Decorator(ModuleType):
    """A module that can be called: `jit`."""

    def __call__(self, function: Callable[..., Any] | None = None) -> Any:
        return _jit(function)


sys.modules[__name__].__class__ = _Decorator
