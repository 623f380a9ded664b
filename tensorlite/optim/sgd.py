"""Stochastic gradient descent."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.errors import ArgumentError, complaint
from tensorlite.ops.filled import zeros_like
from tensorlite.optim.by_rule import ByRule
from tensorlite.optim.optimizer import Params, check_at_least_zero, untraced
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.tensor import Tensor

__all__ = ["SGD"]


@functools.cache
def _rule(maximize: bool, decays: bool, keeps: bool, nesterov: bool, first: bool = False) -> Rule:
    """The step of `SGD`, where ``keeps`` says that there is a buffer, whose ``first`` value is the direction alone."""
    def sgd(p, grad, momentum_buffer, lr, momentum, share, decay):
        d = direction(grad, p, decay, maximize, decays)
        if not keeps:
            return {"p": p - d * lr}
        buffer = d if first else momentum_buffer * momentum + d * share
        move = d + buffer * momentum if nesterov else buffer
        return {"d": d, "momentum_buffer": buffer, "p": p - move * lr}
    return rule(sgd)


class SGD(ByRule):
    """Stochastic gradient descent with momentum (Sutskever et al., 2013, in PyTorch's form).

    ``b = momentum * b + (1 - dampening) * (g + weight_decay * p)``, ``p = p - lr * b``; the first ``b`` is ``g``.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.SGD([w], lr=0.5)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.])
    """

    adjustable = ("lr", "momentum", "weight_decay")
    joins = True

    def __init__(self, params: Params, lr: float | Tensor = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
                 master_weights: bool = False) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                                  "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
                                  "differentiable": differentiable, "fused": fused}, master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("SGD", group, "lr", "momentum", "weight_decay")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise complaint(ArgumentError, "SGD", "nesterov needs a momentum and no dampening")

    def rule(self, group: Group) -> Rule:
        keeps = bool(group["momentum"])
        return _rule(group["maximize"], bool(group["weight_decay"]), keeps, keeps and group["nesterov"])

    def kept(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def numbers(self, step: Any, group: Group) -> dict[str, Any]:
        return {"lr": group.number("lr"), "momentum": group.number("momentum"), "share": 1 - group["dampening"],
                "decay": group.number("weight_decay")}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        if not group["momentum"] or "momentum_buffer" in state:
            super().update(p, g, state, group)
        elif group["dampening"] == 0:
            state["momentum_buffer"] = untraced(lambda: zeros_like(p))
            super().update(p, g, state, group)
        else:
            state["momentum_buffer"] = buffer = zeros_like(p)
            rule = _rule(group["maximize"], bool(group["weight_decay"]), True, group["nesterov"], first=True)
            rule.apply({"p": p, "grad": g, "momentum_buffer": buffer}, self.numbers(None, group))
