"""Small random programs over the ops, each with two meanings: one in NumPy, one in tensorlite."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from laws.drawing import DEFAULT_DOMAIN, ELEMENTWISE
from laws.oracles import oracle

import tensorlite as tl
from tensorlite.dispatch import apply
from tensorlite.kernels.device import NATIVE_SIZE
from tensorlite.op import OPS

Draw = Callable[[Any], Any]
Shape = tuple[int, ...]

SHAPES: tuple[Shape, ...] = ((), (1,), (3,), (2, 3), (3, 1), (1, 3), (2, 1, 3), (3, 3), (0, 3))

#: Values that native kernels take, and those that they meet.
_SIDE = math.isqrt(NATIVE_SIZE) + 1
LARGE_SHAPES: tuple[Shape, ...] = ((), (NATIVE_SIZE + 5,), (_SIDE, _SIDE + 1), (_SIDE, 1), (1, _SIDE + 1), (_SIDE + 1,),
                                   (_SIDE + 1, _SIDE))

#: Exact zeros and ties land off the kinks, which are at integers and halves.
_OFF = 0.137


@dataclass(frozen=True)
class Instruction:
    """What a step may be: how to choose its attributes for operands' shapes (None: no fit), and its meanings."""

    arity: int
    choose: Callable[..., dict[str, Any] | None]
    numpy: Callable[..., np.ndarray]
    tensor: Callable[..., tl.Tensor]


