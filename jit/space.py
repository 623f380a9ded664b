"""Space: the loop nest that fused equations share, and which of its axes each of their values runs along.

Values of a space are *full*, with an element for every point, or *rows*, the results of its reductions, with an
element for every point of the axes that no reduction takes. Axes of extent 1 count for nothing, and values keep the
axes' order, so that an operand from outside is read with one stride an axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tensorlite.eager import compute_dtype
from tensorlite.jit.graph import Equation, Value
from tensorlite.kernels import scalar as s
from tensorlite.op import Elementwise

#: For each dimension of a value the axis that it runs along, or UNIT where its extent is 1.
Axes = tuple[int, ...]
UNIT = -1

REDUCTIONS = frozenset({"sum", "mean", "prod", "max", "min", "any", "all"})
_RELABELS = frozenset({"reshape", "broadcast_to"})


@dataclass
class Space:
    """Extents of the axes, those that reductions take, and the values that are computed here, with their axes.

    ``levels`` counts the reductions, one after the other, that a value needs.
    """

    extents: tuple[int, ...]
    reduced: frozenset[int] = frozenset()
    axes: dict[Value, Axes] = field(default_factory=dict)
    levels: dict[Value, int] = field(default_factory=dict)

    @property
    def kept(self) -> tuple[int, ...]:
        """The axes of rows."""
        return tuple(a for a in range(len(self.extents)) if a not in self.reduced)

    def is_row(self, value: Value) -> bool:
        """Whether a value has one element for each row only."""
        return bool(self.reduced) and _used(self.axes[value]) == self.kept

    def place(self, equation: Equation) -> Axes | None:
        """The axes of an equation's output if it were computed here; None if it cannot be."""
        if equation.op.name in REDUCTIONS:
            return self._place_reduction(equation)
        if equation.op.name in _RELABELS:
            return self._place_relabel(equation)
        found = {axes for x in equation.values if (axes := self.axes.get(x)) is not None}
        return self._allowed(self._broadcast(equation.outputs[0].shape, found))

    def add(self, equation: Equation, axes: Axes) -> None:
        """Computes an equation here, as `place` said."""
        output = equation.outputs[0]
        level = max((self.levels.get(x, 0) for x in equation.values), default=0)
        if equation.op.name in REDUCTIONS:
            self.reduced = _taken(self.axes.get(self._input(equation)) or self._own(equation), equation)
            level += 1
        self.axes[output], self.levels[output] = axes, level

    def _input(self, equation: Equation) -> Value:
        return next(equation.values)

    def _own(self, equation: Equation) -> Axes:
        """The axes of a reduction's operand that comes from outside: all of them."""
        return axes_of(self._input(equation).shape)

    def _place_reduction(self, equation: Equation) -> Axes | None:
        x = self._input(equation)
        axes = self.axes.get(x) or (self._own(equation) if extents_of(x.shape) == self.extents else None)
        if axes is None or _used(axes) != tuple(range(len(self.extents))):
            return None
        taken = _taken(axes, equation)
        if not taken or (self.reduced and taken != self.reduced):
            return None
        if equation.attributes["keepdims"]:
            return tuple(UNIT if a in taken else a for a in axes)
        gone = equation.attributes["axis"]
        return tuple(a for d, a in enumerate(axes) if d not in gone)

    def _place_relabel(self, equation: Equation) -> Axes | None:
        x, shape = self._input(equation), equation.outputs[0].shape
        axes = self.axes[x]
        if equation.op.name == "broadcast_to":
            return self._allowed(self._broadcast(shape, {axes}))
        if extents_of(x.shape) != extents_of(shape):
            return None
        used = iter(_used(axes))
        return tuple(UNIT if n == 1 else next(used) for n in shape)

    def _broadcast(self, shape: tuple[int, ...], operands: set[Axes]) -> Axes | None:
        """The axes of what has this shape, when operands of these axes are broadcast to it."""
        known = [UNIT] * len(shape)
        for axes in operands:
            for d, a in zip(range(len(shape) - len(axes), len(shape)), axes, strict=True):
                if a != UNIT:
                    if known[d] not in (UNIT, a):
                        return None
                    known[d] = a
        last = -1
        for d, n in enumerate(shape):
            if known[d] == UNIT and n > 1:
                following = next((a for a in known[d + 1 :] if a != UNIT), len(self.extents))
                fits = [a for a in range(last + 1, following) if self.extents[a] == n]
                if not fits:
                    return None
                known[d] = fits[0]
            if n > 1:
                if known[d] <= last or self.extents[known[d]] != n:
                    return None
                last = known[d]
        return tuple(known)

    def _allowed(self, axes: Axes | None) -> Axes | None:
        if axes is None or _used(axes) not in (tuple(range(len(self.extents))), self.kept):
            return None
        return axes


