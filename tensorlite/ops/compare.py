"""Whether elements are close, or are among others: isclose, allclose, isin."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import abs as _abs
from tensorlite.ops.elementwise import equal, isfinite, isnan, less_equal, logical_and, logical_not, logical_or, minimum
from tensorlite.ops.filled import full
from tensorlite.ops.indexing.search import _any
from tensorlite.ops.indexing.search import all as _all
from tensorlite.ops.indexing.take import take
from tensorlite.ops.shape import _reshape, astype
from tensorlite.ops.sort import searchsorted, sort
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, promote

#: From how many elements on a sorted list of what is looked for is faster than comparing with each of them.
_MANY = 16


@public
def isclose(x: Tensor, other: Tensor, /, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether elements are equal, or finite and ``abs(x - other) <= atol + rtol * abs(other)``.

    NaN is close to NaN only with ``equal_nan``. Raises `ArgumentError` for negative tolerances.

    >>> import tensorlite as tl
    >>> tl.isclose(tl.tensor([1.0, 2.0]), tl.tensor([1.0000001, 2.1]))
    tensor([ True, False])
    """
    if rtol < 0 or atol < 0:
        raise complaint(ArgumentError, "isclose", f"tolerances must be 0 or more, not rtol={rtol} and atol={atol}",
                        {"x": x, "other": other})
    close = equal(x, other)
    if equal_nan and "f" in (_kind(x), _kind(other)):
        close = logical_or(close, logical_and(isnan(x), isnan(other)))
    if not rtol and not atol:
        return close
    dtype = promote(x.dtype, other.dtype)
    dtype = dtype if dtype.kind not in "biu" else DEFAULT_FLOAT
    x, other = astype(x, dtype, copy=False), astype(other, dtype, copy=False)
    apart = _abs(x - other)
    return logical_or(close, logical_and(isfinite(apart), less_equal(apart, atol + _abs(other) * rtol)))


def _kind(x: Tensor) -> str:
    return "f" if x.dtype.kind not in "biu" else "i"


@public
def allclose(x: Tensor, other: Tensor, /, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close, as `isclose` says, as a bool of Python.

    >>> import tensorlite as tl
    >>> tl.allclose(tl.tensor([1.0, 2.0]), tl.tensor([1.0000001, 2.0]))
    True
    """
    return bool(_all(isclose(x, other, rtol, atol, equal_nan)))


@public(method=False)
def isin(elements: Any, test_elements: Any, /, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among others, or with ``invert`` is not; one of both may be a number.

    ``assume_unique`` allows a faster way, and this one is as fast. NaN is among nothing.

    >>> import tensorlite as tl
    >>> tl.isin(tl.tensor([[1, 2], [3, 4]]), tl.tensor([2, 3]))
    tensor([[False,  True],
            [ True, False]])
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise complaint(DTypeError, "isin", "elements or test_elements must be a tensor",
                        {"elements": elements, "test_elements": test_elements})
    x, others = (x if isinstance(x, Tensor) else asarray(x) for x in (elements, test_elements))
    dtype = promote(x.dtype, others.dtype)
    x, row = astype(x, dtype, copy=False), _reshape(astype(others, dtype, copy=False), shape=(others.size,))
    if not row.size:
        found = full(x.shape, False, dtype=bool)
    elif row.size < _MANY or dtype.kind == "c":
        found = _any(equal(_reshape(x, shape=(*x.shape, 1)), row), axis=(x.ndim,), keepdims=False)
    else:
        ranked = sort(row)
        found = equal(take(ranked, minimum(searchsorted(ranked, x), row.size - 1)), x)
    return logical_not(found) if invert else found
