"""What results and scratch arrays of prepared plans are made of."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tensorlite.kernels.cpu import allocator, prepared


@pytest.mark.parametrize("shape", [(), (3,), (100, 81), (100, 82), (4, 5, 5000), (300_000,)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, np.complex128])
def test_arrays_begin_with_a_line_unless_they_are_small(shape, dtype):
    array = prepared.aligned(shape, np.dtype(dtype))
    assert (array.shape, array.dtype, array.flags.c_contiguous, array.flags.writeable) == (shape, dtype, True, True)
    assert array.nbytes < prepared._SMALL or array.ctypes.data % 64 == 0
    array[...] = 1
    assert (array == 1).all()


def test_they_may_be_overwritten_while_nobody_else_sees_them():
    tensor = SimpleNamespace(array=prepared.aligned((20_000,), np.dtype(np.float32)))
    before = allocator.owns_alone(tensor.array)
    view = tensor.array[5:]
    during = allocator.owns_alone(tensor.array)
    del view
    after = allocator.owns_alone(tensor.array)
    assert (before, during, after) == (True, False, True)
