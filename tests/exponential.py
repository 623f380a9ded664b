"""A function with a derivative of its own, for tests of what such functions may do."""

from __future__ import annotations

import tensorlite as tl


class Exponential(tl.autograd.Function):
    @staticmethod
    def forward(context, x):
        y = tl.exp(x)
        context.save_for_backward(y)
        return y

    @staticmethod
    def backward(context, g):
        (y,) = context.saved_tensors
        return g * y
