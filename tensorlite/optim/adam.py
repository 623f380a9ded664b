"""Adam and AdamW."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tensorlite.declare import elementwise
from tensorlite.errors import ArgumentError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.elementwise import maximum, negative
from tensorlite.ops.filled import zeros
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import astype
from tensorlite.optim.optimizer import (
    Group,
    Optimizer,
    Params,
    check_at_least_zero,
    rate_of,
    replace,
    untraced,
)
from tensorlite.optim.rule import Rule
from tensorlite.optim.sgd import decayed
from tensorlite.state import state as thread
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import float32, float64


@elementwise(accepts="real floating", hidden=True)
def adam_mean(m, grad, share):
    """The running mean of gradients."""
    return m + (grad - m) * share


@elementwise(accepts="real floating", hidden=True)
def adam_square(v, grad, beta, share):
    """The running mean of squared gradients."""
    return v * beta + grad * grad * share


@elementwise(accepts="real floating", hidden=True, domain={"v": (0.1, 2.0), "root": (0.1, 1.0), "eps": (0.1, 1.0)})
def adam_move(p, m, v, shrink, lr, root, eps):
    """The parameter a step away."""
    return p * shrink - m * lr / (s.sqrt(v) / root + eps)


@functools.cache
def _rule(maximize: bool, decays: bool, amsgrad: bool) -> Rule:
    """The step of `Adam`, where ``decays`` says that the gradient takes part of the parameter in."""
    square = "largest" if amsgrad else "square"
    return Rule((
        *([("grad", negative, ("grad",))] if maximize else []),
        *([("grad", decayed, ("grad", "p", "decay"))] if decays else []),
        ("mean", adam_mean, ("exp_avg", "grad", "share1")),
        ("square", adam_square, ("exp_avg_sq", "grad", "beta2", "share2")),
        *([("largest", maximum, ("max_exp_avg_sq", "square"))] if amsgrad else []),
        ("moved", adam_move, ("p", "mean", square, "shrink", "rate", "root", "eps")),
    ), (("exp_avg", "mean"), ("exp_avg_sq", "square"), *([("max_exp_avg_sq", "largest")] if amsgrad else []),
        ("p", "moved")))  # fmt: skip


@elementwise(accepts="real floating", hidden=True, domain={"step": (1.0, 9.0), "beta": (0.1, 0.9)})
def unbiased_rate(step, lr, beta):
    """The learning rate, scaled up for a mean that began at zero."""
    return lr / (1 - beta ** step)


@elementwise(accepts="real floating", hidden=True, domain={"step": (1.0, 9.0), "beta": (0.1, 0.9)})
def unbiased_root(step, beta):
    """The root of the share that a mean of squares, begun at zero, has taken in."""
    return s.sqrt(1 - beta ** step)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with ``amsgrad`` (Reddi et al., 2018).

    ``weight_decay`` adds ``weight_decay * p`` to the gradient; `AdamW` shrinks the parameters instead.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.Adam([w], lr=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.75])
    """

    decoupled = False

    def __init__(self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, amsgrad: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params,
                         {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
                                  "maximize": maximize})

    def check(self, group: Group) -> None:
        name = type(self).__name__
        check_at_least_zero(name, group, "lr", "eps", "weight_decay")
        for number, beta in enumerate(group["betas"]):
            if not 0.0 <= beta < 1.0:
                raise complaint(ArgumentError, name, f"betas[{number}] must be in [0, 1), it is {beta}")

    def begin(self) -> None:
        self._rates: dict[Any, tuple[Tensor, Tensor]] = {}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        if not state:
            state.update(untraced(lambda: self._start(p, group)))
        (beta1, beta2), decay, dtype = group["betas"], group["weight_decay"], accumulator(p.dtype)
        replace(state["step"], state["step"] + 1)
        rate, root = self._unbiased(state["step"], group.rate, beta1, beta2, dtype, p.device)
        kept = {key: state[key] for key in self._kept(group)}
        _rule(group["maximize"], bool(decay) and not self.decoupled, group["amsgrad"]).apply(
            {"p": p, "grad": g, **kept},
            {"share1": 1 - beta1, "beta2": beta2, "share2": 1 - beta2, "rate": rate, "root": root, "eps": group["eps"],
             "decay": decay, "shrink": 1 - rate_of(group, dtype) * decay if self.decoupled else 1.0},
        )

    @classmethod
    def _start(cls, p: Tensor, group: Group) -> dict[str, Tensor]:
        return {"step": zeros((), dtype=float32, device=p.device),
                **{key: zeros(p.shape, dtype=p.dtype, device=p.device) for key in cls._kept(group)}}

    @staticmethod
    def _kept(group: Group) -> tuple[str, ...]:
        """The names of the means that are kept for a parameter."""
        return ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))

    def _unbiased(self, step: Tensor, lr: Any, beta1: float, beta2: float, dtype: np.dtype,
                  device: str) -> tuple[Tensor, Tensor]:
        """The rate and the root for a count of steps; parameters of equal counts share them if those can be read."""
        key = (step.item() if thread.interpreter is None else id(step), lr, beta1, beta2, dtype, device)
        if key not in self._rates:
            exact = astype(step, float64)
            self._rates[key] = (astype(unbiased_rate(exact, lr, beta1), dtype, copy=False),
                                astype(unbiased_root(exact, beta2), dtype, copy=False))
        return self._rates[key]


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters by ``lr * weight_decay`` (Loshchilov and Hutter, 2019).

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.AdamW([w], lr=0.25, weight_decay=1.0)
    >>> (w * 0).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.75])
    """

    decoupled = True

    def __init__(self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
