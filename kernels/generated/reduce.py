"""Reductions of arrays of any strides, over any axes, to fresh arrays; bits never depend on the number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated import cast, folding, launch
from tensorlite.kernels.generated.arrange import arrange
from tensorlite.kernels.generated.layout import axes_of
from tensorlite.kernels.generated.reducers import reduction, result_dtype

Array = npt.NDArray[Any]
DType = np.dtype[Any]

_Plan = Callable[[Array], Any]
_plans: dict[Any, _Plan] = {}
_MANY_PLANS = 10_000
_LAST_POSITION = np.iinfo(np.int32).max  # positions are int32 while they are compared


def run(
    name: str,
    x: Array,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    dtype: Any = None,
    correction: float = 0.0,
) -> Any:
    """Reduce ``x`` over ``axis`` (not negative; None is all) to a fresh array of ``dtype``.

    ``name`` is one of ``reducers.REDUCTIONS``. Returns ``NotImplemented`` where there is no native form: nothing to
    reduce, complex numbers.

    >>> run("sum", np.ones((2, 3), np.float32), 1)
    array([3., 3.], dtype=float32)
    """
    key = (name, x.dtype, x.shape, x.strides, axis, keepdims, dtype, correction)
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= _MANY_PLANS:
            _plans.clear()
        axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        result = result_dtype(name, x.dtype) if dtype is None else np.dtype(dtype)
        plan = _plans[key] = _plan(name, x, axes, keepdims, result, float(correction))
    return plan(x)


def _plan(name: str, x: Array, axes: tuple[int, ...], keepdims: bool, dtype: DType, correction: float) -> _Plan:
    dimensions = axes_of((x,), x.shape)
    if x.size == 0 or x.ndim == 0 or dimensions is None:
        return _refuse
    shape = tuple(1 if d in axes else extent for d, extent in enumerate(x.shape) if keepdims or d not in axes)
    kept, reduced = _by_stride(x, set(range(x.ndim)) - set(axes)), _by_stride(x, axes)
    try:
        fold = reduction(name, x.dtype, dtype)
        found = arrange([dimensions[d] for d in kept], [dimensions[d] for d in reduced], fold)
        if fold.mentions("position") and found.size > _LAST_POSITION:
            return _refuse
        if fold.mentions("position") and (len(found.reduce) > 1 or reduced != sorted(reduced)):
            order = (*sorted(kept), *sorted(reduced))
            return lambda x: _reduce_copy(name, x, order, len(kept), dtype).reshape(shape)
        launcher = folding.launcher(f"{name} {x.dtype.name} {dtype.name}", fold, found, (correction,))
    except (s.NoLowering, s.ScalarTypeError):
        return _refuse
    return _allocating(launcher, x, kept, shape, dtype)


def _refuse(x: Array) -> Any:
    return NotImplemented


def _by_stride(x: Array, axes: Iterable[int]) -> list[int]:
    """Return axes in the order of memory; where the extent is 1 the stride means nothing."""
    return sorted(axes, key=lambda d: (-abs(x.strides[d]) if x.shape[d] > 1 else 0, d))


def _allocating(launcher: folding.Launcher, x: Array, kept: list[int], shape: tuple[int, ...], dtype: DType) -> _Plan:
    """Return a plan that allocates the result: in the order of memory, which is turned into that of the axes."""
    memory, turn = tuple(x.shape[d] for d in kept), tuple(np.argsort(kept))
    address = launch.address

    def in_order(x: Array) -> Array:
        out = np.empty(shape, dtype)
        launcher(address(x), address(out))
        return out

    def turned(x: Array) -> Array:
        out = np.empty(memory, dtype)
        launcher(address(x), address(out))
        return out.transpose(turn).reshape(shape)

    return in_order if kept == sorted(kept) else turned


def _reduce_copy(name: str, x: Array, order: tuple[int, ...], kept: int, dtype: DType) -> Array:
    """Reduce a copy whose last dimension holds the reduced ones of ``order``: positions are those along the axes."""
    moved = x.transpose(order)
    copy = cast.run(moved, np.empty(moved.shape, x.dtype))
    return np.asarray(run(name, copy.reshape(*moved.shape[:kept], -1), kept, False, dtype))
