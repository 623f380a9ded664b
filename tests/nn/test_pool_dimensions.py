"""Pooling of sequences, images and volumes by every option, their layers and unpooling, beside PyTorch."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, IndexingError, ShapeError
from tensorlite.nn import functional as F

SOME = settings(max_examples=25, deadline=None)


def per_axis(axes, least, most):
    """An integer, or one for each axis."""
    return st.integers(least, most) | st.tuples(*[st.integers(least, most)] * axes)


def each(value, axes):
    return value if isinstance(value, tuple) else (value,) * axes


@st.composite
def pools(draw, dimensions=(1, 2, 3), dilated=False):
    """The number of axes, the shape of an input, a kernel that fits, and how it slides."""
    axes = draw(st.sampled_from(dimensions))
    kernel, stride = draw(per_axis(axes, 1, 3)), draw(st.none() | per_axis(axes, 1, 3))
    dilation = draw(per_axis(axes, 1, 2)) if dilated else 1
    spans = [d * (k - 1) + 1 for k, d in zip(each(kernel, axes), each(dilation, axes), strict=True)]
    padding = tuple(draw(st.integers(0, n // 2)) for n in spans)
    size = [draw(st.integers(max(1, n - p), n + 4)) for n, p in zip(spans, padding, strict=True)]
    batch = [2] if draw(st.booleans()) else []
    options = {"stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())}
    return axes, [*batch, 2, *size], kernel, {**options, "dilation": dilation} if dilated else options


def both(name, axes):
    """Our function and PyTorch's."""
    from nn.against_torch import torch
    return getattr(F, f"{name}{axes}d"), getattr(torch.nn.functional, f"{name}{axes}d")


def torch_takes(call, *arguments, **options):
    """Whether PyTorch takes a geometry; what it refuses is refused here, too."""
    from nn.against_torch import torch
    try:
        call(torch.zeros(arguments[0]), *arguments[1:], **options)
    except RuntimeError:
        return False
    return True


@SOME
@given(pool=pools(dilated=True))
def test_maxima_agree_with_torch(pool):
    from nn.against_torch import compare, draw, torch
    axes, shape, kernel, options = pool
    ours, theirs = both("max_pool", axes)
    assume(torch_takes(theirs, shape, kernel, **options))
    compare(lambda x: ours(x, kernel, **options), lambda x: theirs(x, kernel, **options), draw(*shape))
    x = np.round(draw(*shape))
    x.reshape(-1)[::7] = np.nan
    found = ours(tl.tensor(x), kernel, **options, return_indices=True)
    expected = theirs(torch.tensor(x), kernel, **options, return_indices=True)
    for mine, other in zip(found, expected, strict=True):
        assert_same(mine, other.numpy())


@SOME
@given(pool=pools(), count_include_pad=st.booleans(), divisor_override=st.none() | st.integers(1, 5))
def test_averages_agree_with_torch(pool, count_include_pad, divisor_override):
    from nn.against_torch import compare, draw
    axes, shape, kernel, options = pool
    options["count_include_pad"] = count_include_pad
    if axes > 1:
        options["divisor_override"] = divisor_override
    ours, theirs = both("avg_pool", axes)
    assume(torch_takes(theirs, shape, kernel, **options))
    compare(lambda x: ours(x, kernel, **options), lambda x: theirs(x, kernel, **options), draw(*shape), terms=64)


@SOME
@given(pool=pools(), count_include_pad=st.booleans())
def test_integers_agree_with_torch(pool, count_include_pad):
    from nn.against_torch import torch
    axes, shape, kernel, options = pool
    x = np.random.default_rng(shape).integers(-9, 9, shape)
    for name in ("avg_pool", "max_pool"):
        ours, theirs = both(name, axes)
        assume(torch_takes(theirs, shape, kernel, **options))
        if name == "max_pool" and axes == 1:
            continue  # PyTorch has no maxima of integer sequences
        more = {"count_include_pad": count_include_pad} if name == "avg_pool" else {}
        assert_same(ours(tl.tensor(x), kernel, **options, **more),
                    theirs(torch.tensor(x), kernel, **options, **more).numpy())


@SOME
@given(pool=pools(), power=st.sampled_from([1, 2, 3.0, 2.5]))
def test_power_averages_agree_with_torch(pool, power):
    from nn.against_torch import compare, draw
    axes, shape, kernel, options = pool
    del options["padding"]
    ours, theirs = both("lp_pool", axes)
    kernel = each(kernel, axes) if axes > 1 else each(kernel, axes)[0]
    assume(torch_takes(theirs, shape, power, kernel, **options))
    compare(lambda x: ours(x, power, kernel, **options), lambda x: theirs(x, power, kernel, **options),
            np.abs(draw(*shape)) + 0.5, terms=640)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_empty_batches_have_empty_results(axes):
    x = tl.tensor(np.zeros((0, 2, *(4,) * axes)), requires_grad=True)
    for name in ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool"):
        y = getattr(F, f"{name}{axes}d")(x, 2)
        assert y.shape == (0, 2, *(2,) * axes)
        assert tl.autograd.grad(y.sum(), [x])[0].shape == x.shape


