"""Schedulers made of others: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.optim.lr_scheduler.plateau import ReduceLROnPlateau
from tensorlite.optim.lr_scheduler.scheduler import LRScheduler, set_option
from tensorlite.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Combined(LRScheduler):
    """What both have in common: schedulers of one optimizer, and a state of theirs."""

    _schedulers: list[LRScheduler]

    def _take(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        """Checks that all schedulers are of one optimizer."""
        name = type(self).__name__
        if len(schedulers) < 1:
            raise complaint(ArgumentError, name, "there are no schedulers")
        for number, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise complaint(DTypeError, name, f"takes schedulers, not {type(scheduler).__name__}")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise complaint(ArgumentError, name, f"scheduler {number} is ReduceLROnPlateau, whose step needs a "
                                "metric")
            optimizer = scheduler.optimizer if optimizer is None else optimizer
            if scheduler.optimizer is not optimizer:
                raise complaint(ArgumentError, name, f"scheduler {number} is of another optimizer")
        assert optimizer is not None
        self._schedulers, self.optimizer = list(schedulers), optimizer

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of the schedulers, their states."""
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on from where `state_dict` was taken."""
        for scheduler, kept in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(kept)
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_schedulers"})


class SequentialLR(_Combined):
    """One scheduler after the other: the next one begins at each of the ``milestones``.

    >>> import tensorlite as tl
    >>> from tensorlite.optim.lr_scheduler import ConstantLR, ExponentialLR
    >>> optimizer = tl.optim.SGD([tl.zeros(1)], lr=1.0)
    >>> parts = [ConstantLR(optimizer, 0.5, total_iters=9), ExponentialLR(optimizer, 0.5)]
    >>> scheduler, rates = SequentialLR(optimizer, parts, milestones=[2]), []
    >>> for _ in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.5, 1.0, 0.5]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int],
                 last_epoch: int = -1) -> None:
        self._take(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise complaint(ArgumentError, "SequentialLR", f"{len(schedulers)} schedulers need {len(schedulers) - 1} "
                            f"milestones, not {len(milestones)}")
        self._milestones, self.last_epoch = list(milestones), last_epoch + 1
        for group in optimizer.param_groups:
            set_option(group, "lr", group["initial_lr"])
        _undo(self)
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Lets the scheduler whose turn it is go on by one."""
        if epoch is not None:
            raise complaint(ArgumentError, "SequentialLR", "steps go on by one, not to an epoch")
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


def _undo(combined: _Combined) -> None:
    """Takes back the steps that schedulers made as they were created."""
    for scheduler in combined._schedulers:
        if isinstance(scheduler, _Combined):
            _undo(scheduler)
        else:
            scheduler.last_epoch -= 1


class ChainedScheduler(_Combined):
    """All schedulers at once: each goes on by one from the rates that the one before it set.

    >>> import tensorlite as tl
    >>> from tensorlite.optim.lr_scheduler import ConstantLR, ExponentialLR
    >>> optimizer = tl.optim.SGD([tl.zeros(1)], lr=1.0)
    >>> scheduler = ChainedScheduler([ConstantLR(optimizer, 0.5), ExponentialLR(optimizer, 0.5)])
    >>> scheduler.step(); scheduler.get_last_lr()
    [0.25]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._take(schedulers, optimizer)
        self._last_lr = self._rates()

    def step(self, epoch: int | None = None) -> None:
        """Lets every scheduler go on by one."""
        if epoch is not None:
            raise complaint(ArgumentError, "ChainedScheduler", "steps go on by one, not to an epoch")
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._rates()
