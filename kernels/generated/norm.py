"""Softmax, layer, rms and batch normalisation on arrays of any strides: forward, saved statistics, backward.

Every function returns fresh arrays. Where there is no native form (complex numbers, integers, nothing to normalise) it
returns ``NotImplemented``. Statistics are float32, of float64 arrays float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import allocator
from tensorlite.kernels.generated import cast, elementwise, folding, launch, norms
from tensorlite.kernels.generated.arrange import arrange
from tensorlite.kernels.generated.fold import Fold, carrier
from tensorlite.kernels.generated.layout import axes_of

Array = npt.NDArray[Any]
DType = np.dtype[Any]

_Plan = Callable[[Sequence[Array], Sequence[Array]], Any]
_plans: dict[Any, _Plan] = {}
_MANY_PLANS = 10_000
_LONG_ROW = 65536  # elements: rows from here on are cut in chunks, so that all threads have work
_FEW_ROWS = 16


def softmax(x: Array, axis: int) -> Any:
    """Return ``exp(x) / sum(exp(x))`` along ``axis``.

    >>> softmax(np.zeros((1, 4), np.float32), 1)
    array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """
    return _map_rows("softmax", (x,), axis)


def log_softmax(x: Array, axis: int) -> Any:
    """Return ``x - log(sum(exp(x)))`` along ``axis``."""
    return _map_rows("log_softmax", (x,), axis)


def softmax_backward(g: Array, y: Array, axis: int) -> Any:
    """Return the gradient of ``softmax`` from that of its result ``y``."""
    return _map_rows("softmax_backward", (g, y), axis)


def log_softmax_backward(g: Array, y: Array, axis: int) -> Any:
    """Return the gradient of ``log_softmax`` from that of its result ``y``."""
    return _map_rows("log_softmax_backward", (g, y), axis)


def layer_norm(x: Array, weight: Array | None, bias: Array | None, dims: int, eps: float) -> Any:
    """Normalise over the last ``dims`` dimensions; return the result, the means and ``1 / sqrt(var + eps)``."""
    given = [array for array in (weight, bias) if array is not None]
    key = ("layer_norm", weight is not None, bias is not None)
    return _fold(key, norms.layer_norm, (x, *given), (), _last(x, dims), (eps,))


def cotangent_of_rows(g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, dims: int) -> Any:
    """Return the gradient of x of ``layer_norm``."""
    given = [] if weight is None else [weight]
    found = _fold(("norm_backward", weight is not None), norms.norm_backward, (g, x, *given), (mean, rstd),
                  _last(x, dims))
    return found if found is NotImplemented else found[0]


def sums_over_rows(g: Array, x: Array, mean: Array, rstd: Array, dims: int) -> Any:
    """Return the gradients of the weight and of the bias of ``layer_norm``."""
    c = carrier(x.dtype)
    over = [np.asarray(array, c).reshape(array.shape + (1,) * dims) for array in (mean, rstd)]
    rows = tuple(range(x.ndim - dims))
    return _fold(("parameter_gradients", x.dtype), norms.parameter_gradients, (g, x, *over), (), rows)


def cell_sums(g: Array, x: Array, mean: Array, rstd: Array, axes: tuple[int, ...]) -> Any:
    """Return ``sum g h`` and ``sum g`` over axes, h the normalised x; each place has a mean and a rstd of its own."""
    c = carrier(x.dtype)
    return _fold(("channel_gradients", c), norms.channel_gradients, (g, x), (mean, rstd), axes)


def rms_norm(x: Array, weight: Array | None, dims: int, eps: float) -> Any:
    """Scale by ``1 / sqrt(mean(x^2) + eps)`` over the last ``dims`` dimensions; return the result and the scale."""
    given = [] if weight is None else [weight]
    return _fold(("rms_norm", weight is not None), norms.rms_norm, (x, *given), (), _last(x, dims), (eps,))


def rms_norm_from_cotangent(g: Array, x: Array, dims: int, eps: float) -> Any:
    """Return the gradient of x of ``rms_norm`` without a weight, its scale found anew."""
    found = _fold(("rms_norm_from_cotangent",), norms.rms_norm_from_cotangent, (g, x), (), _last(x, dims), (eps,))
    return found if found is NotImplemented else found[0]


def batch_norm_statistics(x: Array) -> Any:
    """Return the mean and the variance (divided by n) of each channel of ``x[batch, channel, ...]``."""
    return _fold(("statistics",), norms.statistics, (x,), (), _but_channel(x))


def _last(x: Array, dims: int) -> tuple[int, ...]:
    return tuple(range(x.ndim - dims, x.ndim))


def _but_channel(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


# Launching

_ROW_MAPS: dict[str, Callable[[DType], norms.RowMap]] = {
    "softmax": norms.softmax,
    "log_softmax": norms.log_softmax,
    "softmax_backward": norms.softmax_backward,
    "log_softmax_backward": norms.log_softmax_backward,
}


def _map_rows(name: str, operands: tuple[Array, ...], axis: int) -> Any:
    x = operands[0]
    if x.shape[axis] >= _LONG_ROW and x.size // x.shape[axis] < _FEW_ROWS:
        return _map_long_rows(name, operands, axis)
    key, build = (name,), lambda dtype: _ROW_MAPS[name](dtype).fold()
    if name == "softmax" and x.dtype.itemsize > 2:
        key, build = ("softmax_in_place",), norms.softmax_in_place
    found = _fold(key, build, operands, (), (axis,))
    return found if found is NotImplemented else found[0]


def _map_long_rows(name: str, operands: tuple[Array, ...], axis: int) -> Any:
    """Find the results of the rows by chunks, and then map the elements."""
    x = operands[0]
    build = _ROW_MAPS[name]
    results = _fold((f"{name}_results",), lambda dtype: build(dtype).reduction(), operands, (), (axis,))
    if results is NotImplemented:
        return NotImplemented
    over = [np.expand_dims(result, axis) for result in results]
    return elementwise.run(build(x.dtype).function(), (*operands, *over), allocator.empty(x.shape, x.dtype))


def _fold(
    key: tuple[Any, ...],
    build: Callable[..., Fold],
    operands: Sequence[Array],
    givens: Sequence[Array],
    axes: tuple[int, ...],
    numbers: tuple[float, ...] = (),
) -> Any:
    """Run the fold ``build(dtype, *key[1:])`` over ``axes``; return its outputs."""
    memo = (key, axes, numbers, *((a.dtype, a.shape, a.strides) for a in operands))
    plan = _plans.get(memo)
    if plan is None:
        if len(_plans) >= _MANY_PLANS:
            _plans.clear()
        plan = _plans[memo] = _plan(key, build, operands, axes, numbers)
    return plan(operands, givens)


def _plan(
    key: tuple[Any, ...],
    build: Callable[..., Fold],
    operands: Sequence[Array],
    axes: tuple[int, ...],
    numbers: tuple[float, ...],
) -> _Plan:
    x = operands[0]
    if x.size == 0 or x.dtype.kind not in "fV":
        return _refuse
    fold = build(x.dtype, *key[1:])
    elements = [output for output in fold.outputs if output.value is None]
    dimensions = axes_of((*operands, *[x] * len(elements)), x.shape)
    if dimensions is None or not x.flags.c_contiguous:
        return _copying(key, build, axes, numbers)
    kept = [d for d in range(x.ndim) if d not in axes]
    try:
        found = arrange([dimensions[d] for d in kept], [dimensions[d] for d in axes], fold)
        names = " ".join(map(str, (*key, *(array.dtype.name for array in operands))))
        launcher = folding.launcher(names, fold, found, numbers)
    except (s.NoLowering, s.ScalarTypeError):
        return _refuse
    rows = tuple(x.shape[d] for d in kept)
    shapes = [(x.shape if output.value is None else rows, output.dtype) for output in fold.outputs]

    def run(operands: Sequence[Array], givens: Sequence[Array]) -> tuple[Array, ...]:
        outputs = tuple(allocator.empty(*shape) for shape in shapes)
        ready = [np.ascontiguousarray(array, dtype) for array, (_, dtype) in zip(givens, fold.givens, strict=True)]
        launcher(*map(launch.address, operands), *map(launch.address, ready), *map(launch.address, outputs))
        return outputs

    return run


def _refuse(operands: Sequence[Array], givens: Sequence[Array]) -> Any:
    return NotImplemented


def _copying(
    key: tuple[Any, ...], build: Callable[..., Fold], axes: tuple[int, ...], numbers: tuple[float, ...]
) -> _Plan:
    """Return a plan that first copies what is not contiguous."""

    def run(operands: Sequence[Array], givens: Sequence[Array]) -> Any:
        return _fold(key, build, [_contiguous(array) for array in operands], givens, axes, numbers)

    return run


def _contiguous(array: Array) -> Array:
    if array.flags.c_contiguous:
        return array
    copied = cast.run(array, allocator.empty(array.shape, array.dtype))
    return np.ascontiguousarray(array) if copied is NotImplemented else np.asarray(copied)
