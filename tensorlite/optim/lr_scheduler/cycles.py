"""Schedulers that let the rates rise and fall, the momentum the other way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

from tensorlite.errors import ArgumentError, complaint
from tensorlite.optim.lr_scheduler.scheduler import (
    LRScheduler,
    check_momentum,
    check_optimizer,
    for_each,
    set_momentum,
    set_option,
)
from tensorlite.optim.optimizer import Optimizer
from tensorlite.optim.options import Group

__all__ = ["CyclicLR", "OneCycleLR"]

_SCALES: dict[str, tuple[str, Callable[[float, float], float]]] = {
    "triangular": ("cycle", lambda gamma, cycle: 1.0),
    "triangular2": ("cycle", lambda gamma, cycle: 1 / 2.0 ** (cycle - 1)),
    "exp_range": ("iterations", lambda gamma, step: gamma**step),
}


class CyclicLR(LRScheduler):
    """Lets the rates rise from ``base_lr`` to ``max_lr`` and fall back, again and again (Smith, 2017).

    ``mode`` "triangular" keeps the height of cycles, "triangular2" halves it each time, "exp_range" multiplies it by
    ``gamma`` at each step; ``scale_fn`` gives another factor, of the number of the cycle or, with ``scale_mode``
    "iterations", of that of the step. The momentum falls from ``max_momentum`` as the rates rise.

    >>> import tensorlite as tl
    >>> optimizer = tl.optim.SGD([tl.zeros(1)], lr=1.0, momentum=0.9)
    >>> scheduler = CyclicLR(optimizer, 0.0, 1.0, step_size_up=2)
    >>> scheduler.step(); scheduler.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, base_lr: float | Sequence[float], max_lr: float | Sequence[float],
                 step_size_up: int = 2000, step_size_down: int | None = None, mode: str = "triangular",
                 gamma: float = 1.0, scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle",
                 cycle_momentum: bool = True, base_momentum: float | Sequence[float] = 0.8,
                 max_momentum: float | Sequence[float] = 0.9, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        if mode not in _SCALES and scale_fn is None:
            raise complaint(ArgumentError, "CyclicLR",
                            f"mode must be one of {', '.join(map(repr, _SCALES))}, not {mode!r}")
        bases, self.max_lrs = (for_each(self, optimizer, name, value) for name, value in
                               (("base_lr", base_lr), ("max_lr", max_lr)))
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else _SCALES[mode][0]
        self.cycle_momentum = cycle_momentum
        if last_epoch == -1:
            for lr, group in zip(bases, optimizer.param_groups, strict=True):
                set_option(group, "lr", lr)
        if cycle_momentum:
            check_momentum(self, optimizer)
            self.base_momentums = for_each(self, optimizer, "base_momentum", base_momentum)
            self.max_momentums = for_each(self, optimizer, "max_momentum", max_momentum)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = bases

    def scale_fn(self, x: float) -> float:
        """The height of a cycle, of its number or that of the step."""
        return self._scale_fn_custom(x) if self._scale_fn_custom else _SCALES[self.mode][1](self.gamma, x)

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        share = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(self.groups, self.base_momentums, self.max_momentums, strict=True):
                set_momentum(group, high - (high - low) * share * scale)
        return [low + (high - low) * share * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions; of a callable object, its attributes."""
        function = self._scale_fn_custom
        kept = None if function is None or isinstance(function, FunctionType) else dict(vars(function))
        return {**super().state_dict(), "_scale_fn_custom": kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on from where `state_dict` was taken."""
        kept = state_dict["_scale_fn_custom"]
        if kept is not None:
            vars(self._scale_fn_custom).update(kept)
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_scale_fn_custom"})


class OneCycleLR(LRScheduler):
    """Lets the rates rise to ``max_lr`` and fall far below where they began, the momentum the other way.

    Smith and Topin, "Super-convergence", 2019. ``step`` is called after every batch, ``total_steps`` (or ``epochs *
    steps_per_epoch``) times at most; ``pct_start`` is the share of rising steps; ``three_phase`` falls back to where
    it began before it anneals.

    >>> import tensorlite as tl
    >>> optimizer = tl.optim.SGD([tl.zeros(1)], lr=1.0, momentum=0.9)
    >>> scheduler = OneCycleLR(optimizer, max_lr=1.0, total_steps=11, pct_start=0.5)
    >>> round(scheduler.get_last_lr()[0], 6), optimizer.param_groups[0]["momentum"]
    (0.04, 0.95)
    """

    def __init__(self, optimizer: Optimizer, max_lr: float | Sequence[float], total_steps: int | None = None,
                 epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
                 anneal_strategy: str = "cos", cycle_momentum: bool = True,
                 base_momentum: float | Sequence[float] = 0.85, max_momentum: float | Sequence[float] = 0.95,
                 div_factor: float = 25.0, final_div_factor: float = 1e4, three_phase: bool = False,
                 last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        self.total_steps = _steps(total_steps, epochs, steps_per_epoch)
        if not 0 <= pct_start <= 1:
            raise complaint(ArgumentError, "OneCycleLR", f"pct_start must be between 0 and 1, it is {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise complaint(ArgumentError, "OneCycleLR",
                            f"anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        self.phases = _phases(self.total_steps, pct_start, three_phase)
        peaks = for_each(self, optimizer, "max_lr", max_lr)
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["initial_lr"], group["max_lr"] = peak / div_factor, peak
                group["min_lr"] = group["initial_lr"] / final_div_factor
        if cycle_momentum:
            check_momentum(self, optimizer)
            lows = for_each(self, optimizer, "base_momentum", base_momentum)
            highs = for_each(self, optimizer, "max_momentum", max_momentum)
            if last_epoch == -1:
                for group, low, high in zip(optimizer.param_groups, lows, highs, strict=True):
                    group["base_momentum"], group["max_momentum"] = low, high
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            raise complaint(ArgumentError, "OneCycleLR",
                            f"step {self.last_epoch} comes after the last of {self.total_steps}")
        if self.cycle_momentum:
            for group in self.groups:
                set_momentum(group, self._at(group, *_MOMENTA))
        return [self._at(group, *_RATES) for group in self.groups]

    def _at(self, group: Group, low: str, high: str, last: str) -> float:
        """A group's rate or momentum at ``last_epoch``, of which these are the names of three values."""
        names, start = {"initial": low, "max": high, "min": last}, 0.0
        for end, one, other in self.phases:
            if self.last_epoch <= end or end == self.phases[-1][0]:
                share = (self.last_epoch - start) / (end - start)
                return self._anneal(group[names[one]], group[names[other]], share)
            start = end
        raise AssertionError("a cycle has phases")

    def _anneal(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)


_RATES = ("initial_lr", "max_lr", "min_lr")
_MOMENTA = ("max_momentum", "base_momentum", "max_momentum")  # lowest where the rate is highest


def _steps(total: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """How many steps there are."""
    if total is None and (epochs is None or steps_per_epoch is None):
        raise complaint(ArgumentError, "OneCycleLR", "total_steps, or epochs and steps_per_epoch, are missing")
    given = {"total_steps": total} if total is not None else {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    for name, value in given.items():
        if not isinstance(value, int) or value <= 0:
            raise complaint(ArgumentError, "OneCycleLR", f"{name} must be a positive integer, it is {value}")
    return math.prod(given.values())  # type: ignore[arg-type]  # integers, as was checked


def _phases(total: int, rising: float, three: bool) -> list[tuple[float, str, str]]:
    """When each phase ends, and from which rate to which it goes."""
    if three:
        return [(float(rising * total) - 1, "initial", "max"), (float(2 * rising * total) - 2, "max", "initial"),
                (total - 1, "initial", "min")]
    return [(float(rising * total) - 1, "initial", "max"), (total - 1, "max", "min")]
