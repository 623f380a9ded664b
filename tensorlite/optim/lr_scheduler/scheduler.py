"""What all schedulers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.optim.optimizer import Optimizer
from tensorlite.optim.options import Group
from tensorlite.optim.scalars import assign
from tensorlite.tensor import Tensor

__all__ = ["LRScheduler"]


class LRScheduler:
    """The base of schedulers, which give ``get_lr``: the learning rates of all groups at ``last_epoch``.

    ``last_epoch`` counts calls of `step`; -1 starts anew, and remembers each group's rate as its ``initial_lr``. A
    scheduler may give ``_get_closed_form_lr`` as well: the rates at any ``last_epoch``, whatever those before were.
    """

    last_epoch: int
    _is_initial = False
    _step_count = 0

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", held(group["lr"]))
            elif "initial_lr" not in group:
                raise complaint(ArgumentError, type(self).__name__, f"group {number} has no initial_lr to resume from",
                                None,
                                "load the optimizer's state dict first")
        self.base_lrs: list[float] = [held(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

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

    def step(self, epoch: int | None = None) -> None:
        """Goes on by one, or to an epoch, and sets the rates."""
        self._step_count += 1
        self._update_lr(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions."""
        return {key: value for key, value in vars(self).items() if key != "optimizer" and not callable(value)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on from where `state_dict` was taken."""
        vars(self).update(state_dict)

    def _initial_step(self) -> None:
        """Sets the rates to begin with."""
        self._step_count, self._is_initial = 0, True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _update_lr(self, epoch: int | None = None) -> None:
        closed = getattr(self, "_get_closed_form_lr", self.get_lr)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._set_lr(self.get_lr() if epoch is None else closed())

    def _set_lr(self, rates: Sequence[float]) -> None:
        for group, lr in zip(self.groups, rates, strict=True):
            set_option(group, "lr", lr)
        self._last_lr = self._rates()

    def _rates(self) -> list[float]:
        """The rates of all groups as they are."""
        return [held(group["lr"]) for group in self.groups]


def check_optimizer(scheduler: LRScheduler, optimizer: Optimizer) -> None:
    """Raises `DTypeError` where a scheduler is given something else."""
    if not isinstance(optimizer, Optimizer):
        raise complaint(DTypeError, type(scheduler).__name__, f"schedules an optimizer, not {type(optimizer).__name__}")


def held(value: Any) -> Any:
    """An option as it is now: of a tensor, another one that does not change with it."""
    return value.detach() if isinstance(value, Tensor) else value


def set_option(group: Group, name: str, value: Any) -> None:
    """Gives a group another option: in place, where it is a tensor."""
    if isinstance(group[name], Tensor):
        assign(group[name], held(value))
    else:
        group[name] = value


def for_each(scheduler: LRScheduler, optimizer: Optimizer, name: str, value: Any) -> list[Any]:
    """An option of a scheduler for each group: a list of as many, or one for all."""
    count = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise complaint(ArgumentError, type(scheduler).__name__, f"{name} has {len(value)} values for {count} groups")
    return list(value)


def set_momentum(group: Group, momentum: float) -> None:
    """Gives a group another momentum: of Adam's kind the first of ``betas``."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def check_momentum(scheduler: LRScheduler, optimizer: Optimizer) -> None:
    """Raises `ArgumentError` where there is no momentum to cycle."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise complaint(ArgumentError, type(scheduler).__name__, "the optimizer has no momentum to cycle", None,
                        "pass cycle_momentum=False")
