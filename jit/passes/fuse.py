"""Fuse: equations that share a loop nest become one, so that what passes between them never leaves the registers.

    before:  v1 = subtract(v0, 1.0); v2 = exp(v1); v3 = sum(v2, axis=(1,))
    after:   v3 = fused(v0, body=...)

Elementwise equations join what makes their operands: other elementwise ones, a reduction (softmax, normalisation, a
loss), or the end of a matrix product or convolution. Reductions over the same axes share their passes. Each equation
is looked at once, in order; a group never takes in what would make it wait for itself.

Requires a verified graph without ops that have meanings; ensures that every `fused` body is a closed graph with one
`Space`. Tests: tests/jit/test_fuse.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from tensorlite.jit.evaluate import evaluate
from tensorlite.jit.graph import Equation, Graph, Value
from tensorlite.jit.rewrite import substitute
from tensorlite.jit.space import REDUCTIONS, Space, extents_of, is_relabel, is_scalar, space_of
from tensorlite.op import OPS, Op
from tensorlite.tensor import Tensor

#: Contractions whose kernels apply expressions to their results.
EPILOGUES = frozenset({"matmul", "linear", "conv2d", "conv2d_data", "conv2d_weight"})
MOST_OPERANDS = 24  # arrays of one kernel: more addresses than registers only cost time
LONG_ROW = 1 << 16  # elements: rows from here on are cut in chunks when they are few, which takes a plain reduction
FEW_ROWS = 16
LIGHT = 4  # equations that may share a loop down the columns, where every value takes several registers


def _body(xp: Any, *operands: Any, body: Graph) -> tuple[Any, ...]:
    return tuple(y.array for y in evaluate(body, [Tensor(x) for x in operands]))


#: The op of fused equations: what its body does with its operands.
FUSED = Op("fused", "fused", _body, ("x",), ("body",), variadic=True,
           type_rule=lambda *x, body: tuple(value.type for value in body.outputs))
FUSED.run = lambda *operands, body: _body(None, *operands, body=body)
OPS["fused"] = FUSED


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


def fuse(graph: Graph) -> Graph:
    """Groups equations, and replaces each group of several by one."""
    groups = _Grouping(graph).run()
    users = _users(graph, groups)
    return graph.with_equations([new for group in _ordered(groups) for new in _merged(group, users)])


class _Grouping:
    """The groups so far."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.groups: list[Group] = []
        self.maker: dict[Value, Group] = {}
        self.uses: dict[Value, int] = {}
        self.users: dict[Value, list[Equation]] = {}
        for value in graph.outputs:
            self.uses[value] = self.uses.get(value, 0) + 1
        for equation in graph.equations:
            for value in equation.values:
                self.uses[value] = self.uses.get(value, 0) + 1
                self.users.setdefault(value, []).append(equation)

    def run(self) -> list[Group]:
        for equation in self.graph.equations:
            self.take(equation)
        return [group for group in self.groups if group.equations]

    def take(self, equation: Equation) -> None:
        """Puts an equation into a group of its own, or into one that makes an operand."""
        found = self.join(equation) if _fuses(equation) else None
        group = found or self.start(equation)
        for output in equation.outputs:
            self.maker[output] = group

    def start(self, equation: Equation) -> Group:
        group = Group(len(self.groups), equations=[equation])
        group.before = self.waits(equation.values, group)
        self.groups.append(group)
        if equation.op.name in EPILOGUES and equation.outputs[0].dtype.kind == "f" and equation.outputs[0].size:
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
        if group.closed or group.space is None or self.waits(equation.values, group) & group.bit:
            return None
        is_reduction = equation.op.name in REDUCTIONS
        if group.contract and (is_reduction or is_relabel(equation) or equation.outputs[0].dtype.kind != "f"):
            return None
        if len(_operands([*group.equations, equation])) > MOST_OPERANDS:
            return None
        axes = group.space.place(equation)
        if axes is None or (is_reduction and not self.may_reduce(group, equation)):
            return None
        if group.contract and (axes != _identity(equation.outputs[0].shape) or self.is_better_later(group, equation)):
            return None
        return axes

    def is_better_later(self, group: Group, equation: Equation) -> bool:
        """Whether an equation after a contraction would only be one more result to store.

        What it is computed from is stored anyway, and those who use it can compute it themselves.
        """
        stored = any(self.uses[x] > sum(x is y for y in equation.values) for x in equation.values
                     if self.maker.get(x) is group)
        (output,) = equation.outputs
        users = self.users.get(output, [])
        return stored and self.uses.get(output, 0) == len(users) and all(map(_fuses, users))

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
        if len(_operands(equations)) > MOST_OPERANDS:
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


