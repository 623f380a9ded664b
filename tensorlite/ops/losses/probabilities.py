"""Losses of probabilities, and of the scores whose sigmoid is one: binary cross-entropies and divergences."""

from __future__ import annotations

from tensorlite.declare import elementwise, functional, public
from tensorlite.errors import ShapeError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.elementwise import exp
from tensorlite.ops.losses.reduction import REDUCTIONS, check_reduction, check_same_shape, reduced, weighed
from tensorlite.ops.reduce import _mean
from tensorlite.ops.smooth import softplus
from tensorlite.tensor import Tensor

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div", "multilabel_soft_margin_loss",
    "soft_margin_loss",
]


@elementwise(accepts="real floating", hidden=True, domain={"x": (0.1, 0.9), "target": (0.1, 0.9)},
             vjp={"x": lambda g, x, target: g * (x - target) / s.maximum(x * (1 - x), 1e-12)})
def binary_error(x, target):
    """``-target * log(x) - (1 - target) * log(1 - x)``, each logarithm at least -100."""
    return -(target * s.maximum(s.log(x), -100.0) + (1 - target) * s.maximum(s.log1p(-x), -100.0))


@elementwise(accepts="real floating", hidden=True, domain={"target": (0.1, 0.9)},
             vjp={"x": lambda g, x, target: g * (1 / (1 + s.exp(-x)) - target)})
def logit_error(x, target):
    """`binary_error` of ``sigmoid(x)``, without overflow."""
    return s.maximum(x, 0.0) - x * target + s.log1p(s.exp(-s.abs(x)))


@elementwise(accepts="real floating", hidden=True, domain={"target": (0.1, 0.9)},
             vjp={"x": lambda g, x, target, positive: g * (
                 (1 - target) - (1 + (positive - 1) * target) / (1 + s.exp(x)))})
def weighted_logit_error(x, target, positive):
    """`logit_error` whose part of positive targets is weighed."""
    return (1 - target) * x + (1 + (positive - 1) * target) * (s.log1p(s.exp(-s.abs(x))) + s.maximum(-x, 0.0))


@elementwise(accepts="real floating", hidden=True, domain={"target": (0.1, 0.9)})
def divergence(x, target):
    """``target * (log(target) - x)``, where ``0 * log(0)`` is 0."""
    return s.where(s.equal(target, 0), 0, target * s.log(target)) - target * x


@public(method=False, autocast="wide")
def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, *,
                         reduction: str = "mean") -> Tensor:
    """``-target * log(input) - (1 - target) * log(1 - input)`` of probabilities; each logarithm is at least -100.

    ``weight`` broadcasts to the target. Raises `ShapeError` where input and target differ in shape.

    >>> import tensorlite as tl
    >>> tl.binary_cross_entropy(tl.tensor([0.5]), tl.tensor([1.0]))
    tensor(0.6931)
    """
    check_same_shape("binary_cross_entropy", input, target)
    return reduced("binary_cross_entropy", weighed(binary_error(input, target), weight), reduction)


@public(method=False, autocast="wide")
def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight: Tensor | None = None, *,
                                     reduction: str = "mean", pos_weight: Tensor | None = None) -> Tensor:
    """`binary_cross_entropy` of ``sigmoid(input)``, without overflow; ``pos_weight`` weighs positive targets.

    Both weights broadcast to the target. Raises `ShapeError` where input and target differ in shape.

    >>> import tensorlite as tl
    >>> tl.binary_cross_entropy_with_logits(tl.tensor([0.0]), tl.tensor([1.0]))
    tensor(0.6931)
    """
    check_same_shape("binary_cross_entropy_with_logits", input, target)
    loss = logit_error(input, target) if pos_weight is None else weighted_logit_error(input, target, pos_weight)
    return reduced("binary_cross_entropy_with_logits", weighed(loss, weight), reduction)


@functional(autocast="wide")
def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """The Kullback-Leibler divergence ``target * (log(target) - input)`` of log probabilities ``input``.

    With ``log_target`` the target is given by its logarithm too. ``reduction="batchmean"`` divides the sum by the
    extent of the first axis, which is the divergence's definition; "mean" by the number of elements. Input and target
    broadcast.

    >>> import tensorlite as tl
    >>> kl_div(tl.log(tl.tensor([[0.5, 0.5]])), tl.tensor([[1.0, 0.0]]), reduction="batchmean")
    tensor(0.6931)
    """
    check_reduction("kl_div", reduction, (*REDUCTIONS[:2], "batchmean", "none"))
    loss = exp(target) * (target - input) if log_target else divergence(input, target)
    if reduction != "batchmean":
        return reduced("kl_div", loss, reduction)
    total = reduced("kl_div", loss, "sum")
    return total / input.shape[0] if input.ndim else total


@functional(autocast="wide")
def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """The logistic loss ``log(1 + exp(-target * input))`` of scores, for targets 1 and -1; they broadcast.

    >>> import tensorlite as tl
    >>> soft_margin_loss(tl.tensor([0.0]), tl.tensor([1.0]))
    tensor(0.6931)
    """
    return reduced("soft_margin_loss", softplus(-(target * input)), reduction)


@functional(autocast="wide")
def multilabel_soft_margin_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, *,
                                reduction: str = "mean") -> Tensor:
    """`binary_cross_entropy_with_logits` of several labels for each element, averaged over the last axis, of classes.

    input: [batch, classes] or [classes]; target: 0 and 1 of a shape that broadcasts with it; weight: [classes]. What is
    reduced has one loss for each element of the batch.

    >>> import tensorlite as tl
    >>> multilabel_soft_margin_loss(tl.zeros((2, 3)), tl.tensor([[1.0, 0, 1], [0, 0, 1]]), reduction="none")
    tensor([0.6931, 0.6931])
    """
    if input.ndim == 0:
        raise complaint(ShapeError, "multilabel_soft_margin_loss", "the input needs an axis of classes",
                        {"input": input})
    loss = weighed(logit_error(input, target), weight)
    return reduced("multilabel_soft_margin_loss", _mean(loss, axis=(loss.ndim - 1,), keepdims=False), reduction)
