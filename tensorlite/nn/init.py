"""Filling tensors with the numbers that training starts from."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.modes import no_grad
from tensorlite.ops.creation import place
from tensorlite.ops.elementwise import less, where
from tensorlite.ops.sort import argsort
from tensorlite.random import Generator, rand, randn
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import float64

_GAINS = {"linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0, "conv_transpose2d": 1.0,
          "conv_transpose3d": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}


F = TypeVar("F", bound=Callable[..., Any])


class _Skipping(threading.local):
    """Whether tensors are left as they are, for `nn.utils.skip_init`."""

    now = False


_skipping = _Skipping()


@contextmanager
def skipped() -> Iterator[None]:
    """Within it the functions of this file leave tensors as they are."""
    before, _skipping.now = _skipping.now, True
    try:
        yield
    finally:
        _skipping.now = before


def _fills(function: F) -> F:
    """Makes a function that fills its first argument run without recording, and not where that is to be skipped."""
    @functools.wraps(function)
    def face(tensor: Tensor, *arguments: Any, **kwargs: Any) -> Tensor:
        if _skipping.now:
            return tensor
        with no_grad():
            return function(tensor, *arguments, **kwargs)
    return face  # type: ignore[return-value]


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights are scaled up for a nonlinearity; ``param`` is the slope of ``"leaky_relu"``.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise complaint(ArgumentError, "calculate_gain", f"negative_slope {slope!r} is not a number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise complaint(ArgumentError, "calculate_gain", f"no gain is known for {nonlinearity!r}", None,
                        f"use one of {', '.join((*_GAINS, 'leaky_relu'))}")
    return _GAINS[nonlinearity]


@_fills
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Filters that pass the first channels on, in each of ``groups``: zeros but for a one in the middle.

    tensor: a convolution's weight, of 3 to 5 axes, whose first is a multiple of ``groups``.
    """
    if not 3 <= tensor.ndim <= 5:
        raise complaint(ShapeError, "dirac_", "a convolution's weight has 3 to 5 axes", {"tensor": tensor})
    if groups < 1 or tensor.shape[0] % groups:
        raise complaint(ArgumentError, "dirac_", f"{tensor.shape[0]} filters do not make {groups} groups",
                        {"tensor": tensor})
    filled = np.zeros(tensor.shape, tensor.dtype)
    together = tensor.shape[0] // groups
    middle = tuple(n // 2 for n in tensor.shape[2:])
    for channel in range(min(together, tensor.shape[1])):
        place_of: tuple[Any, ...] = (slice(channel, None, together), channel, *middle)
        filled[place_of] = 1
    return _copied(tensor, filled)


def _copied(tensor: Tensor, values: np.ndarray) -> Tensor:
    return tensor.copy_(Tensor(place(values.astype(tensor.dtype, copy=False), tensor.device)))


def _fans(op: str, tensor: Tensor) -> tuple[int, int]:
    """How many numbers each output is made of, and how many outputs each number goes to."""
    if tensor.ndim < 2:
        raise complaint(ShapeError, op, "fans are counted from at least two axes", {"tensor": tensor})
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


@_fills
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Numbers drawn evenly from ``[a, b)``."""
    return tensor.uniform_(a, b, generator=generator)


@_fills
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal numbers."""
    return tensor.normal_(mean, std, generator=generator)


@_fills
def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
                  generator: Generator | None = None) -> Tensor:
    """Normal numbers that lie within ``[a, b]``: ``mean`` and ``std`` are those of all normal numbers.

    Drawn by rejection, so that any bounds will do. Raises `ArgumentError` where ``a`` is not below ``b``.
    """
    if not a < b:
        raise complaint(ArgumentError, "trunc_normal_", f"no numbers lie within [{a}, {b}]")
    if std <= 0:
        return tensor.fill_(min(max(mean, a), b))
    return _copied(tensor, _truncated(tensor.size, (a - mean) / std, (b - mean) / std, generator)
                   .reshape(tensor.shape).clip((a - mean) / std, (b - mean) / std) * std + mean)


