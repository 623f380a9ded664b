"""Trim control flow: loops and branches lose the results, carries and operands that nobody needs.

    before:  v2, v3, v4 = scan(v0, v1, body=(c, x) -> (c + x, c * x, c))   where v3 and v4 are not used
    after:   v2 = scan(v0, v1, body=(c, x) -> c + x)

What is kept for a derivative that nobody takes goes this way, and a carry that no step changes becomes an operand.
Requires a verified graph; ensures that every output of a loop or branch is used or carried to one that is, and, as in
dead code elimination, that of every other equation. Tests: tests/jit/test_loop_passes.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tensorlite.jit.graph import Equation, Graph, Operand, Value
from tensorlite.jit.rewrite import substitute


def trim_control_flow(graph: Graph) -> Graph:
    """Trims every equation of `scan`, `while_loop` and `cond`, from the last on."""
    graph = _settle(graph)
    needed: set[Value] = set(graph.outputs)
    kept: list[Equation] = []
    for equation in reversed(graph.equations):
        if equation.op.name in _TRIMS and needed.intersection(equation.outputs):
            equation = _TRIMS[equation.op.name](equation, needed)
        if equation.op.kind == "effect" or needed.intersection(equation.outputs):
            needed.update(equation.values)
            kept.append(equation)
    return graph.with_equations(kept[::-1])


def _settle(graph: Graph) -> Graph:
    """Makes operands of the carries of scans that no step changes."""
    replaced: dict[Value, Value] = {}
    equations = []
    for equation in graph.equations:
        equation = substitute(equation, replaced)
        equations.append(_with_settled(equation, replaced) if equation.op.name == "scan" else equation)
    return graph.with_equations(equations, [replaced.get(value, value) for value in graph.outputs])


def _with_settled(equation: Equation, replaced: dict[Value, Value]) -> Equation:
    facts, body, operands = equation.attributes, equation.attributes["body"], equation.inputs
    carries = facts["carries"]
    still = [i for i in range(carries) if body.outputs[i] is body.inputs[i]]
    if not still:
        return equation
    moving = [i for i in range(carries) if i not in still]
    order = [*moving, *range(carries, len(operands)), *still]
    results = [*moving, *range(carries, len(body.outputs))]
    replaced.update((equation.outputs[i], x) for i in still if isinstance(x := operands[i], Value))
    inside = Graph(tuple(body.inputs[i] for i in order), body.equations, tuple(body.outputs[i] for i in results),
                   body.constants)
    return Equation(equation.op, _pick(operands, order), {**facts, "body": inside, "carries": len(moving),
                                                          "kept": False},
                    tuple(equation.outputs[i] for i in results), equation.line)


def used(graph: Graph, outputs: Sequence[Value]) -> set[Value]:
    """The values that some outputs of a graph depend on, themselves included."""
    needed = set(outputs)
    for equation in reversed(graph.equations):
        if equation.op.kind == "effect" or needed.intersection(equation.outputs):
            needed.update(equation.values)
    return needed


def _reduced(graph: Graph, inputs: Sequence[int], outputs: Sequence[int]) -> Graph:
    """A graph with some of its inputs and outputs, and what these need."""
    results = tuple(graph.outputs[i] for i in outputs)
    needed = used(graph, results)
    equations = tuple(e for e in graph.equations if e.op.kind == "effect" or needed.intersection(e.outputs))
    constants = {value: array for value, array in graph.constants.items() if value in needed}
    return Graph(tuple(graph.inputs[i] for i in inputs), equations, results, constants)


def _pick(items: Sequence[Operand], places: Sequence[int]) -> tuple[Operand, ...]:
    return tuple(items[i] for i in places)


def _live_carries(body: Graph, carries: int, wanted: Collection[int], also: set[Value]) -> list[int]:
    """The carries that are wanted, or that what is wanted depends on after any number of steps.

    ``also`` are inputs of the body that are needed whatever the carries.
    """
    live = set(wanted)
    while True:
        values = also | used(body, [body.outputs[i] for i in live])
        grown = live | {i for i in range(carries) if body.inputs[i] in values}
        if grown == live:
            return sorted(live)
        live = grown


def _trim_scan(equation: Equation, needed: set[Value]) -> Equation:
    facts, body = equation.attributes, equation.attributes["body"]
    carries, slices = facts["carries"], facts["slices"]
    ys = [i for i in range(carries, len(body.outputs)) if equation.outputs[i] in needed]
    wanted = {i for i in range(carries) if equation.outputs[i] in needed}
    live = _live_carries(body, carries, wanted, used(body, [body.outputs[i] for i in ys]))
    results = [*live, *ys]
    values = used(body, [body.outputs[i] for i in results])
    rows = [i for i in range(carries, carries + slices) if body.inputs[i] in values]
    consts = [i for i in range(carries + slices, len(body.inputs)) if body.inputs[i] in values]
    taken = [*live, *rows, *consts]
    kept = facts["kept"] and results == list(range(len(body.outputs)))
    if len(taken) == len(body.inputs) and len(results) == len(body.outputs):
        return equation
    attributes = {**facts, "body": _reduced(body, taken, results), "carries": len(live), "slices": len(rows),
                  "kept": kept}
    return Equation(equation.op, _pick(equation.inputs, taken), attributes,
                    tuple(equation.outputs[i] for i in results), equation.line)


def _trim_while_loop(equation: Equation, needed: set[Value]) -> Equation:
    facts, cond, body = equation.attributes, equation.attributes["cond"], equation.attributes["body"]
    carries = facts["carries"]
    wanted = {i for i in range(carries) if equation.outputs[i] in needed}
    tested = used(cond, cond.outputs)
    of_cond = {x for x, y in zip(body.inputs, cond.inputs, strict=True) if y in tested}
    live = _live_carries(body, carries, wanted, of_cond)
    values = of_cond | used(body, [body.outputs[i] for i in live])
    consts = [i for i in range(carries, len(body.inputs)) if body.inputs[i] in values]
    taken = [*live, *consts]
    if len(taken) == len(body.inputs):
        return equation
    attributes = {**facts, "cond": _reduced(cond, taken, [0]), "body": _reduced(body, taken, live),
                  "carries": len(live)}
    return Equation(equation.op, _pick(equation.inputs, taken), attributes,
                    tuple(equation.outputs[i] for i in live), equation.line)


def _trim_cond(equation: Equation, needed: set[Value]) -> Equation:
    branches = {name: equation.attributes[name] for name in ("true", "false")}
    results = [i for i, value in enumerate(equation.outputs) if value in needed]
    taken = [i for i in range(len(equation.inputs) - 1)
             if any(g.inputs[i] in used(g, [g.outputs[k] for k in results]) for g in branches.values())]
    if len(taken) == len(equation.inputs) - 1 and len(results) == len(equation.outputs):
        return equation
    attributes = {name: _reduced(graph, taken, results) for name, graph in branches.items()}
    return Equation(equation.op, (equation.inputs[0], *_pick(equation.inputs[1:], taken)), attributes,
                    tuple(equation.outputs[i] for i in results), equation.line)


_TRIMS = {"scan": _trim_scan, "while_loop": _trim_while_loop, "cond": _trim_cond}
