"""Convolutional layers."""

from __future__ import annotations

import math
from typing import Any

from tensorlite.errors import ArgumentError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn import init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.filled import empty
from tensorlite.ops.window import pair
from tensorlite.tensor import Tensor


class Conv2d(Module):
    """Cross-correlation of images with filters; parameters drawn evenly from ``±1 / sqrt(fan_in)``.

    ``padding`` is zeros on each side, ``"same"`` or ``"valid"``; see `functional.conv2d`.

    >>> import tensorlite as tl
    >>> layer = tl.nn.Conv2d(3, 8, 3, padding=1)
    >>> layer
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    >>> layer(tl.zeros((2, 3, 6, 6))).shape
    (2, 8, 6, 6)
    """

    bias: Parameter | None

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, int],
                 stride: int | tuple[int, int] = 1, padding: int | tuple[int, int] | str = 0,
                 dilation: int | tuple[int, int] = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise complaint(ArgumentError, "Conv2d", f"groups={groups} must divide in_channels={in_channels} and "
                            f"out_channels={out_channels}")
        if padding_mode != "zeros":
            raise complaint(ArgumentError, "Conv2d", f"padding_mode must be 'zeros', not {padding_mode!r}")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise complaint(ArgumentError, "Conv2d", f"padding must be integers, 'valid' or 'same', not {padding!r}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.groups, self.padding_mode = groups, padding_mode
        self.kernel_size, self.stride = pair("Conv2d", "kernel_size", kernel_size), pair("Conv2d", "stride", stride)
        self.dilation = pair("Conv2d", "dilation", dilation)
        self.padding = padding if isinstance(padding, str) else pair("Conv2d", "padding", padding, least=0)
        if padding == "same" and self.stride != (1, 1):
            raise complaint(ArgumentError, "Conv2d", f"padding='same' needs stride 1, not {self.stride}")
        self.weight = Parameter(empty((out_channels, in_channels // groups, *self.kernel_size), dtype=dtype,
                                      device=device))
        self.register_parameter("bias", Parameter(empty((out_channels,), dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = math.prod(self.weight.shape[1:])
        if self.bias is not None and fan_in:
            init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding != (0, 0):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)
