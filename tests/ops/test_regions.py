"""Boxes and regions of images against slow programs from their definitions, and derivatives against differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.beside_torch import check_compiled, check_mapped, first_line
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, IndexingError, ShapeError

# --- the definitions, one number at a time ------------------------------------------------------------------------


def interpolated(image, y, x):
    """Between the four elements around a place (Mask R-CNN, section 3), which beyond the outermost are those."""
    height, width = image.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    low, high = y - top, x - left
    return ((1 - low) * ((1 - high) * image[top, left] + high * image[top, right])
            + low * ((1 - high) * image[bottom, left] + high * image[bottom, right]))


def aligned_region(image, box, size, scale, ratio, aligned):
    """One channel's region: the mean of regularly spaced samples in each bin."""
    x1, y1, x2, y2 = (corner * scale - (0.5 if aligned else 0.0) for corner in box)
    height, width = (side if aligned else max(side, 1.0) for side in (y2 - y1, x2 - x1))
    steps = height / size[0], width / size[1]
    counts = [ratio if ratio > 0 else max(math.ceil(step), 0) for step in steps]
    out = np.zeros(size)
    for p, q in np.ndindex(*size):
        samples = [interpolated(image, y1 + steps[0] * (p + (i + 0.5) / counts[0]),
                                x1 + steps[1] * (q + (j + 0.5) / counts[1])) for i, j in np.ndindex(*counts)]
        out[p, q] = sum(samples) / max(len(samples), 1)
    return out


def half_away(x):
    return math.copysign(math.floor(abs(x) + 0.5), x)


def pooled_region(image, box, size, scale):
    """One channel's region: the largest element of each bin of a box of whole elements (Fast R-CNN, section 2.1)."""
    x1, y1, x2, y2 = (half_away(corner * scale) for corner in box)
    steps = max(y2 - y1 + 1, 1) / size[0], max(x2 - x1 + 1, 1) / size[1]
    out = np.zeros(size)
    for p, q in np.ndindex(*size):
        (top, bottom), (left, right) = (
            [min(max(int(side(at * step) + first), 0), extent) for side, at in ((math.floor, n), (math.ceil, n + 1))]
            for n, step, first, extent in ((p, steps[0], y1, image.shape[0]), (q, steps[1], x1, image.shape[1])))
        out[p, q] = image[top:bottom, left:right].max() if top < bottom and left < right else 0.0
    return out


def all_regions(of_one, x, boxes, *options):
    found = [[of_one(channel, box[1:], *options) for channel in x[int(box[0])]] for box in boxes]
    return np.array(found).reshape(len(boxes), x.shape[1], *options[0])


# --- regions ------------------------------------------------------------------------------------------------------


@st.composite
def regions(draw):
    """Images, boxes in and around them that need not be well made, and a size."""
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    shape = (2, draw(st.integers(1, 2)), draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    count = draw(st.integers(0, 4))
    boxes = np.concatenate([random.integers(0, 2, (count, 1)), random.uniform(-3, 10, (count, 4))], axis=1)
    return random.standard_normal(shape), boxes, draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))


@settings(max_examples=60)
@given(case=regions(), scale=st.sampled_from([1.0, 0.5, 1.3]), ratio=st.sampled_from([-1, 0, 1, 2, 3]),
       aligned=st.booleans())
def test_roi_align_is_the_mean_of_samples(case, scale, ratio, aligned):
    x, boxes, size = case
    expected = all_regions(aligned_region, x, boxes, size, scale, ratio, aligned)
    assert_close(tl.roi_align(tl.tensor(x), tl.tensor(boxes), size, scale, ratio, aligned), expected, terms=200)


@settings(max_examples=60)
@given(case=regions(), scale=st.sampled_from([1.0, 0.5, 1.3]))
def test_roi_pool_is_the_maximum_of_bins(case, scale):
    x, boxes, size = case
    expected = all_regions(pooled_region, x, boxes, size, scale)
    assert_same(tl.roi_pool(tl.tensor(x), tl.tensor(boxes), size, scale), expected)


