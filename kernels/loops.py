"""Loops: the typed, immutable form in which every generated kernel is written, checked, printed and emitted.

A kernel runs in the SPMD style: each of ``threads`` threads executes the whole body, and takes its share of every
parallel loop. Values are named once (``Let``, ``Load``, loop indices); only a ``Local`` changes, by ``Assign``.
Expressions are ``scalar.Typed``; a builder may write ``scalar.Expr`` instead, and ``build`` types them. ``interp.py``
says what each statement means, ``verify.py`` what a kernel must fulfil, ``loop_text.py`` prints it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.scalar.primitive import constant as make_constant
from tensorlite.kernels.scalar.primitive import from_carrier

DType: TypeAlias = np.dtype[Any]
Value: TypeAlias = s.Expr | s.Typed | bool | int | float
Block: TypeAlias = "tuple[Statement, ...]"

INDEX = np.dtype(np.int64)


@dataclass(frozen=True, slots=True)
class Buffer:
    """An array in memory, seen as one dimension of elements; bools are bytes 0 and 1.

    ``exclusive``: no other buffer of the kernel overlaps it. One that is not may be another buffer itself, element for
    element, as where a result replaces an operand. ``alignment`` is in bytes, if more than an element's.
    """

    name: str
    dtype: DType
    writable: bool = False
    exclusive: bool = True
    alignment: int = 0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number given at each call: an extent, a stride, or a float such as epsilon. It travels in eight bytes."""

    name: str
    dtype: DType = INDEX


@dataclass(frozen=True, slots=True)
class Let:
    """Give ``value`` a name."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Load:
    """Name the element ``buffer[index]``; or the number of another ``dtype`` that it and those after it make up."""

    name: str
    buffer: str
    index: Value
    dtype: DType | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """Write ``buffer[index]``. ``streaming`` goes past the caches; whole vectors then fall on multiples of 64 bytes."""

    buffer: str
    index: Value
    value: Value
    streaming: bool = False


@dataclass(frozen=True, slots=True)
class Transpose:
    """Copy ``size`` rows of as many elements, ``source_stride`` apart, to columns of ``target``."""

    target: str
    target_index: Value
    target_stride: Value
    source: str
    source_index: Value
    source_stride: Value
    size: int


@dataclass(frozen=True, slots=True)
class Flag:
    """Store 1 in ``buffer[0]``, an int64, if ``condition`` holds in any lane; all who do store the same: no race."""

    buffer: str
    condition: Value


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Say that memory round ``buffer[index]`` will be written soon; the place need not exist. It changes nothing.

    Or ``later`` it will be read, and should come as near as the second cache.
    """

    buffer: str
    index: Value
    later: bool = False


@dataclass(frozen=True, slots=True)
class Local:
    """Declare a variable that ``Assign`` may change, and its first value."""

    name: str
    initial: Value


@dataclass(frozen=True, slots=True)
class Assign:
    """Change a local."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Scratch:
    """Declare a small array of undefined content, of this thread's own; a parallel loop's iteration starts anew."""

    name: str
    dtype: DType
    size: int


@dataclass(frozen=True, slots=True)
class If:
    """Run ``body`` where ``condition`` holds, a bool that is the same for all lanes."""

    condition: Value
    body: Block


@dataclass(frozen=True, slots=True)
class Barrier:
    """Wait until all threads are here, and see what they stored."""


class Kind(StrEnum):
    """How the iterations of a loop are executed."""

    SERIAL = "serial"
    PARALLEL = "parallel"  # contiguous shares of the iterations, one a thread; nothing passes between iterations
    VECTOR = "vector"  # lane l of W takes the iterations l, l + W, l + 2 W, ...
    UNROLL = "unroll"  # one copy of the body for each of a constant number of iterations


@dataclass(frozen=True, slots=True)
class For:
    """Run ``body`` for ``index`` from 0 to ``extent`` - 1. ``lanes``, a power of two, belongs to vector loops.

    A vector loop that is ``single`` has one body for whole vectors and for what is left: less code, for what lies in a
    cache. (Zen 5 does not fetch memory ahead of loads under a mask: from there they took four times as long.) A serial
    loop that is ``apart`` is a function of its own in the machine's code: it has all registers for itself, and
    is compiled once for all kernels in which it stands.
    """

    index: str
    extent: Value
    body: Block
    kind: Kind = Kind.SERIAL
    lanes: int = 1
    single: bool = False
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Reduce:
    """Run ``body`` with a copy of some locals for each of ``lanes`` lanes; then merge the copies by a fixed tree.

    Within, only vector loops of that many lanes may use the locals: each lane its own copy, which starts from
    ``identity``. ``merge`` gives the locals' new values from two copies: the left one under the locals' names, the
    right one under ``right(name)``. Lanes 0 ... W/2 - 1 take in lanes W/2 ... W - 1, and so on by halves; what the
    locals held before is the left operand of the last merge.
    """

    locals: tuple[str, ...]
    identity: tuple[Value, ...]
    merge: tuple[Value, ...]
    lanes: int
    body: Block


def right(name: str) -> str:
    """Return the name that a merge gives to the right copy of a local."""
    return f"{name}_right"


Statement: TypeAlias = (
    Let | Load | Store | Transpose | Flag | Prefetch | Local | Assign | Scratch | If | Barrier | For | Reduce
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A named loop nest over buffers and numbers. Its argument block has an 8-byte slot a parameter, in order."""

    name: str
    parameters: tuple[Buffer | Parameter, ...]
    body: Block

    @property
    def buffers(self) -> dict[str, Buffer]:
        """The buffers among the parameters, by name."""
        return {p.name: p for p in self.parameters if isinstance(p, Buffer)}


