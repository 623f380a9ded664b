"""Convolutions of complex numbers, each as four of their parts: ``(a + ib)(c + id) = ac - bd + i(ad + bc)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorlite.errors import TensorliteError, complaint
from tensorlite.ops.checks import check_alike
from tensorlite.ops.complex_numbers import _from_parts, imag, real
from tensorlite.tensor import Tensor


def is_complex(input: Any) -> bool:
    """Whether to convolve by parts."""
    return isinstance(input, Tensor) and input.dtype.kind == "c"


def by_parts(op: str, convolve: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a convolution of real numbers, a function of input, weight and bias, gives of complex ones."""
    biases = {} if bias is None else {"bias": bias}
    try:
        check_alike(x, weight=weight, **biases)
    except TensorliteError as problem:
        raise complaint(type(problem), op, problem.problem, {"x": x, "weight": weight, **biases}, problem.fix) from None
    a, b, c, d = real(x), imag(x), real(weight), imag(weight)
    re, im = (None, None) if bias is None else (real(bias), imag(bias))
    return _from_parts(convolve(a, c, re) - convolve(b, d, None), convolve(a, d, im) + convolve(b, c, None))
