"""Shuffles between channels and places, unfold and fold, against PyTorch, and each against its inverse or transpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nn.beside_torch import check_compiled, check_mapped, first_line, parameters
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

F = nn.functional


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


# --- shuffles -----------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(lead=st.lists(st.integers(0, 2), max_size=2), channels=st.integers(0, 2),
       size=st.tuples(*[st.integers(0, 3)] * 2), factor=st.integers(1, 3))
def test_pixels_move_between_channels_and_places_as_in_torch(lead, channels, size, factor):
    from nn.against_torch import compare, draw, torch
    x = draw(*lead, channels * factor**2, *size)
    shuffled = tl.pixel_shuffle(tl.tensor(x), factor)
    assert shuffled.shape == (*lead, channels, *(n * factor for n in size))
    assert_same(tl.pixel_unshuffle(shuffled, factor), x)
    if not x.size:  # PyTorch's derivatives have other shapes there
        return
    compare(lambda x: tl.pixel_shuffle(x, factor), lambda x: torch.pixel_shuffle(x, factor), x)
    compare(lambda x: tl.pixel_unshuffle(x, factor), lambda x: torch.pixel_unshuffle(x, factor), shuffled.numpy())


@given(batch=st.integers(0, 2), each=st.integers(0, 3), groups=st.integers(1, 3),
       rest=st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_channels_are_dealt_out_as_in_torch(batch, each, groups, rest):
    from nn.against_torch import torch
    assume(batch or each)  # PyTorch refuses to reshape to -1 where nothing is
    x = np.arange(batch * each * groups * int(np.prod(rest))).reshape(batch, each * groups, *rest)
    found = tl.channel_shuffle(tl.tensor(x), groups)
    if x.size:
        assert_same(found, torch.channel_shuffle(torch.tensor(x), groups).numpy())
    if each:
        assert_same(tl.channel_shuffle(found, each), x)


# --- unfold and fold ----------------------------------------------------------------------------------------------


@st.composite
def windows(draw):
    """The shape of images, and options of windows that fit them."""
    def each(least, most):
        return draw(st.integers(least, most) | st.tuples(st.integers(least, most), st.integers(least, most)))

    def two(value):
        return value if isinstance(value, tuple) else (value, value)
    options = {"kernel_size": each(1, 3), "dilation": each(1, 2), "padding": each(0, 2), "stride": each(1, 3)}
    shape = (*draw(st.sampled_from([(2,), (1, 2), (2, 1)])), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    geometry = zip(shape[-2:], *(two(options[name]) for name in ("kernel_size", "dilation", "padding")), strict=True)
    assume(all(n + 2 * p >= d * (k - 1) + 1 for n, k, d, p in geometry))
    return shape, options


@settings(max_examples=40)
@given(case=windows())
def test_unfold_and_fold_agree_with_torch(case):
    from nn.against_torch import compare, draw, torch
    shape, options = case
    theirs = torch.nn.functional
    compare(lambda x: F.unfold(x, **options), lambda x: theirs.unfold(x, **options), draw(*shape))
    columns = draw(*F.unfold(tl.zeros(shape), **options).shape)
    compare(lambda x: F.fold(x, shape[-2:], **options), lambda x: theirs.fold(x, shape[-2:], **options), columns,
            terms=9)


@settings(max_examples=20)
@given(case=windows())
def test_fold_is_the_transpose_of_unfold(case):
    shape, options = case
    x = tl.tensor(normal(*shape))
    columns = F.unfold(x, **options)
    y = tl.tensor(normal(*columns.shape, seed=1))
    assert_close((columns * y).sum(), (x * F.fold(y, shape[-2:], **options)).sum(), terms=400)


def test_a_convolution_is_a_product_with_columns():
    x, weight = tl.tensor(normal(2, 3, 6, 5)), tl.tensor(normal(4, 3, 3, 2))
    product = weight.reshape(4, -1) @ F.unfold(x, (3, 2), padding=1, stride=2)
    expected = tl.conv2d(x, weight, padding=1, stride=2)
    assert_close(product.reshape(expected.shape), expected, terms=20)


def test_half_precision_is_summed_in_float32():
    x = np.random.default_rng(0).random((9 * 2, 36)).astype(np.float16)
    expected = F.fold(tl.tensor(x.astype(np.float32)), 6, 3, padding=1).numpy().astype(np.float16)
    assert_same(F.fold(tl.tensor(x), 6, 3, padding=1), expected)


def test_empty_batches_are_taken():
    assert F.unfold(tl.zeros((0, 2, 4, 4)), 2).shape == (0, 8, 9)
    assert F.fold(tl.zeros((0, 8, 9)), 4, 2).shape == (0, 2, 4, 4)


CALLS = {
    "pixel_shuffle": (lambda x: tl.pixel_shuffle(x, 2), (3, 8, 2, 3)),
    "pixel_unshuffle": (lambda x: tl.pixel_unshuffle(x, 2), (3, 2, 4, 2)),
    "channel_shuffle": (lambda x: tl.channel_shuffle(x, 2), (3, 2, 4, 2)),
    "unfold": (lambda x: F.unfold(x, 2, padding=1, stride=2), (3, 2, 4, 5)),
    "fold": (lambda x: F.fold(x, (4, 5), (2, 3), padding=1), (3, 12, 25)),
}


@pytest.mark.parametrize("name", CALLS)
def test_compiled_and_mapped_they_give_the_same(name):
    function, shape = CALLS[name]
    x = normal(*shape)
    check_compiled(function, x, terms=12)
    check_mapped(function, normal(2, *shape), terms=12)


@pytest.mark.parametrize(("name", "arguments"), [
    ("PixelShuffle", (2,)), ("PixelUnshuffle", (2,)), ("ChannelShuffle", (2,)), ("Unfold", ((2, 3), 1, 1)),
    ("Fold", (4, 2, 1, 0, 2))])
def test_layers_are_those_of_torch(name, arguments):
    from nn.against_torch import compare, draw, torch
    ours, theirs = (getattr(library, name)(*arguments) for library in (nn, torch.nn))
    assert repr(ours) == repr(theirs)
    assert parameters(type(ours)) == parameters(type(theirs))
    compare(ours, theirs, draw(2, 8, 4) if name == "Fold" else draw(2, 4, 4, 4), terms=4)


@pytest.mark.parametrize("name", ["unfold", "fold", "pad", "grid_sample", "affine_grid"])
def test_functions_have_the_parameters_of_torch(name):
    from nn.against_torch import torch
    assert parameters(getattr(F, name)) == parameters(getattr(torch.nn.functional, name))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda x: tl.pixel_shuffle(x, 2), ShapeError,
     "pixel_shuffle: 6 channels cannot be shared out among 4 places"),
    (lambda x: tl.pixel_shuffle(x[0, 0], 2), ShapeError, "pixel_shuffle: takes at least 3 axes, the input has 2"),
    (lambda x: tl.pixel_shuffle(x, 0), ArgumentError, "pixel_shuffle: upscale_factor must be positive, not 0"),
    (lambda x: tl.pixel_shuffle(x, 2.0), DTypeError, "pixel_shuffle: upscale_factor must be an integer, not 2.0"),
    (lambda x: tl.pixel_unshuffle(x, 2), ShapeError, "pixel_unshuffle: the height 5 is no multiple of 2"),
    (lambda x: tl.pixel_unshuffle(x, -1), ArgumentError, "pixel_unshuffle: downscale_factor must be positive, not -1"),
    (lambda x: tl.channel_shuffle(x, 4), ShapeError, "channel_shuffle: 4 groups do not divide 6 channels"),
    (lambda x: tl.channel_shuffle(x[0, 0], 2), ShapeError, "channel_shuffle: takes at least 3 axes, the input has 2"),
    (lambda x: tl.channel_shuffle(x, 0), ArgumentError, "channel_shuffle: groups must be positive, not 0"),
    (lambda x: F.unfold(x, 6), ShapeError, "unfold: the kernel covers 6 of the height, which with padding is 5"),
    (lambda x: F.unfold(x, (2, 2, 2)), DTypeError, "unfold: kernel_size must be an integer or two, not (2, 2, 2)"),
    (lambda x: F.unfold(x, 2, stride=0), ArgumentError, "unfold: stride must be at least 1, not 0"),
    (lambda x: F.unfold(x, 2, padding=-1), ArgumentError, "unfold: padding must be at least 0, not -1"),
    (lambda x: F.unfold(x[0, 0], 2), ShapeError,
     "unfold: takes images [batch, channels, height, width] or [channels, height, width], x has 2 dimensions"),
    (lambda x: F.fold(x, 4, 2), ShapeError, "fold: takes columns [batch, channels * kernel, windows] or "
     "[channels * kernel, windows], the input has 4 dimensions"),
    (lambda x: F.fold(x[0], 4, 2), ShapeError, "fold: 5 rows are no whole number of channels for a kernel of 2 x 2"),
    (lambda x: F.fold(x[0, :, :4], 4, 2), ShapeError, "fold: images of 4 x 4 have 3 x 3 windows, the input has 4"),
    (lambda x: F.fold(x[0], 2, 3), ShapeError, "fold: the kernel covers 3 of the height, which with padding is 2"),
    (lambda x: F.fold(x[0], 0, 3), ArgumentError, "fold: output_size must be at least 1, not 0"),
])
def test_what_does_not_fit_is_named(call, error, text):
    assert first_line(lambda: call(tl.zeros((1, 6, 5, 4))), error) == text
