"""A recurrent layer over time, of inputs that its weights have multiplied: an op of its own, and the walk back another.

Forward keeps what the walk back multiplies by (`kernels.recurrent`), so that the walk is linear in the cotangents, and
the weight's gradient is one product over all steps after it. Derivatives of the second order are those of `scan`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tensorlite.batch import Attributes, Batch, looped, merged, move_axis, parted, repeat
from tensorlite.declare import primitive
from tensorlite.errors import DTypeError, ShapeError
from tensorlite.kernels.recurrent import MODES, Mode
from tensorlite.op import Integers, Sample
from tensorlite.ops.control_flow.control import scan
from tensorlite.ops.elementwise import less, less_equal, logical_not, relu, sigmoid, tanh, where
from tensorlite.ops.filled import zeros
from tensorlite.ops.join import _parts, concat
from tensorlite.ops.joint import jointly
from tensorlite.ops.linear_algebra.linalg import _matmul, swap_last
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import _sum, accumulator
from tensorlite.ops.shape import _reshape, astype
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, float32, float64, int64
from tensorlite.transforms import vjp

__all__ = ["recurrence", "recurrence_takes"]

Tensors = tuple[Tensor, ...]

# --- types --------------------------------------------------------------------------------------------------------


def _check(arrays: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuses what does not go together: arrays must have these shapes, and the dtype of the first, but for lengths."""
    x = next(iter(arrays.values()))
    if x.dtype not in (float32, float64):
        raise DTypeError(f"takes float32 and float64, not {x.dtype.name}", "cast it first: x.to(tl.float32)")
    for name, other in arrays.items():
        dtype = int64 if name == "lengths" else x.dtype
        if other.dtype != dtype:
            raise DTypeError(f"{name} is {other.dtype.name}, not {dtype.name}")
        if tuple(other.shape) != shapes[name]:
            raise ShapeError(f"{name} must be {list(shapes[name])}, not {list(other.shape)}")


def _check_forward(given: Any, weight: Any, first: Any, rest: Sequence[Any], kind: Mode) -> tuple[int, int, int]:
    """The extents of time, batch and state."""
    if len(given.shape) != 3 or len(weight.shape) != 2 or not 0 <= len(rest) - kind.rest <= 1:
        raise ShapeError("takes [time, batch, gates], a matrix, states, and the cell's states or a bias")
    (steps, batch, _), size = given.shape, weight.shape[1]
    gates = kind.gates * size
    shapes: dict[str, tuple[int, ...]] = {
        "given": (steps, batch, gates), "weight": (gates, size), "first": (batch, size)}
    shapes |= {"first_c": (batch, size)} if kind.has_cell else {"bias": (gates,)} if kind.has_bias else {}
    shapes["lengths"] = (batch,)
    _check(dict(zip(shapes, (given, weight, first, *rest), strict=False)), shapes)
    return steps, batch, size


def _check_backward(g: Any, g_h: Any, slopes: Any, weight: Any, rest: Sequence[Any],
                    kind: Mode) -> tuple[int, int, int]:
    if len(g.shape) != 3 or not 0 <= len(rest) - kind.has_cell <= 1:
        raise ShapeError("takes cotangents of [time, batch, state], and of the last states")
    steps, batch, size = g.shape
    shapes: dict[str, tuple[int, ...]] = {
        "g_": (steps, batch, size), "g_h": (batch, size), "slopes": (steps, batch, kind.slopes * size),
        "weight": (kind.gates * size, size), **({"g_c": (batch, size)} if kind.has_cell else {}), "lengths": (batch,)}
    _check(dict(zip(shapes, (g, g_h, slopes, weight, *rest), strict=False)), shapes)
    return steps, batch, size


def _type(given: TensorType, weight: TensorType, first: TensorType, *rest: TensorType, mode: str, reverse: bool,
          keeps: bool) -> tuple[TensorType, ...]:
    kind = MODES[mode]
    steps, batch, size = _check_forward(given, weight, first, rest, kind)
    shapes = [(steps, batch, size), *((batch, size),) * (1 + kind.has_cell)]
    shapes += [(steps, batch, kind.slopes * size)] * keeps
    return tuple(TensorType(given.dtype, shape, given.device) for shape in shapes)


