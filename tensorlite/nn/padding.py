"""Layers that pad: one body, by what is in the borders and along how many axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tensorlite.errors import DTypeError, ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.tensor import Tensor

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]

Widths = int | Sequence[int]


class _Pad(Module):
    """Borders by `functional.pad`: ``padding`` is one width for all sides, or those of the last axis first."""

    axes: ClassVar[int]
    mode: ClassVar[str]
    value: float | None = None

    def __init__(self, padding: Widths) -> None:
        super().__init__()
        widths = (padding,) * (2 * self.axes) if hasattr(padding, "__index__") else padding
        if not isinstance(widths, Sequence) or not all(hasattr(n, "__index__") for n in widths):
            raise complaint(DTypeError, type(self).__name__, "padding must be an integer, or one for each of "
                            f"{2 * self.axes} sides, not {padding!r}")
        self.padding: tuple[Any, ...] = tuple(widths)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _Constant(_Pad):
    mode = "constant"
    value: float

    def __init__(self, padding: Widths, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_Constant):
    """Borders of ``value`` along the last axis; ``padding`` is (left, right), or one width; see `functional.pad`.

    >>> import tensorlite as tl
    >>> tl.nn.ConstantPad1d((1, 2), 3.5)(tl.zeros(2))
    tensor([3.5, 0. , 0. , 3.5, 3.5])
    """

    axes = 1


class ConstantPad2d(_Constant):
    """Borders of ``value`` along the last two axes; ``padding`` is (left, right, top, bottom), or one width."""

    axes = 2


class ConstantPad3d(_Constant):
    """Borders of ``value`` along three axes; ``padding`` is (left, right, top, bottom, front, back), or one width."""

    axes = 3


class _Zero(_Pad):
    mode, value = "constant", 0.0


class ZeroPad1d(_Zero):
    """Borders of zeros along the last axis; ``padding`` is (left, right), or one width.

    >>> import tensorlite as tl
    >>> tl.nn.ZeroPad1d((1, 2))(tl.ones(2))
    tensor([0., 1., 1., 0., 0.])
    """

    axes = 1


class ZeroPad2d(_Zero):
    """Borders of zeros along the last two axes; ``padding`` is (left, right, top, bottom), or one width.

    >>> import tensorlite as tl
    >>> tl.nn.ZeroPad2d(1)
    ZeroPad2d((1, 1, 1, 1))
    """

    axes = 2


class ZeroPad3d(_Zero):
    """Borders of zeros along three axes; ``padding`` is (left, right, top, bottom, front, back), or one width."""

    axes = 3


class _Reflection(_Pad):
    mode = "reflect"


class ReflectionPad1d(_Reflection):
    """Borders that mirror [batch, channels, length] at its outermost elements; ``padding`` is (left, right).

    >>> import tensorlite as tl
    >>> tl.nn.ReflectionPad1d(2)(tl.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    axes = 1


class ReflectionPad2d(_Reflection):
    """Borders that mirror [batch, channels, height, width]; ``padding`` is (left, right, top, bottom), or one width."""

    axes = 2


class ReflectionPad3d(_Reflection):
    """Borders that mirror volumes; ``padding`` is (left, right, top, bottom, front, back), or one width."""

    axes = 3


class _Replication(_Pad):
    mode = "replicate"


class ReplicationPad1d(_Replication):
    """Borders that repeat the outermost elements of [batch, channels, length]; ``padding`` is (left, right).

    >>> import tensorlite as tl
    >>> tl.nn.ReplicationPad1d(2)(tl.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """

    axes = 1


class ReplicationPad2d(_Replication):
    """Borders that repeat the outermost elements of images; ``padding`` is (left, right, top, bottom), or one width."""

    axes = 2


class ReplicationPad3d(_Replication):
    """Borders that repeat the outermost elements of volumes.

    ``padding`` is (left, right, top, bottom, front, back), or one width.
    """

    axes = 3


class _Circular(_Pad):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (self.axes + 1, self.axes + 2):
            raise complaint(ShapeError, type(self).__name__, f"takes {self.axes + 1} or {self.axes + 2} axes, "
                            f"the input has {input.ndim}", {"input": input})
        return super().forward(input)


class CircularPad1d(_Circular):
    """Borders that continue [batch, channels, length] at its other side; ``padding`` is (left, right).

    >>> import tensorlite as tl
    >>> tl.nn.CircularPad1d(2)(tl.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 3., 1., 2., 3., 1., 2.]])
    """

    axes = 1


class CircularPad2d(_Circular):
    """Borders that continue images at their other side; ``padding`` is (left, right, top, bottom), or one width."""

    axes = 2


class CircularPad3d(_Circular):
    """Borders that continue volumes at their other side.

    ``padding`` is (left, right, top, bottom, front, back), or one width.
    """

    axes = 3
