"""Layers that normalise: over the batch for each channel, or over features for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite.errors import ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn import init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.filled import empty, ones, zeros
from tensorlite.tensor import Tensor

__all__ = ["BatchNorm1d", "BatchNorm2d", "LayerNorm"]


class _BatchNorm(Module):
    """What batch normalisation of any number of axes shares."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, device: str | None = None, dtype: Any = None, *,
                 bias: bool = True) -> None:
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

    def _check(self, input: Tensor) -> None:
        """Raises `ShapeError` for an input of the wrong number of axes."""

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # a cumulative average
                momentum = 1.0 / float(self.num_batches_tracked)
        of_batch = self.training or self.running_mean is None
        tracked = not self.training or self.track_running_stats
        return F.batch_norm(input, self.running_mean if tracked else None, self.running_var if tracked else None,
                            self.weight,
                            self.bias, of_batch, momentum, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}")


def _wrong(module: Module, input: Tensor, wanted: str) -> Exception:
    return complaint(ShapeError, type(module).__name__, f"the input must be {wanted}, it has {input.ndim} dimensions",
                     {"input": input})


class BatchNorm1d(_BatchNorm):
    """Normalises each channel of [batch, channels] or [batch, channels, length]; see `functional.batch_norm`.

    >>> import tensorlite as tl
    >>> tl.nn.BatchNorm1d(3)
    BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    def _check(self, input: Tensor) -> None:
        if input.ndim not in (2, 3):
            raise _wrong(self, input, "[batch, channels] or [batch, channels, length]")


class BatchNorm2d(_BatchNorm):
    """Normalises each channel of [batch, channels, height, width]; see `functional.batch_norm`.

    ``momentum=None`` averages over all batches seen. The buffers are ``running_mean``, ``running_var`` (unbiased) and
    ``num_batches_tracked``.

    >>> import tensorlite as tl
    >>> tl.nn.BatchNorm2d(3)(tl.zeros((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    def _check(self, input: Tensor) -> None:
        if input.ndim != 4:
            raise _wrong(self, input, "[batch, channels, height, width]")


class LayerNorm(Module):
    """Normalises over the last axes, which have ``normalized_shape``; see `functional.layer_norm`.

    >>> import tensorlite as tl
    >>> tl.nn.LayerNorm(4)
    LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
                 bias: bool = True, device: str | None = None, dtype: Any = None) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        for name, wanted in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            self.register_parameter(name, Parameter(empty(self.normalized_shape, dtype=dtype,
                                                          device=device)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the weight to ones and the bias to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
                f"bias={self.bias is not None}")