def _operands(equations: Sequence[Equation]) -> list[Value]:
    """What equations take from outside, each once."""
    inside = {y for equation in equations for y in equation.outputs}
    return list(dict.fromkeys(x for e in equations for x in e.values if x not in inside))


def _ordered(groups: list[Group]) -> list[Group]:
    """The groups such that each comes after those that it waits for, and else as early as its first equation."""
    maker = {y: group for group in groups for e in group.equations for y in e.outputs}
    done: dict[int, Group] = {}

    def visit(group: Group) -> None:
        stack = [(group, iter(_operands(group.equations)))]
        while stack:
            current, operands = stack[-1]
            following = next((maker[x] for x in operands if x in maker and maker[x].number not in done), None)
            if following is not None:
                stack.append((following, iter(_operands(following.equations))))
            else:
                done[current.number] = current
                stack.pop()

    for group in groups:
        if group.number not in done:
            visit(group)
    return list(done.values())


def _users(graph: Graph, groups: list[Group]) -> dict[Value, set[int]]:
    """By value the numbers of the groups that use it; -1 stands for the graph's result."""
    users: dict[Value, set[int]] = {value: {-1} for value in graph.outputs}
    for group in groups:
        for equation in group.equations:
            for x in equation.values:
                users.setdefault(x, set()).add(group.number)
    return users


def _merged(group: Group, users: Mapping[Value, set[int]]) -> list[Equation]:
    """The equations of a group: one fused equation, and views of its results."""
    if group.space is None or len(group.equations) == 1:
        return group.equations
    outside = {y for e in group.equations for y in e.outputs if users.get(y, set()) - {group.number}}
    return _fused(group.equations, outside)


def _fused(equations: list[Equation], outside: set[Value]) -> list[Equation]:
    """One equation for several. Results that are relabelled others are views of them, made after it."""
    maker = {y: e for e in equations for y in e.outputs}
    wanted, views = dict.fromkeys(y for e in equations for y in e.outputs if y in outside), []
    for y in reversed(list(wanted)):
        equation = maker[y]
        if is_relabel(equation):
            del wanted[y]
            views.append(equation)
            source = next(equation.values)
            while source in maker and is_relabel(maker[source]):
                views.append(maker[source])
                source = next(maker[source].values)
            wanted.setdefault(source)
    kept = _needed(equations, wanted)
    if len(kept) == 1:
        return [*kept, *_once(views)]
    operands = _operands(kept)
    fresh = {x: Value(x.type) for x in (*operands, *(y for e in kept for y in e.outputs))}
    body = Graph(tuple(fresh[x] for x in operands),
                 tuple(_renamed(e, fresh) for e in kept), tuple(fresh[y] for y in wanted))
    return [Equation(FUSED, tuple(operands), {"body": body}, tuple(wanted), kept[-1].line), *_once(views)]


def _once(views: list[Equation]) -> list[Equation]:
    return list({id(e): e for e in reversed(views)}.values())


def _needed(equations: Sequence[Equation], wanted: Iterable[Value]) -> list[Equation]:
    needed, kept = set(wanted), []
    for equation in reversed(equations):
        if needed.intersection(equation.outputs):
            needed.update(equation.values)
            kept.append(equation)
    return kept[::-1]


def _renamed(equation: Equation, fresh: dict[Value, Value]) -> Equation:
    """The equation on the body's own values."""
    inner = substitute(equation, fresh)
    return Equation(inner.op, inner.inputs, inner.attributes, tuple(fresh[y] for y in inner.outputs), inner.line)
