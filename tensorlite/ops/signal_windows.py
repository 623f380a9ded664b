"""Windows of signals: Bartlett's, Blackman's, Hamming's, Hann's and Kaiser's."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.ops.creation import asarray
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, FLOATS, dtype_of


def _cosines(*weights: float) -> Any:
    """A sum of cosines of 0, 1, 2 ... turns over the window."""
    return lambda turns: sum(weight * np.cos(2 * np.pi * k * turns) for k, weight in enumerate(weights))


def _window(op: str, rule: Any, length: int, periodic: bool, dtype: Any, device: str | None) -> Tensor:
    """What a rule gives of places from 0 to 1; a periodic window leaves out the last one of a longer window."""
    wanted = dtype_of(dtype or DEFAULT_FLOAT)
    if wanted not in FLOATS:
        raise complaint(DTypeError, op, f"takes real floating dtypes, not {wanted.name}")
    if length < 0:
        raise complaint(ArgumentError, op, f"window_length must be 0 or more, not {length}")
    if length < 2:
        return asarray(np.ones(length), dtype=wanted, device=device)
    steps = length if periodic else length - 1
    return asarray(rule(np.arange(length) / steps), dtype=wanted, device=device)


@public(method=False)
def hann_window(window_length: int, periodic: bool = True, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """Hann's window ``sin(pi n / N)**2``, of which a periodic one continues into itself; float32 by default.

    >>> import tensorlite as tl
    >>> tl.hann_window(4)
    tensor([0. , 0.5, 1. , 0.5])
    """
    return _window("hann_window", _cosines(0.5, -0.5), window_length, periodic, dtype, device)


@public(method=False)
def hamming_window(window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *,
                   dtype: Any = None, device: str | None = None) -> Tensor:
    """Hamming's window ``alpha - beta * cos(2 pi n / N)``; float32 by default.

    >>> import tensorlite as tl
    >>> tl.hamming_window(4)
    tensor([0.08, 0.54, 1.  , 0.54])
    """
    return _window("hamming_window", _cosines(alpha, -beta), window_length, periodic, dtype, device)


@public(method=False)
def blackman_window(window_length: int, periodic: bool = True, *, dtype: Any = None,
                    device: str | None = None) -> Tensor:
    """Blackman's window ``0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N)``; float32 by default.

    >>> import tensorlite as tl
    >>> tl.blackman_window(5, dtype=tl.float64)[2:]
    tensor([0.8492, 0.8492, 0.2008], dtype=float64)
    """
    return _window("blackman_window", _cosines(0.42, -0.5, 0.08), window_length, periodic, dtype, device)


@public(method=False)
def bartlett_window(window_length: int, periodic: bool = True, *, dtype: Any = None,
                    device: str | None = None) -> Tensor:
    """Bartlett's window, a triangle; float32 by default.

    >>> import tensorlite as tl
    >>> tl.bartlett_window(4)
    tensor([0. , 0.5, 1. , 0.5])
    """
    return _window("bartlett_window", lambda turns: 1 - np.abs(2 * turns - 1), window_length, periodic, dtype, device)


@public(method=False)
def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None,
                  device: str | None = None) -> Tensor:
    """Kaiser's window ``I0(beta sqrt(1 - (2 n / N - 1)**2)) / I0(beta)``; float32 by default.

    >>> import tensorlite as tl
    >>> tl.kaiser_window(3, periodic=False, beta=0.0)
    tensor([1., 1., 1.])
    """
    def rule(turns: np.ndarray) -> np.ndarray:
        return np.i0(beta * np.sqrt(np.maximum(1 - (2 * turns - 1) ** 2, 0))) / np.i0(beta)
    return _window("kaiser_window", rule, window_length, periodic, dtype, device)
