"""PyTorch's draws of even and normal numbers, integers and permutations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.declare import public
from tensorlite.ops.shape import astype
from tensorlite.ops.sort import argsort
from tensorlite.random.checks import require_not_negative
from tensorlite.random.generator import Generator, default_generator
from tensorlite.random.units import drawn, finish, floating, gaussian, shape_of, unit
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE, dtype_of, float64, int64, promote


@public(method=False)
def rand(*size: Any, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Numbers drawn evenly from ``[0, 1)``, in a shape given by integers or one sequence; both parts of complex ones.

    >>> import tensorlite as tl
    >>> tl.rand(2, 3).shape
    (2, 3)
    """
    shape = shape_of("rand", size)
    return finish(drawn("rand", unit, math.prod(shape), dtype, generator), shape, requires_grad)


@public(method=False)
def randn(*size: Any, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Numbers drawn from the normal distribution of mean 0 and deviation 1; each part of complex ones varies by half.

    >>> import tensorlite as tl
    >>> tl.randn(4, dtype=tl.float64).dtype.name
    'float64'
    """
    shape = shape_of("randn", size)
    return finish(drawn("randn", gaussian, math.prod(shape), dtype, generator), shape, requires_grad)


@public(method=False)
def rand_like(x: Tensor, *, dtype: Any = None, generator: Generator | None = None,
              requires_grad: bool = False) -> Tensor:
    """Numbers drawn evenly from ``[0, 1)``, in the shape and dtype of ``x``.

    >>> import tensorlite as tl
    >>> tl.rand_like(tl.zeros((2, 2))).shape
    (2, 2)
    """
    return rand(x.shape, dtype=dtype or x.dtype, generator=generator, requires_grad=requires_grad)


@public(method=False)
def randn_like(x: Tensor, *, dtype: Any = None, generator: Generator | None = None,
               requires_grad: bool = False) -> Tensor:
    """Normal numbers in the shape and dtype of ``x``.

    >>> import tensorlite as tl
    >>> tl.randn_like(tl.zeros((2, 2))).shape
    (2, 2)
    """
    return randn(x.shape, dtype=dtype or x.dtype, generator=generator, requires_grad=requires_grad)


@public(method=False)
def randint(low: int, high: Any = None, size: Sequence[int] | None = None, *, generator: Generator | None = None,
            dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Integers drawn evenly from ``[low, high)``, or from ``[0, low)`` as ``randint(high, size)``.

    The bias of the modulo is below 2**-32 for ranges below 2**32. Raises `ArgumentError` for an empty range.

    >>> import tensorlite as tl
    >>> tl.randint(0, 10, (2, 3)).dtype.name
    'int64'
    """
    if size is None:
        low, high, size = 0, low, high
    if size is None or high <= low:
        raise errors.complaint(errors.ArgumentError, "randint",
                               f"the range [{low}, {high}) is empty or size is missing", None,
                               "call randint(low, high, size) with low < high")
    shape = shape_of("randint", (size,))
    drawn = astype(integers(math.prod(shape), low, high, generator), int64 if dtype is None else dtype_of(dtype),
                   copy=False)
    return finish(drawn, shape, requires_grad)


def integers(count: int, low: int, high: int, generator: Generator | None) -> Tensor:
    """Integers of ``[low, high)``, flat, of 64 random bits each."""
    words = astype((generator or default_generator).bits(2 * count), np.uint64)
    drawn = ((words[0::2] << 32) | words[1::2]) % (high - low)
    return astype(drawn, int64) + low


@public(method=False)
def randint_like(x: Tensor, low: int, high: int | None = None, *, generator: Generator | None = None,
                 dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Integers of ``[low, high)``, or of ``[0, low)`` where only one bound is given, in the shape and dtype of ``x``.

    >>> import tensorlite as tl
    >>> tl.randint_like(tl.zeros((2, 2)), 1).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, x.shape, generator=generator, dtype=dtype or x.dtype, requires_grad=requires_grad)


@public(method=False)
def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """The integers of ``[0, n)`` in random order.

    >>> import tensorlite as tl
    >>> sorted(tl.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    (n,) = shape_of("randperm", (n,))
    keys = unit(n, float64, generator)
    return astype(argsort(keys), int64 if dtype is None else dtype_of(dtype), copy=False)


@public(method=False)
def normal(mean: Any = 0.0, std: Any = 1.0, size: Sequence[int] | None = None, *, generator: Generator | None = None,
           dtype: Any = None) -> Tensor:
    """Normal numbers of a mean and a deviation, either of which may be a tensor: of its dtype, and its shape.

    Derivatives go back to both. Raises `ArgumentError` for a negative deviation.

    >>> import tensorlite as tl
    >>> tl.normal(0.0, 2.0, (3,)).shape
    (3,)
    >>> tl.normal(tl.zeros((2, 1)), tl.ones(3)).shape
    (2, 3)
    """
    require_not_negative("normal", std=std)
    tensors = [v for v in (mean, std) if isinstance(v, Tensor)]
    if size is None:
        size = np.broadcast_shapes(*(v.shape for v in tensors))
    if dtype is None and tensors:
        dtype = tensors[0].dtype if len(tensors) == 1 else promote(tensors[0].dtype, tensors[1].dtype)
        dtype = dtype if dtype in DIFFERENTIABLE else None
    return astype(randn(size, dtype=dtype, generator=generator) * std + mean, floating("normal", dtype), copy=False)
