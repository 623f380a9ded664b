"""What lowering makes of a graph: buffers, and steps that read and write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from tensorlite.jit.graph import Equation, Graph
from tensorlite.kernels.stage import Array, Stage

#: The dtype of memory that a stage works in, or leaves for the next one: only these know what lies there.
UNTYPED = np.dtype("V1")


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


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a buffer of a region is outside of it, and by how many bytes that moves with each iteration."""

    place: Place
    advance: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Phases within a step of control flow; temporaries are in `scratch`, other buffers where `bound` says."""

    phases: tuple[tuple[Step, ...], ...]
    offsets: Mapping[Buffer, int]
    bound: Mapping[Buffer, Bound]
    scratch: Place


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """A region that runs `count` times."""

    equation: Equation
    body: Region
    count: int
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]


@dataclass(frozen=True, slots=True, eq=False)
class While:
    """A region that runs as long as another one makes its flag true."""

    equation: Equation
    test: Region
    flag: Place
    body: Region
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """One of two regions, by a flag."""

    equation: Equation
    flag: Place
    true: Region
    false: Region
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]


Step = Native | Edge | Loop | While | Branch


def regions(step: Step) -> tuple[Region, ...]:
    """The regions of a step of control flow."""
    if isinstance(step, Loop):
        return (step.body,)
    if isinstance(step, While):
        return step.test, step.body
    return (step.true, step.false) if isinstance(step, Branch) else ()


def steps_within(step: Step) -> Iterator[Step]:
    """A step, and those in its regions, however deep."""
    yield step
    for region in regions(step):
        for phase in region.phases:
            for inner in phase:
                yield from steps_within(inner)


@dataclass
class Lowered:
    """Steps in an order that respects what each reads.

    An output's buffer may lie over an input's, which dies with the call: `over` says so. `constants` are the arrays of
    buffers whose home is constant, by their index.
    """

    graph: Graph
    steps: list[Step]
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    constants: list[Any]
    over: dict[Buffer, Buffer] = field(default_factory=dict)

    def buffers(self) -> Iterator[Buffer]:
        """Every buffer that a step touches, each once."""
        yield from dict.fromkeys(place.buffer for step in self.steps for place in (*step.reads, *step.writes))
