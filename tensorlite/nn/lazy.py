"""Layers that take their number of inputs from the first input they are called with."""

from __future__ import annotations

from typing import Any, ClassVar

from tensorlite.errors import ArgumentError, ShapeError, TraceError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn.batchnorm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from tensorlite.nn.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    Size,
    _Plain,
    _Transposed,
)
from tensorlite.nn.linear import Linear
from tensorlite.nn.module import Module
from tensorlite.nn.uninitialized import Uninitialized, UninitializedBuffer, UninitializedParameter
from tensorlite.ops.convolution.window import AXES
from tensorlite.state import state
from tensorlite.tensor import Tensor

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d", "LazyLinear",
]


class LazyModuleMixin(Module):
    """What makes a module lazy: its first call settles the shapes of its parameters, then it becomes another class.

    A subclass names that in ``cls_to_become``, holds `UninitializedParameter` and `UninitializedBuffer`, and gives them
    shapes in ``initialize_parameters``, which is called with what the module is. A state dict gives them shapes, too.
    """

    cls_to_become: ClassVar[type[Module] | None] = None

    def initialize_parameters(self, *arguments: Any, **kwargs: Any) -> None:
        """Gives parameters and buffers their shapes and first values; every subclass defines it."""
        raise complaint(ArgumentError, type(self).__name__, "the module has no initialize_parameters method", None,
                        "define initialize_parameters(self, ...)")

    def has_uninitialized_params(self) -> bool:
        """Whether the shape of a parameter or a buffer of its own is not known yet."""
        return any(isinstance(x, Uninitialized) for table in (self._parameters, self._buffers) for x in table.values())

    def __call__(self, *arguments: Any, **kwargs: Any) -> Any:
        become = self.cls_to_become
        if become is None and not self.has_uninitialized_params():
            return super().__call__(*arguments, **kwargs)
        if state.met is not None:
            raise complaint(TraceError, type(self).__name__, "the shapes of its parameters are not known yet", None,
                            "call it once before it is compiled")
        with no_grad():
            self.initialize_parameters(*arguments, **kwargs)
        if self.has_uninitialized_params():
            raise complaint(ArgumentError, type(self).__name__, "a parameter is still without a shape", None,
                            "give all of them shapes in initialize_parameters")
        if become is None:
            return super().__call__(*arguments, **kwargs)
        self.__class__ = become  # type: ignore[assignment]
        return become.__call__(self, *arguments, **kwargs)


