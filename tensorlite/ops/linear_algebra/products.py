"""Products of vectors and matrices by their own names, diagonals and traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.declare import METHODS, functional, public
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.ops import diagonals
from tensorlite.ops.axes import one_axis
from tensorlite.ops.elementwise import conj, multiply
from tensorlite.ops.filled import ones_like
from tensorlite.ops.join import stack
from tensorlite.ops.linear_algebra.linalg import matmul, tensordot
from tensorlite.ops.manipulation import _roll, expand_dims
from tensorlite.ops.reduce import _sum
from tensorlite.ops.reduce import sum as sum_of
from tensorlite.ops.shape import _broadcast_to, _reshape
from tensorlite.tensor import Tensor

__all__ = ["cross", "diagonal", "multi_dot", "outer", "trace", "vander"]


# --- diagonals ----------------------------------------------------------------------------------------------------


@functional
def diagonal(x: Tensor, /, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, those above the main one for an ``offset`` above 0, those below it for one below 0.

    x: [..., m, n], or with rows and columns along ``dim1`` and ``dim2``. An offset beyond the matrix gives no elements.

    >>> import tensorlite as tl
    >>> tl.linalg.diagonal(tl.tensor([[1, 2], [3, 4]]), offset=1)
    tensor([2])
    """
    if x.ndim < 2:
        raise complaint(ShapeError, "diagonal", "a matrix has two axes", {"x": x})
    return diagonals.diagonal(x, offset, dim1, dim2)