BOXES = np.array([[0, 0.3, 0.6, 4.2, 3.9], [1, -1.5, 1, 2.5, 9], [0, 3, 3, 3, 3], [1, 4, 4, 1, 1.5]])
FUNCTIONS = {
    "roi_align": lambda x: tl.roi_align(x, tl.tensor(BOXES), (2, 3), 1.1, -1, True),
    "roi_align of 2": lambda x: tl.roi_align(x, tl.tensor(BOXES), 2, sampling_ratio=2),
    "roi_pool": lambda x: tl.roi_pool(x, tl.tensor(BOXES), (2, 3), 0.8),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_agree_with_differences(name):
    x = tl.tensor(np.random.default_rng(0).standard_normal((2, 2, 5, 6)), requires_grad=True)
    assert tl.autograd.gradcheck(FUNCTIONS[name], (x,))
    assert tl.autograd.gradgradcheck(FUNCTIONS[name], (x,))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_and_mapped_they_give_the_same(name):
    x = np.random.default_rng(0).standard_normal((3, 2, 2, 5, 6))
    check_compiled(FUNCTIONS[name], x[0], terms=60)
    check_mapped(FUNCTIONS[name], x, terms=60)


@pytest.mark.parametrize("function", [tl.roi_align, tl.roi_pool])
def test_boxes_of_each_image_are_those_with_its_number(function):
    random = np.random.default_rng(0)
    x, boxes = tl.tensor(random.standard_normal((3, 2, 5, 6))), random.uniform(0, 5, (4, 4))
    numbered = np.concatenate([np.array([[0.0], [0], [2], [2]]), boxes], axis=1)
    listed = [tl.tensor(part) for part in (boxes[:2], boxes[:0], boxes[2:])]
    assert_same(function(x, listed, 2), function(x, tl.tensor(numbered), 2).numpy())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_dtypes_are_averaged_in_float32(dtype):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 6)).astype(np.float32)
    narrow, boxes = tl.tensor(x).to(getattr(tl, dtype)), tl.tensor(np.round(BOXES)).to(getattr(tl, dtype))
    for function in (tl.roi_align, tl.roi_pool):
        found, expected = function(narrow, boxes, 3), function(narrow.float(), boxes.float(), 3)
        assert_same(found, expected.to(getattr(tl, dtype)).numpy())


