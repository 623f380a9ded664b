"""Softmax, layer, rms and batch normalisation on arrays of any strides: forward, saved statistics, backward.

Every function returns fresh arrays. Where there is no native form (complex numbers, integers, nothing to normalise) it
returns ``NotImplemented``. Statistics are float32, of float64 arrays float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import named, prepared, row_stages
from tensorlite.kernels.generated import elementwise, folding, norms
from tensorlite.kernels.generated.arrange import arrange
from tensorlite.kernels.generated.fold import Fold, carrier
from tensorlite.kernels.generated.layout import Axis
from tensorlite.kernels.stage import Array as Lying
from tensorlite.kernels.stage import Plan, Stage

Array = npt.NDArray[Any]
DType = np.dtype[Any]

_LONG_ROW = 65536  # elements: rows from here on are cut in chunks, so that all threads have work
_FEW_ROWS = 16


def softmax(x: Array, axis: int) -> Any:
    """Return ``exp(x) / sum(exp(x))`` along ``axis``.

    >>> softmax(np.zeros((1, 4), np.float32), 1)
    array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """
    return MAPS["softmax"](x, axis=axis)


def log_softmax(x: Array, axis: int) -> Any:
    """Return ``x - log(sum(exp(x)))`` along ``axis``."""
    return MAPS["log_softmax"](x, axis=axis)


def softmax_backward(g: Array, y: Array, axis: int) -> Any:
    """Return the gradient of ``softmax`` from that of its result ``y``."""
    return MAPS["softmax_backward"](g, y, axis=axis)


def log_softmax_backward(g: Array, y: Array, axis: int) -> Any:
    """Return the gradient of ``log_softmax`` from that of its result ``y``."""
    return MAPS["log_softmax_backward"](g, y, axis=axis)


def cotangent_of_rows(g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, dims: int) -> Any:
    """Return the gradient of x of ``layer_norm``."""
    given = [] if weight is None else [weight]
    return _fold(g, x, *given, mean, rstd, name="norm_backward", options=(weight is not None,), axes=_last(x, dims))


def sums_over_rows(g: Array, x: Array, mean: Array, rstd: Array, dims: int) -> Any:
    """Return the gradients of the weight and of the bias of ``layer_norm``."""
    c = carrier(x.dtype)
    over = [np.asarray(array, c).reshape(array.shape + (1,) * dims) for array in (mean, rstd)]
    rows = tuple(range(x.ndim - dims))
    return _fold(g, x, *over, name="parameter_gradients", options=(x.dtype,), axes=rows)


def cell_sums(g: Array, x: Array, mean: Array, rstd: Array, axes: tuple[int, ...]) -> Any:
    """Return ``sum g h`` and ``sum g`` over axes, h the normalised x; each place has a mean and a rstd of its own."""
    return _fold(g, x, mean, rstd, name="channel_gradients", options=(carrier(x.dtype),), axes=axes)


def rms_norm(x: Array, weight: Array | None, dims: int, eps: float) -> Any:
    """Scale by ``1 / sqrt(mean(x^2) + eps)`` over the last ``dims`` dimensions; return the result and the scale."""
    given = [] if weight is None else [weight]
    return _fold(x, *given, name="rms_norm", options=(weight is not None,), axes=_last(x, dims), numbers=(eps,))


def rms_norm_from_cotangent(g: Array, x: Array, dims: int, eps: float) -> Any:
    """Return the gradient of x of ``rms_norm`` without a weight, its scale found anew."""
    return _fold(g, x, name="rms_norm_from_cotangent", axes=_last(x, dims), numbers=(eps,))


def batch_norm_statistics(x: Array) -> Any:
    """Return the mean and the variance (divided by n) of each channel of ``x[batch, channel, ...]``."""
    return _fold(x, name="statistics", axes=(0, *range(2, x.ndim)))


def _last(x: Array, dims: int) -> tuple[int, ...]:
    return tuple(range(x.ndim - dims, x.ndim))


# Planning

_FOLDS: dict[str, Callable[..., Fold]] = {
    "layer_norm": norms.layer_norm,
    "rms_norm": norms.rms_norm,
    "rms_norm_from_cotangent": norms.rms_norm_from_cotangent,
    "norm_backward": norms.norm_backward,
    "parameter_gradients": norms.parameter_gradients,
    "channel_gradients": norms.channel_gradients,
    "statistics": norms.statistics,
    "softmax_in_place": norms.softmax_in_place,
}


def _plan(
    name: str, options: tuple[Any, ...], inputs: Sequence[Lying], outputs: Sequence[Lying], axes: tuple[int, ...],
    numbers: tuple[float, ...] = (),
) -> Plan | None:  # fmt: skip
    """Plan a fold by name over ``axes``, with stages that first copy what does not lie in order."""
    x = inputs[0]
    if not x.size or x.dtype.kind not in "fV":
        return None
    try:
        return _in_order(name, options, _FOLDS[name](x.dtype, *options), inputs, outputs, axes, numbers)
    except (s.NoLowering, s.ScalarTypeError):
        return None


def _in_order(
    name: str, options: tuple[Any, ...], fold: Fold, inputs: Sequence[Lying], outputs: Sequence[Lying],
    axes: tuple[int, ...], numbers: tuple[float, ...],
) -> Plan | None:  # fmt: skip
    x, count, own = inputs[0], len(fold.operands), len(inputs) + len(outputs)
    if [array.dtype for array in inputs] != [dtype for _, dtype in (*fold.operands, *fold.givens)]:
        return None
    reads, copies, room = tuple(range(len(inputs))), list[Stage](), tuple[int, ...]()
    if not all(array.is_contiguous for array in (x, *inputs[count:])):
        found = row_stages.contiguous(inputs, own)
        if found is None:
            return None
        copies, reads, room = found
        inputs = [Lying.contiguous(array.dtype, array.shape) for array in inputs]
    elements = [array for array, output in zip(outputs, fold.outputs, strict=True) if output.value is None]
    columns = [named.broadcast(array, x.shape) for array in (*inputs[:count], *elements)]
    dimensions = [Axis(extent, tuple(column[d] for column in columns)) for d, extent in enumerate(x.shape)]
    kept = [axis for d, axis in enumerate(dimensions) if d not in axes]
    arranged = arrange(kept, [dimensions[d] for d in axes], fold)
    names = " ".join(map(str, (name, *options, *(array.dtype.name for array in inputs[:count]))))
    plan = folding.plan(names, fold, arranged, numbers, reads, range(len(inputs), own), own + len(room))
    return Plan((*copies, *plan.stages), (*room, *plan.scratch))


def _plan_named(
    inputs: Sequence[Lying], outputs: Sequence[Lying], *, name: str, options: tuple[Any, ...] = (),
    axes: tuple[int, ...], numbers: tuple[float, ...] = (),
) -> Plan | None:  # fmt: skip
    return _plan(name, options, inputs, outputs, axes, numbers)


def _results(
    *arrays: Array, name: str, options: tuple[Any, ...] = (), axes: tuple[int, ...], numbers: tuple[float, ...] = ()
) -> list[Lying] | None:
    """Return how the outputs of a fold lie: like the first operand, or with one element for each row."""
    x = arrays[0]
    if x.dtype.kind not in "fV":
        return None
    rows = tuple(extent for d, extent in enumerate(x.shape) if d not in axes)
    return [Lying.contiguous(output.dtype, x.shape if output.value is None else rows)
            for output in _FOLDS[name](x.dtype, *options).outputs]  # fmt: skip


def _free(dtype: DType) -> float:
    return 0.0


_fold = prepared.fast(prepared.kernel(_plan_named, _results, _free))


# Softmax and its kin

_ROW_MAPS: dict[str, Callable[[DType], norms.RowMap]] = {
    "softmax": norms.softmax,
    "log_softmax": norms.log_softmax,
    "softmax_backward": norms.softmax_backward,
    "log_softmax_backward": norms.log_softmax_backward,
}
for _name, _build in _ROW_MAPS.items():
    _FOLDS[_name] = lambda dtype, build=_build: build(dtype).fold()
    _FOLDS[f"{_name}_results"] = lambda dtype, build=_build: build(dtype).reduction()


def _plan_map(name: str, inputs: Sequence[Lying], outputs: Sequence[Lying], *, axis: int) -> Plan | None:
    x = inputs[0]
    if not x.size or any(other.shape != x.shape for other in inputs):
        return None
    if x.shape[axis] >= _LONG_ROW and x.size // x.shape[axis] < _FEW_ROWS:
        return _plan_long_rows(name, inputs, outputs, axis)
    if name == "softmax" and x.dtype.itemsize > 2:
        name = "softmax_in_place"
    return _plan(name, (), inputs, outputs, (axis,))


def _plan_long_rows(name: str, inputs: Sequence[Lying], outputs: Sequence[Lying], axis: int) -> Plan | None:
    """Find the results of the rows by chunks, and then map the elements."""
    x, build = inputs[0], _ROW_MAPS[name]
    if x.dtype.kind not in "fV":
        return None
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    function, c = build(x.dtype).function(), carrier(x.dtype)
    results = [Lying.contiguous(c, shape) for _ in range(len(function.parameters) - len(inputs))]
    first = _plan(f"{name}_results", (), inputs, results, (axis,))
    then = elementwise.plan_fresh(function, (*inputs, *results), outputs)
    if first is None or then is None:
        return None
    # the fold's outputs, which come after the inputs, are scratch here, after the one array that is returned
    moved = len(inputs) + 1

    def number(k: int) -> int:
        return k if k < len(inputs) else k + 1

    found = [replace(stage, reads=tuple(map(number, stage.reads)), writes=tuple(map(number, stage.writes)))
             for stage in first.stages]  # fmt: skip
    of_results = tuple(range(moved, moved + len(results)))
    last = [replace(stage, reads=(*range(len(inputs)), *of_results), writes=(len(inputs),)) for stage in then.stages]
    return Plan((*found, *last), (*(each.size * c.itemsize for each in results), *first.scratch))


MAPS: dict[str, Callable[..., Any]] = {
    name: prepared.fast(prepared.kernel(partial(_plan_map, name), prepared.alike(lambda x, *_, axis: x), _free))
    for name in _ROW_MAPS
}
"""The kernels of softmax, of its logarithm and of their derivatives, of arrays and an axis."""


# Layer normalisation


def layer_norm(x: Array, weight: Array | None, bias: Array | None, dims: int, eps: float) -> Any:
    """Normalise over the last ``dims`` dimensions; return the result, the means and ``1 / sqrt(var + eps)``."""
    given = [array for array in (weight, bias) if array is not None]
    options = (weight is not None, bias is not None)
    return _fold(x, *given, name="layer_norm", options=options, axes=_last(x, dims), numbers=(eps,))


def _plan_layer_norm(
    inputs: Sequence[Lying], outputs: Sequence[Lying], *, axes: tuple[int, ...], eps: float
) -> Plan | None:
    x, *affine = inputs
    if axes != tuple(range(x.ndim - len(axes), x.ndim)) or len(axes) >= x.ndim:
        return None
    return _plan("layer_norm", (len(affine) > 0, len(affine) > 1), inputs, outputs, axes, (eps,))


def _of_layer_norm(x: Array, *affine: Array, axes: tuple[int, ...], eps: float) -> list[Lying] | None:
    kept = tuple(1 if d in axes else extent for d, extent in enumerate(x.shape))
    return [Lying.contiguous(x.dtype, x.shape), *[Lying.contiguous(carrier(x.dtype), kept)] * 2]


LAYER_NORM: Callable[..., Any] = prepared.fast(prepared.kernel(_plan_layer_norm, _of_layer_norm, _free))
"""The kernel of `layer_norm` over ``axes``, which the statistics keep; a bias comes after a weight."""
