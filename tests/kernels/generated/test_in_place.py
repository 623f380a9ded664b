"""Results that lie over an operand of the epilogue: each is stored once, after what lay there was read."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import numbers

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import conv, conv_weight, matmul, stages
from tensorlite.kernels.stage import Array

F32 = np.dtype(np.float32)
EPILOGUE = [s.Var("product") * s.Var("e0") + s.Var("e0")]
GEOMETRY = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
channels = st.sampled_from([1, 2, 3, 5, 8, 16, 17, 18, 33, 48])
sides = st.sampled_from([1, 2, 3, 7, 10, 14, 17])


def check(plan, inputs, shape):
    """Run a plan whose one operand has memory of its own, and then that of the result."""
    if plan is None or any(stage.repeats for stage in plan.stages):
        return
    operand = numbers(shape, F32, 9)
    apart, over = np.empty(shape, F32), operand.copy()
    stages.run(plan, [*inputs, operand, apart], 2)
    stages.run(plan, [*inputs, over, over], 2)
    assert apart.tobytes() == over.tobytes()


@settings(max_examples=150, deadline=None)
@given(images=st.integers(1, 3), depth=channels, filters=channels, size=st.tuples(sides, sides),
       kernel=st.sampled_from([1, 3]), last=st.booleans(), kept=st.booleans(),
       which=st.sampled_from(["forward", "data", "weight"]))  # fmt: skip
def test_convolutions(images, depth, filters, size, kernel, last, kept, which):
    border = kernel // 2
    geometry = {**GEOMETRY, "padding": ((border, border),) * 2, "groups": 1}
    shape, out, weight = (images, depth, *size), (images, filters, *size), (filters, depth, kernel, kernel)
    lying = Array.channels_last if last and which != "weight" else Array.contiguous
    w = numbers(weight, F32, 2)
    described = Array.contiguous(F32, weight)
    if which == "forward":
        plan = conv.plan_conv2d(lying(F32, shape), described, [lying(F32, out)], epilogue=EPILOGUE,
                                operands=[lying(F32, out)], kept=kept, **geometry)  # fmt: skip
        check(plan, [numbers(shape, F32, 1), w], out)
    elif which == "data":
        plan = conv.plan_conv2d_data(lying(F32, out), described, [lying(F32, shape)], epilogue=EPILOGUE,
                                     operands=[lying(F32, shape)], **geometry)  # fmt: skip
        check(plan, [numbers(out, F32, 1), w], shape)
    else:
        plan = conv_weight.plan_conv2d_weight(lying(F32, shape), lying(F32, out), [described], epilogue=EPILOGUE,
                                              operands=[described], **geometry)  # fmt: skip
        check(plan, [numbers(shape, F32, 1), numbers(out, F32, 2)], weight)


@settings(max_examples=100, deadline=None)
@given(m=channels, k=channels, n=channels, kept=st.booleans(), turned=st.booleans())
def test_products(m, k, n, kept, turned):
    a, b = numbers((m, k), F32, 1), numbers((n, k) if turned else (k, n), F32, 2)
    right = stages.described(b.T if turned else b)
    out = Array.contiguous(F32, (m, n))
    check(matmul.plan(stages.described(a), right, [out], EPILOGUE, [out], kept=kept), [a, b], (m, n))
