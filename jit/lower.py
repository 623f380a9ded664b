"""Lowering: from a graph to stages over buffers. Movement becomes strides; what has no native form becomes an edge.

A fused body is one elementwise loop, one fold, or the epilogue of a matrix product; `kernels` plans each from how its
arrays lie. What is returned is computed where it is wanted, if it can be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from tensorlite.jit.choose_convolution import choose_convolution
from tensorlite.jit.control import CONTROL_FLOW
from tensorlite.jit.copies import copying, whole
from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.grouping import EPILOGUES
from tensorlite.jit.layout import channels_last
from tensorlite.jit.lower_contraction import plan_contraction
from tensorlite.jit.lower_control import lower_control
from tensorlite.jit.lower_loops import plan_loops
from tensorlite.jit.passes.fuse import FUSED
from tensorlite.jit.program import UNTYPED, Buffer, Edge, Home, Lowered, Native, Place, Step
from tensorlite.jit.space import REDUCTIONS, is_relabel, is_scalar
from tensorlite.jit.views import views
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu.planned import PLANS
from tensorlite.kernels.stage import Array, Plan
from tensorlite.op import OPS
from tensorlite.ops.indexing.index import NO, YES


def lower(graph: Graph, over: Mapping[int, int] | None = None, state: Set[int] = frozenset()) -> Lowered:
    """Lowers a graph; ``over`` gives outputs, by number, that may take the memory of an input, which then dies.

    ``state`` are inputs of which something may be computed beforehand: it costs a call nothing.
    """
    kept = {*(graph.inputs[k] for k in state), *graph.constants}
    last = channels_last(graph, kept.__contains__)
    graph = choose_convolution(graph, last, kept.__contains__)
    work = _Lowering(graph)
    work.kept = {work.places[value].buffer for value in kept}
    work.last = last
    for equation in graph.equations:
        work.lower(equation)
    work.finish()
    chosen = {work.outputs[k]: work.inputs[j] for k, j in (over or {}).items()}
    return Lowered(graph, work.steps, work.inputs, work.outputs, work.constants, chosen)


def lower_body(graph: Graph, arrays: Mapping[Value, Array], over: Mapping[int, int], constants: list[Any]) -> Lowered:
    """Lowers a graph within another one, whose inputs may lie as ``arrays`` say; its constants join the other's."""
    graph = choose_convolution(graph, frozenset(), lambda value: False)
    work = _Lowering(graph, arrays, constants)
    for equation in graph.equations:
        work.lower(equation)
    work.finish()
    chosen = {work.outputs[k]: work.inputs[j] for k, j in over.items()}
    return Lowered(graph, work.steps, work.inputs, work.outputs, constants, chosen)


_KEEPING = ("matmul", "linear", "conv2d", "quantized_conv2d")
"""The ops whose second input is brought into another form first."""


