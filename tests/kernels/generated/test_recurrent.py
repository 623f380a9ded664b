"""Planned recurrent layers against their ops' bodies in float64: any extents and layouts, the same bits always."""

from __future__ import annotations

import numpy as np
import pytest
from guarded import Guarded, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import interpret, laid, numbers
from tolerance import assert_close

import tensorlite.nn  # noqa: F401  (declares the ops)
from tensorlite.kernels.cpu import recurrent, stages
from tensorlite.kernels.generated import recurrent_parts
from tensorlite.kernels.recurrent import MODES
from tensorlite.op import OPS

STEPS = st.sampled_from([0, 1, 2, 3, 7])
BATCHES = st.sampled_from([0, 1, 1, 2, 3, 4, 5, 7, 13, 47, 48, 49, 97])
SIZES = st.sampled_from([0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 65, 67, 130])
TERMS = 4096
RESULTS = {"recurrent": recurrent.results, "recurrent_backward": recurrent.backward_results}
cases = given(mode=st.sampled_from(list(MODES)), steps=STEPS, batch=BATCHES, size=SIZES, reverse=st.booleans(),
              keeps=st.booleans(), ends=st.booleans(), dtype=st.sampled_from(["float32", "float64"]),
              layout=st.sampled_from(["contiguous", "turned", "stepped", "reversed"]))  # fmt: skip


def lengths_of(batch, steps):
    """Some sequences are shorter; the walk may meet one that has no element at all."""
    return np.random.default_rng(7).integers(0, steps + 1, (batch,))


def forward_inputs(mode, steps, batch, size, dtype, ends=False):
    kind = MODES[mode]
    rest = [(batch, size)] * kind.has_cell + [(kind.gates * size,)] * kind.has_bias
    shapes = [(steps, batch, kind.gates * size), (kind.gates * size, size), (batch, size), *rest]
    scale = 1 / max(size, 1) ** 0.5
    made = [numbers(shape, np.dtype(dtype), k) * np.dtype(dtype).type(scale if k == 1 else 1)
            for k, shape in enumerate(shapes)]  # fmt: skip
    return made + [lengths_of(batch, steps)] * ends


def backward_inputs(mode, steps, batch, size, dtype, ends=False):
    kind = MODES[mode]
    shapes = [(steps, batch, size), (batch, size), (steps, batch, kind.slopes * size), (kind.gates * size, size)]
    shapes += [(batch, size)] * kind.has_cell
    made = [numbers(shape, np.dtype(dtype), k) * np.dtype(dtype).type(0.3) for k, shape in enumerate(shapes)]
    return made + [lengths_of(batch, steps)] * ends


def body(op, inputs, attributes):
    with np.errstate(all="ignore"):
        return OPS[op].body(np, *(x.astype(np.float64) if x.dtype.kind == "f" else x for x in inputs), **attributes)


def planned(op, inputs, likes, attributes):
    outputs = [stages.Array.contiguous(inputs[0].dtype, like.shape) for like in likes]
    return recurrent.PLANS[op]([stages.described(x) for x in inputs], outputs, **attributes)


def check(op, inputs, attributes):
    """By 1, 2 and 4 threads: the same bits, which are near the body's, and nothing else is touched."""
    expected, before, results = body(op, inputs, attributes), [x.copy() for x in inputs], []
    plan = planned(op, inputs, expected, attributes)
    assert plan is not None
    for threads in (1, 2, 4):
        guarded = [Guarded(np.full(like.shape, 7, inputs[0].dtype)) for like in expected]
        stages.run(plan, [*inputs, *(one.array for one in guarded)], threads)
        for one in guarded:
            one.check()
        results.append([one.array.copy() for one in guarded])
    for other in results[1:]:
        assert all(map(same_bits, results[0], other))
    for x, copy in zip(inputs, before, strict=True):
        assert same_bits(x, copy), "an input was overwritten"
    for y, like in zip(results[0], expected, strict=True):
        assert_close(y, like, terms=TERMS)
    return expected


@cases
@settings(max_examples=40)
def test_a_layer_is_what_its_body_says(mode, steps, batch, size, reverse, keeps, ends, dtype, layout):
    inputs = [laid(x, layout) for x in forward_inputs(mode, steps, batch, size, dtype, ends)]
    expected = check("recurrent", inputs, {"mode": mode, "reverse": reverse, "keeps": keeps})
    found = recurrent.results(*inputs, mode=mode, reverse=reverse, keeps=keeps)
    assert found is None or [x.shape for x in found] == [y.shape for y in expected]
    assert (found is None) == (batch * size == 0)


@cases
@settings(max_examples=40)
def test_a_walk_back_is_what_its_body_says(mode, steps, batch, size, reverse, keeps, ends, dtype, layout):
    inputs = [laid(x, layout) for x in backward_inputs(mode, steps, batch, size, dtype, ends)]
    expected = check("recurrent_backward", inputs, {"mode": mode, "reverse": reverse})
    found = recurrent.backward_results(*inputs, mode=mode, reverse=reverse)
    assert found is None or [x.shape for x in found] == [y.shape for y in expected]
    assert (found is None) == (batch * size == 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize(("steps", "size"), [(3, 3), (7, 9)])
@pytest.mark.parametrize("op", ["recurrent", "recurrent_backward"])
def test_the_interpreter_agrees(op, steps, size, ends, mode):
    make = forward_inputs if op == "recurrent" else backward_inputs
    attributes = {"mode": mode, "reverse": True} | ({"keeps": True} if op == "recurrent" else {})
    inputs = make(mode, steps, 2, size, "float64", ends)
    expected = body(op, inputs, attributes)
    outputs = [np.zeros(like.shape) for like in expected]
    interpret(planned(op, inputs, expected, attributes), [*inputs, *outputs])
    for y, like in zip(outputs, expected, strict=True):
        assert_close(y, like, terms=TERMS)


@given(steps=st.integers(0, 9), batch=st.integers(1, 200), size=st.integers(1, 600), mode=st.sampled_from(list(MODES)))
def test_forms_waste_little(steps, batch, size, mode):
    """Sums fill the registers at most, few rows are computed twice, and nothing is packed for a use or two."""
    for back in (False, True):
        form = recurrent_parts.form(np.dtype("float32"), mode, back, (steps, batch, size))
        assert form.rows * form.sums * form.lanes // form.vector <= 24
        assert -(-batch // form.rows) * form.rows <= max(1.34 * batch, batch + 1)
        uses = steps * -(-batch // form.rows)
        assert form.weights in (("straight", "packed") if back else ("dot", "packed"))
        assert form.weights == "packed" or uses < 64
        assert form.weights != "packed" or uses >= 6 or form.rows > 1


@pytest.mark.parametrize(("op", "name"), [("recurrent", "weight"), ("recurrent_backward", "slopes")])
def test_what_does_not_go_together_is_left_to_the_body(op, name):
    make, attributes = forward_inputs, {"mode": "LSTM", "reverse": False, "keeps": True}
    if op == "recurrent_backward":
        make, attributes = backward_inputs, {"mode": "LSTM", "reverse": False}
    inputs = make("LSTM", 2, 2, 3, "float32")
    place = OPS[op].inputs.index(name)
    for wrong in (inputs[place][..., :-1], inputs[place].astype(np.float64)):
        changed = [wrong if k == place else x for k, x in enumerate(inputs)]
        assert recurrent.KERNELS[op](*changed, **attributes) is NotImplemented
