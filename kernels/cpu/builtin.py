"""Builtin functions of Python whose code is ours: native kernels are entered without ctypes.

To find what was prepared for some arrays, to make the result, to read the arrays' addresses, to write the argument
block and to enter the kernel took 1.8 us in Python, as much as a product of 64 x 64 matrices; it is 0.3 us here. Where
arrays or interpreter are not as the code expects, ``is_supported`` says so, and Python does the same.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import platform
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tensorlite.kernels.cpu import symbols, team
from tensorlite.kernels.cpu.builtin_code import TEXT
from tensorlite.kernels.stage import Array

ALL = team.MAX_THREADS
"""For a stage that every thread of the team takes part in."""

_PYTHON = ("PyTuple_New", "PyTuple_GetItem", "PyTuple_SetItem", "PyTuple_Size", "PyBytes_FromStringAndSize",
           "PyBytes_AsString", "PyDict_GetItemWithError", "PyErr_Occurred", "Py_IncRef", "Py_DecRef",
           "PyEval_SaveThread", "PyEval_RestoreThread", "PyObject_Vectorcall")  # fmt: skip
_FASTCALL, _KEYWORDS = 0x80, 0x02


@dataclass(frozen=True, slots=True)
class Call:
    """A kernel's address, how many threads it wants, its arrays as pairs of a number and an offset, and its numbers."""

    entry: int
    threads: int
    places: Sequence[tuple[int, int]]
    numbers: bytes


class _Library(NamedTuple):
    find: Callable[[Any], Callable[..., Any]]
    key: Callable[[Any], Callable[..., Any]]
    enter: Callable[[Any], Callable[..., Any]]


class _Method(ctypes.Structure):
    """``PyMethodDef``."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("about", ctypes.c_char_p)
    )  # fmt: skip


@functools.cache
def is_supported() -> bool:
    """Tell whether this Python calls such functions, and arrays' heads are as the code reads them."""
    if sys.implementation.name != "cpython" or platform.machine() not in ("x86_64", "aarch64", "AMD64", "arm64"):
        return False
    if not all(hasattr(ctypes.pythonapi, name) for name in _PYTHON):
        return False
    samples: list[npt.NDArray[Any]] = [np.zeros((3, 4)), np.zeros((3, 4), np.int8).T, np.zeros(())]
    samples.append(np.zeros((3, 4), ">f2")[:, ::2][1:])
    return all(_head(x) == _expected_head(x) for x in samples)


def _head(array: npt.NDArray[Any]) -> list[Any]:
    """Read an array's head as the native code does."""

    def word(place: int) -> int:
        return ctypes.c_ssize_t.from_address(place).value

    def half(place: int) -> int:
        return ctypes.c_int32.from_address(place).value

    at = id(array)
    if word(at + 8) != id(np.ndarray) or half(at + 24) != array.ndim:
        return []
    lists = [tuple(word(word(at + place) + 8 * d) for d in range(array.ndim)) for place in (32, 40)]
    letters = ctypes.string_at(word(at + 56) + 24, 3).decode()
    return [word(at + 16), *lists, letters, half(word(at + 56) + 28), half(at + 64) & 256]


def _expected_head(array: npt.NDArray[Any]) -> list[Any]:
    dtype = array.dtype
    letters = dtype.kind + dtype.char + dtype.byteorder
    return [array.ctypes.data, array.shape, array.strides, letters, dtype.num, 256 * array.flags.aligned]


@functools.cache
def _library() -> _Library:
    native = importlib.import_module("tensorlite.kernels.cpu.native")  # 10 ms that an import need not take
    names = ("find", "key", "enter")
    flags = (_FASTCALL | _KEYWORDS, _FASTCALL | _KEYWORDS, _FASTCALL)
    addresses = native.compile_all(TEXT, "builtin", names, speed=2)
    return _Library(*map(_maker, names, addresses, flags))


def _maker(name: str, address: int, flags: int) -> Callable[[Any], Callable[..., Any]]:
    """Return what makes builtin functions of that code, each with a ``self``."""
    method = _Method(name.encode(), address, flags, None)
    create = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
        ("PyCFunction_NewEx", ctypes.pythonapi)
    )

    def make(self: Any) -> Callable[..., Any]:
        made: Callable[..., Any] = create(ctypes.addressof(method), self, None)
        return made

    return make


def finder(kept: dict[Any, Any], otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that calls what ``kept`` has for its arrays (`key`) and keywords, with the arrays alone."""
    return _library().find((kept, otherwise, np.ndarray))


def key(*arrays: Any, **attributes: Any) -> Any:
    """Return under which key a `finder` looks, or () where some argument is no plain array of numbers."""
    return _key()(*arrays, **attributes)


@functools.cache
def _key() -> Callable[..., Any]:
    return _library().key((None, None, np.ndarray))


def program(
    calls: Sequence[Call], given: int, makers: Sequence[tuple[Callable[..., Any], Array]], returned: int,
    otherwise: Callable[..., Any], short: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """Return the function of ``given`` arrays that makes arrays, runs kernels, and returns the first of those made.

    That is one array, or a tuple of another number. Arrays are numbered as in a `Plan`: those given, then those made;
    each maker is called with shape and dtype. ``otherwise`` is called where arguments are no plain arrays, and until
    the team's workers are there. Python's other threads run meanwhile, unless that is ``short``.
    """
    wants = 2 if any(call.threads > 1 for call in calls) else 0
    size = max((16 * len(call.places) + len(call.numbers) for call in calls), default=0)
    words = [given, len(makers), returned, wants, size, len(calls), id(np.ndarray), not (short and wants == 0)]
    table = struct.pack(f"{len(words)}q", *words) + b"".join(map(_packed, calls))
    made = [part for maker, array in makers for part in (maker, array.shape, array.dtype)]
    return _library().enter((table, otherwise, *made))


def _packed(call: Call) -> bytes:
    words = [call.entry, call.threads, len(call.places), len(call.numbers) // 8]
    words += [number for place in call.places for number in place]
    return struct.pack(f"{len(words)}q", *words) + call.numbers


def _address_of(name: str) -> Callable[[], int]:
    return lambda: int(ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0)


for _name in _PYTHON:
    symbols.provide(_name, _address_of(_name))
