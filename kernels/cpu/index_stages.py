"""Reading and writing at places without Python: classes, rows of tables, elements along axes, advanced indices.

Sums at coinciding places are taken in the order of the index, those of half precision in float32. Places that an axis
does not have are faults of a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from tensorlite.kernels.cpu.movement_stages import copy_stage, fill_stage, is_native, sliced, words
from tensorlite.kernels.cpu.named import (
    Named,
    advanced,
    along_axis,
    broadcast,
    of_a_list,
    of_classes,
    whole_rows,
)
from tensorlite.kernels.generated import index_loops, rows
from tensorlite.kernels.generated.index_loops import Places
from tensorlite.kernels.generated.layout import Axis, merge
from tensorlite.kernels.stage import Array, Plan, Stage, pack

DType = np.dtype[Any]

_FLOAT32 = np.dtype(np.float32)
_NANOSECONDS = 0.3  # of one thread for an element that is read or written
_FEW = 4  # columns that are not worth vectors
_PARTS = 8  # tasks that columns are cut into, where rows are few


def _are_places(*arrays: Array) -> bool:
    return all(at.dtype.kind in "iu" for at in arrays)


# Reading


def _read(
    x: Array, out: Array, at: Sequence[Array], named: Named | None, *, from_end: bool = False,
    ignore: int | None = None,
) -> Plan | None:  # fmt: skip
    """Return the plan of reading: arrays are numbered ``x``, those of places, ``out``."""
    if not out.size:
        return Plan(())
    if named is None or named.shape != out.shape or not _are_places(*at) or 0 in named.sizes:
        return None
    if x.dtype != out.dtype and not (is_native(x.dtype) and is_native(out.dtype)):
        return None
    if max(x.dtype.itemsize, out.dtype.itemsize) > 8:
        return None
    dtypes = (words(x.dtype), words(out.dtype)) if x.dtype == out.dtype else (x.dtype, out.dtype)
    places = Places(tuple(a.dtype for a in at), from_end, ignore is not None)
    columns = zip(named.strides, *named.places, out.strides, strict=True)
    axes = [Axis(n, strides) for n, strides in zip(named.shape, columns, strict=True)]
    plan, merged = rows.walk(("x", *places.names, "out"), axes)
    values = rows.numbers(plan, merged, [named.start, *(0 for _ in at), 0])
    ignored = () if ignore is None else (ignore,)
    key = f"read_at {dtypes[0].name} {dtypes[1].name} {places} {plan}"
    count = len(at) + 1
    stage = Stage(
        key,
        lambda: index_loops.read(*dtypes, places, plan),
        tuple(range(count)),
        (count, count + 1),
        pack(*values, *named.extents, *ignored),
        out.size * _NANOSECONDS,
    )
    return Plan((stage,), (8,), count + 1)


def plan_take_rows(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int) -> Plan | None:
    """The slices across an axis that an index names."""
    x, at = inputs
    return _read(x, outputs[0], [at], whole_rows(x, at, axis))


def plan_gather(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int) -> Plan | None:
    """For each place of the index an element along an axis."""
    x, at = inputs
    return _read(x, outputs[0], [at], along_axis(x, at, axis, at.shape))


def plan_pick_class(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, ignore: int) -> Plan | None:
    """The number of each target's class; 0 where the target is ignored."""
    x, target = inputs
    return _read(x, outputs[0], [target], of_classes(x, target, axis), ignore=ignore)


def plan_class_weights(
    inputs: Sequence[Array], outputs: Sequence[Array], *, ignore: int, classes: int, dtype: DType
) -> Plan | None:
    """Each target's weight, or 1; 0 where it is ignored. The one weight of all is scratch memory."""
    target, *weight = inputs
    (out,) = outputs
    if weight:
        plan = _read(weight[0], out, [target], of_a_list(weight[0], target), ignore=ignore)
        return None if plan is None else _renumbered(plan, (1, 0, 2, 3))
    one = Array(np.dtype(out.dtype), (classes,), (0,))
    plan = _read(one, out, [target], of_a_list(one, target), ignore=ignore)
    fill = fill_stage(Array.contiguous(out.dtype, (1,)), 1, 3)
    if plan is None or fill is None or not plan.stages:
        return plan
    renumbered = _renumbered(plan, (3, 0, 1, 2))
    return Plan((fill, *renumbered.stages), (8, 8), 2)


