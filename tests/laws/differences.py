"""Derivatives by random inner products: the tape's against central differences, first and second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tolerance import DIFFERENCES, SECOND_DIFFERENCES, Tolerance

import tensorlite as tl

Function = Callable[..., Any]

#: About the cube root of float64's rounding error, where truncation and rounding meet.
STEP = 6e-6


def differentiable_outputs(result: Any) -> list[tl.Tensor]:
    """The outputs that have derivatives."""
    outputs = result if isinstance(result, tuple | list) else [result]
    return [y for y in outputs if y.dtype in (tl.float64, tl.complex128)]


def leaves(arrays: Sequence[np.ndarray]) -> list[tl.Tensor]:
    """Leaves of the floating arrays, constants of the others."""
    return [tl.tensor(a, requires_grad=a.dtype.kind in "fc") for a in arrays]


def random_like(random: np.random.Generator, array: Any) -> np.ndarray:
    """Normal numbers of an array's shape, complex where it is; zero for what cannot move."""
    if array.dtype.kind not in "fc":
        return np.zeros(array.shape, array.dtype)
    real = random.standard_normal(array.shape)
    return np.asarray(real + 1j * random.standard_normal(array.shape) if array.dtype.kind == "c" else real)


def inner(x: Any, y: Any) -> float:
    """The real inner product of two arrays or tensors."""
    x, y = (np.asarray(a.detach().numpy() if isinstance(a, tl.Tensor) else a) for a in (x, y))
    return float(np.real(np.sum(np.conj(x) * y)))


def gradients(function: Function, inputs: Sequence[tl.Tensor], weights: Sequence[tl.Tensor],
              create_graph: bool = False) -> list[tl.Tensor | None]:
    """The tape's cotangents of the inputs that require gradients, None for those that nothing depends on."""
    pairs = [(y, w) for y, w in zip(differentiable_outputs(function(*inputs)), weights) if y.requires_grad]
    wanted = [x for x in inputs if x.requires_grad]
    if not pairs:
        return [None] * len(wanted)
    outputs, weights = zip(*pairs)
    return list(tl.autograd.grad(outputs, wanted, weights, create_graph=create_graph, allow_unused=True))


def check_first(function: Function, arrays: Sequence[np.ndarray], random: np.random.Generator,
                tolerance: Tolerance = DIFFERENCES) -> None:
    """The tape's first derivative agrees with differences of the function along a random direction."""
    weights = [random_like(random, y) for y in differentiable_outputs(function(*map(tl.tensor, arrays)))]

    def weighed(*moved: np.ndarray) -> float:
        return sum(inner(w, y) for w, y in zip(weights, differentiable_outputs(function(*map(tl.tensor, moved)))))

    directions = [random_like(random, a) for a in arrays]
    found = gradients(function, leaves(arrays), [tl.tensor(w) for w in weights])
    for g, a in zip(found, [a for a in arrays if a.dtype.kind in "fc"]):
        assert g is None or (g.shape, g.dtype) == (a.shape, a.dtype)
    moving = [v for a, v in zip(arrays, directions) if a.dtype.kind in "fc"]
    _compare(sum(inner(g, v) for g, v in zip(found, moving) if g is not None), weighed, arrays, directions, tolerance)


def check_second(function: Function, arrays: Sequence[np.ndarray], random: np.random.Generator,
                 tolerance: Tolerance = SECOND_DIFFERENCES) -> None:
    """The derivative of the tape's derivative, by inputs and cotangents, agrees with differences of the latter."""
    weights = [random_like(random, y) for y in differentiable_outputs(function(*map(tl.tensor, arrays)))]
    movers = [random_like(random, a) for a in arrays if a.dtype.kind in "fc"]
    count = len(arrays)

    def first(*inputs: tl.Tensor) -> list[tl.Tensor]:
        found = gradients(function, inputs[:count], inputs[count:], create_graph=True)
        return [g for g in found if g is not None]

    def weighed(*moved: np.ndarray) -> float:
        found = gradients(function, leaves(moved[:count]), [tl.tensor(w) for w in moved[count:]])
        return sum(inner(u, g) for u, g in zip(movers, found) if g is not None)

    everything = [*arrays, *weights]
    chosen = [u for u, g in zip(movers, gradients(function, leaves(arrays), [tl.tensor(w) for w in weights]))
              if g is not None]
    second = gradients(first, leaves(everything), [tl.tensor(u) for u in chosen])
    directions = [random_like(random, a) for a in everything]
    moving = [v for a, v in zip(everything, directions) if a.dtype.kind in "fc"]
    analytic = sum(inner(g, v) for g, v in zip(second, moving) if g is not None)
    _compare(analytic, weighed, everything, directions, tolerance)


def _compare(analytic: float, weighed: Callable[..., float], arrays: Sequence[np.ndarray],
             directions: Sequence[np.ndarray], tolerance: Tolerance) -> None:
    ahead, behind = (weighed(*(a if a.dtype.kind not in "fc" else a + step * v for a, v in zip(arrays, directions)))
                     for step in (STEP, -STEP))
    size = max(1.0, abs(ahead), abs(behind))
    np.testing.assert_allclose(analytic, (ahead - behind) / (2 * STEP), rtol=tolerance.relative,
                               atol=tolerance.absolute * size)
