"""What elementwise ops must compute, said by NumPy (and the C library's erf and lgamma) under their own names."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorlite.op import Elementwise

_erf = np.vectorize(math.erf, otypes=[np.float64])
_erfc = np.vectorize(math.erfc, otypes=[np.float64])
_lgamma = np.vectorize(lambda x: math.inf if x <= 0 and x == int(x) else math.lgamma(x), otypes=[np.float64])

#: NumPy's name where it is another one.
NAMES = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "bitwise_invert": "invert", "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift", "clip_low": "maximum", "clip_high": "minimum", "pow": "power",
    "deviation": "sqrt", "fmod_floats": "fmod",
}

#: What NumPy has no name for.
FORMULAS: dict[str, Callable[..., Any]] = {
    "erf": _erf,
    "erfc": _erfc,
    "gelu": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "i0": lambda x: np.where(np.isinf(x), np.inf, np.i0(np.where(np.isinf(x), 0, x))),
    "lgamma": _lgamma,
    "logit": lambda x: np.log(x) - np.log1p(-x),
    "logsigmoid": lambda x: -np.logaddexp(0, -x),
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "relu": lambda x: np.maximum(x, 0),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "xlogy": lambda x, y: np.where(x == 0, 0, x * np.log(y)),
}


def oracle(op: Elementwise) -> Callable[..., Any]:
    """The function that an op must agree with, without NumPy's warnings.

    Where NumPy has no such function, it is the op's own formula in NumPy: then the laws still say that every dtype,
    layout and kernel agrees with it, and tests beside the op say that it is right.
    """
    name = NAMES.get(op.name, op.name)
    function = FORMULAS.get(op.name) or getattr(np, name, None) or functools.partial(op.body, np)

    def quiet(*arrays: Any) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays))
    return quiet
