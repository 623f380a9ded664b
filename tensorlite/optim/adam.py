"""Adam and AdamW."""

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

__all__ = ["Adam", "AdamW"]


@functools.cache
def _rule(maximize: bool, decays: bool, amsgrad: bool) -> Rule:
    """The step of `Adam`, where ``decays`` says that the gradient takes part of the parameter in."""
    def adam(p, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, share1, beta2, share2, shrink, rate, root, eps, decay):
        d = direction(grad, p, decay, maximize, decays)
        mean = exp_avg + (d - exp_avg) * share1
        square = exp_avg_sq * beta2 + d * d * share2
        found = {"d": d, "exp_avg": mean, "exp_avg_sq": square}
        if amsgrad:
            square = found["max_exp_avg_sq"] = s.maximum(max_exp_avg_sq, square)
        return {**found, "p": p * shrink - mean * rate / (s.sqrt(square) / root + eps)}
    return rule(adam)


class Adam(ByRule):
    """Adam (Kingma and Ba, 2015), with ``amsgrad`` (Reddi et al., 2018).

    ``weight_decay`` adds ``weight_decay * p`` to the gradient; with ``decoupled_weight_decay``, as in `AdamW`, it
    shrinks the parameters instead.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.Adam([w], lr=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.75])
    """

    adjustable = ("lr", "betas", "weight_decay")

    def __init__(self, params: Params, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None, decoupled_weight_decay: bool = False,
                 master_weights: bool = False) -> None:
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
            "fused": fused, "decoupled_weight_decay": decoupled_weight_decay}, master_weights)

    def check(self, group: Group) -> None:
        name = type(self).__name__
        check_at_least_zero(name, group, "lr", "eps", "weight_decay")
        check_betas(name, group)

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": scalar(0, p.device), **{key: zeros_like(p) for key in self.kept(group)}}

    def rule(self, group: Group) -> Rule:
        return _rule(group["maximize"], bool(group["weight_decay"]) and not group["decoupled_weight_decay"],
                     group["amsgrad"])

    def kept(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))

    def numbers(self, step: Any, group: Group) -> dict[str, Any]:
        lr, (beta1, beta2), decay = group.number("lr"), group.number("betas"), group.number("weight_decay")
        shrinks = bool(group["weight_decay"]) and group["decoupled_weight_decay"]
        return {"share1": 1 - beta1, "beta2": beta2, "share2": 1 - beta2, "rate": lr / (1 - beta1**step),
                "root": (1 - beta2**step) ** 0.5, "eps": group["eps"], "decay": decay,
                "shrink": 1 - lr * decay if shrinks else 1.0}


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters by ``lr * weight_decay`` (Loshchilov and Hutter, 2019).

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.AdamW([w], lr=0.25, weight_decay=1.0)
    >>> (w * 0).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.75])
    """

    def __init__(self, params: Params, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None, master_weights: bool = False) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
                         capturable=capturable, differentiable=differentiable, fused=fused,
                         decoupled_weight_decay=True, master_weights=master_weights)
