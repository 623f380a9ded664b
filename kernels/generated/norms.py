"""Softmax and the normalisations as folds; sums in float64, elements in float32 (float64 where they are).

A fold is named by its equation; ``dtype`` is that of the elements, and ``c`` the dtype in which they are computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.generated.fold import (
    FLOAT64,
    SIZE,
    Accumulator,
    Fold,
    Output,
    Pass,
    X,
    accumulate,
    carrier,
    sum_of,
)
from tensorlite.kernels.generated.reducers import moments, sum_of_exponentials

DType: TypeAlias = np.dtype[Any]
Named: TypeAlias = tuple[tuple[str, s.Expr], ...]

G, Y, MEAN, RSTD, EPS = map(s.Var, ("g", "y", "mean", "rstd", "eps"))


@dataclass(frozen=True, slots=True)
class RowMap:
    """Results of a row, and an element's new value from its old ones and these results (of dtype ``c``)."""

    operands: tuple[tuple[str, DType], ...]
    passes: tuple[Pass, ...]
    state: tuple[Accumulator, ...]
    results: Named
    value: s.Expr

    def fold(self) -> Fold:
        """Return the fold that does all of a row at once."""
        *before, last = self.passes
        named = Pass(last.accumulators, (*last.results, *self.results), last.values, last.stores)
        dtype = self.operands[0][1]
        final = Pass(stores=(("out", s.cast(self.value, dtype)),))
        return Fold(self.operands, (*before, named, final), (Output("out", dtype),))

    def reduction(self) -> Fold:
        """Return the fold that finds the results alone, of rows of any length."""
        c = carrier(self.operands[0][1])
        return Fold(
            self.operands, self.passes, tuple(Output(name, c, value) for name, value in self.results), self.state
        )

    def function(self) -> s.Function:
        """Return the elementwise function of the operands and the results."""
        names = (*(name for name, _ in self.operands), *(name for name, _ in self.results))
        return s.Function(names, self.value)


def softmax(dtype: DType) -> RowMap:
    """``exp(x - max x) / sum exp(x - max x)``."""
    c = carrier(dtype)
    passes, state = sum_of_exponentials(dtype)
    results = (("peak_c", s.Var("peak")), ("inverse", s.cast(1 / s.Var("total"), c)))
    return RowMap((("x", dtype),), passes, state, results, s.exp(s.cast(X, c) - s.Var("peak_c")) * s.Var("inverse"))


def softmax_in_place(dtype: DType) -> Fold:
    """``softmax`` for float32 and float64: the exponentials wait in the result."""
    find_peak, _ = sum_of_exponentials(dtype)[0]
    e = s.Var("e")
    total = accumulate("total", FLOAT64, 0.0, s.add, s.cast(e, FLOAT64))
    inverse = (("inverse", s.cast(1 / s.Var("total"), dtype)),)
    raise_ = Pass((total,), inverse, (("e", s.exp(X - s.Var("shift"))),), (("out", e),))
    scale = Pass(stores=(("out", s.Var("out") * s.Var("inverse")),))
    return Fold((("x", dtype),), (find_peak, raise_, scale), (Output("out", dtype),))


def log_softmax(dtype: DType) -> RowMap:
    """``x - max x - log sum exp(x - max x)``."""
    c = carrier(dtype)
    passes, state = sum_of_exponentials(dtype)
    results = (("peak_c", s.Var("peak")), ("logarithm", s.cast(s.log(s.Var("total")), c)))
    return RowMap((("x", dtype),), passes, state, results, s.cast(X, c) - s.Var("peak_c") - s.Var("logarithm"))


def softmax_backward(dtype: DType) -> RowMap:
    """``y (g - sum g y)``."""
    c = carrier(dtype)
    g, y = s.cast(G, c), s.cast(Y, c)
    sums, dot = sum_of("dot", s.cast(g * y, FLOAT64), dtype)
    results = (("dot_c", s.cast(dot, c)),)
    return RowMap((("g", dtype), ("y", dtype)), (Pass(sums),), sums, results, y * (g - s.Var("dot_c")))


def log_softmax_backward(dtype: DType) -> RowMap:
    """``g - exp(y) sum g``."""
    c = carrier(dtype)
    sums, total = sum_of("total", s.cast(G, FLOAT64), dtype)
    results = (("total_c", s.cast(total, c)),)
    value = s.cast(G, c) - s.exp(s.cast(Y, c)) * s.Var("total_c")
    return RowMap((("g", dtype), ("y", dtype)), (Pass(sums),), sums, results, value)


def _affine(value: s.Expr, c: DType, weight: bool, bias: bool) -> s.Expr:
    value = value * s.cast(s.Var("weight"), c) if weight else value
    return value + s.cast(s.Var("bias"), c) if bias else value


def _parameters(dtype: DType, weight: bool, bias: bool) -> tuple[tuple[str, DType], ...]:
    return tuple((name, dtype) for name, given in (("weight", weight), ("bias", bias)) if given)


