"""Keep products: a loop takes what an earlier loop computed at the same step, rather than computing it again.

    before:  v3 = scan(..., body=(h, x, w) -> tanh(x + h @ w)); ...
             v9 = scan(..., h, x, w, body=... a = tanh(x + h @ w) ...)
    after:   v3, v4 = scan(..., body=(h, x, w) -> u = x + h @ w; tanh(u), u); ...
             v9 = scan(..., v4, body=... a = tanh(u) ...)

The derivative of a loop computes the inside of each step anew; products of matrices, loops and branches are worth their
memory, and so the first loop gives them too (with the elementwise equations that only they feed). Requires a verified
graph; ensures the same bits. Tests: tests/jit/test_loop_passes.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tensorlite.jit.control import CONTROL_FLOW
from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.passes.share_common_subexpressions import equation_key
from tensorlite.jit.rewrite import substitute
from tensorlite.op import Elementwise
from tensorlite.tensor_type import TensorType


def keep_products(graph: Graph) -> Graph:
    """Lets each scan take products from the scans before it."""
    equations = list(graph.equations)
    scans = [i for i, equation in enumerate(equations) if equation.op.name == "scan"]
    for place, later in enumerate(scans):
        for earlier in scans[:place]:
            equations[earlier], equations[later] = _share(equations[earlier], equations[later])
    return graph.with_equations(equations)


def _share(first: Equation, second: Equation) -> tuple[Equation, Equation]:
    if first.attributes["length"] != second.attributes["length"]:
        return first, second
    known = _same_inputs(first, second)
    repeated = _repeated(first.attributes["body"], second.attributes["body"], known)
    wanted = dict.fromkeys(_worth_keeping(second.attributes["body"], repeated))
    return _moved(first, second, {value: known[value] for value in wanted}) if wanted else (first, second)


def _same_inputs(first: Equation, second: Equation) -> dict[Value, Value]:
    """What inputs of the second body are values of the first one at the same step."""
    body, other = first.attributes["body"], second.attributes["body"]
    carries, end = first.attributes["carries"], first.attributes["carries"] + first.attributes["slices"]
    rows = dict(zip(first.inputs[carries:end], body.inputs[carries:end], strict=True))
    rows |= dict(zip(first.outputs[carries:], body.outputs[carries:], strict=True))
    consts = dict(zip(first.inputs[end:], body.inputs[end:], strict=True))
    carries, end = second.attributes["carries"], second.attributes["carries"] + second.attributes["slices"]
    known = {x: rows[outer] for outer, x in zip(second.inputs[carries:end], other.inputs[carries:end], strict=True)
             if outer in rows}
    known |= {x: consts[outer] for outer, x in zip(second.inputs[end:], other.inputs[end:], strict=True)
              if outer in consts}
    for value, array in other.constants.items():
        same = [x for x, given in body.constants.items() if x.type == value.type and np.array_equal(array, given)]
        known |= {value: same[0]} if same else {}
    return known


def _repeated(body: Graph, other: Graph, known: dict[Value, Value]) -> list[Equation]:
    """The equations of the second body that the first one has too; ``known`` grows by their outputs."""
    keys = {equation_key(equation): equation for equation in body.equations if equation.op.kind != "effect"}
    found = []
    for equation in other.equations:
        if all(x in known for x in equation.values):
            same = keys.get(equation_key(substitute(equation, known)))
            if same is not None:
                known.update(zip(equation.outputs, same.outputs, strict=True))
                found.append(equation)
    return found


def _worth_keeping(body: Graph, repeated: list[Equation]) -> Iterator[Value]:
    """The results of repeated products, or what elementwise equations make of one and it alone is used for."""
    users: dict[Value, list[Equation]] = {}
    for equation in body.equations:
        for x in equation.values:
            users.setdefault(x, []).append(equation)
    for equation in repeated:
        if equation.op.kind != "contract" and equation.op.name not in CONTROL_FLOW:
            continue
        for value in equation.outputs:
            while len(found := users.get(value, [])) == 1 and value not in body.outputs and found[0] in repeated \
                    and isinstance(found[0].op, Elementwise) and found[0].outputs[0].type == value.type:
                value = found[0].outputs[0]
            if value in users or value in body.outputs:
                yield value


def _moved(first: Equation, second: Equation, wanted: dict[Value, Value]) -> tuple[Equation, Equation]:
    """The first scan with more results, and the second with them as rows in place of its own equations."""
    facts, length = first.attributes, first.attributes["length"]
    results, stacked = list(facts["body"].outputs), list(first.outputs)
    rows: list[Value] = []
    for value in wanted.values():
        if value not in results[facts["carries"]:]:
            results.append(value)
            stacked.append(Value(TensorType(value.dtype, (length, *value.shape), value.type.device)))
        rows.append(stacked[results.index(value, facts["carries"])])
    body = facts["body"].with_equations(facts["body"].equations, results)
    kept = facts["kept"] and len(results) == len(first.outputs)
    first = Equation(first.op, first.inputs, {**facts, "body": body, "kept": kept}, tuple(stacked), first.line)
    return first, _with_rows(second, dict(zip(wanted, rows, strict=True)))


def _with_rows(equation: Equation, rows: dict[Value, Value]) -> Equation:
    facts, body = equation.attributes, equation.attributes["body"]
    end = facts["carries"] + facts["slices"]
    inside = tuple(_without(e, rows) for e in body.equations if not all(y in rows for y in e.outputs))
    body = Graph((*body.inputs[:end], *rows, *body.inputs[end:]), inside, body.outputs, body.constants)
    return Equation(equation.op, (*equation.inputs[:end], *rows.values(), *equation.inputs[end:]),
                    {**facts, "body": body, "slices": facts["slices"] + len(rows)}, equation.outputs, equation.line)


def _without(equation: Equation, rows: dict[Value, Value]) -> Equation:
    """The equation, whose outputs that are rows now are made for nobody."""
    outputs = tuple(Value(y.type) if y in rows else y for y in equation.outputs)
    return Equation(equation.op, equation.inputs, equation.attributes, outputs, equation.line)