def _backward_type(g_: TensorType, g_h: TensorType, slopes: TensorType, weight: TensorType, *rest: TensorType,
                   mode: str, reverse: bool) -> tuple[TensorType, ...]:
    kind = MODES[mode]
    steps, batch, size = _check_backward(g_, g_h, slopes, weight, rest, kind)
    shapes = [(steps, batch, kind.gates * size)] * (1 + kind.has_bias) + [(batch, size)] * (1 + kind.has_cell)
    return tuple(TensorType(g_.dtype, shape, g_.device) for shape in shapes)


# --- one step, of arrays or tensors ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How functions of numbers are spelled; ``positive`` is 1 of what is not 0 or less, else 0."""

    sigmoid: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    relu: Callable[[Any], Any]
    positive: Callable[[Any], Any]
    where: Callable[[Any, Any, Any], Any]


Parts = Sequence[Any]
Step = Callable[[_Spelling, Parts, Parts, Parts], tuple[tuple[Any, ...], tuple[Any, ...]]]
"""The next states and the slopes: of what each gate is given and is made by the state, and of the states."""


def _tanh_step(use: _Spelling, given: Parts, made: Parts, states: Parts) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    h = use.tanh(given[0] + made[0])
    return (h,), ((1 - h) * (1 + h),)


def _relu_step(use: _Spelling, given: Parts, made: Parts, states: Parts) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    h = use.relu(given[0] + made[0])
    return (h,), (use.positive(h),)


def _lstm_step(use: _Spelling, given: Parts, made: Parts, states: Parts) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    sums = [x + y for x, y in zip(given, made, strict=True)]
    (i, f, o), g, before = (use.sigmoid(sums[k]) for k in (0, 1, 3)), use.tanh(sums[2]), states[1]
    c = f * before + i * g
    bounded = use.tanh(c)
    slopes = (o * ((1 - bounded) * (1 + bounded)), g * (i * (1 - i)), before * (f * (1 - f)),
              i * ((1 - g) * (1 + g)), bounded * (o * (1 - o)), f)
    return (o * bounded, c), slopes


def _gru_step(use: _Spelling, given: Parts, made: Parts, states: Parts) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    r, z = (use.sigmoid(x + y) for x, y in zip(given[:2], made[:2], strict=True))
    n = use.tanh(given[2] + r * made[2])
    new = (1 - z) * ((1 - n) * (1 + n))
    slopes = (new * made[2] * (r * (1 - r)), (states[0] - n) * (z * (1 - z)), new, new * r, z)
    return (n + z * (states[0] - n),), slopes


_STEPS: dict[str, Step] = {"RNN_TANH": _tanh_step, "RNN_RELU": _relu_step, "LSTM": _lstm_step, "GRU": _gru_step}


def _ahead(use: _Spelling, mode: str, given: Parts, made: Parts, states: Parts,
           there: Any) -> tuple[Parts, Any, Parts]:
    """One step: the next states, the output and the slopes; where nothing is ``there`` states stay, and these are 0."""
    found, slopes = _STEPS[mode](use, given, made, states)
    if there is None:
        return found, found[0], slopes
    kept = tuple(use.where(there, new, old) for new, old in zip(found, states, strict=True))
    return kept, use.where(there, found[0], 0), [use.where(there, slope, 0) for slope in slopes]


@dataclass(frozen=True, slots=True)
class _Back:
    """One step back: cotangents of the gates, and those that go on by the weights; ``dh`` past these, and ``dc``."""

    gates: Parts
    flow: Parts
    past: Any = None
    dc: Any = None


def _back(use: _Spelling, kind: Mode, g: Any, carry: Parts, slopes: Parts, there: Any) -> _Back:
    d, dc = g + carry[0], None
    gates = flow = [d * slope for slope in slopes[:kind.gates]]
    past = d * slopes[4] if kind.has_bias else None
    if kind.has_cell:
        dc = carry[1] + d * slopes[0]
        gates = flow = [*(dc * slope for slope in slopes[1:4]), d * slopes[4]]
        dc = dc * slopes[5]
    if kind.has_bias:
        flow = [*gates[:2], d * slopes[3]]
    if there is None:
        return _Back(gates, flow, past, dc)
    gates, flow = ([use.where(there, x, 0) for x in parts] for parts in (gates, flow))
    past = use.where(there, 0 if past is None else past, carry[0])
    return _Back(gates, flow, past, None if dc is None else use.where(there, dc, carry[1]))


# --- in other ops ---------------------------------------------------------------------------------------------------

_SPELLED = _Spelling(sigmoid, tanh, relu, lambda h: astype(logical_not(less_equal(h, 0)), h.dtype), where)


