"""Layers that normalise channels by the moments of a batch, or of each sample, and may track them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.errors import ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn import init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.nn.state import Loading
from tensorlite.ops.filled import ones, zeros
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]

#: What the input of layers for one, two and three axes of places must be, and how many axes it has.
_BATCHES = {1: ("[batch, channels] or [batch, channels, length]", (2, 3)),
            2: ("[batch, channels, height, width]", (4,)),
            3: ("[batch, channels, depth, height, width]", (5,))}
_INSTANCES = {1: ("[channels, length] or [batch, channels, length]", (2, 3)),
              2: ("[channels, height, width] or [batch, channels, height, width]", (3, 4)),
              3: ("[channels, depth, height, width] or [batch, channels, depth, height, width]", (4, 5))}


class _TrackedNorm(Module):
    """What normalisation of channels shares: an affine map, and running statistics."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, num_features: int, eps: float, momentum: float | None, affine: bool, track_running_stats: bool,
                 device: str | None, dtype: Any, bias: bool) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, filled, wanted in (("weight", ones, affine), ("bias", zeros, affine and bias)):
            self.register_parameter(name,
                                    Parameter(filled((num_features,), dtype=dtype, device=device)) if wanted else None)
        for name, filled in (("running_mean", zeros), ("running_var", ones)):
            self.register_buffer(name,
                                 filled((num_features,), dtype=dtype, device=device) if track_running_stats else None)
        self.register_buffer("num_batches_tracked",
                             zeros((), dtype=np.int64, device=device) if track_running_stats else None)

    def reset_running_stats(self) -> None:
        """Forgets what was tracked."""
        if self.track_running_stats:
            self.running_mean.zero_()  # type: ignore[union-attr]
            self.running_var.fill_(1)  # type: ignore[union-attr]
            self.num_batches_tracked.zero_()  # type: ignore[union-attr]

    def reset_parameters(self) -> None:
        """Sets everything as it was at first."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _load_from_state_dict(self, state_dict: Loading, prefix: str, *options: Any) -> None:
        """Keeps the count of batches where the file is older than that, as PyTorch does."""
        if self.num_batches_tracked is not None:
            state_dict.setdefault(f"{prefix}num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, *options)

    def extra_repr(self) -> str:
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}")


def _check_axes(module: Module, input: Tensor, wanted: tuple[str, tuple[int, ...]]) -> None:
    """Raises `ShapeError` for an input of the wrong number of axes."""
    if input.ndim not in wanted[1]:
        raise complaint(ShapeError, type(module).__name__,
                        f"the input must be {wanted[0]}, it has {input.ndim} dimensions", {"input": input})


class _BatchNorm(_TrackedNorm):
    """What batch normalisation of any number of axes shares."""

    _axes: int

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, device: str | None = None, dtype: Any = None, *,
                 bias: bool = True) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def _channels(self, input: Tensor) -> int:
        """How many channels an input has."""
        _check_axes(self, input, _BATCHES[self._axes])
        return input.shape[1]

    def forward(self, input: Tensor) -> Tensor:
        _check_axes(self, input, _BATCHES[self._axes])
        momentum: Any = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # a cumulative average
                momentum = 1.0 / astype(self.num_batches_tracked, self.running_mean.dtype)  # type: ignore[union-attr]
        of_batch = self.training or self.running_mean is None
        tracked = not self.training or self.track_running_stats
        return F.batch_norm(input, self.running_mean if tracked else None, self.running_var if tracked else None,
                            self.weight, self.bias, of_batch, momentum, self.eps)


class _InstanceNorm(_TrackedNorm):
    """What instance normalisation of any number of axes shares."""

    _axes: int

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
                 track_running_stats: bool = False, device: str | None = None, dtype: Any = None, *,
                 bias: bool = True) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def _channels(self, input: Tensor) -> int:
        """How many channels an input has."""
        _check_axes(self, input, _INSTANCES[self._axes])
        return input.shape[-1 - self._axes]

    def forward(self, input: Tensor) -> Tensor:
        wanted = _INSTANCES[self._axes]
        _check_axes(self, input, wanted)
        is_batch = input.ndim == wanted[1][1]
        result = F.instance_norm(input if is_batch else input.expand_dims(0), self.running_mean, self.running_var,
                                 self.weight, self.bias, self.training or not self.track_running_stats,
                                 self.momentum, self.eps)
        return result if is_batch else result[0]


class BatchNorm1d(_BatchNorm):
    """Normalises each channel of [batch, channels] or [batch, channels, length]; see `functional.batch_norm`.

    >>> import tensorlite as tl
    >>> tl.nn.BatchNorm1d(3)
    BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    _axes = 1


class BatchNorm2d(_BatchNorm):
    """Normalises each channel of [batch, channels, height, width]; see `functional.batch_norm`.

    ``momentum=None`` averages over all batches seen. The buffers are ``running_mean``, ``running_var`` (unbiased) and
    ``num_batches_tracked``.

    >>> import tensorlite as tl
    >>> tl.nn.BatchNorm2d(3)(tl.zeros((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    _axes = 2


class BatchNorm3d(_BatchNorm):
    """Normalises each channel of [batch, channels, depth, height, width]; see `functional.batch_norm`.

    >>> import tensorlite as tl
    >>> tl.nn.BatchNorm3d(3)(tl.zeros((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    _axes = 3


class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of each sample of [batch, channels, length]; see `functional.instance_norm`.

    Without ``affine`` and ``track_running_stats``, as by default, it has no parameters and no buffers.

    >>> import tensorlite as tl
    >>> tl.nn.InstanceNorm1d(3, affine=True)
    InstanceNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=False)
    """

    _axes = 1


class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of each sample of [batch, channels, height, width]; see `functional.instance_norm`.

    >>> import tensorlite as tl
    >>> tl.nn.InstanceNorm2d(3)(tl.zeros((3, 4, 4))).shape
    (3, 4, 4)
    """

    _axes = 2


class InstanceNorm3d(_InstanceNorm):
    """Normalises each channel of each sample of [batch, channels, depth, height, width].

    See `functional.instance_norm`.

    >>> import tensorlite as tl
    >>> tl.nn.InstanceNorm3d(3)(tl.zeros((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    _axes = 3
