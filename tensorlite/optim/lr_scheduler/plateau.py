"""A scheduler that waits until a metric stops to improve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tensorlite.errors import ArgumentError, complaint
from tensorlite.optim.lr_scheduler.scheduler import LRScheduler, check_optimizer, set_option
from tensorlite.optim.optimizer import Optimizer
from tensorlite.tensor import Tensor

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rates by ``factor`` where a metric has not improved for more than ``patience`` steps.

    `step` takes the metric, which is to be small with ``mode`` "min" and large with "max". It improves where it is
    better than the best by ``threshold``, times the best with ``threshold_mode`` "rel". After a change ``cooldown``
    steps pass before others count; the rates stay above ``min_lr``, and change by more than ``eps`` or not at all.

    >>> import tensorlite as tl
    >>> optimizer = tl.optim.SGD([tl.zeros(1)], lr=1.0)
    >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.5]
    """

    best: float
    cooldown_counter: int
    num_bad_epochs: int

    def __init__(self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
                 threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0,
                 min_lr: Sequence[float] | float = 0, eps: float = 1e-8) -> None:
        check_optimizer(self, optimizer)
        if not factor < 1.0:
            raise complaint(ArgumentError, "ReduceLROnPlateau", f"factor must be below 1, it is {factor}")
        for name, value, known in (("mode", mode, ("min", "max")), ("threshold_mode", threshold_mode, ("rel", "abs"))):
            if value not in known:
                raise complaint(ArgumentError, "ReduceLROnPlateau",
                                f"{name} must be {known[0]!r} or {known[1]!r}, not {value!r}")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.min_lr: Any = list(min_lr) if isinstance(min_lr, list | tuple) else min_lr
        self._floors()
        self.last_epoch, self._last_lr = 0, self._rates()
        self._reset()

    @property
    def in_cooldown(self) -> bool:
        """Whether steps do not count because the rates have just changed."""
        return self.cooldown_counter > 0

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Looks at a metric, a number or a tensor of one element, and changes the rates if it is time."""
        current = float(metrics.item()) if isinstance(metrics, Tensor) else float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._rates()

    def _reset(self) -> None:
        self.best = math.inf if self.mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = 0

    def _is_better(self, metric: float) -> bool:
        better = -self.threshold if self.mode == "min" else self.threshold
        wanted = self.best * (1.0 + better) if self.threshold_mode == "rel" else self.best + better
        return metric < wanted if self.mode == "min" else metric > wanted

    def _reduce(self) -> None:
        for group, least in zip(self.groups, self._floors(), strict=True):
            before = float(group["lr"].item()) if isinstance(group["lr"], Tensor) else float(group["lr"])
            lr = max(before * self.factor, least)
            if before - lr > self.eps:
                set_option(group, "lr", lr)

    def _floors(self) -> list[float]:
        """The smallest rate of each group."""
        if not isinstance(self.min_lr, list):
            return [self.min_lr] * len(self.groups)
        if len(self.min_lr) != len(self.groups):
            raise complaint(ArgumentError, "ReduceLROnPlateau",
                            f"min_lr has {len(self.min_lr)} values for {len(self.groups)} groups")
        return self.min_lr
