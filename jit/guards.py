"""Guards: what a traced function read from Python, and whether it is still so.

While a function is traced, every function of the user's that runs is noted with what its code names: globals, closures,
attributes of modules and classes. So are the containers and objects found there, a few levels deep, and the modules and
optimizers that run. Later each must hold the same things, or numbers and strings that are equal. What modules of `nn`
and optimizers hold is only looked at where `versions` says that one of them has changed.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from operator import is_
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, cast

import numpy as np

from tensorlite import versions
from tensorlite.kernels import device as devices
from tensorlite.kernels import scalar
from tensorlite.nn.module import Module
from tensorlite.optim.optimizer import Optimizer
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tree import flatten

_SCALARS = (bool, int, float, complex, str, bytes, type(None))
_DEPTH = 6  # levels of containers that are followed
_MOST = 4096  # elements of a container; of a larger one nobody can say that it is the same
_OURS = (str(Path(sys.modules["tensorlite"].__file__ or "").parent) + os.sep,
         str(Path(__file__).parent) + os.sep, str(Path(scalar.__file__ or "").parents[1]) + os.sep,
         *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platlib", "purelib")))
_MISSING: Any = object()


@dataclass(eq=False)
class Place:
    """Something that holds things, and what it held: `read` gives these now, in order."""

    read: Callable[[], Sequence[Any]]
    held: list[Any]
    code: CodeType | None = None  # the only one that reads it, as far as is known

    def is_same(self) -> bool:
        """Whether it holds the very same things."""
        now = self.read()
        return len(now) == len(self.held) and all(map(is_, now, self.held))

    def is_equal(self) -> bool:
        """Whether it holds the same things, or equal numbers and strings, which it then is known to hold."""
        now = list(self.read())
        if len(now) != len(self.held) or not all(map(_alike, now, self.held)):
            return False
        self.held = now
        return True


def _alike(now: Any, before: Any) -> bool:
    if now is before:
        return True
    if type(now) is not type(before) or not isinstance(now, _SCALARS):
        return False
    if isinstance(now, bytes):
        return bool(now == before)
    return repr(now) == repr(before)  # so that 0.0 differs from -0.0, and NaN is equal to itself


@dataclass
class Guards:
    """What was read."""

    places: dict[int, Place] = field(default_factory=dict)
    objects: dict[int, tuple[Any, tuple[Any, ...]]] = field(default_factory=dict)
    version: int = -1
    knowable: bool = True
    _noted: dict[tuple[int, str], Any] = field(default_factory=dict)
    _list: list[Place] = field(default_factory=list)
    _kept: list[Any] = field(default_factory=list)  # so that no other object has the same id
    _ran: set[CodeType] = field(default_factory=set)

    def hold(self) -> bool:
        """Whether all is as it was."""
        for place in self._list:
            if not place.is_same() and not place.is_equal():
                return False
        return self.knowable and (versions.latest == self.version or self._look())

    def _look(self) -> bool:
        version = versions.latest
        for thing, snapshot in self.objects.values():
            if _snapshot(thing) != snapshot:
                return False
        self.version = version
        return True

    def finish(self, executed: bool) -> None:
        """Ends the recording; with ``executed``, what only functions read that did not run is forgotten."""
        for key, (thing, _) in self.objects.items():
            if isinstance(thing, Optimizer):  # whose state begins with its first step
                self.objects[key] = thing, _snapshot(thing)
        self._list = [place for place in self.places.values()
                      if not executed or place.code is None or place.code in self._ran]
        if self.version == -1:
            self.version = versions.latest

    # --- recording ---

    def place(self, holder: Any, read: Callable[[], Sequence[Any]], depth: int, code: CodeType | None = None) -> None:
        """Notes something that holds things, and what these hold in turn."""
        if id(holder) in self.places:
            return
        held = list(read())
        if len(held) > _MOST:
            self.knowable = False
            return
        self.places[id(holder)] = Place(read, held, code)
        self._kept.append(holder)
        for value in held:
            self.value(value, depth + 1)

    def value(self, value: Any, depth: int = 0) -> None:
        """Notes what hangs on a value that was read."""
        if isinstance(value, _SCALARS) or isinstance(value, Tensor | type | ModuleType | BuiltinFunctionType):
            return
        if isinstance(value, Module | Optimizer):
            self.object(value)
        elif isinstance(value, MethodType):
            self.value(value.__self__, depth)
            self.function(value.__func__)
        elif isinstance(value, FunctionType):
            self.function(value)
        elif isinstance(value, np.ndarray):
            self.array(value)
        elif depth < _DEPTH:
            self.container(value, depth)
        elif isinstance(value, list | tuple | dict | set | deque):
            self.knowable = False

    def container(self, value: Any, depth: int) -> None:
        """Notes a container, or an object with attributes."""
        if isinstance(value, dict):
            self.place(value, lambda: [*value, *value.values()], depth)
        elif isinstance(value, list | tuple | deque):
            self.place(value, lambda: value, depth)
        elif isinstance(value, set | frozenset):
            self.place(value, lambda: list(value), depth)
        elif not type(value).__module__.startswith(("tensorlite", "numpy")) and not _is_callable_of_ours(value):
            attributes = getattr(value, "__dict__", None)
            if attributes is not None:
                self.place(value, lambda: [*attributes, *attributes.values()], depth)
            slots = tuple(name for base in type(value).__mro__ for name in _slots_of(base))
            if slots:
                self.place(slots, lambda: [getattr(value, name, _MISSING) for name in slots], depth)
            self.methods(type(value))

    def array(self, value: Any) -> None:
        """Notes an array that code may read numbers of."""
        if value.size <= _MOST:
            self.place(value, lambda: (value.tobytes(),), _DEPTH)

    def elements(self, x: Tensor) -> None:
        """Notes a tensor whose elements Python was given."""
        self.place(x, lambda: (devices.of(x.array).to_numpy(x.array).tobytes(),), _DEPTH)

    def object(self, thing: Any) -> None:
        """Notes a module or an optimizer, once; and the containers among its attributes."""
        if id(thing) in self.objects:
            return
        self.objects[id(thing)] = thing, _snapshot(thing)
        if isinstance(thing, Module):
            named = _names_read(cast(Hashable, type(thing)))
            for name, value in list(vars(thing).items()):
                if name in named and not isinstance(value, _SCALARS):
                    self.value(value, 1)
            for module in thing._modules.values():
                self.value(module)
            self.methods(type(thing))

    def methods(self, kind: type) -> None:
        """Notes what the methods of a user's class name."""
        for base in kind.__mro__:
            if (id(base), "") in self._noted or _file_of(base).startswith(_OURS):
                continue
            self._noted[id(base), ""] = base
            names = tuple(name for name, value in vars(base).items() if not name.startswith("__") and _is_data(value))
            if names:
                self.place(base, lambda base=base, names=names: [vars(base).get(n, _MISSING) for n in names], 0)  # type: ignore[misc]
            for function in list(vars(base).values()):
                function = getattr(function, "__func__", getattr(function, "fget", function))
                if isinstance(function, FunctionType):
                    self.function(function)

    def function(self, function: Any) -> None:
        """Notes what a user's function names, its closure and defaults."""
        if isinstance(function, MethodType):
            self.value(function)
            return
        function = getattr(function, "function", function)
        if not isinstance(function, FunctionType):
            self.value(function)
            return
        if _is_ours(function.__code__) or (id(function), "") in self._noted:
            return
        self._noted[id(function), ""] = function
        code = function.__code__
        if function.__defaults__ or function.__kwdefaults__:
            self.place(function, lambda: (function.__defaults__, function.__kwdefaults__), 1, code)
        cells = function.__closure__ or ()
        if cells:
            self.place(cells, lambda: [_contents(cell) for cell in cells], 0, code)
        self.code(code, function.__globals__)

    def frame(self, frame: FrameType, event: str, _: Any) -> None:
        """What the interpreter tells of calls."""
        if event == "call" and not _is_ours(frame.f_code):
            self._ran.add(frame.f_code)
            self.code(frame.f_code, frame.f_globals)

    def code(self, code: CodeType, values: dict[str, Any]) -> None:
        """Notes the globals that code names, and what it may read of those that are modules or classes."""
        if (id(code), "") in self._noted:
            return
        self._noted[id(code), ""] = code
        names = tuple(name for name in code.co_names if name in values)
        if names:
            self.place(code, lambda: [values.get(name, _MISSING) for name in names], 0, code)
        for name in names:
            if isinstance(values[name], ModuleType | type):
                self.attributes(values[name], code.co_names)
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                self.code(inner, values)

    def attributes(self, owner: Any, names: Sequence[str]) -> None:
        """Notes attributes of a user's module or class."""
        if _file_of(owner).startswith(_OURS):
            return
        held: Any = vars(owner)
        read = tuple(name for name in names if name in held)
        if read:
            key = (id(owner), " ".join(read))
            self._noted[key] = _Key()
            self.place(self._noted[key], lambda: [vars(owner).get(name, _MISSING) for name in read], 0)
        if isinstance(owner, type):
            self.methods(owner)


