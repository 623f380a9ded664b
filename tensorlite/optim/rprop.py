"""Rprop."""

from __future__ import annotations

import functools
from typing import Any

from tensorlite.errors import ArgumentError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.filled import full_like, zeros_like
from tensorlite.optim.by_rule import ByRule
from tensorlite.optim.optimizer import Params, check_at_least_zero
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, direction, rule
from tensorlite.optim.scalars import scalar
from tensorlite.tensor import Tensor

__all__ = ["Rprop"]


@functools.cache
def _rule(maximize: bool) -> Rule:
    def rprop(p, grad, prev, step_size, shrink, grow, least, most):
        d = direction(grad, p, p, maximize, False)
        same = d * prev
        factor = s.where(s.equal(same, 0), 1, s.where(same > 0, grow, s.where(same < 0, shrink, same)))
        size = s.minimum(s.maximum(step_size * factor, least), most)
        kept = s.where(same < 0, 0, d)
        return {"same": same, "step_size": size, "prev": kept, "p": p - s.sign(kept) * size}
    return rule(rprop)


class Rprop(ByRule):
    """Resilient backpropagation: only signs of gradients count (Riedmiller and Braun, 1993).

    Each element has a step of its own, ``lr`` at first, which grows by ``etas[1]`` while the sign stays and shrinks by
    ``etas[0]`` where it turns, within ``step_sizes``.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.Rprop([w], lr=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.75])
    """

    adjustable = ("lr",)

    def __init__(self, params: Params, lr: float | Tensor = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
                 step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
                 master_weights: bool = False) -> None:
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach,
                                  "maximize": maximize, "differentiable": differentiable, "capturable": capturable},
                         master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("Rprop", group, "lr")
        shrink, grow = group["etas"]
        if not 0.0 < shrink < 1.0 < grow:
            raise complaint(ArgumentError, "Rprop", f"etas must be below and above 1, they are {shrink} and {grow}")

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"step": scalar(0, p.device), "prev": zeros_like(p),
                "step_size": full_like(p.detach(), group.number("lr"))}

    def rule(self, group: Group) -> Rule:
        return _rule(group["maximize"])

    def kept(self, group: Group) -> tuple[str, ...]:
        return ("prev", "step_size")

    def numbers(self, step: Any, group: Group) -> dict[str, Any]:
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        return {"shrink": shrink, "grow": grow, "least": least, "most": most}
