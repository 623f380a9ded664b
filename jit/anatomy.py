"""Anatomy: what one specialisation of a jitted function is made of: passes, kernels, edges, memory, and their costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tensorlite.dispatch import quietly
from tensorlite.jit import costs
from tensorlite.jit.compiled import Compiled
from tensorlite.jit.control import CONTROL_FLOW
from tensorlite.jit.executable import Executable
from tensorlite.jit.graph import Graph, graph_text, type_text
from tensorlite.jit.measure import Measured, measure
from tensorlite.jit.pipeline import PASSES
from tensorlite.jit.placing import Placed, placed
from tensorlite.jit.program import Edge, Native
from tensorlite.jit.roofline import Machine, machine
from tensorlite.jit.space import is_relabel
from tensorlite.kernels.cpu import native, team
from tensorlite.kernels.generated import launch

_QUIET = frozenset({"cast", "copy", "reshape", "broadcast_to"})
_DOUBLE = ("float64", "complex128")


class Kernel:
    """One step of a call: a stage of a native program, or an edge, an op that runs from Python.

    `number` counts from 0 in the order of the call; `threads` are those that share the work, None all of them. `times`
    is how often it runs in a call, None where only the loop around it knows: then bytes and operations are those of one
    time.
    """

    def __init__(self, owner: Specialisation, number: int, at: Placed, flops: int) -> None:
        self.owner, self.number, self.step, self.times = owner, number, at.step, at.times
        self.segment, self.phase, self.record, self.threads = at.segment, at.phase, at.record, at.threads
        self.flops = flops * (at.times or 1)

    def __repr__(self) -> str:
        return f"<{'edge' if self.is_edge else 'kernel'} {self.number}: {self.name}>"

    @property
    def is_edge(self) -> bool:
        """Whether Python runs it."""
        return not isinstance(self.step, Native)

    @cached_property
    def name(self) -> str:
        """The ops that it computes, each once, in order; those that only rename or convert are left out."""
        if self.step.equation.op.name in CONTROL_FLOW and not self.is_edge:  # of what its body starts or ends with
            return f"{self.step.equation.op.name}: copy"
        body = self.step.equation.attributes.get("body") if self.step.equation.op.name == "fused" else None
        names = [e.op.name for e in body.equations if not is_relabel(e)] if body else [self.step.equation.op.name]
        return " ".join(dict.fromkeys([name for name in names if name not in _QUIET] or names))

    @cached_property
    def form(self) -> str:
        """The kind of its loops: elementwise, fold, matmul, ...; ``Python`` for an edge."""
        return costs.form(self.step)

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The user's lines that asked for it."""
        body = self.step.equation.attributes.get("body") if self.step.equation.op.name == "fused" else None
        found = [e.line for e in body.equations] if body else []
        return tuple(dict.fromkeys(line.removeprefix("at ") for line in (*found, self.step.equation.line) if line))

    @cached_property
    def results(self) -> tuple[str, ...]:
        """The types of what it writes, the largest first."""
        arrays = sorted((p.array for p in costs.results(self.step)), key=lambda a: -a.size * a.dtype.itemsize)
        return tuple(f"{a.dtype.name}[{', '.join(map(str, a.shape)) or '()'}]" for a in arrays)

    @property
    def last(self) -> bool:
        """Whether it writes images whose channels come last in memory."""
        return any(place.array.is_channels_last for place in self.step.writes)

    @cached_property
    def equation(self) -> str:
        """The text of the equation that it comes from, as a graph."""
        return self.owner.equation_text(self.step)

    @cached_property
    def bytes(self) -> int:
        """Bytes that it reads and writes."""
        return costs.bytes_moved(self.step) * (self.times or 1)

    @property
    def seconds(self) -> float | None:
        """The time that it takes of a call, shared with what runs beside it; None where it cannot be measured."""
        times = self.owner.measured.seconds
        return times[self.number] if times else None

    @property
    def roofline(self) -> float:
        """The least seconds that its bytes and operations take on this machine; 0 where these are not known."""
        if self.times is None:
            return 0.0
        dtype = max((p.array.dtype for p in self.step.writes), key=lambda dtype: dtype.itemsize)
        once = self.bytes / self.times, self.flops / self.times
        return machine().seconds(*once, "float64" if dtype.name in _DOUBLE else "float32") * self.times

    @property
    def key(self) -> Any:
        """What equal kernels have in common: one line of a report shows them all."""
        arrays = tuple(place.array for place in (*self.step.reads, *self.step.writes))
        return self.name, self.stage, arrays

    @property
    def stage(self) -> str:
        """What its loops depend on: kernels that have it in common are compiled once; empty for an edge."""
        return self.step.stage.key if isinstance(self.step, Native) else ""

    @property
    def note(self) -> str:
        """Why it is this kernel and no other, where there was a choice."""
        return self.step.stage.note if isinstance(self.step, Native) else ""

    @cached_property
    def loops(self) -> str:
        """The text of its loops, or of its Python function; empty for an edge."""
        return launch.source_of(self.step.stage.build()) if isinstance(self.step, Native) else ""

    @cached_property
    def llvm(self) -> str:
        """The text of the LLVM module that the loops become; empty for an edge."""
        return launch.module_of(self.step.stage.build()) if isinstance(self.step, Native) else ""

    @cached_property
    def assembly(self) -> str:
        """The machine's instructions, before LLVM's own passes, which do next to nothing; empty for an edge."""
        return native.emit_assembly(self.llvm) if self.llvm else ""


