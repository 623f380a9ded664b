"""Averages of samples in bins of regions of images, and their transpose (He et al., "Mask R-CNN", 2017)."""

from __future__ import annotations

import math
from typing import Any

from tensorlite.kernels.irregular.keys import shares

CHANNELS = 32
"""Of a task: of so many, what lies around a sample stays in the nearest cache."""

TABLE = 8
"""Numbers that a thread notes for a box, in the dtype of the images: that is how they are rounded."""


def averages(thread: int, threads: int, x: Any, boxes: Any, images: Any, out: Any, table: Any, fault: Any, count: int,
             channels: int, height: int, width: int, rows: int, columns: int, number: int, ratio: int, shifted: int,
             scale: float) -> None:  # fmt: skip
    """Writes the average of each bin's samples. A box in an image that is not there is a fault."""
    blocks = (channels + CHANNELS - 1) // CHANNELS
    for share in range(shares(thread, number * blocks, threads)):
        task = thread + share * threads
        box, first = task // blocks, task % blocks * CHANNELS
        last, image = min(first + CHANNELS, channels), images[box]
        if image < 0 or image >= count:
            fault[0] = 1
        else:
            for k in range((box * channels + first) * rows * columns, (box * channels + last) * rows * columns):
                out[k] = 0
            visit(x, out, False, boxes, box, image, first, last, table, thread * TABLE, channels, height, width, rows,
                  columns, ratio, shifted, scale)  # fmt: skip


def spread(thread: int, threads: int, g: Any, boxes: Any, images: Any, out: Any, table: Any, fault: Any, count: int,
           channels: int, height: int, width: int, rows: int, columns: int, number: int, ratio: int, shifted: int,
           scale: float) -> None:  # fmt: skip
    """Adds each bin's number to where its samples lie: some channels of an image, of all of its boxes in order."""
    blocks = (channels + CHANNELS - 1) // CHANNELS
    for box in range(number):
        if images[box] < 0 or images[box] >= count:
            fault[0] = 1
    for share in range(shares(thread, count * blocks, threads)):
        task = thread + share * threads
        image, first = task // blocks, task % blocks * CHANNELS
        last = min(first + CHANNELS, channels)
        for k in range((image * channels + first) * height * width, (image * channels + last) * height * width):
            out[k] = 0
        for box in range(number):
            if images[box] == image:
                visit(out, g, True, boxes, box, image, first, last, table, thread * TABLE, channels, height, width,
                      rows, columns, ratio, shifted, scale)  # fmt: skip


def visit(x: Any, bins: Any, back: bool, boxes: Any, box: int, image: int, first: int, last: int, table: Any, at: int,
          channels: int, height: int, width: int, rows: int, columns: int, ratio: int, shifted: int,
          scale: float) -> None:  # fmt: skip
    """Takes what lies around each sample of a box to its bin, or back: of some channels."""
    down = divide(boxes, 4 * box + 1, rows, ratio, shifted, scale, table, at)
    across = divide(boxes, 4 * box, columns, ratio, shifted, scale, table, at + 4)
    for p in range(rows):
        for i in range(down):
            y = sample(table, at, p, i, down)
            if y >= -1 and y <= height:
                y = min(max(y, 0.0), height - 1.0)
                top = int(y)
                bottom, low = min(top + 1, height - 1), y - top
                for q in range(columns):
                    for j in range(across):
                        z = sample(table, at + 4, q, j, across)
                        if z >= -1 and z <= width:
                            z = min(max(z, 0.0), width - 1.0)
                            left = int(z)
                            right, aside = min(left + 1, width - 1), z - left
                            upper, lower = (1 - low) / (down * across), low / (down * across)
                            a, b, c, d = upper * (1 - aside), upper * aside, lower * (1 - aside), lower * aside
                            for k in range(first, last):
                                base = (image * channels + k) * height * width
                                place = ((box * channels + k) * rows + p) * columns + q
                                if back:
                                    x[base + top * width + left] += a * bins[place]
                                    x[base + top * width + right] += b * bins[place]
                                    x[base + bottom * width + left] += c * bins[place]
                                    x[base + bottom * width + right] += d * bins[place]
                                else:
                                    bins[place] += (a * x[base + top * width + left] + b * x[base + top * width + right]
                                                    + c * x[base + bottom * width + left]
                                                    + d * x[base + bottom * width + right])  # fmt: skip


def divide(boxes: Any, corner: int, bins: int, ratio: int, shifted: int, scale: float, table: Any, at: int) -> int:
    """Notes where a box's bins begin along an axis, and their width; how many samples each has."""
    for side in range(2):
        table[at + side] = boxes[corner + 2 * side] * scale
        if shifted:
            table[at + side] = table[at + side] - 0.5
    table[at + 1] = table[at + 1] - table[at]
    if not shifted and table[at + 1] < 1:
        table[at + 1] = 1
    table[at + 1] = table[at + 1] / bins
    if ratio > 0:
        return ratio
    if not 0 < table[at + 1] < math.inf:
        return 0
    whole = int(table[at + 1])
    return whole + 1 if whole < table[at + 1] else whole


def sample(table: Any, at: int, number: int, k: int, count: int) -> float:
    """Where the sample of a bin is along an axis."""
    table[at + 2] = table[at + 1] * number
    table[at + 2] = table[at] + table[at + 2]
    table[at + 3] = table[at + 1] / count
    table[at + 3] = (k + 0.5) * table[at + 3]
    table[at + 2] = table[at + 2] + table[at + 3]
    return float(table[at + 2])
