"""Lowering a fused body that begins with a matrix product: the rest becomes the epilogue of its kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.lower_loops import Planned
from tensorlite.jit.program import Place
from tensorlite.jit.space import expression
from tensorlite.jit.views import reshaped
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu.planned import matmul
from tensorlite.kernels.stage import Array


def plan_contraction(body: Graph, places: Mapping[Value, Place], constants: Mapping[Value, Any],
                     outputs: Sequence[Place]) -> Planned | None:
    """The plan of a product and what follows it element by element; None where there is no kernel for it."""
    product = next(e for e in body.equations if e.op.kind == "contract")
    a, b = product.inputs
    if not (isinstance(a, Value) and isinstance(b, Value)) or a not in places or b not in places:
        return None
    epilogue, operands = _epilogue(body, product, constants)
    if any(x not in places for x in operands):
        return None
    left, right = places[a].array, places[b].array
    if product.op.name == "linear":
        right = Array(right.dtype, right.shape[::-1], right.strides[::-1])
    if left.ndim < 2 or right.ndim < 2:
        return None
    arrays, results = [places[x].array for x in operands], [place.array for place in outputs]
    flat = _as_one_matrix(left, right, arrays, results)
    if flat is not None:
        left, arrays, results = flat
    plan = matmul.plan(left, right, results, epilogue, arrays)
    if plan is None:
        return None
    matched = frozenset(places[x].buffer for x in operands if places[x].array == outputs[0].array
                        and not places[x].offset) - {places[a].buffer, places[b].buffer}
    return plan, [places[x] for x in (a, b, *operands)], matched


def _epilogue(body: Graph, product: Equation, constants: Mapping[Value, Any]) -> tuple[list[s.Expr], list[Value]]:
    """One expression for each result, over the product and the operands; and these."""
    known: dict[Value, s.Expr] = {product.outputs[0]: s.Var("product")}
    operands: list[Value] = []
    for equation in body.equations:
        if equation is product:
            continue
        for x in equation.values:
            if x not in known and x in constants:
                known[x] = s.cast(s.Const(constants[x]), x.dtype)
            elif x not in known:
                known[x] = s.Var(f"e{len(operands)}")
                operands.append(x)
        known[equation.outputs[0]] = expression(equation, known)
    return [known[y] for y in body.outputs], operands


def _as_one_matrix(left: Array, right: Array, operands: Sequence[Array], results: Sequence[Array],
                   ) -> tuple[Array, list[Array], list[Array]] | None:
    """A stack of matrices times one matrix as one product, where everything can be seen so."""
    if left.ndim == 2 or right.ndim != 2:
        return None
    rows, shape = prod(left.shape[:-1]), results[0].shape
    flat = reshaped(left, (rows, left.shape[-1]))
    found = []
    for array in (*operands, *results):
        if prod(array.shape[:-1]) == 1:
            found.append(Array(array.dtype, array.shape[-1:], array.strides[-1:]) if array.ndim else array)
        elif array.shape[:-1] == shape[:-1]:
            found.append(reshaped(array, (rows, array.shape[-1])))
        else:
            return None
    if flat is None or any(array is None for array in found):
        return None
    return flat, found[: len(operands)], found[len(operands):]  # type: ignore[return-value]
