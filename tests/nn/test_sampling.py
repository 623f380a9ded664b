"""grid_sample and affine_grid: every option against PyTorch, first and second derivatives, and NaN and infinities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.beside_torch import check_compiled, check_mapped, first_line
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

F = nn.functional
MODES, PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


@st.composite
def sampled(draw):
    """Shapes of an input and a grid, and options."""
    mode = draw(st.sampled_from(MODES))
    axes = 2 if mode == "bicubic" else draw(st.integers(2, 3))
    batch, channels = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    sizes, samples = ([draw(st.integers(1, 4)) for _ in range(axes)] for _ in range(2))
    options = {"mode": mode, "padding_mode": draw(st.sampled_from(PADDINGS)), "align_corners": draw(st.booleans())}
    return (batch, channels, *sizes), (batch, *samples, axes), options


@settings(max_examples=80)
@given(case=sampled())
def test_samples_agree_with_torch(case):
    from nn.against_torch import compare, draw, torch
    shape, grid, options = case
    compare(lambda x, g: F.grid_sample(x, g, **options),
            lambda x, g: torch.nn.functional.grid_sample(x, g, **options), draw(*shape), draw(*grid), terms=1000)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("mode", MODES)
def test_places_on_elements_and_sides_agree_with_torch(mode, padding_mode, align_corners):
    """The derivative is one-sided there: of the element that the place is on or after, and none where it is clipped."""
    from nn.against_torch import torch
    options = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
    x, lines = normal(1, 2, 5, 5), np.array([-2, -1.5, -1, -0.75, -0.5, -0.25, 0, 0.5, 0.75, 1, 1.25, 1.5, 3.0])
    grid = np.stack(np.meshgrid(lines, lines), -1)[None]
    ours, theirs = tl.tensor(grid, requires_grad=True), torch.tensor(grid, requires_grad=True)
    y = F.grid_sample(tl.tensor(x), ours, **options)
    z = torch.nn.functional.grid_sample(torch.tensor(x), theirs, **options)
    assert_close(y, z.detach().numpy(), terms=20)
    y.sum().backward()
    z.sum().backward()
    assert_close(ours.grad, theirs.grad.numpy(), terms=400)


@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("mode", MODES)
def test_nan_and_infinities_are_sampled_as_in_torch(mode, padding_mode):
    from nn.against_torch import torch
    x, bad = normal(1, 2, 3, 3), (np.nan, np.inf, -np.inf, 0.3)
    grid = np.stack(np.meshgrid(bad, bad), -1)[None]
    options = {"mode": mode, "padding_mode": padding_mode, "align_corners": False}
    expected = torch.nn.functional.grid_sample(torch.tensor(x), torch.tensor(grid), **options)
    assert_close(F.grid_sample(tl.tensor(x), tl.tensor(grid), **options), expected.numpy(), terms=20)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_sampled_of_nothing(mode):
    for images, channels, rows in ((0, 2, 3), (2, 0, 3), (2, 2, 0)):
        x, grid = tl.zeros((images, channels, 4, 5)), tl.zeros((images, rows, 1, 2))
        assert F.grid_sample(x, grid, mode).shape == (images, channels, rows, 1)


@pytest.mark.parametrize(("mode", "size"), [("bilinear", (4, 3)), ("bicubic", (4, 5)), ("bilinear", (3, 2, 4))])
def test_derivatives_agree_with_differences(mode, size):
    x = tl.tensor(normal(2, 2, *size), requires_grad=True)
    grid = tl.tensor(normal(2, *(2,) * len(size), len(size)) * 0.6, requires_grad=True)
    assert tl.autograd.gradcheck(lambda x, g: F.grid_sample(x, g, mode, align_corners=False), (x, grid))


@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("mode", MODES)
def test_compiled_and_mapped_it_gives_the_same(mode, padding_mode):
    def sample(x, g):
        return F.grid_sample(x, g, mode, padding_mode, align_corners=False)
    check_compiled(sample, normal(2, 3, 4, 5), normal(2, 3, 3, 2), terms=20)
    check_mapped(sample, normal(3, 2, 2, 4, 5), normal(3, 2, 3, 3, 2), terms=20)


def test_many_channels_are_sampled_as_few_are():
    """Those of many are fetched by rows, the channels last."""
    random = np.random.default_rng(0)
    x, grid, g = (tl.tensor(random.uniform(-1.2, 1.2, shape)) for shape in ((2, 33, 5, 4), (2, 3, 2, 2), (2, 33, 3, 2)))

    def slopes(x, grid, g):
        out, pull = tl.vjp(lambda x, grid: nn.functional.grid_sample(x, grid, align_corners=False), x, grid)
        return out, *pull(g)
    parts = [slopes(x[:, i:i + 11], grid, g[:, i:i + 11]) for i in range(0, 33, 11)]
    expected = [np.concatenate([part[k].numpy() for part in parts], axis=1) for k in range(2)]
    expected.append(np.sum([part[2].numpy() for part in parts], axis=0))
    for run in (slopes, tl.jit(slopes)):
        for found, wanted in zip(run(x, grid, g), expected, strict=True):
            assert_close(found, wanted, terms=33)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_narrow_dtypes_are_summed_in_float32(dtype):
    x, grid = normal(1, 2, 4, 4).astype(np.float16), (normal(1, 3, 3, 2) / 2).astype(np.float16)
    narrow = [tl.tensor(a.astype(np.float32)).to(getattr(tl, dtype)) for a in (x, grid)]
    found = F.grid_sample(*narrow, "bicubic")
    assert found.dtype.name == dtype
    assert_same(found, F.grid_sample(*(a.float() for a in narrow), "bicubic").to(getattr(tl, dtype)).numpy())


# --- grids --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Default grid_sample", "ignore:Since version 1.3.0")
@settings(max_examples=30)
@given(size=st.lists(st.integers(1, 4), min_size=4, max_size=5), align_corners=st.none() | st.booleans())
def test_grids_agree_with_torch(size, align_corners):
    from nn.against_torch import compare, draw, torch
    axes = len(size) - 2
    compare(lambda t: F.affine_grid(t, size, align_corners),
            lambda t: torch.nn.functional.affine_grid(t, size, align_corners), draw(size[0], axes, axes + 1), terms=64)


@pytest.mark.parametrize("align_corners", [False, True])
def test_the_grid_of_no_map_samples_the_images_themselves(align_corners):
    x = tl.tensor(normal(2, 3, 4, 5))
    grid = F.affine_grid(tl.tensor(np.eye(2, 3)[None].repeat(2, 0)), x.shape, align_corners)
    assert_close(F.grid_sample(x, grid, align_corners=align_corners, padding_mode="border"), x.numpy(), terms=20)


def test_grids_are_compiled_and_mapped():
    check_compiled(lambda t: F.affine_grid(t, (2, 3, 4, 5)), normal(2, 2, 3), terms=4)
    check_mapped(lambda t: F.affine_grid(t, (2, 1, 2, 3, 4)), normal(3, 2, 3, 4), terms=4)


IMAGE, GRID = tl.zeros((2, 3, 4, 5)), tl.zeros((2, 2, 2, 2))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: F.grid_sample(IMAGE, GRID, "linear"), ArgumentError,
     "grid_sample: mode must be 'bilinear' or 'nearest' or 'bicubic', not 'linear'"),
    (lambda: F.grid_sample(IMAGE, GRID, padding_mode="circular"), ArgumentError,
     "grid_sample: padding_mode must be 'zeros' or 'border' or 'reflection', not 'circular'"),
    (lambda: F.grid_sample(IMAGE[0], GRID), ShapeError,
     "grid_sample: takes images [batch, channels, height, width] or volumes [batch, channels, depth, height, width], "
     "the input has 3 dimensions"),
    (lambda: F.grid_sample(IMAGE, GRID[0]), ShapeError,
     "grid_sample: input and grid must have as many dimensions, they have 4 and 3"),
    (lambda: F.grid_sample(IMAGE, GRID[..., :1]), ShapeError,
     "grid_sample: the last axis of the grid holds 2 coordinates, not 1"),
    (lambda: F.grid_sample(IMAGE, GRID[:1]), ShapeError,
     "grid_sample: there must be a grid for each of 2 inputs, there are 1"),
    (lambda: F.grid_sample(IMAGE[:, :, :0], GRID), ShapeError,
     "grid_sample: an input without elements cannot be sampled"),
    (lambda: F.grid_sample(tl.zeros((1, 1, 2, 2, 2)), tl.zeros((1, 1, 1, 1, 3)), "bicubic"), ArgumentError,
     "grid_sample: mode='bicubic' is for images"),
    (lambda: F.grid_sample(IMAGE, GRID.double()), DTypeError,
     "grid_sample: input and grid must have one real floating dtype"),
    (lambda: F.grid_sample(IMAGE.int(), GRID.int()), DTypeError,
     "grid_sample: input and grid must have one real floating dtype"),
    (lambda: F.grid_sample(IMAGE, [0.0]), DTypeError, "grid_sample: grid must be a tensor, not list"),
    (lambda: F.affine_grid(tl.zeros((1, 2, 3)), (1, 1, 2)), ShapeError,
     "affine_grid: size must be (batch, channels, height, width) or (batch, channels, depth, height, width), "
     "not (1, 1, 2)"),
    (lambda: F.affine_grid(tl.zeros((1, 2, 3)), (1, 1, 2, 2, 2)), ShapeError,
     "affine_grid: theta must be [1, 3, 4] for the size (1, 1, 2, 2, 2)"),
    (lambda: F.affine_grid(tl.zeros((1, 2, 3)), (2, 1, 2, 2)), ShapeError,
     "affine_grid: theta must be [2, 2, 3] for the size (2, 1, 2, 2)"),
    (lambda: F.affine_grid(tl.zeros((1, 2, 3)), (1, 1, 0, 2)), ShapeError,
     "affine_grid: the output must have elements, not the size (1, 1, 0, 2)"),
    (lambda: F.affine_grid(tl.zeros((1, 2, 3)), (1, 1, 2.0, 2)), DTypeError,
     "affine_grid: size must be a sequence of integers, not (1, 1, 2.0, 2)"),
    (lambda: F.affine_grid(tl.zeros((1, 2, 3), dtype=tl.int64), (1, 1, 2, 2)), DTypeError,
     "affine_grid: theta must be real floating"),
])
def test_what_does_not_fit_is_named(call, error, text):
    assert first_line(call, error) == text
