"""Expressions: one object each, of any depth, made by any number of threads, and gone when nobody holds them."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

from tensorlite.kernels import scalar as s

x, y = s.Var("x"), s.Var("y")


def test_equal_expressions_are_one_object():
    assert s.tanh(x + y * 2.0) is s.tanh(x + y * 2.0)
    assert s.Const(1) is not s.Const(1.0)
    assert s.Const(1) is not s.Const(True)
    assert s.Const(0.0) is not s.Const(-0.0)
    assert s.Const(float("nan")) is s.Const(float("nan"))


def test_threads_make_the_same_objects():
    made: list[list[s.Expr]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def build(mine: list[s.Expr]) -> None:
        start.wait()
        for i in range(300):
            mine.append(s.exp(s.Var(f"v{i}") * (i + 0.5)) - i)

    threads = [threading.Thread(target=build, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(a is b for mine in made for a, b in zip(mine, made[0]))


def test_expressions_die_with_their_last_holder():
    expr = s.sin(s.Var("short_lived") * 3.25)
    function = s.Function(("short_lived",), expr)
    s.numpy_function(function)(np, np.ones(2))
    watched = [weakref.ref(expr), weakref.ref(function)]
    del expr, function
    gc.collect()
    assert [ref() for ref in watched] == [None, None]


def test_copies_and_pickles_are_the_same_object():
    expr = s.where(x > 0, s.cast(x, np.float64), s.bitcast(y, np.float64))
    function = s.trace(lambda a, b: s.atan2(a, b) ** 2)
    for thing in (expr, function, s.exp, s.lower(x * 2, {"x": np.dtype(np.float32)})):
        assert copy.deepcopy(thing) is thing
        assert pickle.loads(pickle.dumps(thing)) is thing


def test_a_chain_of_shared_squares_stays_small():
    body = x
    for _ in range(2000):
        body = s.tanh(body * body + body)
    slope = s.differentiate(body, "x")
    assert len(s.postorder(slope)) < 20 * 2000
    assert s.infer(slope, {"x": np.dtype(np.float32)}) == np.float32
    assert s.substitute(slope, {body: y}) is not slope
    assert s.parse(s.text(body)) is body
    assert s.simplify(slope) is slope


def test_expressions_refuse_what_they_cannot_mean():
    with pytest.raises(TypeError, match=r"use scalar.where\(condition, a, b\)"):
        bool(x > 0)
    with pytest.raises(TypeError, match="a scalar expression or a number was expected, not str"):
        x + "1"  # type: ignore[operator]
    with pytest.raises(TypeError, match="atan2: takes 2 operands, 1 were given"):
        s.atan2(x)
    with pytest.raises(AttributeError, match="Var is immutable"):
        x.name = "z"  # type: ignore[misc]
    with pytest.raises(ValueError, match=r"'_0' is not a variable name"):
        s.Var("_0")
    with pytest.raises(ValueError, match=r"the body uses y, not a parameter of \(x\)"):
        s.Function(("x",), x + y)


def test_numpy_scalars_are_constants_on_both_sides():
    assert (np.float32(2) * x) is (2.0 * x)
    assert (np.float64(0.5) - x) is (0.5 - x)


def test_operators_are_atoms():
    assert (x // y) is s.floor_divide(x, y)
    assert (x % 2) is s.remainder(x, 2)
    assert (2**x) is s.pow(2, x)
    assert (x & y | ~x) ^ (x << 1) >> y is s.bitwise_xor(
        s.bitwise_or(s.bitwise_and(x, y), s.bitwise_invert(x)), s.right_shift(s.left_shift(x, 1), y)
    )
    assert (x < y) is s.less(x, y)
    assert (1 >= x) is s.less_equal(x, 1)
    assert +x is x


def test_trace_names_the_parameters_and_fixes_constants():
    def leaky(x, *, slope):
        return s.where(x > 0, x, slope * x)

    assert s.trace(leaky).parameters == ("x", "slope")
    fixed = s.trace(leaky, slope=0.1)
    assert fixed.parameters == ("x",)
    assert fixed is s.trace(lambda x: s.where(x > 0, x, 0.1 * x))


def test_free_variables_come_in_order_of_first_occurrence():
    assert s.free_variables(s.where(y > 0, x, s.Var("a") + y)) == ("y", "x", "a")


def test_substitution_takes_the_largest_match_and_simplifies():
    assert s.substitute(s.exp(x) * s.exp(x) + x, {s.exp(x): y, x: s.Const(3.0)}) is y * y + 3.0
    assert s.substitute(x * y, {y: s.Const(1)}) is x
