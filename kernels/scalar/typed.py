"""Typed expressions: graphs of primitive operations with dtypes; emitters print them, the interpreter runs them.

``Typed(op, args, dtype, value)`` is immutable and hash-consed (equal nodes are one object: memoise by identity).
Leaves: ``var`` (``value`` is the name, ``dtype`` that of the array element) and ``const`` (``value`` is a Python bool,
int or float, exact in ``dtype``). The dtypes are bool, int8 ... uint64, float32, float64; float16 and bfloat16 occur
as ``var``, as the final result, and next to them only in ``convert`` (float16) and ``bitcast``. ``PRIMITIVES`` below
is the closed set.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels.scalar.expr import intern, make_frozen, postorder

PRIMITIVES: dict[str, tuple[int, str, str]] = {
    # op: (operands, kinds of dtype: b bool, i signed, u unsigned, f float32 and float64, h float16 storage, w int32
    # alone; meaning)
    "var": (0, "biufh", "the element of the array called value"),
    "const": (0, "biuf", "the number value"),
    "add": (2, "iuf", "a + b; integers wrap"),
    "sub": (2, "iuf", "a - b; integers wrap"),
    "mul": (2, "iuf", "a * b; integers wrap"),
    "div": (2, "iuf", "a / b; integers: truncated, b is never 0, nor -1 beside the smallest a"),
    "rem": (2, "iu", "a - b * (a div b); the same promise about b"),
    "fma": (3, "f", "a * b + c, rounded once"),
    "dot2": (3, "f", "a plus the products of two bfloat16s in each of the uint32s b and c: the upper ones' first, each "
                     "added by an fma; float32 only, and subnormal numbers, results too, may count as zero"),
    "dot4": (3, "w", "a + the products, summed, of the 4 bytes of b, unsigned, and those of c, signed; wraps"),
    "dot_halves": (3, "w", "a + the products, summed, of the 2 signed halves of b and those of c; wraps"),
    "neg": (1, "iuf", "-a (floats: the sign bit flipped; integers wrap)"),
    "abs": (1, "if", "|a| (floats: the sign bit cleared; integers wrap)"),
    "min": (2, "iuf", "the smaller; NaN if either is NaN; of zeros either one"),
    "max": (2, "iuf", "the larger; NaN if either is NaN; of zeros either one"),
    "floor": (1, "f", "rounded down"),
    "ceil": (1, "f", "rounded up"),
    "trunc": (1, "f", "rounded towards zero"),
    "rint": (1, "f", "rounded to nearest, ties to even"),
    "sqrt": (1, "f", "the square root, correctly rounded"),
    "copysign": (2, "f", "|a| with the sign bit of b"),
    "and": (2, "biu", "bitwise; on bool logical"),
    "or": (2, "biu", "bitwise; on bool logical"),
    "xor": (2, "biu", "bitwise; on bool logical"),
    "not": (1, "biu", "bitwise; on bool logical"),
    "shl": (2, "iu", "a << b, 0 <= b < width"),
    "shr": (2, "iu", "a >> b, 0 <= b < width: arithmetic for signed a, logical for unsigned"),
    "lt": (2, "b", "a < b, a bool (operands of one dtype; false beside NaN; false < true)"),
    "le": (2, "b", "a <= b"),
    "gt": (2, "b", "a > b"),
    "ge": (2, "b", "a >= b"),
    "eq": (2, "b", "a == b; false beside NaN"),
    "ne": (2, "b", "a != b; true beside NaN"),
    "select": (3, "biuf", "b where the bool a holds, else c"),
    "bitcast": (1, "iufh", "the same bits as another dtype of that width"),
    "convert": (1, "biufh", "a as dtype: to integers wraps integers, truncates floats and saturates (NaN gives 0); to "
                            "floats rounds to nearest even; to bool is a != 0; float16 from and to float32 only"),
}  # fmt: skip


class Typed:
    """A primitive operation on typed operands."""

    __slots__ = ("__weakref__", "args", "dtype", "op", "value")
    op: str
    args: tuple[Typed, ...]
    dtype: np.dtype[Any]
    value: bool | int | float | str | None

    def __new__(
        cls, op: str, args: tuple[Typed, ...], dtype: Any, value: bool | int | float | str | None = None
    ) -> Typed:
        dtype = np.dtype(dtype)
        key = (cls, op, args, dtype, type(value), repr(value))
        return intern(key, lambda: make_frozen(cls, op=op, args=args, dtype=dtype, value=value))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("Typed is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        return Typed, (self.op, self.args, self.dtype, self.value)

    def __repr__(self) -> str:
        return f"<{self.op} {self.dtype} of {len(postorder(self))} nodes>"


def typed_text(root: Typed) -> str:
    """Return a canonical listing, one node a line, stable across processes: a key for caches.

    >>> x = Typed("var", (), "float32", "x")
    >>> print(typed_text(Typed("mul", (x, x), "float32")))
    %0 = var float32 x
    %1 = mul float32 %0 %0
    """
    lines: list[str] = []
    names: dict[Typed, str] = {}
    for node in postorder(root):
        names[node] = f"%{len(lines)}"
        operands = [names[arg] for arg in node.args] if node.value is None else [_spell(node.value)]
        lines.append(" ".join((f"{names[node]} = {node.op} {node.dtype.name}", *operands)))
    return "\n".join(lines)


def _spell(value: bool | int | float | str) -> str:
    return value if isinstance(value, str) else value.hex() if isinstance(value, float) else repr(value)
