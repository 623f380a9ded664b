"""Shuffles between channels and places: what sub-pixel convolutions and grouped ones need."""

from __future__ import annotations

from typing import Any

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.shape import _permute_dims, _reshape
from tensorlite.tensor import Tensor

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def _factor(op: str, name: str, value: Any, x: Tensor, least: int = 3) -> int:
    """A positive integer, after a check that the tensor has enough axes."""
    if x.ndim < least:
        raise complaint(ShapeError, op, f"takes at least {least} axes, the input has {x.ndim}", {"input": x})
    if not hasattr(value, "__index__"):
        raise complaint(DTypeError, op, f"{name} must be an integer, not {value!r}")
    if value < 1:
        raise complaint(ArgumentError, op, f"{name} must be positive, not {value}", {"input": x})
    return int(value.__index__())


def _permuted_tail(x: Tensor, lead: int, *axes: int) -> Tensor:
    """The tensor with the axes after the first ``lead`` in another order."""
    return _permute_dims(x, axes=(*range(lead), *(lead + a for a in axes)))


@public(method=False)
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Images ``r`` times as high and wide, of which every ``r * r`` channels become one.

    input: [..., channels * r * r, height, width]; the result: [..., channels, height * r, width * r]. Shi et al.,
    "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network", 2016.
    Raises `ShapeError` where the channels cannot be shared out.

    >>> import tensorlite as tl
    >>> tl.pixel_shuffle(tl.tensor([[[1]], [[2]], [[3]], [[4]]]), 2)
    tensor([[[1, 2],
             [3, 4]]])
    """
    r = _factor("pixel_shuffle", "upscale_factor", upscale_factor, input)
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise complaint(ShapeError, "pixel_shuffle", f"{channels} channels cannot be shared out among {r * r} places",
                        {"input": input, "upscale_factor": r})
    parts = _reshape(input, shape=(*lead, channels // (r * r), r, r, height, width))
    return _reshape(_permuted_tail(parts, len(lead), 0, 3, 1, 4, 2),
                    shape=(*lead, channels // (r * r), height * r, width * r))


@public(method=False)
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """The inverse of `pixel_shuffle`: images a part as high and wide, with ``r * r`` channels for each one.

    input: [..., channels, height * r, width * r]; the result: [..., channels * r * r, height, width]. Raises
    `ShapeError` where height or width are no multiples of the factor.

    >>> import tensorlite as tl
    >>> tl.pixel_unshuffle(tl.tensor([[[1, 2], [3, 4]]]), 2).shape
    (4, 1, 1)
    """
    r = _factor("pixel_unshuffle", "downscale_factor", downscale_factor, input)
    *lead, channels, height, width = input.shape
    for name, extent in (("height", height), ("width", width)):
        if extent % r:
            raise complaint(ShapeError, "pixel_unshuffle", f"the {name} {extent} is no multiple of {r}",
                            {"input": input, "downscale_factor": r})
    parts = _reshape(input, shape=(*lead, channels, height // r, r, width // r, r))
    return _reshape(_permuted_tail(parts, len(lead), 0, 2, 4, 1, 3),
                    shape=(*lead, channels * r * r, height // r, width // r))


@public(method=False)
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels dealt out anew: one of each group after the other, so that the next groups mix them.

    input: [batch, channels, ...]. Zhang et al., "ShuffleNet", 2018. Raises `ShapeError` where the groups do not divide
    the channels.

    >>> import tensorlite as tl
    >>> tl.channel_shuffle(tl.arange(6).reshape(1, 6, 1), 2).flatten()
    tensor([0, 3, 1, 4, 2, 5])
    """
    groups = _factor("channel_shuffle", "groups", groups, input)
    batch, channels, *rest = input.shape
    if channels % groups:
        raise complaint(ShapeError, "channel_shuffle", f"{groups} groups do not divide {channels} channels",
                        {"input": input, "groups": groups})
    parts = _reshape(input, shape=(batch, groups, channels // groups, *rest))
    order = (0, 2, 1, *range(3, 3 + len(rest)))
    return _reshape(_permute_dims(parts, axes=order), shape=input.shape)
