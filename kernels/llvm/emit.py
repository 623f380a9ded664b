"""From loops to the text of an LLVM module for a CPU: ``void kernel(i64 thread, i64 threads, ptr arguments)``.

A vector loop becomes a loop over whole vectors and one pass over what is left, of which only some lanes are active.
Widths are logical: LLVM splits ``<64 x float>`` into what the machine has, and so makes independent accumulators of it.
The text is in SSA form already: it needs no optimisation before code generation (``native.compile(..., speed=0)``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.llvm import memory
from tensorlite.kernels.llvm.assembler import Assembler, Bounds
from tensorlite.kernels.llvm.target import Target
from tensorlite.kernels.llvm.types import memory as memory_type
from tensorlite.kernels.llvm.types import register
from tensorlite.kernels.llvm.values import Evaluator, Lanes, Value
from tensorlite.kernels.module import Module, part_name

_ATTRIBUTES = 'attributes #0 = { nounwind "no-builtins" }\n!0 = !{i32 1}'
_BARRIER = "tensorlite_barrier"


@dataclass(frozen=True, slots=True)
class Part:
    """A function that is called through a pointer: what defines it, what declares it elsewhere, and what it needs."""

    definition: str
    declaration: str
    needs: frozenset[str]


def emit(kernel: loops.Kernel, target: Target, name: str = "kernel") -> str:
    """Return a module that defines ``kernel`` under ``name``. The kernel is one that ``verify`` has passed."""
    functions, emitter = _functions(kernel, target, name)
    parts = emitter.parts.values()
    needs = emitter.asm.declarations.union(*(part.needs for part in parts)) - {part.declaration for part in parts}
    return _text((*functions, *(part.definition for part in parts)), needs)


def emit_apart(kernel: loops.Kernel, target: Target) -> Module:
    """Return what ``emit`` does with the loops that are ``apart`` in modules of their own."""
    functions, emitter = _functions(kernel, target, "kernel")
    parts = {name: _text((part.definition,), part.needs) for name, part in emitter.parts.items()}
    return Module(_text(functions, emitter.asm.declarations), parts)


def _functions(kernel: loops.Kernel, target: Target, name: str) -> tuple[tuple[str, ...], Emitter]:
    """Return the kernel's own functions, and the emitter that has the rest."""
    emitter = Emitter(kernel, target)
    emitter.block(kernel.body)
    if target.fence and any(isinstance(x, loops.Store) and x.streaming for x in loops.walk(kernel.body)):
        emitter.asm.declarations.add("declare void @llvm.x86.sse.sfence()")
        emitter.asm.do(target.fence)
    parameters = ", ".join(("i64 %thread", "i64 %threads", *map(_parameter, kernel.parameters)))
    body = f"define internal void @{name}.body({parameters}) #0 {{\n{emitter.asm.text()}\n}}"
    return (f"; {kernel.name}", _entry(kernel, name), body), emitter


def _text(functions: Iterable[str], needs: Iterable[str]) -> str:
    return "\n".join((*functions, *sorted(needs), _ATTRIBUTES, ""))


def _parameter(parameter: loops.Buffer | loops.Parameter) -> str:
    if isinstance(parameter, loops.Parameter):
        return f"{register(parameter.dtype)} %p.{parameter.name}"
    return f"ptr {'noalias ' if parameter.exclusive else ''}%p.{parameter.name}"


def _entry(kernel: loops.Kernel, name: str) -> str:
    """Return the function that unpacks the argument block."""
    lines, arguments = [], ["i64 %thread", "i64 %threads"]
    for position, parameter in enumerate(kernel.parameters):
        type_ = "ptr" if isinstance(parameter, loops.Buffer) else register(parameter.dtype)
        lines.append(f"  %at.{position} = getelementptr i64, ptr %arguments, i64 {position}")
        lines.append(f"  %value.{position} = load {type_}, ptr %at.{position}, align 8")
        arguments.append(f"{type_} %value.{position}")
    unpack = "\n".join((*lines, f"  call void @{name}.body({', '.join(arguments)})", "  ret void"))
    return f"define void @{name}(i64 %thread, i64 %threads, ptr %arguments) #0 {{\n{unpack}\n}}"


