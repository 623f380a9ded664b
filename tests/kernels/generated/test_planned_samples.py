"""The samples that ops declare: planned, run and compared with the ops' own bodies, with inputs of every layout."""

from __future__ import annotations

import numpy as np
import pytest
from planned import LAYOUTS, compute, laid
from tolerance import assert_close

from tensorlite.kernels.cpu import (
    box_stages,
    extreme_stages,
    index_stages,
    loss_stages,
    movement_stages,
    order_stages,
    pool_stages,
    random_stages,
    resample_stages,
    scan_stages,
)
from tensorlite.op import OPS, Integers

FAMILIES = (index_stages, movement_stages, pool_stages, random_stages, scan_stages, order_stages,
            box_stages, extreme_stages, loss_stages, resample_stages)  # fmt: skip
PLANS = {op: plan for family in FAMILIES for op, plan in family.PLANS.items()}
ARBITRARY = {"empty"}  # any numbers will do
SEVERAL = {"softmax_loss"}  # results: test_softmax_loss.py
CASES = [(op, k) for op in PLANS if op not in ARBITRARY | SEVERAL for k in range(len(OPS[op].samples))]


def numbers(shape, rng):
    if isinstance(shape, Integers):
        return shape.draw(rng)
    return np.asarray(rng.normal(size=shape)).astype(np.float32)


@pytest.mark.parametrize(("op", "sample"), CASES, ids=lambda part: str(part))
def test_sample(op, sample):
    chosen, rng = OPS[op].samples[sample], np.random.default_rng(sample)
    inputs = [numbers(shape, rng) for shape in chosen.inputs]
    for layout in LAYOUTS:
        actual, expected = compute(PLANS, op, *(laid(x, layout) for x in inputs), **chosen.attributes)
        assert actual.dtype == expected.dtype
        assert_close(actual, expected) if actual.dtype.kind == "f" else np.testing.assert_array_equal(actual, expected)


def test_every_planned_op_is_declared():
    """A family plans no op that is not there, and each op belongs to one family."""
    assert set(PLANS) <= set(OPS)
    assert len(PLANS) == sum(len(family.PLANS) for family in FAMILIES)
