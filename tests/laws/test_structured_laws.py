"""Every sample of every structured op: its type rule, layouts, dtypes, recording and derivative of broadcast inputs."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from laws.drawing import LAYOUTS, STRUCTURED, lay_out, reaches, sample_arrays, sample_id, samples
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.dispatch import apply
from tensorlite.errors import InternalError, TensorliteError
from tensorlite.op import KINDS, OPS, Integers
from tensorlite.tensor_type import DTYPES, TensorType

SAMPLES = list(samples())
by_sample = pytest.mark.parametrize(("op", "sample"), SAMPLES, ids=sample_id)

#: Ops whose input is a device, a generator's state or a graph, which no sample can say.
WITHOUT_SAMPLES = {"to_device", "random_bits", "advance", "empty", "stayed", "standard_gamma", "poisson",
                   "binomial", "von_mises", "cond", "while_loop", "scan", "fused"}


@pytest.mark.parametrize("op", STRUCTURED, ids=lambda op: op.name)
def test_every_op_is_declared_whole(op):
    assert op.kind in KINDS
    assert OPS[op.name] is op
    assert op.samples or op.name in WITHOUT_SAMPLES
    assert set(op.rules) <= set(op.inputs)
    parameters = inspect.signature(op.body).parameters.values()
    needed = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty}
    for sample in op.samples:
        assert needed <= set(sample.attributes) <= set(op.attributes)
        assert len(sample.inputs) >= len(op.inputs) - op.variadic


@pytest.mark.parametrize(("op", "sample", "dtype"), [(*pair, dtype) for pair in SAMPLES for dtype in DTYPES
                                                    if reaches(pair[0], dtype)], ids=sample_id)
def test_the_type_rule_says_the_type_of_the_result(op, sample, dtype):
    tensors = [tl.asarray(a) for a in sample_arrays(op, sample, dtype)]
    try:
        results = apply(op, *tensors, **sample.attributes)
    except TensorliteError as error:
        assert not isinstance(error, InternalError), error
        return
    if op.type_rule is None:
        assert op.kind in ("create", "effect", "opaque")
        return
    types = op.type_rule(*(x.type for x in tensors), **sample.attributes)
    results, types = (x if isinstance(x, tuple) else (x,) for x in (results, types))
    assert [y.type for y in results] == list(types)
    for y, said in zip(results, types):
        assert isinstance(said, TensorType)
        assert type(y.array) is np.ndarray
        assert all(type(n) is int for n in said.shape)


@by_sample
def test_layouts_change_nothing(op, sample):
    arrays = sample_arrays(op, sample, np.dtype(np.float32))
    expected = apply(op, *map(tl.asarray, arrays), **sample.attributes)
    for layout in LAYOUTS:
        if layout == "repeated":
            continue
        result = apply(op, *(tl.asarray(lay_out(a, layout)) for a in arrays), **sample.attributes)
        for y, z in zip(*(r if isinstance(r, tuple) else (r,) for r in (result, expected)), strict=True):
            assert y.type == z.type
            assert_close(y, z, terms=24)


@by_sample
def test_recording_changes_no_bit_and_no_input(op, sample):
    arrays = sample_arrays(op, sample, np.dtype(np.float32))
    before = [a.copy() for a in arrays]
    plain = apply(op, *map(tl.asarray, arrays), **sample.attributes)
    tracked = [tl.tensor(a, requires_grad=not isinstance(i, Integers)) for a, i in zip(arrays, sample.inputs)]
    recorded = apply(op, *tracked, **sample.attributes)
    for y, z in zip(*(r if isinstance(r, tuple) else (r,) for r in (recorded, plain)), strict=True):
        assert_same(y, z)
    for a, b in zip(arrays, before):
        assert_same(a, b)


@by_sample
def test_low_precision_stays_near_float64(op, sample):
    wide = sample_arrays(op, sample, np.dtype(np.float64))
    exact = [a.astype(np.float16).astype(a.dtype) if a.dtype.kind == "f" else a for a in wide]
    expected = apply(op, *map(tl.asarray, exact), **sample.attributes)
    narrow = [a.astype(np.float16) if a.dtype.kind == "f" else a for a in exact]
    try:
        result = apply(op, *map(tl.asarray, narrow), **sample.attributes)
    except TensorliteError as error:
        assert not isinstance(error, InternalError), error
        return
    for y, z in zip(*(r if isinstance(r, tuple) else (r,) for r in (result, expected)), strict=True):
        if y.dtype == tl.float16:
            assert_close(y, z, terms=24)
