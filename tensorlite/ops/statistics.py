"""Statistics made of sums: nansum, nanmean, var_mean, std_mean, cov, corrcoef, trapezoid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.axes import one_axis, some_axes
from tensorlite.ops.bounds import clip
from tensorlite.ops.complex_numbers import _from_parts, imag, real
from tensorlite.ops.cumulative import cumulative_sum
from tensorlite.ops.diagonals import diagonal
from tensorlite.ops.elementwise import conj, isnan, logical_not, sqrt, where
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.join import along
from tensorlite.ops.linear_algebra.linalg import matmul
from tensorlite.ops.reduce import ONE_LESS, corrected, mean, std, sum, var
from tensorlite.ops.results import StdMean, VarMean
from tensorlite.ops.shape import _permute_dims, _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, DEFAULT_INTEGER, FLOATS, GROUPS, INTEGERS, dtype_of
from tensorlite.traced import is_traced


@public
def nansum(x: Tensor, /, axis: int | Sequence[int] | None = None, keepdims: bool = False,
           dtype: Any = None) -> Tensor:
    """The `sum` of the elements that are not NaN; 0 of none.

    >>> import tensorlite as tl
    >>> tl.nansum(tl.tensor([1.0, tl.nan, 2.0]))
    tensor(3.)
    """
    return sum(where(isnan(x), 0, x) if x.dtype.kind not in "biu" else x, axis, keepdims, dtype=dtype)


@public
def nanmean(x: Tensor, /, axis: int | Sequence[int] | None = None, keepdims: bool = False, *,
            dtype: Any = None) -> Tensor:
    """The `mean` of the elements that are not NaN; NaN of none. Raises `DTypeError` for integers.

    ``dtype`` is what ``x`` is cast to first.

    >>> import tensorlite as tl
    >>> tl.nanmean(tl.tensor([1.0, tl.nan, 2.0]))
    tensor(1.5)
    """
    x = x if dtype is None else astype(x, dtype_of(dtype), copy=False)
    if x.dtype not in GROUPS["floating"]:
        raise complaint(DTypeError, "nanmean", f"takes floating dtypes, not {x.dtype.name}", {"x": x},
                        "cast it first: x.to(tl.float32)")
    count = sum(astype(logical_not(isnan(x)), DEFAULT_INTEGER), some_axes("nanmean", x, axis), keepdims)
    return nansum(x, axis, keepdims) / astype(count, x.dtype)


@public
def var_mean(x: Tensor, /, axis: int | Sequence[int] | None = None, *, correction: float = ONE_LESS,
             keepdims: bool = False, unbiased: bool | None = None) -> VarMean:
    """The unbiased variance and the mean over one, several or all axes: fields ``var`` and ``mean``.

    The variance is divided by ``n - correction``: as in PyTorch, unlike in `var`, it is unbiased unless told
    otherwise, by ``correction`` or by ``unbiased=False``.

    >>> import tensorlite as tl
    >>> tl.var_mean(tl.tensor([1.0, 2.0, 3.0]))
    VarMean(var=tensor(1.), mean=tensor(2.))
    """
    axis, freedom = corrected("var_mean", x, axis, correction, unbiased, ONE_LESS)
    return VarMean(var(x, axis, keepdims, correction=freedom), mean(x, axis, keepdims))


@public
def std_mean(x: Tensor, /, axis: int | Sequence[int] | None = None, *, correction: float = ONE_LESS,
             keepdims: bool = False, unbiased: bool | None = None) -> StdMean:
    """The standard deviation and the mean over one, several or all axes: fields ``std`` and ``mean``.

    As in PyTorch, unlike in `std`, the variance is unbiased unless told otherwise: ``correction`` is 1.

    >>> import tensorlite as tl
    >>> tl.std_mean(tl.tensor([1.0, 2.0, 3.0])).std
    tensor(1.)
    """
    axis, freedom = corrected("std_mean", x, axis, correction, unbiased, ONE_LESS)
    return StdMean(std(x, axis, keepdims, correction=freedom), mean(x, axis, keepdims))


# --- covariance ---------------------------------------------------------------------------------------------------


def _check_weights(x: Tensor, name: str, weights: Tensor | None, dtypes: Any, kind: str, count: int) -> None:
    if weights is None:
        return
    if weights.shape != (count,):
        raise complaint(ShapeError, "cov", f"{name} must have one number for each of {count} observations",
                        {"x": x, name: weights})
    if weights.dtype not in dtypes:
        raise complaint(DTypeError, "cov", f"{name} must be {kind}, not {weights.dtype.name}", {"x": x, name: weights})
    negative = (weights < 0).any()
    if not is_traced(negative) and bool(negative):
        raise complaint(ArgumentError, "cov", f"{name} cannot be negative", {"x": x, name: weights})


@public
def cov(x: Tensor, /, *, correction: int = 1, fweights: Tensor | None = None,
        aweights: Tensor | None = None) -> Tensor:
    """The covariances of variables, one a row, whose observations are the columns; a variance of one variable alone.

    fweights: how often each observation was made, integers; aweights: how much each counts. Raises `ShapeError` for
    more than two axes and for weights that are not one an observation, `ArgumentError` for negative ones.

    >>> import tensorlite as tl
    >>> tl.cov(tl.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if x.ndim > 2:
        raise complaint(ShapeError, "cov", f"takes at most 2 dimensions, x has {x.ndim}", {"x": x})
    rows = _reshape(x, shape=(1, x.size)) if x.ndim < 2 else x
    rows = rows if x.dtype in GROUPS["floating"] else astype(rows, DEFAULT_FLOAT)
    count = rows.shape[1]
    _check_weights(x, "fweights", fweights, INTEGERS, "integer", count)
    _check_weights(x, "aweights", aweights, FLOATS, "floating", count)
    weights = aweights if fweights is None else fweights if aweights is None else fweights * aweights
    if weights is None:
        freedom: Any = float(max(count - correction, 0))
        centred = rows - mean(rows, 1, True)
        weighed = centred
    else:
        total = sum(weights)
        shrunk = correction if aweights is None else correction * sum(weights * aweights) / total
        freedom = clip(astype(total - shrunk, _real(rows)), 0)
        kept = astype(weights, _real(rows), copy=False)
        centred = rows - sum(rows * kept, 1, True) / astype(total, _real(rows))
        weighed = centred * kept
    found = matmul(weighed, conj(_permute_dims(centred, axes=(1, 0)))) / freedom
    return _reshape(found, shape=()) if rows.shape[0] == 1 else found


def _real(x: Tensor) -> Any:
    return real(x).dtype if x.dtype.kind == "c" else x.dtype


@public
def corrcoef(x: Tensor, /) -> Tensor:
    """The correlations of variables, one a row, whose observations are the columns: `cov` over both deviations.

    Raises `ShapeError` for more than two axes.

    >>> import tensorlite as tl
    >>> tl.corrcoef(tl.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if x.ndim > 2:
        raise complaint(ShapeError, "corrcoef", f"takes at most 2 dimensions, x has {x.ndim}", {"x": x})
    found = cov(x)
    if found.ndim == 0:
        return found / found
    deviations = sqrt(real(diagonal(found)) if found.dtype.kind == "c" else diagonal(found))
    n = deviations.size
    found = found / _reshape(deviations, shape=(n, 1)) / deviations
    if found.dtype.kind == "c":
        return _from_parts(clip(real(found), -1, 1), clip(imag(found), -1, 1))
    return clip(found, -1, 1)


# --- areas --------------------------------------------------------------------------------------------------------


def _strips(op: str, y: Tensor, x: Tensor | None, dx: float | None, axis: int) -> tuple[Tensor, int]:
    """The areas of the strips between neighbours under a curve."""
    if x is not None and dx is not None:
        raise complaint(ArgumentError, op, "x and dx say the same thing: both were given", {"y": y, "x": x, "dx": dx})
    if y.dtype.kind == "b":
        raise complaint(DTypeError, op, "takes numbers, not bool", {"y": y})
    axis = one_axis(op, y, axis)
    heights = (_slice(y, spec=along(axis, slice(1, None))) + _slice(y, spec=along(axis, slice(None, -1)))) / 2
    if x is None:
        return heights * (1 if dx is None else dx), axis
    if x.ndim == 1:
        widths = _slice(x, spec=(slice(1, None),)) - _slice(x, spec=(slice(None, -1),))
        widths = _reshape(widths, shape=(widths.size, *(1,) * (y.ndim - axis - 1)))
    else:
        place = axis - y.ndim + x.ndim
        widths = _slice(x, spec=along(place, slice(1, None))) - _slice(x, spec=along(place, slice(None, -1)))
    if widths.shape[axis - y.ndim] not in (1, heights.shape[axis]):
        raise complaint(ShapeError, op, "there must be one x value for each sample of y", {"y": y, "x": x})
    return heights * widths, axis - y.ndim


@public(method=False)
def trapezoid(y: Tensor, /, x: Tensor | None = None, *, dx: float | None = None, axis: int = -1) -> Tensor:
    """The area under samples of a curve along an axis, by the trapezoidal rule.

    x: where the samples are, else they are ``dx`` apart (1 unless given). Raises `ArgumentError` where both are given.

    >>> import tensorlite as tl
    >>> tl.trapezoid(tl.tensor([1.0, 2.0, 4.0]), dx=2.0)
    tensor(9.)
    """
    areas, axis = _strips("trapezoid", y, x, dx, axis)
    return sum(areas, axis)


@public(method=False)
def cumulative_trapezoid(y: Tensor, /, x: Tensor | None = None, *, dx: float | None = None, axis: int = -1) -> Tensor:
    """The areas under samples of a curve up to each but the first, by the trapezoidal rule; as `trapezoid`.

    >>> import tensorlite as tl
    >>> tl.cumulative_trapezoid(tl.tensor([1.0, 2.0, 4.0]))
    tensor([1.5, 4.5])
    """
    areas, axis = _strips("cumulative_trapezoid", y, x, dx, axis)
    return cumulative_sum(areas, axis)