def _used(axes: Axes) -> Axes:
    return tuple(a for a in axes if a != UNIT)


def _taken(axes: Axes, equation: Equation) -> frozenset[int]:
    return frozenset(axes[d] for d in equation.attributes["axis"] if axes[d] != UNIT)


def extents_of(shape: Sequence[int]) -> tuple[int, ...]:
    """The extents that count."""
    return tuple(n for n in shape if n != 1)


def axes_of(shape: Sequence[int]) -> Axes:
    """The axes of a full value of that shape."""
    count = iter(range(len(shape)))
    return tuple(UNIT if n == 1 else next(count) for n in shape)


def space_of(equation: Equation) -> Space:
    """The space of an equation by itself."""
    over = next(equation.values) if equation.op.name in REDUCTIONS else equation.outputs[0]
    return Space(extents_of(over.shape))


def is_relabel(equation: Equation) -> bool:
    """Whether an equation only gives dimensions other places: it adds or drops those of extent 1, or repeats."""
    if equation.op.name == "reshape":
        return extents_of(next(equation.values).shape) == extents_of(equation.outputs[0].shape)
    return equation.op.name == "broadcast_to"


_native: dict[object, bool] = {}


def is_scalar(equation: Equation) -> bool:
    """Whether an equation computes each element by an expression that has a native form."""
    op = equation.op
    if op.name in ("cast", "copy"):
        return all(value.dtype.kind in "biufV" for value in (*equation.values, *equation.outputs))
    if not isinstance(op, Elementwise):
        return False
    operands = tuple(x.dtype if isinstance(x, Value) else type(x) for x in equation.inputs)
    key = (op, operands)
    if key not in _native:
        _native[key] = _lowers(equation)
    return _native[key]


def _lowers(equation: Equation) -> bool:
    names = {x: f"v{k}" for k, x in enumerate(dict.fromkeys(equation.values))}
    try:
        s.lower(expression(equation, {x: s.Var(name) for x, name in names.items()}),
                {name: x.dtype for x, name in names.items()})
    except (s.NoLowering, s.ScalarTypeError):
        return False
    return True


def expression(equation: Equation, known: Mapping[Value, s.Expr]) -> s.Expr:
    """What a scalar equation computes of its operands' expressions."""
    output = equation.outputs[0]
    if not isinstance(equation.op, Elementwise):
        return s.cast(known[next(equation.values)], output.dtype)
    op = equation.op
    dtype = compute_dtype(op, [_typed(x) for x, name in zip(equation.inputs, op.inputs, strict=True)
                               if name not in op.conditions])
    bound: dict[s.Expr, s.Expr] = {}
    for name, x in zip(op.inputs, equation.inputs, strict=True):
        wanted = np.dtype(bool) if name in op.conditions else dtype
        if isinstance(x, Value):
            bound[s.Var(name)] = known[x] if x.dtype == wanted else s.cast(known[x], wanted)
        else:
            bound[s.Var(name)] = s.Const(x)
    return s.cast(s.substitute(op.function.body, bound), output.dtype)


def _typed(x: object) -> object:
    return x.type if isinstance(x, Value) else x