def _split(x: Tensor, count: int) -> Sequence[Tensor]:
    return _parts(x, axis=x.ndim - 1, count=count) if count > 1 else (x,)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return concat(parts, axis=-1) if len(parts) > 1 else parts[0]


def _present(x: Tensor, lengths: Sequence[Tensor]) -> Tensor | None:
    """Which rows of [time, batch, ...] belong to a sequence; None where there are no lengths."""
    if not lengths:
        return None
    times = _reshape(arange(x.shape[0], device=x.device), shape=(x.shape[0], 1, 1))
    return less(times, _reshape(lengths[0], shape=(x.shape[1], 1)))


def _spelled(given: Tensor, weight: Tensor, first: Tensor, rest: Tensors, mode: str, reverse: bool,
             keeps: bool) -> Tensors:
    """What `_recurrent` says, in other ops."""
    kind, turned = MODES[mode], swap_last(weight)

    def step(states: Tensors, row: tuple[Tensor, Tensor | None]) -> tuple[Any, Any]:
        made = _matmul(states[0], turned)
        made = made + rest[0] if kind.has_bias else made
        given_parts, made_parts = (_split(x, kind.gates) for x in (row[0], made))
        found, out, slopes = _ahead(_SPELLED, mode, given_parts, made_parts, states, row[1])
        return found, (out, _joined(slopes)) if keeps else (out,)

    rows = (given, _present(given, rest[kind.rest:]))
    last, (out, *slopes) = scan(step, (first, *rest[:kind.has_cell]), rows, reverse=reverse)
    return out, *last, *slopes


def _backward_spelled(g: Tensor, g_h: Tensor, slopes: Tensor, weight: Tensor, rest: Tensors, mode: str,
                      reverse: bool) -> Tensors:
    """What `_recurrent_backward` says, in other ops."""
    kind = MODES[mode]

    def step(carry: Tensors, row: tuple[Tensor, Tensor, Tensor | None]) -> tuple[Any, Any]:
        found = _back(_SPELLED, kind, row[0], carry, _split(row[1], kind.slopes), row[2])
        flow = _joined(found.flow)
        dh = _matmul(flow, weight)
        dh = dh if found.past is None else dh + found.past
        return (dh, found.dc) if kind.has_cell else (dh,), (_joined(found.gates), flow)[:1 + kind.has_bias]

    rows = (g, slopes, _present(g, rest[kind.has_cell:]))
    last, made = scan(step, (g_h, *rest[:kind.has_cell]), rows, reverse=not reverse)
    return *made, *last


# --- derivatives --------------------------------------------------------------------------------------------------


def _cotangents(g: Tensors, y: Tensors, given: Tensor, weight: Tensor, first: Tensor, rest: Tensors, mode: str,
                reverse: bool, keeps: bool) -> dict[int, Tensor]:
    """Those of all inputs; `scan`'s where something depends on the slopes, as second derivatives do."""
    kind = MODES[mode]
    if keeps and len(y) - 1 not in getattr(g, "missing", ()):
        pull = vjp(lambda given, weight, first, *beside: _spelled(
            given, weight, first, (*beside, *rest[kind.rest:]), mode, reverse, keeps),
                   given, weight, first, *rest[:kind.rest])[1]
        return dict(enumerate(pull(tuple(g))))
    slopes = y[-1] if keeps else _recurrent(given, weight, first, *rest, mode=mode, reverse=reverse, keeps=True)[-1]
    walk = _recurrent_backward(g[0], g[1], slopes, weight, *g[2:2 + kind.has_cell], *rest[kind.rest:], mode=mode,
                               reverse=reverse)
    steps, batch, size = y[0].shape
    begin = _reshape(first, shape=(1, batch, size))
    before = concat((y[0], begin))[1:] if reverse else concat((begin, y[0]))[:steps]
    if reverse and len(rest) > kind.rest:
        before = where(_present(before, [rest[-1] - 1]), before, first)
    flow = _reshape(walk[kind.has_bias], shape=(steps * batch, kind.gates * size))
    found = [walk[0], _matmul(swap_last(flow), _reshape(before, shape=(steps * batch, size))), walk[1 + kind.has_bias]]
    found += [walk[-1]] * kind.has_cell
    found += [_sum(flow, axis=(0,), keepdims=False, dtype=None)] if kind.has_bias else []
    return dict(enumerate(found))


