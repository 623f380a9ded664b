"""Averages of models over their training: stochastic weight averaging and exponential moving averages."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from tensorlite.errors import ArgumentError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn.batchnorm import _BatchNorm
from tensorlite.nn.module import Module
from tensorlite.ops.elementwise import where
from tensorlite.ops.filled import zeros
from tensorlite.ops.shape import astype
from tensorlite.optim.lr_scheduler.scheduler import LRScheduler, for_each
from tensorlite.optim.optimizer import Optimizer
from tensorlite.optim.rule import replace
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import int64

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
           "get_swa_multi_avg_fn", "update_bn"]

Average = Callable[[Tensor, Tensor, Tensor], Tensor]
ManyAverage = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The function ``decay * average + (1 - decay) * current`` of `AveragedModel`'s ``avg_fn``.

    >>> import tensorlite as tl
    >>> get_ema_avg_fn(0.75)(tl.tensor([0.0]), tl.tensor([1.0]), tl.tensor(1))
    tensor([0.25])
    """
    _check_decay("get_ema_avg_fn", decay)

    @no_grad()
    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
        return averaged * decay + current * (1 - decay)
    return average


def get_swa_avg_fn() -> Average:
    """The function of `AveragedModel`'s ``avg_fn`` that gives the mean of all models so far.

    >>> import tensorlite as tl
    >>> get_swa_avg_fn()(tl.tensor([0.0]), tl.tensor([1.0]), tl.tensor(1))
    tensor([0.5])
    """
    @no_grad()
    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
        return averaged + (current - averaged) / (num_averaged + 1)
    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> ManyAverage:
    """As `get_ema_avg_fn`, for ``multi_avg_fn``: moves many averages on, in place."""
    _check_decay("get_ema_multi_avg_fn", decay)
    return _for_many(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> ManyAverage:
    """As `get_swa_avg_fn`, for ``multi_avg_fn``: moves many averages on, in place."""
    return _for_many(get_swa_avg_fn())


def _check_decay(name: str, decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise complaint(ArgumentError, name, f"decay must be between 0 and 1, it is {decay}")


def _for_many(average: Average) -> ManyAverage:
    @no_grad()
    def average_all(averaged: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Tensor) -> None:
        for x, new in zip(averaged, current, strict=True):
            replace(x, _like(x, average(x, new, num_averaged)))
    return average_all


def _like(x: Tensor, value: Tensor) -> Tensor:
    """A value in the dtype of what it replaces: counts in buffers are cut to integers, as in PyTorch."""
    return astype(value.detach(), x.dtype, copy=False)


class AveragedModel(Module):
    """A model whose parameters are averages of another's: of equal weights (Izmailov et al., 2018), or as is said.

    ``avg_fn(averaged, current, num_averaged)`` gives one parameter's next average, ``multi_avg_fn`` takes lists of
    parameters and moves the first on in place. With ``use_buffers`` buffers are averaged too; without, they are copied.
    `update_parameters` may be part of a compiled step.

    >>> import tensorlite as tl
    >>> model = tl.nn.Linear(1, 1, bias=False)
    >>> averaged = AveragedModel(model)
    >>> for value in (1.0, 3.0):
    ...     _ = tl.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.detach()
    tensor([[2.]])
    """

    n_averaged: Tensor

    def __init__(self, model: Module, device: str | None = None, avg_fn: Average | None = None,
                 multi_avg_fn: ManyAverage | None = None, use_buffers: bool = False) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise complaint(ArgumentError, "AveragedModel", "there can be one of avg_fn and multi_avg_fn only")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device=device)
        self.register_buffer("n_averaged", zeros((), dtype=int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *arguments: Any, **kwargs: Any) -> Any:
        """What the averaged model gives."""
        return self.module(*arguments, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Takes the parameters of a model into the averages; the first time, it copies them."""
        averaged, current = ([*chain(m.parameters(), m.buffers() if self.use_buffers else ())]
                             for m in (self.module, model))
        given = [new.detach().to(device=x.device) for x, new in zip(averaged, current, strict=True)]
        if self.multi_avg_fn is not None:
            self._average_many(averaged, given)
        else:
            average = self.avg_fn or get_swa_avg_fn()
            for x, new in zip(averaged, given, strict=True):
                replace(x, _like(x, average(x.detach(), new, self.n_averaged)))
        first = self.n_averaged == 0
        for x, new in zip(averaged, given, strict=True):
            replace(x, where(first, new, x.detach()))
        if not self.use_buffers:
            for x, new in zip(self.module.buffers(), model.buffers(), strict=True):
                replace(x, new.detach().to(device=x.device))
        replace(self.n_averaged, self.n_averaged + 1)

    def _average_many(self, averaged: list[Tensor], given: list[Tensor]) -> None:
        """Calls ``multi_avg_fn`` for the tensors of each dtype."""
        assert self.multi_avg_fn is not None
        for dtype in dict.fromkeys(x.dtype for x in averaged):
            pairs = [pair for pair in zip(averaged, given, strict=True) if pair[0].dtype == dtype]
            self.multi_avg_fn([x for x, _ in pairs], [new for _, new in pairs], self.n_averaged)


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: str | None = None) -> None:
    """Sets the statistics of a model's batch norms to those of all batches of a loader: averages have none of theirs.

    A batch is the model's input, or a list or tuple that begins with it.

    >>> import tensorlite as tl
    >>> model = tl.nn.BatchNorm1d(1)
    >>> update_bn([tl.tensor([[1.0], [3.0]])], model)
    >>> model.running_mean
    tensor([2.])
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta, trained = [norm.momentum for norm in norms], model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for batch in loader:
        x = batch[0] if isinstance(batch, list | tuple) else batch
        model(x if device is None else x.to(device=device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(trained)


class SWALR(LRScheduler):
    """Lets the rates go to ``swa_lr`` in ``anneal_epochs`` steps, along a cosine or a line, and stay there.

    >>> import tensorlite as tl
    >>> optimizer = tl.optim.SGD([tl.zeros(1)], lr=1.0)
    >>> scheduler = SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> scheduler.step(); scheduler.get_last_lr()
    [0.75]
    """

    def __init__(self, optimizer: Optimizer, swa_lr: float | Sequence[float], anneal_epochs: int = 10,
                 anneal_strategy: str = "cos", last_epoch: int = -1) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise complaint(ArgumentError, "SWALR",
                            f"anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise complaint(ArgumentError, "SWALR", f"anneal_epochs must not be negative, it is {anneal_epochs}")
        for group, lr in zip(optimizer.param_groups, for_each(self, optimizer, "swa_lr", swa_lr), strict=True):
            group["swa_lr"] = lr
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step = self._step_count - 1
        step = max(1, step) if self.anneal_epochs == 0 else step
        before, now = (self._share(at) for at in (step - 1, step))
        targets = [group["swa_lr"] for group in self.groups]
        starts = [target if before == 1 else (lr - before * target) / (1 - before)
                  for lr, target in zip(self._rates(), targets, strict=True)]
        return [target * now + start * (1 - now) for start, target in zip(starts, targets, strict=True)]

    def _share(self, step: int) -> float:
        """How far the rates have gone at a step."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2
