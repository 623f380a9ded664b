"""Graphs: traced from plain Python, optimized, and compiled to one native program.

The module itself is the decorator: ``tl.jit(function)``, ``@tl.jit`` and ``from tensorlite import jit`` all mean it.

>>> import tensorlite as tl
>>> @tl.jit
... def scaled(x, weight):
...     return tl.tanh(x @ weight) * 2
>>> scaled(tl.ones((2, 3)), tl.zeros((3, 2)))
tensor([[0., 0.],
        [0., 0.]])

A call gives what the plain function gives. Its Python runs only when it is traced: at the first call, and again for
arguments of other shapes, dtypes, structure, numbers or strings, or where what it reads from Python (globals,
closures, attributes of modules, options of optimizers) is no longer the same. Tensors that it finds elsewhere and
changes, such as parameters, moments, running averages and the state of random generators, are state: the program
updates them in place, so that a whole training step is one function.

>>> model = tl.nn.Linear(3, 1)
>>> opt = tl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
>>> @tl.jit
... def step(x, y):
...     loss = tl.nn.functional.mse_loss(model(x), y)
...     opt.zero_grad()
...     loss.backward()
...     opt.step()
...     return loss
>>> losses = [step(tl.ones((4, 3)), tl.zeros((4, 1))).item() for _ in range(50)]
>>> losses[-1] < 0.1
True

Arguments and results are tensors, Python scalars and strings, None, modules, and lists, tuples, dicts and dataclasses
of these. ``step.explain()``, ``step.memory()`` and ``step.profile()`` tell what became of it. Raises `TraceError`
where the function asks for elements (``if x.sum() > 0``, ``x.item()``), keeps a tensor of the trace elsewhere, or
returns what goes on after the call; `RecompileWarning` tells of a function that is compiled again and again. Control
flow that depends on elements is `cond`, `while_loop`, `scan` and `map`.

The design follows staged tracing as in Frostig, Johnson and Leary, "Compiling machine learning programs via high-level
tracing" (SysML 2018).
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