def _rule(index: int) -> Callable[..., Tensor | None]:
    """The cotangent of one input; they are found together."""
    def rule(g: Tensors, y: Tensors, given: Tensor, weight: Tensor, first: Tensor, rest: Tensors, mode: str,
             reverse: bool, keeps: bool) -> Tensor | None:
        return jointly(g, index, lambda: _cotangents(g, y, given, weight, first, rest, mode, reverse, keeps))
    return rule


def _second_rule(index: int) -> Callable[..., Tensor | None]:
    """The cotangent of one input of the walk back."""
    def rule(g: Tensors, g_: Tensor, g_h: Tensor, slopes: Tensor, weight: Tensor, rest: Tensors, mode: str,
             reverse: bool) -> Tensor | None:
        def compute() -> dict[int, Tensor]:
            count = int(MODES[mode].has_cell)
            pull = vjp(lambda g_, g_h, slopes, weight, *beside: _backward_spelled(
                g_, g_h, slopes, weight, (*beside, *rest[count:]), mode, reverse),
                       g_, g_h, slopes, weight, *rest[:count])[1]
            return dict(enumerate(pull(tuple(g))))
        return jointly(g, index, compute)
    return rule


# --- batches --------------------------------------------------------------------------------------------------------


def _batched(in_time: tuple[int, ...], shared: tuple[int, ...]) -> Callable[..., tuple[Any, Any]]:
    """The rule of an op of which some inputs go along time; where weights differ, elements go one after another."""
    def rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
        alike = {*shared, *((3,) if 1 in shared and MODES[attributes["mode"]].has_bias else ())}
        if any(axis is not None for k, axis in enumerate(batch.axes) if k in alike):
            return looped(batch, inputs, attributes)
        ready = []
        for k, (x, axis) in enumerate(zip(inputs, batch.axes, strict=True)):
            if k not in alike:
                x = repeat(x, batch.size) if axis is None else move_axis(x, axis, 0)
                x = merged(move_axis(x, 0, 1), 1) if k in in_time else merged(x)
            ready.append(x)
        found = batch.apply(*ready, **attributes)
        axes = tuple(y.ndim - 2 for y in found)
        return tuple(parted(y, axis, batch.size, y.shape[axis] // batch.size)
                     for y, axis in zip(found, axes, strict=True)), axes
    return rule


# --- ops ------------------------------------------------------------------------------------------------------------


def _array_spelling(xp: Any) -> _Spelling:
    bodies = [functools.partial(function.op.body, xp) for function in (sigmoid, tanh, relu)]
    return _Spelling(bodies[0], bodies[1], bodies[2], lambda h: (~(h <= 0)).astype(h.dtype), xp.where)


def _array_present(lengths: Sequence[Any], t: int) -> Any:
    return lengths[0][:, None] > t if lengths else None


def _sample(mode: str, steps: int, batch: int, size: int, reverse: bool, keeps: bool, ends: bool = False) -> Sample:
    kind = MODES[mode]
    rest: list[Any] = [(batch, size)] * kind.has_cell + [(kind.gates * size,)] * kind.has_bias
    rest += [Integers((batch,), 1, steps + 1)] * ends
    return Sample((steps, batch, kind.gates * size), (kind.gates * size, size), (batch, size), *rest, mode=mode,
                  reverse=reverse, keeps=keeps)


def _backward_sample(mode: str, steps: int, batch: int, size: int, reverse: bool, keeps: bool,
                     ends: bool = False) -> Sample:
    kind = MODES[mode]
    rest: list[Any] = [(batch, size)] * kind.has_cell + [Integers((batch,), 1, steps + 1)] * ends
    return Sample((steps, batch, size), (batch, size), (steps, batch, kind.slopes * size), (kind.gates * size, size),
                  *rest, mode=mode, reverse=reverse)


_CASES: tuple[tuple[Any, ...], ...] = (
    ("RNN_TANH", 3, 2, 2, False, True), ("RNN_RELU", 2, 1, 2, True, False, True), ("LSTM", 3, 2, 1, False, True),
    ("LSTM", 2, 2, 2, True, True, True), ("GRU", 3, 2, 1, True, True, True), ("LSTM", 0, 2, 2, False, True))
_NATIVE = 256  # gates: of fewer, nothing is compiled


@primitive("contract", type=_type, batch=_batched((0,), (1,)), native_size=_NATIVE,
           samples=[_sample(*case) for case in _CASES],
           vjp={name: _rule(k) for k, name in enumerate(("given", "weight", "first", "rest"))})
def _recurrent(xp: Any, given: Any, weight: Any, first: Any, *rest: Any, mode: str, reverse: bool,
               keeps: bool) -> tuple[Any, ...]:
    """The outputs of a layer, [time, batch, state], its last states, and the slopes if it ``keeps`` them."""
    kind = MODES[mode]
    steps, batch, size = _check_forward(given, weight, first, rest, kind)
    out = xp.empty((steps, batch, size), given.dtype)
    kept = xp.empty((steps, batch, kind.slopes * size), given.dtype)
    states: Sequence[Any] = (first, *rest[:kind.has_cell])
    use, turned, split = _array_spelling(xp), weight.T, lambda x: xp.split(x, kind.gates, axis=-1)
    for t in range(steps)[::-1 if reverse else 1]:
        made = xp.matmul(states[0], turned)
        made = made + rest[0] if kind.has_bias else made
        there, (parts, made) = _array_present(rest[kind.rest:], t), (split(x) for x in (given[t], made))
        states, out[t], slopes = _ahead(use, mode, parts, made, states, there)
        if keeps:
            kept[t] = xp.concatenate(slopes, axis=-1)
    return out, *(state.copy() for state in states), *([kept] if keeps else [])


@primitive("contract", type=_backward_type, batch=_batched((0, 2), (3,)), native_size=_NATIVE,
           samples=[_backward_sample(*case) for case in _CASES],
           vjp={name: _second_rule(k) for k, name in enumerate(("g_", "g_h", "slopes", "weight", "rest"))})
def _recurrent_backward(xp: Any, g_: Any, g_h: Any, slopes: Any, weight: Any, *rest: Any, mode: str,
                        reverse: bool) -> tuple[Any, ...]:
    """The cotangents of what a layer is given at each step, of what the state's weights make, and of first states."""
    kind = MODES[mode]
    steps, batch, size = _check_backward(g_, g_h, slopes, weight, rest, kind)
    made = [xp.empty((steps, batch, kind.gates * size), g_.dtype) for _ in range(1 + kind.has_bias)]
    carry: tuple[Any, ...] = (g_h.copy(), *(x.copy() for x in rest[:kind.has_cell]))
    use = _array_spelling(xp)
    for t in range(steps)[::1 if reverse else -1]:
        there = _array_present(rest[kind.has_cell:], t)
        found = _back(use, kind, g_[t], carry, xp.split(slopes[t], kind.slopes, axis=-1), there)
        for array, parts in zip(made, (found.gates, found.flow), strict=False):
            array[t] = xp.concatenate(parts, axis=-1)
        dh = xp.matmul(made[-1][t], weight)
        carry = (dh if found.past is None else dh + found.past, *([found.dc] if kind.has_cell else []))
    return *made, *carry


# --- what layers call -----------------------------------------------------------------------------------------------


def recurrence_takes(given: Tensor, weight: Tensor) -> bool:
    """Whether a layer of such inputs and weights is one op, which computes 16-bit numbers in float32."""
    wide = accumulator(given.dtype)
    return wide in (float32, float64) and accumulator(weight.dtype) == wide


def recurrence(mode: str, given: Tensor, weight: Tensor, states: Tensors, bias: Tensor | None, lengths: Tensor | None,
               reverse: bool) -> tuple[Tensors, Tensor]:
    """The last states and the outputs of a layer, as `scan` gives them, with a batch or without."""
    kind, dtype, alone = MODES[mode], given.dtype, given.ndim == 2
    wide = accumulator(dtype)
    rest = [bias if bias is not None else zeros(weight.shape[:1], dtype=wide, device=weight.device)] * kind.has_bias
    given, weight, *beside = (astype(x, wide, copy=False) for x in (given, weight, *states, *rest))
    if alone:
        given, *beside[:1 + kind.has_cell] = (_reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1]))
                                              for x in (given, *beside[:1 + kind.has_cell]))
    beside += [] if lengths is None else [astype(lengths, int64, copy=False)]
    keeps = state.recording and any(x.node is not None for x in (given, weight, *beside))
    out, *last = _recurrent(given, weight, *beside, mode=mode, reverse=reverse, keeps=keeps)
    found = (astype(x, dtype, copy=False) for x in (out, *last[:1 + kind.has_cell]))
    out, *last = (_reshape(x, shape=(*x.shape[:-2], x.shape[-1])) for x in found) if alone else found
    return tuple(last), out
