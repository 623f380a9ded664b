"""Scalar expressions: immutable graphs of variables, constants and calls of atoms.

Equal expressions are one object (hash-consing), so equality and hashing are by identity and a walk over the graph
visits a shared subexpression once. ``==`` therefore asks "the same expression?"; the comparison atom is
``scalar.equal``.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np

Number: TypeAlias = bool | int | float | complex
Operand: TypeAlias = "Expr | Number"
Rule: TypeAlias = Callable[..., "Operand | None"]

Node = TypeVar("Node", bound="_HasArgs")

_interned: weakref.WeakValueDictionary[tuple[Any, ...], Any] = weakref.WeakValueDictionary()
_lock = threading.RLock()


def intern(key: tuple[Any, ...], build: Callable[[], Any]) -> Any:
    """Return the one living object for ``key``, building it when there is none."""
    with _lock:
        found = _interned.get(key)
        if found is None:
            found = build()
            _interned[key] = found
        return found


def _unlock_after_fork() -> None:
    """In a forked child the lock may be held by a thread that does not exist there."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_after_fork)


class _HasArgs(Protocol):
    @property
    def args(self) -> tuple[Any, ...]: ...


class Expr:
    """A scalar expression; ``Var``, ``Const`` and ``Call`` are its three forms."""

    __slots__ = ("__weakref__",)
    __array_ufunc__ = None  # NumPy scalars on the left defer to the operators below

    @property
    def args(self) -> tuple[Expr, ...]:
        """The operands: empty for variables and constants."""
        return ()

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __bool__(self) -> bool:
        raise TypeError("the truth of a symbolic scalar is not known: use scalar.where(condition, a, b)")

    def __copy__(self) -> Expr:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Expr:
        return self

    def __add__(self, other: Operand) -> Expr:
        return ATOMS["add"](self, other)

    def __radd__(self, other: Operand) -> Expr:
        return ATOMS["add"](other, self)

    def __sub__(self, other: Operand) -> Expr:
        return ATOMS["subtract"](self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return ATOMS["subtract"](other, self)

    def __mul__(self, other: Operand) -> Expr:
        return ATOMS["multiply"](self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return ATOMS["multiply"](other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return ATOMS["divide"](self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return ATOMS["divide"](other, self)

    def __floordiv__(self, other: Operand) -> Expr:
        return ATOMS["floor_divide"](self, other)

    def __rfloordiv__(self, other: Operand) -> Expr:
        return ATOMS["floor_divide"](other, self)

    def __mod__(self, other: Operand) -> Expr:
        return ATOMS["remainder"](self, other)

    def __rmod__(self, other: Operand) -> Expr:
        return ATOMS["remainder"](other, self)

    def __pow__(self, other: Operand) -> Expr:
        return ATOMS["pow"](self, other)

    def __rpow__(self, other: Operand) -> Expr:
        return ATOMS["pow"](other, self)

    def __neg__(self) -> Expr:
        return ATOMS["negative"](self)

    def __pos__(self) -> Expr:
        return self

    def __abs__(self) -> Expr:
        return ATOMS["abs"](self)

    def __invert__(self) -> Expr:
        return ATOMS["bitwise_invert"](self)

    def __and__(self, other: Operand) -> Expr:
        return ATOMS["bitwise_and"](self, other)

    def __rand__(self, other: Operand) -> Expr:
        return ATOMS["bitwise_and"](other, self)

    def __or__(self, other: Operand) -> Expr:
        return ATOMS["bitwise_or"](self, other)

    def __ror__(self, other: Operand) -> Expr:
        return ATOMS["bitwise_or"](other, self)

    def __xor__(self, other: Operand) -> Expr:
        return ATOMS["bitwise_xor"](self, other)

    def __rxor__(self, other: Operand) -> Expr:
        return ATOMS["bitwise_xor"](other, self)

    def __lshift__(self, other: Operand) -> Expr:
        return ATOMS["left_shift"](self, other)

    def __rlshift__(self, other: Operand) -> Expr:
        return ATOMS["left_shift"](other, self)

    def __rshift__(self, other: Operand) -> Expr:
        return ATOMS["right_shift"](self, other)

    def __rrshift__(self, other: Operand) -> Expr:
        return ATOMS["right_shift"](other, self)

    def __lt__(self, other: Operand) -> Expr:
        return ATOMS["less"](self, other)

    def __le__(self, other: Operand) -> Expr:
        return ATOMS["less_equal"](self, other)

    def __gt__(self, other: Operand) -> Expr:
        return ATOMS["greater"](self, other)

    def __ge__(self, other: Operand) -> Expr:
        return ATOMS["greater_equal"](self, other)


class Var(Expr):
    """A variable: the array element, or parameter, of that name."""

    __slots__ = ("name",)
    name: str

    def __new__(cls, name: str) -> Var:
        if not name.isidentifier() or (name[0] == "_" and name[1:2].isdigit()):
            raise ValueError(f"Var: {name!r} is not a variable name (an identifier, and not _ before a digit)")
        return intern((cls, name), lambda: make_frozen(cls, name=name))

    def __reduce__(self) -> tuple[Any, ...]:
        return Var, (self.name,)

    def __repr__(self) -> str:
        return f"Var({self.name!r})"


class Const(Expr):
    """A Python number; it is weak: it takes the dtype of its siblings."""

    __slots__ = ("value",)
    value: Number

    def __new__(cls, value: Number) -> Const:
        return intern((cls, type(value), repr(value)), lambda: make_frozen(cls, value=value))

    def __reduce__(self) -> tuple[Any, ...]:
        return Const, (self.value,)

    def __repr__(self) -> str:
        return f"Const({self.value!r})"


class Call(Expr):
    """An atom applied to operands, as they are: no simplification (``atom(...)`` simplifies)."""

    __slots__ = ("_args", "atom")
    atom: Atom
    _args: tuple[Expr, ...]

    def __new__(cls, atom: Atom, args: tuple[Expr, ...]) -> Call:
        return intern((cls, atom, args), lambda: make_frozen(cls, atom=atom, _args=args))

    @property
    def args(self) -> tuple[Expr, ...]:
        """The operands."""
        return self._args

    def __reduce__(self) -> tuple[Any, ...]:
        return Call, (self.atom, self._args)

    def __repr__(self) -> str:
        return f"<{self.atom.name} of {len(postorder(self))} nodes>"


@dataclass(frozen=True, eq=False)
class Atom:
    """One operation of the language: a row of the table in ``atoms.py``, callable on expressions and numbers.

    ``accepts`` names the kinds of dtype that the operands may have (see ``typing.py``), ``result`` the kind of the
    value. A derivative is a function of the operands and of the value ``y``, one per operand; None says zero. ``fold``
    computes the value exactly from Python numbers. ``domain`` is an interval per operand on which the atom is smooth.
    """

    name: str
    arity: int
    numpy: str | None = None
    accepts: str = "number"
    result: str = "same"
    derivatives: tuple[Rule | None, ...] = ()
    complex_derivatives: tuple[Rule | None, ...] | None = None
    fold: Callable[..., Number] | None = None
    domain: tuple[tuple[float, float], ...] = ()
    dtype: np.dtype[Any] | None = None

    def __call__(self, *args: Operand) -> Expr:
        if len(args) != self.arity:
            raise TypeError(f"{self.name}: takes {self.arity} operands, {len(args)} were given")
        return call(self, tuple(as_expr(arg) for arg in args))

    def __reduce__(self) -> tuple[Any, ...]:
        return find_atom, (self.name,)

    def __repr__(self) -> str:
        return f"scalar.{self.name}"


ATOMS: dict[str, Atom] = {}
"""Every atom by name; filled by ``atoms.py``."""

IDENTITIES: dict[str, tuple[Rule, ...]] = {}
"""Rewrite rules applied when an atom is called, by atom name; filled by ``simplify.py``."""


def find_atom(name: str) -> Atom:
    """Return the atom of that name; ``cast[float32]``, ``bitcast[uint32]`` and ``polygamma[2]`` too."""
    if name not in ATOMS:
        family, _, member = name.rstrip("]").partition("[")
        return FAMILIES[family](member)
    return ATOMS[name]


FAMILIES: dict[str, Callable[[str], Atom]] = {}
"""Makers of the atoms that carry a dtype (cast, bitcast) or a number (polygamma); filled by ``atoms.py``."""


def as_expr(value: Any) -> Expr:
    """Return ``value`` as an expression: numbers, NumPy scalars too, become constants."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float, complex)):
        return Const(value)
    raise TypeError(f"a scalar expression or a number was expected, not {type(value).__name__}")


def call(atom: Atom, args: tuple[Expr, ...]) -> Expr:
    """Apply ``atom``: fold constants, apply its identities, else make the call."""
    if atom.fold is not None and all(isinstance(arg, Const) for arg in args):
        folded = _fold(atom, tuple(arg.value for arg in args))  # type: ignore[attr-defined]
        if folded is not None:
            return folded
    for rule in IDENTITIES.get(atom.name, ()):
        rewritten = rule(*args)
        if rewritten is not None:
            return as_expr(rewritten)
    return Call(atom, args)


def _fold(atom: Atom, values: tuple[Number, ...]) -> Const | None:
    assert atom.fold is not None
    try:
        return Const(atom.fold(*values))
    except (ArithmeticError, ValueError, TypeError):
        return None  # a pole, or a kind the exact rule does not speak of: left to run time


def make_frozen(cls: type[Any], **fields: Any) -> Any:
    """Make an object whose class forbids assignment."""
    made = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


def postorder(*roots: Node) -> list[Node]:
    """List every distinct node once, operands before their users, left to right; for ``Typed`` nodes too."""
    seen: set[Node] = set()
    order: list[Node] = []
    stack: list[tuple[Node, Iterator[Node]]] = []
    for root in roots:
        if root not in seen:
            seen.add(root)
            stack.append((root, iter(root.args)))
        while stack:
            node, operands = stack[-1]
            for operand in operands:
                if operand not in seen:
                    seen.add(operand)
                    if operand.args:
                        stack.append((operand, iter(operand.args)))
                        break
                    order.append(operand)  # as most nodes are leaves
            else:
                order.append(node)
                stack.pop()
    return order
