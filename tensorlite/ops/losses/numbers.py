"""Losses of numbers that a model predicts: squared, absolute and smooth errors, and likelihoods of distributions."""

from __future__ import annotations

import math
from typing import Any

from tensorlite.declare import elementwise, functional, public
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.bounds import clip_low
from tensorlite.ops.elementwise import exp, log
from tensorlite.ops.filled import full_like
from tensorlite.ops.losses.checks import checked_between
from tensorlite.ops.losses.reduction import check_reduction, check_same_shape, reduced, weighed
from tensorlite.ops.shape import _reshape
from tensorlite.tensor import Tensor

__all__ = ["gaussian_nll_loss", "huber_loss", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss"]


@elementwise(accepts="real floating", hidden=True)
def squared_error(x, target):
    """``(x - target)**2``."""
    return s.square(x - target)


@elementwise(accepts="floating", hidden=True, domain={"x": (1.0, 2.0), "target": (-1.0, 0.5)})
def absolute_error(x, target):
    """``|x - target|``; its derivative where they are equal is 0."""
    return s.abs(x - target)


@elementwise(accepts="real floating", hidden=True,
             domain={"x": (1.0, 2.0), "target": (-1.0, 0.5), "beta": (0.1, 0.4)})
def smooth_error(x, target, beta):
    """``(x - target)**2 / (2 * beta)`` where that difference is less than ``beta``, else its size less ``beta / 2``."""
    size = s.abs(x - target)
    return s.where(size < beta, 0.5 * size * size / beta, size - 0.5 * beta)


@elementwise(accepts="real floating", hidden=True, domain={"target": (1.5, 3.0)})
def stirling(target):
    """Stirling's approximation of ``log(target!)`` of numbers above 1, else 0."""
    return s.where(target > 1, target * s.log(target) - target + 0.5 * s.log(2 * math.pi * target), 0)


@public(method=False, autocast="wide")
def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """The squared error ``(input - target)**2``; a weighed mean divides by the weights' sum.

    Raises `ShapeError` where input and target differ in shape: a batch of columns beside a batch of rows would
    broadcast to all pairs, and train to nothing.

    >>> import tensorlite as tl
    >>> tl.mse_loss(tl.tensor([1.0, 3.0]), tl.tensor([0.0, 0.0]))
    tensor(5.)
    """
    return _error("mse_loss", squared_error, input, target, reduction, weight)


@public(method=False, autocast="wide")
def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """The absolute error ``|input - target|``; a weighed mean divides by the weights' sum.

    Raises `ShapeError` where input and target differ in shape.

    >>> import tensorlite as tl
    >>> tl.l1_loss(tl.tensor([1.0, 3.0]), tl.tensor([0.0, 0.0]))
    tensor(2.)
    """
    return _error("l1_loss", absolute_error, input, target, reduction, weight)


def _error(op: str, error: Any, input: Tensor, target: Tensor, reduction: str, weight: Tensor | None) -> Tensor:
    check_reduction(op, reduction)
    check_same_shape(op, input, target)
    _check_weight(op, input, weight)
    loss = weighed(error(input, target), weight)
    if weight is None or reduction != "mean":
        return reduced(op, loss, reduction)
    return reduced(op, loss, "sum") / reduced(op, weight, "sum")


def _check_weight(op: str, input: Tensor, weight: Tensor | None) -> None:
    if weight is not None and weight.shape != input.shape:
        raise complaint(ShapeError, op, "input and weight must have one shape", {"input": input, "weight": weight})


@functional(autocast="wide")
def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """``(input - target)**2 / (2 * beta)`` where that difference is below ``beta``, else its size less ``beta / 2``.

    Girshick, "Fast R-CNN", 2015. ``beta=0`` is `l1_loss`. Raises `ShapeError` where input and target differ in shape.

    >>> import tensorlite as tl
    >>> smooth_l1_loss(tl.tensor([0.5, 3.0]), tl.tensor([0.0, 0.0]), reduction="none")
    tensor([0.125, 2.5  ])
    """
    if beta < 0:
        raise complaint(ArgumentError, "smooth_l1_loss", f"beta must be 0 or more, not {beta}")
    check_same_shape("smooth_l1_loss", input, target)
    return reduced("smooth_l1_loss", smooth_error(input, target, beta), reduction)


@functional(autocast="wide")
def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
               weight: Tensor | None = None) -> Tensor:
    """``(input - target)**2 / 2`` where that difference is below ``delta``, else linear with the slope ``delta``.

    Huber, "Robust estimation of a location parameter", 1964. ``weight`` has the input's shape; the mean is not divided
    by it. Raises `ShapeError` where input, target and weight differ in shape.

    >>> import tensorlite as tl
    >>> huber_loss(tl.tensor([0.5, 3.0]), tl.tensor([0.0, 0.0]), "none", delta=2.0)
    tensor([0.125, 4.   ])
    """
    if delta <= 0:
        raise complaint(ArgumentError, "huber_loss", f"delta must be above 0, not {delta}")
    check_same_shape("huber_loss", input, target)
    _check_weight("huber_loss", input, weight)
    return reduced("huber_loss", weighed(smooth_error(input, target, delta) * delta, weight), reduction)