@functional
def trace(x: Tensor, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """The sums of the diagonals of matrices; integers are summed in 64 bits.

    >>> import tensorlite as tl
    >>> tl.linalg.trace(tl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    if x.ndim < 2:
        raise complaint(ShapeError, "trace", "a matrix has two axes", {"x": x})
    return sum_of(diagonal(x, offset=offset), axis=-1, dtype=dtype)


METHODS["trace"] = trace  # `tl.trace` is that of functions


# --- products of vectors ------------------------------------------------------------------------------------------


def _check_vectors(op: str, x1: Tensor, x2: Tensor) -> None:
    if x1.ndim != 1 or x2.ndim != 1:
        raise complaint(ShapeError, op, "takes two vectors", {"x1": x1, "x2": x2}, "give each one axis: x.reshape(-1)")


@public
def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The products of each element of a vector with each of another: x1: [n], x2: [m], the result: [n, m].

    >>> import tensorlite as tl
    >>> tl.outer(tl.tensor([1, 2]), tl.tensor([1, 10]))
    tensor([[ 1, 10],
            [ 2, 20]])
    """
    _check_vectors("outer", x1, x2)
    return multiply(expand_dims(x1, 1), x2)


@public
def dot(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The sum of the products of two vectors' elements, nothing conjugated: see `vdot` and `vecdot`.

    >>> import tensorlite as tl
    >>> tl.dot(tl.tensor([1.0, 2.0]), tl.tensor([3.0, 4.0]))
    tensor(11.)
    """
    _check_vectors("dot", x1, x2)
    return matmul(x1, x2)


@public
def vdot(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The sum of the products of two vectors' elements, those of the first conjugated.

    >>> import tensorlite as tl
    >>> tl.vdot(tl.tensor([1j, 0j]), tl.tensor([1j, 1j]))
    tensor(1.+0.j, dtype=complex64)
    """
    _check_vectors("vdot", x1, x2)
    return matmul(conj(x1), x2)


@public
def inner(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The sums of products over the last axes of two tensors, the other axes of ``x1`` and then of ``x2`` remaining.

    >>> import tensorlite as tl
    >>> tl.inner(tl.tensor([[1.0, 2.0], [3.0, 4.0]]), tl.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if x1.ndim == 0 or x2.ndim == 0:
        return multiply(x1, x2)
    if x1.shape[-1] != x2.shape[-1]:
        raise complaint(ShapeError, "inner", "the last axes differ", {"x1": x1, "x2": x2})
    return tensordot(x1, x2, axes=((x1.ndim - 1,), (x2.ndim - 1,)))


@public
def cross(x1: Tensor, x2: Tensor, /, axis: int = -1) -> Tensor:
    """The cross products of vectors of three elements along an axis; the other axes broadcast.

    Raises `ShapeError` where the vectors do not have three elements.

    >>> import tensorlite as tl
    >>> tl.cross(tl.tensor([1.0, 0.0, 0.0]), tl.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    try:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        raise complaint(ShapeError, "cross", "the shapes do not broadcast", {"x1": x1, "x2": x2}) from None
    place = one_axis("cross", x1 if x1.ndim > x2.ndim else x2, axis, len(shape))
    for x in (x1, x2):
        own = place - len(shape) + x.ndim
        if own < 0 or x.shape[own] != 3:
            raise complaint(ShapeError, "cross", "vectors have three elements", {"x1": x1, "x2": x2, "axis": axis})
    a, b = (_broadcast_to(x, shape=shape) if x.shape != shape else x for x in (x1, x2))

    def rolled(x: Tensor, count: int) -> Tensor:
        return _roll(x, shift=(count,), axis=(place,))
    return rolled(a, -1) * rolled(b, -2) - rolled(a, -2) * rolled(b, -1)


@public
def kron(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Kronecker's product: each element of ``x1`` times the whole of ``x2``, in its place.

    The tensor with fewer axes gets axes of extent 1 in front.

    >>> import tensorlite as tl
    >>> tl.kron(tl.tensor([1, 10]), tl.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    ndim = max(x1.ndim, x2.ndim)
    first, second = ((1,) * (ndim - x.ndim) + x.shape for x in (x1, x2))
    wide = multiply(_reshape(x1, shape=tuple(n for extent in first for n in (extent, 1))),
                    _reshape(x2, shape=tuple(n for extent in second for n in (1, extent))))
    return _reshape(wide, shape=tuple(n * m for n, m in zip(first, second, strict=True)))


@functional
def vander(x: Tensor, /, *, N: int | None = None) -> Tensor:
    """Vandermonde's matrices: the powers 0 to ``N - 1`` of each element, one row an element.

    ``N`` is the number of elements by default.

    >>> import tensorlite as tl
    >>> tl.linalg.vander(tl.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]])
    """
    if x.ndim == 0:
        raise complaint(ShapeError, "vander", "a vector has an axis", {"x": x})
    count = x.shape[-1] if N is None else N
    if count < 1:
        raise complaint(ArgumentError, "vander", f"N must be 1 or more, not {count}", {"x": x})
    powers = [ones_like(x)]
    for _ in range(count - 1):
        powers.append(powers[-1] * x)
    return stack(powers, -1)


# --- products of matrices -----------------------------------------------------------------------------------------


@public
def mv(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The product of a matrix and a vector.

    >>> import tensorlite as tl
    >>> tl.mv(tl.tensor([[1.0, 2.0]]), tl.tensor([3.0, 4.0]))
    tensor([11.])
    """
    if x1.ndim != 2 or x2.ndim != 1:
        raise complaint(ShapeError, "mv", "takes a matrix and a vector", {"x1": x1, "x2": x2}, "use x1 @ x2")
    return matmul(x1, x2)


def _added(op: str, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """``beta * input + alpha * product``; with a ``beta`` of 0 nothing of ``input`` counts, not even a NaN."""
    scaled = product if isinstance(alpha, int) and alpha == 1 else product * alpha
    try:
        fits = np.broadcast_shapes(input.shape, product.shape) == product.shape
    except ValueError:
        fits = False
    if not fits:
        raise complaint(ShapeError, op, f"input does not broadcast to {list(product.shape)}", {"input": input})
    if beta == 0:
        return scaled
    return (input if isinstance(beta, int) and beta == 1 else input * beta) + scaled


def _check_ndims(op: str, **wanted: tuple[Tensor, int]) -> None:
    if any(x.ndim != n for x, n in wanted.values()):
        raise complaint(ShapeError, op, " and ".join(f"{name} has {n} axes" for name, (_, n) in wanted.items()),
                        {name: x for name, (x, _) in wanted.items()})


@public(in_place=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)`` of matrices.

    >>> import tensorlite as tl
    >>> tl.addmm(tl.ones((1, 1)), tl.ones((1, 2)), tl.ones((2, 1)), alpha=2)
    tensor([[5.]])
    """
    _check_ndims("addmm", mat1=(mat1, 2), mat2=(mat2, 2))
    return _added("addmm", input, matmul(mat1, mat2), beta, alpha)


@public(in_place=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)`` of a matrix and a vector.

    >>> import tensorlite as tl
    >>> tl.addmv(tl.ones(1), tl.ones((1, 2)), tl.ones(2))
    tensor([3.])
    """
    _check_ndims("addmv", mat=(mat, 2), vec=(vec, 1))
    return _added("addmv", input, matmul(mat, vec), beta, alpha)


@public(in_place=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)`` of vectors.

    >>> import tensorlite as tl
    >>> tl.addr(tl.ones((1, 2)), tl.ones(1), tl.ones(2))
    tensor([[2., 2.]])
    """
    _check_ndims("addr", vec1=(vec1, 1), vec2=(vec2, 1))
    return _added("addr", input, outer(vec1, vec2), beta, alpha)


@public(in_place=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)`` of stacks of matrices.

    >>> import tensorlite as tl
    >>> tl.baddbmm(tl.ones((1, 1, 1)), tl.ones((1, 1, 2)), tl.ones((1, 2, 1)))
    tensor([[[3.]]])
    """
    _check_ndims("baddbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    return _added("baddbmm", input, matmul(batch1, batch2), beta, alpha)


@public(in_place=True)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * sum(batch1 @ batch2)`` of stacks of matrices, summed over the stack.

    >>> import tensorlite as tl
    >>> tl.addbmm(tl.ones((1, 1)), tl.ones((2, 1, 2)), tl.ones((2, 2, 1)))
    tensor([[5.]])
    """
    _check_ndims("addbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    return _added("addbmm", input, _sum(matmul(batch1, batch2), axis=(0,), keepdims=False, dtype=None), beta, alpha)


@functional
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two or more matrices, in the order that takes the fewest multiplications.

    The first and the last may be vectors. (Cormen et al., "Introduction to Algorithms", 15.2.)

    >>> import tensorlite as tl
    >>> tl.linalg.multi_dot([tl.ones((2, 30)), tl.ones((30, 1)), tl.ones((1, 2))]).shape
    (2, 2)
    """
    chain = list(tensors)
    named = {f"tensors[{i}]": x for i, x in enumerate(chain)}
    if len(chain) < 2:
        raise complaint(ArgumentError, "multi_dot", "takes two or more tensors", named)
    ends = (0, len(chain) - 1)
    if any(x.ndim not in ((1, 2) if i in ends else (2,)) for i, x in enumerate(chain)):
        raise complaint(ShapeError, "multi_dot", "takes matrices, and vectors at the ends", named)
    extents = [1 if chain[0].ndim == 1 else chain[0].shape[0], *(x.shape[0] for x in chain[1:]),
               1 if chain[-1].ndim == 1 else chain[-1].shape[1]]
    return _chained(chain, _splits(extents), 0, len(chain) - 1)


def _splits(extents: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where to split each part of a chain of matrices, so that the least is multiplied."""
    count = len(extents) - 1
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j], split[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + extents[i] * extents[k + 1] * extents[j + 1], k) for k in range(i, j))
    return split


def _chained(chain: Sequence[Tensor], split: dict[tuple[int, int], int], i: int, j: int) -> Tensor:
    if i == j:
        return chain[i]
    return matmul(_chained(chain, split, i, split[i, j]), _chained(chain, split, split[i, j] + 1, j))
