"""Hoist products: a sum of matrix products over the steps of a loop is one product of all the steps' rows.

    before:  v5 = scan(v0, v1, v2, body=(total, a, b) -> total + a.T @ b)
    after:   v5 = v0 + v1.reshape(-1, n).T @ v2.reshape(-1, m)

That is how the derivative of a loop adds up those of its weights: one large product reads the sum once, and a product
for each step would read and write it every time. Requires a verified graph; ensures sums of the same terms, in
another order. Tests: tests/jit/test_loop_passes.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.verify import infer
from tensorlite.op import OPS
from tensorlite.tensor_type import TensorType

_MOVES = ("permute_dims", "reshape")


@dataclass(frozen=True)
class Product:
    """A carry to which each step adds ``left.T @ right``, moved by ``moves`` (applied from the first)."""

    carry: int
    left: Value
    right: Value
    moves: tuple[Equation, ...]


def hoist_products(graph: Graph) -> Graph:
    """Takes products out of every scan."""
    zeros = {value for value, array in graph.constants.items() if not np.any(array)}
    equations: list[Equation] = []
    for equation in graph.equations:
        if _gives_zeros(equation):
            zeros.update(equation.outputs)
        equations += _hoisted(equation, zeros) if equation.op.name == "scan" else [equation]
    return graph.with_equations(equations)


def _gives_zeros(equation: Equation) -> bool:
    return equation.op.name == "zeros" or equation.op.name == "full" and equation.attributes["fill_value"] == 0


def _hoisted(equation: Equation, zeros: set[Value]) -> list[Equation]:
    body = equation.attributes["body"]
    makers = {y: e for e in body.equations for y in e.outputs}
    uses: dict[Value, int] = {}
    for x in (*body.outputs, *(x for e in body.equations for x in e.values)):
        uses[x] = uses.get(x, 0) + 1
    consts = set(body.inputs[equation.attributes["carries"] + equation.attributes["slices"]:]) | set(body.constants)
    found = [product for carry in range(equation.attributes["carries"])
             if (product := _product(body, carry, makers, uses)) is not None
             and not consts.intersection((product.left, product.right))]
    return _taken_out(equation, found, zeros) if found else [equation]


def _product(body: Graph, carry: int, makers: Mapping[Value, Equation], uses: Mapping[Value, int]) -> Product | None:
    """The product that a carry is the sum of, if it is used for nothing else."""
    before, after = body.inputs[carry], body.outputs[carry]
    maker = makers.get(after)
    if maker is None or maker.op is not OPS["add"] or uses[after] > 1 or uses.get(before) != 1:
        return None
    if before not in maker.inputs or before.type != after.type:
        return None
    term = maker.inputs[1 - maker.inputs.index(before)]
    moves: list[Equation] = []
    while isinstance(term, Value) and term in makers and uses[term] == 1:
        maker = makers[term]
        if maker.op.name == "matmul":
            return _factors(carry, maker, makers, tuple(moves[::-1]))
        if maker.op.name not in _MOVES:
            return None
        moves.append(maker)
        (term,) = maker.inputs
    return None


def _factors(carry: int, matmul: Equation, makers: Mapping[Value, Equation],
             moves: tuple[Equation, ...]) -> Product | None:
    left, right = matmul.inputs
    turned = makers.get(left) if isinstance(left, Value) else None
    if turned is None or turned.op.name != "permute_dims" or turned.attributes["axes"] != (1, 0):
        return None
    (rows,) = turned.values
    return Product(carry, rows, right, moves) if isinstance(right, Value) and right.ndim == 2 else None


def _taken_out(equation: Equation, products: list[Product], zeros: set[Value]) -> list[Equation]:
    """The scan without the sums, and the equations that compute them after it."""
    facts, body = equation.attributes, equation.attributes["body"]
    carries, end = facts["carries"], facts["carries"] + facts["slices"]
    gone = {product.carry for product in products}
    stacked = dict(zip(body.outputs[carries:], equation.outputs[carries:], strict=True))
    stacked |= dict(zip(body.inputs[carries:end], equation.inputs[carries:end], strict=True))
    added: dict[Value, Value] = {}
    for x in (x for product in products for x in (product.left, product.right)):
        if x not in stacked:
            stacked[x] = added[x] = Value(TensorType(x.dtype, (facts["length"], *x.shape), x.type.device))
    stay = [i for i in range(carries) if i not in gone]
    results = (*(body.outputs[i] for i in stay), *body.outputs[carries:], *added)
    inputs = (*(body.inputs[i] for i in stay), *body.inputs[carries:])
    inside = Graph(inputs, _without(body, gone), results, body.constants)
    scan = Equation(equation.op, (*(equation.inputs[i] for i in stay), *equation.inputs[carries:]),
                    {**facts, "body": inside, "carries": len(stay), "kept": False},
                    (*(equation.outputs[i] for i in stay), *equation.outputs[carries:], *added.values()), equation.line)
    after = [e for product in products for e in _outside(equation, product, stacked, zeros)]
    return [scan, *after]


def _without(body: Graph, gone: set[int]) -> tuple[Equation, ...]:
    """The equations that do not add to the carries that are gone."""
    sums = {body.outputs[i] for i in gone}
    return tuple(e for e in body.equations if not sums.intersection(e.outputs))


def _outside(equation: Equation, product: Product, stacked: Mapping[Value, Value],
             zeros: set[Value]) -> list[Equation]:
    made: list[Equation] = []

    def emit(name: str, *inputs: Any, **attributes: Any) -> Value:
        (type,) = infer(OPS[name], inputs, attributes, name)
        made.append(Equation(OPS[name], inputs, attributes, (Value(type),), equation.line))
        return made[-1].outputs[0]

    left, right = (emit("reshape", stacked[x], shape=(equation.attributes["length"] * x.shape[0], x.shape[1]))
                   for x in (product.left, product.right))
    total = emit("matmul", emit("permute_dims", left, axes=(1, 0)), right)
    for move in product.moves:
        total = emit(move.op.name, total, **move.attributes)
    first = equation.inputs[product.carry]
    if first not in zeros:
        emit("add", first, total)
    last = made.pop()
    return [*made, Equation(last.op, last.inputs, last.attributes, (equation.outputs[product.carry],), last.line)]
