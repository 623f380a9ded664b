"""Fuse: equations that share a loop nest become one, so that what passes between them never leaves the registers.

    before:  v1 = subtract(v0, 1.0); v2 = exp(v1); v3 = sum(v2, axis=(1,))
    after:   v3 = fused(v0, body=...)

Elementwise equations join what makes their operands: other elementwise ones, a reduction (softmax, normalisation, a
loss), or the end of a matrix product or convolution. Reductions over the same axes share their passes (`grouping`).
What is cheap is computed where it is used, rather than stored (`recompute`).

Requires a verified graph without ops that have meanings; ensures that every `fused` body is a closed graph with one
`Space`. Tests: tests/jit/test_fuse.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.grouping import Group, Grouping, operands
from tensorlite.jit.passes.eliminate_dead_code import eliminate_dead_code
from tensorlite.jit.recompute import recompute
from tensorlite.jit.rewrite import substitute
from tensorlite.jit.space import is_relabel
from tensorlite.op import OPS, Op
from tensorlite.tensor import Tensor


def _body(xp: Any, *operands: Any, body: Graph) -> tuple[Any, ...]:
    return tuple(y.array for y in body(*map(Tensor, operands)))


#: The op of fused equations: what its body does with its operands.
FUSED = Op("fused", "fused", _body, ("x",), ("body",), variadic=True,
           type_rule=lambda *x, body: tuple(value.type for value in body.outputs))
FUSED.run = lambda *operands, body: _body(None, *operands, body=body)
OPS["fused"] = FUSED


def fuse(graph: Graph) -> Graph:
    """Groups equations, and replaces each group of several by one."""
    groups = recompute(graph, Grouping(graph).run())
    users = _users(graph, groups)
    merged = graph.with_equations([new for group in _ordered(groups) for new in _merged(group, users)])
    return eliminate_dead_code(merged)  # what only groups read that are computed anew elsewhere


def _ordered(groups: list[Group]) -> list[Group]:
    """The groups such that each comes after those that it waits for, and else as early as its first equation."""
    maker = {y: group for group in groups for e in group.equations for y in e.outputs}
    done: dict[int, Group] = {}

    def visit(group: Group) -> None:
        stack = [(group, iter(operands(group.equations)))]
        while stack:
            current, pending = stack[-1]
            following = next((maker[x] for x in pending if x in maker and maker[x].number not in done), None)
            if following is not None:
                stack.append((following, iter(operands(following.equations))))
            else:
                done[current.number] = current
                stack.pop()

    for group in groups:
        if group.number not in done:
            visit(group)
    return list(done.values())


def _users(graph: Graph, groups: list[Group]) -> dict[Value, set[int]]:
    """By value the numbers of the groups that use it; -1 stands for the graph's result."""
    users: dict[Value, set[int]] = {value: {-1} for value in graph.outputs}
    for group in groups:
        for equation in group.equations:
            for x in equation.values:
                users.setdefault(x, set()).add(group.number)
    return users


def _merged(group: Group, users: Mapping[Value, set[int]]) -> list[Equation]:
    """The equations of a group: one fused equation, and views of its results."""
    if group.space is None:
        return group.equations
    outside = {y for e in group.equations for y in e.outputs if users.get(y, set()) - {group.number}}
    if not outside:
        return []  # it is computed anew wherever it was used
    return group.equations if len(group.equations) == 1 else _fused(group.equations, outside)


def _fused(equations: list[Equation], outside: set[Value]) -> list[Equation]:
    """One equation for several. Results that are relabelled others are views of them, made after it."""
    maker = {y: e for e in equations for y in e.outputs}
    wanted, views = dict.fromkeys(y for e in equations for y in e.outputs if y in outside), []
    for y in reversed(list(wanted)):
        equation = maker[y]
        if is_relabel(equation):
            del wanted[y]
            views.append(equation)
            source = next(equation.values)
            while source in maker and is_relabel(maker[source]):
                views.append(maker[source])
                source = next(maker[source].values)
            wanted.setdefault(source)
    kept = _needed(equations, wanted)
    if len(kept) == 1:
        return [*kept, *_once(views)]
    taken = operands(kept)
    fresh = {x: Value(x.type) for x in (*taken, *(y for e in kept for y in e.outputs))}
    body = Graph(tuple(fresh[x] for x in taken),
                 tuple(_renamed(e, fresh) for e in kept), tuple(fresh[y] for y in wanted))
    return [Equation(FUSED, tuple(taken), {"body": body}, tuple(wanted), kept[-1].line), *_once(views)]


def _once(views: list[Equation]) -> list[Equation]:
    return list({id(e): e for e in reversed(views)}.values())


def _needed(equations: Sequence[Equation], wanted: Iterable[Value]) -> list[Equation]:
    needed, kept = set(wanted), []
    for equation in reversed(equations):
        if needed.intersection(equation.outputs):
            needed.update(equation.values)
            kept.append(equation)
    return kept[::-1]


def _renamed(equation: Equation, fresh: dict[Value, Value]) -> Equation:
    """The equation on the body's own values."""
    inner = substitute(equation, fresh)
    return Equation(inner.op, inner.inputs, inner.attributes, tuple(fresh[y] for y in inner.outputs), inner.line)
