"""Normalisation: every option against PyTorch, running statistics, and against the formula written out."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

SHAPES = [(6, 3), (4, 3, 5), (2, 3, 4, 5)]


def standardized(x: np.ndarray, axes: tuple[int, ...], eps: float = 1e-5) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


@pytest.mark.parametrize("shape", SHAPES)
def test_norms_are_numbers_less_their_mean_over_their_deviation(shape):
    x = np.random.default_rng(0).standard_normal(shape) * 3 + 1
    axes = (0, *range(2, len(shape)))
    assert_close(tl.batch_norm(tl.tensor(x), None, None, training=True), standardized(x, axes), terms=60)
    assert_close(tl.layer_norm(tl.tensor(x), shape[-1:]), standardized(x, (-1,)), terms=60)


@pytest.mark.parametrize("affine", [(), ("weight",), ("weight", "bias")])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_agrees_with_torch(shape, affine):
    from nn.against_torch import compare, draw, torch

    def through(function, **options):
        return lambda x, *rest: function(x, None, None, **dict(zip(affine, rest, strict=True)), training=True,
                                         **options)
    arrays = [draw(*shape), *(draw(3, seed=i) for i in range(len(affine)))]
    compare(through(tl.batch_norm, eps=0.1), through(torch.nn.functional.batch_norm, eps=0.1), *arrays, terms=200)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_in_evaluation_agrees_with_torch(shape):
    from nn.against_torch import compare, draw, torch
    mean, var = draw(3, seed=4), np.random.default_rng(0).random(3) + 0.1
    compare(lambda x, w, b: tl.batch_norm(x, tl.tensor(mean), tl.tensor(var), w, b),
            lambda x, w, b: torch.nn.functional.batch_norm(x, torch.tensor(mean), torch.tensor(var), w, b),
            draw(*shape), draw(3), draw(3, seed=1), terms=100)


@pytest.mark.parametrize("affine", [(), ("weight",), ("weight", "bias")])
@pytest.mark.parametrize("normalized", [(4,), (3, 4)])
def test_layer_norm_agrees_with_torch(normalized, affine):
    from nn.against_torch import compare, draw, torch

    def through(function):
        return lambda x, *rest: function(x, normalized, **dict(zip(affine, rest, strict=True)), eps=0.1)
    arrays = [draw(2, 3, 4), *(draw(*normalized, seed=i) for i in range(len(affine)))]
    compare(through(tl.layer_norm), through(torch.nn.functional.layer_norm), *arrays, terms=200)


def test_a_bias_without_a_weight_is_added():
    x, bias = tl.tensor(np.random.default_rng(0).standard_normal((4, 3))), tl.tensor([1.0, 2.0, 3.0], dtype=tl.float64)
    for norm, options in ((tl.batch_norm, {"running_mean": None, "running_var": None, "training": True}),
                          (tl.layer_norm, {"normalized_shape": (3,)})):
        assert_same(norm(x, **options, bias=bias), norm(x, **options) + bias)


@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"momentum": 0.5, "affine": False}, {"bias": False},
                                     {"track_running_stats": False}])
@pytest.mark.parametrize(("name", "shape"),
                         [("BatchNorm1d", (6, 3)), ("BatchNorm1d", (4, 3, 5)), ("BatchNorm2d", (2, 3, 4, 5))])
def test_batch_norm_layers_follow_torch_over_several_batches(name, shape, options):
    from nn.against_torch import draw, torch
    ours, theirs = getattr(nn, name)(3, **options), getattr(torch.nn, name)(3, **options)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for step in range(4):
        x = draw(*shape, seed=step).astype(np.float32) * 2 + 1
        assert_close(ours(tl.tensor(x)), theirs(torch.tensor(x)).detach().numpy(), terms=60)
        if step == 2:
            ours.eval()
            theirs.eval()
    for key, value in ours.state_dict().items():
        assert_close(value, theirs.state_dict()[key].numpy(), terms=60)


def test_running_statistics_move_by_momentum_and_the_variance_is_unbiased():
    layer = nn.BatchNorm1d(1, momentum=0.25)
    layer(tl.tensor([[1.0], [3.0]]))
    assert_same(layer.running_mean, np.array([0.5], np.float32))
    assert_same(layer.running_var, np.array([0.75 + 0.25 * 2], np.float32))
    assert layer.num_batches_tracked.item() == 1
    layer.reset_running_stats()
    assert [layer.running_mean.item(), layer.running_var.item(), layer.num_batches_tracked.item()] == [0, 1, 0]


def test_evaluation_changes_no_statistics():
    layer = nn.BatchNorm2d(2).eval()
    before = {key: value.numpy().copy() for key, value in layer.state_dict().items()}
    layer(tl.ones((2, 2, 3, 3)))
    for key, value in layer.state_dict().items():
        assert_same(value, before[key])


def test_numbers_far_from_zero_keep_their_variance():
    x = np.random.default_rng(0).standard_normal((64, 2, 8, 8)) + 1e4
    assert_close(tl.batch_norm(tl.tensor(x), None, None, training=True), standardized(x, (0, 2, 3)), terms=10**9)


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16, tl.float32])
def test_narrow_dtypes_have_their_moments_in_float32(dtype):
    x = np.random.default_rng(0).standard_normal((8, 4, 16, 16)).astype(dtype)
    wide = x.astype(np.float64)
    result = tl.batch_norm(tl.tensor(x), None, None, training=True)
    assert result.dtype == dtype
    assert_close(result, standardized(wide, (0, 2, 3)), dtype=dtype, terms=4)
    assert_close(tl.layer_norm(tl.tensor(x), (16, 16)), standardized(wide, (2, 3)), dtype=dtype, terms=4)


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: tl.batch_norm(tl.zeros((1, 3)), None, None, training=True), ShapeError,
     "batch_norm: training needs more than one value for each channel"),
    (lambda: tl.batch_norm(tl.zeros((2, 3)), None, None), ArgumentError,
     "batch_norm: evaluation needs running_mean and running_var"),
    (lambda: tl.batch_norm(tl.zeros((2, 3)), None, None, tl.ones(2), training=True), ShapeError,
     "batch_norm: weight must have shape [3], one number for each channel"),
    (lambda: tl.batch_norm(tl.zeros(3), None, None, training=True), ShapeError,
     "batch_norm: the input must be [batch, channels, ...]"),
    (lambda: tl.batch_norm(tl.zeros((2, 3), dtype=tl.int64), None, None, training=True), DTypeError,
     "batch_norm: takes real floating dtypes, not int64"),
    (lambda: tl.layer_norm(tl.zeros((2, 3)), (4,)), ShapeError,
     "layer_norm: the input must end in the normalized shape [4]"),
    (lambda: tl.layer_norm(tl.zeros((2, 3)), (3,), tl.ones(2)), ShapeError,
     "layer_norm: weight must have the normalized shape [3]"),
    (lambda: tl.layer_norm(tl.zeros((2, 3)), (3,), tl.ones(3, dtype=tl.float64)), DTypeError,
     "layer_norm: x is float32, weight is float64"),
    (lambda: nn.BatchNorm2d(3)(tl.zeros((2, 3))), ShapeError,
     "BatchNorm2d: the input must be [batch, channels, height, width], it has 2 dimensions"),
    (lambda: nn.BatchNorm1d(3)(tl.zeros((2, 3, 1, 1))), ShapeError,
     "BatchNorm1d: the input must be [batch, channels] or [batch, channels, length], it has 4 dimensions"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
