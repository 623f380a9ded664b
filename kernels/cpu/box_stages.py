"""Boxes in images without Python: suppression of those that overlap, and averages and maxima of regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tensorlite.kernels.cpu.row_stages import builder, contiguous
from tensorlite.kernels.cpu.spmd import MAX_THREADS
from tensorlite.kernels.irregular import aligning, regions
from tensorlite.kernels.irregular import boxes as kernels
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_FLOATS = ("float32", "float64")
_NANOSECONDS = 0.5  # of one thread for two boxes
_SAMPLE_NANOSECONDS = 3.0  # of one thread for a sample


def plan_unsuppressed(inputs: Sequence[Array], outputs: Sequence[Array], *, threshold: float) -> Plan | None:
    """Whether each box, in order, is kept."""
    (x, order, groups), (out,) = inputs, outputs
    n = order.size
    if not n:
        return Plan(())
    if x.dtype.name not in _FLOATS or order.dtype != np.int64 or groups.dtype != np.int64 or not out.is_contiguous:
        return None
    types = (x.dtype.name, "int64", "int64", "uint8", x.dtype.name, "int64")
    scratch = ((5 * n + 1) * x.dtype.itemsize, (1 + n + kernels.BATCH) * 8)
    found = contiguous(inputs, 4 + len(scratch))
    if found is None:
        return None
    copies, reads, room = found
    stage = Stage(f"suppress {x.dtype.name}", builder(kernels.suppress, *types, numbers=1, floats=1), reads, (3, 4, 5),
                  pack(n, float(threshold)), n * n * _NANOSECONDS / 2)  # fmt: skip
    return Plan((*copies, stage), (*scratch, *room))


def plan_roi_places(inputs: Sequence[Array], outputs: Sequence[Array]) -> Plan | None:
    """Where the maxima of bins are; an image that is not there is a fault."""
    (x, images, down, across), (out,) = inputs, outputs
    if not out.size:
        return Plan(()) if not images.size else None
    indices = (images, down, across)
    if x.dtype.name not in _FLOATS or any(i.dtype != np.int64 for i in indices) or not out.is_contiguous:
        return None
    found = contiguous(inputs, 6)
    if found is None:
        return None
    copies, reads, room = found
    sizes = (*x.shape, down.shape[1], across.shape[1], images.size)
    types = (x.dtype.name, *("int64",) * 5)
    work = images.size * x.shape[1] * (x.shape[2] * x.shape[3] / 4 + out.shape[2] * out.shape[3]) * 1.0
    stage = Stage(f"highest {x.dtype.name}", builder(regions.highest, *types, numbers=len(sizes)), reads, (4, 5),
                  pack(*sizes), work)  # fmt: skip
    return Plan((*copies, stage), (8, *room), 5)


def plan_roi_align(
    inputs: Sequence[Array], outputs: Sequence[Array], *, size: tuple[int, int], scale: float, ratio: int, aligned: bool
) -> Plan | None:
    """The averages of bins' samples."""
    shape = inputs[0].shape
    return _plan_aligned("averages", aligning.averages, inputs, outputs[0], shape, size, scale, ratio, aligned)


def plan_roi_align_spread(
    inputs: Sequence[Array], outputs: Sequence[Array], *, shape: tuple[int, ...], size: tuple[int, int], scale: float,
    ratio: int, aligned: bool,
) -> Plan | None:  # fmt: skip
    """The transpose of `plan_roi_align`."""
    return _plan_aligned("spread", aligning.spread, inputs, outputs[0], shape, size, scale, ratio, aligned)


def _plan_aligned(
    name: str, function: Callable[..., None], inputs: Sequence[Array], out: Array, shape: tuple[int, ...],
    size: tuple[int, int], scale: float, ratio: int, aligned: bool,
) -> Plan | None:  # fmt: skip
    """A kernel over bins of boxes in images of a shape; a box in an image that is not there is a fault."""
    x, boxes, images = inputs
    if not out.size:
        return Plan(()) if not images.size else None
    if x.dtype.name not in _FLOATS or boxes.dtype not in (x.dtype, np.int64) or images.dtype != np.int64:
        return None
    if not out.is_contiguous:
        return None
    table, found = aligning.TABLE * MAX_THREADS * x.dtype.itemsize, contiguous(inputs, 6)
    if found is None:
        return None
    copies, reads, room = found
    real = x.dtype.name
    sizes = (*shape, *size, images.size, ratio, int(aligned))
    work = images.size * shape[1] * size[0] * size[1] * max(ratio, 2) ** 2 * _SAMPLE_NANOSECONDS
    build = builder(function, real, boxes.dtype.name, "int64", real, real, "int64", numbers=len(sizes), floats=1)
    stage = Stage(f"roi_align {name} {real} {boxes.dtype.name}", build, reads, (3, 4, 5),
                  pack(*sizes, float(x.dtype.type(scale))), work)  # fmt: skip
    return Plan((*copies, stage), (table, 8, *room), 5)


PLANS: dict[str, Callable[..., Plan | None]] = {
    "unsuppressed": plan_unsuppressed,
    "roi_places": plan_roi_places,
    "roi_align": plan_roi_align,
    "roi_align_spread": plan_roi_align_spread,
}
