"""Convolutional layers, and their transposes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn import init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.convolution.conv import read_padding
from tensorlite.ops.convolution.window import AXES, integers, span
from tensorlite.ops.filled import empty
from tensorlite.ops.images.borders import MODES, extended
from tensorlite.tensor import Tensor

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

Size = int | tuple[int, ...]


class _Convolution(Module):
    """What layers of all numbers of axes share; parameters are drawn evenly from ``±1 / sqrt(fan_in)``."""

    axes: ClassVar[int]
    function: ClassVar[Callable[..., Tensor]]
    transposed: ClassVar[bool] = False
    weight: Parameter
    bias: Parameter | None
    padding: str | tuple[int, ...]

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size, padding: Size | str,
                 dilation: Size, output_padding: Size, groups: int, bias: bool, padding_mode: str, device: str | None,
                 dtype: Any) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise self._complaint(f"groups={groups} must divide in_channels={in_channels} and "
                                  f"out_channels={out_channels}")
        modes = ("zeros",) if self.transposed else ("zeros", *MODES)
        if padding_mode not in modes:
            raise self._complaint(f"padding_mode must be {' or '.join(map(repr, modes))}, not {padding_mode!r}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.groups, self.padding_mode = groups, padding_mode
        self.kernel_size = self._integers("kernel_size", kernel_size)
        self.stride, self.dilation = self._integers("stride", stride), self._integers("dilation", dilation)
        self.padding = padding if isinstance(padding, str) else self._integers("padding", padding, 0)
        self.output_padding = self._integers("output_padding", output_padding, 0)
        channels = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(empty((channels[0], channels[1] // groups, *self.kernel_size), dtype=dtype,
                                      device=device))
        self.register_parameter("bias", Parameter(empty((out_channels,), dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def _complaint(self, problem: str) -> Exception:
        return complaint(ArgumentError, type(self).__name__, problem)

    def _integers(self, name: str, value: Any, least: int = 1) -> tuple[int, ...]:
        return integers(type(self).__name__, name, value, self.axes, least)

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = math.prod(self.weight.shape[1:])
        if self.bias is not None and fan_in:
            init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        usual = {"padding": (0,) * self.axes, "dilation": (1,) * self.axes, "output_padding": (0,) * self.axes,
                 "groups": 1}
        parts += [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        parts += ["bias=False"] if self.bias is None else []
        parts += [f"padding_mode={self.padding_mode}"] if self.padding_mode != "zeros" else []
        return ", ".join(parts)


class _Plain(_Convolution):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1,
                 padding: Size | str = 0, dilation: Size = 1, groups: int = 1, bias: bool = True,
                 padding_mode: str = "zeros", device: str | None = None, dtype: Any = None) -> None:
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise self._complaint(f"padding must be integers, 'valid' or 'same', not {padding!r}")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias,
                         padding_mode, device, dtype)
        if padding == "same" and any(step != 1 for step in self.stride):
            raise self._complaint(f"padding='same' needs stride 1, not {self.stride}")

    def forward(self, input: Tensor) -> Tensor:
        function, padding = type(self).function, self.padding
        if self.padding_mode != "zeros":
            widths = read_padding(function.__name__, padding, self.kernel_size, self.stride, self.dilation)
            input, padding = extended(function.__name__, input, widths, self.padding_mode), "valid"
        return function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Plain):
    """Cross-correlation of sequences with filters; parameters drawn evenly from ``±1 / sqrt(fan_in)``.

    ``padding`` is how wide borders are on each side, ``"same"`` or ``"valid"``; ``padding_mode`` says what is in them:
    ``"zeros"``, or ``"reflect"``, ``"replicate"`` or ``"circular"`` for what is inside, mirrored, repeated or from
    the other side. See `functional.conv1d`.

    >>> import tensorlite as tl
    >>> layer = tl.nn.Conv1d(3, 8, 3, padding="same")
    >>> layer
    Conv1d(3, 8, kernel_size=(3,), stride=(1,), padding=same)
    >>> layer(tl.zeros((2, 3, 6))).shape
    (2, 8, 6)
    """

    axes, function = 1, F.conv1d


class Conv2d(_Plain):
    """Cross-correlation of images with filters; parameters drawn evenly from ``±1 / sqrt(fan_in)``.

    ``padding`` is how wide borders are on each side, ``"same"`` or ``"valid"``; ``padding_mode`` says what is in them:
    ``"zeros"``, or ``"reflect"``, ``"replicate"`` or ``"circular"`` for what is inside, mirrored, repeated or from
    the other side. See `functional.conv2d`.

    >>> import tensorlite as tl
    >>> layer = tl.nn.Conv2d(3, 8, 3, padding=1)
    >>> layer
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    >>> layer(tl.zeros((2, 3, 6, 6))).shape
    (2, 8, 6, 6)
    """

    axes, function = 2, F.conv2d


class Conv3d(_Plain):
    """Cross-correlation of volumes with filters; parameters drawn evenly from ``±1 / sqrt(fan_in)``.

    ``padding`` is how wide borders are on each side, ``"same"`` or ``"valid"``; ``padding_mode`` says what is in them:
    ``"zeros"``, or ``"reflect"``, ``"replicate"`` or ``"circular"`` for what is inside, mirrored, repeated or from
    the other side. See `functional.conv3d`.

    >>> import tensorlite as tl
    >>> tl.nn.Conv3d(3, 8, (1, 3, 3), padding=(0, 1, 1))(tl.zeros((2, 3, 4, 6, 6))).shape
    (2, 8, 4, 6, 6)
    """

    axes, function = 3, F.conv3d


class _Transposed(_Convolution):
    transposed = True
    padding: tuple[int, ...]

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Size = 0,
                 output_padding: Size = 0, groups: int = 1, bias: bool = True, dilation: Size = 1,
                 padding_mode: str = "zeros", device: str | None = None, dtype: Any = None) -> None:
        if isinstance(padding, str):
            raise self._complaint(f"padding must be integers, not {padding!r}")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups,
                         bias, padding_mode, device, dtype)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """The transposed convolution; ``output_size`` chooses among the sizes that strides leave open.

        It holds the extents of the output, with or without those of batch and channels, and stands for the
        ``output_padding`` that gives them. Raises `ShapeError` where none does.
        """
        extra = self.output_padding if output_size is None else self._padding_for(input, tuple(output_size))
        return type(self).function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups,
                                   self.dilation)

    def _padding_for(self, input: Tensor, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """The ``output_padding`` of a size."""
        others = input.ndim - self.axes
        if len(wanted) not in (self.axes, others + self.axes):
            raise complaint(ShapeError, type(self).__name__, f"output_size must have {self.axes} or "
                            f"{others + self.axes} elements, it has {len(wanted)}", {"input": input})
        wanted = wanted[-self.axes:]
        geometry = zip(input.shape[others:], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = [(n - 1) * s - 2 * p + span(k, d) for n, k, s, p, d in geometry]
        for name, size, fewest, step in zip(AXES[self.axes], wanted, least, self.stride, strict=True):
            if not fewest <= size < fewest + step:
                raise complaint(ShapeError, type(self).__name__, f"the output's {name} can be {fewest} to "
                                f"{fewest + step - 1}, not {size}", {"input": input, "output_size": wanted})
        return tuple(size - fewest for size, fewest in zip(wanted, least, strict=True))


class ConvTranspose1d(_Transposed):
    """The transpose of `Conv1d`: from what that gives to what it takes; see `functional.conv_transpose1d`.

    >>> import tensorlite as tl
    >>> layer = tl.nn.ConvTranspose1d(8, 3, 3, stride=2)
    >>> layer(tl.zeros((2, 8, 5))).shape, layer(tl.zeros((2, 8, 5)), output_size=[12]).shape
    ((2, 3, 11), (2, 3, 12))
    """

    axes, function = 1, F.conv_transpose1d


class ConvTranspose2d(_Transposed):
    """The transpose of `Conv2d`: from what that gives to what it takes; see `functional.conv_transpose2d`.

    >>> import tensorlite as tl
    >>> layer = tl.nn.ConvTranspose2d(8, 3, 3, stride=2, padding=1, output_padding=1)
    >>> layer
    ConvTranspose2d(8, 3, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 1))
    >>> layer(tl.zeros((2, 8, 4, 4))).shape
    (2, 3, 8, 8)
    """

    axes, function = 2, F.conv_transpose2d


class ConvTranspose3d(_Transposed):
    """The transpose of `Conv3d`: from what that gives to what it takes; see `functional.conv_transpose3d`.

    >>> import tensorlite as tl
    >>> tl.nn.ConvTranspose3d(8, 3, 2, stride=2)(tl.zeros((2, 8, 2, 3, 3))).shape
    (2, 3, 4, 6, 6)
    """

    axes, function = 3, F.conv_transpose3d