def test_a_power_average_of_zeros_has_no_derivative():
    x = tl.tensor([[[0.0, 0.0, 0.0, 0.0]]], requires_grad=True)
    F.lp_pool1d(x, 2, 2).sum().backward()
    assert_same(x.grad, np.zeros((1, 1, 4), np.float32))


@SOME
@given(pool=pools(), data=st.data())
def test_unpooling_agrees_with_torch(pool, data):
    from nn.against_torch import compare, draw, torch
    axes, shape, kernel, options = pool
    del options["ceil_mode"]
    ours, theirs = both("max_pool", axes)
    assume(torch_takes(theirs, shape, kernel, **options))
    y, places = theirs(torch.tensor(draw(*shape)), kernel, **options, return_indices=True)
    size = data.draw(st.sampled_from([shape[-axes:], [1, 1, *shape[-axes:]]]))
    ours, theirs = both("max_unpool", axes)
    indices = tl.tensor(places.numpy())
    compare(lambda x: ours(x, indices, kernel, **options, output_size=size),
            lambda x: theirs(x, places, kernel, **options, output_size=size), y.numpy())


def test_unpooling_goes_back_to_the_least_size_that_was_pooled():
    x = tl.rand(2, 3, 6, 8)
    y, places = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(y, places, 2)
    assert back.shape == x.shape
    assert_same(F.max_pool2d(back, 2), y)


def layers():
    """Layers and shapes of inputs, by what builds them in our library or PyTorch's."""
    for axes in (1, 2, 3):
        shape = (2, 3, *(7,) * axes)
        yield f"MaxPool{axes}d", (3, 2, 1, 1, False, True), shape
        yield f"AvgPool{axes}d", (3, 2, 1), shape
        yield f"LPPool{axes}d", (2, 3, 2, True), shape
        yield f"AdaptiveAvgPool{axes}d", (3,), shape
        yield f"AdaptiveMaxPool{axes}d", (3,), shape


@pytest.mark.parametrize(("name", "options", "shape"), list(layers()), ids=lambda value: str(value))
def test_layers_agree_with_torch(name, options, shape):
    from nn.against_torch import draw, torch
    ours, theirs = getattr(nn, name)(*options), getattr(torch.nn, name)(*options)
    assert repr(ours) == repr(theirs)
    x = draw(*shape)
    assert_close(ours(tl.tensor(x)), theirs(torch.tensor(x)).numpy(), terms=400)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_unpooling_layers_agree_with_torch(axes):
    from nn.against_torch import draw, torch
    x = draw(2, 3, *(7,) * axes)
    results = []
    for library, made in ((nn, tl.tensor(x)), (torch.nn, torch.tensor(x))):
        pool = getattr(library, f"MaxPool{axes}d")(3, 2, 1, return_indices=True)
        back = getattr(library, f"MaxUnpool{axes}d")(3, 2, 1)
        results += [repr(back), back(*pool(made)), back(*pool(made), output_size=(8,) * axes)]
    assert results[0] == results[3]
    for ours, theirs in zip(results[1:3], results[4:], strict=True):
        assert_same(ours, theirs.numpy())


