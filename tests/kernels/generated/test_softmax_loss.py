"""The cross-entropy of rows and its derivative by native loops: what the ops' own bodies do, at any layout."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from guarded import Guarded, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import interpret, laid, layouts
from tolerance import assert_close

from tensorlite.errors import IndexingError
from tensorlite.kernels.cpu import loss, stages
from tensorlite.kernels.cpu.loss_stages import PLANS
from tensorlite.kernels.cpu.registry import KERNELS
from tensorlite.kernels.stage import Array
from tensorlite.op import OPS

DTYPES = [*map(np.dtype, ("float32", "float64", "float16")), np.dtype(ml_dtypes.bfloat16)]
extents = st.sampled_from([0, 1, 2, 3, 5, 16, 17, 70])
classes_drawn = st.sampled_from([1, 2, 10, 16, 17, 33, 64, 100, 257])
targets = st.sampled_from([np.int64, np.int32, np.uint8])


@st.composite
def rows(draw):
    """Scores, targets some of which are ignored, the axis of classes and what is ignored."""
    shape = draw(st.lists(extents, max_size=2).map(tuple))
    classes, axis = draw(classes_drawn), draw(st.integers(0, len(shape)))
    random, ignore = np.random.default_rng(draw(st.integers(0, 99))), draw(st.sampled_from([0, 1, 5, 250]))
    x = np.asarray(random.normal(0, 3, (*shape[:axis], classes, *shape[axis:]))).astype(draw(st.sampled_from(DTYPES)))
    target = np.asarray(random.integers(0, min(classes, 256), shape)).astype(draw(targets))
    target = np.where(random.random(shape) < 0.2, target.dtype.type(ignore), target)
    return x, target, {"axis": axis, "ignore": ignore}


def body(op, *inputs, **attributes):
    with np.errstate(all="ignore"):
        found = OPS[op].body(np, *inputs, **attributes)
    return [np.asarray(y) for y in (found if isinstance(found, tuple) else (found,))]


def planned(op, inputs, like, **attributes):
    outputs = [Array.contiguous(y.dtype, y.shape) for y in like]
    return PLANS[op]([stages.described(x) for x in inputs], outputs, **attributes)


def check(op, *inputs, **attributes):
    expected = body(op, *inputs, **attributes)
    plan = planned(op, inputs, expected, **attributes)
    assert plan is not None
    results = []
    for threads in (1, 2, 4):
        guarded = [Guarded(np.full(y.shape, 7, y.dtype)) for y in expected]
        assert not stages.run(plan, [*inputs, *(each.array for each in guarded)], threads)
        for each in guarded:
            each.check()
        results.append([each.array for each in guarded])
    for other in results:
        assert all(map(same_bits, other, results[0]))
    for found, wanted in zip(results[0], expected, strict=True):
        assert_close(found, wanted, terms=36)
    return expected


@settings(max_examples=60)
@given(rows(), layouts, st.integers(0, 9))
def test_losses_and_their_derivatives_are_what_the_bodies_say(drawn, layout, seed):
    x, target, options = drawn
    target, x = laid(target, layout), laid(x, layout)
    _, lse, rest = check("softmax_loss", x, target, **options)
    g = np.asarray(np.random.default_rng(seed).normal(size=target.shape)).astype(x.dtype)
    check("softmax_loss_backward", laid(g, layout), x, target, lse, rest, **options)
    classes = x.shape[options["axis"]]
    check("count_classes", target, ignore=options["ignore"], classes=classes, dtype=np.dtype("float32"))


FAR = np.array([[1e6, 1e6 - 1, 1e6 - 2], [-1e6, -1e6 + 2, -3e6], [3e38, -3e38, 0], [0.1, 0.2, 0.3]])
ENDS = np.array([[np.inf, 1, 2], [-np.inf, 1, 2], [-np.inf] * 3, [np.nan, 1, 2], [1, 2, np.nan], [800, -800, 800]])


@pytest.mark.parametrize("repeats", [1, 12], ids=["across rows", "along rows"])
@pytest.mark.parametrize("x", [FAR, ENDS], ids=["far", "ends"])
def test_numbers_far_away_and_not_finite(x, repeats):
    x = np.repeat(x, repeats, 1).astype(np.float32)
    for target in (0, x.shape[1] - 1):
        at = np.full(len(x), target)
        _, lse, rest = check("softmax_loss", x, at, axis=1, ignore=-100)
        check("softmax_loss_backward", np.ones(len(x), np.float32), x, at, lse, rest, axis=1, ignore=-100)


def test_what_is_lost_of_large_sums_comes_back():
    """The probabilities are as exact far from 0 as they are there."""
    near = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32)
    far = np.round(near * 16) / 16 + np.float32(2**17)  # exact
    target, g = np.zeros(50, np.int64), np.ones(50, np.float32)
    results = []
    for x in (far, far - np.float32(2**17)):
        loss_, lse, rest = KERNELS["softmax_loss"](x, target, axis=1, ignore=-100)
        results.append((loss_, KERNELS["softmax_loss_backward"](g, x, target, lse, rest, axis=1, ignore=-100)))
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected, terms=4)


@pytest.mark.parametrize("shape, axis", [((5, 40), 1), ((3, 6, 9), 1)], ids=str)
def test_native_is_what_the_interpreter_says(shape, axis):
    random = np.random.default_rng(1)
    x = random.normal(size=shape).astype(np.float32)
    target = random.integers(0, shape[axis], (*shape[:axis], *shape[axis + 1:]))
    options = {"axis": axis, "ignore": 2}
    expected = body("softmax_loss", x, target, **options)
    ins = {"softmax_loss": [x, target], "softmax_loss_backward": [expected[0], x, target, *expected[1:]]}
    for op, inputs in ins.items():
        wanted = body(op, *inputs, **options)
        made = [np.zeros_like(y) for y in wanted]
        interpret(planned(op, inputs, wanted, **options), [*inputs, *made])
        for found, y in zip(made, wanted, strict=True):
            assert_close(found, y, terms=36)


@pytest.mark.parametrize("bad", [-1, 7, 2**40])
@pytest.mark.parametrize("op", ["softmax_loss", "count_classes", "pick_class", "place_class"])
def test_a_number_that_is_no_class_is_left_to_the_body(op, bad):
    x, target = np.zeros((3, 7), np.float32), np.array([0, bad, 6])
    inputs, options = {
        "count_classes": ((target,), {"classes": 7, "dtype": x.dtype}), "place_class": ((x[:, 0], target), {
            "axis": 1, "classes": 7})}.get(op, ((x, target), {"axis": 1}))
    assert loss.KERNELS[op](*inputs, ignore=-100, **options) is NotImplemented
    assert loss.KERNELS[op](*inputs, ignore=bad, **options) is not NotImplemented
    with pytest.raises(IndexingError, match=f"target {bad} is out of range for 7 classes"):
        OPS[op].body(np, *inputs, ignore=-100, **options)


def test_what_has_no_native_form():
    x, at = np.ones((3, 4)), np.zeros(3, np.int64)
    for bad, target in ((x.astype(np.int32), at), (x.astype(complex), at), (x, at[:2]), (x, at.astype(float)),
                        (x[:, :0], at)):
        assert KERNELS["softmax_loss"](bad, target, axis=1, ignore=-100) is NotImplemented
