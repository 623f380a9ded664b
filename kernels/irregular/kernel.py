"""Kernels that are plain Python functions: Numba types and compiles them to LLVM IR, and from there on all is ours.

``function(thread, threads, ...)`` takes the slots of an argument block as parameters: addresses, which it indexes as
arrays, then numbers. It may call functions of its own module and `barrier`, makes no objects, raises nothing and
allocates nothing. Numba's text of it goes through ``cpu/native.py`` like that of any other kernel: the object lies in
our disk cache, is loaded by its key, and a warm start does not import Numba (0.2 s; a kernel's first compilation takes
0.5 to 1.2 s of one core).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from tensorlite.kernels.cpu import native, team
from tensorlite.kernels.errors import KernelError

_ENTRY = re.compile(r'^define [^@]*@("?)(cfunc\.[^("]+)\1\(', re.MULTILINE)
_OWN = re.compile(r"^define (?!internal)(?:linkonce_odr )?", re.MULTILINE)
_DECLARED = re.compile(r'^declare [^@]*(@"?(?!llvm\.|tensorlite_)[^("]+)', re.MULTILINE)
_TYPES = {"int64": "i64", "float64": "double"}
_INSTRUCTIONS = {"@sqrt(": "@llvm.sqrt.f64("}  # what Numba calls by name, though it is one


def barrier(threads: int) -> None:
    """Wait for the other threads: in a compiled kernel all of the team meet here."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function and the types of its parameters after ``thread, threads``; ``int32*`` is the address of such numbers.

    Addresses come first, as in every argument block.
    """

    function: Callable[..., None]
    types: tuple[str, ...]

    @property
    def source(self) -> str:
        """The Python text of the function."""
        return inspect.getsource(self.function)

    def llvm(self) -> str:
        """Return the LLVM module whose function ``kernel`` has the kernels' calling convention.

        Raises `KernelError` where the function needs Python at run time.
        """
        text = _compiled(self.function, self.types)
        for called, instruction in _INSTRUCTIONS.items():
            text = text.replace(called, instruction)
        found = _ENTRY.search(text)
        assert found is not None, "Numba names its C entry cfunc.*"
        # Numba's functions return whether they raised. That none does is seen once they are known to be the only ones.
        text = native.optimise(_OWN.sub("define internal ", text) + _entry(found[2], self.types))
        needed = sorted({name[1:] for name in _DECLARED.findall(text) if text.count(name) > 1})
        if needed:
            raise KernelError(f"irregular: {self.function.__name__} calls {', '.join(needed)} of Numba or Python")
        return text


def _entry(inner: str, types: tuple[str, ...]) -> str:
    """The function that takes an argument block apart."""
    kinds = ["ptr" if name.endswith("*") else _TYPES[name] for name in types]
    loads = [f"  %p{k} = getelementptr i64, ptr %block, i64 {k}\n  %a{k} = load {kind}, ptr %p{k}, align 8\n"
             for k, kind in enumerate(kinds)]  # fmt: skip
    passed = "".join(f", {kind} %a{k}" for k, kind in enumerate(kinds))
    return (f"define void @kernel(i64 %thread, i64 %threads, ptr %block) nounwind {{\n{''.join(loads)}"
            f'  %none = call ptr @"{inner}"(i64 %thread, i64 %threads{passed})\n  ret void\n}}\n')  # fmt: skip


def _compiled(function: Callable[..., None], types: tuple[str, ...]) -> str:
    import numba

    number = numba.types.int64
    own = [numba.types.CPointer(getattr(numba.types, name[:-1])) if name.endswith("*") else getattr(numba.types, name)
           for name in types]  # fmt: skip
    with _compiler():
        entry = numba.cfunc(numba.types.void(number, number, *own), **_options())
        return str(entry(_rebound(function, {})).inspect_llvm())


def _options() -> dict[str, Any]:
    return {"nopython": True, "cache": False, "error_model": "numpy"}  # a division by zero raises nothing


@contextmanager
def _compiler() -> Iterator[None]:
    """Numba ready for our functions: it compiles even where a user has switched it off, and knows `barrier`."""
    from numba.core import config as found

    config: Any = found

    native.provide_symbol(team.BARRIER)
    before = config.DISABLE_JIT
    config.DISABLE_JIT = 0
    try:
        yield
    finally:
        config.DISABLE_JIT = before


def _rebound(function: Any, seen: dict[Any, Any]) -> Any:
    """Return a copy of a function that calls compiled copies of the functions that it names."""
    import numba

    scope = dict(function.__globals__)
    for name in function.__code__.co_names:
        called = scope.get(name)
        if called is barrier:
            signature = numba.types.void(numba.types.int64)
            scope[name] = numba.types.ExternalFunction(team.BARRIER, signature)
        elif isinstance(called, FunctionType):
            if called not in seen:
                seen[called] = numba.njit(_rebound(called, seen), error_model="numpy", inline="always")
            scope[name] = seen[called]
    return FunctionType(function.__code__, scope, function.__name__, function.__defaults__)
