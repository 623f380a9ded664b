"""Derivatives stated for plain functions of containers: custom_vjp and custom_jvp."""

from __future__ import annotations

import numpy as np
import pytest
from laws.differences import check_first, check_second
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import GradientError

X = np.random.default_rng(0).standard_normal(5)


def of(array=X) -> tl.Tensor:
    return tl.tensor(array)


@tl.custom_vjp
def wave(x, y):
    """A wave, whose derivative by x is stated twice as large as it is."""
    return {"s": tl.sin(x) * y}


wave.defvjp(lambda x, y: (wave.function(x, y), (tl.cos(x), x, y, "note")),
            lambda kept, g: (2 * kept[0] * kept[2] * g["s"], tl.sin(kept[1]) * g["s"]))


def by_both(x):
    return wave(x, x * 2)["s"].sum()


@tl.custom_jvp
def cubed(x, y):
    return x * x * y


@cubed.defjvp
def _cubed_rule(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return cubed(x, y), 3 * x * y * dx + x * x * dy


def test_the_stated_cotangents_are_used():
    assert_close(tl.grad(by_both)(of()), 4 * np.cos(X) * X + 2 * np.sin(X))
    assert wave.__doc__.startswith("A wave")


def test_second_derivatives_differentiate_the_rule_and_what_it_keeps():
    found = tl.grad(lambda x: tl.grad(by_both)(x).sum())(of())
    assert_close(found, 4 * (np.cos(X) - X * np.sin(X)) + 2 * np.cos(X), terms=4)
    check_first(lambda x: tl.grad(by_both)(x), [X], np.random.default_rng(1))


def test_it_composes_with_jit_vmap_and_jvp():
    expected = tl.grad(by_both)(of()).numpy()
    assert_close(tl.jit(tl.grad(by_both))(of()), expected)
    assert_close(tl.vmap(tl.grad(by_both))(of()), expected)
    assert_close(tl.grad(lambda x: tl.vmap(by_both)(x).sum())(of()), expected)
    assert_close(tl.jvp(lambda x: wave(x, x * 2)["s"], (of(),), (tl.ones_like(of()),))[1], expected)


def test_a_rule_of_tangents_gives_both_directions():
    square = lambda x: cubed(x, x)
    assert_close(tl.grad(lambda x: square(x).sum())(of()), 4 * X * X)
    assert_close(tl.jvp(square, (of(),), (tl.ones_like(of()),))[1], 4 * X * X)
    assert_close(tl.grad(lambda x: tl.grad(lambda y: square(y).sum())(x).sum())(of()), 8 * X)
    assert_close(tl.jit(tl.grad(lambda x: square(x).sum()))(of()), 4 * X * X)
    assert_close(tl.vmap(tl.grad(square))(of()), 4 * X * X)


def test_rules_by_argument():
    @tl.custom_jvp
    def product(x, y):
        return x * y
    product.defjvps(lambda t, value, x, y: t * y, None)
    assert_close(tl.grad(lambda x: product(x, x).sum())(of()), X)
    product.defjvps(lambda t, value, x, y: t * y, lambda t, value, x, y: t * x)
    check_second(product, [X, X + 1], np.random.default_rng(2))


def test_constant_arguments_come_first():
    @tl.custom_vjp
    def power(n, x):
        return x**n
    forward = lambda n, x: (x**n, x)
    scaled = tl.custom_vjp(lambda n, x: x**n, nondiff_argnums=(0,))
    scaled.defvjp(forward, lambda n, x, g: (g * n * 100,))
    assert_close(tl.grad(lambda x: scaled(3, x).sum())(of()), np.full(5, 300.0))
    power.defvjp(forward, lambda x, g: (None, g * 7))
    assert_close(tl.grad(lambda x: power(3, x).sum())(of()), np.full(5, 7.0))
    flipped = tl.custom_jvp(lambda x, n: x**n, nondiff_argnums=(1,))
    flipped.defjvp(lambda n, primals, tangents: (primals[0] ** n, tangents[0] * n))
    assert_close(tl.grad(lambda x: flipped(x, 3).sum())(of()), np.full(5, 3.0))


def test_keywords_and_defaults_are_arguments_too():
    @tl.custom_jvp
    def scaled(x, factor=2.0):
        return x * factor
    scaled.defjvp(lambda primals, tangents: (scaled(*primals), tangents[0] * primals[1]))
    assert_close(tl.grad(lambda x: scaled(x, factor=5.0).sum())(of()), np.full(5, 5.0))


def test_methods_can_have_rules():
    class Layer:
        def __init__(self, w):
            self.w = w

        @tl.custom_jvp
        def run(self, x):
            return x * self.w

        run.defjvp(lambda primals, tangents: (primals[1] * primals[0].w, tangents[1] * 2))
    layer = Layer(3.0)
    assert_close(layer.run(of()), X * 3)
    assert_close(tl.grad(lambda x: layer.run(x).sum())(of()), np.full(5, 2.0))


def test_nothing_is_recorded_that_nobody_asks_for():
    with tl.no_grad():
        x = tl.tensor(X, requires_grad=True)
        assert not wave(x, x)["s"].requires_grad
    assert not cubed(of(), of()).requires_grad
    assert_same(cubed(of(), of()), X**3 * 1.0 if (X * X * X == X**3).all() else X * X * X)


@pytest.mark.parametrize(("call", "text"), [
    (lambda: tl.custom_vjp(tl.sin)(of()),
     "sin: its derivative was not stated\n  at {}\n  fix: define it: sin.defvjp(forward, backward)"),
    (lambda: tl.custom_jvp(tl.sin)(of()), "sin: its derivative was not stated\n  at {}\n  fix: define it: @sin.defjvp"),
])
def test_a_rule_that_is_missing_is_named(call, text):
    with pytest.raises(GradientError) as caught:
        call()
    line = str(caught.value).split("\n")[1].removeprefix("  at ")
    assert str(caught.value) == text.format(line)


def test_the_wrong_number_of_cotangents_is_named():
    broken = tl.custom_vjp(lambda x, y: x * y)
    broken.defvjp(lambda x, y: (x * y, None), lambda kept, g: (g,))
    with pytest.raises(GradientError) as caught:
        tl.grad(lambda x: broken(x, x).sum())(of())
    assert "backward returned 1 cotangents for 2 arguments" in str(caught.value).split("\n")[0]