def parallel(index: str, extent: Value, *body: Statement) -> For:
    """Return a parallel loop."""
    return For(index, extent, body, Kind.PARALLEL)


def vector(index: str, extent: Value, lanes: int, *body: Statement, single: bool = False) -> For:
    """Return a vector loop."""
    return For(index, extent, body, Kind.VECTOR, lanes, single)


def serial(index: str, extent: Value, *body: Statement, apart: bool = False) -> For:
    """Return a serial loop."""
    return For(index, extent, body, apart=apart)


def unroll(index: str, extent: int, *body: Statement) -> For:
    """Return a loop that is unrolled whole."""
    return For(index, extent, body, Kind.UNROLL)


def transposing(statement: Transpose, dtype: DType) -> For:
    """Return the loops that say what a ``Transpose`` of elements of ``dtype`` means."""
    row, column, moved = (f"{statement.target}_{what}" for what in ("row", "column", "moved"))
    i, j = (s.Typed("var", (), INDEX, name) for name in (row, column))
    source, target = (
        s.Typed("add", (start, s.Typed("add", (s.Typed("mul", (outer, index(stride)), INDEX), inner), INDEX)), INDEX)
        for start, outer, stride, inner in (
            (index(statement.source_index), i, statement.source_stride, j),
            (index(statement.target_index), j, statement.target_stride, i),
        )
    )
    store = Store(statement.target, target, s.Typed("var", (), dtype, moved))
    lanes = vector(column, index(statement.size), statement.size, Load(moved, statement.source, source), store)
    return serial(row, index(statement.size), lanes)


def walk(block: Block) -> Iterator[Statement]:
    """Yield every statement, the enclosing before the enclosed."""
    for statement in block:
        yield statement
        if isinstance(statement, (For, If, Reduce)):
            yield from walk(statement.body)


def mentioned(block: Block) -> list[str]:
    """Return every name that stands in a block, once: of values, locals and buffers, and those that it defines."""
    found: dict[str, None] = {}
    for statement in walk(block):
        for field in fields(statement):
            value = getattr(statement, field.name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, str):
                    found[each] = None
                elif isinstance(each, s.Typed):
                    found.update((str(node.value), None) for node in s.postorder(each) if node.op == "var")
    return list(found)


# Typing


def build(name: str, parameters: tuple[Buffer | Parameter, ...], body: Block) -> Kernel:
    """Return a kernel whose expressions are all typed: indices and extents by ``index``, others by ``scalar.lower``."""
    types = {p.name: p.dtype for p in parameters if isinstance(p, Parameter)}
    buffers = {p.name: p.dtype for p in parameters if isinstance(p, Buffer)}
    return Kernel(name, parameters, _type_block(body, types, buffers))


def _type_block(block: Block, types: dict[str, DType], buffers: dict[str, DType]) -> Block:
    return tuple(_TYPERS[type(statement)](statement, types, buffers) for statement in block)


def _typed(value: Value, types: dict[str, DType], dtype: DType | None = None) -> s.Typed:
    """Type ``value``; a bare number needs the ``dtype`` of the place that it goes to."""
    if isinstance(value, s.Typed):
        return value
    expr = s.as_expr(value)
    if isinstance(expr, s.Const) and dtype is not None:
        return constant(expr.value, dtype)
    return s.lower(expr, {name: types[name] for name in s.free_variables(expr)})


