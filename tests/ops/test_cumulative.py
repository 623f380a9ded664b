"""Running sums and products are NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from laws.drawing import LAYOUTS, lay_out, seeded, values
from tolerance import assert_close

import tensorlite as tl
from tensorlite.tensor_type import DTYPES, sum_dtype

NUMPYS = {"cumulative_sum": np.cumsum, "cumulative_prod": np.cumprod}
by_name = pytest.mark.parametrize("name", NUMPYS)


@by_name
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind != "b"], ids=lambda d: d.name)
def test_running_total(name, dtype):
    for shape in [(1,), (5,), (3, 4), (2, 3, 4), (0,), (2, 0)]:
        x = values(seeded(name, dtype.name, shape), shape, dtype)
        wide = x if dtype.kind in "iu" else x.astype(complex if dtype.kind == "c" else float)
        for axis in [*range(-len(shape), len(shape)), *([None] if len(shape) == 1 else [])]:
            result = getattr(tl, name)(tl.asarray(x), axis=axis)
            assert result.dtype == sum_dtype(dtype)
            assert_close(result, NUMPYS[name](wide, axis=axis), terms=max(x.size, 1))


@by_name
@pytest.mark.parametrize("layout", LAYOUTS)
def test_running_total_of_strided_input(name, layout):
    x = lay_out(values(seeded(name), (4, 5), tl.float64), layout)
    for axis in (0, 1):
        assert_close(getattr(tl, name)(tl.asarray(x), axis=axis), NUMPYS[name](x, axis=axis), terms=5)


@by_name
def test_running_total_with_its_start(name):
    x = values(seeded(name), (2, 3), tl.int32)
    start = name == "cumulative_prod"
    for axis in (0, 1):
        result = getattr(tl, name)(tl.asarray(x), axis=axis, include_initial=True)
        padding = [(1, 0) if a == axis else (0, 0) for a in range(2)]
        expected = np.pad(NUMPYS[name](x, axis=axis), padding, constant_values=start)
        assert result.tolist() == expected.tolist()
    empty = getattr(tl, name)(tl.zeros((0,)), include_initial=True)
    assert empty.tolist() == [start]


@by_name
def test_running_total_in_a_given_dtype(name):
    result = getattr(tl, name)(tl.tensor([1, 2, 3], dtype=tl.int8), dtype=tl.float64)
    assert result.dtype == tl.float64
    assert result.tolist() == NUMPYS[name]([1.0, 2.0, 3.0]).tolist()
