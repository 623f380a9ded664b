"""Normalisation over the batch, over features, over groups of channels, or over each channel of each sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorlite.declare import functional, public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.elementwise import rsqrt
from tensorlite.ops.norms.ops import Axes, _layer_norm, _moments, _normalize, average, scale_shift
from tensorlite.ops.reduce import count_of
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm"]


def last_axes(op: str, x: Tensor, normalized_shape: int | Sequence[int], **affine: Tensor | None) -> Axes:
    """The last axes of a tensor, which have the shape that is normalised over, as its weight and bias do."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or x.shape[-len(shape):] != shape:
        raise complaint(ShapeError, op, f"the input must end in the normalized shape {list(shape)}", {"input": x})
    given = {name: values for name, values in affine.items() if values is not None}
    for name, values in given.items():
        if values.shape != shape:
            raise complaint(ShapeError, op, f"{name} must have the normalized shape {list(shape)}",
                            {"input": x, **given})
    return tuple(range(x.ndim - len(shape), x.ndim))


@public(method=False, autocast="wide")
def layer_norm(input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, with the moments of the last axes, the ``normalized_shape``.

    Ba et al., "Layer normalization", 2016. weight and bias have ``normalized_shape`` too. Raises `ShapeError` where
    the input does not end in it.

    >>> import tensorlite as tl
    >>> tl.layer_norm(tl.tensor([[1.0, 3.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.]])
    """
    axes = last_axes("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    if weight is None:
        result = _layer_norm(input, axes=axes, eps=eps)[0]
        return result if bias is None else result + bias
    return _layer_norm(input, weight, *(() if bias is None else (bias,)), axes=axes, eps=eps)[0]


def _per_channel(x: Tensor, values: Tensor) -> Tensor:
    """Numbers of channels, shaped to meet a batch."""
    return _reshape(values, shape=(1, values.size, *(1,) * (x.ndim - 2)))


def _check_channels(op: str, x: Tensor, **named: Tensor | None) -> None:
    if x.ndim < 2:
        raise complaint(ShapeError, op, "the input must be [batch, channels, ...]", {"input": x})
    for name, values in named.items():
        if values is not None and values.shape != (x.shape[1],):
            raise complaint(ShapeError, op, f"{name} must have shape [{x.shape[1]}], one number for each channel",
                            {"input": x, name: values})
        if name in ("weight", "bias") and values is not None and values.dtype != x.dtype:
            raise complaint(DTypeError, op, f"input is {x.dtype.name}, {name} is {values.dtype.name}",
                            {"input": x, name: values}, f"cast one: input.to(tl.{values.dtype.name})")


def _scaled(x: Tensor, axes: Axes, mean: Tensor, variance: Tensor, eps: float, weight: Tensor | None,
            bias: Tensor | None) -> Tensor:
    """``(x - mean) / sqrt(variance + eps) * weight + bias``, with the moments of ``x`` itself over axes."""
    affine = [values for values in (weight, bias) if values is not None] if weight is not None else []
    result = _normalize(x, mean, rsqrt(variance + eps), *affine, axes=axes)
    return result + bias if weight is None and bias is not None else result


def _update(running: Tensor, now: Tensor, momentum: float) -> None:
    """Moves a running statistic towards the present one."""
    now = astype(_reshape(now, shape=running.shape), running.dtype, copy=False)
    running.copy_(running * (1 - momentum) + now * momentum)


@public(method=False, autocast="wide")
def batch_norm(input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
               bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` for each channel.

    Ioffe and Szegedy, "Batch normalization", 2015. input: [batch, channels, ...]; the others: [channels]. With
    ``training`` the moments are the batch's, and the running ones, where given, move towards them by ``momentum``
    (the variance unbiased); else the running ones are used.

    >>> import tensorlite as tl
    >>> tl.batch_norm(tl.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    _check_channels("batch_norm", input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not training:
        return _with_running("batch_norm", input, running_mean, running_var, weight, bias, eps)
    axes = (0, *range(2, input.ndim))
    count = count_of(input.shape, axes)
    if count == 1:
        raise complaint(ShapeError, "batch_norm", "training needs more than one value for each channel",
                        {"input": input},
                        "use a larger batch, or eval()")
    mean, variance = _moments(input.detach(), axes=axes)
    if running_mean is not None and count:
        _update(running_mean, mean, momentum)
    if running_var is not None and count:
        _update(running_var, variance * (count / (count - 1)), momentum)
    affine = (None if values is None else _per_channel(input, values) for values in (weight, bias))
    return _scaled(input, axes, mean, variance, eps, *affine)


def _with_running(op: str, x: Tensor, mean: Tensor | None, variance: Tensor | None, weight: Tensor | None,
                  bias: Tensor | None, eps: float) -> Tensor:
    if mean is None or variance is None:
        option = {"batch_norm": "training", "instance_norm": "use_input_stats"}[op]
        raise complaint(ArgumentError, op, "evaluation needs running_mean and running_var", {"input": x},
                        f"pass {option}=True to use the batch's own")
    scale = rsqrt(variance.detach() + eps)
    scale = scale if weight is None else scale * weight
    offset = mean.detach() * scale
    shift = -offset if bias is None else bias - offset
    return scale_shift(x, _per_channel(x, scale), _per_channel(x, shift))


@functional(autocast="wide")
def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
               eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, with the moments of each group of each sample's channels.

    Wu and He, "Group normalization", 2018. input: [batch, channels, ...]; weight and bias: [channels]. Raises
    `ShapeError` where the groups do not divide the channels, or have one element each.

    >>> import tensorlite as tl
    >>> group_norm(tl.tensor([[1.0, 3.0, 5.0, 9.0]]), 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    _check_channels("group_norm", input, weight=weight, bias=bias)
    batch, channels = input.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise complaint(ShapeError, "group_norm", f"{channels} channels do not make {num_groups} groups",
                        {"input": input, "num_groups": num_groups})
    together = channels // num_groups
    places = math.prod(input.shape[2:])
    if batch * together * places == 1:
        raise complaint(ShapeError, "group_norm", "there must be more than one value for each group",
                        {"input": input, "num_groups": num_groups})
    x = _reshape(input, shape=(batch, num_groups, together, places))
    affine = (None if values is None else _reshape(values, shape=(1, num_groups, together, 1))
              for values in (weight, bias))
    mean, variance = _moments(x.detach(), axes=(2, 3))
    return _reshape(_scaled(x, (2, 3), mean, variance, eps, *affine), shape=input.shape)


@functional(autocast="wide")
def instance_norm(input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
                  weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
                  momentum: float = 0.1, eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, with the moments of each channel of each sample.

    Ulyanov et al., "Instance normalization: the missing ingredient for fast stylization", 2016. input: [batch,
    channels, ...]; the others: [channels]. With ``use_input_stats`` the running moments, where given, move towards
    the batch's average by ``momentum`` (the variance unbiased); else they are used. Raises `ShapeError` for channels
    of one element, which have no variance.

    >>> import tensorlite as tl
    >>> instance_norm(tl.tensor([[[1.0, 3.0], [5.0, 9.0]]]), eps=0.0)
    tensor([[[-1.,  1.],
             [-1.,  1.]]])
    """
    _check_channels("instance_norm", input, running_mean=running_mean, running_var=running_var, weight=weight,
                    bias=bias)
    if not use_input_stats:
        return _with_running("instance_norm", input, running_mean, running_var, weight, bias, eps)
    batch, channels = input.shape[:2]
    places = math.prod(input.shape[2:])
    if places == 1:
        raise complaint(ShapeError, "instance_norm", "there must be more than one value for each channel of a sample",
                        {"input": input}, "use larger images, or eval() with tracked statistics")
    x = _reshape(input, shape=(batch, channels, places))
    mean, variance = _moments(x.detach(), axes=(2,))
    if running_mean is not None and input.size:
        _update(running_mean, average(mean, (0,)), momentum)
    if running_var is not None and input.size:
        _update(running_var, average(variance, (0,)) * (places / (places - 1)), momentum)
    affine = (None if values is None else _per_channel(x, values) for values in (weight, bias))
    return _reshape(_scaled(x, (2,), mean, variance, eps, *affine), shape=input.shape)
