"""Functions of PyTorch's main namespace that others compose: logspace, gradient, put and kin."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, pi, prod
from typing import Any

from tensorlite.declare import IN_PLACE, METHODS, PUBLIC, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops import aliases, elementwise  # noqa: F401  (it declares functions that are named here)
from tensorlite.ops.axes import as_shape, one_axis, some_axes
from tensorlite.ops.bounds import clip
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import floor_divide, remainder
from tensorlite.ops.indexing.slices import index_put
from tensorlite.ops.join import along, concat
from tensorlite.ops.ranges import arange, linspace
from tensorlite.ops.reduce import sum as total
from tensorlite.ops.shape import astype, reshape
from tensorlite.ops.sort import sort
from tensorlite.ops.special import lgamma
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, FLOATS, dtype_of, float64


@public(method=False)
def as_tensor(data: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    """What `asarray` makes, with PyTorch's parameters: a tensor of numbers, sequences or an array, shared if possible.

    >>> import tensorlite as tl
    >>> tl.as_tensor([1.0, 2.0], tl.float64)
    tensor([1., 2.], dtype=float64)
    """
    return asarray(data, dtype=dtype, device=device)


@public(method=False)
def logspace(start: float, end: float, steps: int, base: float = 10.0, *, dtype: Any = None,
             device: str | None = None) -> Tensor:
    """The powers of ``base`` with ``steps`` evenly spaced exponents from ``start`` to ``end``; float32 by default.

    >>> import tensorlite as tl
    >>> tl.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    exponents = linspace(start, end, steps, dtype=float64, device=device)
    return astype(elementwise.pow(asarray(float(base), dtype=float64, device=device), exponents),
                  dtype_of(dtype or DEFAULT_FLOAT))


@public
def msort(x: Tensor, /) -> Tensor:
    """The elements sorted along the first axis.

    >>> import tensorlite as tl
    >>> tl.msort(tl.tensor([[2, 1], [1, 3]]))
    tensor([[1, 1],
            [2, 3]])
    """
    return sort(x, 0)


