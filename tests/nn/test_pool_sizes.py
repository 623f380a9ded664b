"""Adaptive and fractional pooling beside PyTorch, over sizes that divide each other and that do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError
from tensorlite.nn import functional as F

SOME = settings(max_examples=25, deadline=None)


@st.composite
def sizes(draw):
    """The number of axes, a shape, and a size to pool it to."""
    axes = draw(st.sampled_from([1, 2, 3]))
    most = 5 if axes == 3 else 9
    wanted = tuple(draw(st.integers(1, most) | (st.none() if axes > 1 else st.nothing())) for _ in range(axes))
    size = draw(st.just(wanted) | st.integers(1, most))
    batch = [2] if draw(st.booleans()) else []
    return axes, [*batch, 2, *(draw(st.integers(1, most)) for _ in range(axes))], size


def both(name, axes):
    from nn.against_torch import torch
    return getattr(F, f"{name}{axes}d"), getattr(torch.nn.functional, f"{name}{axes}d")


@SOME
@given(chosen=sizes())
def test_averages_agree_with_torch(chosen):
    from nn.against_torch import compare, draw
    axes, shape, size = chosen
    ours, theirs = both("adaptive_avg_pool", axes)
    compare(lambda x: ours(x, size), lambda x: theirs(x, size), draw(*shape), terms=125)


@SOME
@given(chosen=sizes())
def test_maxima_agree_with_torch(chosen):
    from nn.against_torch import compare, draw, torch
    axes, shape, size = chosen
    ours, theirs = both("adaptive_max_pool", axes)
    compare(lambda x: ours(x, size), lambda x: theirs(x, size), draw(*shape))
    x = np.round(draw(*shape))
    x.reshape(-1)[::7] = np.nan
    found, expected = ours(tl.tensor(x), size, True), theirs(torch.tensor(x), size, True)
    for mine, other in zip(found, expected, strict=True):
        assert_same(mine, other.numpy())


def test_an_infinity_is_felt_in_its_own_windows_alone():
    x = np.zeros((1, 1, 7))
    x[0, 0, 1] = np.inf
    assert_same(F.adaptive_avg_pool1d(tl.tensor(x), 4), np.array([[[np.inf, np.inf, 0.0, 0.0]]]))


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16])
def test_narrow_dtypes_are_averaged_in_float32(dtype):
    x = tl.tensor(np.random.default_rng(0).standard_normal((1, 2, 5, 7, 9))).to(dtype)
    expected = F.adaptive_avg_pool3d(x.to(tl.float64), (2, 3, 4))
    assert_close(F.adaptive_avg_pool3d(x, (2, 3, 4)), expected, dtype=dtype)


def test_no_windows_have_no_elements():
    for found in (F.adaptive_avg_pool2d(tl.ones((1, 2, 3, 3)), (0, 2)),
                  *F.adaptive_max_pool2d(tl.ones((1, 2, 3, 3)), (0, 2), True)):
        assert found.shape == (1, 2, 0, 2)


@st.composite
def fractions(draw):
    axes = draw(st.sampled_from([2, 3]))
    kernel = draw(st.tuples(*[st.integers(1, 3)] * axes))
    size = tuple(draw(st.integers(1, 4)) for _ in range(axes))
    spare = axes - 2  # PyTorch's volumes must be larger than windows need
    shape = [1, 2, *(k + n - 1 + draw(st.integers(spare, 4)) for k, n in zip(kernel, size, strict=True))]
    return axes, shape, kernel, size


@SOME
@given(chosen=fractions(), seed=st.integers(0, 99), batched=st.booleans())
def test_fractional_maxima_agree_with_torch(chosen, seed, batched):
    from nn.against_torch import compare, draw, torch
    axes, shape, kernel, size = chosen
    ours, theirs = both("fractional_max_pool", axes)
    samples = np.random.default_rng(seed).random((1, 2, axes))
    mine, other = tl.tensor(samples), torch.tensor(samples)
    x = draw(*(shape if batched else shape[1:]))
    compare(lambda a: ours(a, kernel, size, _random_samples=mine),
            lambda a: theirs(a, kernel, size, _random_samples=other), x)
    found = ours(tl.tensor(x), kernel, size, return_indices=True, _random_samples=mine)
    expected = theirs(torch.tensor(x), kernel, size, return_indices=True, _random_samples=other)
    for values, wanted in zip(found, expected, strict=True):
        assert_same(values, wanted.numpy())


@pytest.mark.parametrize("axes", [2, 3])
def test_fractional_layers_agree_with_torch(axes):
    from nn.against_torch import draw, torch
    x, samples = draw(2, 3, *(7,) * axes), np.random.default_rng(0).random((2, 3, axes))
    name = f"FractionalMaxPool{axes}d"
    ours = getattr(nn, name)(2, output_ratio=0.7, _random_samples=tl.tensor(samples))
    theirs = getattr(torch.nn, name)(2, output_ratio=0.7, _random_samples=torch.tensor(samples))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_same(ours(tl.tensor(x)), theirs(torch.tensor(x)).numpy())


def test_windows_are_drawn_for_each_channel_and_fill_the_image():
    tl.manual_seed(0)
    x = tl.reshape(tl.arange(400.0), (1, 1, 20, 20)) + tl.zeros((8, 4, 20, 20))
    _, places = F.fractional_max_pool2d(x, 2, output_size=(14, 14), return_indices=True)
    rows = (places // 20).numpy()[..., 0]
    assert len({tuple(row) for row in rows.reshape(32, 14).tolist()}) > 8
    steps = np.diff(rows, axis=2)
    assert steps.min() >= 1 and steps.max() <= 2
    assert (rows[..., -1] == 19).all()


COMPILED = {
    "averages": (lambda x: F.adaptive_avg_pool2d(x, (3, 5)), (2, 3, 8, 9)),
    "maxima": (lambda x: F.adaptive_max_pool2d(x, (3, 5), True), (2, 3, 8, 9)),
    "maxima of volumes": (lambda x: F.adaptive_max_pool3d(x, (3, 2, 5), True), (2, 3, 4, 8, 9)),
    "fractions": (lambda x: F.fractional_max_pool2d(x, 2, 4, return_indices=True, _random_samples=tl.full(
        (2, 3, 2), 0.3)), (2, 3, 8, 9)),
}


@pytest.mark.parametrize("name", list(COMPILED))
def test_pools_and_their_derivatives_compile_to_kernels_alone(name):
    function, shape = COMPILED[name]

    def loss(x):
        found = function(x)
        return ((found[0] if isinstance(found, tuple) else found) ** 2).sum()

    compiled = tl.jit(tl.grad(loss))
    compiled(tl.ones(shape))
    assert not compiled.explain().edges


@pytest.mark.parametrize("name", list(COMPILED))
def test_compiled_and_mapped_pools_are_the_eager_ones(name):
    function, shape = COMPILED[name]
    x = tl.tensor(np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32))
    for found in (tl.jit(tl.vmap(function))(x), tl.vmap(function)(x)):
        rows = [function(x[i]) for i in range(3)]
        for k, column in enumerate(found if isinstance(found, tuple) else (found,)):
            assert_close(column, tl.stack([row[k] if isinstance(row, tuple) else row for row in rows]), terms=30)


X = tl.zeros((1, 2, 5, 5))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: F.adaptive_avg_pool2d(X, (1, 2, 3)), DTypeError,
     "adaptive_avg_pool2d: output_size must be an integer or two, or None, not (1, 2, 3)"),
    (lambda: F.adaptive_max_pool2d(X, -1), ArgumentError,
     "adaptive_max_pool2d: output_size must be at least 0, not -1"),
    (lambda: F.adaptive_max_pool2d(X[:, :, :, :0], 1), ShapeError,
     "adaptive_max_pool2d: takes images with elements, of width there are 0"),
    (lambda: F.adaptive_avg_pool2d(X.to(tl.int64), 1), DTypeError,
     "adaptive_avg_pool2d: takes real floating dtypes, not int64"),
    (lambda: F.fractional_max_pool2d(X[:, :0], 2, 2), ShapeError,
     "fractional_max_pool2d: takes images with elements, of channels there are 0"),
    (lambda: F.fractional_max_pool2d(X, 2), ArgumentError,
     "fractional_max_pool2d: either output_size or output_ratio must be given"),
    (lambda: F.fractional_max_pool2d(X, 3, 4), ShapeError,
     "fractional_max_pool2d: 4 windows of 3 do not fit in a height of 5"),
    (lambda: F.fractional_max_pool2d(X, 3, output_ratio=(0.5,) * 3), DTypeError,
     "fractional_max_pool2d: output_ratio must be a number or 2, not (0.5, 0.5, 0.5)"),
    (lambda: F.fractional_max_pool2d(X, 2, 2, _random_samples=tl.zeros((1, 2, 3))), ShapeError,
     "fractional_max_pool2d: _random_samples must have shape [1, 2, 2]"),
    (lambda: nn.FractionalMaxPool2d(2), ArgumentError,
     "FractionalMaxPool2d: either output_size or output_ratio must be given"),
    (lambda: nn.FractionalMaxPool2d(2, 2, 0.5), ArgumentError,
     "FractionalMaxPool2d: output_size and output_ratio say the same: both were given"),
    (lambda: nn.FractionalMaxPool3d(2, output_ratio=1.5), ArgumentError,
     "FractionalMaxPool3d: output_ratio must be between 0 and 1, not 1.5"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