@functional(autocast="wide")
def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, *, eps: float = 1e-8,
                     reduction: str = "mean") -> Tensor:
    """The negative log likelihood of counts: ``exp(input) - target * input``, ``input`` the logarithm of their rate.

    With ``log_input=False`` the input is the rate itself: ``input - target * log(input + eps)``. ``full`` adds
    Stirling's approximation of ``log(target!)`` for targets above 1. Input and target broadcast.

    >>> import tensorlite as tl
    >>> poisson_nll_loss(tl.tensor([0.0, 1.0]), tl.tensor([1.0, 1.0]))
    tensor(1.3591)
    """
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    return reduced("poisson_nll_loss", loss + stirling(target) if full else loss, reduction)


@functional(autocast="wide")
def gaussian_nll_loss(input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Tensor:
    """The negative log likelihood of numbers, given the mean and variance of each: ``(log(v) + (x - t)**2 / v) / 2``.

    ``v = max(var, eps)``, whose derivative is 1 everywhere, so that variances below ``eps`` still learn. var: the
    input's shape, that with one axis of extent 1, that without the last axis, or one number. ``full`` adds
    ``log(2 * pi) / 2``. Nix and Weigend, "Estimating the mean and variance of the target probability distribution",
    1994. Raises `ArgumentError` where a variance is below 0, and `ShapeError` where ``var`` does not fit.

    >>> import tensorlite as tl
    >>> gaussian_nll_loss(tl.tensor([1.0]), tl.tensor([3.0]), tl.tensor([1.0]))
    tensor(2.)
    """
    check_reduction("gaussian_nll_loss", reduction)
    variance = _variance(input, var)
    variance = variance + (clip_low(variance, eps) - variance).detach()
    loss = 0.5 * (log(variance) + squared_error(input, target) / variance)
    return reduced("gaussian_nll_loss", loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def _variance(input: Tensor, var: Tensor | float) -> Tensor:
    """The variances, none below 0, in a shape that meets the input."""
    given = var if isinstance(var, Tensor) else full_like(input, var)
    var = checked_between(given, low=0.0, high=math.inf, name="var")
    if var.shape != input.shape and var.shape == input.shape[:-1]:
        return _reshape(var, shape=(*var.shape, 1))
    differing = [n for m, n in zip(input.shape, var.shape, strict=False) if m != n]
    if input.ndim != var.ndim or differing not in ([], [1]):
        raise complaint(ShapeError, "gaussian_nll_loss", "var must have the input's shape, that with one axis of "
                        "extent 1, or that without the last axis", {"input": input, "var": var})
    return var
