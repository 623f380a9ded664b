"""What a graph means: its equations applied one after the other, through `dispatch.apply`."""

from __future__ import annotations

from collections.abc import Sequence

from tensorlite.jit.graph import Graph
from tensorlite.tensor import Tensor


def evaluate(graph: Graph, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs for some inputs: recorded where they are tracked, traced inside another trace."""
    return list(graph(*inputs))
