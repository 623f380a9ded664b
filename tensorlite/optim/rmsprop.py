"""RMSprop."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.kernels import scalar as s
from tensorlite.ops.filled import zeros_like
from tensorlite.optim.by_rule import ByRule
from tensorlite.optim.optimizer import Params, check_at_least_zero
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.optim.scalars import scalar
from tensorlite.tensor import Tensor

__all__ = ["RMSprop"]


@functools.cache
def _rule(maximize: bool, decays: bool, centered: bool, keeps: bool) -> Rule:
    def rmsprop(p, grad, square_avg, grad_avg, momentum_buffer, alpha, share, lr, momentum, eps, decay):
        d = direction(grad, p, decay, maximize, decays)
        variance = square = square_avg * alpha + d * d * share
        found = {"d": d, "square_avg": square}
        if centered:
            mean = found["grad_avg"] = grad_avg + (d - grad_avg) * share
            variance = square - mean * mean
        move = d / (s.sqrt(variance) + eps)
        if keeps:
            move = found["momentum_buffer"] = momentum_buffer * momentum + move
        return {**found, "p": p - move * lr}
    return rule(rmsprop)


class RMSprop(ByRule):
    """RMSprop, ``centered`` or not (Hinton's lecture, 2012; Graves, "Generating sequences", 2013), with momentum.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.RMSprop([w], lr=0.25, alpha=0.0)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.75])
    """

    adjustable = ("lr", "momentum", "alpha", "weight_decay")

    def __init__(self, params: Params, lr: float | Tensor = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0, momentum: float = 0, centered: bool = False, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False, differentiable: bool = False, *,
                 master_weights: bool = False) -> None:
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable}, master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("RMSprop", group, "lr", "eps", "momentum", "weight_decay", "alpha")

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": scalar(0, p.device), **{key: zeros_like(p) for key in self.kept(group)}}

    def rule(self, group: Group) -> Rule:
        return _rule(group["maximize"], bool(group["weight_decay"]), group["centered"], group["momentum"] > 0)

    def kept(self, group: Group) -> tuple[str, ...]:
        return ("square_avg", *(("momentum_buffer",) if group["momentum"] > 0 else ()),
                *(("grad_avg",) if group["centered"] else ()))

    def numbers(self, step: Any, group: Group) -> dict[str, Any]:
        alpha = group.number("alpha")
        return {"alpha": alpha, "share": 1 - alpha, "lr": group.number("lr"), "momentum": group.number("momentum"),
                "eps": group["eps"], "decay": group.number("weight_decay")}
