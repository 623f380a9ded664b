"""Plans of depthwise convolutions of images whose channels come last: each channel is a lane."""

from __future__ import annotations

from math import prod

from tensorlite.kernels.cpu.conv_finish import Finish, places_of
from tensorlite.kernels.cpu.conv_geometry import Padding, Pair
from tensorlite.kernels.generated import conv_loops, depthwise_loops, gemm_loops
from tensorlite.kernels.generated.conv_parts import Form
from tensorlite.kernels.generated.depthwise_loops import PANEL, PIXELS
from tensorlite.kernels.generated.gemm_loops import Schedule
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_TASK = 16384  # sums
_SUMS_PER_NANOSECOND = 40.0  # of products


def takes(x: Array, weight: Array, finish: Finish, groups: int) -> bool:
    """Tell whether a layer is depthwise, and read and written where its channels lie along memory."""
    return finish.last and x.is_channels_last and groups == x.shape[1] == weight.shape[0]


def plan(x: Array, weight: Array, finish: Finish, stride: Pair, padding: Padding, dilation: Pair) -> Plan:
    """Plan the stages that turn filters and add windows up."""
    dtype, (count, channels, height, width) = x.dtype, x.shape
    square, kernel, (down, across) = gemm_loops.schedule(dtype).square, weight.shape[2:], finish.outputs[0].shape[2:]
    schedule = Schedule(dtype.name, 1, PANEL, 1, 1, square)
    panels, taps, places = -(-channels // PANEL), prod(kernel), places_of(finish, (1, 1), (0, 0))
    row, _, *steps = weight.strides
    numbers = pack(panels, 1, 1, panels, channels, *kernel, 0, 0, row, 0, *steps)
    turned = Stage(f"conv2d filters {schedule}", lambda: conv_loops.filter_kernel(schedule), (1,), (finish.count,),
                   numbers, 200.0 + panels * taps * PANEL)  # fmt: skip
    band = max(1, min(down, _TASK // (across * channels)))
    bands = -(-down // band)
    form = Form(schedule, finish.epilogue(finish.letters(places[1:])), last=True)
    axes = zip(kernel, stride, (padding[0][0], padding[1][0]), (height, width), strict=True)
    numbers = pack(
        count * bands, bands, band, channels, down, 0, x.strides[0], x.strides[2], x.strides[3],
        *_groups(across, width, kernel[1], stride[1], dilation[1], padding[1][0]),
        *(number for axis in axes for number in axis), *(number for place in places for number in place),
    )  # fmt: skip
    work = 200.0 + count * channels * down * across * (taps + 2) / _SUMS_PER_NANOSECOND
    stage = Stage(form.key(f"conv2d depthwise {dilation}"), lambda: depthwise_loops.kernel(form, dilation),
                  (0, finish.count, *finish.reads), finish.writes, numbers, work)  # fmt: skip
    return Plan((turned, stage), (panels * taps * PANEL * dtype.itemsize,))


def _groups(count: int, extent: int, kernel: int, stride: int, dilation: int, border: int) -> tuple[int, int, int]:
    """Return how many groups of columns there are: in all, at the left, and in the middle.

    Those in the middle are of several columns, whose windows lie inside the images, and the others of one.
    """
    first = min(count, -(-border // stride))
    end = min(count, max(first, (extent + border - (kernel - 1) * dilation - 1) // stride + 1))
    middle = (end - first) // PIXELS
    return count - middle * (PIXELS - 1), first, middle
