"""Distances between vectors: cdist, pdist, pairwise_distance, cosine_similarity; and vectors of length 1."""

from __future__ import annotations

import numpy as np

from tensorlite.declare import functional, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.kernels import device as devices
from tensorlite.ops.axes import one_axis, some_axes
from tensorlite.ops.bounds import clip_low
from tensorlite.ops.elementwise import maximum, relu, square
from tensorlite.ops.indexing.scatter import _take_rows
from tensorlite.ops.linear_algebra.linalg import _matmul, swap_last
from tensorlite.ops.linear_algebra.norms import floating, p_norm, vector_norm
from tensorlite.ops.manipulation import broadcast_arrays, expand_dims
from tensorlite.ops.reduce import _sum, deviation
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import FLOATS, GROUPS, promote

__all__ = ["cosine_similarity", "normalize", "pairwise_distance", "pdist"]


# --- of all pairs -------------------------------------------------------------------------------------------------

#: Up to so many rows on each side, differences are cheap enough not to be had by products, which round more.
_FEW = 25

_MODES = {"use_mm_for_euclid_dist_if_necessary": lambda rows: rows > _FEW, "use_mm_for_euclid_dist": lambda rows: True,
          "donot_use_mm_for_euclid_dist": lambda rows: False}


def _check_order(op: str, p: float) -> float:
    if not p >= 0:
        raise complaint(ArgumentError, op, f"p must be 0 or more, not {p}")
    return float(p)


@public(method=False, autocast="wide")
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0,
          compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The distances, in the p-norm, of each row of ``x1`` from each row of ``x2``.

    x1: [..., n, k]; x2: [..., m, k]; the result: [..., n, m]; the other axes broadcast. ``compute_mode`` says when
    Euclidean distances come from products of matrices, which are faster and round more: always
    ("use_mm_for_euclid_dist"), never ("donot_use_mm_for_euclid_dist"), or where either has more than 25 rows. The
    derivative of a distance of 0 is 0.

    >>> import tensorlite as tl
    >>> tl.cdist(tl.tensor([[0.0, 0.0]]), tl.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    named = {"x1": x1, "x2": x2}
    if compute_mode not in _MODES:
        raise complaint(ArgumentError, "cdist", f"no compute_mode is called {compute_mode!r}", named,
                        f"use {', '.join(_MODES)}")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise complaint(ShapeError, "cdist", "x1 and x2 must have rows of the same length", named)
    dtype = promote(x1.dtype, x2.dtype)
    if dtype not in FLOATS:
        raise complaint(DTypeError, "cdist", f"takes real floating dtypes, not {dtype.name}", named,
                        "cast it first: x.to(tl.float32)")
    x1, x2 = astype(x1, dtype, copy=False), astype(x2, dtype, copy=False)
    order = _check_order("cdist", p)
    if order == 2 and _MODES[compute_mode](max(x1.shape[-2], x2.shape[-2])):
        return _by_products(x1, x2)
    apart = expand_dims(x1, -2) - expand_dims(x2, -3)
    if not apart.shape[-1]:  # no norm but inf's knows what the largest of nothing is
        order = 1.0
    return p_norm(apart, order, (apart.ndim - 1,), False)


def _by_products(x1: Tensor, x2: Tensor) -> Tensor:
    """Euclidean distances by ``|a|^2 + |b|^2 - 2 a b``, what rounding makes negative being 0."""
    first, second = (_sum(square(x), axis=(x.ndim - 1,), keepdims=True, dtype=None) for x in (x1, x2))
    return deviation(relu(first + swap_last(second) - 2 * _matmul(x1, swap_last(x2))))


@functional(autocast="wide")
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances, in the p-norm, between each two rows of a matrix: those from the first row first.

    input: [n, k]; the result: [n * (n - 1) / 2]. The derivative of a distance of 0 is 0.

    >>> import tensorlite as tl
    >>> tl.nn.functional.pdist(tl.tensor([[0.0], [1.0], [3.0]]))
    tensor([1., 3., 2.])
    """
    if input.ndim != 2:
        raise complaint(ShapeError, "pdist", "takes a matrix, of which each row is a point", {"input": input})
    if input.dtype not in FLOATS:
        raise complaint(DTypeError, "pdist", f"takes real floating dtypes, not {input.dtype.name}", {"input": input},
                        "cast it first: x.to(tl.float32)")
    device = devices.get(input.device)
    first, second = (Tensor(device.asarray(places)) for places in np.triu_indices(input.shape[0], 1))
    apart = _take_rows(input, first, axis=0) - _take_rows(input, second, axis=0)
    return p_norm(apart, _check_order("pdist", p) if input.shape[1] else 1.0, (1,), False)


# --- of two -------------------------------------------------------------------------------------------------------


@functional(autocast="wide")
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norms of ``x1 - x2 + eps`` over the last axis; the shapes broadcast.

    >>> import tensorlite as tl
    >>> tl.nn.functional.pairwise_distance(tl.tensor([[3.0, 4.0]]), tl.zeros((1, 2)))
    tensor([5.])
    """
    apart = x1 - x2 + eps
    if apart.ndim == 0:
        raise complaint(ShapeError, "pairwise_distance", "vectors have an axis", {"x1": x1, "x2": x2})
    return vector_norm(apart, p, -1, keepdim)


@functional(autocast="wide")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x1 . x2 / (max(|x1|, eps) * max(|x2|, eps))`` along an axis; the shapes broadcast.

    >>> import tensorlite as tl
    >>> tl.nn.functional.cosine_similarity(tl.tensor([[3.0, 4.0]]), tl.tensor([[3.0, 0.0]]))
    tensor([0.6])
    """
    dtype = promote(x1.dtype, x2.dtype)
    if dtype not in GROUPS["real floating"]:
        raise complaint(DTypeError, "cosine_similarity", f"takes real floating dtypes, not {dtype.name}",
                        {"x1": x1, "x2": x2}, "cast it first: x.to(tl.float32)")
    first, second = broadcast_arrays(astype(x1, dtype, copy=False), astype(x2, dtype, copy=False))
    axis = one_axis("cosine_similarity", first, dim)

    def direction(x: Tensor) -> Tensor:
        length = p_norm(x, 2.0, (axis,), True)
        return x / (length + (maximum(length, eps) - length).detach())  # the bound has no part in the derivative
    return _sum(direction(first) * direction(second), axis=(axis,), keepdims=False, dtype=None)


@functional(autocast="wide")
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """``input / max(norm, eps)`` with the p-norms along an axis.

    >>> import tensorlite as tl
    >>> tl.nn.functional.normalize(tl.tensor([[3.0, 4.0]]))
    tensor([[0.6, 0.8]])
    """
    length = p_norm(floating("normalize", input, None), float(p), some_axes("normalize", input, dim), True)
    return input / clip_low(length, eps)
