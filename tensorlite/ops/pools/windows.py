"""What pools share: how windows lie along the axes that users name, and how they are combined over images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.checks import check_floating
from tensorlite.ops.convolution.window import AXES, SUBJECTS, Padding, Pair, integers, span, steps, window_counts
from tensorlite.ops.shape import _reshape
from tensorlite.tensor import Tensor

NATIVE_IMAGES = 1024
"""From so many elements on a kernel computes a pool: the bodies call NumPy a dozen times."""


@dataclass(frozen=True)
class Windows:
    """How windows lie: along each axis their extent, the step to the next one, the border, the step within."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of ops on images."""
        return {"kernel": self.kernel, "stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    def along(self, *axes: int | None) -> Windows:
        """Those along two of the axes, as of images; for None along one of which each covers one place."""
        def chosen(values: tuple[int, ...], point: int) -> tuple[int, ...]:
            return tuple(point if axis is None else values[axis] for axis in axes)
        return Windows(chosen(self.kernel, 1), chosen(self.stride, 1), chosen(self.padding, 0),
                       chosen(self.dilation, 1))

    def check(self, op: str, x: Tensor, ceil_mode: bool) -> None:
        """Raises `ShapeError` where the kernel does not fit, by the names of the axes that the user sees."""
        try:
            window_counts(x.shape[2:], self.kernel, self.stride, self.dilation, tuple((p, p) for p in self.padding),
                          ceil_mode)
        except ShapeError as problem:
            raise complaint(ShapeError, op, problem.problem, {"input": x}, problem.fix) from None


def read_windows(op: str, axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1) -> Windows:
    """The windows that options say; raises where the padding is more than half a kernel."""
    kernel, dilations = integers(op, "kernel_size", kernel_size, axes), integers(op, "dilation", dilation, axes)
    is_kernel = stride is None or isinstance(stride, tuple | list) and not stride
    strides = kernel if is_kernel else integers(op, "stride", stride, axes)
    borders = integers(op, "padding", padding, axes, least=0)
    if any(p > span(k, d) // 2 for p, k, d in zip(borders, kernel, dilations, strict=True)):
        raise complaint(ArgumentError, op, f"padding {borders} is more than half of the kernel {kernel}")
    return Windows(kernel, strides, borders, dilations)


def require_floating(op: str, x: Tensor) -> None:
    """Raises `DTypeError` where the dtype is not a real floating one."""
    try:
        check_floating(x)
    except DTypeError as problem:
        raise complaint(DTypeError, op, problem.problem, {"input": x}, problem.fix) from None


def check_elements(op: str, x: Tensor) -> None:
    """Raises `ShapeError` where samples have no elements; a batch may have no samples."""
    if 0 in x.shape[1:]:
        axes = x.ndim - 2
        name = ("channels", *AXES[axes])[x.shape[1:].index(0)]
        raise complaint(ShapeError, op, f"takes {SUBJECTS[axes]} with elements, of {name} there are 0", {"input": x})


# --- sequences and volumes as images ------------------------------------------------------------------------------


def rows_of(x: Tensor) -> Tensor:
    """Sequences as images of one row."""
    return _reshape(x, shape=(*x.shape[:2], 1, x.shape[2]))


def slices_of(x: Tensor) -> Tensor:
    """Volumes as images of their height and width, as many more as they are deep."""
    return _reshape(x, shape=(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]))


def columns_of(x: Tensor, depth: int) -> Tensor:
    """Slices of volumes as images of that many rows, each with all that is at one depth."""
    return _reshape(x, shape=(x.shape[0], x.shape[1] // depth, depth, x.shape[2] * x.shape[3]))


# --- images as arrays ---------------------------------------------------------------------------------------------


def over(xp: Any, x: Any, kernel: Pair, stride: Pair, dilation: Pair, counts: Pair, combine: Any) -> Any:
    """Combines the elements of every window, first along the columns of images and then along their rows."""
    rows = [x[..., steps(i * dilation[0], counts[0], stride[0]), :] for i in range(kernel[0])]
    x = fold(rows, combine)
    return fold([x[..., steps(j * dilation[1], counts[1], stride[1])] for j in range(kernel[1])], combine)


def fold(parts: list[Any], combine: Any) -> Any:
    """Combines arrays, one after the other, into a new one."""
    if len(parts) == 1:
        return parts[0].copy()
    out = combine(parts[0], parts[1])
    for part in parts[2:]:
        combine(out, part, out=out)
    return out


def borders_of(size: Pair, counts: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Padding:
    """The padding before, and after it what the windows reach over the end."""
    (top, left), ends = padding, [(n - 1) * s + span(k, d) for n, s, k,
                                  d in zip(counts, stride, kernel, dilation, strict=True)]
    return (top, max(0, ends[0] - top - size[0])), (left, max(0, ends[1] - left - size[1]))


