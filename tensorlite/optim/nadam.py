"""NAdam."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.kernels import scalar as s
from tensorlite.ops.filled import zeros_like
from tensorlite.optim.optimizer import Optimizer, Params, check_at_least_zero, check_betas
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.optim.scalars import assign, count, scalar, value
from tensorlite.tensor import Tensor

__all__ = ["NAdam"]


@functools.cache
def _rule(maximize: bool, decays: bool) -> Rule:
    def nadam(p, grad, exp_avg, exp_avg_sq, share1, beta2, share2, shrink, now, ahead, bias, eps, decay):
        d = direction(grad, p, decay, maximize, decays)
        mean, square = exp_avg + (d - exp_avg) * share1, exp_avg_sq * beta2 + d * d * share2
        size = s.sqrt(square / bias) + eps
        return {"d": d, "exp_avg": mean, "exp_avg_sq": square, "p": p * shrink - d * now / size - mean * ahead / size}
    return rule(nadam)


class NAdam(Optimizer):
    """Adam with Nesterov's momentum, which grows along a schedule (Dozat, "Incorporating Nesterov momentum", 2016).

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.NAdam([w], lr=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> bool(w < 1)
    True
    """

    adjustable = ("lr", "betas", "weight_decay")
    by_pairs = True

    def __init__(self, params: Params, lr: float | Tensor = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, momentum_decay: float = 4e-3,
                 decoupled_weight_decay: bool = False, *, foreach: bool | None = None, maximize: bool = False,
                 capturable: bool = False, differentiable: bool = False, master_weights: bool = False) -> None:
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable}, master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("NAdam", group, "lr", "eps", "weight_decay", "momentum_decay")
        check_betas("NAdam", group)

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": scalar(0, p.device), "mu_product": scalar(1, p.device), "exp_avg": zeros_like(p),
                "exp_avg_sq": zeros_like(p)}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        step, lr, (beta1, beta2) = count(state), group.number("lr"), group.number("betas")
        mu, ahead = (beta1 * (1 - 0.5 * 0.96 ** (at * group["momentum_decay"])) for at in (step, step + 1))
        assign(state["mu_product"], state["mu_product"] * mu)
        product = value(state["mu_product"])
        decay, decoupled = group.number("weight_decay"), bool(group["weight_decay"]) and group["decoupled_weight_decay"]
        _rule(group["maximize"], bool(group["weight_decay"]) and not decoupled).apply(
            {"p": p, "grad": g, "exp_avg": state["exp_avg"], "exp_avg_sq": state["exp_avg_sq"]},
            {"share1": 1 - beta1, "beta2": beta2, "share2": 1 - beta2, "shrink": 1 - lr * decay if decoupled else 1.0,
             "now": lr * (1 - mu) / (1 - product), "ahead": lr * ahead / (1 - product * ahead),
             "bias": 1 - beta2**step, "eps": group["eps"], "decay": decay})
