"""What lowering makes of a graph: buffers, and steps that read and write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.kernels.stage import Array, Stage


class Home(StrEnum):
    """Where a buffer's memory comes from."""

    ARENA = "arena"
    INPUT = "input"
    OUTPUT = "output"
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """Memory of so many bytes; `index` says which input, output or constant it is."""

    home: Home
    size: int
    index: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array begins in a buffer, in bytes, and how it lies."""

    buffer: Buffer
    offset: int
    array: Array


@dataclass(frozen=True, slots=True, eq=False)
class Native:
    """A stage with the places of its arrays. `matched` are the reads at whose element only that element is written."""

    stage: Stage
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]
    equation: Equation
    matched: frozenset[Buffer] = frozenset()
    fault: Buffer | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """An equation that has no native form here: its op runs from Python."""

    equation: Equation
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]


Step = Native | Edge


@dataclass
class Lowered:
    """Steps in an order that respects what each reads.

    `returned` gives for each output of the graph the buffer that holds it when all is done. An output's buffer may lie
    over an input's, which dies with the call: `over` says so.
    """

    graph: Graph
    steps: list[Step]
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    constants: Mapping[Buffer, Value]
    over: dict[Buffer, Buffer] = field(default_factory=dict)

    def buffers(self) -> Iterator[Buffer]:
        """Every buffer that a step touches, each once."""
        yield from dict.fromkeys(place.buffer for step in self.steps for place in (*step.reads, *step.writes))
