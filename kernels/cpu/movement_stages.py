"""Movement without Python: copies, casts, parts of arrays, and arrays put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import elementwise, move_loops, rows
from tensorlite.kernels.generated.layout import Axis, letters, merge
from tensorlite.kernels.stage import Array, Plan, Stage, pack

DType = np.dtype[Any]

_NANOSECONDS_A_BYTE = 0.03
_IDENTITY = s.Function(("x",), s.Var("x"))


def words(dtype: DType) -> DType:
    """Return the unsigned integers of that many bytes: what is moved needs no other meaning."""
    return np.dtype(f"u{dtype.itemsize}")


def in_words(x: Array) -> Array:
    """Return an array as unsigned integers; elements of 16 bytes are two of them."""
    if x.dtype.itemsize <= 8:
        return Array(words(x.dtype), x.shape, x.strides)
    return Array(np.dtype(np.uint64), (*x.shape, 2), (*(2 * stride for stride in x.strides), 1))


def is_native(dtype: DType) -> bool:
    """Tell whether kernels know numbers of that dtype: all but complex ones."""
    return dtype.kind in "biufV" and dtype.itemsize <= 8


def copy_stage(x: Array, out: Array, read: int, written: int, starts: tuple[int, int] = (0, 0)) -> Stage | None:
    """Return the stage that copies ``x``, converted, to ``out``, which has its shape; None for complex numbers.

    ``read`` and ``written`` number the arrays; the first elements are at ``starts`` in them.
    """
    wide = 2 if x.dtype.itemsize > 8 else 1
    if x.dtype == out.dtype:
        x, out = in_words(x), in_words(out)
    elif not (is_native(x.dtype) and is_native(out.dtype)):
        return None
    order = sorted(range(x.ndim), key=lambda d: -abs(out.strides[d]))
    axes = [Axis(x.shape[d], (x.strides[d], out.strides[d])) for d in order]
    work = out.size * (x.dtype.itemsize + out.dtype.itemsize) * _NANOSECONDS_A_BYTE
    if starts == (0, 0):
        turned, layout = elementwise.walk(axes, 1)
        if "t" in layout.inner:
            key = f"turn {x.dtype.name} {out.dtype.name} {layout} {elementwise.DEFAULT}"
            values = elementwise.numbers(turned, layout, elementwise.DEFAULT)
            return Stage(key, lambda: elementwise.kernel(_IDENTITY, (x.dtype,), out.dtype, layout), (read,), (written,),
                         pack(*values), 3 * work)  # fmt: skip
    plan, merged = rows.walk(("x", "out"), axes)
    values = rows.numbers(plan, merged, [wide * start for start in starts])
    key = f"copy {x.dtype.name} {out.dtype.name} {plan}"
    scattered = 10 if "s" in plan.runs else 1
    return Stage(key, lambda: move_loops.copied(x.dtype, out.dtype, plan), (read,), (written,), pack(*values),
                 scattered * work)  # fmt: skip


def fill_stage(out: Array, value: Any, written: int, start: int = 0) -> Stage | None:
    """Return the stage that stores a number everywhere; None for elements of more than 8 bytes."""
    if out.dtype.itemsize > 8:
        return None
    with np.errstate(all="ignore"):
        number = np.asarray(value).astype(out.dtype).reshape(1)
    bits = int(number.view(words(out.dtype))[0])
    bits -= (bits >> 63) << 64  # as a parameter has them
    order = sorted(range(out.ndim), key=lambda d: -abs(out.strides[d]))
    axes = [Axis(out.shape[d], (out.strides[d],)) for d in order]
    plan, merged = rows.walk(("out",), axes)
    dtype = words(out.dtype)
    values = rows.numbers(plan, merged, [start])
    work = out.size * dtype.itemsize * _NANOSECONDS_A_BYTE
    return Stage(f"fill {dtype.name} {plan}", lambda: move_loops.filled(dtype, plan), (), (written,),
                 pack(*values, bits), work)  # fmt: skip


def plan_of(*stages: Stage | None, scratch: tuple[int, ...] = ()) -> Plan | None:
    """Return the plan of some stages, unless one of them has no native form."""
    return None if None in stages else Plan(tuple(stage for stage in stages if stage is not None), scratch)


def plan_copy(inputs: Sequence[Array], outputs: Sequence[Array], **_: Any) -> Plan | None:
    """The elements of the input in the order of their indices, whatever the shape of the result."""
    (x,), (out,) = inputs, outputs
    return plan_of(copy_stage(x, Array.contiguous(out.dtype, x.shape), 0, 1)) if out.size else Plan(())


def _view_plan(view: Callable[..., tuple[Array, int]]) -> Callable[..., Plan | None]:
    """Return the planning of what is a copy of a view, as ``view`` gives it with the place of its first element."""

    def plan(inputs: Sequence[Array], outputs: Sequence[Array], **attributes: Any) -> Plan | None:
        (out,) = outputs
        if not out.size:
            return Plan(())
        x, start = view(inputs[0], out, **attributes)
        return plan_of(copy_stage(x, out, 0, 1, (start, 0)))

    return plan


def _broadcast(x: Array, out: Array, *, shape: tuple[int, ...]) -> tuple[Array, int]:
    missing = len(shape) - x.ndim
    strides = [0 if n == 1 else stride for n, stride in zip(x.shape, x.strides, strict=True)]
    return Array(x.dtype, shape, (*(0,) * missing, *strides)), 0


def _permuted(x: Array, out: Array, *, axes: tuple[int, ...]) -> tuple[Array, int]:
    return Array(x.dtype, tuple(x.shape[a] for a in axes), tuple(x.strides[a] for a in axes)), 0


def _flipped(x: Array, out: Array, *, axis: tuple[int, ...]) -> tuple[Array, int]:
    start = sum((x.shape[a] - 1) * x.strides[a] for a in axis)
    return Array(x.dtype, x.shape, tuple(-t if a in axis else t for a, t in enumerate(x.strides))), start


def _corner(x: Array, out: Array, *, shape: tuple[int, ...]) -> tuple[Array, int]:
    return Array(x.dtype, out.shape, x.strides), 0


def sliced(x: Array, spec: Sequence[Any]) -> tuple[Array, int]:
    """Return the view that a spec of integers, slices, None and Ellipsis gives, and the place of its first element."""
    taken = sum(part is not None and part is not Ellipsis for part in spec)
    shape: list[int] = []
    strides: list[int] = []
    start = axis = 0
    for part in spec if Ellipsis in spec else (*spec, Ellipsis):
        if part is None:
            shape, strides = [*shape, 1], [*strides, 0]
        elif part is Ellipsis:
            rest = slice(axis, axis + x.ndim - taken)
            shape, strides, axis = [*shape, *x.shape[rest]], [*strides, *x.strides[rest]], rest.stop
        elif isinstance(part, slice):
            first, stop, step = part.indices(x.shape[axis])
            count = len(range(first, stop, step))
            shape, strides = [*shape, count], [*strides, step * x.strides[axis]]
            start, axis = start + (first * x.strides[axis] if count else 0), axis + 1
        else:
            start, axis = start + (part % max(x.shape[axis], 1)) * x.strides[axis], axis + 1
    return Array(x.dtype, tuple(shape), tuple(strides)), start


def _part(x: Array, out: Array, *, spec: Sequence[Any]) -> tuple[Array, int]:
    return sliced(x, spec)


def plan_concat(
    inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, _offsets: tuple[int, ...]
) -> Plan | None:
    """The inputs one after the other along an axis."""
    (out,) = outputs
    stages = [
        copy_stage(x, Array(out.dtype, x.shape, out.strides), k, len(inputs), (0, first * out.strides[axis]))
        for k, (x, first) in enumerate(zip(inputs, _offsets, strict=False))
        if x.size
    ]
    return plan_of(*stages)


def plan_roll(
    inputs: Sequence[Array], outputs: Sequence[Array], *, shift: tuple[int, ...], axis: tuple[int, ...]
) -> Plan | None:
    """The elements moved on, in as many parts as axes are cut; None for more than two cuts."""
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    moves = dict.fromkeys(axis, 0)
    for n, a in zip(shift, axis, strict=True):
        moves[a] = (moves[a] + n) % x.shape[a]
    cuts = [(a, n) for a, n in moves.items() if n]
    if len(cuts) > 2:
        return None
    parts = [(x.shape, 0, 0)]
    for a, n in cuts:
        parts = [part for shape, read, written in parts for part in _cut(x, out, shape, read, written, a, n)]
    return plan_of(*(
        copy_stage(Array(x.dtype, shape, x.strides), Array(out.dtype, shape, out.strides), 0, 1, (read, written))
        for shape, read, written in parts
    ))  # fmt: skip


def _cut(
    x: Array, out: Array, shape: tuple[int, ...], read: int, written: int, a: int, n: int
) -> list[tuple[tuple[int, ...], int, int]]:
    """Cut a part in what moves on by ``n`` places along an axis, and what comes in again at its front."""
    stays = (*shape[:a], shape[a] - n, *shape[a + 1 :]), read, written + n * out.strides[a]
    comes = (*shape[:a], n, *shape[a + 1 :]), read + (shape[a] - n) * x.strides[a], written
    return [stays, comes]


def plan_unslice(
    inputs: Sequence[Array], outputs: Sequence[Array], *, spec: Sequence[Any], shape: tuple[int, ...]
) -> Plan | None:
    """Zeros, but for a part."""
    (g,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    region, start = sliced(out, spec)
    return plan_of(fill_stage(out, 0, 1), *([copy_stage(g, region, 0, 1, (0, start))] if g.size else []))


def plan_within(inputs: Sequence[Array], outputs: Sequence[Array], *, shape: tuple[int, ...]) -> Plan | None:
    """Zeros, but for the first corner."""
    return plan_unslice(inputs, outputs, spec=tuple(slice(n) for n in inputs[0].shape), shape=shape)


def plan_full(
    inputs: Sequence[Array], outputs: Sequence[Array], *, fill_value: Any = 0, **_: Any
) -> Plan | None:
    """One number everywhere."""
    (out,) = outputs
    return plan_of(fill_stage(out, fill_value, len(inputs))) if out.size else Plan(())


def plan_empty(inputs: Sequence[Array], outputs: Sequence[Array], **_: Any) -> Plan | None:
    """Nothing is asked for."""
    return Plan(())


def plan_eye(
    inputs: Sequence[Array], outputs: Sequence[Array], *, shape: tuple[int, int], k: int, dtype: DType
) -> Plan | None:
    """Zeros, but for the ones of a diagonal."""
    (out,) = outputs
    if not out.size:
        return Plan(())
    first = (max(-k, 0), max(k, 0))
    count = min(shape[0] - first[0], shape[1] - first[1])
    stages = [fill_stage(out, 0, 0)]
    if count > 0:
        diagonal = Array(out.dtype, (count,), (sum(out.strides),))
        stages.append(fill_stage(diagonal, 1, 0, first[0] * out.strides[0] + first[1] * out.strides[1]))
    return plan_of(*stages)


def _plan_triangle(inputs: Sequence[Array], outputs: Sequence[Array], *, k: int, upper: bool) -> Plan | None:
    """Matrices with zeros beyond a diagonal."""
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    if x.dtype.itemsize > 8:
        return None
    axes = [Axis(n, (a, b)) for n, a, b in zip(x.shape, x.strides, out.strides, strict=True)]
    merged = (*merge(axes[:-1]), axes[-1])
    plan = rows.Rows(("x", "out"), letters(axes[-1]), len(merged))
    dtype = words(x.dtype)
    numbers = pack(*rows.numbers(plan, merged, [0, 0]), x.shape[-2], k)
    work = out.size * 2 * dtype.itemsize * _NANOSECONDS_A_BYTE
    stage = Stage(f"triangle {dtype.name} {plan} {upper}", lambda: move_loops.triangle(dtype, plan, upper), (0,), (1,),
                  numbers, work)  # fmt: skip
    return Plan((stage,))


def plan_arange(
    inputs: Sequence[Array], outputs: Sequence[Array], *, start: float, step: float, count: int, dtype: DType
) -> Plan | None:
    """Numbers ``step`` apart: integers as integers, others in float64."""
    (out,) = outputs
    if not out.size:
        return Plan(())
    whole = dtype.kind in "iu" and isinstance(start, int) and isinstance(step, int)
    if not is_native(dtype) or (whole and max(abs(start), abs(step)) >= 1 << 63):
        return None
    number = np.dtype(np.int64 if whole else np.float64)
    plan, merged = rows.walk(("out",), [Axis(count, (1,))])
    ends = (start, step) if whole else (float(start), float(step))
    stage = Stage(f"count {out.dtype.name} {number.name} {plan}", lambda: move_loops.counted(dtype, number, plan), (),
                  (0,), pack(*rows.numbers(plan, merged, [0]), *ends), count * 0.3)  # fmt: skip
    return Plan((stage,))


PLANS: dict[str, Callable[..., Plan | None]] = {
    "copy": plan_copy,
    "cast": plan_copy,
    "reshape": plan_copy,
    "broadcast_to": _view_plan(_broadcast),
    "permute_dims": _view_plan(_permuted),
    "flip": _view_plan(_flipped),
    "slice": _view_plan(_part),
    "corner_of": _view_plan(_corner),
    "concat": plan_concat,
    "roll": plan_roll,
    "unslice": plan_unslice,
    "within": plan_within,
    "full": plan_full,
    "zeros": plan_full,
    "zeros_like": plan_full,
    "empty": plan_empty,
    "eye": plan_eye,
    "arange": plan_arange,
    "tril": partial(_plan_triangle, upper=False),
    "triu": partial(_plan_triangle, upper=True),
}
