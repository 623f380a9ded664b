"""Adagrad."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.kernels import scalar as s
from tensorlite.ops.filled import full_like
from tensorlite.optim.by_rule import ByRule
from tensorlite.optim.optimizer import Params, check_at_least_zero
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.optim.scalars import scalar
from tensorlite.tensor import Tensor

__all__ = ["Adagrad"]


@functools.cache
def _rule(maximize: bool, decays: bool) -> Rule:
    def adagrad(p, grad, sum, rate, eps, decay):
        d = direction(grad, p, decay, maximize, decays)
        total = sum + d * d
        return {"d": d, "sum": total, "p": p - d * rate / (s.sqrt(total) + eps)}
    return rule(adagrad)


class Adagrad(ByRule):
    """Adagrad, which divides by the root of the sum of all squared gradients (Duchi et al., 2011).

    The sums begin at ``initial_accumulator_value`` when the optimizer is made.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.Adagrad([w], lr=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.75])
    """

    adjustable = ("lr", "weight_decay")

    def __init__(self, params: Params, lr: float | Tensor = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
                 maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
                 master_weights: bool = False) -> None:
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused}, master_weights)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self._first_state(p, group)

    def check(self, group: Group) -> None:
        check_at_least_zero("Adagrad", group, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": scalar(0, p.device), "sum": full_like(p.detach(), group["initial_accumulator_value"])}

    def rule(self, group: Group) -> Rule:
        return _rule(group["maximize"], bool(group["weight_decay"]))

    def kept(self, group: Group) -> tuple[str, ...]:
        return ("sum",)

    def numbers(self, step: Any, group: Group) -> dict[str, Any]:
        return {"rate": group.number("lr") / (1 + (step - 1) * group["lr_decay"]), "eps": group["eps"],
                "decay": group.number("weight_decay")}
