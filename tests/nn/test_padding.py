"""Padding: every mode, width and number of axes against PyTorch, and as layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nn.beside_torch import check_compiled, check_mapped, first_line, parameters
from tolerance import assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

pad = nn.functional.pad
EXTENTS = (3, 4, 5)
BORDERS = ("reflect", "replicate", "circular")
LAYERS = [f"{kind}{axes}d" for kind in ("CircularPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "ZeroPad")
          for axes in (1, 2, 3)]


def flat(pairs):
    """Widths by axis as users write them."""
    return tuple(n for pair in reversed(pairs) for n in pair)


@st.composite
def continued(draw):
    """A mode with the shape of an input and widths that it takes, cropping ones among them."""
    mode, axes = draw(st.sampled_from(BORDERS)), draw(st.integers(1, 3))
    extents, pairs = EXTENTS[:axes], []
    for n in extents:
        most = {"reflect": n - 1, "replicate": n + 2, "circular": n}[mode]
        before, after = draw(st.integers(-n + 1, most)), draw(st.integers(-n + 1, most))
        assume(n + before + after >= 1)
        if mode == "circular":  # PyTorch reads what it has not written yet where less stays than goes around
            assume(max(before, after) <= n + min(before, 0) + min(after, 0))
        pairs.append((before, after))
    return mode, (*(draw(st.sampled_from([(2,), (1, 2)]))), *extents), flat(pairs)


@settings(max_examples=60)
@given(case=continued())
def test_borders_of_what_is_inside_agree_with_torch(case):
    from nn.against_torch import compare, draw, torch
    mode, shape, widths = case
    compare(lambda x: pad(x, widths, mode), lambda x: torch.nn.functional.pad(x, widths, mode), draw(*shape))


@settings(max_examples=40)
@given(ndim=st.integers(1, 4), widths=st.lists(st.tuples(st.integers(-2, 3), st.integers(-1, 3)), max_size=4),
       value=st.none() | st.sampled_from([0.0, 1.5, -np.inf]))
def test_borders_of_a_constant_agree_with_torch(ndim, widths, value):
    from nn.against_torch import compare, draw, torch
    numbers = flat(widths[:ndim])
    compare(lambda x: pad(x, numbers, value=value),
            lambda x: torch.nn.functional.pad(x, numbers, value=value), draw(*(3, 4, 3, 5)[:ndim]))


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float16", "bfloat16", "complex64"])
@pytest.mark.parametrize(("mode", "numpy_mode"), [
    ("constant", "constant"), ("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
def test_every_dtype_is_padded(mode, numpy_mode, dtype):
    x = tl.arange(6).reshape(1, 2, 3).to(getattr(tl, dtype))
    options = [{"value": 2.5}, {"constant_values": np.asarray(2.5).astype(x.dtype)}] if mode == "constant" else [{}, {}]
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (2, 1)), numpy_mode, **options[1])
    assert_same(pad(x, (2, 1), mode, **options[0]), expected)


@pytest.mark.parametrize(("shape", "widths", "mode"), [
    ((2, 0), (1, 2), "constant"), ((0, 3), (1, 2), "constant"), ((0, 2, 3), (1, 2), "reflect"),
    ((0, 2, 3), (1, 2), "circular"), ((1, 2, 3), (0, 0), "replicate"), ((1, 2, 3), (-3, 0), "circular"),
    ((), (), "constant"), ((1, 2, 1), (3, 2), "replicate"), ((1, 2, 0), (0, 0), "circular")])
def test_empty_and_single_extents_are_padded_as_in_torch(shape, widths, mode):
    from nn.against_torch import draw, torch
    x = draw(*shape)
    assert_same(pad(tl.tensor(x), widths, mode), torch.nn.functional.pad(torch.tensor(x), widths, mode).numpy())


def test_the_result_is_another_value():
    x = tl.arange(4.0)
    for widths in ((0, 0), (-1, 0)):
        y = pad(x, widths)
        y += 1
        assert_same(x, np.arange(4, dtype=np.float32))


@pytest.mark.parametrize("mode", ["constant", *BORDERS])
def test_compiled_and_mapped_it_gives_the_same(mode):
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 5))
    check_compiled(lambda x: pad(x, (2, -1, 0, 3), mode), x)
    check_mapped(lambda x: pad(x, (2, -1, 0, 3), mode), x)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_those_of_torch(name):
    from nn.against_torch import compare, draw, torch
    axes, value = int(name[-2]), (2.5,) if name.startswith("Constant") else ()
    assert parameters(getattr(nn, name)) == parameters(getattr(torch.nn, name))
    for widths in (2, list(range(2 * axes)), tuple((-1) ** i for i in range(2 * axes))):
        if name.startswith("Reflection") and isinstance(widths, list):
            widths = [n % 3 for n in widths]
        if name.startswith("Circular") and isinstance(widths, list):
            widths = [n % 4 for n in widths]
        ours, theirs = (getattr(library, name)(widths, *value) for library in (nn, torch.nn))
        assert repr(ours) == repr(theirs)
        for lead in ((2,), (1, 2)):
            compare(ours, theirs, draw(*lead, *EXTENTS[:axes]), second=False)


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda x: pad(x, (1, 1), "mirror"), ArgumentError,
     "pad: mode must be 'constant' or 'reflect' or 'replicate' or 'circular', not 'mirror'"),
    (lambda x: pad(x, (1, 1, 1)), ArgumentError, "pad: pad must hold two widths for each axis, before and after it"),
    (lambda x: pad(x, 1), DTypeError, "pad: pad must be a sequence of integers, not 1"),
    (lambda x: pad(x, (1.0, 1)), DTypeError, "pad: pad must be a sequence of integers, not (1.0, 1)"),
    (lambda x: pad(x, (1,) * 8), ShapeError, "pad: pad has widths for 4 axes, the input has 3"),
    (lambda x: pad(x, (-3, -2)), ShapeError, "pad: 5 elements cannot be taken away from an extent of 4"),
    (lambda x: pad(x, (1, 1), value="0"), DTypeError, "pad: value must be a number, not str"),
    (lambda x: pad(x, (1, 1), "reflect", 2.0), ArgumentError, "pad: mode='reflect' takes no value"),
    (lambda x: pad(x, (1,) * 8, "reflect"), ArgumentError,
     "pad: mode='reflect' takes two, four or six widths, not 8"),
    (lambda x: pad(x, (4, 0), "reflect"), ShapeError,
     "pad: a border of 4 made by 'reflect' needs a length of at least 5, it is 4"),
    (lambda x: pad(x, (0, 5), "circular"), ShapeError,
     "pad: a border of 5 made by 'circular' needs a length of at least 5, it is 4"),
    (lambda x: pad(x, (-2, 3), "circular"), ShapeError,
     "pad: a border of 3 made by 'circular' needs a length of at least 3, it is 2"),
    (lambda x: pad(x, (-3, -1), "replicate"), ShapeError, "pad: nothing would be left of an extent of 4"),
    (lambda x: pad(x[0, 0], (1, 1), "reflect"), ShapeError,
     "pad: takes sequences [batch, channels, length] or [channels, length], x has 1 dimensions"),
    (lambda x: pad(x[0], (1, 1, 1, 1), "circular"), ShapeError,
     "pad: takes images [batch, channels, height, width] or [channels, height, width], x has 2 dimensions"),
    (lambda x: pad([1.0], (1, 1)), DTypeError, "pad: input must be a tensor, not list"),
    (lambda x: nn.ReflectionPad2d(1.5), DTypeError,
     "ReflectionPad2d: padding must be an integer, or one for each of 4 sides, not 1.5"),
    (lambda x: nn.CircularPad2d(1)(x[0]), ShapeError, "CircularPad2d: takes 3 or 4 axes, the input has 2"),
])
def test_what_does_not_fit_is_named(call, error, text):
    assert first_line(lambda: call(tl.zeros((1, 2, 4))), error) == text


def test_an_error_shows_the_arguments_and_the_fix():
    with pytest.raises(ShapeError) as caught:
        pad(tl.zeros((2, 4)), (4, 0), mode="reflect")
    line = str(caught.value).split("\n")[2]
    assert str(caught.value).replace(line, "  at HERE") == """\
pad: a border of 4 made by 'reflect' needs a length of at least 5, it is 4
  x  float32[1, 2, 4]
  at HERE
  fix: use less padding, or zeros"""
