"""Every op's derivative forward is the transpose of the one backward."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from laws.drawing import ELEMENTWISE, sample_id, samples, seeded, smooth_values
from laws.test_derivative_laws import sample_inputs, smooth_inputs
from tolerance import assert_close

import tensorlite as tl
from tensorlite.dispatch import apply

SAMPLES = [(op, sample) for op, sample in samples() if op.is_differentiable]
CASES = [op for op in ELEMENTWISE if op.differentiable and tl.float64 in op.dtypes]


def check_transposed(function, arrays, random):
    """``<g, J t> == <J^T g, t>`` for random tangents of the floating inputs and cotangents of the outputs."""
    places = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]

    def of(*chosen):
        inputs = [tl.tensor(a) for a in arrays]
        for i, x in zip(places, chosen, strict=True):
            inputs[i] = x
        found = function(*inputs)
        return tuple(y for y in (found if isinstance(found, tuple) else (found,)) if y.dtype.kind == "f")

    primals = [tl.tensor(arrays[i]) for i in places]
    tangents = [tl.tensor(smooth_values(random, x.shape, tl.float64, 0)) for x in primals]
    value, moved = tl.jvp(of, primals, tangents)
    cotangents = tuple(tl.tensor(smooth_values(random, y.shape, tl.float64, 1)) for y in value)
    pulled = tl.vjp(of, *primals)[1](cotangents)
    forward, backward = (sum(float((a * b).sum()) for a, b in zip(left, right, strict=True))
                         for left, right in ((cotangents, moved), (pulled, tangents)))
    terms = sum(x.size for x in (*value, *primals))
    assert_close(np.float64(forward), np.float64(backward), terms=4 * terms)


@pytest.mark.parametrize("op", CASES, ids=lambda op: op.name)
def test_tangents_of_elementwise_ops_transpose_their_cotangents(op):
    arrays = smooth_inputs(op, tl.float64, "broadcast both")
    check_transposed(functools.partial(apply, op), arrays, seeded(op.name, "forward"))


@pytest.mark.parametrize(("op", "sample"), SAMPLES, ids=sample_id)
def test_tangents_of_structured_ops_transpose_their_cotangents(op, sample):
    arrays = sample_inputs(op, sample)
    check_transposed(functools.partial(apply, op, **sample.attributes), arrays, seeded(op.name, sample_id(sample), 5))
