"""Guards: what a traced function read from Python, and whether it is still so.

While a function is traced, every function of the user's that runs is noted with the globals and closures that its code
names, and every module and optimizer with its attributes. Numbers, strings and flat containers of them must be equal
later, functions and tensors the same object. What nobody has told `versions` of costs one comparison a call.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from tensorlite import versions
from tensorlite.kernels import scalar
from tensorlite.nn.module import Module
from tensorlite.optim.optimizer import Optimizer
from tensorlite.state import state
from tensorlite.tensor import Tensor

_SCALARS = (bool, int, float, complex, str, bytes, type(None))
_MOST = 64  # elements of a container that is compared
_OURS = (str(Path(sys.modules["tensorlite"].__file__ or "").parent) + os.sep,
         str(Path(__file__).parent) + os.sep, str(Path(scalar.__file__ or "").parents[1]) + os.sep,
         *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platlib", "purelib")), "<")


@dataclass
class Guards:
    """What was read: names of dicts, contents of cells, and snapshots of objects' attributes."""

    names: dict[tuple[int, str], tuple[dict[str, Any], str, Any]] = field(default_factory=dict)
    cells: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    objects: dict[int, tuple[Any, tuple[Any, ...]]] = field(default_factory=dict)
    version: int = -1
    _globals: list[tuple[dict[str, Any], str, Any]] = field(default_factory=list)

    def hold(self) -> bool:
        """Whether all is as it was."""
        for values, name, value in self._globals:
            if values.get(name, _MISSING) is not value:
                return self._look()
        return versions.latest == self.version or self._look()

    def _look(self) -> bool:
        version = versions.latest
        for values, name, value in self.names.values():
            if not _same(values.get(name, _MISSING), value):
                return False
        for cell, value in self.cells.values():
            if not _same(_contents(cell), value):
                return False
        for thing, snapshot in self.objects.values():
            if _snapshot(thing) != snapshot:
                return False
        self.version = version
        self._globals = [(values, name, values.get(name, _MISSING)) for values, name, _ in self.names.values()]
        return True

    def finish(self) -> None:
        """Ends the recording."""
        self.version = versions.latest
        self._globals = [(values, name, values.get(name, _MISSING)) for values, name, _ in self.names.values()]

    # --- recording ---

    def object(self, thing: Any) -> None:
        """Notes a module or an optimizer, once."""
        if id(thing) not in self.objects:
            self.objects[id(thing)] = thing, _snapshot(thing)

    def function(self, function: Any) -> None:
        """Notes the closure of a function, and what is called in it."""
        function = getattr(function, "__func__", getattr(function, "__wrapped__", function))
        if isinstance(getattr(function, "__self__", None), Module):
            self.object(function.__self__)
        for cell in getattr(function, "__closure__", None) or ():
            if id(cell) not in self.cells:
                value = _contents(cell)
                self.cells[id(cell)] = cell, _kept(value)
                self.value(value)

    def value(self, value: Any) -> None:
        """Notes what hangs on a value that was read."""
        if isinstance(value, Module | Optimizer):
            self.object(value)
        elif isinstance(value, FunctionType) and not value.__code__.co_filename.startswith(_OURS):
            self.function(value)

    def frame(self, frame: FrameType, event: str, _: Any) -> None:
        """What the interpreter tells of calls."""
        if event == "call":
            code = frame.f_code
            if not code.co_filename.startswith(_OURS) or _is_notebook(code):
                self.code(code, frame.f_globals)

    def code(self, code: CodeType, values: dict[str, Any]) -> None:
        """Notes the globals that code names."""
        for name in code.co_names:
            key = (id(values), name)
            if key in self.names or name not in values:
                continue
            value = values[name]
            self.names[key] = values, name, _kept(value)
            self.value(value)


def _is_notebook(code: CodeType) -> bool:
    """Whether code was typed in: into a notebook, a console or a test."""
    return code.co_filename.startswith("<") and "tensorlite" not in code.co_filename


_MISSING: Any = object()


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return _MISSING


@dataclass(frozen=True)
class _Copy:
    """A flat container as it was, or attributes of an object."""

    value: Any
    copy: Any


def _kept(value: Any) -> Any:
    """What a value is compared with later."""
    if isinstance(value, list | tuple | set | frozenset) and len(value) <= _MOST:
        return _Copy(value, (type(value), *map(_atom, value)))
    if isinstance(value, dict) and len(value) <= _MOST:
        return _Copy(value, (dict, *((key, _atom(item)) for key, item in value.items())))
    if _has_attributes(value) and len(vars(value)) <= _MOST:
        return _Copy(value, (type(value), *((key, _atom(item)) for key, item in vars(value).items())))
    return value


def _has_attributes(value: Any) -> bool:
    known = (Tensor, Module, Optimizer, ModuleType, FunctionType, BuiltinFunctionType, type)
    return hasattr(value, "__dict__") and not isinstance(value, known) and not callable(value)


def _atom(value: Any) -> Any:
    """A number or a string as it is, anything else by identity."""
    return (type(value), value) if isinstance(value, _SCALARS) and value == value else id(value)


def _same(value: Any, before: Any) -> bool:
    if isinstance(before, _Copy):
        if value is not before.value and type(value) is not type(before.value):
            return False
        now = _kept(value)
        return isinstance(now, _Copy) and now.copy == before.copy
    if value is before:
        return True
    return type(value) is type(before) and isinstance(before, _SCALARS) and (value == before or value != value)


def _snapshot(thing: Any) -> tuple[Any, ...]:
    """What code reads of a module's attributes, or the options of an optimizer's groups."""
    if isinstance(thing, Optimizer):
        return tuple((name, _atom(value) if not isinstance(value, list | tuple) else tuple(map(_atom, value)))
                     for group in thing.param_groups for name, value in group.items() if name != "lr")
    values = vars(thing)
    named = _names_read(type(thing))
    own = tuple((name, _deep(value)) for name, value in values.items() if name in named)
    tables = tuple((name, id(x)) for table in ("_modules", "_parameters", "_buffers")
                   for name, x in values[table].items())
    hooks = tuple(id(hook) for table in ("_forward_pre_hooks", "_forward_hooks") for hook in values[table])
    return own, tables, hooks


def _deep(value: Any) -> Any:
    return tuple(map(_atom, value)) if isinstance(value, list | tuple) else _atom(value)


@cache
def _names_read(kind: type) -> frozenset[str]:
    """The attributes that a module's methods name, and whether it trains."""
    codes = [f.__code__ for base in kind.__mro__ if base not in (Module, object)
             for f in vars(base).values() if isinstance(f, FunctionType)]
    names = {"training"}
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(names)


@contextmanager
def guarding(function: Callable[..., Any]) -> Iterator[Guards]:
    """Records what a function reads while it is traced within."""
    guards = Guards()
    before, profile = state.read, sys.getprofile()
    state.read = guards.object
    guards.function(function)
    sys.setprofile(guards.frame)
    try:
        yield guards
    finally:
        sys.setprofile(profile)
        state.read = before
        guards.finish()
