"""Lion."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.kernels import scalar as s
from tensorlite.ops.filled import zeros_like
from tensorlite.optim.by_rule import ByRule
from tensorlite.optim.optimizer import Params, check_at_least_zero, check_betas
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.tensor import Tensor

__all__ = ["Lion"]


@functools.cache
def _rule(maximize: bool) -> Rule:
    def lion(p, grad, exp_avg, share1, share2, shrink, lr):
        d = direction(grad, p, p, maximize, False)
        return {"p": p * shrink - s.sign(exp_avg + (d - exp_avg) * share1) * lr,
                "exp_avg": exp_avg + (d - exp_avg) * share2}
    return rule(lion)


class Lion(ByRule):
    """Lion, whose steps have one size in every element (Chen et al., "Symbolic discovery of optimization algorithms").

    ``p = p - lr * (sign(betas[0] * m + (1 - betas[0]) * g) + weight_decay * p)``, then
    ``m = betas[1] * m + (1 - betas[1]) * g``. The paper (2023, algorithm 2) advises a rate three to ten times smaller
    than that of `AdamW`, and a weight decay as many times larger.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.Lion([w], lr=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.75])
    """

    adjustable = ("lr", "betas", "weight_decay")

    def __init__(self, params: Params, lr: float | Tensor = 1e-4, betas: tuple[float, float] = (0.9, 0.99),
                 weight_decay: float = 0, *, maximize: bool = False, master_weights: bool = False) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize},
                         master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("Lion", group, "lr", "weight_decay")
        check_betas("Lion", group)

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"exp_avg": zeros_like(p)}

    def rule(self, group: Group) -> Rule:
        return _rule(group["maximize"])

    def kept(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg",)

    def numbers(self, step: Any, group: Group) -> dict[str, Any]:
        lr, (beta1, beta2) = group.number("lr"), group.number("betas")
        return {"share1": 1 - beta1, "share2": 1 - beta2, "shrink": 1 - lr * group.number("weight_decay"), "lr": lr}
