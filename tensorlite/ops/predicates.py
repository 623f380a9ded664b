"""Questions about tensors and their elements: is_complex, is_nonzero, isposinf, isreal, numel and kin."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.ops.complex_numbers import imag
from tensorlite.ops.elementwise import equal
from tensorlite.ops.filled import ones_like, zeros_like
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import FLOATS, dtype_of, promote

# --- of a tensor --------------------------------------------------------------------------------------------------


@public(method=False)
def is_tensor(obj: Any, /) -> bool:
    """Whether an object is a tensor.

    >>> import tensorlite as tl
    >>> tl.is_tensor(tl.ones(2)), tl.is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, Tensor)


@public
def is_floating_point(x: Tensor, /) -> bool:
    """Whether the dtype is a real floating one.

    >>> import tensorlite as tl
    >>> tl.is_floating_point(tl.ones(2))
    True
    """
    return x.dtype in FLOATS


@public
def is_complex(x: Tensor, /) -> bool:
    """Whether the dtype is complex.

    >>> import tensorlite as tl
    >>> tl.is_complex(tl.ones(2))
    False
    """
    return x.dtype.kind == "c"


@public
def is_signed(x: Tensor, /) -> bool:
    """Whether the dtype has negative numbers.

    >>> import tensorlite as tl
    >>> tl.is_signed(tl.ones(2, dtype=tl.uint8))
    False
    """
    return x.dtype.kind not in "bu"


@public
def is_nonzero(x: Tensor, /) -> bool:
    """Whether the one element of a tensor is not zero. Raises `ArgumentError` for none or several.

    >>> import tensorlite as tl
    >>> tl.is_nonzero(tl.tensor([2.0]))
    True
    """
    if x.size != 1:
        raise complaint(ArgumentError, "is_nonzero", f"takes one element, not {x.size}", {"x": x},
                        "use tl.any(x) or tl.all(x)")
    return bool(x)


@public
def numel(x: Tensor, /) -> int:
    """The number of elements.

    >>> import tensorlite as tl
    >>> tl.numel(tl.ones(2, 3))
    6
    """
    return x.size


@public(method=False)
def promote_types(type1: Any, type2: Any) -> Any:
    """The dtype in which numbers of two dtypes meet.

    >>> import tensorlite as tl
    >>> tl.promote_types(tl.int32, tl.float32)
    dtype('float32')
    """
    return promote(dtype_of(type1), dtype_of(type2))


# --- of elements --------------------------------------------------------------------------------------------------


def _real(op: str, x: Tensor) -> Tensor:
    if x.dtype.kind == "c":
        raise complaint(DTypeError, op, "complex numbers have no sign", {"x": x}, "use tl.isinf(x)")
    return x


@public
def isposinf(x: Tensor, /) -> Tensor:
    """Whether each number is positive infinity. Raises `DTypeError` for complex numbers.

    >>> import tensorlite as tl
    >>> tl.isposinf(tl.tensor([-tl.inf, tl.inf, 1.0]))
    tensor([False,  True, False])
    """
    return equal(x, float("inf")) if _real("isposinf", x).dtype in FLOATS else zeros_like(x, dtype=bool)


@public
def isneginf(x: Tensor, /) -> Tensor:
    """Whether each number is negative infinity. Raises `DTypeError` for complex numbers.

    >>> import tensorlite as tl
    >>> tl.isneginf(tl.tensor([-tl.inf, tl.inf, 1.0]))
    tensor([ True, False, False])
    """
    return equal(x, -float("inf")) if _real("isneginf", x).dtype in FLOATS else zeros_like(x, dtype=bool)


@public
def isreal(x: Tensor, /) -> Tensor:
    """Whether each number has no imaginary part.

    >>> import tensorlite as tl
    >>> tl.isreal(tl.tensor([1j, 1.0]))
    tensor([False,  True])
    """
    return equal(imag(x), 0) if x.dtype.kind == "c" else ones_like(x, dtype=bool)