def _renumbered(plan: Plan, numbers: tuple[int, ...]) -> Plan:
    """Return a plan whose arrays have other numbers."""
    stages = tuple(
        Stage(stage.key, stage.build, tuple(numbers[k] for k in stage.reads), tuple(numbers[k] for k in stage.writes),
              stage.numbers, stage.work) for stage in plan.stages
    )  # fmt: skip
    return Plan(stages, plan.scratch, plan.fault if plan.fault is None else numbers[plan.fault])


def plan_take_at(inputs: Sequence[Array], outputs: Sequence[Array], *, spec: Sequence[Any]) -> Plan | None:
    """What an index of arrays and slices names."""
    x, *at = inputs
    return _read(x, outputs[0], at, advanced(x, at, spec), from_end=True)


def plan_known_classes(inputs: Sequence[Array], outputs: Sequence[Array], *, ignore: int, classes: int) -> Plan | None:
    """The classes themselves, each looked at."""
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    axes = [Axis(n, (a, b)) for n, a, b in zip(x.shape, x.strides, out.strides, strict=True)]
    plan, merged = rows.walk(("x", "out"), axes)
    numbers = pack(*rows.numbers(plan, merged, [0, 0]), classes, ignore)
    key = f"known_classes {x.dtype.name} {plan}"
    stage = Stage(key, lambda: index_loops.known_classes(x.dtype, plan), (0,), (1, 2), numbers, out.size * 0.5)
    return Plan((stage,), (8,), 2)


def plan_from_the_front(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, extent: int) -> Plan | None:
    """Positions, those below 0 counted from the end."""
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    axes = [Axis(n, (a, b)) for n, a, b in zip(x.shape, x.strides, out.strides, strict=True)]
    plan, merged = rows.walk(("x", "out"), axes)
    numbers = pack(*rows.numbers(plan, merged, [0, 0]), extent)
    key = f"from_the_front {x.dtype.name} {plan}"
    stage = Stage(key, lambda: index_loops.from_the_front(x.dtype, plan), (0,), (1, 2), numbers, out.size * 0.5)
    return Plan((stage,), (8,), 2)


# Writing


def _write(
    x: Array, out: Array, at: Sequence[Array], named: Named | None, first: Callable[[Array, int], Stage | None], *,
    join: str, from_end: bool = False, ignore: int | None = None, source: int = 0, target: int | None = None,
) -> Plan | None:  # fmt: skip
    """Return the plan of writing ``x`` to what ``first`` makes of ``out``, or of joining it to that.

    ``join`` is a name of `index_loops.JOINS`, ``source`` is the number of ``x``, after which come those of the places,
    and ``target`` that of ``out``.
    """
    target = source + 1 + len(at) if target is None else target
    if not out.size:
        return Plan(())
    if named is None or named.shape != x.shape or not _are_places(*at) or (x.size and 0 in named.sizes):
        return None
    if join and not (is_native(out.dtype) and out.dtype.kind != "b") or max(out.dtype.itemsize, x.dtype.itemsize) > 8:
        return None
    if x.dtype != out.dtype and not (is_native(x.dtype) and is_native(out.dtype)):
        return None
    wide = _FLOAT32 if join and out.dtype.itemsize == 2 and out.dtype.kind not in "iu" else out.dtype
    fault, scratch = target + 1, (8, *(() if wide == out.dtype else (out.size * wide.itemsize,)))
    summed, number = Array(wide, out.shape, out.strides), target if wide == out.dtype else target + 2
    begin = first(summed, number)
    end = None if wide == out.dtype else copy_stage(summed, out, number, target)
    if begin is None or (wide != out.dtype and end is None):
        return None
    stages = [begin]
    if x.size:
        places = Places(tuple(a.dtype for a in at), from_end, ignore is not None)
        numbers = (source, *range(source + 1, source + 1 + len(at))), (number, fault)
        stages.append(_write_stage(x, summed, places, named, join, numbers, () if ignore is None else (ignore,)))
    return Plan((*stages, *([end] if end is not None else [])), scratch, fault)


