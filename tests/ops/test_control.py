"""Control flow, eager: values and derivatives are those of the loops that it stands for; errors say what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from laws.differences import check_first, check_second
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import errors

RNG = np.random.default_rng(0)
W, H, X = RNG.standard_normal((3, 3)), RNG.standard_normal((2, 3)), RNG.standard_normal((4, 2, 3))


def check_derivatives(function, *arrays):
    check_first(function, arrays, np.random.default_rng(1))
    check_second(function, arrays, np.random.default_rng(2))


def recurrence(reverse):
    def run(w, h, xs):
        def step(h, x):
            h = tl.tanh(x + h @ w)
            return h, h * x
        last, ys = tl.scan(step, h, xs, reverse=reverse)
        return last.sum() + (ys * ys).sum()
    return run


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_is_the_loop(reverse):
    last, ys = tl.scan(lambda h, x: (tl.tanh(x + h), h), tl.tensor(H), tl.tensor(X), reverse=reverse)
    h, made = H, []
    for x in X[::-1] if reverse else X:
        made.append(h)
        h = np.tanh(x + h)
    assert_close(last, h)
    assert_close(ys, np.stack(made[::-1] if reverse else made))
    check_derivatives(recurrence(reverse), W, H, X)


def test_scan_carries_containers_and_numbers():
    def step(carry, x):
        return {"total": carry["total"] + x["a"], "count": carry["count"] + 1}, None

    carry, nothing = tl.scan(step, {"total": tl.zeros(2), "count": 0}, {"a": tl.ones((3, 2)), "b": None})
    assert carry["total"].tolist() == [3.0, 3.0]
    assert carry["count"].item() == 3
    assert nothing is None


def test_scan_without_xs_takes_a_length():
    last, ys = tl.scan(lambda c, x: (c * 2, (c, x)), tl.tensor(1), length=4)
    assert last.item() == 16
    assert ys[0].tolist() == [1, 2, 4, 8]
    assert ys[1] is None


def test_scan_over_nothing_gives_the_carry_and_no_rows():
    last, ys = tl.scan(lambda c, x: (c + x.sum(), x * 2), tl.tensor(5.0), tl.zeros((0, 3)))
    assert last.item() == 5.0
    assert ys.shape == (0, 3)
    _, tracked = tl.scan(lambda c, x: (c, x * 2), tl.tensor(5.0), tl.zeros((0, 3)).requires_grad_())
    assert tracked.shape == (0, 3)
    assert tl.map(lambda x: x > 0, tl.zeros((0, 3))).type == tl.zeros((0, 3), dtype=tl.bool).type


def test_map_stacks_what_the_function_gives():
    assert_close(tl.map(lambda x: (x @ x.T, x.sum()), tl.tensor(X))[0], X @ X.swapaxes(1, 2))
    check_derivatives(lambda x: tl.map(lambda row: tl.exp(row).sum() * row, x), X)


def test_while_loop_is_the_loop():
    carry = tl.while_loop(lambda c: c["x"].sum() < 50, lambda c: {"x": c["x"] * 2, "n": c["n"] + 1},
                          {"x": tl.tensor([1.0, 2.0]), "n": 0})
    assert carry["x"].tolist() == [32.0, 64.0]
    assert carry["n"].item() == 5
    assert tl.while_loop(lambda c: False, lambda c: c, tl.tensor(1)).item() == 1
    check_derivatives(lambda x: tl.while_loop(lambda c: (c * c).sum() < 100, lambda c: c * tl.exp(x), x),
                      np.array([0.5, 1.5]))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cond_takes_one_branch(sign):
    x = np.abs(H) * sign
    chosen = np.sin(x) if sign > 0 else x * x
    assert_close(tl.cond(tl.tensor(x).sum() > 0, tl.sin, tl.square, tl.tensor(x)), chosen)
    assert_close(tl.cond(sign > 0, tl.sin, tl.square, tl.tensor(x)), chosen)
    check_derivatives(lambda x, w: tl.cond(x.sum() > 0, lambda a: tl.sin(a) @ w, lambda a: a * a, x), x, W)


def test_functions_may_close_over_tracked_tensors():
    w = tl.tensor(W, requires_grad=True)
    tl.scan(lambda h, x: (h @ w + x, None), tl.tensor(H), tl.tensor(X))[0].sum().backward()
    check_first(lambda v: tl.scan(lambda h, x: (h @ v + x, None), tl.tensor(H), tl.tensor(X))[0].sum(), (W,),
                np.random.default_rng(0))
    assert w.grad is not None


def told(kind, function):
    with pytest.raises(kind) as caught:
        function()
    text = str(caught.value)
    assert len(text.splitlines()) <= 10
    return [line for line in text.splitlines() if not line.startswith("  at ")]


def test_a_carry_that_changes_its_dtype_is_told():
    assert told(errors.DTypeError, lambda: tl.scan(lambda c, x: (c + x, None), 0, tl.ones(3))) == [
        "scan: the carry changes its type from int64[] to float32[]",
        "  before  int64[]",
        "  after   float32[]",
        "  fix: cast it to keep its type: y.to(tl.int64)",
    ]


def test_a_carry_that_changes_its_shape_is_told():
    grow = lambda c: (c[0], tl.concat([c[1], c[1]]))
    assert told(errors.ShapeError, lambda: tl.while_loop(lambda c: True, grow, (0, tl.ones(2)))) == [
        "while_loop: the carry[1] changes its type from float32[2] to float32[4]",
        "  before  float32[2]",
        "  after   float32[4]",
        "  fix: start from a carry of the type that the body returns, or return what grows beside it",
    ]


def test_a_carry_that_changes_its_structure_is_told():
    assert told(errors.ArgumentError, lambda: tl.scan(lambda c, x: ([c[0]], None), (0.0,), length=2)) == [
        "scan: the carry changes its structure",
        "  before  (0,)",
        "  after   [0]",
        "  fix: return what was given: equal containers",
    ]


def test_a_condition_that_is_no_bool_is_told():
    assert told(errors.DTypeError, lambda: tl.cond(tl.ones(2) > 0, tl.sin, tl.cos, tl.ones(2))) == [
        "cond: pred must be one bool, not bool[2]",
        "  pred  bool[2]",
        "  fix: compare it, as in x < 3, and reduce that with .all() or .any()",
    ]
    assert told(errors.DTypeError, lambda: tl.cond(1, tl.sin, tl.cos, tl.ones(2)))[0] == (
        "cond: pred must be one bool, not int")
    assert told(errors.DTypeError, lambda: tl.while_loop(lambda c: c, lambda c: c, tl.ones(())))[0] == (
        "while_loop: what cond_fn returns must be one bool, not float32[]")


def test_lengths_that_differ_are_told():
    assert told(errors.ShapeError, lambda: tl.scan(lambda c, x: (c, None), 0, (tl.ones(3), tl.ones((4, 2))))) == [
        "scan: lengths differ: 3 and 4",
        "  xs[0]  float32[3]",
        "  xs[1]  float32[4, 2]",
        "  fix: all leading extents must be equal, and length too where it is given",
    ]
    assert told(errors.ShapeError, lambda: tl.scan(lambda c, x: (c, None), 0, tl.ones(3), length=2)) == [
        "scan: lengths differ: 2 and 3",
        "  xs      float32[3]",
        "  length  2",
        "  fix: all leading extents must be equal, and length too where it is given",
    ]


@pytest.mark.parametrize(("kind", "call", "problem"), [
    (errors.ArgumentError, lambda: tl.scan(lambda c, x: (c, x), 0), "scan: without xs nothing says how many steps"),
    (errors.ArgumentError, lambda: tl.scan(lambda c, x: c, 0, length=1),
     "scan: f must return a pair (carry, y), not Tensor"),
    (errors.ArgumentError, lambda: tl.scan(lambda c, x: (c, x), 0, length=-1),
     "scan: length must be a number of steps"),
    (errors.ShapeError, lambda: tl.map(tl.sin, tl.tensor(1.0)), "map: xs has no axis to go along"),
    (errors.DTypeError, lambda: tl.scan(lambda c, x: (c, x), "a", length=1),
     "scan: init must be made of tensors, not str"),
], ids=["length", "pair", "negative", "scalar", "text"])
def test_what_cannot_be_is_told(kind, call, problem):
    assert told(kind, call)[0].startswith(problem)


def test_rows_of_a_recorded_tensor_are_stacked_in_its_derivative():
    """One pass over the cotangents, however many rows: a slice's own derivative would make as many full arrays."""
    x = tl.tensor(X, requires_grad=True)
    _, ys = tl.scan(lambda c, row: (c, row * 2), 0, x)
    assert_same(tl.autograd.grad(ys.sum(), x)[0], np.full(X.shape, 2.0))