@dataclass(frozen=True)
class Step:
    """An instruction by name, the places of its operands among the values so far, and its attributes."""

    name: str
    operands: tuple[int, ...]
    attributes: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Program:
    """Inputs by shape and seed, and steps; its result is the last value."""

    shapes: tuple[Shape, ...]
    seed: int
    steps: tuple[Step, ...]

    def inputs(self) -> list[np.ndarray]:
        random = np.random.default_rng(self.seed)
        return [np.asarray(random.uniform(-1.5, 1.5, shape)) for shape in self.shapes]

    def numpy(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Every value, computed by NumPy."""
        values = list(inputs)
        with np.errstate(all="ignore"):
            for step in self.steps:
                operands = (values[i] for i in step.operands)
                values.append(np.asarray(INSTRUCTIONS[step.name].numpy(*operands, **step.attributes)))
        return values

    def tensor(self, inputs: Sequence[tl.Tensor], spelled: Callable[..., tl.Tensor] | None = None) -> list[tl.Tensor]:
        """Every value, computed by tensorlite; ``spelled(step, *operands)`` may compute a step in another way."""
        values = list(inputs)
        for step in self.steps:
            operands = [values[i] for i in step.operands]
            made = spelled and spelled(step, *operands)
            values.append(INSTRUCTIONS[step.name].tensor(*operands, **step.attributes) if made is None else made)
        return values


def into(xp: Any, x: Any, domain: tuple[float, float]) -> Any:
    """Moves any number smoothly into a domain."""
    low, high = domain
    return (low + high) / 2 + (high - low) * 0.45 * xp.tanh(x + _OFF)


def _elementwise(op: Any) -> Instruction:
    domains = [op.domain.get(name, DEFAULT_DOMAIN) for name in op.inputs]
    function = oracle(op)

    def fits(draw: Draw, *shapes: Shape) -> dict[str, Any] | None:
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            return None
        return {}

    def in_numpy(*operands: np.ndarray) -> np.ndarray:
        return function(*(into(np, x, d) for x, d in zip(operands, domains)))

    def in_tensors(*operands: tl.Tensor) -> tl.Tensor:
        return apply(op, *(into(tl, x, d) for x, d in zip(operands, domains)))
    return Instruction(len(op.inputs), fits, in_numpy, in_tensors)


def _axis(draw: Draw, shape: Shape) -> int | None:
    return draw(st.integers(-len(shape), len(shape) - 1)) if shape else None


def _needs_axis(draw: Draw, shape: Shape) -> dict[str, Any] | None:
    return {"axis": _axis(draw, shape)} if shape else None


def _reduced(draw: Draw, shape: Shape) -> dict[str, Any] | None:
    if 0 in shape:
        return None
    options: list[Any] = [None, *range(-len(shape), len(shape)), *([(0, 1), (-1, 0)] if len(shape) > 1 else [])]
    return {"axis": draw(st.sampled_from(options)), "keepdims": draw(st.booleans())}


def _reduction(numpy: Callable[..., Any], tensor: Callable[..., Any]) -> Instruction:
    return Instruction(1, _reduced, numpy, tensor)


def _new_shape(draw: Draw, shape: Shape) -> dict[str, Any] | None:
    size = int(np.prod(shape))
    options = [s for s in ((size,), (1, size), (size, 1), (-1,), (3, -1), (-1, 3), (1, 1, size))
               if -1 not in s or (size and size % abs(int(np.prod(s))) == 0)]
    return {"shape": draw(st.sampled_from(options))}


def _larger(draw: Draw, shape: Shape) -> dict[str, Any] | None:
    stretched = tuple(2 if n == 1 else n for n in shape)
    return {"shape": draw(st.sampled_from([shape, stretched, (2, *shape), (1, *stretched)]))}


def _permutation(draw: Draw, shape: Shape) -> dict[str, Any]:
    return {"axes": tuple(draw(st.permutations(range(len(shape)))))}


def _index(draw: Draw, shape: Shape) -> dict[str, Any] | None:
    if not shape or 0 in shape:
        return None
    n = shape[0]
    last = draw(st.integers(-n, n - 1))
    options = [last, slice(None), slice(None, None, -1), slice(0, 1), (..., slice(None, None, 2)),
               (None, slice(1, None)), (..., None), (slice(None), *(0,) * (len(shape) - 1)), [last, 0], [[0], [last]],
               (..., [0, -1])]
    return {"where": draw(st.sampled_from(options))}


def _assigned(draw: Draw, shape: Shape, value: Shape) -> dict[str, Any] | None:
    chosen = _index(draw, shape)
    if chosen is None:
        return None
    region = np.empty(shape)[chosen["where"]].shape
    try:
        return chosen if np.broadcast_shapes(region, value) == region and len(value) <= len(region) else None
    except ValueError:
        return None


def _assign(x: np.ndarray, value: np.ndarray, *, where: Any) -> np.ndarray:
    changed = x.copy()
    changed[where] = value
    return changed


def _tensor_assign(x: tl.Tensor, value: tl.Tensor, *, where: Any) -> tl.Tensor:
    changed = x.clone()
    changed[where] = value
    return changed


def _product(draw: Draw, left: Shape, right: Shape) -> dict[str, Any] | None:
    try:
        np.matmul(np.empty(left), np.empty(right))
    except ValueError:
        return None
    return {}


def _joined(draw: Draw, first: Shape, second: Shape) -> dict[str, Any] | None:
    if len(first) != len(second) or not first:
        return None
    axes = [a for a in range(len(first)) if all(n == m for i, (n, m) in enumerate(zip(first, second)) if i != a)]
    return {"axis": draw(st.sampled_from(axes))} if axes else None


def _stacked(draw: Draw, first: Shape, second: Shape) -> dict[str, Any] | None:
    return {"axis": draw(st.integers(-len(first) - 1, len(first)))} if first == second else None


def _chosen(xp: Any, x: Any, y: Any) -> Any:
    return xp.where(x > y + _OFF, x, y)


def _broadcasts(draw: Draw, first: Shape, second: Shape) -> dict[str, Any] | None:
    try:
        np.broadcast_shapes(first, second)
    except ValueError:
        return None
    return {}


def _matrices(draw: Draw, shape: Shape) -> dict[str, Any] | None:
    return {"k": draw(st.integers(-1, 1))} if len(shape) > 1 else None


def _logsumexp(x: np.ndarray, *, axis: Any, keepdims: bool) -> np.ndarray:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


INSTRUCTIONS: dict[str, Instruction] = {
    **{op.name: _elementwise(op) for op in ELEMENTWISE
       if op.differentiable and not op.conditions and tl.float64 in op.dtypes},
    "sum": _reduction(np.sum, tl.sum), "mean": _reduction(np.mean, tl.mean), "max": _reduction(np.max, tl.max),
    "min": _reduction(np.min, tl.min), "prod": _reduction(np.prod, tl.prod), "var": _reduction(np.var, tl.var),
    "logsumexp": _reduction(_logsumexp, tl.logsumexp),
    "cumulative_sum": Instruction(1, _needs_axis, np.cumulative_sum, tl.cumulative_sum),
    "cumulative_prod": Instruction(1, _needs_axis, np.cumulative_prod, tl.cumulative_prod),
    "flip": Instruction(1, _needs_axis, np.flip, tl.flip),
    "sort": Instruction(1, _needs_axis, np.sort, tl.sort),
    "roll": Instruction(1, _needs_axis, lambda x, axis: np.roll(x, 2, axis), lambda x, axis: tl.roll(x, 2, axis=axis)),
    "repeat": Instruction(1, _needs_axis, lambda x, axis: np.repeat(x, 2, axis),
                          lambda x, axis: tl.repeat(x, 2, axis=axis)),
    "expand_dims": Instruction(1, _needs_axis, np.expand_dims, lambda x, axis: tl.expand_dims(x, axis=axis)),
    "diff": Instruction(1, _needs_axis, lambda x, axis: np.diff(x, axis=axis), lambda x, axis: tl.diff(x, axis=axis)),
    "reshape": Instruction(1, _new_shape, np.reshape, tl.reshape),
    "broadcast_to": Instruction(1, _larger, np.broadcast_to, tl.broadcast_to),
    "permute_dims": Instruction(1, _permutation, np.permute_dims, tl.permute_dims),
    "tril": Instruction(1, _matrices, np.tril, tl.tril), "triu": Instruction(1, _matrices, np.triu, tl.triu),
    "index": Instruction(1, _index, lambda x, where: x[where], lambda x, where: x[where]),
    "assign": Instruction(2, _assigned, _assign, _tensor_assign),
    "matmul": Instruction(2, _product, np.matmul, tl.matmul),
    "concat": Instruction(2, _joined, lambda x, y, axis: np.concat([x, y], axis=axis),
                          lambda x, y, axis: tl.concat([x, y], axis=axis)),
    "stack": Instruction(2, _stacked, lambda x, y, axis: np.stack([x, y], axis=axis),
                         lambda x, y, axis: tl.stack([x, y], axis=axis)),
    "chosen": Instruction(2, _broadcasts, lambda x, y: _chosen(np, x, y), lambda x, y: _chosen(tl, x, y)),
    "clip": Instruction(1, lambda draw, shape: {}, lambda x: np.clip(x, -0.7, 0.9), lambda x: tl.clip(x, -0.7, 0.9)),
}

#: Steps that most programs should have, beside single draws from all of them.
_STRUCTURED = [name for name in INSTRUCTIONS if name not in OPS or OPS[name].kind != "elementwise"]


@st.composite
def programs(draw: Draw, among: Sequence[Shape] = SHAPES) -> Program:
    """Programs of up to eight steps whose values fit, on inputs of some shapes."""
    shapes = draw(st.lists(st.sampled_from(among), min_size=1, max_size=3))
    program = Program(tuple(shapes), draw(st.integers(0, 99)), ())
    for _ in range(draw(st.integers(1, 8))):
        known = [value.shape for value in program.numpy(program.inputs())]
        name = draw(st.sampled_from(_STRUCTURED) if draw(st.booleans()) else st.sampled_from(list(INSTRUCTIONS)))
        instruction = INSTRUCTIONS[name]
        operands = tuple(draw(st.integers(0, len(known) - 1)) for _ in range(instruction.arity))
        attributes = instruction.choose(draw, *(known[i] for i in operands))
        if attributes is not None:
            steps = (*program.steps, Step(name, operands, attributes))
            program = Program(program.shapes, program.seed, steps)
    return program
