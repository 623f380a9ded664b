"""Plans of 1 x 1 filters over images whose channels come last: such a convolution is a product of two matrices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tensorlite.kernels.cpu import matmul
from tensorlite.kernels.cpu.conv_finish import Finish
from tensorlite.kernels.cpu.conv_geometry import Pair
from tensorlite.kernels.cpu.movement_stages import copy_stage
from tensorlite.kernels.stage import Array, Plan, Stage

_AXES = (0, 2, 3, 1)


def takes(x: Array, weight: Array, finish: Finish, padding: Any, groups: int) -> bool:
    """Tell whether a layer is one of points, read and written where their channels lie along memory."""
    points = weight.shape[2:] == (1, 1) and groups == 1 and not any(map(any, padding))
    return finish.last and points and x.is_channels_last


def plan(x: Array, weight: Array, finish: Finish, stride: Pair, kept: bool) -> Plan | None:
    """Plan pixels, ``stride`` apart, times filters; pixels that are not neighbours are brought together first."""
    height, width = finish.outputs[0].shape[2:]
    image, channel, line, step = x.strides
    lying = Array(x.dtype, (*x.shape[:2], height, width), (image, channel, stride[0] * line, stride[1] * step))
    filters = Array(weight.dtype, weight.shape[1::-1], weight.strides[1::-1])
    outputs, operands = ([_permuted(a) for a in arrays] for arrays in (finish.outputs, finish.operands))
    if stride == (1, 1):
        return matmul.plan(_permuted(lying), filters, outputs, finish.values, operands, kept=kept)
    together = Array.contiguous(x.dtype, _permuted(lying).shape)
    found = matmul.plan(together, filters, outputs, finish.values, operands, kept=kept)
    gather = copy_stage(_permuted(lying), together, 0, finish.count)
    if found is None or gather is None:
        return None
    stages = [_renumbered(stage, finish.count) for stage in found.stages]
    return Plan((gather, *stages), (together.size * x.dtype.itemsize, *found.scratch))


def _renumbered(stage: Stage, number: int) -> Stage:
    """Return a stage that reads array ``number`` in place of array 0; it and those after it are scratch arrays."""

    def of(k: int) -> int:
        return number if k == 0 else k + (k >= number)

    return replace(stage, reads=tuple(map(of, stage.reads)), writes=tuple(map(of, stage.writes)))


def _permuted(array: Array) -> Array:
    """Return images as [images, height, width, channels]."""
    return Array(array.dtype, tuple(array.shape[a] for a in _AXES), tuple(array.strides[a] for a in _AXES))
