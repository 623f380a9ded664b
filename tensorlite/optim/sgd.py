"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import elementwise
from tensorlite.errors import ArgumentError, complaint
from tensorlite.ops.filled import zeros
from tensorlite.optim.optimizer import (
    Group,
    Optimizer,
    Params,
    check_at_least_zero,
    rate_of,
    replace,
    untraced,
    widened,
)
from tensorlite.state import state as thread
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
        momentum = group["momentum"]
        wide, g = widened(p, g)
        lr = rate_of(group, wide.dtype)
        g = -g if group["maximize"] else g
        g = decayed(g, wide, group["weight_decay"]) if group["weight_decay"] else g
        if not momentum:
            replace(p, sgd_move(wide, g, lr))
            return
        buffer = self._buffer(g, p, state, momentum, 1 - group["dampening"])
        replace(p, sgd_nesterov(wide, g, buffer, momentum, lr) if group["nesterov"] else sgd_move(wide, buffer, lr))

    @staticmethod
    def _buffer(g: Tensor, p: Tensor, state: dict[str, Any], momentum: float, share: float) -> Tensor:
        """The running direction, after it has taken in the gradient."""
        before = state.get("momentum_buffer")
        if before is None and share == 1 and thread.interpreter is not None:
            before = state["momentum_buffer"] = untraced(lambda: zeros(p.shape, dtype=p.dtype, device=p.device))
        if before is None:
            state["momentum_buffer"] = g.detach().clone() if g.dtype == p.dtype else g.detach().to(p.dtype)
            return g
        buffer = sgd_buffer(*widened(before), g, momentum, share)
        replace(before, buffer)
        return buffer
