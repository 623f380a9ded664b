"""How control flow maps over a batch: its graphs run on whole batches, and what differs between elements is carried.

A condition that is the same for all stays one. Where it differs, both branches of `cond` run and each element takes
its own; a `while_loop` runs until the last element is done, and those that are done keep their carry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensorlite.batch import Attributes, Batch, is_drawn, move_axis, repeat
from tensorlite.batching import Level
from tensorlite.declare import PUBLIC
from tensorlite.op import Op
from tensorlite.tensor import Tensor

Flags = list[bool]


# --- what differs -------------------------------------------------------------------------------------------------


def differing(graph: Any, given: Sequence[bool]) -> Flags:
    """Which outputs of a graph differ between elements, where these of its inputs do."""
    known = dict(zip(graph.inputs, given, strict=True))
    for equation in graph.equations:
        flags = [hasattr(x, "type") and known.get(x, False) for x in equation.inputs]
        found = _made_differing(equation.op, flags, equation.attributes)
        known.update(zip(equation.outputs, found * len(equation.outputs) if len(found) == 1 else found, strict=True))
    return [known.get(y, False) for y in graph.outputs]


def _made_differing(op: Op, given: Flags, attributes: Mapping[str, Any]) -> Flags:
    if op.name == "cond":
        return _cond_differing(given, attributes)
    if op.name == "scan":
        return _carried(attributes["body"], given, attributes["carries"])
    if op.name == "while_loop":
        return _while_differing(given, attributes)
    return [any(given) or op.name != "advance" and is_drawn(op)]


def _cond_differing(given: Flags, attributes: Attributes) -> Flags:
    found = [differing(attributes[name], given[1:]) for name in ("true", "false")]
    return [given[0] or a or b for a, b in zip(*found, strict=True)]


def _carried(body: Any, given: Sequence[bool], carries: int) -> Flags:
    """Of a loop's outputs; a carry that differs once differs from then on."""
    flags = list(given)
    while True:
        found = differing(body, flags)
        carried = [a or b for a, b in zip(flags[:carries], found, strict=False)]
        if carried == flags[:carries]:
            return [*carried, *found[carries:]]
        flags[:carries] = carried


def _while_differing(given: Flags, attributes: Attributes) -> Flags:
    carries, flags = attributes["carries"], list(given)
    flags[:carries] = _carried(attributes["body"], given, carries)
    return [True] * carries if differing(attributes["cond"], flags)[0] else flags[:carries]


# --- rules --------------------------------------------------------------------------------------------------------


def _call(batch: Batch, graph: Any, tensors: Sequence[Tensor], given: Sequence[bool],
          wanted: Sequence[bool]) -> list[Tensor]:
    """A graph of one element, run on batches: batch axes are in front of what is given and wanted so."""
    level = Level(batch.size)
    with level.running():
        made = graph(*(level.hold(x, 0 if flag else None) for x, flag in zip(tensors, given, strict=True)))
    found = [level.lower(y) for y in made]
    return [_as_wanted(batch, y, axis, flag) for (y, axis), flag in zip(found, wanted, strict=True)]


def _as_wanted(batch: Batch, x: Tensor, axis: int | None, differs: bool) -> Tensor:
    return repeat(x, batch.size) if differs and axis is None else move_axis(x, axis, 0)


def _axes(flags: Sequence[bool], axis: int = 0) -> tuple[int | None, ...]:
    return tuple(axis if flag else None for flag in flags)


def cond_rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Of `cond`."""
    pred, *operands = batch.in_front(inputs)
    given = [axis is not None for axis in batch.axes]
    wanted = _cond_differing(given, attributes)

    def branch(name: str) -> Any:
        return lambda *tensors: _call(batch, attributes[name], tensors, given[1:], wanted)

    if not given[0]:
        found = PUBLIC["cond"](pred, branch("true"), branch("false"), *operands)
    else:
        pairs = zip(branch("true")(*operands), branch("false")(*operands), strict=True)
        found = [_chosen(pred, a, b) for a, b in pairs]
    return tuple(found), _axes(wanted)


def _chosen(which: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """For each element of a batch one of two values."""
    return PUBLIC["where"](PUBLIC["reshape"](which, (*which.shape, *(1,) * (a.ndim - 1))), a, b)


def while_rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Of `while_loop`."""
    carries, flags = attributes["carries"], [axis is not None for axis in batch.axes]
    carried = _while_differing(flags, attributes)
    flags[:carries] = carried
    each_decides = differing(attributes["cond"], flags)[0]
    ready = [_as_wanted(batch, x, axis, flag) for x, axis, flag in zip(inputs, batch.axes, flags, strict=True)]
    consts = ready[carries:]

    def test(carry: Sequence[Tensor]) -> Tensor:
        return _call(batch, attributes["cond"], [*carry, *consts], flags, [each_decides])[0]

    def step(carry: Sequence[Tensor]) -> list[Tensor]:
        made = _call(batch, attributes["body"], [*carry, *consts], flags, carried)
        if not each_decides:
            return made
        going = test(carry)
        return [_chosen(going, new, old) for new, old in zip(made, carry, strict=True)]

    found = PUBLIC["while_loop"](lambda carry: PUBLIC["any"](test(carry)) if each_decides else test(carry), step,
                                 ready[:carries])
    return tuple(found), _axes(carried)


def scan_rule(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Of `scan`: rows have the batch behind the axis that is gone along."""
    body, carries, slices = attributes["body"], attributes["carries"], attributes["slices"]
    flags, end = [axis is not None for axis in batch.axes], carries + slices
    wanted = _carried(body, flags, carries)
    flags[:carries] = wanted[:carries]
    ready = [_as_wanted(batch, x, axis, flag) for x, axis, flag in zip(inputs, batch.axes, flags, strict=True)]
    rows = [move_axis(x, 1, 0) if flag else x for x, flag in zip(ready[carries:end], flags[carries:end], strict=True)]

    def step(carry: Sequence[Tensor], row: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        made = _call(batch, body, [*carry, *row, *ready[end:]], flags, wanted)
        return made[:carries], made[carries:]

    last, ys = PUBLIC["scan"](step, ready[:carries], rows, attributes["length"], attributes["reverse"])
    return (*last, *ys), (*_axes(wanted[:carries]), *_axes(wanted[carries:], 1))
