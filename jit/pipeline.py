"""The pipeline: every pass, in order, on one screen; then what makes a program of the last graph."""

from __future__ import annotations

from collections.abc import Callable, Set

from tensorlite.jit.control import everywhere
from tensorlite.jit.executable import Executable
from tensorlite.jit.graph import Graph
from tensorlite.jit.lower import lower
from tensorlite.jit.memory import plan_memory
from tensorlite.jit.passes.eliminate_dead_code import eliminate_dead_code
from tensorlite.jit.passes.fold_constants import fold_constants
from tensorlite.jit.passes.fuse import fuse
from tensorlite.jit.passes.hoist_products import hoist_products
from tensorlite.jit.passes.keep_products import keep_products
from tensorlite.jit.passes.multiply_tables import multiply_tables
from tensorlite.jit.passes.share_common_subexpressions import share_common_subexpressions
from tensorlite.jit.passes.simplify import simplify
from tensorlite.jit.passes.spell_out import spell_out
from tensorlite.jit.passes.trim_control_flow import trim_control_flow
from tensorlite.jit.program import Lowered
from tensorlite.jit.schedule import schedule
from tensorlite.jit.settle import Preparation, cut

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = tuple(everywhere(each) for each in (
    spell_out,
    simplify,
    fold_constants,
    keep_products,
    hoist_products,
    multiply_tables,
    share_common_subexpressions,
    trim_control_flow,
    eliminate_dead_code,
    fuse,
))


def optimize(graph: Graph, check: Callable[[Graph], Graph] = lambda graph: graph) -> Graph:
    """Runs every pass; ``check`` sees the graph after each (tests give `verify`)."""
    for each in PASSES:
        graph = check(each(graph))
    return graph


def compile_graph(graph: Graph, over: dict[int, int], state: Set[int] = frozenset()) -> Executable:
    """Compiles a graph; ``over`` gives outputs that may take the memory of an input, by number.

    ``state`` are inputs that are mostly the same from call to call: what depends on them alone is kept.
    """
    lowered = lower(optimize(graph), over, state)  # layout, algorithms of convolutions, then kernels of equations
    parts = cut(lowered, state)
    if parts is None:
        return _executable(lowered)
    before, after = parts
    return _executable(after, Preparation(_executable(before), state))


def _executable(lowered: Lowered, preparation: Preparation | None = None) -> Executable:
    scheduled = schedule(lowered)
    return Executable(lowered, scheduled, plan_memory(scheduled), preparation)