class _Lowering:
    """The steps so far, and where each value is."""

    def __init__(self, graph: Graph, arrays: Mapping[Value, Array] | None = None,
                 constants: list[Any] | None = None) -> None:
        self.graph = graph
        self.steps: list[Step] = []
        self.places: dict[Value, Place] = {}
        self.inputs = tuple(Buffer(Home.INPUT, _size(v), k) for k, v in enumerate(graph.inputs))
        self.outputs = tuple(Buffer(Home.OUTPUT, _size(v), k) for k, v in enumerate(graph.outputs))
        self.constants: list[Any] = [] if constants is None else constants
        for value, buffer in zip(graph.inputs, self.inputs, strict=True):
            lies = (arrays or {}).get(value)
            self.places[value] = whole(buffer, value) if lies is None else Place(buffer, 0, lies)
        for value, array in graph.constants.items():
            self.places[value] = whole(Buffer(Home.CONSTANT, _size(value), len(self.constants)), value)
            self.constants.append(array)
        self.makers = {y: e for e in graph.equations for y in e.outputs}
        self.kept: set[Buffer] = set()
        self.checked: set[tuple[Place, int]] = set()
        self.last: Set[Value] = frozenset()
        self.wanted = self.claim()
        self.parts = self.claim_parts()

    def is_kept(self, place: Place) -> bool:
        """Whether what is made of a place alone costs a call nothing."""
        return place.buffer in self.kept

    def claim(self) -> dict[Value, Buffer]:
        """For values that are returned, or of which a reshape is: the output's own buffer, to be computed there."""
        wanted: dict[Value, Buffer] = {}
        for value, buffer in zip(self.graph.outputs, self.outputs, strict=True):
            while value in self.makers and self.makers[value].op is OPS["reshape"]:
                value = next(self.makers[value].values)
            if value in self.makers:
                wanted.setdefault(value, buffer)
        return wanted

    def claim_parts(self) -> dict[Value, tuple[Equation, int]]:
        """For values that are joined to others, and made element by element: what joins them, and from where on."""
        parts: dict[Value, tuple[Equation, int]] = {}
        for equation in self.graph.equations:
            if equation.op is OPS["concat"] and equation.outputs[0].size:
                for x, start in zip(equation.values, equation.attributes["_offsets"], strict=False):
                    maker = self.makers.get(x)
                    free = x not in self.wanted and x not in parts and list(equation.values).count(x) == 1
                    if free and maker is not None and x.size and _is_elementwise(maker):
                        parts[x] = equation, start
        return parts

    def join(self, equation: Equation) -> None:
        """Copies to their places in a joined array those parts that were not computed there."""
        output, axis = equation.outputs[0], equation.attributes["axis"]
        place = self.places.get(output) or self.materialize(output)
        for x, start in zip(equation.values, equation.attributes["_offsets"], strict=False):
            if x.size and self.parts.get(x, (None, 0))[0] is not equation:
                self.copy(equation, self.places[x], _part(place, axis, start, x.shape))

    def finish(self) -> None:
        """Copies what is returned and was not computed in its place."""
        for value, buffer in zip(self.graph.outputs, self.outputs, strict=True):
            place, target = self.places[value], whole(buffer, value)
            if place.buffer is not buffer or place.offset or not place.array.is_contiguous:
                equation = self.makers.get(value, Equation(OPS["copy"], (value,), {}, (Value(value.type),)))
                self.copy(equation, place, target)

    def lower(self, equation: Equation) -> None:
        """Appends an equation's steps, and remembers where its outputs are."""
        inputs = [self.places[x] for x in equation.values]
        if len(inputs) == len(equation.inputs) == 1:
            seen = self.look(equation, inputs[0])
            if seen is not None:
                self.places.update(zip(equation.outputs, seen, strict=True))
                return
        if equation.op is OPS["concat"] and equation.outputs[0].type.device == "cpu":
            self.join(equation)
            return
        outputs = [self.materialize(y) for y in equation.outputs]
        if equation.op.name in CONTROL_FLOW:
            steps = lower_control(lower_body, self.constants, equation, inputs, outputs)
            self.steps += steps or [Edge(equation, tuple(inputs), tuple(outputs))]
            return
        if any(y.type.device != "cpu" for y in equation.outputs) or not self.native(equation, inputs, outputs):
            self.steps.append(Edge(equation, tuple(inputs), tuple(outputs)))

    def look(self, equation: Equation, place: Place) -> list[Place] | None:
        """A movement as a view; a reshape of what does not lie in order is a view of a copy of it."""
        if any(y.size == 0 for y in equation.outputs):
            return None
        found = views(equation, place)
        if found is None and equation.op is OPS["reshape"]:
            array = Array.contiguous(place.array.dtype, place.array.shape)
            wanted = self.wanted.get(equation.outputs[0])
            copied = Place(wanted or Buffer(Home.ARENA, array.size * array.dtype.itemsize), 0, array)
            self.copy(equation, place, copied)
            found = views(equation, copied)
        return found

    def materialize(self, value: Value) -> Place:
        """Memory for a value."""
        if value in self.parts:
            joining, start = self.parts[value]
            around = joining.outputs[0]
            outer = self.places.get(around) or self.materialize(around)
            place = _part(outer, joining.attributes["axis"], start, value.shape)
        else:
            place = whole(self.wanted.get(value) or Buffer(Home.ARENA, _size(value)), value, value in self.last)
        self.places[value] = place
        return place

    def native(self, equation: Equation, inputs: list[Place], outputs: list[Place]) -> bool:
        """Appends native steps for an equation; False if there are none."""
        if all(place.array.size == 0 for place in outputs):
            return True
        if any(place.array.size == 0 for place in (*inputs, *outputs)):
            return self.planned(equation, inputs, outputs)
        try:
            if equation.op is FUSED or is_scalar(equation) or _is_reduction(equation):
                return self.fused(equation, outputs)
        except s.NoLowering:
            return False
        return self.planned(equation, inputs, outputs)

    def fused(self, equation: Equation, outputs: list[Place]) -> bool:
        body = _body(equation)
        places = {x: self.places[y] for x, y in zip(body.inputs, equation.values, strict=True)}
        constants = {x: self.graph.constants[y].item() for x, y in zip(body.inputs, equation.values, strict=True)
                     if y in self.graph.constants and y.size == 1}
        if any(e.op.name in EPILOGUES and e.op.kind == "contract" for e in body.equations):
            found = plan_contraction(body, places, constants, outputs, self.is_kept)
        else:
            found = plan_loops(body, places, constants, outputs)
        if found is None:
            return self.apart(equation, body, outputs)
        plan, reads, matched = found
        self.append(equation, plan, reads, outputs, matched)
        return True

    def apart(self, equation: Equation, body: Graph, outputs: list[Place]) -> bool:
        """Lowers the equations of a body one by one, where there is no kernel for all of them."""
        if len(body.equations) == 1:
            return False
        known = dict(zip(body.inputs, equation.values, strict=True))
        wanted = dict(zip(body.outputs, zip(equation.outputs, outputs, strict=True), strict=True))
        for inner in body.equations:
            results = []
            for y in inner.outputs:
                outer, place = wanted.get(y, (Value(y.type), None))
                if place is not None and outer not in self.wanted and place.buffer.home is Home.OUTPUT:
                    self.wanted[outer] = place.buffer
                known[y] = outer
                results.append(outer)
            operands = tuple(known[x] if isinstance(x, Value) else x for x in inner.inputs)
            self.lower(Equation(inner.op, operands, inner.attributes, tuple(results), inner.line))
        return True

    def planned(self, equation: Equation, inputs: list[Place], outputs: list[Place]) -> bool:
        """Appends the stages that a kernel family plans for an op."""
        family = PLANS.get(equation.op.name)
        if {YES, NO}.intersection(x for x in equation.attributes.get("spec", ()) if isinstance(x, str)):
            return False
        if family is None or len(inputs) != len(equation.inputs) or OPS.get(equation.op.name) is not equation.op:
            return False
        attributes = dict(equation.attributes)
        if equation.op.name in _KEEPING:
            attributes["kept"] = self.is_kept(inputs[1])
        plan = family([place.array for place in inputs], [place.array for place in outputs], **attributes)
        if plan is None:
            return False
        self.append(equation, plan, inputs, outputs, frozenset())
        return True

    def append(self, equation: Equation, plan: Plan, inputs: Sequence[Place], outputs: Sequence[Place],
               matched: frozenset[Buffer]) -> None:
        """Appends the stages of a plan over places and scratch memory."""
        scratch = [Place(Buffer(Home.ARENA, size), 0, Array.contiguous(UNTYPED, (size,))) for size in plan.scratch]
        places = [*inputs, *outputs, *scratch]
        fault = None if plan.fault is None or self.was_checked(equation, inputs) else places[plan.fault].buffer
        for stage in plan.stages:
            self.steps.append(Native(stage, tuple(places[k] for k in stage.reads),
                                     tuple(places[k] for k in stage.writes), equation, matched, fault))

    def was_checked(self, equation: Equation, inputs: Sequence[Place]) -> bool:
        """Whether an earlier step says it if an index is out of range: the derivative of a look-up does what it did.

        State may then be updated in place before, as it may not where a step can still fail.
        """
        if equation.op.name not in ("take_rows", "add_rows"):
            return False
        size = equation.attributes.get("size", inputs[0].array.shape[equation.attributes["axis"]])
        checked = (inputs[1], size) in self.checked
        self.checked.add((inputs[1], size))
        return checked

    def copy(self, equation: Equation, source: Place, target: Place) -> None:
        """Appends a copy."""
        if target.array.size == 0:
            return
        dtype = source.array.dtype
        if dtype.kind == "c":  # as pairs of numbers
            self.steps.append(Edge(Equation(OPS["copy"], (), {}, (), equation.line), (source,), (target,)))
            return
        self.steps.append(copying(equation, source, target))


