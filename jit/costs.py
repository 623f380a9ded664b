"""Costs: the floating-point operations of equations, and the bytes that steps move.

Contractions count exactly, a multiplication and an addition for each pair; elementwise ops the operations of their
expression, a function such as exp as one; reductions an operation for each element; moving and choosing nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from math import prod

from tensorlite.jit.control import CONTROL_FLOW
from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.program import UNTYPED, Native, Place, Step
from tensorlite.kernels import scalar as s
from tensorlite.op import Elementwise

_FREE = frozenset({"cast", "bitcast", "positive"})


def flops(equation: Equation) -> int:
    """Floating-point operations of an equation.

    >>> import tensorlite as tl
    >>> graph = tl.trace(lambda x, w: tl.exp(x @ w) + 1, tl.ones((8, 16)), tl.ones((16, 4)))
    >>> [flops(equation) for equation in graph.equations]
    [1024, 32, 32]
    """
    bodies = equation.graphs
    if equation.op.name in ("fused", "scan"):
        return graph_flops(bodies["body"]) * equation.attributes.get("length", 1)
    if bodies:  # how often, or which of them, is only known when it runs
        return max(map(graph_flops, bodies.values()))
    if isinstance(equation.op, Elementwise):
        return _operations(equation.op) * equation.outputs[0].size
    rule = _RULES.get(equation.op.name)
    if rule is not None:
        return rule(equation, [x for x in equation.inputs if isinstance(x, Value)])
    return next(equation.values).size if equation.op.kind == "reduce" else 0


def graph_flops(graph: Graph) -> int:
    """Floating-point operations of all of a graph's equations."""
    return sum(map(flops, graph.equations))


@cache
def _operations(op: Elementwise) -> int:
    """The operations of an op's expression, shared parts once."""
    return sum(isinstance(node, s.Call) and node.atom.name not in _FREE for node in s.postorder(op.function.body))


def _windows(equation: Equation, x: Sequence[Value]) -> int:
    """Elements of all windows."""
    return equation.outputs[0].size * prod(equation.attributes["kernel"])


def _pairs(equation: Equation, q: Value, k: Value) -> int:
    """The scores of an attention: where it is causal, those of keys that are not later than the query."""
    queries, keys = q.shape[-2], k.shape[-2]
    later = max(0, keys - 1) * keys // 2 - max(0, keys - queries - 1) * max(0, keys - queries) // 2
    pairs = queries * keys - (later if equation.attributes["causal"] else 0)
    return prod(equation.outputs[0].shape[:-2]) * pairs


_RULES: Mapping[str, Callable[[Equation, Sequence[Value]], int]] = {
    "matmul": lambda e, x: 2 * e.outputs[0].size * x[0].shape[-1],
    "linear": lambda e, x: (2 * x[0].shape[-1] + (len(x) > 2)) * e.outputs[0].size,
    "conv2d": lambda e, x: (2 * prod(x[1].shape[1:]) + (len(x) > 2)) * e.outputs[0].size,
    "conv2d_data": lambda e, x: 2 * prod(x[1].shape[1:]) * x[0].size,
    "conv2d_weight": lambda e, x: 2 * prod(e.outputs[0].shape[1:]) * x[1].size,
    "attention": lambda e, x: _pairs(e, x[0], x[1]) * 2 * (x[0].shape[-1] + x[2].shape[-1]),
    "attention_backward": lambda e, x: _pairs(e, x[1], x[2]) * 2 * (3 * x[1].shape[-1] + 2 * x[3].shape[-1]),
    "attention_dropout": lambda e, x: _pairs(e, x[0], x[1]) * 2 * (x[0].shape[-1] + x[2].shape[-1]),
    "attention_dropout_backward": lambda e, x: _pairs(e, x[1], x[2]) * 2 * (3 * x[1].shape[-1] + 2 * x[3].shape[-1]),
    "recurrent": lambda e, x: 2 * prod(e.outputs[0].shape[:2]) * x[1].size,
    "recurrent_backward": lambda e, x: 2 * prod(x[0].shape[:2]) * x[3].size,
    "max_pool2d": _windows,
    "avg_pool2d": _windows,
    "linear_scan": lambda e, x: 2 * e.outputs[0].size,
    "cumulative_sum": lambda e, x: e.outputs[0].size,
    "cumulative_prod": lambda e, x: e.outputs[0].size,
    "add_rows": lambda e, x: x[0].size,
    "put_add": lambda e, x: x[0].size,
    "scatter_add": lambda e, x: x[-1].size,
}


def steps_flops(steps: Sequence[Step]) -> list[int]:
    """Operations by step: the stages of an equation that are of the kind of its largest share them by their work."""
    stages: dict[int, list[int]] = {}
    for number, step in enumerate(steps):
        stages.setdefault(id(step.equation), []).append(number)
    found = [0] * len(steps)
    for numbers in stages.values():
        heaviest = max(numbers, key=lambda k: _work(steps[k]))
        alike = [k for k in numbers if form(steps[k]) == form(steps[heaviest])]
        total = sum(_work(steps[k]) for k in alike)
        whole = 0 if _only_copies(steps[heaviest]) else flops(steps[heaviest].equation)
        for k in alike:
            found[k] = round(whole * (_work(steps[k]) / total if total else 1 / len(alike)))
    return found


def _only_copies(step: Step) -> bool:
    """Whether a kernel belongs to a loop or a branch itself: those of the body have equations of their own."""
    return isinstance(step, Native) and step.equation.op.name in CONTROL_FLOW


def _work(step: Step) -> float:
    return step.stage.work if isinstance(step, Native) else 0.0


def form(step: Step) -> str:
    """The kind of a step's loops: elementwise, fold, matmul, ...; ``Python`` for an edge."""
    return step.stage.key.partition(" ")[0] if isinstance(step, Native) else "Python"


def results(step: Step) -> tuple[Place, ...]:
    """What a step writes that has a dtype; or else the memory that it leaves for the next one."""
    return tuple(place for place in step.writes if place.array.dtype != UNTYPED) or step.writes


def bytes_moved(step: Step) -> int:
    """Bytes that a step reads and writes, each element once; of what it looks up at places, as much as it takes."""
    written = _bytes(results(step))
    if step.equation.op.kind != "index":
        return written + _bytes(step.reads)
    return written + sum(min(_bytes([place]), max(written, 1)) for place in _different(step.reads))


def _different(places: Iterable[Place]) -> list[Place]:
    return list(dict.fromkeys(places))


def _bytes(places: Iterable[Place]) -> int:
    total = 0
    for place in _different(places):
        array = place.array
        if array.size:
            seen = prod(n for n, stride in zip(array.shape, array.strides, strict=True) if stride)
            total += seen * array.dtype.itemsize
    return total
