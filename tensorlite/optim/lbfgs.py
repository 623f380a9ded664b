"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorlite.errors import ArgumentError, TraceError, complaint
from tensorlite.modes import run_with
from tensorlite.ops.elementwise import abs as absolute
from tensorlite.ops.extremes import max as largest
from tensorlite.ops.filled import zeros
from tensorlite.ops.join import concat
from tensorlite.ops.reduce import sum
from tensorlite.ops.shape import astype, reshape
from tensorlite.optim.line_search import Point, strong_wolfe
from tensorlite.optim.optimizer import Optimizer, Params, check_at_least_zero
from tensorlite.optim.options import Group
from tensorlite.optim.rule import replace
from tensorlite.state import state as thread
from tensorlite.tensor import Tensor

__all__ = ["LBFGS"]

#: How much a step must curve upwards to be remembered.
_LEAST_CURVATURE = 1e-10


class LBFGS(Optimizer):
    """L-BFGS: steps by the curvature that the last ``history_size`` steps met (Liu and Nocedal, 1989).

    `step` takes a closure, which it calls up to ``max_eval`` times (a quarter more than ``max_iter`` by default) and
    which must compute the loss and its gradients anew. Steps have length ``lr``, or with
    ``line_search_fn="strong_wolfe"`` one that satisfies the strong Wolfe conditions. There is one group of parameters.
    The step itself decides in Python, and so cannot be compiled; the closure can.

    >>> import tensorlite as tl
    >>> w = tl.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = tl.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - tl.tensor([1.0, 2.0])) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    >>> bool(tl.all(tl.abs(w - tl.tensor([1.0, 2.0])) < 1e-5))
    True
    """

    only_real = True

    def __init__(self, params: Params, lr: float | Tensor = 1, max_iter: int = 20, max_eval: int | None = None,
                 tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
                 line_search_fn: str | None = None) -> None:
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn})

    def check(self, group: Group) -> None:
        check_at_least_zero("LBFGS", group, "lr")
        if self.param_groups and group["params"] is not self.param_groups[0]["params"]:
            raise complaint(ArgumentError, "LBFGS", "there can be one group of parameters only")
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise complaint(ArgumentError, "LBFGS", "line_search_fn must be 'strong_wolfe' or None, not "
                            f"{group['line_search_fn']!r}")
        if not group["history_size"] >= 1:
            raise complaint(ArgumentError, "LBFGS", f"history_size must be at least 1, it is {group['history_size']}")

    def shape_of(self, p: Tensor, key: str) -> None:
        return None

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        if closure is None:
            raise complaint(ArgumentError, "LBFGS", "step needs a closure that computes the loss and its gradients")
        if thread.interpreter is not None:
            raise complaint(TraceError, "LBFGS", "how many steps are made is decided in Python", None,
                            "compile the closure instead: optimizer.step(tl.jit(closure))")
        return run_with(False, self._minimize, closure)

    def _minimize(self, closure: Callable[[], Any]) -> Any:
        group, state = self.param_groups[0], self.state[self._params[0]]
        for key in ("func_evals", "n_iter"):
            state.setdefault(key, 0)
        result = run_with(True, closure)
        loss, gradient, evaluations = float(_number(result)), self._gradient(), 1
        state["func_evals"] += 1
        if _largest(gradient) <= group["tolerance_grad"]:
            return result
        for number in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            begins = state["n_iter"] == 1
            state["d"] = d = self._first_direction(state, gradient) if begins else self._direction(state, gradient)
            state["prev_flat_grad"], state["prev_loss"] = gradient, loss
            state["t"] = t = group.number("lr") * (min(1.0, 1.0 / float(sum(absolute(gradient)))) if begins else 1)
            slope = _dot(gradient, d)
            if slope > -group["tolerance_change"]:
                break
            point, used = self._walk(closure, Point(0.0, loss, gradient, slope), t, d,
                                     group["max_eval"] - evaluations, number == group["max_iter"])
            loss, gradient, state["t"] = point.loss, point.gradient, point.at
            evaluations += used
            state["func_evals"] += used
            if evaluations >= group["max_eval"] or _largest(gradient) <= group["tolerance_grad"]:
                break
            least = group["tolerance_change"]
            if _largest(d * point.at) <= least or abs(loss - state["prev_loss"]) < least:
                break
        return result

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    def _walk(self, closure: Callable[[], Any], start: Point, t: float, d: Tensor, most: int,
              is_last: bool) -> tuple[Point, int]:
        """Goes along a line: the point that is reached, and how often the loss was computed."""
        group, held = self.param_groups[0], [p.detach() for p in self._params]

        def at(t: float) -> Point:
            self._go(held, t, d)
            loss, gradient = float(_number(run_with(True, closure))), self._gradient()
            return Point(t, loss, gradient, _dot(gradient, d))

        if group["line_search_fn"] is None:
            if not is_last:
                return at(t), 1
            self._go(held, t, d)
            return Point(t, start.loss, start.gradient, start.slope), 0
        point, used = strong_wolfe(at, start, t, _largest(d), group["tolerance_change"], most)
        self._go(held, point.at, d)
        return point, used

    def _go(self, held: list[Tensor], t: float, d: Tensor) -> None:
        """Sets the parameters to what they were, moved along a direction."""
        start = 0
        for p, value in zip(self._params, held, strict=True):
            move = reshape(d[start:start + p.size], p.shape)
            replace(p, astype(value + move * t, p.dtype, copy=False))
            start += p.size

    def _gradient(self) -> Tensor:
        """All gradients in one vector."""
        return concat([zeros(p.size, dtype=p.dtype, device=p.device) if p.grad is None
                       else reshape(p.grad.detach(), (-1,)) for p in self._params])

    def _first_direction(self, state: dict[str, Any], gradient: Tensor) -> Tensor:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
        return -gradient

    def _direction(self, state: dict[str, Any], gradient: Tensor) -> Tensor:
        """Minus the gradient, times the inverse of the curvature as far as it is known."""
        size, turns, steps, curvatures = (self.param_groups[0]["history_size"], state["old_dirs"], state["old_stps"],
                                          state["ro"])
        turn, step = gradient - state["prev_flat_grad"], state["d"] * _number(state["t"])
        curvature = _dot(turn, step)
        if curvature > _LEAST_CURVATURE:
            for kept, new in ((turns, turn), (steps, step), (curvatures, 1.0 / curvature)):
                kept.append(new)
                del kept[:-size]
            state["H_diag"] = curvature / _dot(turn, turn)
        d, shares = -gradient, []
        for turn, step, curvature in zip(reversed(turns), reversed(steps), reversed(curvatures), strict=True):
            shares.append(_dot(step, d) * _number(curvature))
            d = d - turn * shares[-1]
        state["al"] = [*reversed(shares), *[None] * (size - len(shares))]
        d = d * _number(state["H_diag"])
        for turn, step, curvature, share in zip(turns, steps, curvatures, reversed(shares), strict=True):
            d = d + step * (share - _dot(turn, d) * _number(curvature))
        return d


def _dot(x: Tensor, y: Tensor) -> float:
    return float(sum(x * y))


def _largest(x: Tensor) -> float:
    return float(largest(absolute(x))) if x.size else 0.0


def _number(x: Any) -> float:
    return x.item() if isinstance(x, Tensor) else x
