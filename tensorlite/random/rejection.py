"""Numbers for which proposals are rejected: gamma, Poisson, binomial and von Mises.

Each number takes proposals from a stream of its own (`kernels/irregular/drawing.py`), so that it does not depend on
how many threads draw, nor on how many proposals its neighbours need. All kernels compute in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite.batch import Attributes, Batch, looped, move_axis, repeat
from tensorlite.declare import primitive
from tensorlite.kernels import device as devices
from tensorlite.kernels.irregular import drawing
from tensorlite.random.gamma_rate import gamma_rate
from tensorlite.tensor_type import TensorType


def _drawn_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Numbers of its own for each element of the batch: one draw, of all."""
    if batch.axes[0] is not None:
        return looped(batch, inputs, attributes)
    ready = [repeat(x, batch.size) if axis is None else move_axis(x, axis, 0)
             for x, axis in zip(inputs[1:], batch.axes[1:], strict=True)]
    return batch.apply(inputs[0], *ready, **attributes), 0


_drawn_batch.draws = True  # type: ignore[attr-defined]


def _type(state: TensorType, parameter: TensorType, *others: TensorType) -> TensorType:
    return parameter


def _drawn(function: Callable[..., None], state: Any, *parameters: Any, least: tuple[float, ...] = ()) -> Any:
    """Runs a kernel as the Python function that it is."""
    device = devices.of(state)
    flat = [np.ascontiguousarray(device.to_numpy(x)).reshape(-1) for x in parameters]
    out = np.empty_like(flat[0])
    function(0, 1, device.to_numpy(state), *flat, out, out.size, *least)
    return device.asarray(out.reshape(parameters[0].shape))


@primitive("opaque", type=_type, batch=_drawn_batch, native_size=1,
           vjp={"concentration": lambda g, y, concentration: g * gamma_rate(concentration, y)})
def _standard_gamma(xp: Any, state: Any, concentration: Any) -> Any:
    """Gamma numbers of scale 1, none below the smallest normal number of the dtype but those of concentration 0."""
    return _drawn(drawing.draw_gamma, state, concentration, least=(float(np.finfo(concentration.dtype).tiny),))


@primitive("opaque", type=_type, batch=_drawn_batch, native_size=1)
def _poisson(xp: Any, state: Any, rate: Any) -> Any:
    return _drawn(drawing.draw_poisson, state, rate)


@primitive("opaque", type=_type, batch=_drawn_batch, native_size=1)
def _binomial(xp: Any, state: Any, count: Any, prob: Any) -> Any:
    return _drawn(drawing.draw_binomial, state, count, prob)


@primitive("opaque", type=_type, batch=_drawn_batch, native_size=1)
def _von_mises(xp: Any, state: Any, concentration: Any) -> Any:
    """The sines of half the angles."""
    return _drawn(drawing.draw_von_mises, state, concentration)
