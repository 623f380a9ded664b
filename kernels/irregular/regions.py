"""Maxima of bins in regions of images, as the pools of Fast R-CNN take them (Girshick, 2015)."""

from __future__ import annotations

from typing import Any

from tensorlite.kernels.irregular.keys import shares


def highest(thread: int, threads: int, x: Any, images: Any, down: Any, across: Any, out: Any, fault: Any, count: int,
            channels: int, height: int, width: int, rows: int, columns: int, boxes: int) -> None:  # fmt: skip
    """Writes where the first maximum of each bin lies in its image, -1 for an empty bin; NaN is above all numbers.

    Bins begin and end within images. A box in an image that is not there is a fault.
    """
    for share in range(shares(thread, boxes * channels, threads)):
        task = thread + share * threads
        box = task // channels
        image = images[box]
        if image < 0 or image >= count:
            fault[0] = 1
        else:
            base = (image * channels + task % channels) * height * width
            for p in range(rows):
                top, bottom = down[2 * (box * rows + p)], down[2 * (box * rows + p) + 1]
                for q in range(columns):
                    left, right = across[2 * (box * columns + q)], across[2 * (box * columns + q) + 1]
                    out[(task * rows + p) * columns + q] = first_maximum(x, base, width, top, bottom, left, right)


def first_maximum(x: Any, base: int, width: int, top: int, bottom: int, left: int, right: int) -> int:
    """Where the first maximum of a part of an image is, from its beginning; -1 where the part is empty."""
    if top >= bottom or left >= right:
        return -1
    place = top * width + left
    best = x[base + place]
    for i in range(top, bottom):
        for j in range(left, right):
            value = x[base + i * width + j]
            if best == best and not value <= best:
                best, place = value, i * width + j
    return place