def _truncated(size: int, low: float, high: float, generator: Generator | None) -> np.ndarray:
    """Normal numbers of mean 0 and deviation 1 within bounds.

    Proposed by the normal distribution, or evenly between the bounds where these hold few normal numbers; further than
    ten deviations from the likeliest number there is none to be found.
    """
    likeliest = min(max(low, 0.0), high)
    low, high = max(low, likeliest - 10), min(high, likeliest + 10)
    share = 0.5 * (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)))
    found, missing = np.empty(size), np.arange(size)
    while missing.size:
        first, second = rand((2, missing.size), dtype=float64, generator=generator).numpy()
        if share > 0.25:
            x = np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
            kept = (low <= x) & (x <= high)
        else:
            x = low + (high - low) * first
            kept = second <= np.exp((likeliest**2 - x**2) / 2)
        found[missing[kept]] = x[kept]
        missing = missing[~kept]
    return found


@_fills
def constant_(tensor: Tensor, val: float) -> Tensor:
    """One number everywhere."""
    return tensor.fill_(val)


@_fills
def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return tensor.fill_(1)


@_fills
def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return tensor.zero_()


@_fills
def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    if tensor.ndim != 2:
        raise complaint(ShapeError, "eye_", "only a matrix can be the identity", {"tensor": tensor})
    return _copied(tensor, np.eye(*tensor.shape, dtype=tensor.dtype))


@_fills
def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Even numbers of variance ``2 gain**2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010)."""
    fan_in, fan_out = _fans("xavier_uniform_", tensor)
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


@_fills
def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal numbers of variance ``2 gain**2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010)."""
    fan_in, fan_out = _fans("xavier_normal_", tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)


def _kaiming_std(op: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fans = dict(zip(("fan_in", "fan_out"), _fans(op, tensor), strict=True))
    if mode.lower() not in fans:
        raise complaint(ArgumentError, op, f"mode must be 'fan_in' or 'fan_out', not {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans[mode.lower()])


@_fills
def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                     generator: Generator | None = None) -> Tensor:
    """Even numbers of variance ``gain**2 / fan`` (He et al., "Delving deep into rectifiers", 2015)."""
    if not tensor.size:
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


@_fills
def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                    generator: Generator | None = None) -> Tensor:
    """Normal numbers of variance ``gain**2 / fan`` (He et al., "Delving deep into rectifiers", 2015)."""
    if not tensor.size:
        return tensor
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity), generator)


@_fills
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A matrix of orthogonal rows, or columns where these are fewer, times ``gain``; evenly drawn among all of them.

    Of more axes than two, those after the first are one. Saxe et al., "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", 2013. Raises `ShapeError` for fewer than two axes.
    """
    if tensor.ndim < 2:
        raise complaint(ShapeError, "orthogonal_", "a matrix has at least two axes", {"tensor": tensor})
    if not tensor.size:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    drawn = randn((max(rows, columns), min(rows, columns)), dtype=float64, generator=generator).numpy()
    q, r = np.linalg.qr(drawn)
    q = q * np.sign(np.diagonal(r))  # else they would not be evenly drawn (Mezzadri, 2007)
    return _copied(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


@_fills
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal numbers, of which a share ``sparsity`` in each column is zero.

    Martens, "Deep learning via Hessian-free optimization", 2010. Raises `ShapeError` for what is no matrix.
    """
    if tensor.ndim != 2:
        raise complaint(ShapeError, "sparse_", "only a matrix has columns", {"tensor": tensor})
    zeros = math.ceil(sparsity * tensor.shape[0])
    tensor.normal_(0, std, generator=generator)
    order = argsort(argsort(rand(tensor.shape, generator=generator), axis=0), axis=0)
    return tensor.copy_(where(less(order, zeros), 0.0, tensor))
