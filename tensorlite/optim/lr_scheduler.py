"""Learning rates over time: each scheduler changes its optimizer's groups at every call of `step`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.optim.optimizer import Group, Optimizer


class LRScheduler:
    """The base of schedulers, which give ``get_lr``: the learning rates of all groups at ``last_epoch``.

    ``last_epoch`` counts calls of `step`; -1 starts anew, and remembers each group's rate as its ``initial_lr``.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise complaint(DTypeError, type(self).__name__, f"schedules an optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise complaint(ArgumentError, type(self).__name__, f"group {number} has no initial_lr to resume from",
                                None,
                                "load the optimizer's state dict first")
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    @property
    def groups(self) -> list[Group]:
        """The optimizer's groups, whose options change."""
        return self.optimizer.param_groups

    def get_lr(self) -> list[float]:
        """The rates of all groups at ``last_epoch``; every scheduler defines it."""
        raise complaint(ArgumentError, type(self).__name__, "the scheduler has no get_lr method", None,
                        "define get_lr(self)")

    def get_last_lr(self) -> list[float]:
        """The rates of all groups that the last `step` set."""
        return self._last_lr

    def step(self) -> None:
        """Goes on by one, and sets the rates."""
        self.last_epoch += 1
        for group, lr in zip(self.groups, self.get_lr(), strict=True):
            group["lr"] = lr
        self._last_lr = [group["lr"] for group in self.groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions."""
        return {key: value for key, value in vars(self).items() if key != "optimizer" and not callable(value)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on from where `state_dict` was taken."""
        vars(self).update(state_dict)


class LambdaLR(LRScheduler):
    """Each group's initial rate times a function of ``last_epoch``: one function, or one for each group.

    >>> import tensorlite as tl
    >>> optimizer = tl.optim.SGD([tl.zeros(1)], lr=1.0)
    >>> scheduler = LambdaLR(optimizer, lambda epoch: 0.5**epoch)
    >>> scheduler.step(); scheduler.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
                 last_epoch: int = -1) -> None:
        count = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * count
        if len(self.lr_lambdas) != count:
            raise complaint(ArgumentError, "LambdaLR", f"there are {len(self.lr_lambdas)} functions for {count} groups")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [base * function(self.last_epoch) for base, function in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and the functions."""
        return {key: value for key, value in super().state_dict().items() if key != "lr_lambdas"}


class StepLR(LRScheduler):
    """Multiplies the rates by ``gamma`` every ``step_size`` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        factor = self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else 1
        return [group["lr"] * factor for group in self.groups]


class CosineAnnealingLR(LRScheduler):
    """Lets the rates fall to ``eta_min`` along half a cosine in ``T_max`` steps (Loshchilov and Hutter, 2017).

    Past ``T_max`` they rise again, as the recursion of PyTorch has it.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [group["lr"] for group in self.groups]
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            return [group["lr"] + (base - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
                    for base, group in zip(self.base_lrs, self.groups, strict=True)]
        now, before = (1 + math.cos(math.pi * epoch / self.T_max) for epoch in (self.last_epoch, self.last_epoch - 1))
        return [now / before * (group["lr"] - self.eta_min) + self.eta_min for group in self.groups]


class OneCycleLR(LRScheduler):
    """Lets the rates rise to ``max_lr`` and fall far below where they began, the momentum the other way.

    Smith and Topin, "Super-convergence", 2019. ``step`` is called after every batch, ``total_steps`` (or ``epochs *
    steps_per_epoch``) times at most; ``pct_start`` is the share of rising steps; ``three_phase`` falls back to where
    it began before it anneals.
    """

    def __init__(self, optimizer: Optimizer, max_lr: float | Sequence[float], total_steps: int | None = None,
                 epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
                 anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: float = 0.85,
                 max_momentum: float = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
                 three_phase: bool = False, last_epoch: int = -1) -> None:
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise complaint(ArgumentError, "OneCycleLR", "total_steps, or epochs and steps_per_epoch, are missing")
        self.total_steps: int = epochs * steps_per_epoch if total_steps is None else total_steps  # type: ignore[operator]
        if self.total_steps < 1 or not 0 <= pct_start <= 1:
            raise complaint(ArgumentError, "OneCycleLR", f"total_steps={self.total_steps} must be positive, and "
                            f"pct_start={pct_start} between 0 and 1")
        if anneal_strategy not in ("cos", "linear"):
            raise complaint(ArgumentError, "OneCycleLR",
                            f"anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        self.phases = _phases(self.total_steps, pct_start, three_phase)
        peaks = list(max_lr) if isinstance(max_lr, Sequence) else [max_lr] * len(optimizer.param_groups)
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                _prepare(group, peak, div_factor, final_div_factor)
                if cycle_momentum:
                    _prepare_momentum(group, base_momentum, max_momentum)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            raise complaint(ArgumentError, "OneCycleLR",
                            f"step {self.last_epoch} comes after the last of {self.total_steps}")
        rates = []
        for group in self.groups:
            rates.append(self._at(group, "lr"))
            if self.cycle_momentum:
                _set_momentum(group, self._at(group, "momentum"))
        return rates

    def _at(self, group: Group, what: str) -> float:
        """A group's rate or momentum at ``last_epoch``."""
        start = 0.0
        for end, first, last in self.phases:
            if self.last_epoch <= end or end == self.phases[-1][0]:
                share = (self.last_epoch - start) / (end - start)
                return self._anneal(group[f"{first}_{what}"], group[f"{last}_{what}"], share)
            start = end
        raise AssertionError("a cycle has phases")

    def _anneal(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)


def _phases(total: int, rising: float, three: bool) -> list[tuple[float, str, str]]:
    """When each phase ends, and from which rate to which it goes."""
    if three:
        return [(float(rising * total) - 1, "initial", "max"), (float(2 * rising * total) - 2, "max", "initial"),
                (total - 1, "initial", "min")]
    return [(float(rising * total) - 1, "initial", "max"), (total - 1, "max", "min")]


def _prepare(group: Group, peak: float, div_factor: float, final_div_factor: float) -> None:
    group["initial_lr"] = group["lr"] = peak / div_factor
    group["max_lr"], group["min_lr"] = peak, group["initial_lr"] / final_div_factor


def _prepare_momentum(group: Group, base: float, peak: float) -> None:
    """Momentum starts high, and is lowest where the rate is highest."""
    if "momentum" not in group and "betas" not in group:
        raise complaint(ArgumentError, "OneCycleLR", "the optimizer has no momentum to cycle", None,
                        "pass cycle_momentum=False")
    _set_momentum(group, peak)
    group["initial_momentum"], group["max_momentum"], group["min_momentum"] = peak, base, peak


def _set_momentum(group: Group, momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
