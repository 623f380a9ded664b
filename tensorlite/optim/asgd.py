"""Averaged stochastic gradient descent."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.kernels import scalar as s
from tensorlite.ops.filled import zeros_like
from tensorlite.optim.optimizer import Optimizer, Params, check_at_least_zero
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.optim.scalars import assign, count, larger, scalar, value
from tensorlite.tensor import Tensor

__all__ = ["ASGD"]


@functools.cache
def _rule(maximize: bool, decays: bool) -> Rule:
    def asgd(p, grad, ax, eta, mu, shrink, decay):
        moved = p * shrink - direction(grad, p, decay, maximize, decays) * eta
        return {"p": moved, "ax": s.where(s.equal(mu, 1), moved, ax + (moved - ax) * mu)}
    return rule(asgd)


class ASGD(Optimizer):
    """Averaged stochastic gradient descent (Polyak and Juditsky, 1992; the rates are Bottou's).

    The state's ``ax`` is the mean of the parameters since step ``t0``.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.ASGD([w], lr=0.25, lambd=0.0)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.5])
    """

    adjustable = ("lr", "weight_decay")
    by_pairs = True

    def __init__(self, params: Params, lr: float | Tensor = 1e-2, lambd: float = 1e-4, alpha: float = 0.75,
                 t0: float = 1e6, weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False, *, master_weights: bool = False) -> None:
        super().__init__(params, {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
                                  "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
                                  "capturable": capturable}, master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("ASGD", group, "lr", "weight_decay")

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": scalar(0, p.device), "eta": scalar(group.number("lr"), p.device), "mu": scalar(1, p.device),
                "ax": zeros_like(p)}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        step, lr, lambd, eta = count(state), group.number("lr"), group["lambd"], value(state["eta"])
        _rule(group["maximize"], bool(group["weight_decay"])).apply(
            {"p": p, "grad": g, "ax": state["ax"]},
            {"eta": eta, "mu": value(state["mu"]), "shrink": 1 - lambd * eta, "decay": group.number("weight_decay")})
        assign(state["eta"], lr / (1 + lambd * lr * step) ** group["alpha"])
        assign(state["mu"], 1 / larger(step - group["t0"], 1.0))
