"""Borders of images, sequences and volumes that continue what is inside, instead of zeros."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

from tensorlite.errors import ShapeError, complaint
from tensorlite.ops.convolution.window import AXES, Pair, batched
from tensorlite.ops.indexing.index import _slice
from tensorlite.ops.join import _concat, along
from tensorlite.ops.shape import _broadcast_to
from tensorlite.tensor import Tensor

Parts = tuple[slice, slice]

#: For an extent and the widths before and after it, the slices that lie on both sides: of as many elements as the
#: widths, or of one that is repeated. `_ROOM` is what each width needs.
_PARTS: dict[str, Callable[[int, int, int], Parts]] = {
    "reflect": lambda n, before, after: (
        slice(before, 0, -1), slice(n - 2, n - 2 - after if after < n - 1 else None, -1)),
    "replicate": lambda n, before, after: (slice(1), slice(n - 1, n)),
    "circular": lambda n, before, after: (slice(n - before, n), slice(after)),
}
_ROOM: dict[str, Callable[[int], int]] = {
    "reflect": lambda width: width + 1, "replicate": lambda width: 1, "circular": lambda width: width}

MODES = tuple(_PARTS)


def extended(op: str, x: Tensor, widths: Sequence[Pair], mode: str) -> Tensor:
    """One sample or a batch with borders along its last axes: mirrored, repeated, or from the other side.

    Raises `ShapeError` where an extent is too small for that, and names ``op``.
    """
    axes = len(widths)

    def of_batch(x: Tensor) -> Tensor:
        for axis, (name, width) in enumerate(zip(AXES[axes], widths, strict=True), start=2):
            if any(width):
                _check_room(op, x, mode, name, x.shape[axis], max(width))
                x = _along_axis(x, axis, width, _PARTS[mode](x.shape[axis], *width))
        return x
    found: Tensor = batched(op, of_batch, x, axes)
    return found


def _check_room(op: str, x: Tensor, mode: str, name: str, extent: int, width: int) -> None:
    least = _ROOM[mode](width)
    if extent < least:
        raise complaint(ShapeError, op, f"a border of {width} made by {mode!r} needs a {name} of at least {least}, "
                        f"it is {extent}", {"x": x}, "use less padding, or zeros")


def _along_axis(x: Tensor, axis: int, width: Pair, parts: Parts) -> Tensor:
    """The tensor with slices of an axis on both sides."""
    before, after = (_as_wide(_slice(x, spec=along(axis, part)), axis, n) for part, n in zip(parts, width, strict=True))
    found = [part for part in (before, x, after) if part.shape[axis]]
    return _concat(*found, axis=axis, _offsets=(0, *accumulate(part.shape[axis] for part in found)))


def _as_wide(x: Tensor, axis: int, width: int) -> Tensor:
    """The slice, repeated where it is narrower."""
    if x.shape[axis] == width:
        return x
    if not width:
        return _slice(x, spec=along(axis, slice(0)))
    return _broadcast_to(x, shape=(*x.shape[:axis], width, *x.shape[axis + 1:]))
