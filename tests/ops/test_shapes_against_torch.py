"""Reductions, indexing and shape functions beside PyTorch's, under jit and under vmap, over drawn options."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.against_torch import compare
from ops.shape_cases import CASES, Draw
from tolerance import assert_close

import tensorlite as tl

by_case = pytest.mark.parametrize("name", CASES)


@by_case
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_values_and_derivatives_are_pytorchs(name, data):
    call = CASES[name](Draw(data))
    compare(call.ours, call.theirs, *call.arrays, terms=50)


@by_case
@given(data=st.data())
@settings(max_examples=2, deadline=None)
def test_compiled_functions_give_what_eager_ones_give_without_python(name, data):
    call = CASES[name](Draw(data))
    tensors = [tl.tensor(a) for a in call.arrays]
    jitted = tl.jit(call.ours)
    assert_close(jitted(*tensors), call.ours(*tensors), terms=50)
    assert "0 Python edges" in str(jitted.explain())


@by_case
@given(data=st.data())
@settings(max_examples=3, deadline=None)
def test_mapped_functions_give_what_a_loop_gives(name, data):
    call = CASES[name](Draw(data))
    batches = [tl.stack([tl.tensor(a), tl.tensor(a[..., ::-1].copy() * 1.5 if a.ndim else a * 1.5)])
               for a in call.arrays]
    expected = tl.stack([call.ours(*(b[i] for b in batches)) for i in range(2)])
    assert_close(tl.vmap(call.ours)(*batches), expected, terms=50)