def test_boxes_that_are_nowhere_give_zeros_and_nan_is_the_maximum():
    x = tl.ones((1, 1, 4, 4))
    nowhere = tl.tensor([[0, np.nan, 0, 3, 3], [0, -np.inf, 0, np.inf, 3], [0, 50, 50, 60, 60]], dtype=tl.float32)
    assert_same(tl.roi_align(x, nowhere, 1), np.zeros((3, 1, 1, 1), np.float32))
    assert_same(tl.roi_pool(x, nowhere[2:], 1), np.zeros((1, 1, 1, 1), np.float32))
    spoilt = x.numpy().copy()
    spoilt[0, 0, 1, 1] = np.nan
    box = tl.tensor([[0.0, 0, 0, 3, 3]])
    assert_same(tl.roi_pool(tl.tensor(spoilt), box, (1, 2)), np.array([[[[np.nan, 1.0]]]], np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pools_of_many_regions_are_those_of_single_ones(dtype):
    """Kernels compute large ones, and NumPy small ones."""
    random = np.random.default_rng(0)
    x = tl.tensor(random.integers(0, 9, (2, 16, 20, 24)).astype(dtype))
    boxes = np.concatenate([random.integers(0, 2, (40, 1)), random.uniform(-3, 26, (40, 4))], axis=1).astype(dtype)
    found = tl.roi_pool(x, tl.tensor(boxes), 7)
    assert_same(found, np.concatenate([tl.roi_pool(x, tl.tensor(box), 7).numpy() for box in boxes[:, None]]))
    assert_same(tl.jit(tl.roi_pool)(x, tl.tensor(boxes), 7), found.numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ratio", [-1, 2])
def test_averages_of_many_regions_are_those_of_single_ones(dtype, ratio):
    """The same, and where cotangents go."""
    random = np.random.default_rng(0)
    x = tl.tensor(random.normal(size=(2, 40, 20, 24)).astype(dtype))
    boxes = np.concatenate([random.integers(0, 2, (30, 1)), random.uniform(-3, 26, (30, 4))], axis=1).astype(dtype)
    g = tl.tensor(random.normal(size=(30, 40, 3, 2)).astype(dtype))

    def pool(x, boxes):
        return tl.roi_align(x, boxes, (3, 2), 0.9, ratio)
    single = [tl.vjp(lambda x, box=box: pool(x[:, :2], tl.tensor(box)), x) for box in boxes[:, None]]
    expected = np.concatenate([out.numpy() for out, _ in single])
    slope = np.sum([pull(g[i:i + 1, :2])[0].numpy() for i, (_, pull) in enumerate(single)], axis=0)
    for run in (pool, tl.jit(pool)):
        found, pull = tl.vjp(lambda x, run=run: run(x, tl.tensor(boxes)), x)
        assert_close(found.numpy()[:, :2], expected)
        assert_close(pull(g)[0].numpy()[:, :2], slope[:, :2], terms=boxes.shape[0] * 4)


@pytest.mark.parametrize("run", [tl.roi_pool, tl.jit(tl.roi_pool), tl.roi_align, tl.jit(tl.roi_align)])
def test_a_box_in_an_image_that_is_not_there_is_refused_by_kernels_too(run):
    x, boxes = tl.zeros((2, 16, 20, 24)), np.zeros((40, 5), np.float32)
    boxes[7, 0] = 2
    assert first_line(lambda: run(x, tl.tensor(boxes), 7), IndexingError).endswith(
        ": a box lies in image 2, there are 2")


def test_the_first_of_equal_maxima_carries_the_derivative():
    x = tl.tensor(np.zeros((1, 1, 2, 3), np.float32), requires_grad=True)
    tl.roi_pool(x, tl.tensor([[0.0, 0, 0, 2, 1]]), 1).sum().backward()
    assert_same(x.grad, np.array([[[[1, 0, 0], [0, 0, 0]]]], np.float32))


def test_layers_call_the_functions():
    x, boxes = tl.tensor(np.random.default_rng(0).standard_normal((2, 3, 5, 6))), tl.tensor(BOXES)
    align, pool = nn.RoIAlign(2, 0.5, 2, aligned=True), nn.RoIPool((2, 3), 0.5)
    assert repr(align) == "RoIAlign(output_size=2, spatial_scale=0.5, sampling_ratio=2, aligned=True)"
    assert repr(pool) == "RoIPool(output_size=(2, 3), spatial_scale=0.5)"
    assert_same(align(x, boxes), tl.roi_align(x, boxes, 2, 0.5, 2, True).numpy())
    assert_same(pool(x, boxes), tl.roi_pool(x, boxes, (2, 3), 0.5).numpy())


# --- boxes --------------------------------------------------------------------------------------------------------


def iou_of(a, b):
    """The common area, and that of both together."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common, (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common


def box_iou(a, b):
    common, union = iou_of(a, b)
    return common / union


def around(a, b):
    return max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])


def generalized_box_iou(a, b):
    hull = math.prod(around(a, b))
    return box_iou(a, b) - (hull - iou_of(a, b)[1]) / hull


def distance_box_iou(a, b):
    apart = sum(((a[i] + a[i + 2]) / 2 - (b[i] + b[i + 2]) / 2) ** 2 for i in (0, 1))
    return box_iou(a, b) - apart / (sum(side**2 for side in around(a, b)) + 1e-7)


def complete_box_iou(a, b):
    angles = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    return distance_box_iou(a, b) - v * v / (1 - box_iou(a, b) + v + 1e-7)


MEASURES = [box_iou, generalized_box_iou, distance_box_iou, complete_box_iou]


def random_boxes(count, seed=0):
    corners = np.random.default_rng([seed, count]).uniform(0, 10, (count, 2, 2))
    return np.sort(corners, axis=1).reshape(count, 4)


@pytest.mark.parametrize("measure", MEASURES)
@given(n=st.integers(0, 5), m=st.integers(0, 5), seed=st.integers(0, 99))
def test_measures_of_each_box_with_each(measure, n, m, seed):
    first, second = random_boxes(n, seed), random_boxes(m, seed + 100)
    expected = np.array([[measure(a, b) for b in second] for a in first]).reshape(n, m)
    assert_close(getattr(tl, measure.__name__)(tl.tensor(first), tl.tensor(second)), expected, terms=100)


@pytest.mark.parametrize("measure", MEASURES)
def test_derivatives_of_measures_agree_with_differences(measure):
    function, first = getattr(tl, measure.__name__), random_boxes(3, seed=3)
    inputs = [tl.tensor(boxes, requires_grad=True) for boxes in (first, first + 1)]
    assert tl.autograd.gradcheck(lambda a, b: (function(a, b) * tl.eye(3)).sum(axis=1), inputs)


def test_the_weight_of_unlike_ratios_is_constant_in_derivatives():
    a, b = (random_boxes(1, seed) for seed in (0, 1))
    v = 4 / math.pi**2 * (np.subtract(*(math.atan((x[0, 2] - x[0, 0]) / (x[0, 3] - x[0, 1])) for x in (a, b)))) ** 2
    alpha = v / (1 - box_iou(a[0], b[0]) + v + 1e-7)

    def written_out(x, y):
        ratios = [tl.atan((z[:, 2] - z[:, 0]) / (z[:, 3] - z[:, 1])) for z in (x, y)]
        return tl.distance_box_iou(x, y) - (ratios[0] - ratios[1]) ** 2 * (4 / math.pi**2 * alpha)
    found, expected = (tl.grad(lambda x, y, f=f: f(x, y).sum(), argnums=(0, 1))(tl.tensor(a), tl.tensor(b))
                       for f in (tl.complete_box_iou, written_out))
    for slope, wanted in zip(found, expected, strict=True):
        assert_close(slope, wanted, terms=100)


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_are_compiled_and_mapped(measure):
    function = getattr(tl, measure.__name__)
    first, second = (np.stack([random_boxes(n, seed) for seed in range(3)]) for n in (3, 2))
    check_compiled(function, first[0], second[0], terms=400)
    check_mapped(function, first, second, terms=100)
    assert_close(function(tl.tensor(first), tl.tensor(second)),
                 tl.vmap(function)(tl.tensor(first), tl.tensor(second)), terms=100)


FORMS = ("xyxy", "xywh", "cxcywh")


@pytest.mark.parametrize("out_fmt", FORMS)
@pytest.mark.parametrize("in_fmt", FORMS)
def test_forms_lead_to_the_same_areas_and_back(in_fmt, out_fmt):
    boxes = tl.tensor(random_boxes(5))
    converted = tl.box_convert(tl.box_convert(boxes, "xyxy", in_fmt), in_fmt, out_fmt)
    assert_close(tl.box_convert(converted, out_fmt, "xyxy"), boxes.numpy(), terms=4)
    assert_close(tl.box_area(converted, out_fmt), tl.box_area(boxes), terms=100)
    assert_close(tl.box_iou(converted, converted, out_fmt), tl.box_iou(boxes, boxes), terms=100)


def test_forms_are_what_they_are_called():
    boxes = tl.tensor([[1, 2, 4, 8]])
    assert_same(tl.box_convert(boxes, "xyxy", "xywh"), np.array([[1, 2, 3, 6]]))
    assert_same(tl.box_convert(boxes, "xyxy", "cxcywh"), np.array([[2.5, 5, 3, 6]], np.float32))
    assert_same(tl.box_convert(boxes, "xywh", "xyxy"), np.array([[1, 2, 5, 10]]))
    same = tl.box_convert(boxes, "xywh", "xywh")
    same += 1
    assert_same(boxes, np.array([[1, 2, 4, 8]]))


@pytest.mark.parametrize(("dtype", "wide"), [
    ("float16", "float32"), ("bfloat16", "float32"), ("float64", "float64"), ("uint8", "int32"), ("int64", "int64")])
def test_areas_are_computed_in_wide_dtypes(dtype, wide):
    boxes = tl.tensor([[0, 0, 200, 250]]).to(getattr(tl, dtype))
    assert_same(tl.box_area(boxes), np.array([50000]).astype(wide))
    expected = np.array([[1]], "float64" if dtype == "float64" else "float32")
    assert_same(tl.box_iou(boxes, boxes), expected)


def test_boxes_are_clipped_and_small_ones_removed():
    boxes = random_boxes(20) * 2 - 5
    clipped = tl.clip_boxes_to_image(tl.tensor(boxes), (7, 9))
    assert_same(clipped, np.stack([boxes[:, i].clip(0, (9, 7)[i % 2]) for i in range(4)], axis=-1))
    sides = clipped.numpy()[:, 2:] - clipped.numpy()[:, :2]
    assert_same(tl.remove_small_boxes(clipped, 2.5), np.flatnonzero((sides >= 2.5).all(axis=1)))


X, TEN = tl.zeros((2, 3, 4, 5)), tl.zeros((1, 5))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: tl.roi_align(X[0], TEN, 2), ShapeError, "roi_align: takes images [batch, channels, height, width]"),
    (lambda: tl.roi_pool(X, TEN[0], 2), ShapeError,
     "roi_pool: boxes must be [k, 5], the number of an image and four corners, or a list of boxes [n, 4] for each "
     "image"),
    (lambda: tl.roi_align(X, [TEN[:, 1:]], 2), ShapeError,
     "roi_align: a list of boxes must have boxes [n, 4] for each of 2 images"),
    (lambda: tl.roi_align(X, [[0, 0, 1, 1]], 2), DTypeError,
     "roi_align: boxes must be a tensor or a list of tensors, not list"),
    (lambda: tl.roi_align(X, TEN.double(), 2), DTypeError, "roi_align: the input is float32, boxes are float64"),
    (lambda: tl.roi_align(X, TEN + 2, 2), IndexingError, "roi_align: a box lies in image 2, there are 2"),
    (lambda: tl.roi_pool(X, TEN - 1, 2), IndexingError, "roi_pool: a box lies in image -1, there are 2"),
    (lambda: tl.roi_pool(X, TEN, 0), ArgumentError, "roi_pool: output_size must be at least 1, not 0"),
    (lambda: tl.roi_pool(X, TEN, (1, 2, 3)), DTypeError,
     "roi_pool: output_size must be an integer or two, not (1, 2, 3)"),
    (lambda: tl.roi_pool(X.int(), TEN.int(), 2), DTypeError,
     "roi_pool: takes real floating dtypes, not int32"),
    (lambda: tl.roi_align(X[:, :, :0], TEN, 2), ShapeError, "roi_align: images without elements have no regions"),
    (lambda: tl.box_iou(TEN, TEN), ShapeError, "box_iou: boxes1 must have the shape [..., 4]"),
    (lambda: tl.box_iou(TEN[:, :4], TEN[0, :4]), ShapeError,
     "box_iou: boxes1 must be [..., n, 4] and boxes2 [..., m, 4]"),
    (lambda: tl.box_iou([0.0], TEN), DTypeError, "box_iou: boxes1 must be a tensor, not list"),
    (lambda: tl.box_area(TEN[:, :4], "xxyy"), ArgumentError,
     "box_area: fmt must be 'xyxy' or 'xywh' or 'cxcywh', not 'xxyy'"),
    (lambda: tl.box_convert(TEN[:, :4], "xyxy", "wh"), ArgumentError,
     "box_convert: out_fmt must be 'xyxy' or 'xywh' or 'cxcywh', not 'wh'"),
    (lambda: tl.box_area(TEN[:, :4] > 0), DTypeError, "box_area: boxes must hold real numbers, not bool"),
    (lambda: tl.clip_boxes_to_image(TEN[:, :4], 5), DTypeError,
     "clip_boxes_to_image: size must be (height, width), not 5"),
    (lambda: tl.remove_small_boxes(TEN[0, :4], 5), ShapeError,
     "remove_small_boxes: boxes must have the shape [n, 4]"),
])
def test_what_does_not_fit_is_named(call, error, text):
    assert first_line(call, error) == text
