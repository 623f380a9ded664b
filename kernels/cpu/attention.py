"""Plans of attention, forward and backward, of stacks of matrices of any strides, and which of them have one.

The bits of a result depend on the operands' shapes alone: neither on the threads nor on how the work is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels.attention import WIDEST, dropped_parts, has_loops, share
from tensorlite.kernels.cpu import prepared, team
from tensorlite.kernels.cpu.movement_stages import copy_stage
from tensorlite.kernels.cpu.named import broadcast
from tensorlite.kernels.cpu.prepared import Shape
from tensorlite.kernels.generated import attention_backward_loops as backward_loops
from tensorlite.kernels.generated import attention_kept_loops as kept_loops
from tensorlite.kernels.generated import attention_loops as forward_loops
from tensorlite.kernels.generated import gemm_loops
from tensorlite.kernels.generated.attention_parts import Form
from tensorlite.kernels.stage import Array, Plan, Stage, pack

DType = np.dtype[Any]

_FLOAT32 = np.dtype(np.float32)
_BLOCK, _LONGEST = 96, 132  # keys of a block; if there are no more than the second, all of them are one (measured)
_NARROWER = ((256, 4), (512, 2), (WIDEST, 1))  # up to so many numbers a token, panels have so many vectors
_MACS_PER_NANOSECOND = 100.0
_WEIGHING, _DROPPING = 32, 24  # multiply-adds that take the time of a weight, and of dropping it or not
_KEPT = 0.3  # nanoseconds to say whether a weight is kept
_APART = 1.4  # times as long, if dq is found apart from dk and dv: 7 products instead of 5
_WORTH = 15_000.0  # nanoseconds: with less work, NumPy has done it before threads are awake (as for products)


def _wide(dtype: DType) -> DType:
    """Return the dtype that is computed in: numbers of 16 bits are converted beforehand."""
    return _FLOAT32 if dtype.itemsize == 2 else dtype


@dataclass(frozen=True, slots=True)
class _Operand:
    """An array that is read: its number in the plan, and its strides along the stack, and along rows and in them."""

    array: Array
    number: int
    stack: tuple[int, ...] = ()
    inner: tuple[int, ...] = ()

    def spread(self, shape: tuple[int, ...], inner: int) -> _Operand:
        """Return the operand broadcast to a shape, of which the last ``inner`` dimensions are no stack."""
        strides = broadcast(self.array, shape)
        split = len(shape) - inner
        return replace(self, stack=strides[:split], inner=strides[split:])


@dataclass(frozen=True, slots=True)
class _Call:
    """The operands of a plan by name, the stack that they are broadcast to, and what its kernel is specialised to."""

    form: Form
    stack: tuple[int, ...]
    extents: tuple[int, int, int, int]
    operands: dict[str, _Operand]

    @property
    def reads(self) -> tuple[int, ...]:
        """The numbers of the arrays that the kernel reads."""
        return tuple(operand.number for operand in self.operands.values())

    def strides(self) -> list[int]:
        """Return the strides along rows, those of a mask along its keys too, and along the stack."""
        rows = [stride for name, x in self.operands.items() for stride in x.inner[: 1 + (name == "mask")]]
        return [*rows, *self.stack[1:], *(stride for x in self.operands.values() for stride in x.stack)]

    def work(self, multiply_adds: int, causal: bool) -> float:
        """Return the nanoseconds of so many multiply-adds for each score."""
        queries, keys, *_ = self.extents
        scores = prod(self.stack) * queries * keys / (1 + causal)
        beside = _WEIGHING + _DROPPING * self.form.drops
        return 200.0 + scores * (multiply_adds + beside) / _MACS_PER_NANOSECOND


class _Copies:
    """Copies of arrays in scratch memory, as kernels take them: rows along memory, of numbers that are computed in."""

    def __init__(self, arrays: int) -> None:
        self.first, self.scratch = arrays, list[int]()
        self.before, self.after = list[Stage](), list[Stage]()

    def read(self, x: Array, number: int, has_rows: bool) -> tuple[Array, int]:
        """Return an array that is read, and its number, or those of its copy."""
        wide = _wide(x.dtype)
        if not x.size or (wide == x.dtype and not (has_rows and x.shape[-1] > 1 and x.strides[-1] != 1)):
            return x, number
        copy, place = self._room(x, wide)
        stage = copy_stage(x, copy, number, place)
        assert stage is not None
        self.before.append(stage)
        return copy, place

    def write(self, x: Array, number: int) -> int:
        """Return the number of an array that is written, or that of what is copied to it afterwards."""
        if not x.size or _wide(x.dtype) == x.dtype:
            return number
        copy, place = self._room(x, _wide(x.dtype))
        stage = copy_stage(copy, x, place, number)
        assert stage is not None
        self.after.append(stage)
        return place

    def _room(self, x: Array, dtype: DType) -> tuple[Array, int]:
        self.scratch.append(x.size * dtype.itemsize)
        return Array.contiguous(dtype, x.shape), self.first + len(self.scratch) - 1

    def around(self, *stages: Stage) -> Plan:
        """Return the plan of stages that use the copies."""
        return Plan((*self.before, *stages, *self.after), tuple(self.scratch))


def _call(names: str, inputs: Sequence[Array], stack: tuple[int, ...], copies: _Copies) -> _Call:
    """Describe a call whose ``inputs`` have these names, and a mask if there is one more."""
    named = dict(zip((*names.split(), "mask"), inputs, strict=False))
    queries, e, keys, ev = named["q"].shape[-2], named["q"].shape[-1], named["v"].shape[-2], named["v"].shape[-1]
    inner = {"k": (keys, e), "v": (keys, ev), "q": (queries, e), "g": (queries, ev), "mask": (queries, keys),
             "stream": (4,)}  # fmt: skip
    operands = {}
    for number, (name, array) in enumerate(named.items()):
        own = inner.get(name, (queries,))
        operand = _Operand(*copies.read(array, number, name in ("g", "q", "k", "v")))
        operands[name] = operand.spread((*stack, *own), len(own))
    stack, operands = _merged(stack, operands)
    form = _form(_wide(named["q"].dtype), e, ev, len(stack), operands.get("mask"))
    return _Call(replace(form, drops="stream" in named), stack, (queries, keys, e, ev), operands)


def _merged(stack: tuple[int, ...], operands: dict[str, _Operand]) -> tuple[tuple[int, ...], dict[str, _Operand]]:
    """Drop dimensions of one matrix, and merge those that every operand runs through as through one; keep one."""
    dimensions: list[tuple[int, list[int]]] = []
    for d, extent in enumerate(stack):
        strides = [x.stack[d] for x in operands.values()]
        if extent == 1:
            continue
        if dimensions and dimensions[-1][1] == [extent * stride for stride in strides]:
            dimensions[-1] = (dimensions[-1][0] * extent, strides)
        else:
            dimensions.append((extent, strides))
    dimensions = dimensions or [(1, [0] * len(operands))]
    merged = {name: replace(x, stack=tuple(strides[k] for _, strides in dimensions))
              for k, (name, x) in enumerate(operands.items())}  # fmt: skip
    return tuple(extent for extent, _ in dimensions), merged


def _form(dtype: DType, features: int, values: int, stack: int, mask: _Operand | None) -> Form:
    """Return what suits the machine: capacities are powers of 2, so that kernels are few."""
    schedule = gemm_loops.schedule(dtype)
    room, room_of_values = (max(schedule.square, 1 << (n - 1).bit_length()) for n in (features, values))
    vectors = next(vectors for most, vectors in _NARROWER if max(room, room_of_values) <= most)
    lanes = min(schedule.lanes, vectors * schedule.square)
    rows = schedule.rows if lanes == schedule.lanes else 8
    turned = 4 if lanes == 4 * schedule.square else rows  # 4 divides most head sizes (measured beside 5 and 6)
    form = Form(dtype.name, lanes, schedule.square, rows, turned, _LONGEST, room, room_of_values, stack)
    if mask is None:
        return form
    row, step = mask.inner
    return replace(form, mask=mask.array.dtype.name, lies="same" if row == 0 else "along" if step == 1 else "strided")


def _thickness(keys: int) -> int:
    return _LONGEST if keys <= _LONGEST else _BLOCK


def _is_taken(q: Array, v: Array, inputs: Sequence[Array], outputs: Sequence[Array]) -> bool:
    plain = all(x.is_contiguous or not x.size for x in outputs)
    alike = all(x.dtype in (q.dtype, _wide(q.dtype), np.bool_) for x in (*inputs, *outputs))
    if q.dtype.itemsize == 2 and not all(x.size for x in inputs):
        return False  # there is nothing to convert
    return plain and alike and has_loops(q.dtype, q.shape[-2], q.shape[-1], v.shape[-1])


def _without_stream(inputs: Sequence[Array], place: int, p: float | None) -> Sequence[Array]:
    return inputs if p is None else [*inputs[:place], *inputs[place + 1 :]]


def _settings(p: float | None, causal: bool) -> list[int]:
    return [int(causal)] if p is None else [int(causal), dropped_parts(p)]


def _factors(p: float | None, scale: float) -> list[float]:
    return [float(scale)] if p is None else [float(scale), share(p)]


def plan_attention(
    inputs: Sequence[Array], outputs: Sequence[Array], *, causal: bool, scale: float, p: float | None = None
) -> Plan | None:
    """Plan the op ``attention``: of ``q``, ``k``, ``v`` and a mask, the result and the logarithms of sums.

    Or ``attention_dropout``, which drops weights with a probability ``p``, and has a stream before the mask.
    """
    if not _is_taken(inputs[0], inputs[2], _without_stream(inputs, 3, p), outputs):
        return None
    copies = _Copies(len(inputs) + len(outputs))
    call = _call("q k v" if p is None else "q k v stream", inputs, outputs[0].shape[:-2], copies)
    panels = -(-call.extents[0] // call.form.lanes)
    tasks = prod(call.stack) * panels
    if not tasks:
        return Plan(())
    numbers = [tasks, panels, *call.extents, _thickness(call.extents[1]), *_settings(p, causal), *call.strides()]
    writes = tuple(copies.write(x, number) for number, x in enumerate(outputs, len(inputs)))
    stage = Stage(f"attention {call.form}", lambda: forward_loops.kernel(call.form), call.reads, writes,
                  pack(*numbers, *_factors(p, scale)), call.work(sum(call.extents[2:]), causal))  # fmt: skip
    return copies.around(stage)


def plan_attention_backward(
    inputs: Sequence[Array], outputs: Sequence[Array], *, causal: bool, scale: float, p: float | None = None
) -> Plan | None:
    """Plan the op ``attention_backward``: of ``g``, ``q``, ``k``, ``v``, ``lse``, ``delta`` and a mask, cotangents.

    Or ``attention_dropout_backward``, which has a probability and a stream too.
    """
    if not _is_taken(inputs[1], inputs[3], _without_stream(inputs, 6, p), outputs):
        return None
    copies = _Copies(len(inputs) + len(outputs))
    names = "g q k v lse delta" if p is None else "g q k v lse delta stream"
    call = _call(names, inputs, outputs[0].shape[:-2], copies)
    queries, keys, e, ev = call.extents
    matrices, thickness = prod(call.stack), _thickness(keys)
    if not matrices:
        return Plan(())
    writes = tuple(copies.write(x, number) for number, x in enumerate(outputs, len(inputs)))
    stages = []
    for cut in _cuts(matrices, -(-queries // call.form.lanes), keys, thickness):
        numbers = [matrices * cut[0] * cut[2], *cut, *call.extents, thickness, *_settings(p, causal), *call.strides()]
        packed, work = pack(*numbers, *_factors(p, scale)), call.work(3 * e + 2 * ev, causal)
        stages.append(Stage(f"attention_backward {call.form}", lambda: backward_loops.kernel(call.form), call.reads,
                            writes, packed, work))  # fmt: skip
    return copies.around(*stages)


def _cuts(matrices: int, panels: int, keys: int, thickness: int) -> list[tuple[int, ...]]:
    """Return how stages cut each matrix, as the numbers of `backward_loops.parameters` from ``query_parts`` on say.

    A task has a whole matrix, if that gives all threads enough to do; else there is a stage whose tasks have a panel
    of queries each, and one of blocks of keys.
    """
    threads = team.get_num_threads()
    panels, keys = max(panels, 1), max(keys, 1)
    if -(-matrices // threads) * threads <= _APART * matrices:
        return [(1, panels, 1, keys, 1, 1)]
    return [(panels, 1, 1, keys, 1, 0), (1, panels, -(-keys // thickness), thickness, 0, 1)]


def plan_kept(inputs: Sequence[Array], outputs: Sequence[Array], *, queries: int, keys: int, p: float) -> Plan | None:
    """Plan the op ``attention_kept``: of a stream, which weights are kept."""
    (stream,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    if not (stream.is_contiguous and out.is_contiguous):
        return None
    numbers = pack(out.size // keys, queries, keys, dropped_parts(p))
    return Plan((Stage("attention_kept", kept_loops.kernel, (0,), (1,), numbers, out.size * _KEPT),))


PLANS: dict[str, Callable[..., Plan | None]] = {
    "attention": plan_attention,
    "attention_backward": plan_attention_backward,
    "attention_dropout": plan_attention,
    "attention_dropout_backward": plan_attention_backward,
    "attention_kept": plan_kept,
}
"""The planning functions of this family, by op."""


# Under the names and signatures of ops


def _stack_of(arrays: Sequence[Any], inner: Sequence[int]) -> Shape:
    return np.broadcast_shapes(*(x.shape[: x.ndim - n] for x, n in zip(arrays, inner, strict=True)))


def _fits(q: Any, k: Any, v: Any, mask: Sequence[Any]) -> bool:
    """Tell whether matrices go together; a mask may have one row or column for all."""
    scores = _rows(q), _rows(k)
    spread = all(x.ndim > 1 and n in (1, m) for x in mask for n, m in zip(x.shape[-2:], scores, strict=True))
    alike = q.dtype == k.dtype == v.dtype and all(x.dtype in (q.dtype, np.bool_) for x in mask)
    return alike and spread and q.shape[-1] == k.shape[-1] and _rows(k) == _rows(v)


def _rows(x: Any) -> int:
    """Return the number of rows of matrices."""
    return int(x.shape[-2])


def _of_attention(q: Any, k: Any, v: Any, *mask: Any, **_: Any) -> list[Array] | None:
    if not _fits(q, k, v, mask):
        return None
    rows = (*_stack_of((q, k, v, *mask), (2,) * (3 + len(mask))), _rows(q))
    return [Array.contiguous(q.dtype, (*rows, v.shape[-1])), Array.contiguous(_wide(q.dtype), rows)]


def _of_backward(g: Any, q: Any, k: Any, v: Any, lse: Any, delta: Any, *mask: Any, **_: Any) -> list[Array] | None:
    rows = {_rows(q), *lse.shape[-1:], *delta.shape[-1:]}
    if not _fits(q, k, v, mask) or g.shape[-2:] != (_rows(q), v.shape[-1]) or len(rows) > 1 or g.dtype != q.dtype:
        return None
    if not lse.dtype == delta.dtype == _wide(q.dtype):
        return None
    stack = _stack_of((g, q, k, v, lse, delta, *mask), (2, 2, 2, 2, 1, 1, *(2,) * len(mask)))
    return [Array.contiguous(x.dtype, (*stack, *x.shape[-2:])) for x in (q, k, v)]


def _is_stream(x: Any) -> bool:
    return bool(x.dtype == np.uint32 and x.ndim and x.shape[-1] == 4)


def _of_dropout(q: Any, k: Any, v: Any, stream: Any, *mask: Any, **_: Any) -> list[Array] | None:
    stack = _stack_of((q, k, v, stream, *mask), (2, 2, 2, 1, *(2,) * len(mask)))
    found = _of_attention(q, k, v, *mask) if _is_stream(stream) else None
    return None if found is None or found[1].shape[:-1] != stack else found


def _of_dropout_backward(
    g: Any, q: Any, k: Any, v: Any, lse: Any, delta: Any, stream: Any, *mask: Any, **_: Any
) -> list[Array] | None:
    stack = _stack_of((g, stream), (2, 1))
    found = _of_backward(g, q, k, v, lse, delta, *mask) if _is_stream(stream) else None
    return None if found is None or found[0].shape[:-2] != stack else found


def _of_kept(stream: Any, *, queries: int, keys: int, p: float) -> list[Array] | None:
    return [Array.contiguous(np.dtype(bool), (*stream.shape[:-1], queries, keys))] if _is_stream(stream) else None


def _worth(dtype: DType) -> float:
    """Return the work from which loops are worth a call."""
    return _WORTH


KERNELS: dict[str, Callable[..., Any]] = {
    "attention": prepared.kernel(plan_attention, _of_attention, _worth),
    "attention_backward": prepared.kernel(plan_attention_backward, _of_backward, _worth),
    "attention_dropout": prepared.kernel(plan_attention, _of_dropout, _worth),
    "attention_dropout_backward": prepared.kernel(plan_attention_backward, _of_dropout_backward, _worth),
    "attention_kept": prepared.kernel(plan_kept, _of_kept, lambda dtype: 0.0),  # NumPy takes ten times as long
}
"""The kernels of this family, by op."""
