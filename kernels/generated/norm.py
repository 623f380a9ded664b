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


def layer_norm_backward(g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, dims: int) -> Any:
    """Return the gradients of x, of the weight and of the bias of ``layer_norm``."""
    found = cotangent_of_rows(g, x, mean, rstd, weight, dims)
    return found if found is NotImplemented else (found, *_parameter_gradients(g, x, (mean, rstd), dims))


def cotangent_of_rows(g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, dims: int) -> Any:
    """Return the gradient of x of ``layer_norm``."""
    given = [] if weight is None else [weight]
    found = _fold(("norm_backward", weight is not None, True), norms.norm_backward, (g, x, *given), (mean, rstd),
                  _last(x, dims))
    return found if found is NotImplemented else found[0]


def weight_cotangent_of_rows(g: Array, x: Array, statistics: tuple[Array, ...], dims: int) -> Any:
    """Return the gradient of the weight of ``layer_norm``."""
    found = _parameter_gradients(g, x, statistics, dims)
    return found if found is NotImplemented else found[0]


def cell_sums(g: Array, x: Array, mean: Array, rstd: Array, axes: tuple[int, ...]) -> Any:
    """Return ``sum g h`` and ``sum g`` over axes, h the normalised x; each place has a mean and a rstd of its own."""
    c = carrier(x.dtype)
    return _fold(("channel_gradients", c), norms.channel_gradients, (g, x), (mean, rstd), axes)


def rms_norm(x: Array, weight: Array | None, dims: int, eps: float) -> Any:
    """Scale by ``1 / sqrt(mean(x^2) + eps)`` over the last ``dims`` dimensions; return the result and the scale."""
    given = [] if weight is None else [weight]
    return _fold(("rms_norm", weight is not None), norms.rms_norm, (x, *given), (), _last(x, dims), (eps,))


def rms_norm_backward(g: Array, x: Array, rstd: Array, weight: Array | None, dims: int) -> Any:
    """Return the gradients of x and of the weight of ``rms_norm``."""
    given = [] if weight is None else [weight]
    key = ("norm_backward", weight is not None, False)
    found = _fold(key, norms.norm_backward, (g, x, *given), (rstd,), _last(x, dims))
    return found if found is NotImplemented else (*found, _parameter_gradients(g, x, (rstd,), dims)[0])


def rms_norm_from_cotangent(g: Array, x: Array, dims: int, eps: float) -> Any:
    """Return the gradient of x of ``rms_norm`` without a weight, its scale found anew."""
    found = _fold(("rms_norm_from_cotangent",), norms.rms_norm_from_cotangent, (g, x), (), _last(x, dims), (eps,))
    return found if found is NotImplemented else found[0]


def _parameter_gradients(g: Array, x: Array, statistics: tuple[Array, ...], dims: int) -> tuple[Array, ...]:
    """Return the gradients of weight and bias: sums over the rows, to which the statistics belong."""
    rows = x.ndim - dims
    over = [np.asarray(array, carrier(x.dtype)).reshape(array.shape + (1,) * dims) for array in statistics]
    key = ("parameter_gradients", len(over) == 2, x.dtype)
    return _fold(key, norms.parameter_gradients, (g, x, *over), (), tuple(range(rows)))


def batch_norm_statistics(x: Array) -> Any:
    """Return the mean and the variance (divided by n) of each channel of ``x[batch, channel, ...]``."""
    return _fold(("statistics",), norms.statistics, (x,), (), _but_channel(x))


def batch_norm(x: Array, mean: Array, rstd: Array, weight: Array | None, bias: Array | None) -> Any:
    """Return ``(x - mean) * rstd * weight + bias``, of which each channel of ``x[batch, channel, ...]`` has its own."""
    given = [array for array in (weight, bias) if array is not None]
    shape = (-1,) + (1,) * (x.ndim - 2)
    parts = [np.asarray(array, carrier(x.dtype)).reshape(shape) for array in (mean, rstd, *given)]
    function = _BATCH_NORM[weight is not None, bias is not None, x.dtype.itemsize == 2]
    return elementwise.run(function, (x, *parts), allocator.empty(x.shape, x.dtype))


def batch_norm_backward(g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None) -> Any:
    """Return the gradients of x, weight and bias of ``batch_norm`` with the statistics of ``x`` itself."""
    c = carrier(x.dtype)
    statistics = (np.asarray(mean, c), np.asarray(rstd, c))
    found = _fold(("channel_gradients", c), norms.channel_gradients, (g, x), statistics, _but_channel(x))
    if found is NotImplemented:
        return NotImplemented
    size = x.size // x.shape[1]
    scale = statistics[1] if weight is None else statistics[1] * weight.astype(c)
    shape = (-1,) + (1,) * (x.ndim - 2)
    parts = [part.reshape(shape) for part in (*statistics, scale, found[0] / c.type(size), found[1] / c.type(size))]
    dx = elementwise.run(_BATCH_BACKWARD[x.dtype.itemsize == 2], (g, x, *parts), allocator.empty(x.shape, x.dtype))
    return (dx, *found)


def _batch_norm_function(weight: bool, bias: bool, narrow: bool) -> s.Function:
    x = s.cast(s.Var("x"), np.float32) if narrow else s.Var("x")
    value: Any = (x - s.Var("mean")) * s.Var("rstd")
    value = value * s.Var("weight") if weight else value
    value = value + s.Var("bias") if bias else value
    names = ("x", "mean", "rstd", *(("weight",) if weight else ()), *(("bias",) if bias else ()))
    return s.Function(names, value)


def _batch_backward_function(narrow: bool) -> s.Function:
    g, x = (s.cast(s.Var(n), np.float32) if narrow else s.Var(n) for n in "gx")
    h = (x - s.Var("mean")) * s.Var("rstd")
    value = s.Var("scale") * (g - s.Var("bias") - h * s.Var("weight"))
    return s.Function(("g", "x", "mean", "rstd", "scale", "weight", "bias"), value)


_BOOLS = (False, True)
_BATCH_NORM = {(w, b, n): _batch_norm_function(w, b, n) for w in _BOOLS for b in _BOOLS for n in _BOOLS}
_BATCH_BACKWARD = {narrow: _batch_backward_function(narrow) for narrow in _BOOLS}


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