def _carried(value: Value) -> tuple[str, str]:
    return register(value.dtype, value.lanes), value.ref


class Emitter:
    """Emits statements; what names stand for, and the vector loop that surrounds them, change as it goes."""

    def __init__(self, kernel: loops.Kernel, target: Target) -> None:
        self.asm = Assembler()
        self.target = target
        self.evaluator = Evaluator(self.asm, target)
        self.lanes = Lanes()
        self.reduced: set[str] = set()
        self.values: dict[str, Value] = {}
        self.places: dict[str, memory.Place] = {}
        self.parts: dict[str, Part] = {}
        self.overlapping = {name for name, buffer in kernel.buffers.items() if not buffer.exclusive}
        for parameter in kernel.parameters:
            ref = f"%p.{parameter.name}"
            if isinstance(parameter, loops.Buffer):
                self.places[parameter.name] = memory.Place(ref, parameter.dtype)
            else:
                self.values[parameter.name] = Value(ref, parameter.dtype)

    def block(self, block: loops.Block) -> None:
        """Append statements."""
        for statement in block:
            getattr(self, _METHODS[type(statement)])(statement)

    def evaluate(self, value: loops.Value) -> Value:
        """Append an expression."""
        assert isinstance(value, s.Typed)
        return self.evaluator.evaluate(value, self.values)

    def let(self, let: loops.Let) -> None:
        """Give a value its name."""
        self.values[let.name] = self.evaluate(let.value)

    def load(self, load: loops.Load) -> None:
        """Append a load."""
        place = self.places[load.buffer].seen_as(load.dtype or self.places[load.buffer].dtype)
        self.values[load.name] = memory.load(self.evaluator, place, self.evaluate(load.index), self.lanes)

    def store(self, store: loops.Store) -> None:
        """Append a store."""
        place, index, value = self.places[store.buffer], self.evaluate(store.index), self.evaluate(store.value)
        memory.store(self.evaluator, place, index, value, self.lanes, store.streaming)

    def transpose(self, statement: loops.Transpose) -> None:
        """Append the copy of a square through registers."""
        target, source = self.places[statement.target], self.places[statement.source]
        to = self.evaluate(statement.target_index).ref, self.evaluate(statement.target_stride).ref
        start = self.evaluate(statement.source_index).ref, self.evaluate(statement.source_stride).ref
        memory.transpose(self.evaluator, target, to, source, start, statement.size)

    def flag(self, flag: loops.Flag) -> None:
        """Append a store under a condition that lanes need not share."""
        memory.store_flag(self.evaluator, self.places[flag.buffer], self.evaluate(flag.condition), self.lanes)

    def prefetch(self, prefetch: loops.Prefetch) -> None:
        """Append the hint that a place will be written, or read."""
        place, number = self.places[prefetch.buffer], self.evaluate(prefetch.index).ref
        memory.prefetch(self.evaluator, place, number, prefetch.later)

    def local(self, local: loops.Local) -> None:
        """Declare a local: for every lane, within a vector loop."""
        self.values[local.name] = self.evaluator.widen(self.evaluate(local.initial), self.lanes.count)

    def assign(self, assign: loops.Assign) -> None:
        """Change a local; of one that is being reduced, the copies of the active lanes."""
        old = self.values[assign.name]
        value = self.evaluator.widen(self.evaluate(assign.value), old.lanes)
        if self.lanes.active and assign.name in self.reduced:
            value = memory.keep_active(self.evaluator, old, value, self.lanes)
        self.values[assign.name] = value

    def scratch(self, scratch: loops.Scratch) -> None:
        """Reserve memory on the stack."""
        slot = self.asm.slot(f"[{scratch.size} x {memory_type(scratch.dtype)}]")
        self.places[scratch.name] = memory.Place(slot, scratch.dtype)

    def condition(self, statement: loops.If) -> None:
        """Append a block under a condition."""
        self._when(self.evaluate(statement.condition).ref, statement.body, lambda: self.block(statement.body))

    def _when(self, condition: str, block: loops.Block, body: Callable[[], None]) -> None:
        names = self._assigned(block)
        before = [self.values[name] for name in names]

        def inside() -> list[str]:
            self._scoped(body)
            return [self.values[name].ref for name in names]

        after = self.asm.when(condition, [_carried(value) for value in before], inside)
        self._rename(names, before, after)

    def _loop(self, bounds: Bounds, block: loops.Block, body: Callable[[str], None]) -> None:
        names = self._assigned(block)
        before = [self.values[name] for name in names]

        def inside(index: str, refs: list[str]) -> list[str]:
            self._rename(names, before, refs)
            self._scoped(lambda: body(index))
            return [self.values[name].ref for name in names]

        after = self.asm.loop(bounds, [_carried(value) for value in before], inside)
        self._rename(names, before, after)

    def _scoped(self, body: Callable[[], None]) -> None:
        """Append a body, and forget what it defines."""
        outside = set(self.values)
        body()
        self.values = {name: value for name, value in self.values.items() if name in outside}

    def _assigned(self, block: loops.Block) -> list[str]:
        """Return the locals from outside a block that it changes."""
        changed = dict.fromkeys(x.name for x in loops.walk(block) if isinstance(x, loops.Assign))
        return [name for name in changed if name in self.values]

    def _rename(self, names: list[str], values: list[Value], refs: list[str]) -> None:
        for name, value, ref in zip(names, values, refs, strict=True):
            self.values[name] = replace(value, ref=ref)

    def barrier(self, _: loops.Barrier) -> None:
        """Append the meeting of the team's threads."""
        self.asm.call(_BARRIER, "void", ("i64", "%threads"))

    def serial(self, loop: loops.For) -> None:
        """Append a serial loop."""
        if loop.apart:
            self.apart(loop)
        else:
            self._each("0", self.evaluate(loop.extent).ref, loop)

    def apart(self, loop: loops.For) -> None:
        """Append the call of a function that is the loop; what it mentions goes in as arguments.

        Arguments go by the order of their mention, so that the text of equal loops does not depend on what is around.
        """
        names = loops.mentioned((loop,))
        values = {name: self.values[name] for name in names if name in self.values}
        values = {name: value for name, value in values.items() if value.ref.startswith("%")}
        places = {name: self.places[name] for name in names if name in self.places}
        part, types = self._part(loop, values, places)
        refs = [value.ref for value in values.values()] + [place.address for place in places.values()]
        arguments = ", ".join(map(" ".join, zip(types, refs, strict=True)))
        self.asm.declarations |= {f"@at.{part} = internal global ptr @{part}", self.parts[part].declaration}
        self.asm.do(f"call void {self.asm.let(f'load ptr, ptr @at.{part}')}({arguments})")

    def _part(
        self, loop: loops.For, values: dict[str, Value], places: dict[str, memory.Place]
    ) -> tuple[str, list[str]]:
        """Emit the function that is a loop; return its name and its parameters' types."""
        before = self.asm, self.evaluator, self.values, self.places
        types = [register(value.dtype) for value in values.values()] + ["ptr"] * len(places)
        alone = [""] * len(values) + ["" if name in self.overlapping else " noalias" for name in places]
        refs = [f"%a.{position}" for position in range(len(types))]
        self.asm = Assembler()
        self.evaluator = Evaluator(self.asm, self.target)
        own = {name: Value(ref, value.dtype) for ref, (name, value) in zip(refs, values.items(), strict=False)}
        self.values = self.values | own
        addresses = zip(refs[len(values) :], places.items(), strict=True)
        self.places = {name: memory.Place(ref, place.dtype) for ref, (name, place) in addresses}
        self._each("0", self.evaluate(loop.extent).ref, loop)
        parameters = ", ".join(f"{type_}{how} {ref}" for type_, how, ref in zip(types, alone, refs, strict=True))
        body, needs = f"({parameters}) #0 {{\n{self.asm.text()}\n}}", frozenset(self.asm.declarations)
        self.asm, self.evaluator, self.values, self.places = before
        name = part_name(body, *sorted(needs))
        self.parts[name] = Part(f"define void @{name}{body}", f"declare void @{name}({', '.join(types)})", needs)
        return name, types

    def parallel(self, loop: loops.For) -> None:
        """Append a loop over this thread's share of the iterations."""
        extent = self.evaluate(loop.extent).ref
        following = self.asm.let("add i64 %thread, 1")
        first, last = (self.asm.let(f"mul i64 {extent}, {thread}") for thread in ("%thread", following))
        start, end = (self.asm.let(f"udiv i64 {product}, %threads") for product in (first, last))
        self._each(start, end, loop)

    def _each(self, start: str, end: str, loop: loops.For, step: str = "1") -> None:
        def body(index: str) -> None:
            self.values[loop.index] = Value(index, loops.INDEX)
            self.block(loop.body)

        self._loop((start, end, step), loop.body, body)

    def unroll(self, loop: loops.For) -> None:
        """Append the body once for each iteration."""
        for i in range(int(self.evaluate(loop.extent).ref)):
            self.values[loop.index] = Value(str(i), loops.INDEX)
            self.block(loop.body)

    def vector(self, loop: loops.For) -> None:
        """Append a loop over whole vectors, and then the body for the lanes that are left."""
        extent = self.evaluate(loop.extent).ref
        if extent == str(loop.lanes):
            self._lanes(loop, "0", "")
            return
        if loop.single:
            self._loop(("0", extent, str(loop.lanes)), loop.body, lambda index: self._some_lanes(loop, index, extent))
            return
        whole = self.asm.let(f"and i64 {extent}, {-loop.lanes}")
        self._loop(("0", whole, str(loop.lanes)), loop.body, lambda index: self._lanes(loop, index, ""))
        rest = self.asm.let(f"sub i64 {extent}, {whole}")
        some = self.asm.let(f"icmp sgt i64 {rest}, 0")
        self._when(some, loop.body, lambda: self._lanes(loop, whole, rest))

    def _some_lanes(self, loop: loops.For, base: str, extent: str) -> None:
        """Append the body for at most all lanes from ``base`` on."""
        rest = self.asm.let(f"sub i64 {extent}, {base}")
        fewer = self.asm.let(f"icmp slt i64 {rest}, {loop.lanes}")
        self._lanes(loop, base, self.asm.let(f"select i1 {fewer}, i64 {rest}, i64 {loop.lanes}"))

    def _lanes(self, loop: loops.For, base: str, active: str) -> None:
        """Append the body for the lanes from ``base`` on."""
        self.values[loop.index] = Value(base, loops.INDEX, loop.lanes, "1")
        self.lanes = Lanes(loop.lanes, active)
        self.block(loop.body)
        self.lanes = Lanes()

    def reduce(self, reduce: loops.Reduce) -> None:
        """Give each lane its copies for the body; merge them by halves, and then into what the locals held before."""
        before = [self.values[name] for name in reduce.locals]
        for name, identity in zip(reduce.locals, reduce.identity, strict=True):
            self.values[name] = self.evaluator.widen(self.evaluate(identity), reduce.lanes)
        self.reduced |= set(reduce.locals)
        self.block(reduce.body)
        self.reduced -= set(reduce.locals)
        copies = [self.values[name] for name in reduce.locals]
        while copies[0].lanes:
            halves = [self.evaluator.halves(value) for value in copies]
            copies = self._merge(reduce, [low for low, _ in halves], [high for _, high in halves])
        self.values |= dict(zip(reduce.locals, self._merge(reduce, before, copies), strict=True))

    def _merge(self, reduce: loops.Reduce, left: list[Value], right: list[Value]) -> list[Value]:
        scope = {**self.values, **dict(zip(reduce.locals, left, strict=True))}
        scope |= dict(zip(map(loops.right, reduce.locals), right, strict=True))
        merged = [self.evaluator.evaluate(value, scope) for value in reduce.merge]  # type: ignore[arg-type]
        return [self.evaluator.widen(value, left[0].lanes) for value in merged]

    def loop(self, loop: loops.For) -> None:
        """Append a loop, by the method that has the name of its kind."""
        getattr(self, loop.kind)(loop)


_METHODS = {
    loops.Let: "let",
    loops.Load: "load",
    loops.Store: "store",
    loops.Transpose: "transpose",
    loops.Flag: "flag",
    loops.Prefetch: "prefetch",
    loops.Local: "local",
    loops.Assign: "assign",
    loops.Scratch: "scratch",
    loops.If: "condition",
    loops.Barrier: "barrier",
    loops.For: "loop",
    loops.Reduce: "reduce",
}
