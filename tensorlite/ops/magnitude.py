"""Lengths and distances of vectors by PyTorch's names: norm, dist, renorm."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.ops.axes import one_axis, some_axes
from tensorlite.ops.elementwise import where
from tensorlite.ops.linear_algebra.norms import floating, matrix_norm, p_norm
from tensorlite.ops.reduce import Axis
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor


@public(autocast="wide")
def norm(input: Tensor, p: float | str | None = "fro", axis: Axis = None, keepdims: bool = False,
         dtype: Any = None) -> Tensor:
    """``torch.norm``: the p-norm of all elements or over axes, "fro" being the 2-norm, and "nuc" that of matrices.

    See `linalg.vector_norm` and `linalg.matrix_norm`, which say which of both is meant. Raises `DTypeError` for
    integers.

    >>> import tensorlite as tl
    >>> tl.norm(tl.tensor([[3.0, 4.0]]), 1)
    tensor(7.)
    """
    axes, p = some_axes("norm", input, axis), 2.0 if p in ("fro", None) else p
    if isinstance(p, int | float):
        return p_norm(floating("norm", input, dtype), float(p), axes, bool(keepdims))
    if p != "nuc":
        raise complaint(ArgumentError, "norm", f"p must be a number, 'fro' or 'nuc', not {p!r}", {"input": input})
    if len(axes) != 2:
        raise complaint(ArgumentError, "norm", "'nuc' is a norm of matrices, which have two axes",
                        {"input": input, "axis": axis})
    return matrix_norm(input, p, axes, keepdims, dtype=dtype)


@public(autocast="wide")
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of all elements of ``input - other``.

    >>> import tensorlite as tl
    >>> tl.dist(tl.tensor([3.0, 4.0]), tl.zeros(2))
    tensor(5.)
    """
    return p_norm(floating("dist", input - other, None), float(p), tuple(range(max(input.ndim, other.ndim))), False)


@public(in_place=True)
def renorm(x: Tensor, /, p: float, axis: int, maxnorm: float) -> Tensor:
    """The slices across an axis, those whose ``p``-norm is above ``maxnorm`` scaled down to it.

    Raises `ArgumentError` for ``p`` not above 0 and for a negative ``maxnorm``, `ShapeError` for fewer than two axes.

    >>> import tensorlite as tl
    >>> tl.renorm(tl.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6, 0.8],
            [0.3, 0.4]])
    """
    if p <= 0:
        raise complaint(ArgumentError, "renorm", f"p must be positive, not {p}", {"x": x})
    if maxnorm < 0:
        raise complaint(ArgumentError, "renorm", f"maxnorm must be 0 or more, not {maxnorm}", {"x": x})
    if x.ndim < 2:
        raise complaint(ShapeError, "renorm", f"takes at least 2 dimensions, x has {x.ndim}", {"x": x})
    axis = one_axis("renorm", x, axis)
    others = tuple(a for a in range(x.ndim) if a != axis)
    length = p_norm(x, float(p), others, True)
    return x * astype(where(length > maxnorm, maxnorm / (length + 1e-7), 1.0), x.dtype, copy=False)
