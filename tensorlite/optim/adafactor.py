"""Adafactor."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.errors import ArgumentError, complaint
from tensorlite.ops.elementwise import maximum, rsqrt, square
from tensorlite.ops.filled import zeros
from tensorlite.ops.info import finfo
from tensorlite.ops.reduce import mean
from tensorlite.ops.shape import astype
from tensorlite.optim.norms import norm
from tensorlite.optim.optimizer import Optimizer, Params, check_at_least_zero
from tensorlite.optim.options import Group
from tensorlite.optim.rule import replace, widened
from tensorlite.optim.scalars import count, scalar, smaller
from tensorlite.tensor import Tensor

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adafactor, which keeps of a matrix of squares its rows' and its columns' means (Shazeer and Stern, 2018).

    ``lr`` is the most that a step may change, relative to the root mean square of the parameter; ``eps[0]`` is by
    default that of the dtype. More axes than two are matrices in the last two.

    >>> import tensorlite as tl
    >>> w = tl.tensor([1.0], requires_grad=True)
    >>> optimizer = tl.optim.Adafactor([w], lr=0.25)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> w.detach()
    tensor([0.75])
    """

    adjustable = ("lr", "weight_decay")
    only_real = True

    def __init__(self, params: Params, lr: float | Tensor = 1e-2, beta2_decay: float = -0.8,
                 eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0, weight_decay: float = 0.0, *,
                 foreach: bool | None = None, maximize: bool = False, master_weights: bool = False) -> None:
        super().__init__(params, {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d,
                                  "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize},
                         master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("Adafactor", group, "lr", "weight_decay")
        for number, eps in enumerate(group["eps"]):
            if eps is not None and not eps >= 0.0:
                raise complaint(ArgumentError, "Adafactor", f"eps[{number}] must not be negative, it is {eps}")
        if not group["beta2_decay"] <= 0.0:
            raise complaint(ArgumentError, "Adafactor",
                            f"beta2_decay must not be positive, it is {group['beta2_decay']}")
        if not group["d"] >= 1.0:
            raise complaint(ArgumentError, "Adafactor", f"d must be at least 1, it is {group['d']}")

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        kept = ("row_var", "col_var") if p.ndim > 1 else ("variance",)
        return {"step": scalar(0, p.device), **{key: zeros(self.shape_of(p, key), dtype=p.dtype, device=p.device)
                                                for key in kept}}

    def shape_of(self, p: Tensor, key: str) -> tuple[int, ...]:
        shapes = {"row_var": (*p.shape[:-1], 1), "col_var": (*p.shape[:-2], 1, *p.shape[-1:])}
        return shapes.get(key, p.shape)

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        step, lr, decay = count(state), group.number("lr"), group.number("weight_decay")
        wide, grad = widened(p, g)
        dtype, (eps1, eps2) = wide.dtype, group["eps"]
        eps1 = float(finfo(p.dtype).eps) if eps1 is None else eps1
        grad = -grad if group["maximize"] else grad
        lr, decay, rate, share = (_in(dtype, x) for x in (lr, decay, smaller(lr, 1 / step**0.5),
                                                         step ** group["beta2_decay"]))
        root = p.size ** 0.5
        reach = maximum(norm(wide) / root, eps2) * rate
        update = rsqrt(maximum(self._variance(grad, state, share, eps1), eps1 * eps1)) * grad
        shrunk = wide * (1 - lr * decay) if group["weight_decay"] else wide
        replace(p, astype(shrunk - update * (reach / maximum(norm(update) / (root * group["d"]), 1.0)), p.dtype))

    @staticmethod
    def _variance(grad: Tensor, state: dict[str, Any], share: Any, eps: float) -> Tensor:
        """The running mean of squares, or what its rows and columns say of it."""
        if grad.ndim <= 1:
            return _move_on(state["variance"], square(grad), share)
        row = _move_on(state["row_var"], mean(square(grad), axis=-1, keepdims=True), share)
        column = _move_on(state["col_var"], mean(square(grad), axis=-2, keepdims=True), share)
        return row * column / maximum(mean(row, axis=-2, keepdims=True), eps)


def _move_on(x: Tensor, new: Tensor, share: Any) -> Tensor:
    """Moves a running mean of the state on."""
    wide = astype(x, new.dtype, copy=False)
    wide = wide + (new - wide) * share
    replace(x, astype(wide, x.dtype, copy=False))
    return wide


def _in(dtype: np.dtype, x: Any) -> Any:
    return astype(x, dtype, copy=False) if isinstance(x, Tensor) else x