def constant(value: complex, dtype: Any) -> s.Typed:
    """Return a number of that dtype, as a typed expression.

    >>> constant(1, np.float32)
    <const float32 of 1 nodes>
    """
    dtype = np.dtype(dtype)
    return from_carrier(make_constant(value, dtype), dtype)


def _type_let(let: Let, types: dict[str, DType], _: dict[str, DType]) -> Let:
    value = _typed(let.value, types)
    types[let.name] = value.dtype
    return Let(let.name, value)


def _type_load(load: Load, types: dict[str, DType], buffers: dict[str, DType]) -> Load:
    types[load.name] = load.dtype or buffers[load.buffer]
    return replace(load, index=index(load.index))


def _type_store(store: Store, types: dict[str, DType], buffers: dict[str, DType]) -> Store:
    return replace(store, index=index(store.index), value=_typed(store.value, types, buffers[store.buffer]))


def _type_transpose(statement: Transpose, _: dict[str, DType], buffers: dict[str, DType]) -> Transpose:
    return replace(
        statement,
        target_index=index(statement.target_index),
        target_stride=index(statement.target_stride),
        source_index=index(statement.source_index),
        source_stride=index(statement.source_stride),
    )


def _type_flag(flag: Flag, types: dict[str, DType], _: dict[str, DType]) -> Flag:
    return Flag(flag.buffer, _typed(flag.condition, types))


def _type_local(local: Local, types: dict[str, DType], _: dict[str, DType]) -> Local:
    initial = _typed(local.initial, types)
    types[local.name] = initial.dtype
    return Local(local.name, initial)


def _type_assign(assign: Assign, types: dict[str, DType], _: dict[str, DType]) -> Assign:
    return Assign(assign.name, _typed(assign.value, types, types[assign.name]))


def _type_scratch(scratch: Scratch, _: dict[str, DType], buffers: dict[str, DType]) -> Scratch:
    buffers[scratch.name] = scratch.dtype
    return scratch


def _type_if(statement: If, types: dict[str, DType], buffers: dict[str, DType]) -> If:
    return If(_typed(statement.condition, types), _type_block(statement.body, types, buffers))


def _type_for(loop: For, types: dict[str, DType], buffers: dict[str, DType]) -> For:
    types[loop.index] = INDEX
    return replace(loop, extent=index(loop.extent), body=_type_block(loop.body, types, buffers))


def _type_reduce(reduce: Reduce, types: dict[str, DType], buffers: dict[str, DType]) -> Reduce:
    dtypes = [types[name] for name in reduce.locals]
    both = {**types, **{right(name): types[name] for name in reduce.locals}}
    identity = tuple(_typed(value, types, dtype) for value, dtype in zip(reduce.identity, dtypes, strict=True))
    merge = tuple(_typed(value, both, dtype) for value, dtype in zip(reduce.merge, dtypes, strict=True))
    return replace(reduce, identity=identity, merge=merge, body=_type_block(reduce.body, types, buffers))


_TYPERS: dict[type, Callable[..., Statement]] = {
    Let: _type_let,
    Load: _type_load,
    Store: _type_store,
    Transpose: _type_transpose,
    Prefetch: lambda prefetch, *_: replace(prefetch, index=index(prefetch.index)),
    Flag: _type_flag,
    Local: _type_local,
    Assign: _type_assign,
    Scratch: _type_scratch,
    If: _type_if,
    Barrier: lambda barrier, *_: barrier,
    For: _type_for,
    Reduce: _type_reduce,
}

_INDEX_OPS = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "floor_divide": "div",
    "remainder": "rem",
    "minimum": "min",
    "maximum": "max",
}


def index(value: Value) -> s.Typed:
    """Type an index expression: int64 throughout; ``//`` and ``%`` are the machine's, for operands not negative."""
    return value if isinstance(value, s.Typed) else _indexed(s.as_expr(value))


@lru_cache(1 << 12)  # kernels share most of their indices
def _indexed(node: s.Expr) -> s.Typed:
    if isinstance(node, s.Var):
        return s.Typed("var", (), INDEX, node.name)
    if isinstance(node, s.Const):
        return s.Typed("const", (), INDEX, int(node.value))  # type: ignore[arg-type]
    assert isinstance(node, s.Call)
    return s.Typed(_INDEX_OPS[node.atom.name], tuple(map(_indexed, node.args)), INDEX)