class _Lazy(LazyModuleMixin):
    """The body of lazy layers: made with 0 inputs, their parameters forgotten, and made anew at the first input."""

    cls_to_become: ClassVar[type[Module]]
    counted: ClassVar[str]  # the attribute that holds the number of inputs

    def _forget_shapes(self) -> None:
        """Makes all that is floating uninitialized."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                self._parameters[name] = UninitializedParameter(device=parameter.device, dtype=parameter.dtype)
        for name, buffer in self._buffers.items():
            if buffer is not None and buffer.dtype.kind != "i":
                self._buffers[name] = UninitializedBuffer(device=buffer.device, dtype=buffer.dtype)

    def reset_parameters(self) -> None:
        """Nothing yet: what has no shape has no numbers."""

    def _count(self, input: Tensor) -> int:
        """The number of inputs that an input has."""
        return input.shape[-1]

    def initialize_parameters(self, input: Tensor) -> None:
        """Takes the number of inputs from an input, and draws the parameters if their shapes were not known."""
        count = self._count(input)
        setattr(self, self.counted, count)
        if not self.has_uninitialized_params():  # their shapes came with a state dict
            return
        for table in (self._parameters, self._buffers):
            for name, x in table.items():
                if isinstance(x, Uninitialized):
                    x.materialize(self._shape(name, count))
        self.cls_to_become.reset_parameters(self)  # type: ignore[attr-defined]

    def _shape(self, name: str, count: int) -> tuple[int, ...]:
        """The shape of a parameter or buffer for a number of inputs."""
        return (count,)


class LazyLinear(_Lazy, Linear):
    """`Linear` whose ``in_features`` are those of the first input.

    >>> import tensorlite as tl
    >>> layer = tl.nn.LazyLinear(2)
    >>> layer
    LazyLinear(in_features=0, out_features=2, bias=True)
    >>> layer(tl.zeros((5, 3))).shape, layer
    ((5, 2), Linear(in_features=3, out_features=2, bias=True))
    """

    cls_to_become, counted = Linear, "in_features"

    def __init__(self, out_features: int, bias: bool = True, device: str | None = None, dtype: Any = None) -> None:
        super().__init__(0, out_features, bias, device, dtype)
        self._forget_shapes()

    def _shape(self, name: str, count: int) -> tuple[int, ...]:
        return (self.out_features, count) if name == "weight" else (self.out_features,)


class _LazyConvolution(_Lazy):
    counted = "in_channels"
    axes: ClassVar[int]
    transposed: ClassVar[bool]
    groups: int
    out_channels: int
    kernel_size: tuple[int, ...]

    def _count(self, input: Tensor) -> int:
        if input.ndim not in (self.axes + 1, self.axes + 2):
            names = ", ".join(("channels", *AXES[self.axes]))
            raise complaint(ShapeError, type(self).__name__, f"takes [batch, {names}] or [{names}], "
                            f"the input has {input.ndim} dimensions", {"input": input})
        count = input.shape[-self.axes - 1]
        if count % self.groups:
            raise complaint(ShapeError, type(self).__name__, f"groups={self.groups} must divide the input's {count} "
                            "channels", {"input": input})
        return count

    def _shape(self, name: str, count: int) -> tuple[int, ...]:
        if name == "bias":
            return (self.out_channels,)
        first, second = (count, self.out_channels) if self.transposed else (self.out_channels, count)
        return (first, second // self.groups, *self.kernel_size)


class _LazyPlain(_LazyConvolution, _Plain):
    def __init__(self, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Size | str = 0,
                 dilation: Size = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__(0, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device,
                         dtype)
        self._forget_shapes()


class LazyConv1d(_LazyPlain, Conv1d):
    """`Conv1d` whose ``in_channels`` are those of the first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyPlain, Conv2d):
    """`Conv2d` whose ``in_channels`` are those of the first input.

    >>> import tensorlite as tl
    >>> layer = tl.nn.LazyConv2d(8, 3, padding=1)
    >>> layer(tl.zeros((2, 3, 6, 6))).shape, layer
    ((2, 8, 6, 6), Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1)))
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyPlain, Conv3d):
    """`Conv3d` whose ``in_channels`` are those of the first input."""

    cls_to_become = Conv3d


class _LazyTransposed(_LazyConvolution, _Transposed):
    def __init__(self, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Size = 0,
                 output_padding: Size = 0, groups: int = 1, bias: bool = True, dilation: Size = 1,
                 padding_mode: str = "zeros", device: str | None = None, dtype: Any = None) -> None:
        super().__init__(0, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation,
                         padding_mode, device, dtype)
        self._forget_shapes()

    def initialize_parameters(self, input: Tensor, output_size: Any = None) -> None:
        super().initialize_parameters(input)


class LazyConvTranspose1d(_LazyTransposed, ConvTranspose1d):
    """`ConvTranspose1d` whose ``in_channels`` are those of the first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, ConvTranspose2d):
    """`ConvTranspose2d` whose ``in_channels`` are those of the first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, ConvTranspose3d):
    """`ConvTranspose3d` whose ``in_channels`` are those of the first input."""

    cls_to_become = ConvTranspose3d


class _LazyNorm(_Lazy):
    counted = "num_features"

    def _count(self, input: Tensor) -> int:
        return self.cls_to_become._channels(self, input)  # type: ignore[attr-defined]


class _LazyBatchNorm(_LazyNorm):
    def __init__(self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, device: str | None = None, dtype: Any = None, *,
                 bias: bool = True) -> None:
        super().__init__(0, eps, momentum, affine, track_running_stats, device, dtype,  # type: ignore[call-arg]
                         bias=bias)
        self._forget_shapes()


class LazyBatchNorm1d(_LazyBatchNorm, BatchNorm1d):
    """`BatchNorm1d` whose ``num_features`` are the channels of the first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyBatchNorm, BatchNorm2d):
    """`BatchNorm2d` whose ``num_features`` are the channels of the first input.

    >>> import tensorlite as tl
    >>> layer = tl.nn.LazyBatchNorm2d()
    >>> layer(tl.zeros((2, 3, 4, 4))).shape, layer.num_features
    ((2, 3, 4, 4), 3)
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyBatchNorm, BatchNorm3d):
    """`BatchNorm3d` whose ``num_features`` are the channels of the first input."""

    cls_to_become = BatchNorm3d


class _LazyInstanceNorm(_LazyNorm):
    def __init__(self, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True,
                 track_running_stats: bool = True, device: str | None = None, dtype: Any = None, *,
                 bias: bool = True) -> None:
        super().__init__(0, eps, momentum, affine, track_running_stats, device, dtype,  # type: ignore[call-arg]
                         bias=bias)
        self._forget_shapes()


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """`InstanceNorm1d` whose ``num_features`` are the channels of the first input."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """`InstanceNorm2d` whose ``num_features`` are the channels of the first input."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """`InstanceNorm3d` whose ``num_features`` are the channels of the first input.

    >>> import tensorlite as tl
    >>> tl.nn.LazyInstanceNorm3d(affine=True)(tl.zeros((3, 4, 4, 4))).shape
    (3, 4, 4, 4)
    """

    cls_to_become = InstanceNorm3d
