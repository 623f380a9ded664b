"""Pooling layers: each calls the function of `functional` for its number of axes."""

from __future__ import annotations

from typing import Any, ClassVar

from tensorlite.errors import ArgumentError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "FractionalMaxPool2d", "FractionalMaxPool3d",
    "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d",
    "MaxUnpool3d",
]

Size = int | tuple[int, ...]
Wanted = int | None | tuple[int | None, ...]


def _each(value: Any, axes: int) -> tuple[Any, ...]:
    """One value for each axis."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * axes


# --- maxima and averages ------------------------------------------------------------------------------------------


class _MaxPool(Module):
    """What max pooling of every number of axes shares; ``_pool`` is its function."""

    _pool: ClassVar[Any]

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
                 return_indices: bool = False, ceil_mode: bool = False) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.return_indices, self.ceil_mode = padding, dilation, return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        return self._pool(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
                          self.return_indices)

    def extra_repr(self) -> str:
        return (f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
                f"dilation={self.dilation}, ceil_mode={self.ceil_mode}")


class MaxPool1d(_MaxPool):
    """The maximum of each window of sequences; see `functional.max_pool1d`.

    >>> import tensorlite as tl
    >>> tl.nn.MaxPool1d(2)(tl.zeros((1, 3, 4))).shape
    (1, 3, 2)
    """

    _pool = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The maximum of each window; see `functional.max_pool2d`.

    >>> import tensorlite as tl
    >>> tl.nn.MaxPool2d(2)(tl.zeros((1, 3, 4, 4))).shape
    (1, 3, 2, 2)
    """

    _pool = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The maximum of each window of volumes; see `functional.max_pool3d`.

    >>> import tensorlite as tl
    >>> tl.nn.MaxPool3d(2)(tl.zeros((1, 3, 4, 4, 4))).shape
    (1, 3, 2, 2, 2)
    """

    _pool = staticmethod(F.max_pool3d)


class _AvgPool(Module):
    """What average pooling of every number of axes shares."""

    _pool: ClassVar[Any]

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True, divisor_override: int | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return self._pool(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                          self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The average of each window of sequences; see `functional.avg_pool1d`.

    >>> import tensorlite as tl
    >>> tl.nn.AvgPool1d(2)(tl.zeros((1, 3, 4))).shape
    (1, 3, 2)
    """

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True) -> None:
        super().__init__(_each(kernel_size, 1), _each(kernel_size if stride is None else stride, 1),
                         _each(padding, 1), ceil_mode, count_include_pad)

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPool):
    """The average of each window; see `functional.avg_pool2d`.

    >>> import tensorlite as tl
    >>> tl.nn.AvgPool2d(2)(tl.zeros((1, 3, 4, 4))).shape
    (1, 3, 2, 2)
    """

    _pool = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The average of each window of volumes; see `functional.avg_pool3d`.

    >>> import tensorlite as tl
    >>> tl.nn.AvgPool3d(2)(tl.zeros((1, 3, 4, 4, 4))).shape
    (1, 3, 2, 2, 2)
    """

    _pool = staticmethod(F.avg_pool3d)


class _LPPool(Module):
    """What power-average pooling of every number of axes shares."""

    _pool: ClassVar[Any]

    def __init__(self, norm_type: float, kernel_size: Size, stride: Size | None = None,
                 ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return self._pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
                f"ceil_mode={self.ceil_mode}")


class LPPool1d(_LPPool):
    """The root of the sum of powers of each window of sequences; see `functional.lp_pool1d`.

    >>> import tensorlite as tl
    >>> tl.nn.LPPool1d(2, 3)(tl.zeros((1, 3, 6))).shape
    (1, 3, 2)
    """

    _pool = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """The root of the sum of powers of each window of images; see `functional.lp_pool2d`.

    >>> import tensorlite as tl
    >>> tl.nn.LPPool2d(2, 3)(tl.zeros((1, 3, 6, 6))).shape
    (1, 3, 2, 2)
    """

    _pool = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """The root of the sum of powers of each window of volumes; see `functional.lp_pool3d`.

    >>> import tensorlite as tl
    >>> tl.nn.LPPool3d(2, 3)(tl.zeros((1, 3, 6, 6, 6))).shape
    (1, 3, 2, 2, 2)
    """

    _pool = staticmethod(F.lp_pool3d)


# --- sizes that are given -----------------------------------------------------------------------------------------


class _AdaptiveAvgPool(Module):
    """What adaptive average pooling of every number of axes shares."""

    _pool: ClassVar[Any]

    def __init__(self, output_size: Wanted) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return self._pool(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Averages of sequences over as many windows as the output is to have; see `functional.adaptive_avg_pool1d`.

    >>> import tensorlite as tl
    >>> tl.nn.AdaptiveAvgPool1d(2)(tl.zeros((1, 3, 5))).shape
    (1, 3, 2)
    """

    _pool = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Averages over as many windows as the output is to have; see `functional.adaptive_avg_pool2d`.

    >>> import tensorlite as tl
    >>> tl.nn.AdaptiveAvgPool2d((2, None))(tl.zeros((1, 3, 5, 4))).shape
    (1, 3, 2, 4)
    """

    _pool = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Averages of volumes over as many windows as the output is to have; see `functional.adaptive_avg_pool3d`.

    >>> import tensorlite as tl
    >>> tl.nn.AdaptiveAvgPool3d(2)(tl.zeros((1, 3, 5, 4, 4))).shape
    (1, 3, 2, 2, 2)
    """

    _pool = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(Module):
    """What adaptive max pooling of every number of axes shares."""

    _pool: ClassVar[Any]

    def __init__(self, output_size: Wanted, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        return self._pool(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of sequences over as many windows as the output is to have; see `functional.adaptive_max_pool1d`.

    >>> import tensorlite as tl
    >>> tl.nn.AdaptiveMaxPool1d(2)(tl.zeros((1, 3, 5))).shape
    (1, 3, 2)
    """

    _pool = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of images over as many windows as the output is to have; see `functional.adaptive_max_pool2d`.

    >>> import tensorlite as tl
    >>> tl.nn.AdaptiveMaxPool2d((2, None))(tl.zeros((1, 3, 5, 4))).shape
    (1, 3, 2, 4)
    """

    _pool = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima of volumes over as many windows as the output is to have; see `functional.adaptive_max_pool3d`.

    >>> import tensorlite as tl
    >>> tl.nn.AdaptiveMaxPool3d(2)(tl.zeros((1, 3, 5, 4, 4))).shape
    (1, 3, 2, 2, 2)
    """

    _pool = staticmethod(F.adaptive_max_pool3d)


class _FractionalMaxPool(Module):
    """What fractional max pooling of images and volumes shares."""

    _pool: ClassVar[Any]
    _axes: ClassVar[int]

    def __init__(self, kernel_size: Size, output_size: Size | None = None,
                 output_ratio: float | tuple[float, ...] | None = None, return_indices: bool = False,
                 _random_samples: Tensor | None = None) -> None:
        super().__init__()
        name = type(self).__name__
        if output_size is None and output_ratio is None:
            raise complaint(ArgumentError, name, "either output_size or output_ratio must be given")
        if output_size is not None and output_ratio is not None:
            raise complaint(ArgumentError, name, "output_size and output_ratio say the same: both were given")
        self.kernel_size, self.return_indices = _each(kernel_size, self._axes), return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else _each(output_size, self._axes)
        self.output_ratio = None if output_ratio is None else _each(output_ratio, self._axes)
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise complaint(ArgumentError, name, f"output_ratio must be between 0 and 1, not {output_ratio}")

    def forward(self, input: Tensor) -> Any:
        return self._pool(input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
                          self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maxima of windows of images whose steps are drawn; see `functional.fractional_max_pool2d`.

    >>> import tensorlite as tl
    >>> tl.nn.FractionalMaxPool2d(2, output_ratio=0.6)(tl.zeros((1, 3, 5, 5))).shape
    (1, 3, 3, 3)
    """

    _pool, _axes = staticmethod(F.fractional_max_pool2d), 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """Maxima of windows of volumes whose steps are drawn; see `functional.fractional_max_pool3d`.

    >>> import tensorlite as tl
    >>> tl.nn.FractionalMaxPool3d(2, output_size=3)(tl.zeros((1, 3, 5, 5, 5))).shape
    (1, 3, 3, 3, 3)
    """

    _pool, _axes = staticmethod(F.fractional_max_pool3d), 3


# --- and back -----------------------------------------------------------------------------------------------------


class _MaxUnpool(Module):
    """What the partial inverses of max pooling share."""

    _unpool: ClassVar[Any]
    _axes: ClassVar[int]

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        self.kernel_size = _each(kernel_size, self._axes)
        self.stride = _each(kernel_size if stride is None else stride, self._axes)
        self.padding = _each(padding, self._axes)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return self._unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Zeros with the maxima of sequences where they lay; see `functional.max_unpool1d`.

    >>> import tensorlite as tl
    >>> x, places = tl.nn.MaxPool1d(2, return_indices=True)(tl.tensor([[1.0, 3.0, 2.0, 0.0]]))
    >>> tl.nn.MaxUnpool1d(2)(x, places)
    tensor([[0., 3., 2., 0.]])
    """

    _unpool, _axes = staticmethod(F.max_unpool1d), 1


class MaxUnpool2d(_MaxUnpool):
    """Zeros with the maxima of images where they lay; see `functional.max_unpool2d`.

    >>> import tensorlite as tl
    >>> tl.nn.MaxUnpool2d(2)(tl.ones((1, 1, 1)), tl.zeros((1, 1, 1), dtype=tl.int64)).shape
    (1, 2, 2)
    """

    _unpool, _axes = staticmethod(F.max_unpool2d), 2


class MaxUnpool3d(_MaxUnpool):
    """Zeros with the maxima of volumes where they lay; see `functional.max_unpool3d`.

    >>> import tensorlite as tl
    >>> tl.nn.MaxUnpool3d(2)(tl.ones((1, 1, 1, 1)), tl.zeros((1, 1, 1, 1), dtype=tl.int64)).shape
    (1, 2, 2, 2)
    """

    _unpool, _axes = staticmethod(F.max_unpool3d), 3
