"""Padding: tensors with borders of one value, or of what is inside; negative widths take elements away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorlite.declare import functional
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.convolution.window import Pair
from tensorlite.ops.filled import full
from tensorlite.ops.images.borders import MODES, extended
from tensorlite.ops.indexing.index import _slice, _unslice, set_item_at
from tensorlite.ops.shape import _copy
from tensorlite.tensor import Tensor

__all__ = ["pad"]

Widths = tuple[Pair, ...]


@functional
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """The tensor with borders along its last axes; negative widths take elements away.

    ``pad`` holds the widths before and after, of the last axis first: ``(left, right, top, bottom, front, back)``. Any
    number of axes can have borders of a constant, which is ``value`` or 0. ``mode="reflect"`` mirrors what is inside
    without repeating the outermost elements, ``"replicate"`` repeats these, and ``"circular"`` continues at the other
    side: along the last one to three axes of [batch, channels, ...] or [channels, ...]. Raises `ArgumentError` for
    other modes and lengths of ``pad``, `ShapeError` where the widths do not fit the extents.

    >>> import tensorlite as tl
    >>> pad(tl.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    >>> pad(tl.tensor([1, 2, 3]), (-1, 2), value=9)
    tensor([2, 3, 9, 9])
    """
    if mode != "constant" and mode not in MODES:
        raise complaint(ArgumentError, "pad", f"mode must be {' or '.join(map(repr, ('constant', *MODES)))}, "
                        f"not {mode!r}")
    widths = _widths(pad)
    padded = _constant(input, widths, value) if mode == "constant" else _continued(input, widths, mode, value)
    return _copy(padded) if padded is input else padded


def _widths(pad: Any) -> Widths:
    """The widths before and after of each axis, the last axis last."""
    if not isinstance(pad, Sequence) or not all(hasattr(n, "__index__") for n in pad):
        raise complaint(DTypeError, "pad", f"pad must be a sequence of integers, not {pad!r}")
    numbers = [n.__index__() for n in pad]
    if len(numbers) % 2:
        raise complaint(ArgumentError, "pad", "pad must hold two widths for each axis, before and after it",
                        {"pad": pad})
    return tuple(zip(numbers[-2::-2], numbers[::-2], strict=True))


def _constant(x: Tensor, widths: Widths, value: Any) -> Tensor:
    if len(widths) > x.ndim:
        raise complaint(ShapeError, "pad", f"pad has widths for {len(widths)} axes, the input has {x.ndim}",
                        {"input": x, "pad": _flat(widths)})
    widths = ((0, 0),) * (x.ndim - len(widths)) + widths
    inside = _cropped(x, widths)
    wide = [tuple(max(n, 0) for n in pair) for pair in widths]
    if not any(map(any, wide)):
        return _copy(inside) if inside is not x else x
    shape = tuple(before + n + after for n, (before, after) in zip(inside.shape, wide, strict=True))
    spec = tuple(slice(before, before + n) for n, (before, _) in zip(inside.shape, wide, strict=True))
    filling = _filling(x, value)
    if not filling:
        return _unslice(inside, spec=spec, shape=shape)
    return set_item_at(full(shape, filling, dtype=x.dtype, device=x.device), inside, (), spec)


def _filling(x: Tensor, value: Any) -> Any:
    """The value as a number of the input's kind."""
    if value is None:
        return 0
    if not isinstance(value, bool | int | float):
        raise complaint(DTypeError, "pad", f"value must be a number, not {type(value).__name__}", {"input": x})
    if x.dtype.kind == "b":
        return bool(value)
    return value if x.dtype.kind not in "iu" else int(value)


def _cropped(x: Tensor, widths: Widths) -> Tensor:
    """The last axes without what negative widths take away."""
    extents = x.shape[x.ndim - len(widths):]
    if all(n >= 0 for pair in widths for n in pair):
        return x
    for n, (before, after) in zip(extents, widths, strict=True):
        if n + min(before, 0) + min(after, 0) < 0:
            raise complaint(ShapeError, "pad", f"{-min(before, 0) - min(after, 0)} elements cannot be taken away from "
                            f"an extent of {n}", {"input": x, "pad": _flat(widths)})
    spec = tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(extents, widths, strict=True))
    return _slice(x, spec=(..., *spec))


def _continued(x: Tensor, widths: Widths, mode: str, value: Any) -> Tensor:
    """Borders of what is inside: all of it is mirrored or repeated, what stays goes around."""
    if value:
        raise complaint(ArgumentError, "pad", f"mode={mode!r} takes no value", {"input": x, "value": value},
                        "leave it out, or use mode='constant'")
    if not 1 <= len(widths) <= 3:
        raise complaint(ArgumentError, "pad", f"mode={mode!r} takes two, four or six widths, not {2 * len(widths)}",
                        {"input": x, "pad": _flat(widths)})
    wide = tuple((max(before, 0), max(after, 0)) for before, after in widths)
    narrow = tuple((min(before, 0), min(after, 0)) for before, after in widths)
    if mode == "circular":
        return extended("pad", _cropped(x, narrow), wide, mode)
    for n, (before, after) in zip(x.shape[x.ndim - len(widths):], widths, strict=True):
        if n + before + after < 1:
            raise complaint(ShapeError, "pad", f"nothing would be left of an extent of {n}",
                            {"input": x, "pad": _flat(widths)})
    return _cropped(extended("pad", x, wide, mode), narrow)


def _flat(widths: Widths) -> tuple[int, ...]:
    """The widths as users write them."""
    return tuple(n for pair in reversed(widths) for n in pair)