def layer_norm(dtype: DType, weight: bool, bias: bool) -> Fold:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, with mean and 1 / sqrt(var + eps) as further results."""
    c = carrier(dtype)
    (find,), _ = moments(dtype)
    rstd = 1 / s.sqrt(s.Var("deviation") / SIZE + EPS)
    named = (*find.results, ("center", s.cast(MEAN, c)), ("scale", s.cast(rstd, c)))
    value = _affine((s.cast(X, c) - s.Var("center")) * s.Var("scale"), c, weight, bias)
    outputs = (Output("out", dtype), Output("mean", c, s.Var("center")), Output("rstd", c, s.Var("scale")))
    passes = (Pass(find.accumulators, named), Pass(stores=(("out", s.cast(value, dtype)),)))
    return Fold((("x", dtype), *_parameters(dtype, weight, bias)), passes, outputs, numbers=("eps",))


def rms_norm(dtype: DType, weight: bool) -> Fold:
    """``x / sqrt(mean x^2 + eps) * weight``, with 1 / sqrt(mean x^2 + eps) as a further result."""
    c = carrier(dtype)
    squares, total = sum_of("squares", s.square(s.cast(X, FLOAT64)), dtype)
    find = Pass(squares, (("scale", s.cast(1 / s.sqrt(total / SIZE + EPS), c)),))
    value = _affine(s.cast(X, c) * s.Var("scale"), c, weight, False)
    outputs = (Output("out", dtype), Output("rstd", c, s.Var("scale")))
    passes = (find, Pass(stores=(("out", s.cast(value, dtype)),)))
    return Fold((("x", dtype), *_parameters(dtype, weight, False)), passes, outputs, numbers=("eps",))


def rms_norm_from_cotangent(dtype: DType) -> Fold:
    """``r (g - h mean(g h))`` with ``r = 1 / sqrt(mean x^2 + eps)`` and ``h = x r``."""
    c = carrier(dtype)
    squares, total = sum_of("squares", s.square(s.cast(X, FLOAT64)), dtype)
    along, projection = sum_of("along", s.cast(G, FLOAT64) * s.cast(X, FLOAT64), dtype)
    scale = 1 / s.sqrt(total / SIZE + EPS)
    named = (("scale", s.cast(scale, c)), ("pull", s.cast(projection / SIZE * scale * scale * scale, c)))
    value = s.cast(G, c) * s.Var("scale") - s.cast(X, c) * s.Var("pull")
    passes = (Pass((*squares, *along), named), Pass(stores=(("out", s.cast(value, dtype)),)))
    return Fold((("g", dtype), ("x", dtype)), passes, (Output("out", dtype),), numbers=("eps",))


def _hat(c: DType) -> s.Expr:
    """Return the normalised element."""
    return (s.cast(X, c) - MEAN) * RSTD


def norm_backward(dtype: DType, weight: bool) -> Fold:
    """``rstd (g w - mean(g w) - h mean(g w h))``, h the normalised x."""
    c = carrier(dtype)
    gw, h = _affine(s.cast(G, c), c, weight, False), _hat(c)
    along, projection = sum_of("along", s.cast(gw * h, FLOAT64), dtype)
    across, average = sum_of("across", s.cast(gw, FLOAT64), dtype)
    named: Named = (("projection", s.cast(projection / SIZE, c)), ("average", s.cast(average / SIZE, c)))
    value = RSTD * (gw - s.Var("average") - h * s.Var("projection"))
    passes = (Pass((*along, *across), named), Pass(stores=(("out", s.cast(value, dtype)),)))
    operands = (("g", dtype), ("x", dtype), *_parameters(dtype, weight, False))
    return Fold(operands, passes, (Output("out", dtype),), givens=(("mean", c), ("rstd", c)))


def parameter_gradients(dtype: DType, out: DType) -> Fold:
    """``sum g h`` and ``sum g``; mean and rstd come with every element."""
    c = carrier(dtype)
    return Fold((("g", dtype), ("x", dtype), ("mean", c), ("rstd", c)), *_gradient_sums(dtype, out))


def channel_gradients(dtype: DType, out: DType) -> Fold:
    """``sum g h`` and ``sum g``; there is one mean and one rstd for each row."""
    c = carrier(dtype)
    return Fold((("g", dtype), ("x", dtype)), *_gradient_sums(dtype, out), givens=(("mean", c), ("rstd", c)))


def _gradient_sums(dtype: DType, out: DType) -> tuple[Any, Any, Any]:
    c = carrier(dtype)
    g = s.cast(G, c)
    along, weight = sum_of("along", s.cast(g * _hat(c), FLOAT64), dtype)
    across, bias = sum_of("across", s.cast(g, FLOAT64), dtype)
    outputs = (Output("weight", out, weight), Output("bias", out, bias))
    return (Pass((*along, *across)),), outputs, (*along, *across)


def statistics(dtype: DType) -> Fold:
    """The mean and the variance (without correction) of each row."""
    c = carrier(dtype)
    passes, state = moments(dtype)
    outputs = (Output("average", c, MEAN), Output("variance", c, s.Var("deviation") / SIZE))
    return Fold((("x", dtype),), passes, outputs, state)
