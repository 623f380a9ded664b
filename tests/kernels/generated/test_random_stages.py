"""Random bits by native loops are those of the eager body, for every size, seed and offset."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import compute, eager, interpret, planned

from tensorlite.kernels.cpu.random_stages import PLANS
from tensorlite.kernels.cpu.registry import KERNELS
from tensorlite.op import OPS

WORDS = st.one_of(st.integers(0, 9), st.integers(2**32 - 9, 2**32 + 9), st.integers(0, 2**64 - 1))
sizes = st.one_of(st.integers(0, 70), st.sampled_from([4095, 4096, 4097, 8192, 12_345]))


def state_of(seed, offset):
    return np.array([seed, offset], np.uint64)


@settings(max_examples=80)
@given(sizes, WORDS, WORDS)
def test_bits_are_eager_bits(size, seed, offset):
    actual, expected = compute(PLANS, "random_bits", state_of(seed, offset), size=size)
    np.testing.assert_array_equal(actual, expected)


@given(sizes, WORDS, WORDS)
def test_the_next_state_is_eager(size, seed, offset):
    actual, expected = compute(PLANS, "advance", state_of(seed, offset), size=size)
    np.testing.assert_array_equal(actual, expected)


def test_a_strided_state_advances():
    states = np.array([[3, 9], [4, 9]], np.uint64)
    actual, expected = compute(PLANS, "advance", states[:, 0], size=9)
    np.testing.assert_array_equal(actual, expected)


def test_the_loops_mean_that():
    """A block that is not whole, and a whole vector of blocks with some left over."""
    state = state_of(2**63 + 5, 2**32 - 3)
    for size in (2, 70, 76):
        out = np.zeros(size, np.uint32)
        interpret(planned(PLANS["random_bits"], [state], out, size=size), [state, out])
        np.testing.assert_array_equal(out, eager("random_bits", state, size=size))
    moved = np.zeros(2, np.uint64)
    interpret(planned(PLANS["advance"], [state], moved, size=70), [state, moved])
    np.testing.assert_array_equal(moved, eager("advance", state, size=70))


def test_a_known_answer():
    """The published answer of Philox4x32-10 for a counter and a key of zeros (Random123, kat_vectors)."""
    actual, _ = compute(PLANS, "random_bits", state_of(0, 0), size=4)
    assert [hex(word) for word in actual] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 4096, 4099, 100_003])
def test_eager_draws_run_the_kernel_and_are_the_ops_own(size):
    state = np.array([77, 2**63 + 5], np.uint64)
    found = KERNELS["random_bits"](state, size=size)
    expected = OPS["random_bits"].body(np, state, size=size)
    if size:
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.uint32
    np.testing.assert_array_equal(OPS["random_bits"].run(state, size=size), expected)
