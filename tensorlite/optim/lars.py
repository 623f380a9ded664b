"""LARS."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.errors import ArgumentError, complaint
from tensorlite.ops.filled import zeros_like
from tensorlite.optim.norms import norm, trust
from tensorlite.optim.optimizer import Optimizer, Params, check_at_least_zero
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.optim.scalars import value
from tensorlite.tensor import Tensor

__all__ = ["LARS"]


@functools.cache
def _rule(maximize: bool, keeps: bool, nesterov: bool) -> Rule:
    def lars(p, grad, momentum_buffer, rate, momentum, decay):
        step = direction(grad, p, decay, maximize, True) * rate
        if not keeps:
            return {"p": p - step}
        buffer = momentum_buffer * momentum + step
        return {"step": step, "momentum_buffer": buffer, "p": p - (step + buffer * momentum if nesterov else buffer)}
    return rule(lars)


class LARS(Optimizer):
    """LARS, for large batches: each layer has a rate of its own (You et al., 2017, algorithm 1).

    ``rate = lr * trust_coefficient * norm(p) / (norm(g) + weight_decay * norm(p) + eps)``, or ``lr`` where a norm is
    zero; ``b = momentum * b + rate * (g + weight_decay * p)``, ``p = p - b``. Give biases and norms' scales, which
    are better not scaled, to another optimizer, or a group with ``trust_coefficient=None``.

    >>> import tensorlite as tl
    >>> w = tl.tensor([2.0], requires_grad=True)
    >>> optimizer = tl.optim.LARS([w], lr=1.0, trust_coefficient=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([1.5])
    """

    adjustable = ("lr", "momentum", "weight_decay")
    only_real = True

    def __init__(self, params: Params, lr: float | Tensor = 1e-3, momentum: float = 0, weight_decay: float = 0,
                 trust_coefficient: float | None = 1e-3, eps: float = 0, nesterov: bool = False, *,
                 maximize: bool = False, master_weights: bool = False) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay,
                                  "trust_coefficient": trust_coefficient, "eps": eps, "nesterov": nesterov,
                                  "maximize": maximize}, master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("LARS", group, "lr", "momentum", "weight_decay", "eps")
        coefficient = group["trust_coefficient"]
        if coefficient is not None and not coefficient > 0:
            raise complaint(ArgumentError, "LARS", f"trust_coefficient must be positive, it is {coefficient}", None,
                            "trust_coefficient=None scales nothing")
        if group["nesterov"] and group["momentum"] <= 0:
            raise complaint(ArgumentError, "LARS", "nesterov needs a momentum")

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"momentum_buffer": zeros_like(p)}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        keeps = bool(group["momentum"])
        _rule(group["maximize"], keeps, group["nesterov"]).apply(
            {"p": p, "grad": g, **({"momentum_buffer": state["momentum_buffer"]} if keeps else {})},
            {"rate": self._rate(p, g, group), "momentum": group.number("momentum"),
             "decay": group.number("weight_decay")})

    @staticmethod
    def _rate(p: Tensor, g: Tensor, group: Group) -> Any:
        """The layer's own rate."""
        lr, decay, coefficient = group.number("lr"), group.number("weight_decay"), group["trust_coefficient"]
        if coefficient is None:
            return lr
        weight, slope = value(norm(p)), value(norm(g))
        return lr * trust(weight * coefficient, slope, slope + weight * decay + group["eps"])