def _is_data(value: Any) -> bool:
    return not callable(value) and not isinstance(value, property | classmethod | staticmethod | MappingProxyType) \
        and not hasattr(value, "__get__")


def _is_ours(code: CodeType) -> bool:
    """Whether code is of the library or the standard one, or made by these, as dataclasses' methods are."""
    made = code.co_filename == "<string>" and code.co_name.startswith("__")
    return made or code.co_filename.startswith((*_OURS, "<tensorlite", "<frozen"))


class _Key:
    """Something to know a place by."""


def _is_callable_of_ours(value: Any) -> bool:
    return isinstance(value, MappingProxyType) or (callable(value) and not hasattr(value, "__dict__"))


def _slots_of(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if not name.startswith("__"))


def _file_of(owner: Any) -> str:
    """The file of a module, or of a class's; those of the standard library are as good as ours."""
    module = owner if isinstance(owner, ModuleType) else sys.modules.get(owner.__module__)
    name = getattr(module, "__name__", "")
    if name.partition(".")[0] in sys.stdlib_module_names and name != "__main__":
        return _OURS[0]
    return getattr(module, "__file__", None) or ""


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return _MISSING


def _atom(value: Any) -> Any:
    """A number or a string by its value, a flat container by its elements, anything else by identity."""
    if isinstance(value, _SCALARS):
        return type(value), repr(value)
    return tuple(map(_atom, value)) if isinstance(value, list | tuple) else id(value)