NAMES = [f"{name}{axes}d" for axes in (1, 2, 3) for name in (
    "MaxPool", "AvgPool", "LPPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "FractionalMaxPool", "MaxUnpool")]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "FractionalMaxPool1d"])
def test_layers_have_torchs_signatures(name):
    from nn.against_torch import torch
    assert defaults(getattr(nn, name)) == defaults(getattr(torch.nn, name))


#: Functions of PyTorch's that show no signature, and what their pages say.
TOLD = {
    "max_pool{}d": [("input", ...), ("kernel_size", ...), ("stride", None), ("padding", 0), ("dilation", 1),
                    ("ceil_mode", False), ("return_indices", False)],
    "avg_pool1d": [("input", ...), ("kernel_size", ...), ("stride", None), ("padding", 0), ("ceil_mode", False),
                   ("count_include_pad", True)],
    "avg_pool2d": [("input", ...), ("kernel_size", ...), ("stride", None), ("padding", 0), ("ceil_mode", False),
                   ("count_include_pad", True), ("divisor_override", None)],
    "adaptive_avg_pool{}d": [("input", ...), ("output_size", ...)],
    "adaptive_max_pool{}d": [("input", ...), ("output_size", ...), ("return_indices", False)],
}


def defaults(function):
    return [(name, ... if p.default is p.empty else p.default) for name, p in
            inspect.signature(function).parameters.items()]


@pytest.mark.parametrize("name", list(TOLD))
def test_functions_have_the_parameters_that_are_documented(name):
    for axes in (1, 2, 3):
        assert defaults(getattr(F, name.format(axes))) == TOLD[name]


@pytest.mark.parametrize("name", [f"{name}_pool{axes}d{rest}" for axes in (1, 2, 3) for name, rest in (
    ("max", "_with_indices"), ("adaptive_max", "_with_indices"), ("lp", ""), ("fractional_max", "_with_indices"))
    if (name, axes) != ("fractional_max", 1)] + [f"max_unpool{axes}d" for axes in (1, 2, 3)])
def test_functions_have_torchs_signatures(name):
    from nn.against_torch import torch
    assert defaults(getattr(F, name)) == defaults(getattr(torch.nn.functional, name))


X = tl.zeros((1, 2, 5))
COMPILED = {
    "maxima of sequences": (lambda x: F.max_pool1d(x, 3, 2, 1, return_indices=True), (2, 3, 9)),
    "maxima of volumes": (lambda x: F.max_pool3d(x, 3, 2, 1, ceil_mode=True, return_indices=True), (2, 3, 6, 7, 8)),
    "averages of sequences": (lambda x: F.avg_pool1d(x, 3, 2, 1), (2, 3, 9)),
    "averages of volumes": (lambda x: F.avg_pool3d(x, 3, 2, 1, count_include_pad=False), (2, 3, 6, 7, 8)),
    "powers of images": (lambda x: F.lp_pool2d(x, 2, 3, 2), (2, 3, 9, 8)),
    "unpooling": (lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), (2, 3, 6, 8)),
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


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: F.max_pool1d(X, 6), ShapeError,
     "max_pool1d: the kernel covers 6 of the length, which with padding is 5"),
    (lambda: F.max_pool3d(tl.zeros((1, 1, 2, 5, 5)), 3), ShapeError,
     "max_pool3d: the kernel covers 3 of the depth, which with padding is 2"),
    (lambda: F.max_pool3d(X, 2), ShapeError,
     "max_pool3d: takes volumes [batch, channels, depth, height, width] or [channels, depth, height, width], "
     "x has 3 dimensions"),
    (lambda: F.avg_pool1d(X[:, :0], 2), ShapeError,
     "avg_pool1d: takes sequences with elements, of channels there are 0"),
    (lambda: F.max_pool1d(X[:, :, :0], 1), ShapeError,
     "max_pool1d: takes sequences with elements, of length there are 0"),
    (lambda: F.avg_pool1d(X, 2, padding=2), ArgumentError,
     "avg_pool1d: padding (2,) is more than half of the kernel (2,)"),
    (lambda: F.avg_pool1d(X, (2, 2)), DTypeError, "avg_pool1d: kernel_size must be an integer, not (2, 2)"),
    (lambda: F.avg_pool3d(tl.zeros((1, 2, 2, 2)), 2, divisor_override=0), ArgumentError,
     "avg_pool3d: divisor_override must not be zero"),
    (lambda: F.lp_pool1d(X.to(tl.complex64), 2, 2), DTypeError,
     "lp_pool1d: takes real floating dtypes, not complex64"),
    (lambda: F.max_unpool1d(X, X, 2), DTypeError, "max_unpool1d: indices must be a tensor of integers"),
    (lambda: F.max_unpool1d(X, tl.zeros((1, 2, 4), dtype=tl.int64), 2), ShapeError,
     "max_unpool1d: input and indices must have one shape"),
    (lambda: F.max_unpool1d(X, tl.full((1, 2, 5), 10), 2), IndexingError,
     "max_unpool1d: index 10 is out of range for a size of [10]"),
    (lambda: F.max_unpool1d(X, tl.zeros((1, 2, 5), dtype=tl.int64), 2, output_size=(13,)), ArgumentError,
     "max_unpool1d: output_size [13] is not possible: the length must be between 8 and 12"),
    (lambda: F.max_unpool1d(X, tl.zeros((1, 2, 5), dtype=tl.int64), 2, output_size=(9, 9)), ArgumentError,
     "max_unpool1d: output_size must have 1 or 3 extents, it has 2"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text


def test_places_of_maxima_of_one_window_compile():
    locate = lambda x: F.max_pool1d(x, 3, padding=1, return_indices=True)
    x = tl.reshape(tl.arange(12.0), (2, 2, 3))
    for found, expected in zip(tl.jit(locate)(x), locate(x), strict=True):
        assert_close(found, expected)
