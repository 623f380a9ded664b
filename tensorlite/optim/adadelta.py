"""Adadelta."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.errors import ArgumentError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.filled import zeros_like
from tensorlite.optim.by_rule import ByRule
from tensorlite.optim.optimizer import Params, check_at_least_zero
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.optim.scalars import scalar
from tensorlite.tensor import Tensor

__all__ = ["Adadelta"]


@functools.cache
def _rule(maximize: bool, decays: bool) -> Rule:
    def adadelta(p, grad, square_avg, acc_delta, rho, share, lr, eps, decay):
        d = direction(grad, p, decay, maximize, decays)
        square = square_avg * rho + d * d * share
        delta = s.sqrt(acc_delta + eps) / s.sqrt(square + eps) * d
        return {"d": d, "square_avg": square, "delta": delta, "acc_delta": acc_delta * rho + delta * delta * share,
                "p": p - delta * lr}
    return rule(adadelta)


class Adadelta(ByRule):
    """Adadelta, whose steps have the size of earlier ones (Zeiler, "Adadelta: an adaptive learning rate", 2012).

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.Adadelta([w])
    >>> (w * w).sum().backward(); optimizer.step()
    >>> bool(w < 1)
    True
    """

    adjustable = ("lr", "rho", "weight_decay")

    def __init__(self, params: Params, lr: float | Tensor = 1.0, rho: float = 0.9, eps: float = 1e-6,
                 weight_decay: float = 0, foreach: bool | None = None, *, capturable: bool = False,
                 maximize: bool = False, differentiable: bool = False, master_weights: bool = False) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                                  "capturable": capturable, "foreach": foreach, "differentiable": differentiable},
                         master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("Adadelta", group, "lr", "eps", "weight_decay")
        if not 0.0 <= group["rho"] <= 1.0:
            raise complaint(ArgumentError, "Adadelta", f"rho must be in [0, 1], it is {group['rho']}")

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": scalar(0, p.device), "square_avg": zeros_like(p), "acc_delta": zeros_like(p)}

    def rule(self, group: Group) -> Rule:
        return _rule(group["maximize"], bool(group["weight_decay"]))

    def kept(self, group: Group) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def numbers(self, step: Any, group: Group) -> dict[str, Any]:
        rho = group.number("rho")
        return {"rho": rho, "share": 1 - rho, "lr": group.number("lr"), "eps": group["eps"],
                "decay": group.number("weight_decay")}