def _snapshot(thing: Any) -> tuple[Any, ...]:
    """What code reads of a module's attributes, or the options of an optimizer's groups."""
    if isinstance(thing, Optimizer):
        kept = tuple((id(p), name, id(value)) for p, values in thing.state.items() for name, value in values.items()
                     if isinstance(value, Tensor))
        return kept, tuple(map(_atom, thing.seen()))
    values = vars(thing)
    named = _names_read(cast(Hashable, type(thing)))
    own = tuple((name, _atom(value)) for name, value in values.items() if name in named)
    tables = tuple((name, id(x)) for table in ("_modules", "_parameters", "_buffers")
                   for name, x in values[table].items())
    hooks = tuple(id(hook) for table in ("_forward_pre_hooks", "_forward_hooks") for hook in values[table])
    return own, tables, hooks


@cache
def _names_read(kind: Hashable) -> frozenset[str]:
    """The attributes that a module's methods name, and whether it trains."""
    assert isinstance(kind, type)
    codes = [f.__code__ for base in kind.__mro__ if base not in (Module, object)
             for f in vars(base).values() if isinstance(f, FunctionType)]
    names = {"training"}
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(names)


@contextmanager
def guarding(function: Callable[..., Any], arguments: Any = ()) -> Iterator[Guards]:
    """Records what a function reads while it is traced within."""
    guards = Guards()
    before, profile = (state.read, state.elements), sys.getprofile()
    state.read, state.elements = guards.object, guards.elements
    guards.value(function)
    guards.function(function)
    for leaf in flatten(arguments)[0]:
        if not isinstance(leaf, Tensor):
            guards.value(leaf)
    guards.version = versions.latest
    if profile is None:  # a profiler of the user's goes on instead
        sys.setprofile(guards.frame)
    try:
        yield guards
    finally:
        if profile is None:
            sys.setprofile(None)
        state.read, state.elements = before
        guards.finish(executed=profile is None)
