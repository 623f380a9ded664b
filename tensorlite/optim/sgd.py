"""Stochastic gradient descent."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.declare import elementwise
from tensorlite.errors import ArgumentError, complaint
from tensorlite.ops.elementwise import negative
from tensorlite.ops.filled import zeros
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import astype
from tensorlite.optim.optimizer import (
    Group,
    Optimizer,
    Params,
    check_at_least_zero,
    rate_of,
    untraced,
    widened,
)
from tensorlite.optim.rule import Rule
from tensorlite.tensor import Tensor


@elementwise(accepts="real floating", hidden=True)
def decayed(grad, p, decay):
    """The gradient of a loss to which ``decay / 2 * p**2`` is added."""
    return grad + p * decay


@elementwise(accepts="real floating", hidden=True)
def sgd_move(p, d, lr):
    """The parameter a step along a direction away."""
    return p - d * lr


@elementwise(accepts="real floating", hidden=True)
def sgd_buffer(b, grad, momentum, share):
    """The running direction."""
    return b * momentum + grad * share


@elementwise(accepts="real floating", hidden=True)
def sgd_nesterov(p, grad, b, momentum, lr):
    """The parameter a step along the running direction, looked at one step ahead, away."""
    return p - (grad + b * momentum) * lr


@functools.cache
def _rule(maximize: bool, decays: bool, keeps: bool, nesterov: bool) -> Rule:
    """The step of `SGD`, where ``decays`` says that the gradient takes part of the parameter in, ``keeps`` a buffer."""
    moves = {(False, False): (sgd_move, ("p", "grad", "lr")), (True, False): (sgd_move, ("p", "buffer", "lr")),
             (True, True): (sgd_nesterov, ("p", "grad", "buffer", "momentum", "lr"))}
    return Rule((
        *([("grad", negative, ("grad",))] if maximize else []),
        *([("grad", decayed, ("grad", "p", "decay"))] if decays else []),
        *([("buffer", sgd_buffer, ("momentum_buffer", "grad", "momentum", "share"))] if keeps else []),
        ("moved", *moves[keeps, nesterov]),
    ), (*([("momentum_buffer", "buffer")] if keeps else []), ("p", "moved")))  # fmt: skip


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Sutskever et al., 2013, in PyTorch's form).

    ``b = momentum * b + (1 - dampening) * (g + weight_decay * p)``, ``p = p - lr * b``; the first ``b`` is ``g``.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.SGD([w], lr=0.5)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.])
    """

    def __init__(self, params: Params, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: float = 0,
                 nesterov: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                                  "nesterov": nesterov, "maximize": maximize})

    def check(self, group: Group) -> None:
        check_at_least_zero("SGD", group, "lr", "momentum", "weight_decay")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise complaint(ArgumentError, "SGD", "nesterov needs a momentum and no dampening")

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        momentum, share, decay = group["momentum"], 1 - group["dampening"], group["weight_decay"]
        tensors, flags = {"p": p, "grad": g}, (group["maximize"], bool(decay))
        if momentum and "momentum_buffer" not in state and share != 1:  # the first buffer is the gradient all the same
            state["momentum_buffer"] = tensors["grad"] = self._direction(p, g, group)
            flags, momentum = (False, False), 0
        if momentum:
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = untraced(lambda: zeros(p.shape, dtype=p.dtype, device=p.device))
            tensors["momentum_buffer"] = state["momentum_buffer"]
        rule = _rule(*flags, bool(momentum), bool(momentum) and group["nesterov"])
        lr = rate_of(group, accumulator(p.dtype))
        rule.apply(tensors, {"lr": lr, "momentum": momentum, "share": share, "decay": decay})

    @staticmethod
    def _direction(p: Tensor, g: Tensor, group: Group) -> Tensor:
        """Where the gradient points, in memory of its own."""
        wide, g = widened(p, g)
        g = -g if group["maximize"] else g
        g = decayed(g, wide, group["weight_decay"]) if group["weight_decay"] else g
        return astype(g, p.dtype) if g.dtype != p.dtype else g.clone()
