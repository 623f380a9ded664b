"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import elementwise
from tensorlite.errors import ArgumentError, complaint
from tensorlite.kernels import scalar as s
from tensorlite.ops.elementwise import maximum
from tensorlite.ops.filled import zeros
from tensorlite.ops.shape import astype
from tensorlite.optim.optimizer import (
    Group,
    Optimizer,
    Params,
    check_at_least_zero,
    rate_of,
    replace,
    untraced,
    widened,
)
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
        lr, (beta1, beta2), decay = group.rate, group["betas"], group["weight_decay"]
        wide, g = widened(p, g)
        g = -g if group["maximize"] else g
        g = decayed(g, wide, decay) if decay and not self.decoupled else g
        replace(state["step"], state["step"] + 1)
        mean, square = self._means(g, state, beta1, beta2, group["amsgrad"])
        rate, root = self._unbiased(state["step"], lr, beta1, beta2, wide)
        shrink = 1 - rate_of(group, wide.dtype) * decay if self.decoupled else 1.0
        replace(p, adam_move(wide, mean, square, shrink, rate, root, group["eps"]))

    @staticmethod
    def _start(p: Tensor, group: Group) -> dict[str, Tensor]:
        kept = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))
        return {"step": zeros((), dtype=float32, device=p.device),
                **{key: zeros(p.shape, dtype=p.dtype, device=p.device) for key in kept}}

    def _unbiased(self, step: Tensor, lr: Any, beta1: float, beta2: float, wide: Tensor) -> tuple[Tensor, Tensor]:
        """The rate and the root for a count of steps; parameters of equal counts share them if those can be read."""
        key = (step.item() if thread.interpreter is None else id(step), lr, beta1, beta2, wide.dtype, wide.device)
        if key not in self._rates:
            exact = astype(step, float64)
            self._rates[key] = (astype(unbiased_rate(exact, lr, beta1), wide.dtype, copy=False),
                                astype(unbiased_root(exact, beta2), wide.dtype, copy=False))
        return self._rates[key]

    @staticmethod
    def _means(g: Tensor, state: dict[str, Any], beta1: float, beta2: float, amsgrad: bool) -> tuple[Tensor, Tensor]:
        """The running means of gradients and of their squares (the largest so far for ``amsgrad``), moved on."""
        mean = adam_mean(*widened(state["exp_avg"]), g, 1 - beta1)
        square = adam_square(*widened(state["exp_avg_sq"]), g, beta2, 1 - beta2)
        replace(state["exp_avg"], mean)
        replace(state["exp_avg_sq"], square)
        if amsgrad:
            square = maximum(*widened(state["max_exp_avg_sq"]), square)
            replace(state["max_exp_avg_sq"], square)
        return mean, square


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
