"""Grouping: which equations of a graph share a loop nest.

Each equation is looked at once, in order: elementwise ones join what makes their operands, reductions over the same
axes share their passes, and a group never takes in what would make it wait for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod

from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.space import REDUCTIONS, Space, extents_of, is_relabel, is_scalar, space_of
from tensorlite.op import OPS

#: Contractions whose kernels apply expressions to their results.
EPILOGUES = frozenset({"matmul", "linear", "conv2d", "conv2d_data", "conv2d_weight"})
MOST_OPERANDS = 24  # arrays of one kernel: more addresses than registers only cost time
LONG_ROW = 1 << 16  # elements: rows from here on are cut in chunks when they are few, which takes a plain reduction
FEW_ROWS = 16
LIGHT = 4  # equations that may share a loop down the columns, where every value takes several registers



@dataclass
class Group:
    """Equations that will be one; ``before`` has a bit for every group that it waits for."""

    number: int
    space: Space | None = None
    contract: bool = False
    closed: bool = False
    equations: list[Equation] = field(default_factory=list)
    before: int = 0

    @property
    def bit(self) -> int:
        """The group's own bit."""
        return 1 << self.number


class Grouping:
    """The groups so far."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.groups: list[Group] = []
        self.maker: dict[Value, Group] = {}
        self.uses: dict[Value, int] = {}
        self.users: dict[Value, list[Equation]] = {}
        self.given, self.returned = frozenset(graph.inputs), frozenset(graph.outputs)
        self.readers: dict[Value, list[Group]] = {}
        for value in graph.outputs:
            self.uses[value] = self.uses.get(value, 0) + 1
        for equation in graph.equations:
            for value in equation.values:
                self.uses[value] = self.uses.get(value, 0) + 1
                self.users.setdefault(value, []).append(equation)

    def run(self) -> list[Group]:
        """Groups all equations, and gives the groups."""
        for equation in self.graph.equations:
            self.take(equation)
        return [group for group in self.groups if group.equations]

    def take(self, equation: Equation) -> None:
        """Puts an equation into a group of its own, or into one that makes an operand."""
        found = self.join(equation) if _fuses(equation) else None
        group = found or self.start(equation)
        if equation.op.name in REDUCTIONS:
            self.readers.setdefault(next(equation.values), []).append(group)
        for output in equation.outputs:
            self.maker[output] = group

    def start(self, equation: Equation) -> Group:
        """A new group, of one equation so far."""
        group = Group(len(self.groups), equations=[equation])
        group.before = self.waits(equation.values, group)
        self.groups.append(group)
        if equation.op.name in EPILOGUES and equation.outputs[0].dtype.kind in "fV" and equation.outputs[0].size:
            group.contract, group.space = True, Space(extents_of(equation.outputs[0].shape))
            output = equation.outputs[0]
            group.space.axes[output] = _identity(output.shape)
        elif _fuses(equation) and not is_relabel(equation):
            space = space_of(equation)
            axes = space.place(equation)
            if axes is not None:
                group.space = space
                space.add(equation, axes)
                group.closed = _is_long(space)
        return group

    def join(self, equation: Equation) -> Group | None:
        """The group that an equation has joined, together with others whose values it uses."""
        makers = {g.number: g for x in equation.values if (g := self.maker.get(x)) is not None and g.space is not None}
        if equation.op.name in REDUCTIONS:  # one that reduces the same array may do it in the same passes
            makers |= {g.number: g for g in self.readers.get(next(equation.values), ()) if g.space is not None}
        for group in sorted(makers.values(), key=lambda g: (g.contract, g.number), reverse=True):
            axes = self.fits(group, equation)
            if axes is None:
                continue
            assert group.space is not None
            group.space.add(equation, axes)
            group.equations.append(equation)
            self.wait_for(group, self.waits(equation.values, group))
            if _is_long(group.space):
                group.closed = True
            for other in makers.values():
                if other is not group and not (other.contract or other.closed or group.contract or group.closed):
                    self.absorb(group, other)
            return group
        return None

    def fits(self, group: Group, equation: Equation) -> tuple[int, ...] | None:
        """The axes of the group's space that an equation runs along there, if it may join."""
        if group.closed or group.space is None or self.waits(equation.values, group) & group.bit:
            return None
        is_reduction = equation.op.name in REDUCTIONS
        if group.contract and (is_reduction or is_relabel(equation) or equation.outputs[0].dtype.kind not in "fV"):
            return None
        if len(operands([*group.equations, equation])) > MOST_OPERANDS or self.replaces_early(group, equation):
            return None
        axes = group.space.place(equation)
        if axes is None or (is_reduction and not self.may_reduce(group, equation)):
            return None
        if group.contract and (axes != _identity(equation.outputs[0].shape) or self.is_better_later(group, equation)):
            return None
        return axes

    def replaces_early(self, group: Group, equation: Equation) -> bool:
        """Whether an equation would make the next state while someone who waits for the group has yet to read this one.

        Then it could not be updated in place.
        """
        (output,) = equation.outputs
        if output not in self.returned:
            return False
        replaced = [x for x in equation.values if x in self.given and x.type == output.type]
        makers = (self.maker.get(y) for x in replaced for y in self.made_of(x))
        return any(maker is not None and maker is not group and maker.before & group.bit for maker in makers)

    def made_of(self, value: Value) -> Iterable[Value]:
        """What is computed of a value, of views of it too."""
        for user in self.users.get(value, ()):
            yield from user.outputs
            if user.op.kind == "movement":
                for output in user.outputs:
                    yield from self.made_of(output)

    def is_better_later(self, group: Group, equation: Equation) -> bool:
        """Whether an equation after a contraction would only be one more result to store.

        What it is computed from is stored anyway, and those who reduce it can compute it themselves.
        """
        stored = any(self.uses[x] > sum(x is y for y in equation.values) for x in equation.values
                     if self.maker.get(x) is group)
        (output,) = equation.outputs
        users = self.users.get(output, [])
        reduced = any(user.op.name in REDUCTIONS for user in users)
        return stored and reduced and self.uses.get(output, 0) == len(users) and all(map(_fuses, users))

    def may_reduce(self, group: Group, equation: Equation) -> bool:
        """Whether a reduction belongs with what makes its operand."""
        assert group.space is not None
        trial = Space(group.space.extents, group.space.reduced, dict(group.space.axes), dict(group.space.levels))
        axes = trial.place(equation)
        assert axes is not None
        trial.add(equation, axes)
        if _is_long(trial):
            inside = {y for e in group.equations for y in e.outputs}
            used = [x for e in (*group.equations, equation) for x in e.values if x in inside]
            kept_inside = all(self.uses.get(y, 0) == used.count(y) for y in inside)
            return kept_inside and not group.space.reduced
        along_memory = len(trial.extents) - 1 in trial.reduced
        return along_memory or sum(not is_relabel(e) for e in group.equations) <= LIGHT

    def absorb(self, group: Group, other: Group) -> None:
        """Takes another group in, where both have the same space and nothing between them waits for one of them."""
        assert group.space is not None and other.space is not None
        if other.space.extents != group.space.extents or self.between(group, other):
            return
        equations = self.in_order([*group.equations, *other.equations])
        if len(operands(equations)) > MOST_OPERANDS:
            return
        space = Space(group.space.extents)
        for equation in equations:
            axes = space.place(equation)
            if axes is None:
                return
            space.add(equation, axes)
        if _is_long(space) or (space.reduced and len(space.extents) - 1 not in space.reduced
                               and len(equations) > LIGHT):
            return
        group.space, group.equations = space, equations
        for equation in other.equations:
            for output in equation.outputs:
                self.maker[output] = group
        other.equations, other.space = [], None
        for third in self.groups:
            if third.before & other.bit:
                third.before = (third.before & ~other.bit) | group.bit
        self.wait_for(group, other.before & ~group.bit)
        group.before &= ~group.bit

    def between(self, group: Group, other: Group) -> bool:
        """Whether a third group waits for one of the two, and the other for it."""
        both = group.bit | other.bit
        waiting = (group.before | other.before) & ~both
        return any(third.before & both for third in self.groups if third.bit & waiting)

    def in_order(self, equations: list[Equation]) -> list[Equation]:
        """Equations such that each comes after those that make its operands."""
        inside = {y: e for e in equations for y in e.outputs}
        done: dict[int, Equation] = {}

        def visit(equation: Equation) -> None:
            if id(equation) not in done:
                for x in equation.values:
                    if x in inside:
                        visit(inside[x])
                done[id(equation)] = equation

        for equation in equations:
            visit(equation)
        return list(done.values())

    def waits(self, values: Iterable[Value], group: Group) -> int:
        """What computing from these values waits for; the group's own values aside."""
        bits = 0
        for x in values:
            maker = self.maker.get(x)
            if maker is not None and maker is not group:
                bits |= maker.bit | maker.before
        return bits

    def wait_for(self, group: Group, bits: int) -> None:
        """Notes what a group waits for, and all that wait for it do so too."""
        new = bits & ~group.before
        if not new:
            return
        group.before |= new
        for third in self.groups:
            if third.before & group.bit:
                third.before |= new


def _fuses(equation: Equation) -> bool:
    """Whether an equation can be part of a loop nest."""
    if len(equation.outputs) != 1 or equation.outputs[0].type.device != "cpu":
        return False
    if not all(value.size for value in (*equation.values, *equation.outputs)):
        return False
    if equation.op.name in REDUCTIONS and OPS[equation.op.name] is equation.op:
        return next(equation.values).dtype.kind in "biuf" and equation.outputs[0].dtype.kind in "biuf"
    return is_relabel(equation) or is_scalar(equation)


def _is_long(space: Space) -> bool:
    """Whether rows are so few and so long that each must be cut in chunks."""
    size = prod(space.extents[a] for a in space.reduced)
    rows = prod(space.extents[a] for a in space.kept)
    return bool(space.reduced) and size > LONG_ROW and rows < FEW_ROWS


def _identity(shape: Sequence[int]) -> tuple[int, ...]:
    count = iter(range(len(shape)))
    return tuple(-1 if n == 1 else next(count) for n in shape)


def operands(equations: Sequence[Equation]) -> list[Value]:
    """What equations take from outside, each once."""
    inside = {y for equation in equations for y in equation.outputs}
    return list(dict.fromkeys(x for e in equations for x in e.values if x not in inside))
