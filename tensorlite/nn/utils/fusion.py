"""Batch normalisation in evaluation as part of the layer before it, which it only scales and shifts."""

from __future__ import annotations

import copy
from typing import TypeVar

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn.batchnorm import _BatchNorm
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.elementwise import rsqrt
from tensorlite.ops.shape import astype, reshape
from tensorlite.tensor import Tensor

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

M = TypeVar("M", bound=Module)


@no_grad()
def _fused(weight: Tensor, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float, scale: Tensor | None,
           shift: Tensor | None, axis: int) -> tuple[Parameter, Parameter]:
    factor = rsqrt(variance + eps) if scale is None else scale * rsqrt(variance + eps)
    along = tuple(-1 if a == axis else 1 for a in range(weight.ndim))
    moved = (-mean if bias is None else bias - mean) * factor
    moved = moved if shift is None else moved + shift
    fused = astype(weight * reshape(factor, along), weight.dtype, copy=False)
    return (Parameter(fused, weight.node is not None),
            Parameter(astype(moved, weight.dtype if bias is None else bias.dtype, copy=False),
                      bias is not None and bias.node is not None))


def fuse_conv_bn_weights(conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float,
                         bn_w: Tensor | None, bn_b: Tensor | None,
                         transpose: bool = False) -> tuple[Parameter, Parameter]:
    """The weight and the bias of a convolution that scales and shifts as batch normalisation after it would."""
    return _fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float,
                           bn_w: Tensor | None, bn_b: Tensor | None) -> tuple[Parameter, Parameter]:
    """The weight and the bias of a linear layer that scales and shifts as batch normalisation after it would."""
    return _fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def _fuse(op: str, layer: M, bn: Module, axis: int) -> M:
    if not isinstance(bn, _BatchNorm) or layer.training or bn.training:
        raise complaint(ArgumentError, op, "fusion is for evaluation: a layer and a batch norm in evaluation mode",
                        None, "call eval() on both first")
    if bn.running_mean is None or bn.running_var is None:
        raise complaint(ArgumentError, op, "the batch norm tracked no statistics")
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = _fused(fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight,
                                      bn.bias, axis)
    return fused


def fuse_conv_bn_eval(conv: M, bn: Module, transpose: bool = False) -> M:
    """A convolution that computes what ``bn(conv(x))`` does in evaluation; ``transpose`` for transposed ones.

    Raises `ArgumentError` where one of them trains.

    >>> import tensorlite as tl
    >>> conv, bn = tl.nn.Conv2d(3, 4, 1).eval(), tl.nn.BatchNorm2d(4).eval()
    >>> x = tl.rand((1, 3, 2, 2))
    >>> bool(tl.abs(bn(conv(x)) - tl.nn.utils.fuse_conv_bn_eval(conv, bn)(x)).max() < 1e-5)
    True
    """
    return _fuse("fuse_conv_bn_eval", conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear: M, bn: Module) -> M:
    """A linear layer that computes what ``bn(linear(x))`` does in evaluation.

    Raises `ShapeError` where the batch norm has not as many channels as the layer has outputs, `ArgumentError` where
    one of them trains.
    """
    if getattr(linear, "out_features", None) != getattr(bn, "num_features", None) and bn.num_features != 1:
        raise complaint(ShapeError, "fuse_linear_bn_eval", f"the layer has {linear.out_features} outputs, the batch "
                        f"norm {bn.num_features} channels")
    return _fuse("fuse_linear_bn_eval", linear, bn, 0)
