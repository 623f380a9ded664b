"""Loads and stores: whole vectors, vectors under a mask, single lanes, and all that lies between.

An access' index decides: uniform is one element; linear with step 1 is a vector; any other is taken lane by lane.
Of a vector that is not whole, the active lanes alone are touched: under a mask where the machine has one, else looping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlite.kernels.llvm.types import DType, interleave_mask, memory, register, splat, steps, suffix
from tensorlite.kernels.llvm.values import Evaluator, Lanes, Value

_STEPS = frozenset("234")  # of lanes that are taken by whole vectors
_UNROLLED_LANES = 16  # more lanes than these are taken by a loop: shorter code, and the loads hide its cost


@dataclass(frozen=True, slots=True)
class Place:
    """A buffer's address, and the type of what is read or written there; indices count elements of ``unit``."""

    address: str
    dtype: DType
    unit: DType | None = None

    @property
    def counted(self) -> DType:
        """The type that indices count."""
        return self.unit or self.dtype

    def seen_as(self, dtype: DType) -> Place:
        """Return the place that reads numbers of another type, from any element on."""
        return self if dtype == self.dtype else Place(self.address, dtype, self.dtype)


def load(evaluator: Evaluator, place: Place, index: Value, lanes: Lanes) -> Value:
    """Append the load of one element, or of one for each lane."""
    if not index.lanes:
        return _from_memory(evaluator, _load(evaluator, place, index.ref, 0), place.dtype, 0)
    adjoining = index.step == str(place.dtype.itemsize // place.counted.itemsize)
    stepped = index.step in _STEPS and place.unit is None
    if stepped and (not lanes.active or place.dtype.itemsize in evaluator.target.masked):
        loaded = _load_steps(evaluator, place, index, lanes)
    elif place.unit is not None and index.step in _STEPS | {"1"} and not adjoining and not lanes.active:
        loaded = _load_overlapping(evaluator, place, index, lanes)
    elif not adjoining:
        loaded = _load_lanes(evaluator, place, index, lanes)
    elif not lanes.active:
        loaded = _load(evaluator, place, index.ref, lanes.count)
    elif place.dtype.itemsize in evaluator.target.masked:
        loaded = _load_masked(evaluator, place, index.ref, lanes)
    else:
        loaded = _load_lanes(evaluator, place, index, lanes)
    return _from_memory(evaluator, loaded, place.dtype, lanes.count)


def store(evaluator: Evaluator, place: Place, index: Value, value: Value, lanes: Lanes, streaming: bool) -> None:
    """Append the store of one element, or of one for each lane."""
    if not index.lanes:
        ref = _to_memory(evaluator, value)
        _store(evaluator, place, index.ref, ref, 0)
        return
    ref = _to_memory(evaluator, evaluator.widen(value, lanes.count))
    if index.step in _STEPS and place.dtype.itemsize in evaluator.target.masked:
        _store_steps(evaluator, place, index, ref, lanes)
    elif index.step != "1":
        _store_lanes(evaluator, place, index, ref, lanes)
    elif not lanes.active:
        _store(evaluator, place, index.ref, ref, lanes.count, streaming and bool(evaluator.target.fence))
    elif place.dtype.itemsize in evaluator.target.masked:
        _store_masked(evaluator, place, index.ref, ref, lanes)
    else:
        _store_lanes(evaluator, place, index, ref, lanes)


def prefetch(evaluator: Evaluator, place: Place, index: str, later: bool) -> None:
    """Append the hint that a place will be written, or read later; it need not be inside the buffer."""
    element = memory(place.dtype)
    address = evaluator.asm.let(f"getelementptr {element}, ptr {place.address}, i64 {index}")
    write, cache = ("0", "2") if later else ("1", "3")  # into the second cache, or the first
    hints = (("i32", write), ("i32", cache), ("i32", "1"))  # data
    evaluator.asm.call("llvm.prefetch.p0", "void", ("ptr", address), *hints)


def transpose(
    evaluator: Evaluator, target: Place, to: tuple[str, str], source: Place, start: tuple[str, str], size: int
) -> None:
    """Append the copy of a square, rows becoming columns; ``to`` and ``start`` are its first index and its stride.

    Row i meets row i + size / 2 in each of log2(size) rounds: interleaved, their halves are rows 2 i and 2 i + 1.
    """
    asm, type_ = evaluator.asm, memory(source.dtype, size)
    masks = [interleave_mask(size, half) for half in (0, 1)]

    def places(first: str, stride: str) -> list[str]:
        found = [first]
        while len(found) < size:
            found.append(asm.let(f"add nsw i64 {found[-1]}, {stride}"))
        return found

    rows = [_load(evaluator, source, place, size) for place in places(*start)]
    for _ in range(size.bit_length() - 1):
        pairs = zip(rows[: size // 2], rows[size // 2 :], strict=True)
        rows = [asm.let(f"shufflevector {type_} {a}, {type_} {b}, {mask}") for a, b in pairs for mask in masks]
    for place, row in zip(places(*to), rows, strict=True):
        _store(evaluator, target, place, row, size)


def _from_memory(evaluator: Evaluator, ref: str, dtype: DType, lanes: int) -> Value:
    if dtype == np.bool_:
        ref = evaluator.asm.let(f"icmp ne {memory(dtype, lanes)} {ref}, {splat('0', np.dtype(np.uint8), lanes)}")
    return Value(ref, dtype, lanes)


def _to_memory(evaluator: Evaluator, value: Value) -> str:
    if value.dtype != np.bool_:
        return value.ref
    source, target = register(value.dtype, value.lanes), memory(value.dtype, value.lanes)
    return evaluator.asm.let(f"zext {source} {value.ref} to {target}")


def _address(evaluator: Evaluator, place: Place, index: str) -> str:
    return evaluator.asm.let(f"getelementptr inbounds {memory(place.counted)}, ptr {place.address}, i64 {index}")


def _load(evaluator: Evaluator, place: Place, index: str, lanes: int) -> str:
    address = _address(evaluator, place, index)
    return evaluator.asm.let(f"load {memory(place.dtype, lanes)}, ptr {address}, align {place.counted.itemsize}")


def _store(evaluator: Evaluator, place: Place, index: str, ref: str, lanes: int, streaming: bool = False) -> None:
    address = _address(evaluator, place, index)
    how = "align 64, !nontemporal !0" if streaming else f"align {place.dtype.itemsize}"
    evaluator.asm.do(f"store {memory(place.dtype, lanes)} {ref}, ptr {address}, {how}")


def _mask(evaluator: Evaluator, lanes: Lanes) -> str:
    """Return the mask of the active lanes. Bytes are compared: one instruction, where the lanes are not too many."""
    number = np.dtype(np.uint8 if lanes.count <= 128 else np.uint16)
    narrow = evaluator.asm.let(f"trunc i64 {lanes.active} to {register(number)}")
    count = evaluator.widen(Value(narrow, number), lanes.count)
    return evaluator.asm.let(f"icmp ult {register(number, lanes.count)} {steps(number, lanes.count)}, {count.ref}")


def _load_masked(evaluator: Evaluator, place: Place, index: str, lanes: Lanes) -> str:
    type_, mask = memory(place.dtype, lanes.count), f"<{lanes.count} x i1>"
    return evaluator.asm.call(
        f"llvm.masked.load.{_memory_suffix(place, lanes)}.p0",
        type_,
        ("ptr", _address(evaluator, place, index)),
        ("i32", str(place.counted.itemsize)),
        (mask, _mask(evaluator, lanes)),
        (type_, "zeroinitializer"),
    )


def _store_masked(
    evaluator: Evaluator, place: Place, index: str, ref: str, lanes: Lanes, mask: str = ""
) -> None:
    evaluator.asm.call(
        f"llvm.masked.store.{_memory_suffix(place, lanes)}.p0",
        "void",
        (memory(place.dtype, lanes.count), ref),
        ("ptr", _address(evaluator, place, index)),
        ("i32", str(place.dtype.itemsize)),
        (f"<{lanes.count} x i1>", mask or _mask(evaluator, lanes)),
    )


def _memory_suffix(place: Place, lanes: Lanes) -> str:
    return suffix(np.dtype(np.uint8) if place.dtype == np.bool_ else place.dtype, lanes.count)


class _LaneIndices:
    """The index of each lane: base + lane * step, or read from a vector."""

    def __init__(self, evaluator: Evaluator, index: Value) -> None:
        self.evaluator, self.index = evaluator, index
        self.slot = ""
        if not index.step:
            self.slot = evaluator.asm.slot(register(index.dtype, index.lanes))
            evaluator.asm.do(f"store {register(index.dtype, index.lanes)} {index.ref}, ptr {self.slot}")

    def at(self, lane: str) -> str:
        asm = self.evaluator.asm
        if self.slot:
            return asm.let(f"load i64, ptr {asm.let(f'getelementptr i64, ptr {self.slot}, i64 {lane}')}")
        offset = lane if self.index.step == "1" else asm.let(f"mul nsw i64 {self.index.step}, {lane}")
        return asm.let(f"add nsw i64 {self.index.ref}, {offset}")


def _load_steps(evaluator: Evaluator, place: Place, index: Value, lanes: Lanes) -> str:
    """Append the load of lanes a few elements apart: whole vectors, up to the last lane's element and not beyond."""
    asm, type_, count, step = evaluator.asm, memory(place.dtype, lanes.count), lanes.count, int(index.step)
    starts = [k * count for k in range(step)]
    if lanes.active:
        before = asm.let(f"mul i64 {lanes.active}, {step}")
        reach = asm.let(f"sub i64 {before}, {step - 1}")
    else:
        starts[-1] -= step - 1
    chosen = "poison"
    for k, start in enumerate(starts):
        at = asm.let(f"add nsw i64 {index.ref}, {start}")
        if lanes.active:
            above = asm.call("llvm.smax.i64", "i64", ("i64", asm.let(f"sub i64 {reach}, {start}")), ("i64", "0"))
            here = asm.call("llvm.smin.i64", "i64", ("i64", above), ("i64", str(count)))
            part = _load_masked(evaluator, place, at, Lanes(count, here))
        else:
            part = _load(evaluator, place, at, count)
        own = range(k * count, (k + 1) * count)
        picks = (count + lane * step - start if lane * step in own else lane for lane in range(count))
        mask = f"<{count} x i32> <{', '.join(f'i32 {pick}' for pick in picks)}>"
        chosen = asm.let(f"shufflevector {type_} {chosen}, {type_} {part}, {mask}")
    return chosen


def _load_overlapping(evaluator: Evaluator, place: Place, index: Value, lanes: Lanes) -> str:
    """Append the load of numbers that begin a few elements apart: two vectors, of which elements are chosen."""
    asm, unit, step = evaluator.asm, place.counted, int(index.step)
    each = place.dtype.itemsize // unit.itemsize
    reach = (lanes.count - 1) * step + each
    count = 1 << (reach.bit_length() - 1)
    ends = index.ref, asm.let(f"add nsw i64 {index.ref}, {reach - count}")
    parts = [_load(evaluator, Place(place.address, unit), end, count) for end in ends]
    places = [lane * step + k for lane in range(lanes.count) for k in range(each)]
    picks = ", ".join(f"i32 {at if at < count else at + 2 * count - reach}" for at in places)
    type_, mask = memory(unit, count), f"<{len(places)} x i32> <{picks}>"
    chosen = asm.let(f"shufflevector {type_} {parts[0]}, {type_} {parts[1]}, {mask}")
    return asm.let(f"bitcast {memory(unit, len(places))} {chosen} to {memory(place.dtype, lanes.count)}")


def _store_steps(evaluator: Evaluator, place: Place, index: Value, ref: str, lanes: Lanes) -> None:
    """Append the store of lanes a few elements apart: whole vectors under masks, which leave out what lies between."""
    asm, count, step = evaluator.asm, lanes.count, int(index.step)
    type_, flags = memory(place.dtype, count), f"<{count} x i1>"
    reach = asm.let(f"mul i64 {lanes.active}, {step}") if lanes.active else ""
    for k in range(step):
        own = range(k * count, (k + 1) * count)
        picks = ", ".join(f"i32 {lane // step}" for lane in own)
        part = asm.let(f"shufflevector {type_} {ref}, {type_} poison, <{count} x i32> <{picks}>")
        mask = f"<{', '.join(f'i1 {int(lane % step == 0)}' for lane in own)}>"
        if reach:
            above = asm.call("llvm.smax.i64", "i64", ("i64", asm.let(f"sub i64 {reach}, {k * count}")), ("i64", "0"))
            here = asm.call("llvm.smin.i64", "i64", ("i64", above), ("i64", str(count)))
            mask = asm.let(f"and {flags} {_mask(evaluator, Lanes(count, here))}, {mask}")
        _store_masked(evaluator, place, asm.let(f"add nsw i64 {index.ref}, {k * count}"), part, lanes, mask)


def store_flag(evaluator: Evaluator, place: Place, condition: Value, lanes: Lanes) -> None:
    """Append the store of 1 if the condition holds in any active lane."""
    asm, any_lane = evaluator.asm, condition.ref
    if condition.lanes:
        type_ = f"<{lanes.count} x i1>"
        if lanes.active:
            any_lane = asm.let(f"and {type_} {any_lane}, {_mask(evaluator, lanes)}")
        any_lane = asm.call(f"llvm.vector.reduce.or.v{lanes.count}i1", "i1", (type_, any_lane))

    def one() -> list[str]:
        asm.do(f"store atomic i64 1, ptr {place.address} monotonic, align 8")
        return []

    asm.when(any_lane, [], one)


def _load_lanes(evaluator: Evaluator, place: Place, index: Value, lanes: Lanes) -> str:
    asm, type_, element = evaluator.asm, memory(place.dtype, lanes.count), memory(place.dtype)
    indices = _LaneIndices(evaluator, index)
    if not lanes.active and lanes.count <= _UNROLLED_LANES:
        vector = "poison"
        for lane in range(lanes.count):
            loaded = _load(evaluator, place, indices.at(str(lane)), 0)
            vector = asm.let(f"insertelement {type_} {vector}, {element} {loaded}, i64 {lane}")
        return vector
    slot = asm.slot(type_)
    asm.do(f"store {type_} zeroinitializer, ptr {slot}")

    def one(lane: str, _: list[str]) -> list[str]:
        loaded = _load(evaluator, place, indices.at(lane), 0)
        asm.do(f"store {element} {loaded}, ptr {asm.let(f'getelementptr {element}, ptr {slot}, i64 {lane}')}")
        return []

    asm.loop(("0", lanes.active or str(lanes.count), "1"), [], one)
    return asm.let(f"load {type_}, ptr {slot}")


def _store_lanes(evaluator: Evaluator, place: Place, index: Value, ref: str, lanes: Lanes) -> None:
    asm, type_, element = evaluator.asm, memory(place.dtype, lanes.count), memory(place.dtype)
    indices = _LaneIndices(evaluator, index)
    if not lanes.active and lanes.count <= _UNROLLED_LANES:
        for lane in range(lanes.count):
            value = asm.let(f"extractelement {type_} {ref}, i64 {lane}")
            _store(evaluator, place, indices.at(str(lane)), value, 0)
        return
    slot = asm.slot(type_)
    asm.do(f"store {type_} {ref}, ptr {slot}")

    def one(lane: str, _: list[str]) -> list[str]:
        value = asm.let(f"load {element}, ptr {asm.let(f'getelementptr {element}, ptr {slot}, i64 {lane}')}")
        _store(evaluator, place, indices.at(lane), value, 0)
        return []

    asm.loop(("0", lanes.active or str(lanes.count), "1"), [], one)


def keep_active(evaluator: Evaluator, old: Value, new: Value, lanes: Lanes) -> Value:
    """Return ``new`` in the active lanes and ``old`` in the others."""
    type_, mask = register(new.dtype, lanes.count), _mask(evaluator, lanes)
    new = evaluator.widen(new, lanes.count)
    chosen = evaluator.asm.let(f"select <{lanes.count} x i1> {mask}, {type_} {new.ref}, {type_} {old.ref}")
    return Value(chosen, new.dtype, lanes.count)
