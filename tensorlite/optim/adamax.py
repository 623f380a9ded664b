"""Adamax."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.kernels import scalar as s
from tensorlite.ops.filled import zeros_like
from tensorlite.optim.by_rule import ByRule
from tensorlite.optim.optimizer import Params, check_at_least_zero, check_betas
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.optim.scalars import scalar
from tensorlite.tensor import Tensor

__all__ = ["Adamax"]


@functools.cache
def _rule(maximize: bool, decays: bool) -> Rule:
    def adamax(p, grad, exp_avg, exp_inf, share1, beta2, rate, eps, decay):
        d = direction(grad, p, decay, maximize, decays)
        mean, largest = exp_avg + (d - exp_avg) * share1, s.maximum(exp_inf * beta2, s.abs(d) + eps)
        return {"d": d, "exp_avg": mean, "exp_inf": largest, "p": p - mean * rate / largest}
    return rule(adamax)


class Adamax(ByRule):
    """Adamax, which divides by the largest gradient that is not yet forgotten (Kingma and Ba, 2015, section 7.1).

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.Adamax([w], lr=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.75])
    """

    adjustable = ("lr", "betas", "weight_decay")

    def __init__(self, params: Params, lr: float | Tensor = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False, master_weights: bool = False) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
                                  "capturable": capturable}, master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("Adamax", group, "lr", "eps", "weight_decay")
        check_betas("Adamax", group)

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": scalar(0, p.device), "exp_avg": zeros_like(p), "exp_inf": zeros_like(p)}

    def rule(self, group: Group) -> Rule:
        return _rule(group["maximize"], bool(group["weight_decay"]))

    def kept(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def numbers(self, step: Any, group: Group) -> dict[str, Any]:
        beta1, beta2 = group.number("betas")
        return {"share1": 1 - beta1, "beta2": beta2, "rate": group.number("lr") / (1 - beta1**step),
                "eps": group["eps"], "decay": group.number("weight_decay")}