def _write_stage(
    x: Array, out: Array, places: Places, named: Named, join: str,
    numbers: tuple[tuple[int, ...], tuple[int, ...]], ignored: tuple[int, ...],
) -> Stage:  # fmt: skip
    """Return the stage that writes or joins; dimensions along which ``out`` does not move are the index' own."""
    dtypes = (x.dtype, out.dtype) if join or x.dtype != out.dtype else (words(x.dtype), words(out.dtype))
    columns = list(zip(x.strides, *named.places, named.strides, strict=True))
    axes = [Axis(n, strides) for n, strides in zip(x.shape, columns, strict=True)]
    free = sorted((axis for axis in axes if axis.strides[-1]), key=lambda axis: -abs(axis.strides[-1]))
    turns = merge(axis for axis in axes if not axis.strides[-1])
    plan, merged = rows.walk(("x", *places.names, "out"), free)
    inner = merged[-1]
    by_vectors = inner.strides[-1] == 1 and inner.extent >= _FEW
    task = max(1, rows.TASK // prod(axis.extent for axis in turns))
    parts = max(1, _PARTS // prod(axis.extent for axis in merged[:-1]))
    most = max(32, -(-inner.extent // parts // 16) * 16)
    values = rows.numbers(plan, merged, [*(0 for _ in range(len(places.names) + 1)), named.start], max(task, 1), most)
    strides = [axis.strides[k] for k in range(len(places.names) + 1) for axis in turns]
    key = f"write_at {dtypes[0].name} {dtypes[1].name} {places} {plan} {len(turns)} {join} {by_vectors}"
    return Stage(
        key,
        lambda: index_loops.write(*dtypes, places, plan, len(turns), join, by_vectors),
        *numbers,
        pack(*values, *named.extents, *ignored, *(axis.extent for axis in turns), *strides),
        x.size * _NANOSECONDS,
    )


def _zeros(out: Array, number: int) -> Stage | None:
    return fill_stage(out, 0, number)


def plan_add_rows(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, size: int) -> Plan | None:
    """Zeros, to which slices are added where they came from."""
    (g, at), (out,) = inputs, outputs
    return _write(g, out, [at], whole_rows(out, at, axis), _zeros, join="add")


def plan_scatter_new(
    inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, shape: tuple[int, ...]
) -> Plan | None:
    """Zeros, to which elements are added along an axis."""
    (g, at), (out,) = inputs, outputs
    g = Array(g.dtype, at.shape, g.strides)
    return _write(g, out, [at], along_axis(out, at, axis, at.shape), _zeros, join="add")


def plan_put_add(
    inputs: Sequence[Array], outputs: Sequence[Array], *, spec: Sequence[Any], shape: tuple[int, ...]
) -> Plan | None:
    """Zeros, to which elements are added where an index of arrays and slices names them."""
    (g, *at), (out,) = inputs, outputs
    return _write(g, out, at, advanced(out, at, spec), _zeros, join="add", from_end=True)


def plan_scatter_add(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int) -> Plan | None:
    """An array with others' elements added along an axis."""
    return _scattered(inputs, outputs[0], axis, join="add")


def plan_scatter(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int) -> Plan | None:
    """An array with elements replaced along an axis; of equal places the last one stays."""
    return _scattered(inputs, outputs[0], axis, join="")


def plan_scatter_with(inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, how: str) -> Plan | None:
    """An array with others' elements joined to it along an axis: their products, or the largest or smallest of all."""
    return _scattered(inputs, outputs[0], axis, join=how)


def _scattered(inputs: Sequence[Array], out: Array, axis: int, join: str) -> Plan | None:
    x, source, at = inputs
    corner = Array(source.dtype, at.shape, source.strides)
    if not (is_native(x.dtype) and is_native(source.dtype)):
        return None
    return _write(corner, out, [at], along_axis(out, at, axis, at.shape), lambda o, n: copy_stage(x, o, 0, n),
                  join=join, source=1)  # fmt: skip


def plan_set_at(inputs: Sequence[Array], outputs: Sequence[Array], *, spec: Sequence[Any]) -> Plan | None:
    """An array with a part replaced; where an index names a place twice, the last value stays."""
    (x, value, *at), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    number = len(inputs)
    if not at:
        if any(isinstance(part, str) for part in spec):
            return None
        return _set_part(x, value, out, spec, number)
    named = advanced(out, at, spec)
    if named is None:
        return None
    fitting = _fit(value, named.shape)
    return _write(fitting, out, at, named, lambda o, n: copy_stage(x, o, 0, n), join="", from_end=True, source=1)


def _set_part(x: Array, value: Array, out: Array, spec: Sequence[Any], number: int) -> Plan | None:
    region, start = sliced(out, spec)
    stages = [copy_stage(x, out, 0, number)]
    if region.size:
        stages.append(copy_stage(_fit(value, region.shape), region, 1, number, (0, start)))
    return None if None in stages else Plan(tuple(stage for stage in stages if stage is not None))


def _fit(value: Array, shape: tuple[int, ...]) -> Array:
    """Return a value broadcast to a shape; further dimensions of one element fall away."""
    extra = max(0, value.ndim - len(shape))
    value = Array(value.dtype, value.shape[extra:], value.strides[extra:])
    return Array(value.dtype, shape, broadcast(value, shape))


def plan_place_class(
    inputs: Sequence[Array], outputs: Sequence[Array], *, axis: int, ignore: int, classes: int
) -> Plan | None:
    """Zeros but for each target's class."""
    (g, target), (out,) = inputs, outputs
    return _write(g, out, [target], of_classes(out, target, axis), _zeros, join="", ignore=ignore)


def plan_one_hot(inputs: Sequence[Array], outputs: Sequence[Array], *, classes: int) -> Plan | None:
    """Ones where integers say, in zeros."""
    (x,), (out,) = inputs, outputs
    if not out.size:
        return Plan(())
    if not _are_places(x):
        return None
    axes = [Axis(n, (a, b)) for n, a, b in zip(x.shape, x.strides, out.strides, strict=False)]
    merged = (*merge(axes), Axis(classes, (0, 1)))
    plan = rows.Rows(("at_", "out"), "bu", len(merged))
    numbers = pack(*rows.numbers(plan, merged, [0, 0]), classes)
    key, work = f"one_hot {out.dtype.name} {x.dtype.name} {plan}", out.size * _NANOSECONDS
    stage = Stage(key, lambda: index_loops.one_hot(out.dtype, x.dtype, plan), (0,), (1, 2), numbers, work)
    return Plan((stage,), (8,), 2)


PLANS: dict[str, Callable[..., Plan | None]] = {
    "pick_class": plan_pick_class,
    "place_class": plan_place_class,
    "class_weights": plan_class_weights,
    "take_rows": plan_take_rows,
    "add_rows": plan_add_rows,
    "gather": plan_gather,
    "scatter_new": plan_scatter_new,
    "scatter_add": plan_scatter_add,
    "scatter": plan_scatter,
    "scatter_with": plan_scatter_with,
    "take_at": plan_take_at,
    "put_add": plan_put_add,
    "set_at": plan_set_at,
    "one_hot": plan_one_hot,
    "from_the_front": plan_from_the_front,
    "known_classes": plan_known_classes,
}
