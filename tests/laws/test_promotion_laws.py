"""Dtypes promote by one table: the array API's, PyTorch's where the standard is silent, and never by chance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from laws.drawing import ELEMENTWISE, taken_dtypes

import tensorlite as tl
from tensorlite.dispatch import apply
from tensorlite.errors import DTypeError
from tensorlite.tensor_type import DTYPES, GROUPS, can_hold, default_dtype, promote, promote_scalar

PAIRS = list(itertools.product(DTYPES, DTYPES))
by_pair = pytest.mark.parametrize(("a", "b"), PAIRS, ids=lambda d: d.name)

KINDS = ("bool", "int", "float", "complex")


@by_pair
def test_promotion_is_symmetric_and_holds_both(a, b):
    meeting = promote(a, b)
    assert meeting == promote(b, a)
    assert can_hold(meeting, a)
    assert can_hold(meeting, b)
    assert promote(meeting, a) == meeting


def test_promotion_of_three_floats_does_not_depend_on_their_order():
    floats = sorted(GROUPS["floating"] | {tl.bool}, key=lambda d: d.name)
    for a, b, c in itertools.product(floats, repeat=3):
        assert promote(promote(a, b), c) == promote(a, promote(b, c))


def standard(a: np.dtype, b: np.dtype) -> str | None:
    """The array API's table; None where it leaves the dtypes open, as mixed kinds are and half floats."""
    low, high = sorted((a, b), key=lambda d: ("buifc".index(d.kind) if d.kind in "buifc" else 3, d.itemsize))
    if low == high or low.kind == high.kind and low.kind in "ui":
        return high.name
    if (low.kind, high.kind) == ("u", "i") and low != tl.uint64:
        return f"int{8 * max(2 * low.itemsize, high.itemsize)}"
    if low.kind in "fc" and high.kind in "fc" and tl.float16 not in (a, b):
        return "complex128" if high.kind == "c" and tl.float64 in (a, b) else high.name
    return None


@by_pair
def test_promotion_is_the_standards(a, b):
    assert standard(a, b) in (promote(a, b).name, None)


PYTORCHS = [dtype for dtype in DTYPES if dtype not in (tl.uint16, tl.uint32, tl.uint64)]  # it barely promotes these


@pytest.mark.parametrize(("a", "b"), list(itertools.product(PYTORCHS, PYTORCHS)), ids=lambda d: d.name)
def test_promotion_is_pytorchs(a, b):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference for mixed kinds")
    expected = torch.promote_types(getattr(torch, a.name), getattr(torch, b.name))
    assert promote(a, b).name == str(expected).rpartition(".")[2]


@by_pair
def test_add_meets_in_the_promoted_dtype(a, b):
    x, y = tl.asarray(np.ones(3, a)), tl.asarray(np.ones(3, b))
    assert (x + y).dtype == promote(a, b)
    assert tl.result_type(a, b) == promote(a, b)


@pytest.mark.parametrize("op", [op for op in ELEMENTWISE if len(op.inputs) == 2], ids=lambda op: op.name)
def test_every_pair_of_dtypes_gives_what_its_promoted_dtype_gives(op):
    for a, b in PAIRS:
        meeting = promote(a, b)
        x, y = tl.asarray(np.ones(2, a)), tl.asarray(np.ones(2, b))
        if meeting in taken_dtypes(op):
            both = apply(op, x.to(meeting), y.to(meeting))
            mixed = apply(op, x, y)
            assert mixed.dtype == both.dtype, (a, b)
            assert mixed.tolist() == both.tolist()
        else:
            with pytest.raises(DTypeError):
                apply(op, x, y)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("kind", KINDS)
def test_scalars_are_weak_within_their_kind(dtype, kind):
    scalar = {"bool": True, "int": 1, "float": 1.0, "complex": 1j}[kind]
    met = promote_scalar(dtype, kind)
    assert (tl.asarray(np.ones(2, dtype)) + scalar).dtype == met
    assert (scalar + tl.asarray(np.ones(2, dtype))).dtype == met
    assert can_hold(met, dtype)
    assert can_hold(met, default_dtype(kind))
    if can_hold(dtype, default_dtype(kind)):
        assert met == dtype


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_numpy_scalars_stand_for_python_ones(dtype):
    x = tl.asarray(np.ones(2, dtype))
    for scalar in (np.float64(2), np.float32(2), np.int64(2), np.uint8(2), np.bool_(True), np.complex64(2)):
        python = scalar.item()
        assert (x + scalar).dtype == (x + python).dtype
        assert (scalar + x).dtype == (x + python).dtype
        assert (scalar * x).tolist() == (python * x).tolist()
