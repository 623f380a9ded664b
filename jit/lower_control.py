"""Lowering control flow: loops and branches become regions of the same native program.

A scan's carry stays in the memory of the scan's result, and is updated in place where that is safe; slices of what it
goes along, and rows of what it stacks, are addresses that move. A body with an edge is an edge itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from tensorlite.jit.copies import copying
from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.memory import plan_memory
from tensorlite.jit.program import (
    Bound,
    Branch,
    Buffer,
    Edge,
    Home,
    Loop,
    Lowered,
    Place,
    Region,
    Step,
    While,
    steps_within,
)
from tensorlite.jit.schedule import Schedule, fault_of, schedule
from tensorlite.kernels.stage import Array

#: Lowers a body: its graph, how its inputs lie, which outputs lie over which inputs, and the program's constants.
LowerBody = Callable[[Graph, Mapping[Value, Array], Mapping[int, int], list[Any]], Lowered]


@dataclass(frozen=True)
class _Outer:
    """What surrounds a body: how it is lowered, and the constants of the whole program."""

    lower_body: LowerBody
    constants: list[Any]


class _NotNative(Exception):
    """A body that has an edge, or an index that must be checked."""


def lower_control(lower_body: LowerBody, constants: list[Any], equation: Equation, inputs: Sequence[Place],
                  outputs: Sequence[Place]) -> list[Step] | None:
    """The steps of an equation of control flow; None where it must run from Python."""
    count = len(constants)
    try:
        return _LOWERINGS[equation.op.name](_Outer(lower_body, constants), equation, inputs, outputs)
    except _NotNative:
        del constants[count:]
        return None


def _scan(outer: _Outer, equation: Equation, inputs: Sequence[Place], outputs: Sequence[Place]) -> list[Step]:
    options = equation.attributes
    body, carries, length = options["body"], options["carries"], options["length"]
    if length == 0 or any(place.array.size == 0 for place in (*inputs, *outputs)):
        raise _NotNative
    rows = range(carries, carries + options["slices"])
    last = length - 1 if options["reverse"] else 0
    given: list[Bound] = []
    for k, place in enumerate(inputs):
        if k < carries:
            given.append(Bound(outputs[k]))
        else:
            given.append(_row(place, last) if k in rows else Bound(place))
    made = [Bound(place) if k < carries else _row(place, last) for k, place in enumerate(outputs)]
    region = _region(outer, equation, body, given, made, {k: k for k in range(carries)})
    copies = _copies(equation, inputs[:carries], outputs[:carries])
    loop = Loop(equation, region, length, (*outputs[:carries], *inputs[carries:]), (*outputs, region.scratch))
    return [*copies, loop]


def _row(place: Place, last: int) -> Bound:
    """The first slice that a loop sees of an array, from the end where ``last`` is not 0."""
    array, size = place.array, place.array.dtype.itemsize
    step = array.strides[0] * size
    row = Array(array.dtype, array.shape[1:], array.strides[1:])
    return Bound(Place(place.buffer, place.offset + last * step, row), -step if last else step)


def _while(outer: _Outer, equation: Equation, inputs: Sequence[Place], outputs: Sequence[Place]) -> list[Step]:
    options = equation.attributes
    carries = options["carries"]
    given = [Bound(outputs[k] if k < carries else place) for k, place in enumerate(inputs)]
    flag = Place(Buffer(Home.ARENA, 1), 0, Array.contiguous(np.bool_, ()))
    test = _region(outer, equation, options["cond"], given, [Bound(flag)], {})
    body = _region(outer, equation, options["body"], given, list(map(Bound, outputs)), {k: k for k in range(carries)})
    copies = _copies(equation, inputs[:carries], outputs[:carries])
    return [*copies, While(equation, test, flag, body, (*outputs, *inputs[carries:]),
                           (*outputs, flag, test.scratch, body.scratch))]


def _cond(outer: _Outer, equation: Equation, inputs: Sequence[Place], outputs: Sequence[Place]) -> list[Step]:
    flag, *given = inputs
    bound = list(map(Bound, given))
    true, false = (_region(outer, equation, equation.attributes[name], bound, list(map(Bound, outputs)), {})
                   for name in ("true", "false"))
    return [Branch(equation, flag, true, false, tuple(inputs), (*outputs, true.scratch, false.scratch))]


_LOWERINGS: dict[str, Callable[..., list[Step]]] = {"scan": _scan, "while_loop": _while, "cond": _cond}


def _copies(equation: Equation, sources: Sequence[Place], targets: Sequence[Place]) -> list[Step]:
    if any(place.array.dtype.kind == "c" or place.array.size == 0 for place in sources):
        raise _NotNative
    return [copying(equation, source, target) for source, target in zip(sources, targets, strict=True)]


def _region(outer: _Outer, equation: Equation, graph: Graph, given: Sequence[Bound], made: Sequence[Bound],
            over: Mapping[int, int]) -> Region:
    """A graph as a region: inputs and outputs are bound; outputs that cannot be made in place are copied at last."""
    arrays: dict[Value, Array] = {value: bound.place.array for value, bound in zip(graph.inputs, given, strict=True)}
    lowered = outer.lower_body(graph, arrays, over, outer.constants)
    planned = schedule(lowered)
    bound: dict[Buffer, Bound] = dict(zip(lowered.inputs, given, strict=True))
    late: list[Step] = []
    renamed: dict[Buffer, Buffer] = {}
    for k, (buffer, place) in enumerate(zip(lowered.outputs, made, strict=True)):
        if k in over and buffer not in planned.over:
            renamed[buffer] = Buffer(Home.ARENA, buffer.size)
            if place.place.array.size:
                source = Place(renamed[buffer], 0, place.place.array)
                late.append(copying(equation, source, Place(buffer, 0, place.place.array)))
        bound[buffer] = place
    phases = [tuple(_renamed(step, renamed) for step in phase) for phase in planned.phases]
    phases += [tuple(late)] if late else []
    inside = [step for phase in phases for step in phase]
    if any(isinstance(step, Edge) or fault_of(step) for outermost in inside for step in steps_within(outermost)):
        raise _NotNative
    memory = plan_memory(Schedule(tuple(phases), planned.over))
    scratch = Place(Buffer(Home.ARENA, memory.size), 0, Array.contiguous(np.uint8, (memory.size,)))
    return Region(tuple(phases), memory.offsets, bound, scratch)


def _renamed(step: Step, renamed: Mapping[Buffer, Buffer]) -> Step:
    """A step that touches other buffers in the places of some."""
    touched = {place.buffer for place in (*step.reads, *step.writes)}
    if not touched.intersection(renamed):
        return step

    def place(old: Place) -> Place:
        return Place(renamed.get(old.buffer, old.buffer), old.offset, old.array)

    changes: dict[str, Any] = {name: tuple(map(place, getattr(step, name))) for name in ("reads", "writes")}
    for item in fields(step):
        value = getattr(step, item.name)
        if isinstance(value, Region):
            bound = {buffer: Bound(place(b.place), b.advance) for buffer, b in value.bound.items()}
            changes[item.name] = replace(value, bound=bound)
        elif isinstance(value, Place):
            changes[item.name] = place(value)
    return replace(step, **changes)
