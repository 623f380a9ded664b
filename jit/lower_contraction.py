"""Lowering a fused body that begins with a matrix product: the rest becomes the epilogue of its kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.lower_loops import Planned
from tensorlite.jit.program import Place
from tensorlite.jit.space import expression
from tensorlite.jit.views import reshaped
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu.planned import conv, matmul
from tensorlite.kernels.stage import Array, Plan


def plan_contraction(body: Graph, places: Mapping[Value, Place], constants: Mapping[Value, Any],
                     outputs: Sequence[Place], is_kept: Callable[[Place], bool]) -> Planned | None:
    """The plan of a product and what follows it element by element; None where there is no kernel for it.

    ``is_kept`` says of places whether what is made of them alone costs a call nothing.
    """
    product = next(e for e in body.equations if e.op.kind == "contract")
    a, b = product.inputs
    if not (isinstance(a, Value) and isinstance(b, Value)) or a not in places or b not in places:
        return None
    epilogue, operands = _epilogue(body, product, constants)
    if any(x not in places for x in operands):
        return None
    arrays, results = [places[x].array for x in operands], [place.array for place in outputs]
    family = _FAMILIES[product.op.name]
    facts = {**product.attributes, "kept": is_kept(places[b])}
    plan = family(places[a].array, places[b].array, results, epilogue, arrays, facts)
    if plan is None:
        return None
    matched = frozenset(places[x].buffer for x in operands if places[x].array == outputs[0].array
                        and not places[x].offset) - {places[a].buffer, places[b].buffer}
    if any(stage.repeats for stage in plan.stages):
        matched = frozenset()
    return plan, [places[x] for x in (a, b, *operands)], matched


def _product(left: Array, right: Array, results: list[Array], epilogue: Sequence[s.Expr], operands: list[Array],
             attributes: Mapping[str, Any]) -> Plan | None:
    if left.ndim < 2 or right.ndim < 2:
        return None
    flat = _as_one_matrix(left, right, operands, results)
    if flat is not None:
        left, operands, results = flat
    return matmul.plan(left, right, results, epilogue, operands, kept=attributes["kept"])


def _linear(left: Array, right: Array, *others: Any) -> Plan | None:
    return _product(left, Array(right.dtype, right.shape[::-1], right.strides[::-1]), *others)


def _convolution(plan: Callable[..., Plan | None], *names: str) -> Callable[..., Plan | None]:
    def family(left: Array, right: Array, results: list[Array], epilogue: Sequence[s.Expr], operands: list[Array],
               attributes: Mapping[str, Any]) -> Plan | None:
        geometry = {name: attributes[name] for name in ("stride", "padding", "dilation", "groups", *names)}
        if "tile" in attributes:
            geometry["tile"] = attributes["tile"]
        return plan(left, right, results, **geometry, epilogue=epilogue, operands=operands)
    return family


_FAMILIES: dict[str, Callable[..., Plan | None]] = {
    "matmul": _product,
    "linear": _linear,
    "conv2d": _convolution(conv.plan_conv2d, "kept"),
    "conv2d_data": _convolution(conv.plan_conv2d_data),
    "conv2d_weight": _convolution(conv.plan_conv2d_weight),
}


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
    found: list[Array | None] = []
    for number, array in enumerate((*operands, *results)):
        if number < len(operands) and prod(array.shape[:-1]) == 1:
            found.append(Array(array.dtype, array.shape[-1:], array.strides[-1:]) if array.ndim else array)
        elif array.shape[:-1] == shape[:-1]:
            found.append(reshaped(array, (rows, array.shape[-1])))
        else:
            return None
    if flat is None or any(array is None for array in found):
        return None
    return flat, found[: len(operands)], found[len(operands):]  # type: ignore[return-value]
