"""Recomputing: what is cheap is computed where it is used, rather than stored, and kept until then.

A value of one group that another one reads is spelled out in the other where it takes a few light operations, of rows
and of at most one array that is in memory anyway. What a forward pass would keep for its backward one goes that way:
normalised inputs, masks, scaled gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.grouping import MOST_OPERANDS, Group, operands
from tensorlite.jit.rewrite import substitute
from tensorlite.jit.space import Space, expression, is_scalar
from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.arrange import operations

MOST_EQUATIONS = 4
LIGHT = 12  # instructions at an element that cost less than to write and read it


def recompute(graph: Graph, groups: list[Group]) -> list[Group]:
    """Lets groups compute cheap values of others themselves, where these then need not be stored."""
    maker = {y: group for group in groups for e in group.equations for y in e.outputs}
    readers: dict[Value, list[Group]] = {}
    for group in groups:
        for x in operands(group.equations):
            readers.setdefault(x, []).append(group)
    returned = set(graph.outputs)
    for group in groups:
        if group.space is None or group.contract or group.closed:
            continue
        for equation in list(group.equations):
            value = equation.outputs[0]
            if value in returned or value not in readers or not is_scalar(equation) or _is_row(group, value):
                continue
            spelled = _spell(group, equation)
            if spelled is None or any(_refuses(reader) for reader in readers[value]):
                continue
            changed = [_with(reader, value, spelled) for reader in readers[value]]
            if any(made is None for made in changed):
                continue
            for reader, made in zip(readers.pop(value), changed, strict=True):
                assert made is not None
                reader.equations, reader.space = made
                for x in operands(spelled):
                    if reader not in readers.setdefault(x, []):
                        readers[x].append(reader)
                    source = maker.get(x)
                    if source is not None and source is not reader:
                        reader.before |= source.bit | source.before
    return groups


def _is_row(group: Group, value: Value) -> bool:
    return group.space is not None and bool(group.space.reduced) and group.space.is_row(value)


def _refuses(reader: Group) -> bool:
    return reader.space is None or reader.contract or reader.closed


def _spell(group: Group, equation: Equation) -> list[Equation] | None:
    """The equations that compute a value from rows and from what its group reads; None if they are not cheap."""
    assert group.space is not None
    inside = {y: e for e in group.equations for y in e.outputs}
    found: dict[int, Equation] = {}
    arrays: set[Value] = set()

    def visit(current: Equation) -> bool:
        if not is_scalar(current) or len(found) >= MOST_EQUATIONS:
            return False
        for x in current.values:
            if x in inside and not _is_row(group, x):
                if not visit(inside[x]):
                    return False
            elif x.size >= equation.outputs[0].size:
                arrays.add(x)
        found[id(current)] = current
        return True

    if not visit(equation) or len(arrays) > 1 or len(found) > MOST_EQUATIONS:
        return None
    if any(x.dtype.itemsize > equation.outputs[0].dtype.itemsize for x in arrays) or _cost(found.values()) > LIGHT:
        return None
    return list(found.values())


def _cost(equations: Iterable[Equation]) -> int:
    return operations(expression(e, {x: s.Var(f"v{k}") for k, x in enumerate(dict.fromkeys(e.values))})
                      for e in equations)


def _with(reader: Group, value: Value, spelled: Sequence[Equation]) -> tuple[list[Equation], Space] | None:
    """The reader's equations after copies of those that compute a value, and their space; None if they have none."""
    assert reader.space is not None
    fresh: dict[Value, Value] = {}
    copies = []
    for equation in spelled:
        copy = substitute(equation, fresh)
        output = equation.outputs[0]
        fresh[output] = Value(output.type)
        copies.append(Equation(copy.op, copy.inputs, copy.attributes, (fresh[output],), copy.line))
    equations = [*copies, *(substitute(e, {value: fresh[value]}) for e in reader.equations)]
    space = Space(reader.space.extents)
    for equation in equations:
        axes = space.place(equation)
        if axes is None:
            return None
        space.add(equation, axes)
    if len(operands(equations)) > MOST_OPERANDS:
        return None
    return equations, space
