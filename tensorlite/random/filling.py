"""The in-place draws of tensors: ``x.uniform_()`` and its kin rebind ``x`` to numbers of its shape and dtype."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.declare import IN_PLACE
from tensorlite.ops.elementwise import exp, floor, log, tan
from tensorlite.ops.shape import _reshape, astype
from tensorlite.random.basic import integers, rand, randn
from tensorlite.random.checks import require_not_negative, require_positive, require_share
from tensorlite.random.discrete import bernoulli
from tensorlite.random.generator import Generator
from tensorlite.random.units import floating, inside
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE, float32


def uniform_(x: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to numbers drawn evenly from ``[a, b)``; to complex numbers both of whose parts are."""
    if a > b:
        raise errors.complaint(errors.ArgumentError, "uniform_", f"the range [{a}, {b}) ends before it begins",
                               {"x": x})
    return rand(x.shape, dtype=x.dtype, generator=generator) * (b - a) + (complex(a, a) if x.dtype.kind == "c" else a)


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to normal numbers."""
    require_not_negative("normal_", std=std)
    return randn(x.shape, dtype=x.dtype, generator=generator) * std + mean


def bernoulli_(x: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to ones with probability ``p``, a number or a tensor, else zeros."""
    return bernoulli(x, p, generator=generator)


def random_(x: Tensor, low: int = 0, high: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to integers of ``[low, high)``, or of ``[0, low)`` where only one bound is given.

    Without bounds: all that the dtype counts without gaps from 0 on.
    """
    if high is None:
        low, high = (0, low) if low else (0, _count_of(x.dtype))
    if high <= low:
        raise errors.complaint(errors.ArgumentError, "random_", f"the range [{low}, {high}) is empty", {"x": x})
    return _reshape(astype(integers(x.size, low, high, generator), x.dtype, copy=False), shape=x.shape)


def _count_of(dtype: np.dtype) -> int:
    if dtype.kind == "b":
        return 2
    if dtype.kind in "iu":
        return min(int(np.iinfo(dtype).max) + 1, 2**63)
    return 2 ** {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}[floating("random_", dtype).name]


def exponential_(x: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to exponential numbers of rate ``lambd``: ``lambd * exp(-lambd * x)``."""
    require_positive("exponential_", lambd=lambd)
    return _made(x, "exponential_", -log(_inside(x, generator)) / lambd)


def geometric_(x: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to how many trials of probability ``p`` there are up to the first success: 1 or more."""
    require_share("geometric_", p=p)
    require_positive("geometric_", p=p)
    u = _inside(x, generator)
    return astype(floor(log(u) / math.log1p(-p)) + 1 if p < 1 else u * 0 + 1, x.dtype)


def cauchy_(x: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to Cauchy's numbers around ``median``."""
    require_positive("cauchy_", sigma=sigma)
    return _made(x, "cauchy_", tan((_inside(x, generator) - 0.5) * math.pi) * sigma + median)


def log_normal_(x: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to numbers whose logarithms are normal, of that mean and deviation."""
    require_positive("log_normal_", std=std)
    wide = randn(x.shape, dtype=_width(floating("log_normal_", x.dtype)), generator=generator)
    return _made(x, "log_normal_", exp(wide * std + mean))


def _width(dtype: np.dtype) -> np.dtype:
    return dtype if dtype in DIFFERENTIABLE and dtype.itemsize == 8 else float32


def _inside(x: Tensor, generator: Generator | None) -> Tensor:
    """Numbers of (0, 1) in the shape of ``x``."""
    return _reshape(inside(x.size, _width(x.dtype), generator), shape=x.shape)


def _made(x: Tensor, op: str, values: Tensor) -> Tensor:
    return astype(values, floating(op, x.dtype), copy=False)


IN_PLACE.update(uniform=uniform_, normal=normal_, bernoulli=bernoulli_, random=random_, exponential=exponential_,
                geometric=geometric_, cauchy=cauchy_, log_normal=log_normal_)