@dataclass(frozen=True)
class Pass:
    """What a pass made of the graph, and how long it took."""

    name: str
    graph: Graph
    seconds: float
    changed: bool


class Specialisation:
    """What a function was compiled to for one kind of arguments."""

    def __init__(self, compiled: Compiled, arguments: Sequence[Any] = ()) -> None:
        self.compiled, self._arguments = compiled, arguments

    @property
    def executable(self) -> Executable:
        """What runs."""
        return self.compiled.executable

    @cached_property
    def graph(self) -> Graph:
        """The graph as it was traced."""
        return self.compiled.traced.graph

    @cached_property
    def passes(self) -> tuple[Pass, ...]:
        """The graph after each pass; the passes run anew for it."""
        found, graph, before = [], self.graph, graph_text(self.graph)
        for each in PASSES:
            start = time.perf_counter()
            graph = quietly(each, graph)
            seconds = time.perf_counter() - start
            text = graph_text(graph)
            found.append(Pass(getattr(each, "__name__", "pass"), graph, seconds, text != before))
            before = text
        return tuple(found)

    @cached_property
    def steps(self) -> tuple[Kernel, ...]:
        """Kernels and edges in the order of a call."""
        flops = costs.steps_flops([each.step for each in self._placed])
        return tuple(Kernel(self, k, each, flops[k]) for k, each in enumerate(self._placed))

    @cached_property
    def _placed(self) -> tuple[Placed, ...]:
        return tuple(placed(self.executable))

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The native kernels."""
        return tuple(k for k in self.steps if not k.is_edge)

    @property
    def edges(self) -> tuple[Kernel, ...]:
        """The ops that Python runs."""
        return tuple(k for k in self.steps if k.is_edge)

    @property
    def machine(self) -> Machine:
        """What this machine can do."""
        return machine()

    @property
    def phases(self) -> int:
        """How many groups of kernels follow each other."""
        return len({k.phase for k in self.steps})

    @property
    def threads(self) -> int:
        """The threads of its programs."""
        return team.get_num_threads() if self.executable.threads is None else self.executable.threads

    @cached_property
    def signature(self) -> str:
        """The types of the arguments' tensors and of the results'."""
        inputs = [type_text(x.type) for x in self.graph.inputs[: self.compiled.arguments]]
        results = len({x.number for x in self.compiled.traced.results if hasattr(x, "number")})
        outputs = [type_text(y.type) for y in self.graph.outputs[:results]]
        return f"({', '.join(inputs)}) -> {', '.join(outputs) or 'None'}"

    @property
    def memory(self) -> dict[str, int]:
        """The bytes of the arena, their lower bound, and those of constants, state and results."""
        compiled, planned = self.compiled, self.executable.memory
        results = sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in map(compiled.shapes.__getitem__,
                                                                                  compiled.fresh))
        return {"arena": planned.size, "bound": planned.bound,
                "constants": sum(array.nbytes for array in self.executable.constants) + self.prepared[1],
                "state": sum(x.size * x.dtype.itemsize for x in self.graph.inputs[compiled.arguments:]),
                "results": results}

    @property
    def prepared(self) -> tuple[int, int]:
        """How many kernels run only when the state that they read changes, and the bytes of what they make."""
        preparation = self.executable.preparation
        if preparation is None:
            return 0, 0
        return sum(1 for _ in placed(preparation.executable)), preparation.size

    @property
    def in_place(self) -> tuple[list[str], list[str]]:
        """The types of state that is updated where it is, and of what gets memory of its own at each call."""
        over = self.executable.over
        changed = {c.output: type_text(self.graph.outputs[c.output].type) for c in self.compiled.traced.changes
                   if c.output is not None and (c.slot == "array" or c.output in over)}
        return [t for k, t in changed.items() if k in over], [t for k, t in changed.items() if k not in over]

    def equation_text(self, step: Native | Edge) -> str:
        """The text of a step's equation."""
        equation = step.equation
        values = tuple(dict.fromkeys(equation.values))
        return graph_text(Graph(values, (equation,), equation.outputs))

    @cached_property
    def measured(self) -> Measured:
        """The time of the fastest of some calls on copies, by kernel."""
        return measure(self.compiled, self._placed, self._arguments)
