"""Muon."""

from __future__ import annotations

import functools
import math
from typing import Any

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.ops.elementwise import maximum
from tensorlite.ops.filled import zeros_like
from tensorlite.ops.linear_algebra.linalg import matmul, matrix_transpose
from tensorlite.optim.norms import norm
from tensorlite.optim.optimizer import Optimizer, Params, check_at_least_zero
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, rule, widened
from tensorlite.tensor import Tensor

__all__ = ["Muon"]

_MOST_STEPS = 100
_SCALES = {None: lambda rows, columns: math.sqrt(max(1, rows / columns)),
           "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
           "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns))}


@functools.cache
def _look(nesterov: bool) -> Rule:
    """Where the step goes, before it is made orthogonal."""
    def muon(p, grad, momentum_buffer, share, momentum):
        buffer = momentum_buffer + (grad - momentum_buffer) * share
        ahead = {"move": grad + (buffer - grad) * momentum} if nesterov else {}
        return {"momentum_buffer": buffer, **ahead}
    return rule(muon, "move" if nesterov else "momentum_buffer")


@functools.cache
def _go() -> Rule:
    return rule(lambda p, move, shrink, rate: {"p": p * shrink - move * rate})


class Muon(Optimizer):
    """Muon, for the matrices of hidden layers: steps whose singular values are near 1 (Jordan et al., 2024).

    The running mean of gradients is made orthogonal by ``ns_steps`` steps of Newton and Schulz with the polynomial of
    ``ns_coefficients``. ``adjust_lr_fn`` is "original", ``lr * sqrt(max(1, rows / columns))``, or "match_rms_adamw",
    ``lr * 0.2 * sqrt(max(rows, columns))`` (Liu et al., 2025). PyTorch computes the steps in bfloat16, which is fast on
    GPUs; here it is float32, or what is wider.

    >>> import tensorlite as tl
    >>> w = tl.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    >>> optimizer = tl.optim.Muon([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step()
    >>> bool(w.sum() < 2)
    True
    """

    adjustable = ("lr", "momentum", "weight_decay")
    only_real = True

    def __init__(self, params: Params, lr: float | Tensor = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95,
                 nesterov: bool = True, ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
                 eps: float = 1e-7, ns_steps: int = 5, adjust_lr_fn: str | None = None, *,
                 master_weights: bool = False) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
                                  "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
                                  "adjust_lr_fn": adjust_lr_fn}, master_weights)

    def check(self, group: Group) -> None:
        check_at_least_zero("Muon", group, "lr", "momentum", "weight_decay")
        if group["adjust_lr_fn"] not in _SCALES:
            raise complaint(ArgumentError, "Muon", "adjust_lr_fn must be 'original', 'match_rms_adamw' or None, not "
                            f"{group['adjust_lr_fn']!r}")
        if not 0 <= group["ns_steps"] < _MOST_STEPS:
            raise complaint(ArgumentError, "Muon", f"ns_steps must be below {_MOST_STEPS}, it is {group['ns_steps']}")
        if len(group["ns_coefficients"]) != 3:
            raise complaint(ArgumentError, "Muon", "ns_coefficients must be three numbers")
        for p in group["params"]:
            if p.ndim != 2:
                raise complaint(ShapeError, "Muon", "parameters must be matrices", {"p": p},
                                "give others to another optimizer, such as AdamW")

    def begin_state(self, p: Tensor, group: Group) -> dict[str, Any]:
        return {"momentum_buffer": zeros_like(p)}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        lr, momentum = group.number("lr"), group.number("momentum")
        (move,) = _look(group["nesterov"]).apply(
            {"p": p, "grad": g, "momentum_buffer": state["momentum_buffer"]},
            {"share": 1 - momentum, "momentum": momentum})
        move = orthogonal(move, group["ns_coefficients"], group["ns_steps"], group["eps"])
        _go().apply({"p": p, "move": move}, {"shrink": 1 - lr * group.number("weight_decay"),
                                             "rate": lr * _SCALES[group["adjust_lr_fn"]](*p.shape)})


def orthogonal(x: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """A matrix near the orthogonal one next to ``x``: its singular values go through an odd polynomial in each step.

    With the usual coefficients they come near 1 fast, and stay between 0.5 and 1.5.
    """
    (x,) = widened(x)
    a, b, c = coefficients
    if x.shape[0] > x.shape[1]:
        return matrix_transpose(orthogonal(matrix_transpose(x), coefficients, steps, eps))
    x = x / maximum(norm(x), eps)
    for _ in range(steps):
        gram = matmul(x, matrix_transpose(x))
        x = x * a + matmul(gram * b + matmul(gram, gram) * c, x)
    return x
