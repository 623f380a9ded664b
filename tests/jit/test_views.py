"""Where an array's elements are found in another shape, beside what NumPy says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.jit.views import reshaped
from tensorlite.kernels.stage import Array


@st.composite
def seen_arrays(draw):
    """An array as slices, permutations and broadcasts leave it, and another shape for as many elements."""
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=0, max_size=4))
    x = np.arange(4 * np.prod(shape, dtype=int)).reshape(*(2 * n if i < 2 else n for i, n in enumerate(shape)), -1)
    x = x[tuple(slice(draw(st.integers(0, 1)), None, 2) for _ in shape[:2])][..., 0].transpose(
        draw(st.permutations(range(len(shape)))))
    x = np.broadcast_to(x, (draw(st.integers(1, 3)), *x.shape)) if draw(st.booleans()) else x
    x = x[::-1] if x.ndim and draw(st.booleans()) else x
    factors = [f for n in x.shape for f in {1: (), 4: (2, 2), 6: (2, 3)}.get(n, (n,))]
    if draw(st.booleans()):
        factors = draw(st.permutations(factors))
    other = [1] * draw(st.integers(0, 2))
    for factor in factors:
        if other and draw(st.booleans()):
            other[-1] *= factor
        else:
            other.append(factor)
    return x, tuple(other)


def array_of(x: np.ndarray) -> Array:
    return Array(x.dtype, x.shape, tuple(n // x.itemsize for n in x.strides))


@settings(max_examples=400)
@given(seen=seen_arrays())
def test_an_array_in_another_shape_lies_as_numpy_says(seen):
    x, shape = seen
    found, expected = reshaped(array_of(x), shape), x.reshape(shape)
    if found is None:
        assert not np.may_share_memory(expected, x)
        return
    strides = tuple(n * x.itemsize for n in found.strides)
    np.testing.assert_array_equal(np.lib.stride_tricks.as_strided(x, shape, strides), expected)
    assert np.may_share_memory(expected, x)


def test_no_element_is_read():
    extents = (2, 32, 16, 2**20, 2**20)
    volumes = Array.contiguous(np.float32, extents)
    exchanged = Array(volumes.dtype, tuple(volumes.shape[a] for a in (0, 2, 1, 3, 4)),
                      tuple(volumes.strides[a] for a in (0, 2, 1, 3, 4)))
    assert reshaped(exchanged, (32, 32, 2**20, 2**20)) is None
    assert reshaped(exchanged, (2, 16, 32, 2**40)) is not None


def test_nothing_lies_anywhere():
    assert reshaped(Array.contiguous(np.float32, (2, 0, 3)), (0, 6)) == Array.contiguous(np.float32, (0, 6))
