"""Interpolation in every mode beside PyTorch, its layers, and the tables that it is made of."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError
from tensorlite.nn import functional as F
from tensorlite.ops.images.resample_tables import Stretch, tables

ANY = ("nearest", "nearest-exact", "area")
MODES = {1: (*ANY, "linear"), 2: (*ANY, "bilinear", "bicubic", "lanczos"), 3: (*ANY, "trilinear")}
SMOOTH = ("linear", "bilinear", "trilinear", "bicubic")


@st.composite
def requests(draw):
    """A shape and options that fit it."""
    axes = draw(st.sampled_from([1, 2, 3]))
    mode = draw(st.sampled_from(MODES[axes]))
    size = [draw(st.integers(1, 7)) for _ in range(axes)]
    options = {"mode": mode}
    if draw(st.booleans()):
        options["size"] = draw(st.tuples(*[st.integers(1, 9)] * axes) | st.integers(1, 9))
    else:
        factor = st.sampled_from([0.5, 1.0, 1.3, 1.7, 2, 2.6, 3.0])
        options["scale_factor"] = draw(st.tuples(*[factor] * axes) | factor)
        options["recompute_scale_factor"] = draw(st.sampled_from([None, False, True]))
    if mode in SMOOTH:
        options["align_corners"] = draw(st.sampled_from([None, False, True]))
    if mode in ("bilinear", "bicubic"):
        options["antialias"] = draw(st.booleans())
    if mode == "lanczos":
        options["antialias"] = True
    return [2, 2, *size], options


def counts(shape, options):
    wanted = options.get("size", options.get("scale_factor"))
    wanted = wanted if isinstance(wanted, tuple) else (wanted,) * (len(shape) - 2)
    return [n if "size" in options else int(m * n) for m, n in zip(shape[2:], wanted, strict=True)]


@settings(max_examples=80, deadline=None)
@given(request=requests())
@example(request=([1, 2, 5, 7], {"mode": "bicubic", "size": (3, 4), "antialias": True}))
def test_values_and_derivatives_agree_with_torch(request):
    from nn.against_torch import compare, draw, torch
    shape, options = request
    wanted = counts(shape, options)
    assume(min(wanted) > 0)
    if options["mode"] == "nearest":  # PyTorch takes a factor near 2 for 2 where exactly twice the elements come of it
        assume(not any(m == 2 * n for m, n in zip(wanted, shape[2:], strict=True)) or "size" in options)
    if options.get("antialias"):  # PyTorch 2.13 repeats the first row where one column comes out
        assume(wanted[1] > 1)
    compare(lambda x: F.interpolate(x, **options), lambda x: torch.nn.functional.interpolate(x, **options),
            draw(*shape), terms=400)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("factor", [2, 3, 0.5])
def test_usual_factors_agree_with_torch_in_float32(mode, factor):
    from nn.against_torch import draw, torch
    x = draw(2, 3, 12, 16).astype(np.float32)
    ours = F.interpolate(tl.tensor(x), scale_factor=factor, mode=mode)
    theirs = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=factor, mode=mode)
    assert_close(ours, theirs.numpy(), terms=16)


def test_older_names_agree_with_torch():
    from nn.against_torch import draw, torch
    x = draw(1, 2, 4, 5)
    for name, options in (("upsample", {"scale_factor": 2, "mode": "bilinear", "align_corners": True}),
                          ("upsample_nearest", {"size": (7, 9)}), ("upsample_bilinear", {"scale_factor": 3})):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are deprecated there
            theirs = getattr(torch.nn.functional, name)(torch.tensor(x), **options)
        assert_close(getattr(F, name)(tl.tensor(x), **options), theirs.numpy(), terms=16)


@pytest.mark.parametrize(("name", "options"), [
    ("Upsample", {"scale_factor": (2, 3)}), ("Upsample", {"size": 7, "mode": "bicubic", "align_corners": True}),
    ("UpsamplingNearest2d", {"size": (3, 9)}), ("UpsamplingBilinear2d", {"scale_factor": 2}),
    ("Upsample", {"scale_factor": 2.5, "mode": "bilinear", "recompute_scale_factor": True})])
def test_layers_agree_with_torch(name, options):
    from nn.against_torch import draw, torch
    ours, theirs = getattr(nn, name)(**options), getattr(torch.nn, name)(**options)
    assert repr(ours) == repr(theirs)
    x = draw(2, 3, 5, 6)
    assert_close(ours(tl.tensor(x)), theirs(torch.tensor(x)).numpy(), terms=16)


def defaults(function):
    return [(name, p.default) for name, p in inspect.signature(function).parameters.items()]


@pytest.mark.parametrize("name", ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"])
def test_functions_have_torchs_signatures(name):
    from nn.against_torch import torch
    assert defaults(getattr(F, name)) == defaults(getattr(torch.nn.functional, name))


@pytest.mark.parametrize("name", ["Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"])
def test_layers_have_torchs_signatures(name):
    from nn.against_torch import torch
    assert defaults(getattr(nn, name)) == defaults(getattr(torch.nn, name))


# --- laws ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["linear", "cubic"]), antialias=st.booleans(), size=st.integers(1, 12),
       count=st.integers(1, 12), align_corners=st.booleans(), factor=st.none() | st.floats(0.3, 4.0))
def test_a_constant_stays_and_tables_are_transposes(kind, antialias, size, count, align_corners, factor):
    places, weights, back_places, back_weights = tables(
        kind, antialias, Stretch(size, count, factor, align_corners), np.dtype(np.float64))
    matrix, back = np.zeros((count, size)), np.zeros((size, count))
    for terms, columns, into in ((places, weights, matrix), (back_places, back_weights, back)):
        for row, weight in zip(terms, columns, strict=True):
            np.add.at(into, (np.arange(into.shape[0]), row), weight)
    assert_close(matrix.sum(axis=1), np.ones(count), terms=16)
    assert_close(back, matrix.T)


def test_corners_that_are_aligned_stay():
    x = tl.tensor(np.random.default_rng(0).standard_normal((1, 2, 4, 5)))
    for mode in ("bilinear", "bicubic"):
        y = F.interpolate(x, size=(9, 11), mode=mode, align_corners=True)
        for row in (0, -1):
            for column in (0, -1):
                assert_close(y[..., row, column], x[..., row, column])


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_images_of_bytes_are_taken_by_their_nearest_pixels(mode):
    from nn.against_torch import torch
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 5, 6)).astype(np.uint8)
    ours = F.interpolate(tl.tensor(x), size=(8, 4), mode=mode)
    assert_same(ours, torch.nn.functional.interpolate(torch.tensor(x), size=(8, 4), mode=mode).numpy())


@settings(max_examples=40, deadline=None)
@given(mode=st.sampled_from(["bilinear", "bicubic"]), antialias=st.booleans(), align_corners=st.booleans(),
       size=st.tuples(st.integers(2, 9), st.integers(2, 9)), count=st.tuples(st.integers(2, 12), st.integers(2, 12)))
def test_images_of_bytes_are_torchs_to_the_bit(mode, antialias, align_corners, size, count):
    from nn.against_torch import torch
    x = np.random.default_rng(size).integers(0, 256, (1, 3, *size)).astype(np.uint8)
    options = {"size": count, "mode": mode, "antialias": antialias, "align_corners": align_corners}
    assert_same(F.interpolate(tl.tensor(x), **options),
                torch.nn.functional.interpolate(torch.tensor(x), **options).numpy())


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16])
def test_narrow_dtypes_are_rounded_once(dtype):
    x = tl.tensor(np.random.default_rng(0).standard_normal((1, 2, 6, 7))).to(dtype)
    for mode in ("bilinear", "bicubic", "nearest"):
        expected = F.interpolate(x.to(tl.float64), size=(9, 5), mode=mode)
        assert_close(F.interpolate(x, size=(9, 5), mode=mode), expected, dtype=dtype)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest", "area"])
def test_nan_and_infinity_are_felt_where_torch_feels_them(mode):
    from nn.against_torch import draw, torch
    x = draw(1, 1, 8, 9)
    x[0, 0, 2, 3], x[0, 0, 6, 7] = np.nan, np.inf
    expected = torch.nn.functional.interpolate(torch.tensor(x), size=(13, 5), mode=mode)
    assert_close(F.interpolate(tl.tensor(x), size=(13, 5), mode=mode), expected.numpy(), terms=16)


@pytest.mark.parametrize("options", [
    {"mode": "nearest", "scale_factor": 2}, {"mode": "bilinear", "size": (9, 4)}, {"mode": "area", "size": (3, 3)},
    {"mode": "bicubic", "size": (3, 12), "antialias": True}], ids=lambda o: o["mode"])
def test_compiled_and_mapped_interpolation_is_the_eager_one(options):
    def function(x):
        return F.interpolate(x, **options)

    def slope(x):
        return tl.grad(lambda a: (function(a) ** 2).sum())(x)

    x = tl.tensor(np.random.default_rng(0).standard_normal((3, 2, 3, 6, 7)).astype(np.float32))
    for each in (function, slope):
        expected = tl.stack([each(x[i]) for i in range(3)])
        assert_close(tl.vmap(each)(x), expected, terms=30)
        assert_close(tl.jit(tl.vmap(each))(x), expected, terms=30)
        assert_close(tl.jit(each)(x[0]), expected[0], terms=30)


@pytest.mark.parametrize("mode", ["nearest", "area", "bilinear"])
def test_it_and_its_derivative_compile_to_kernels_alone(mode):
    compiled = tl.jit(tl.grad(lambda x: (F.interpolate(x, size=(12, 5), mode=mode) ** 2).sum()))
    compiled(tl.ones((1, 2, 8, 8)))
    assert not compiled.explain().edges


X = tl.zeros((1, 2, 5, 4))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: F.interpolate(X), ArgumentError,
     "interpolate: either size or scale_factor must be given, neither was"),
    (lambda: F.interpolate(X, 3, 2), ArgumentError,
     "interpolate: either size or scale_factor must be given, both were"),
    (lambda: F.interpolate(X, 3, recompute_scale_factor=True), ArgumentError,
     "interpolate: recompute_scale_factor has no meaning beside size"),
    (lambda: F.interpolate(X, 3, mode="cubic"), ArgumentError,
     "interpolate: mode must be one of 'linear', 'bilinear', 'trilinear', 'bicubic', 'lanczos', 'nearest', "
     "'nearest-exact', 'area', not 'cubic'"),
    (lambda: F.interpolate(X, 3, mode="area", align_corners=False), ArgumentError,
     "interpolate: align_corners is an option of 'linear', 'bilinear', 'trilinear', 'bicubic', 'lanczos', "
     "not of 'area'"),
    (lambda: F.interpolate(X, 3, mode="lanczos"), ArgumentError,
     "interpolate: mode 'lanczos' is there with antialias=True and without align_corners"),
    (lambda: F.interpolate(X, 3, mode="linear"), ShapeError,
     "interpolate: mode 'linear' takes [batch, channels, length], input has 4 dimensions"),
    (lambda: F.interpolate(X[0, 0], 3), ShapeError,
     "interpolate: mode 'nearest' takes [batch, channels, length] or [batch, channels, height, width] or "
     "[batch, channels, depth, height, width], input has 2 dimensions"),
    (lambda: F.interpolate(X, 3, mode="area", antialias=True), ArgumentError,
     "interpolate: antialias is an option of 'bilinear', 'bicubic', 'lanczos', not of 'area'"),
    (lambda: F.interpolate(X, (3, 4, 5)), ShapeError, "interpolate: size has 3 numbers for 2 axes"),
    (lambda: F.interpolate(X, (3.5, 4)), DTypeError, "interpolate: size must be integers, not (3.5, 4)"),
    (lambda: F.interpolate(X, scale_factor=0.1), ShapeError,
     "interpolate: sizes must be at least 1: the height is 5 and is to be 0"),
    (lambda: F.interpolate(X[:, :, :, :0], 3), ShapeError,
     "interpolate: takes images with elements, of width there are 0"),
    (lambda: F.interpolate(X.to(tl.int64), 3, mode="bilinear"), DTypeError,
     "interpolate: takes real floating dtypes, not int64"),
    (lambda: nn.Upsample(size=3, mode="trilinear")(X), ShapeError,
     "interpolate: mode 'trilinear' takes [batch, channels, depth, height, width], input has 4 dimensions"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
