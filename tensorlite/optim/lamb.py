"""LAMB."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.kernels import scalar as s
from tensorlite.ops.filled import zeros_like
from tensorlite.optim.norms import norm, trust
from tensorlite.optim.optimizer import Optimizer, Params, check_at_least_zero, check_betas
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.optim.scalars import count, scalar, value
from tensorlite.tensor import Tensor

__all__ = ["LAMB"]


@functools.cache
def _look(maximize: bool) -> Rule:
    """Where the step goes."""
    def lamb(p, grad, exp_avg, exp_avg_sq, share1, beta2, share2, bias1, bias2, eps, decay):
        d = direction(grad, p, decay, maximize, False)
        mean, square = exp_avg + (d - exp_avg) * share1, exp_avg_sq * beta2 + d * d * share2
        return {"d": d, "exp_avg": mean, "exp_avg_sq": square,
                "move": mean / bias1 / (s.sqrt(square / bias2) + eps) + p * decay}
    return rule(lamb, "move")


@functools.cache
def _go() -> Rule:
    return rule(lambda p, move, rate: {"p": p - move * rate})


class LAMB(Optimizer):
    """LAMB, for large batches: each layer's step of `AdamW` is as long as the layer (You et al., 2020, algorithm 2).

    ``u = m / (sqrt(v) + eps) + weight_decay * p`` of the unbiased means, ``p = p - lr * norm(p) / norm(u) * u``; where
    a norm is zero the ratio is 1.

    >>> import tensorlite as tl
    >>> w = tl.tensor([2.0], requires_grad=True)
    >>> optimizer = tl.optim.LAMB([w], lr=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([1.5])
    """

    adjustable = ("lr", "betas", "weight_decay")
    only_real = True

    def __init__(self, params: Params, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-6, weight_decay: float = 1e-2, *, maximize: bool = False,
                 master_weights: bool = False) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "maximize": maximize}, master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("LAMB", group, "lr", "eps", "weight_decay")
        check_betas("LAMB", group)

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": scalar(0, p.device), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        step, (beta1, beta2) = count(state), group.number("betas")
        (move,) = _look(group["maximize"]).apply(
            {"p": p, "grad": g, "exp_avg": state["exp_avg"], "exp_avg_sq": state["exp_avg_sq"]},
            {"share1": 1 - beta1, "beta2": beta2, "share2": 1 - beta2, "bias1": 1 - beta1**step,
             "bias2": 1 - beta2**step, "eps": group["eps"], "decay": group.number("weight_decay")})
        weight, length = value(norm(p)), value(norm(move))
        _go().apply({"p": p, "move": move}, {"rate": trust(weight, length, length) * group.number("lr")})