@public(method=False)
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The positions, one tensor an axis, of elements that are counted in the order of a tensor of a shape.

    Raises `DTypeError` for indices that are no integers.

    >>> import tensorlite as tl
    >>> tl.unravel_index(tl.tensor([0, 4, 5]), (2, 3))
    (tensor([0, 1, 1]), tensor([0, 1, 2]))
    """
    if indices.dtype.kind not in "iu":
        raise complaint(DTypeError, "unravel_index", f"takes integers, not {indices.dtype.name}", {"indices": indices})
    wanted = as_shape("unravel_index", shape)
    if any(n < 0 for n in wanted):
        raise complaint(ShapeError, "unravel_index", f"no tensor has shape {list(wanted)}", {"indices": indices})
    return tuple(remainder(floor_divide(indices, prod(wanted[axis + 1:])), n) for axis, n in enumerate(wanted))


@public(in_place=True)
def put(x: Tensor, /, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """``x`` with elements of ``source`` at positions that count all elements in order, or added to what is there.

    Raises `ShapeError` for other than one element a position.

    >>> import tensorlite as tl
    >>> tl.put(tl.zeros(2, 2), tl.tensor([0, 3]), tl.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    if index.size != source.size:
        raise complaint(ShapeError, "put", f"{index.size} positions do not take {source.size} elements",
                        {"x": x, "index": index, "source": source})
    flat = index_put(reshape(x, (-1,)), (reshape(index, (-1,)),), reshape(source, (-1,)), accumulate)
    return reshape(flat, x.shape)


# --- of floats ----------------------------------------------------------------------------------------------------


@public(in_place=True)
def ldexp(x: Tensor, other: Tensor, /) -> Tensor:
    """``x * 2**other``; integers become floats.

    >>> import tensorlite as tl
    >>> tl.ldexp(tl.tensor([1.0, 3.0]), tl.tensor([2, -1]))
    tensor([4. , 1.5])
    """
    return x * elementwise.pow(2.0, other)


@public(in_place=True)
def mvlgamma(x: Tensor, /, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension ``p``, for numbers above ``(p - 1) / 2``.

    Raises `ArgumentError` for a dimension below 1.

    >>> import tensorlite as tl
    >>> tl.mvlgamma(tl.tensor([2.0]), 2)
    tensor([0.4516])
    """
    if p < 1:
        raise complaint(ArgumentError, "mvlgamma", f"p must be 1 or more, not {p}", {"x": x})
    lower = arange(p, dtype=x.dtype if x.dtype in FLOATS else None, device=x.device) / 2
    return total(lgamma(reshape(x, (*x.shape, 1)) - lower), axis=-1) + p * (p - 1) / 4 * log(pi)


# --- gradient -----------------------------------------------------------------------------------------------------


@public(method=False)
def gradient(x: Tensor, /, *, spacing: Any = 1.0, axis: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The slopes along axes of a function given at points: by central differences, one-sided ones at the ends.

    ``spacing`` is the distance of points, one for all axes or one for each, or the points' coordinates along each axis.
    ``edge_order`` is 1 or 2, that of the differences at the ends. Raises `ShapeError` for fewer than
    ``edge_order + 1`` points, `ArgumentError` for other orders or spacings.

    >>> import tensorlite as tl
    >>> tl.gradient(tl.tensor([1.0, 2.0, 4.0, 7.0]))
    (tensor([1. , 1.5, 2.5, 3. ]),)
    """
    axes = some_axes("gradient", x, axis)
    if isinstance(axis, list | tuple):  # slopes come in the order that is asked for
        axes = tuple(one_axis("gradient", x, a) for a in axis)
    if edge_order not in (1, 2):
        raise complaint(ArgumentError, "gradient", f"edge_order is 1 or 2, not {edge_order}", {"x": x})
    if any(x.shape[a] <= edge_order for a in axes):
        raise complaint(ShapeError, "gradient", f"takes at least {edge_order + 1} points along each axis", {"x": x})
    spacing = 1.0 if spacing is None else spacing
    spacings = list(spacing) if isinstance(spacing, list | tuple) else [spacing] * len(axes)
    if len(spacings) != len(axes):
        raise complaint(ArgumentError, "gradient", f"there are {len(spacings)} spacings for {len(axes)} axes", {"x": x})
    return tuple(_slope(x, a, _steps(x, a, step), edge_order) for a, step in zip(axes, spacings, strict=True))


def _steps(x: Tensor, axis: int, spacing: Any) -> Tensor:
    """The distances of neighbouring points along an axis, of a shape that broadcasts to ``x``."""
    if not isinstance(spacing, Tensor) or spacing.ndim == 0:
        kind = x.dtype if x.dtype.kind in "fcV" else None  # a spacing is as exact as the elements are
        distance = spacing if isinstance(spacing, Tensor) else asarray(spacing, dtype=kind, device=x.device)
        found = PUBLIC["broadcast_to"](distance, (x.shape[axis] - 1,))
    elif spacing.shape != (x.shape[axis],):
        raise complaint(ShapeError, "gradient", f"spacing must have {x.shape[axis]} coordinates", {"spacing": spacing})
    else:
        found = spacing[1:] - spacing[:-1]
    return reshape(found, (-1,) + (1,) * (x.ndim - axis - 1))


def _slope(x: Tensor, axis: int, steps: Tensor, edge_order: int) -> Tensor:
    """The slopes by parabolas through neighbours, which is what central differences of uneven steps are."""
    def points(first: int | None, last: int | None) -> Tensor:
        return x[along(axis, slice(first, last))]

    def step(first: int | None, last: int | None) -> Tensor:
        return steps[first:last]

    between = (points(1, None) - points(None, -1)) / steps
    before, after = step(None, -1), step(1, None)

    def slopes(first: int | None, last: int | None) -> Tensor:
        return between[along(axis, slice(first, last))]

    inner = (slopes(None, -1) * after + slopes(1, None) * before) / (before + after)
    if edge_order == 1:
        return concat([slopes(None, 1), inner, slopes(-1, None)], axis)
    bend = (slopes(1, None) - slopes(None, -1)) / (before + after)
    first = slopes(None, 1) - bend[along(axis, slice(None, 1))] * step(None, 1)
    last = slopes(-1, None) + bend[along(axis, slice(-1, None))] * step(-1, None)
    return concat([first, inner, last], axis)


# --- bounds of one side, and in place -----------------------------------------------------------------------------


@public(in_place=True)
def clamp_min(x: Tensor, /, min: Any) -> Tensor:
    """Each number, or the bound where it is below.

    >>> import tensorlite as tl
    >>> tl.clamp_min(tl.tensor([-1.0, 2.0]), 0.0)
    tensor([0., 2.])
    """
    return clip(x, min)


@public(in_place=True)
def clamp_max(x: Tensor, /, max: Any) -> Tensor:
    """Each number, or the bound where it is above.

    >>> import tensorlite as tl
    >>> tl.clamp_max(tl.tensor([-1.0, 2.0]), 0.0)
    tensor([-1.,  0.])
    """
    return clip(x, None, max)


def _diagonal_filled(x: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """The tensor with a value on its main diagonal, which in a tall matrix may begin anew below."""
    if x.ndim < 2 or (x.ndim > 2 and len(set(x.shape)) > 1):
        raise complaint(ShapeError, "fill_diagonal_", "takes a matrix, or axes of one extent", {"x": x})
    step = sum(prod(x.shape[axis + 1:]) for axis in range(x.ndim))
    stop = x.size if wrap or x.ndim > 2 else min(x.shape) * step
    flat = reshape(x, (-1,))
    places = PUBLIC["arange"](0, min(stop, x.size), step, device=x.device)
    return reshape(PUBLIC["index_fill"](flat, 0, places, fill_value), x.shape)


_diagonal_filled.__name__ = "fill_diagonal"
IN_PLACE["fill_diagonal"] = _diagonal_filled
for _name in ("cumsum", "cumprod", "tril", "triu", "float_power"):
    IN_PLACE[_name] = PUBLIC[_name]
IN_PLACE["polygamma"] = METHODS["polygamma"]
