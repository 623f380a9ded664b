"""The pipeline: every pass, in order, on one screen."""

from __future__ import annotations

from collections.abc import Callable

from tensorlite.jit.graph import Graph
from tensorlite.jit.passes.eliminate_dead_code import eliminate_dead_code
from tensorlite.jit.passes.fold_constants import fold_constants
from tensorlite.jit.passes.fuse import fuse
from tensorlite.jit.passes.share_common_subexpressions import share_common_subexpressions
from tensorlite.jit.passes.simplify import simplify
from tensorlite.jit.passes.spell_out import spell_out

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = (
    spell_out,
    simplify,
    fold_constants,
    share_common_subexpressions,
    eliminate_dead_code,
    fuse,
)


def optimize(graph: Graph, check: Callable[[Graph], Graph] = lambda graph: graph) -> Graph:
    """Runs every pass; ``check`` sees the graph after each (tests give `verify`)."""
    for each in PASSES:
        graph = check(each(graph))
    return graph
