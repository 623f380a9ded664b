"""Arrays of bytes, extreme ones often, and what integers' arithmetic makes of them; plans are held to it."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from planned import laid, run

from tensorlite.kernels import quant
from tensorlite.kernels.cpu import int8, stages
from tensorlite.kernels.stage import Array

U8, I8, I32, F32 = (np.dtype(name) for name in ("uint8", "int8", "int32", "float32"))
BYTES = st.sampled_from([U8, I8])
EXTRAS = st.sampled_from([(), ("bias",), ("weight_zero_point",), ("weight_zero_point", "bias"), ("scale", "zero_point"),
                          ("weight_zero_point", "bias", "scale", "zero_point")])  # fmt: skip


def draw(random, shape, dtype):
    """Any bytes, the extreme ones often."""
    limits = np.iinfo(dtype)
    found = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return np.where(random.random(shape) < 0.2, random.choice([limits.min, limits.max], shape), found).astype(dtype)


def terms(random, names, m, dtype, many):
    """Arrays for what an op is given besides: one number, or one for each filter."""
    made = {
        "weight_zero_point": draw(random, (m,) if many else (), I8),
        "bias": random.integers(-(2**31), 2**31, m).astype(I32) if many else np.arange(m, dtype=I32),
        "scale": random.uniform(1e-5, 1e-2, (m,) if many else ()).astype(F32),
        "zero_point": draw(random, (), dtype),
    }
    layout = random.choice(["contiguous", "stepped", "reversed"])
    return {name: laid(np.asarray(made[name]), layout) for name in names}


def finished(sums, given, channels):
    """What becomes of int64 sums: wrapped to int32, or scaled and rounded, half to even."""
    total = (sums + given["bias"].reshape(channels) if "bias" in given else sums).astype(I32)
    if "scale" not in given:
        return total
    zero, scale = given["zero_point"], given["scale"]
    limits = np.iinfo(zero.dtype)
    rounded = np.rint(total.astype(F32) * scale.reshape(channels if scale.ndim else ())).astype(np.float64)
    return np.clip(rounded + int(zero), limits.min, limits.max).astype(zero.dtype)


def less(x, zero, shape=(-1,)):
    return x.astype(np.int64) - np.asarray(zero).astype(np.int64).reshape(shape if np.ndim(zero) else ())


def packed(weight, groups=1):
    """A weight packed by its plan."""
    like = quant.pack(np, weight, groups)
    plan = int8.plan_pack_filters([stages.described(weight)], [Array.contiguous(I32, like.shape)], groups=groups)
    found, _ = run(plan, [weight], like)
    np.testing.assert_array_equal(found, like)
    return found


def planned(planner, inputs, expected, **attributes):
    plan = planner([stages.described(x) for x in inputs], [stages.described(expected)], **attributes)
    assert plan is not None
    return plan


def check(planner, inputs, expected, **attributes):
    """Plan and run; the result is between guard zones, the same by 1, 2 and 4 threads, and equal."""
    found, _ = run(planned(planner, inputs, expected, **attributes), inputs, expected)
    np.testing.assert_array_equal(found, expected)


def convolution(x, weight, stride, padding, dilation, groups):
    """The cross-correlation of int64 arrays, the border being zeros."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    span = [(n - 1) * d + 1 for n, d in zip(weight.shape[2:], dilation)]
    counts = [(x.shape[2 + i] - span[i]) // stride[i] + 1 for i in (0, 1)]
    m, channels = weight.shape[0] // groups, weight.shape[1]
    out = np.zeros((x.shape[0], weight.shape[0], *counts), np.int64)
    for group in range(groups):
        for i, j in np.ndindex(*weight.shape[2:]):
            rows = slice(i * dilation[0], i * dilation[0] + (counts[0] - 1) * stride[0] + 1, stride[0])
            columns = slice(j * dilation[1], j * dilation[1] + (counts[1] - 1) * stride[1] + 1, stride[1])
            seen = x[:, group * channels : (group + 1) * channels, rows, columns]
            own = slice(group * m, (group + 1) * m)
            out[:, own] += np.einsum("nchw,oc->nohw", seen, weight[own, :, i, j])
    return out
