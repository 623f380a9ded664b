"""Group, instance, root-mean-square and response norms: beside PyTorch over drawn options, compiled, and mapped."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.compiled import check_training
from tolerance import assert_close, assert_close_to_scale, assert_same, tolerance_of

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError
from tensorlite.nn import functional as F

NORMS = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "CrossMapLRN2d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d",
         "InstanceNorm3d", "LayerNorm", "LocalResponseNorm", "RMSNorm"]

AFFINE = st.sampled_from([(), ("weight",), ("bias",), ("weight", "bias")])
PLACES = st.lists(st.integers(1, 4), max_size=2).map(tuple)


def test_signatures_are_those_of_torch():
    from nn.against_torch import torch
    for name in NORMS:
        ours, theirs = (inspect.signature(getattr(library, name)).parameters for library in (nn, torch.nn))
        assert [(p.name, p.default, p.kind) for p in ours.values()] == [
            (p.name, p.default, p.kind) for p in theirs.values()]
    for name in ("group_norm", "instance_norm", "local_response_norm", "rms_norm"):
        ours, theirs = (inspect.signature(getattr(library, name)).parameters for library in (F, torch.nn.functional))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), PLACES, AFFINE.filter(lambda a: a != ("bias",)),
       st.sampled_from([1e-5, 0.1]))
@settings(max_examples=25)
def test_group_norm_agrees_with_torch(batch, groups, together, places, affine, eps):
    from nn.against_torch import compare, draw, torch
    channels = groups * together
    if batch * together * int(np.prod(places)) == 1:
        return

    def through(library):
        return lambda x, *rest: library.group_norm(x, groups, **dict(zip(affine, rest, strict=True)), eps=eps)
    arrays = [draw(batch, channels, *places) * 2 + 1, *(draw(channels, seed=i) for i in range(len(affine)))]
    compare(through(F), through(torch.nn.functional), *arrays, terms=10**5)


@given(st.integers(1, 3), st.integers(1, 3), PLACES.filter(lambda p: np.prod(p) > 1), AFFINE,
       st.sampled_from([1e-5, 0.1]))
@settings(max_examples=25)
def test_instance_norm_agrees_with_torch(batch, channels, places, affine, eps):
    from nn.against_torch import compare, draw, torch

    def through(library):
        return lambda x, *rest: library.instance_norm(x, **dict(zip(affine, rest, strict=True)), eps=eps)
    arrays = [draw(batch, channels, *places) * 2 + 1, *(draw(channels, seed=i) for i in range(len(affine)))]
    compare(through(F), through(torch.nn.functional), *arrays, terms=10**5, second=affine != ("bias",))


@given(st.integers(1, 2), st.booleans(), st.sampled_from([None, 1e-5, 0.1]))
@settings(max_examples=12)
def test_rms_norm_agrees_with_torch(axes, weighed, eps):
    from nn.against_torch import compare, draw, torch
    shape = (2, 3, 4)

    def through(library):
        return lambda x, *weight: library.rms_norm(x, shape[-axes:], *weight, eps=eps)
    compare(through(F), through(torch.nn.functional), draw(*shape), *([draw(*shape[-axes:], seed=1)] * weighed),
            terms=1000)


@given(st.integers(1, 6), st.integers(1, 5), st.floats(0.1, 2), st.floats(0.5, 2), st.floats(1, 2),
       st.lists(st.integers(1, 3), min_size=1, max_size=3))
@settings(max_examples=20)
def test_local_response_norm_agrees_with_torch(size, channels, alpha, beta, k, places):
    from nn.against_torch import compare, draw, torch

    def through(library):
        return lambda x: library.local_response_norm(x, size, alpha, beta, k)
    compare(through(F), through(torch.nn.functional), draw(2, channels, *places), terms=1000)


@given(st.sampled_from([1, 3, 5]), st.integers(1, 3))
@settings(max_examples=5)
def test_the_response_of_maps_agrees_with_torch_where_its_windows_have_all_channels(size, channels):
    from nn.against_torch import draw, torch
    channels = min(channels, (size - 1) // 2 + 1)
    x = draw(2, channels, 3, 2).astype(np.float32)
    ours, theirs = nn.CrossMapLRN2d(size, 0.5, 0.6, 1.5), torch.nn.CrossMapLRN2d(size, 0.5, 0.6, 1.5)
    assert_close(ours(tl.tensor(x)), theirs(torch.tensor(x)).numpy(), terms=20)


@pytest.mark.parametrize("options", [{}, {"affine": True}, {"affine": True, "bias": False},
                                     {"track_running_stats": True}, {"track_running_stats": True, "momentum": 0.5}])
@pytest.mark.parametrize(("axes", "shape"), [(1, (2, 3, 5)), (1, (3, 5)), (2, (2, 3, 4, 2)), (2, (3, 4, 2)),
                                             (3, (2, 3, 2, 2, 3))])
def test_instance_norm_layers_follow_torch_over_several_batches(axes, shape, options):
    from nn.against_torch import torch
    name = f"InstanceNorm{axes}d"
    follow(getattr(nn, name)(3, **options), getattr(torch.nn, name)(3, **options), shape)


@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}])
def test_batch_norm_of_volumes_follows_torch(options):
    from nn.against_torch import torch
    follow(nn.BatchNorm3d(3, **options), torch.nn.BatchNorm3d(3, **options), (2, 3, 2, 4, 2))


@pytest.mark.parametrize(("name", "arguments", "options"), [
    ("GroupNorm", (3, 6), {}), ("GroupNorm", (1, 6), {"affine": False}), ("GroupNorm", (6, 6), {"bias": False}),
    ("RMSNorm", (5,), {}), ("RMSNorm", ((6, 5),), {"elementwise_affine": False, "eps": 0.1}),
    ("LayerNorm", ((6, 5),), {"bias": False}), ("LayerNorm", (5,), {"elementwise_affine": False}),
    ("LocalResponseNorm", (3,), {"alpha": 0.5})])
def test_layers_follow_torch(name, arguments, options):
    from nn.against_torch import torch
    follow(getattr(nn, name)(*arguments, **options), getattr(torch.nn, name)(*arguments, **options), (2, 6, 5))


def follow(ours, theirs, shape):
    """Three batches of training and one of evaluation."""
    from nn.against_torch import draw, torch
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for step in range(4):
        x = draw(*shape, seed=step).astype(np.float32) * 2 + 1
        assert_close(ours(tl.tensor(x)), theirs(torch.tensor(x)).detach().numpy(), terms=100)
        if step == 2:
            ours.eval()
            theirs.eval()
    for key, value in ours.state_dict().items():
        assert_close(value, theirs.state_dict()[key].numpy(), terms=60)


LAYERS = {
    "group": (lambda: nn.GroupNorm(2, 4), (3, 4, 5)),
    "instance": (lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), (3, 4, 5)),
    "batch, averaged over all": (lambda: nn.BatchNorm1d(4, momentum=None), (3, 4, 5)),
    "volumes": (lambda: nn.BatchNorm3d(4), (3, 4, 2, 2, 2)),
    "rms": (lambda: nn.RMSNorm(5), (3, 4, 5)),
    "response": (lambda: nn.LocalResponseNorm(3, 0.5), (3, 4, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_training_compiles_whole_and_tracks_the_same_statistics(name):
    make, shape = LAYERS[name]
    random = np.random.default_rng(0)
    batches = [(tl.tensor(random.standard_normal(shape).astype(np.float32)),) for _ in range(3)]
    check_training(lambda: nn.Sequential(make(), nn.Linear(shape[-1], 2)), batches)


@pytest.mark.parametrize("function", [
    lambda x, w: F.group_norm(x, 2, w, w), lambda x, w: F.instance_norm(x, weight=w), lambda x, w: F.rms_norm(x, (4,)),
    lambda x, w: F.local_response_norm(x, 3)])
def test_batches_of_batches_are_loops(function):
    random = np.random.default_rng(0)
    x, w = tl.tensor(random.standard_normal((3, 2, 4, 4))), tl.tensor(random.standard_normal((3, 4)))
    looped = tl.stack([function(a, b) for a, b in zip(x, w, strict=True)])
    assert_close(tl.vmap(function)(x, w), looped.numpy(), terms=50)
    assert_close(tl.jit(tl.vmap(function))(x, w), looped.numpy(), terms=50)


@pytest.mark.parametrize("function", [
    lambda x, w: F.group_norm(x, 2, w, w), lambda x, w: F.instance_norm(x, weight=w),
    lambda x, w: F.rms_norm(x, (4,), w), lambda x, w: F.layer_norm(x, (4,), w, w),
    lambda x, w: F.batch_norm(x, None, None, w, w, True)])
def test_derivatives_of_batches_are_loops(function):
    random = np.random.default_rng(0)
    x, w = tl.tensor(random.standard_normal((3, 2, 4, 4))), tl.tensor(random.standard_normal((3, 4)))
    derivative = tl.grad(lambda x, w: (function(x, w) ** 3).sum(), (0, 1))
    for axes, pairs in (((0, 0), list(zip(x, w, strict=True))), ((0, None), [(a, w[0]) for a in x])):
        found = tl.vmap(derivative, in_axes=axes)(x, w if axes[1] == 0 else w[0])
        for place in range(2):
            looped = tl.stack([derivative(*pair)[place] for pair in pairs])
            assert_close(found[place], looped.numpy(), terms=10**4)


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16])
def test_narrow_dtypes_have_their_moments_in_float32(dtype):
    x = (np.random.default_rng(0).standard_normal((4, 8, 64)) + 1).astype(dtype)
    wide = tl.tensor(x.astype(np.float64))
    for function in (lambda x: F.group_norm(x, 2), F.instance_norm, lambda x: F.rms_norm(x, (64,), eps=1e-5)):
        result = function(tl.tensor(x))
        assert result.dtype == dtype
        assert_close(result, function(wide).numpy(), dtype=dtype, terms=4)


def test_a_bias_without_a_weight_is_added():
    x, bias = tl.tensor(np.random.default_rng(0).standard_normal((3, 4, 2))), tl.arange(4, dtype=tl.float64)
    for norm in (lambda x, **affine: F.group_norm(x, 2, **affine), F.instance_norm):
        assert_close(norm(x, bias=bias), (norm(x) + bias.reshape(4, 1)).numpy())


def test_nothing_to_normalise_gives_nothing():
    for shape in ((0, 4, 3), (2, 4, 0)):
        x = tl.zeros(shape).requires_grad_()
        for function in (lambda x: F.group_norm(x, 2), F.instance_norm, lambda x: F.rms_norm(x, x.shape[-1:]),
                         lambda x: F.local_response_norm(x, 3)):
            result = function(x)
            assert result.shape == shape
            result.sum().backward()
            assert x.grad.shape == shape
    layer = nn.BatchNorm1d(3)
    assert layer(tl.zeros((0, 3))).shape == (0, 3)
    assert_same(layer.running_var, np.ones(3, np.float32))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: F.group_norm(tl.zeros((2, 6, 3)), 4), ShapeError, "group_norm: 6 channels do not make 4 groups"),
    (lambda: F.group_norm(tl.zeros((2, 6, 3)), 0), ShapeError, "group_norm: 6 channels do not make 0 groups"),
    (lambda: F.group_norm(tl.zeros((1, 2)), 2), ShapeError,
     "group_norm: there must be more than one value for each group"),
    (lambda: F.group_norm(tl.zeros(2), 2), ShapeError, "group_norm: the input must be [batch, channels, ...]"),
    (lambda: F.group_norm(tl.zeros((2, 6)), 2, tl.ones(3)), ShapeError,
     "group_norm: weight must have shape [6], one number for each channel"),
    (lambda: F.group_norm(tl.zeros((2, 6)), 2, tl.ones(6, dtype=tl.float64)), DTypeError,
     "group_norm: input is float32, weight is float64"),
    (lambda: nn.GroupNorm(4, 6), ArgumentError, "GroupNorm: 6 channels do not make 4 groups"),
    (lambda: F.instance_norm(tl.zeros((2, 3, 1))), ShapeError,
     "instance_norm: there must be more than one value for each channel of a sample"),
    (lambda: F.instance_norm(tl.zeros((2, 3, 4)), use_input_stats=False), ArgumentError,
     "instance_norm: evaluation needs running_mean and running_var"),
    (lambda: nn.InstanceNorm2d(3)(tl.zeros((4, 2))), ShapeError, "InstanceNorm2d: the input must be "
     "[channels, height, width] or [batch, channels, height, width], it has 2 dimensions"),
    (lambda: nn.InstanceNorm1d(3, affine=True)(tl.zeros((4, 2))), ShapeError,
     "instance_norm: weight must have shape [4], one number for each channel"),
    (lambda: nn.BatchNorm3d(3)(tl.zeros((4, 2))), ShapeError, "BatchNorm3d: the input must be "
     "[batch, channels, depth, height, width], it has 2 dimensions"),
    (lambda: F.rms_norm(tl.zeros((2, 3)), (2,)), ShapeError,
     "rms_norm: the input must end in the normalized shape [2]"),
    (lambda: F.rms_norm(tl.zeros((2, 3)), (3,), tl.ones(2)), ShapeError,
     "rms_norm: weight must have the normalized shape [3]"),
    (lambda: F.rms_norm(tl.zeros((2, 3)), ()), ShapeError, "rms_norm: the input must end in the normalized shape []"),
    (lambda: F.rms_norm(tl.zeros((2, 3), dtype=tl.int64), 3), DTypeError,
     "rms_norm: takes real floating dtypes, not int64"),
    (lambda: F.local_response_norm(tl.zeros((2, 3)), 2), ShapeError,
     "local_response_norm: the input must be [batch, channels, length, ...]"),
    (lambda: F.local_response_norm(tl.zeros((2, 3, 1)), 0), ArgumentError,
     "local_response_norm: a window has 1 channel or more, not 0"),
    (lambda: nn.CrossMapLRN2d(3)(tl.zeros((2, 3))), ShapeError,
     "CrossMapLRN2d: the input must be [batch, channels, height, width], it has 2 dimensions"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text


LARGE = {
    "group": (lambda library, x, w, b: library.group_norm(x, 8, w, b, 1e-3), (32,)),
    "instance": (lambda library, x, w, b: library.instance_norm(x, weight=w, bias=b, eps=1e-3), (32,)),
    "batch": (lambda library, x, w, b: library.batch_norm(x, None, None, w, b, True, eps=1e-3), (32,)),
    "layer": (lambda library, x, w, b: library.layer_norm(x, (48, 20), w, b, 1e-3), (48, 20)),
    "rms": (lambda library, x, w, b: library.rms_norm(x, (48, 20), w, 1e-3) + b, (48, 20)),
}


@pytest.mark.parametrize("dtype", [tl.float32, tl.float64, tl.float16], ids=str)
@pytest.mark.parametrize("name", LARGE)
def test_native_derivatives_of_large_arrays_agree_with_torch(name, dtype):
    from nn.against_torch import draw, torch
    norm, affine = LARGE[name]
    arrays = [(draw(*shape, seed=k) + 1).astype(dtype) for k, shape in enumerate([(4, 32, 48, 20), affine, affine])]
    weight = draw(4, 32, 48, 20, seed=9).astype(dtype)
    ours, theirs = [tl.tensor(a, requires_grad=True) for a in arrays], [
        torch.tensor(a.astype(np.float64), requires_grad=True) for a in arrays]
    norm(F, *ours).backward(tl.tensor(weight))
    norm(torch.nn.functional, *theirs).backward(torch.tensor(weight.astype(np.float64)))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.grad.dtype == dtype
        assert_close_to_scale(mine.grad, other.grad.numpy(), tolerance_of(dtype, terms=10).relative)
