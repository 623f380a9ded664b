"""RAdam."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.kernels import scalar as s
from tensorlite.ops.filled import zeros_like
from tensorlite.optim.by_rule import ByRule
from tensorlite.optim.optimizer import Params, check_at_least_zero, check_betas
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.optim.scalars import choose, larger, scalar
from tensorlite.tensor import Tensor

__all__ = ["RAdam"]

#: Above which length of the running mean its variance is finite, and the steps adapt.
_TRACTABLE = 5.0


@functools.cache
def _rule(maximize: bool, decays: bool) -> Rule:
    def radam(p, grad, exp_avg, exp_avg_sq, share1, beta2, share2, shrink, rate, rectified, eps, decay):
        d = direction(grad, p, decay, maximize, decays)
        mean, square = exp_avg + (d - exp_avg) * share1, exp_avg_sq * beta2 + d * d * share2
        adapted = s.where(rectified > 0, rectified / (s.sqrt(square) + eps), 1)
        return {"d": d, "exp_avg": mean, "exp_avg_sq": square, "p": p * shrink - mean * rate * adapted}
    return rule(radam)


def _rectified(step: Any, beta2: Any) -> Any:
    """What makes up for the variance of a mean of so few squares and for its bias; 0 where nothing can."""
    bias = 1 - beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * beta2**step / bias
    ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return choose(length > _TRACTABLE, larger(ratio * bias, 0.0) ** 0.5, 0.0)


class RAdam(ByRule):
    """Adam with rectified variance, which needs no warm-up (Liu et al., "On the variance of the adaptive rate", 2020).

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.RAdam([w], lr=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.5])
    """

    adjustable = ("lr", "betas", "weight_decay")

    def __init__(self, params: Params, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, decoupled_weight_decay: bool = False, *,
                 foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
                 differentiable: bool = False, master_weights: bool = False) -> None:
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable}, master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("RAdam", group, "lr", "eps", "weight_decay")
        check_betas("RAdam", group)

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": scalar(0, p.device), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def rule(self, group: Group) -> Rule:
        return _rule(group["maximize"], bool(group["weight_decay"]) and not group["decoupled_weight_decay"])

    def kept(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def numbers(self, step: Any, group: Group) -> dict[str, Any]:
        lr, (beta1, beta2), decay = group.number("lr"), group.number("betas"), group.number("weight_decay")
        shrinks = bool(group["weight_decay"]) and group["decoupled_weight_decay"]
        return {"share1": 1 - beta1, "beta2": beta2, "share2": 1 - beta2, "shrink": 1 - lr * decay if shrinks else 1.0,
                "rate": lr / (1 - beta1**step), "rectified": _rectified(step, beta2), "eps": group["eps"],
                "decay": decay}
