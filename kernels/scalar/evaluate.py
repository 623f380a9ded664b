"""What a ``Typed`` graph means, in NumPy: the definition that kernels are held to and that the interpreter runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels.scalar.expr import postorder
from tensorlite.kernels.scalar.typed import Typed

Array = npt.NDArray[Any]


def evaluate_typed(root: Typed, variables: Mapping[str, Array]) -> Array:
    """Compute ``root`` on arrays, each of the dtype of its variable; floating-point warnings are silenced.

    >>> x = Typed("var", (), "float32", "x")
    >>> evaluate_typed(Typed("fma", (x, x, x), "float32"), {"x": np.float32([2, 3])})
    array([ 6., 12.], dtype=float32)
    """
    values: dict[Typed, Array] = {}
    with np.errstate(all="ignore"):
        for node in postorder(root):
            if node.op == "var":
                values[node] = np.asarray(variables[str(node.value)])
                if values[node].dtype != node.dtype:
                    raise TypeError(f"evaluate_typed: {node.value} is {values[node].dtype}, not {node.dtype}")
            elif node.op == "const":
                values[node] = np.asarray(node.value, node.dtype)
            else:
                values[node] = apply_primitive(node.op, node.dtype, *(values[arg] for arg in node.args))
    return values[root]


def apply_primitive(op: str, dtype: np.dtype[Any], *args: Array) -> Array:
    """Apply one primitive to arrays; the result has ``dtype``."""
    if op in ("convert", "bitcast"):
        return _convert(args[0], dtype) if op == "convert" else np.asarray(args[0]).view(dtype)
    if op == "dot2":
        return _dot2(*args)
    if op == "fma":
        return (_fma_single if dtype == np.float32 else _fma_double)(*args)
    return np.asarray(_FUNCTIONS[op](*args), dtype)


def _convert(x: Array, dtype: np.dtype[Any]) -> Array:
    if x.dtype.kind == "f" and dtype.kind in "iu":
        return _saturate(x, dtype)
    return np.asarray(x).astype(dtype)


def _saturate(x: Array, dtype: np.dtype[Any]) -> Array:
    limits = np.iinfo(dtype)
    low, high = float(limits.min), float(limits.max)  # high may round up to the power of two above
    inside = np.where((x >= low) & (x < high), x, 0).astype(dtype)
    return np.where(x >= high, dtype.type(limits.max), np.where(x < low, dtype.type(limits.min), inside))


def _divide_integers(a: Array, b: Array) -> Array:
    quotient = a // b
    return quotient + ((quotient < 0) & (quotient * b != a)) if a.dtype.kind == "i" else quotient


def _divide(a: Array, b: Array) -> Array:
    return a / b if a.dtype.kind == "f" else _divide_integers(a, b)


def _fma_single(a: Array, b: Array, c: Array) -> Array:
    """a * b is exact in float64; the sum is rounded to odd there, so that rounding to float32 rounds once."""
    product, c = np.multiply(a, b, dtype=np.float64), np.asarray(c, np.float64)
    return _round_to_odd(*_two_sum(product, c)).astype(np.float32)


def _dot2(total: Array, left: Array, right: Array) -> Array:
    """As the instruction ``vdpbf16ps`` does it: upper halves first, and no subnormal number goes in or comes out."""
    total = _without_subnormals(total)
    for half in (lambda pair: pair & np.uint32(0xFFFF0000), lambda pair: pair << np.uint32(16)):
        a, b = (_without_subnormals(half(np.asarray(pair)).view(np.float32)) for pair in (left, right))
        total = _without_subnormals(_fma_single(a, b, total))
    return total


def _without_subnormals(x: Array) -> Array:
    x = np.asarray(x)
    return np.where(np.abs(x) < np.finfo(np.float32).smallest_normal, np.copysign(np.float32(0), x), x)


def _fma_double(a: Array, b: Array, c: Array) -> Array:
    """Round a * b + c once; exact save near overflow and underflow.

    Boldo and Melquiond, Emulation of FMA and correctly rounded sums, 2008.
    """
    plain = a * b + c
    high, low = _two_product(a, b)
    tail_high, tail_low = _two_sum(np.asarray(c, np.float64), low)
    head, rest = _two_sum(high, tail_high)
    exact = head + _round_to_odd(*_two_sum(rest, tail_low))
    return np.where(np.isfinite(exact) & (exact != 0), exact, plain)  # a zero has its sign from the plain sum


def _dot4(total: Array, a: Array, b: Array) -> Array:
    """The bytes of a lane lie side by side; all sums are modulo 2**32."""
    total, a, b = (np.ascontiguousarray(x) for x in np.broadcast_arrays(total, a, b))
    unsigned, signed = (
        x[..., np.newaxis].view(dtype).astype(np.int32) for x, dtype in ((a, np.uint8), (b, np.int8))
    )
    return total + np.sum(unsigned * signed, axis=-1, dtype=np.int32)


def _dot_halves(total: Array, a: Array, b: Array) -> Array:
    """The int16s of a lane lie side by side; all sums are modulo 2**32."""
    total, a, b = (np.ascontiguousarray(x) for x in np.broadcast_arrays(total, a, b))
    left, right = (x[..., np.newaxis].view(np.int16).astype(np.int32) for x in (a, b))
    return total + np.sum(left * right, axis=-1, dtype=np.int32)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    product = np.asarray(a * b)
    (a1, a2), (b1, b2) = _split(a), _split(b)
    return product, a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2)


def _split(x: Array) -> tuple[Array, Array]:
    scaled = x * 134217729.0  # Veltkamp: 2**27 + 1
    high = scaled - (scaled - x)
    return high, x - high


def _round_to_odd(total: Array, error: Array) -> Array:
    """Round total + error (|error| at most half an ulp) to odd: an inexact sum gets an odd last bit."""
    total = np.asarray(total)
    bits = total.view(np.int64)
    inexact = (error != 0) & np.isfinite(total) & np.isfinite(error) & ((bits & 1) == 0)
    away = (error > 0) == (total > 0)
    return np.where(inexact, bits + np.where(away, 1, -1), bits).view(np.float64)


_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divide,
    "rem": np.fmod,
    "dot4": _dot4,
    "dot_halves": _dot_halves,
    "neg": np.negative,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "rint": np.rint,
    "sqrt": np.sqrt,
    "copysign": np.copysign,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "shl": np.left_shift,
    "shr": np.right_shift,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "select": np.where,
}
