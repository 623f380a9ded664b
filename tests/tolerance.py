"""The one table of tolerances by dtype, and the comparisons that read it.

A test imports it as `from tolerance import assert_close`; no test body holds a tolerance of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np


@dataclass(frozen=True)
class Tolerance:
    """What a result may be off by: relative to the largest magnitude near it, and absolutely."""

    relative: float
    absolute: float


#: A few units in the last place for short formulas whose intermediate results are of the order of their operands.
TOLERANCES = {
    np.dtype(ml_dtypes.bfloat16): Tolerance(2.0**-6, 2.0**-5),
    np.dtype(np.float16): Tolerance(2.0**-9, 2.0**-8),
    np.dtype(np.float32): Tolerance(2.0**-20, 2.0**-20),
    np.dtype(np.float64): Tolerance(2.0**-48, 2.0**-48),
    np.dtype(np.complex64): Tolerance(2.0**-20, 2.0**-19),
    np.dtype(np.complex128): Tolerance(2.0**-48, 2.0**-47),
}

#: Central differences of float64 functions against derivatives.
DIFFERENCES = Tolerance(1e-6, 1e-7)

#: Differences of a first derivative that was itself taken by the tape.
SECOND_DIFFERENCES = Tolerance(1e-5, 1e-6)

#: Losses over fifty steps of training, of which each begins where the one before ended.
LOSS_CURVES = Tolerance(1e-4, 0.0)

#: Winograd's convolutions in float32, tiles of up to 6 x 6 results: relative to the largest result of all.
WINOGRAD = 2e-5

#: The implicit derivative of gamma numbers, relative; PyTorch's own is off by up to 2 % far out in the tails.
GAMMA_RATE = {"float32": 3e-7, "float64": 5e-13}
GAMMA_RATE_OF_TORCH = Tolerance(2e-2, 1e-12)

#: Derivatives through draws whose noise is all rounding.
IMPLICIT = 1e-9


def tolerance_of(dtype: Any, terms: int = 1) -> Tolerance:
    """The tolerance of results of a dtype that sum ``terms`` products; integers and bools must be exact."""
    found = TOLERANCES.get(np.dtype(dtype), Tolerance(0.0, 0.0))
    return Tolerance(found.relative * max(1.0, terms**0.5), found.absolute * max(1.0, terms**0.5))


def rounded_tolerance(dtype: Any, terms: int = 1) -> Tolerance:
    """The tolerance of sums of ``terms`` products in float32 that are rounded once, to a dtype of 16 bits."""
    sums, half_an_ulp = tolerance_of(np.float32, terms), {"bfloat16": 2.0**-8, "float16": 2.0**-11}
    return Tolerance(sums.relative + half_an_ulp[np.dtype(dtype).name], sums.absolute)


def as_array(value: Any) -> np.ndarray:
    """A tensor's or an array's elements."""
    return np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)


def wide(array: np.ndarray) -> np.ndarray:
    """The elements in the widest dtype of their kind."""
    if array.dtype.kind in "biu":
        return array
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def assert_close(actual: Any, expected: Any, *, dtype: Any = None, terms: int = 1,
                 tolerance: Tolerance | None = None) -> None:
    """Asserts equal shapes, equal infinities and NaNs, and values as close as the dtype allows.

    ``dtype`` is the one computed in where that is narrower than the result's own, ``terms`` the length of sums.
    """
    actual, expected = as_array(actual), as_array(expected)
    allowed = tolerance or tolerance_of(actual.dtype if dtype is None else dtype, terms)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    np.testing.assert_allclose(wide(actual), wide(expected), rtol=allowed.relative, atol=allowed.absolute)


def assert_close_to_scale(actual: Any, expected: Any, relative: float) -> None:
    """Asserts equal shapes, and values that differ by little beside the largest one, as those of sums of sums do."""
    actual, expected = as_array(actual), as_array(expected)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    scale = np.abs(wide(expected)).max(initial=0.0)
    np.testing.assert_allclose(wide(actual), wide(expected), rtol=0, atol=relative * scale)


def assert_same(actual: Any, expected: Any) -> None:
    """Asserts equal shapes, dtypes and elements, bit by bit but for which NaN it is and the sign of zero."""
    actual, expected = as_array(actual), as_array(expected)
    assert actual.dtype == expected.dtype, f"dtype {actual.dtype}, expected {expected.dtype}"
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    np.testing.assert_array_equal(wide(actual), wide(expected))
