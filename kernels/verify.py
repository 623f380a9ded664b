"""What a kernel must fulfil: every name defined once and of the right dtype, loops legal, no decidable race.

The emitter and the interpreter trust what passed here. A kernel that fails is a mistake of ours, not of the user.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np

from tensorlite.kernels import loops, scalar
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.loop_text import expression
from tensorlite.kernels.loops import Kind

BOOL = np.dtype(np.bool_)
Indices = frozenset[str]


class MalformedKernel(KernelError):
    """A kernel breaks the rules of the loop language; please report it."""


@dataclass(frozen=True)
class _Scope:
    """What a statement sees. ``varies`` gives by name the enclosing loops, by index, that the value may vary with."""

    kernel: str
    types: dict[str, loops.DType] = field(default_factory=dict)
    varies: dict[str, Indices] = field(default_factory=dict)
    locals: dict[str, int] = field(default_factory=dict)  # by name, how many loops enclose the declaration
    buffers: dict[str, loops.Buffer] = field(default_factory=dict)
    scratch: set[str] = field(default_factory=set)
    reduced: dict[str, int] = field(default_factory=dict)  # locals of which each lane has a copy: the number of lanes
    nest: tuple[loops.For, ...] = ()  # the enclosing loops, outermost first
    conditional: bool = False
    taken: set[str] = field(default_factory=set)  # every name that the kernel has used so far

    def inner(self, **changes: Any) -> _Scope:
        """Return the scope of an enclosed block: what it defines stays within."""
        return replace(self, types=dict(self.types), varies=dict(self.varies), locals=dict(self.locals),
                       buffers=dict(self.buffers), scratch=set(self.scratch), **changes)  # fmt: skip

    def enclosing(self, kind: Kind) -> loops.For | None:
        """Return the enclosing loop of that kind, if any."""
        return next((loop for loop in self.nest if loop.kind is kind), None)


def verify(kernel: loops.Kernel) -> loops.Kernel:
    """Return ``kernel`` if it is well formed; otherwise raise ``MalformedKernel``, which says what is wrong where."""
    scope = _Scope(kernel.name)
    for parameter in kernel.parameters:
        _claim(parameter.name, scope)
        if isinstance(parameter, loops.Buffer):
            scope.buffers[parameter.name] = parameter
        else:
            _require(parameter.dtype.kind in "iuf", scope, f"{parameter.name} is {parameter.dtype}: not a number")
            scope.types[parameter.name] = parameter.dtype
            scope.varies[parameter.name] = frozenset()
    _verify_block(kernel.body, scope)
    return kernel


def _verify_block(block: loops.Block, scope: _Scope) -> None:
    for statement in block:
        _VERIFIERS[type(statement)](statement, scope)


def _require(holds: bool, scope: _Scope, message: str) -> None:
    if not holds:
        _refuse(scope, message)


def _refuse(scope: _Scope, message: str) -> NoReturn:
    where = "".join(f", in {loop.kind} loop {loop.index}" for loop in scope.nest)
    raise MalformedKernel(f"kernel {scope.kernel}{where}: {message}")


def _claim(name: str, scope: _Scope) -> None:
    _require(name.isidentifier(), scope, f"{name!r} is not a name")
    _require(name not in scope.taken, scope, f"{name} is defined twice")
    scope.taken.add(name)


def _define(name: str, dtype: loops.DType, varies: Indices, scope: _Scope) -> None:
    _claim(name, scope)
    scope.types[name] = dtype
    scope.varies[name] = varies


def _value(value: loops.Value, scope: _Scope, dtype: loops.DType | None = None, what: str = "value") -> Indices:
    """Check an expression; return the loops that it may vary with."""
    if not isinstance(value, scalar.Typed):
        _refuse(scope, f"{what} {value!r} is not typed: use loops.build")
    if dtype is not None and value.dtype != dtype:
        _refuse(scope, f"{what} {value!r} is {value.dtype}, not {dtype}")
    varies: Indices = frozenset()
    for node in scalar.postorder(value):
        if node.op not in scalar.PRIMITIVES:
            _refuse(scope, f"{node.op} is not a primitive")
        if len(node.args) != scalar.PRIMITIVES[node.op][0]:
            _refuse(scope, f"{node.op} of {len(node.args)} operands")
        if node.op == "var":
            name = str(node.value)
            if name not in scope.types:
                _refuse(scope, f"{name} is not defined")
            if node.dtype != scope.types[name]:
                _refuse(scope, f"{name} is {scope.types[name]}, used as {node.dtype}")
            _require_copy(name, scope)
            varies |= scope.varies[name]
    return varies


def _require_copy(name: str, scope: _Scope) -> None:
    """Require that a reduced local is used where there are lanes to have copies of it."""
    loop = scope.enclosing(Kind.VECTOR)
    lanes = scope.reduced.get(name)
    usable = lanes is None or (loop is not None and loop.lanes == lanes)
    _require(usable, scope, f"{name} is being reduced by {lanes} lanes, and used elsewhere than in their loops")


def _require_uniform(varies: Indices, scope: _Scope, what: str) -> None:
    loop = scope.enclosing(Kind.VECTOR)
    _require(loop is None or loop.index not in varies, scope, f"{what} may differ between lanes")


def _verify_let(let: loops.Let, scope: _Scope) -> None:
    varies = _value(let.value, scope)
    _define(let.name, let.value.dtype, varies, scope)  # type: ignore[union-attr]


def _verify_load(load: loops.Load, scope: _Scope) -> None:
    _require(load.buffer in scope.buffers, scope, f"{load.name} is loaded from {load.buffer}, which is not a buffer")
    varies = _value(load.index, scope, loops.INDEX, "index")
    element = scope.buffers[load.buffer].dtype
    dtype = load.dtype or element
    whole = dtype.itemsize % element.itemsize == 0 and BOOL not in (dtype, element)
    _require(dtype == element or whole, scope, f"{load.name}: elements of {element} do not fill one of {dtype}")
    _define(load.name, dtype, varies, scope)


def _verify_store(store: loops.Store, scope: _Scope) -> None:
    _require(store.buffer in scope.buffers, scope, f"store to {store.buffer}, which is not a buffer")
    buffer = scope.buffers[store.buffer]
    _require(buffer.writable, scope, f"store to {store.buffer}, which is not writable")
    varies = _value(store.index, scope, loops.INDEX, "index")
    _value(store.value, scope, buffer.dtype)
    for loop in scope.nest:
        shared = loop.kind is Kind.VECTOR or (loop.kind is Kind.PARALLEL and store.buffer not in scope.scratch)
        if shared and loop.extent is not loops.index(1):
            _require(loop.index in varies, scope, f"every iteration stores to the same {_place(store)}")
    if store.buffer not in scope.scratch:
        _refuse_race(store, scope)


def _verify_transpose(statement: loops.Transpose, scope: _Scope) -> None:
    _require(statement.source in scope.buffers, scope, f"transpose of {statement.source}, which is not a buffer")
    target = scope.buffers.get(statement.target)
    _require(target is not None and target.writable, scope, f"transpose into {statement.target}, which is not writable")
    _require(statement.source != statement.target, scope, f"transpose of {statement.target} into itself")
    dtypes = {scope.buffers[name].dtype for name in (statement.source, statement.target)}
    _require(len(dtypes) == 1, scope, f"transpose of {statement.source} into {statement.target}, of another dtype")
    _require(_is_power_of_two(statement.size), scope, f"transpose: {statement.size} rows are not a power of two")
    _require(scope.enclosing(Kind.VECTOR) is None, scope, "transpose within a vector loop")
    for what in ("target_index", "target_stride", "source_index", "source_stride"):
        varies = _value(getattr(statement, what), scope, loops.INDEX, what.replace("_", " "))
        if what == "target_index" and statement.target not in scope.scratch:
            loop = scope.enclosing(Kind.PARALLEL)
            shared = loop is None or loop.index not in varies
            _require(not shared, scope, f"every thread transposes into the same places of {statement.target}")


def _verify_prefetch(prefetch: loops.Prefetch, scope: _Scope) -> None:
    _require(prefetch.buffer in scope.buffers, scope, f"prefetch of {prefetch.buffer}, which is not a buffer")
    _require_uniform(_value(prefetch.index, scope, loops.INDEX, "index"), scope, "the place of a prefetch")


def _verify_flag(flag: loops.Flag, scope: _Scope) -> None:
    buffer = scope.buffers.get(flag.buffer)
    usable = buffer is not None and buffer.writable and buffer.dtype == loops.INDEX and flag.buffer not in scope.scratch
    _require(usable, scope, f"flag {flag.buffer}, which is not a writable buffer of int64")
    _value(flag.condition, scope, BOOL, "condition")


def _refuse_race(store: loops.Store, scope: _Scope) -> None:
    """Refuse a store outside parallel loops, and ``out[c * 4 + i]`` in a parallel loop over c where i may reach 4."""
    loop = scope.enclosing(Kind.PARALLEL)
    _require(loop is not None, scope, f"every thread stores to {_place(store)}: use a parallel loop")
    assert loop is not None
    assert isinstance(store.index, scalar.Typed)
    terms = _linear(store.index)
    stride = terms.pop(loop.index, 0)
    extents = {other.index: other.extent for other in scope.nest if other is not loop}
    known = {name: int(str(e.value)) for name, e in extents.items() if isinstance(e, scalar.Typed) and e.op == "const"}
    terms.pop("", 0)
    if stride and set(terms) <= set(known):
        reach = sum(abs(factor) * (known[name] - 1) for name, factor in terms.items())
        _require(reach < abs(stride), scope, f"iterations of {loop.index} overlap in {_place(store)}")


def _place(store: loops.Store) -> str:
    return f"{store.buffer}[{expression(store.index)}]"  # type: ignore[arg-type]


def _linear(node: scalar.Typed) -> dict[str, int]:
    """Return constant factors by variable, the constant term under ""; what is not linear is a variable of its own."""
    if node.op == "const":
        return {"": int(node.value)}  # type: ignore[arg-type]
    parts = [_linear(arg) for arg in node.args]
    if node.op in ("add", "sub"):
        sign = 1 if node.op == "add" else -1
        names = {**parts[0], **parts[1]}
        return {name: parts[0].get(name, 0) + sign * parts[1].get(name, 0) for name in names}
    if node.op == "mul" and any(set(part) == {""} for part in parts):
        number, rest = parts if set(parts[0]) == {""} else parts[::-1]
        return {name: number[""] * factor for name, factor in rest.items()}
    return {str(node.value) if node.op == "var" else expression(node): 1}


def _verify_local(local: loops.Local, scope: _Scope) -> None:
    varies = _value(local.initial, scope) | {loop.index for loop in scope.nest}
    _define(local.name, local.initial.dtype, varies, scope)  # type: ignore[union-attr]
    scope.locals[local.name] = len(scope.nest)


def _verify_assign(assign: loops.Assign, scope: _Scope) -> None:
    _require(assign.name in scope.locals, scope, f"{assign.name} is assigned and is not a local")
    scope.varies[assign.name] |= _value(assign.value, scope, scope.types[assign.name])
    _require_copy(assign.name, scope)
    for loop in scope.nest[scope.locals[assign.name] :]:
        carried = loop.kind in (Kind.SERIAL, Kind.UNROLL) or (loop.kind is Kind.VECTOR and assign.name in scope.reduced)
        _require(carried, scope, f"{assign.name} is carried from one iteration of {loop.index} to the next")
        _require(not loop.apart, scope, f"{assign.name} is changed by loop {loop.index}, which is apart")


def _verify_scratch(scratch: loops.Scratch, scope: _Scope) -> None:
    _require(scope.enclosing(Kind.VECTOR) is None, scope, f"scratch {scratch.name} within a vector loop")
    _claim(scratch.name, scope)
    scope.buffers[scratch.name] = loops.Buffer(scratch.name, scratch.dtype, writable=True)
    scope.scratch.add(scratch.name)


def _verify_if(statement: loops.If, scope: _Scope) -> None:
    _require_uniform(_value(statement.condition, scope, BOOL, "condition"), scope, "the condition")
    _verify_block(statement.body, scope.inner(conditional=True))


def _verify_barrier(_: loops.Barrier, scope: _Scope) -> None:
    serial = all(loop.kind is Kind.SERIAL and not loop.apart for loop in scope.nest)
    _require(serial and not scope.conditional, scope, "not all threads may reach a barrier there")


def _verify_for(loop: loops.For, scope: _Scope) -> None:
    _require_uniform(_value(loop.extent, scope, loops.INDEX, "extent"), scope, f"the extent of {loop.index}")
    _verify_kind(loop, scope)
    body = scope.inner(nest=(*scope.nest, loop))
    _define(loop.index, loops.INDEX, frozenset({loop.index}), body)
    if loop.kind is Kind.VECTOR:
        for name in scope.reduced:
            body.varies[name] |= {loop.index}
    _verify_block(loop.body, body)


def _verify_kind(loop: loops.For, scope: _Scope) -> None:
    outside = all(other.kind is Kind.SERIAL and not other.apart for other in scope.nest) and not scope.conditional
    power_of_two = _is_power_of_two(loop.lanes)
    plain = loop.lanes == 1
    rules = {
        Kind.SERIAL: (plain, "lanes are for vector loops"),
        Kind.UNROLL: (plain and getattr(loop.extent, "op", "") == "const", "an unrolled extent must be constant"),
        Kind.PARALLEL: (plain and outside, "not all threads may reach a parallel loop there"),
        Kind.VECTOR: (power_of_two and scope.enclosing(Kind.VECTOR) is None, "lanes are a power of two, not nested"),
    }
    holds, rule = rules[loop.kind]
    _require(holds, scope, f"{loop.kind} loop {loop.index}: {rule}")
    alone = loop.kind is Kind.SERIAL and scope.enclosing(Kind.VECTOR) is None
    _require(not loop.apart or alone, scope, f"{loop.kind} loop {loop.index}: only serial loops around lanes are apart")


def _is_power_of_two(lanes: int) -> bool:
    return lanes > 1 and lanes & (lanes - 1) == 0


def _verify_reduce(reduce: loops.Reduce, scope: _Scope) -> None:
    _require(_is_power_of_two(reduce.lanes), scope, f"reduce: {reduce.lanes} lanes are not a power of two")
    _require(scope.enclosing(Kind.VECTOR) is None, scope, "reduce within a vector loop")
    both = scope.inner()
    for name in reduce.locals:
        _require(name in scope.locals and name not in scope.reduced, scope, f"{name} is reduced and is not a local")
        both.types[loops.right(name)] = scope.types[name]
        both.varies[loops.right(name)] = frozenset()
    for name, identity, merge in zip(reduce.locals, reduce.identity, reduce.merge, strict=True):
        _value(identity, scope, scope.types[name], f"identity of {name}")
        _value(merge, both, scope.types[name], f"merge of {name}")
    reduced = dict.fromkeys(reduce.locals, reduce.lanes)
    _verify_block(reduce.body, scope.inner(reduced={**scope.reduced, **reduced}))


_VERIFIERS: dict[type, Callable[[Any, _Scope], None]] = {
    loops.Let: _verify_let,
    loops.Load: _verify_load,
    loops.Store: _verify_store,
    loops.Transpose: _verify_transpose,
    loops.Flag: _verify_flag,
    loops.Prefetch: _verify_prefetch,
    loops.Local: _verify_local,
    loops.Assign: _verify_assign,
    loops.Scratch: _verify_scratch,
    loops.If: _verify_if,
    loops.Barrier: _verify_barrier,
    loops.For: _verify_for,
    loops.Reduce: _verify_reduce,
}