def _size(value: Value) -> int:
    return value.size * value.dtype.itemsize


def _part(place: Place, axis: int, start: int, shape: tuple[int, ...]) -> Place:
    """Where a part of a joined array is, which begins at ``start`` along an axis."""
    array = place.array
    offset = start * array.strides[axis] * array.dtype.itemsize
    return Place(place.buffer, place.offset + offset, Array(array.dtype, shape, array.strides))


def _is_elementwise(equation: Equation) -> bool:
    """Whether an equation is computed element by element, and so can write anywhere."""
    if equation.op is not FUSED:
        return is_scalar(equation)
    return all(is_scalar(e) or is_relabel(e) for e in equation.attributes["body"].equations)


def _is_reduction(equation: Equation) -> bool:
    name = equation.op.name
    return name in REDUCTIONS and OPS[name] is equation.op and next(equation.values).dtype.kind in "biufV"


def _body(equation: Equation) -> Graph:
    """The graph of a fused equation; of a single one, the graph of it alone."""
    if equation.op is FUSED:
        body: Graph = equation.attributes["body"]
        return body
    operands = tuple(equation.values)
    fresh = {x: Value(x.type) for x in (*operands, *equation.outputs)}
    inputs = tuple(fresh[x] if isinstance(x, Value) else x for x in equation.inputs)
    outputs = tuple(fresh[y] for y in equation.outputs)
    return Graph(tuple(fresh[x] for x in operands),
                 (Equation(equation.op, inputs, equation.attributes, outputs, equation.line),), outputs)
