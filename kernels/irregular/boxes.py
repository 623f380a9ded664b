"""Suppression of boxes that overlap better ones (non-maximum suppression), as torchvision defines it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.kernels.irregular.kernel import barrier
from tensorlite.kernels.irregular.keys import shares

BATCH = 256  # boxes that are compared with all kept before them at the same time
PART = 64  # kept boxes after which a look is taken whether one was enough


def suppress(thread: int, threads: int, boxes: Any, order: Any, groups: Any, keep: Any, kept: Any, state: Any, n: int,
             threshold: float) -> None:  # fmt: skip
    """Writes whether each box, in order, overlaps none that is kept before it in its group by more than a threshold.

    ``kept`` holds the corners and the areas of kept boxes, and a zero; ``state`` their number, their groups, and of a
    batch which boxes no earlier batch suppresses. Threads share that question; the first one answers for the rest.
    """
    zero = 5 * n
    if thread == 0:
        state[0], kept[zero] = 0, 0
    for batch in range((n + BATCH - 1) // BATCH):
        first, last = batch * BATCH, min(n, (batch + 1) * BATCH)
        barrier(threads)
        before = state[0]
        for share in range(shares(thread, last - first, threads)):
            i = thread + share * threads
            box = order[first + i]
            state[1 + n + i] = overlaps(boxes, box, groups[box], kept, state, 0, before, n, threshold)
        barrier(threads)
        if thread == 0:
            count = before
            for i in range(last - first):
                box = order[first + i]
                clear = state[1 + n + i] == 0
                if clear:
                    clear = overlaps(boxes, box, groups[box], kept, state, before, count, n, threshold) == 0
                keep[first + i] = np.uint8(clear)
                if clear:
                    for corner in range(4):
                        kept[corner * n + count] = boxes[4 * box + corner]
                    kept[4 * n + count] = (boxes[4 * box + 2] - boxes[4 * box]) * (
                        boxes[4 * box + 3] - boxes[4 * box + 1])  # fmt: skip
                    state[1 + count] = groups[box]
                    count += 1
            state[0] = count


def overlaps(boxes: Any, box: int, group: int, kept: Any, state: Any, first: int, last: int, n: int,
             threshold: float) -> int:  # fmt: skip
    """Whether a box and one of some kept ones have more in common than that part of what they cover together."""
    left, top, right, bottom = boxes[4 * box], boxes[4 * box + 1], boxes[4 * box + 2], boxes[4 * box + 3]
    area, zero, found = (right - left) * (bottom - top), kept[5 * n], 0
    at = first
    while at < last and found == 0:
        end = min(last, at + PART)
        for k in range(at, end):
            x1 = left if kept[k] < left else kept[k]
            y1 = top if kept[n + k] < top else kept[n + k]
            x2 = right if right < kept[2 * n + k] else kept[2 * n + k]
            y2 = bottom if bottom < kept[3 * n + k] else kept[3 * n + k]
            width, height = x2 - x1, y2 - y1
            common = (width if zero < width else zero) * (height if zero < height else zero)
            ratio = common / (kept[4 * n + k] + area - common)
            found |= (np.float64(ratio) > threshold) & (state[1 + k] == group)
        at = end
    return found
