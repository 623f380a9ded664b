"""Transforms of images: torchvision's values, the same of every kind of image, and laws of what they draw."""

from __future__ import annotations

import math
import zlib
from inspect import signature

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close

import tensorlite as tl
from tensorlite.data import DataLoader, transforms
from tensorlite.data.transforms import functional as F
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

Image = pytest.importorskip("PIL.Image", reason="the demo extra brings pillow")

#: 3 planes of 24x32, in squares of 4x4 pixels.
PLANES = np.kron(np.random.default_rng(0).integers(0, 256, (3, 6, 8)), np.ones((1, 4, 4))).astype(np.uint8)
ARRAY = np.ascontiguousarray(PLANES.transpose(1, 2, 0))
#: What torchvision 0.29 makes of these planes as a tensor of uint8: the shape, and zlib.crc32 of the bytes.
TORCHVISION = {
    "hflip": ((3, 24, 32), 3601181716), "vflip": ((3, 24, 32), 3314061217), "crop": ((3, 10, 9), 4134502978),
    "crop above": ((3, 10, 40), 2023822174), "crop below": ((3, 9, 30), 1916830208),
    "centre": ((3, 10, 13), 2428308449), "centre of more": ((3, 41, 51), 2422036166),
    "centre of some more": ((3, 25, 31), 4279611302), "pad 3": ((3, 30, 38), 2367797866),
    "pad 2 4 edge": ((3, 32, 36), 25563610), "pad 1 2 3 4 reflect": ((3, 30, 36), 3922253388),
    "pad 1 2 3 4 symmetric": ((3, 30, 36), 2777954211), "pad -1 2 -3 0": ((3, 26, 28), 855820013),
    "resize nearest": ((3, 12, 20), 1553410401), "resize 13 nearest": ((3, 13, 17), 1560841192),
    "resize up nearest exact": ((3, 50, 40), 2326842098), "resize bicubic": ((3, 12, 20), 3920302396),
    "rotate 30": ((3, 24, 32), 3556234554), "rotate 90": ((3, 24, 32), 4041247782),
    "rotate 180": ((3, 24, 32), 3312727427), "rotate -45 wide": ((3, 40, 40), 2293061418),
    "rotate 90 wide": ((3, 32, 24), 10746903), "rotate 133.3 bilinear": ((3, 40, 40), 2144964554),
    "rotate about": ((3, 24, 32), 1915503655), "affine": ((3, 24, 32), 803946636),
    "affine bilinear": ((3, 24, 32), 992309509), "affine filled": ((3, 24, 32), 3374793900),
    "affine sheared": ((3, 24, 32), 887829601), "brightness": ((3, 24, 32), 2815282371),
    "brighter": ((3, 24, 32), 1900366043), "contrast": ((3, 24, 32), 3503435677),
    "more contrast": ((3, 24, 32), 4196505360), "saturation": ((3, 24, 32), 3264349028),
    "more saturation": ((3, 24, 32), 1052912851), "hue": ((3, 24, 32), 2258471751),
    "hue back": ((3, 24, 32), 1673489707), "grey": ((1, 24, 32), 827245156), "three greys": ((3, 24, 32), 3264349028),
    "blur": ((3, 24, 32), 2623970084), "blur by": ((3, 24, 32), 4150406142),
}
CASES = {
    "hflip": ("hflip", (), {}), "vflip": ("vflip", (), {}),
    "crop": ("crop", (2, 3, 10, 9), {}), "crop above": ("crop", (-2, -3, 10, 40), {}),
    "crop below": ("crop", (20, 25, 9, 30), {}),
    "centre": ("center_crop", ([10, 13],), {}), "centre of more": ("center_crop", ([41, 51],), {}),
    "centre of some more": ("center_crop", ([25, 31],), {}),
    "pad 3": ("pad", (3,), {"fill": 9}), "pad 2 4 edge": ("pad", ([2, 4],), {"padding_mode": "edge"}),
    "pad 1 2 3 4 reflect": ("pad", ([1, 2, 3, 4],), {"padding_mode": "reflect"}),
    "pad 1 2 3 4 symmetric": ("pad", ([1, 2, 3, 4],), {"padding_mode": "symmetric"}),
    "pad -1 2 -3 0": ("pad", ([-1, 2, -3, 0],), {}),
    "resize nearest": ("resize", ([12, 20],), {"interpolation": "nearest"}),
    "resize 13 nearest": ("resize", ([13],), {"interpolation": "nearest"}),
    "resize up nearest exact": ("resize", ([50, 40],), {"interpolation": "nearest-exact"}),
    "resize bicubic": ("resize", ([12, 20],), {"interpolation": "bicubic"}),
    "rotate 30": ("rotate", (30,), {}), "rotate 90": ("rotate", (90,), {}), "rotate 180": ("rotate", (180,), {}),
    "rotate -45 wide": ("rotate", (-45,), {"expand": True}), "rotate 90 wide": ("rotate", (90,), {"expand": True}),
    "rotate 133.3 bilinear": ("rotate", (133.3,), {"interpolation": "bilinear", "expand": True}),
    "rotate about": ("rotate", (30,), {"interpolation": "bilinear", "center": [3, 5], "fill": [50]}),
    "affine": ("affine", (30, [2, -3], 1.2, [10, 5]), {}),
    "affine bilinear": ("affine", (30, [2, -3], 1.2, [10, 5]), {"interpolation": "bilinear"}),
    "affine filled": ("affine", (-20, [0, 0], 0.7, [0, 0]), {"fill": [9.0]}),
    "affine sheared": ("affine", (0, [3, 1], 1.0, [15]), {"center": [4, 4]}),
    "brightness": ("adjust_brightness", (0.3,), {}), "brighter": ("adjust_brightness", (1.7,), {}),
    "contrast": ("adjust_contrast", (0.3,), {}), "more contrast": ("adjust_contrast", (1.7,), {}),
    "saturation": ("adjust_saturation", (0.0,), {}), "more saturation": ("adjust_saturation", (1.7,), {}),
    "hue": ("adjust_hue", (-0.2,), {}), "hue back": ("adjust_hue", (0.5,), {}),
    "grey": ("rgb_to_grayscale", (), {}), "three greys": ("rgb_to_grayscale", (3,), {}),
    "blur": ("gaussian_blur", ([5, 3],), {}), "blur by": ("gaussian_blur", ([3, 3], [0.5, 1.5]), {}),
}


def kinds(array=ARRAY):
    """An image as every kind of image."""
    return {"array": array, "tensor": tl.asarray(np.moveaxis(array, -1, 0).copy()), "picture": Image.fromarray(array)}


def as_array(image):
    """Any image as [height, width, channels]."""
    if isinstance(image, tl.Tensor):
        return np.moveaxis(image.numpy(), -3, -1)
    array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]


@pytest.mark.parametrize("case", CASES)
def test_torchvisions_values(case):
    name, arguments, options = CASES[case]
    found = getattr(F, name)(tl.asarray(PLANES), *arguments, **options).numpy()
    assert (found.shape, zlib.crc32(found.tobytes())) == TORCHVISION[case]


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_image_gives_the_same(case):
    """Pictures are changed by Pillow where it can, whose roundings and resampling are its own."""
    name, arguments, options = CASES[case]
    found = {kind: as_array(getattr(F, name)(image, *arguments, **options)).astype(int)
             for kind, image in kinds().items()}
    assert np.array_equal(found["array"], found["tensor"])
    assert found["picture"].shape == found["array"].shape
    if name in ("hflip", "vflip", "crop", "center_crop", "pad", "gaussian_blur"):
        assert np.array_equal(found["picture"], found["array"])
    elif name not in ("rotate", "affine", "resize"):
        assert np.abs(found["picture"] - found["array"]).mean() < 2
    elif "nearest" not in case:
        assert (np.abs(found["picture"] - found["array"]) > 2).mean() < 0.15


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"])
def test_pictures_keep_their_mode(mode):
    picture = Image.fromarray(np.arange(24, dtype=np.uint16).reshape(4, 6)) if mode == "I;16" \
        else Image.fromarray(ARRAY[:4, :6]).convert(mode)
    turned = F.hflip(picture)
    assert (turned.mode, turned.size) == (mode, (6, 4))
    assert F.hflip(turned).convert("RGB").tobytes() == picture.convert("RGB").tobytes()
    assert F.crop(F.pad(picture, 3), 3, 3, 4, 6).tobytes() == picture.tobytes()


@given(angle=st.sampled_from([0, 90, 180, 270, 360, -90]), size=st.integers(1, 7))
def test_right_angles_are_exact(angle, size):
    image = np.random.default_rng(size).integers(0, 256, (size, size, 3)).astype(np.uint8)
    for mode in ("nearest", "bilinear"):
        assert np.array_equal(F.rotate(image, angle, mode), np.rot90(image, angle // 90))
        assert np.array_equal(F.affine(image, angle, [0, 0], 1.0, 0.0, mode), np.rot90(image, -angle // 90))


@given(top=st.integers(-3, 5), left=st.integers(-3, 5), height=st.integers(1, 9), width=st.integers(1, 9))
def test_a_crop_is_what_lies_there(top, left, height, width):
    image = np.arange(1, 31, dtype=np.int64).reshape(5, 6)
    wide = np.pad(image, 20)[top + 20:top + 20 + height, left + 20:left + 20 + width]
    assert np.array_equal(F.crop(image, top, left, height, width), wide)


@given(factor=st.floats(0, 3), hue=st.floats(-0.5, 0.5))
def test_colours_of_fractions_and_of_integers_agree(factor, hue):
    whole, fractions = tl.asarray(PLANES), F.convert_image_dtype(tl.asarray(PLANES))
    for name in ("adjust_brightness", "adjust_contrast", "adjust_saturation"):
        difference = getattr(F, name)(fractions, factor).numpy() * 255 - getattr(F, name)(whole, factor).numpy()
        assert np.abs(difference).max() <= 1 + abs(1 - factor)
    found = F.adjust_hue(fractions, hue).numpy()
    assert_close(F.adjust_hue(F.adjust_hue(fractions, hue), -hue).numpy(), fractions.numpy())
    assert_close(found.max(0), fractions.numpy().max(0))
    assert np.abs(found * 255 - F.adjust_hue(whole, hue).numpy()).max() <= 1.01


@given(size=st.one_of(st.integers(1, 40).map(lambda side: [side]), st.tuples(st.integers(1, 40), st.integers(1, 40))),
       mode=st.sampled_from(["nearest", "bilinear", "bicubic"]), antialias=st.booleans())
def test_fractions_and_integers_are_resized_alike(size, mode, antialias):
    whole = F.resize(tl.asarray(PLANES), size, mode, antialias=antialias).numpy()
    exact = F.resize(tl.asarray(PLANES.astype(np.float64)), size, mode, antialias=antialias).numpy()
    assert whole.shape == exact.shape
    assert np.abs(whole - exact.clip(0, 255)).max() < 0.51
    if len(size) == 1:
        assert whole.shape == (3, size[0], int(size[0] * 32 / 24))
    small = as_array(F.resize(Image.fromarray(ARRAY), size, mode)).astype(int)
    if antialias and mode == "bilinear":
        assert np.abs(small - np.moveaxis(whole.astype(int), 0, -1)).max() <= 2


def test_a_blur_keeps_what_is_even_and_the_sum_of_what_is_not():
    point = np.zeros((1, 9, 9), np.float32)
    point[0, 4, 4] = 1
    blurred = F.gaussian_blur(tl.asarray(point), 5, 1.0).numpy()
    assert_close(blurred.sum(), 1.0)
    assert_close(blurred[0, 4, 5] / blurred[0, 4, 4], math.exp(-0.5))
    assert np.array_equal(F.gaussian_blur(np.full((9, 9), 7, np.uint8), 3), np.full((9, 9), 7))


def test_tensors_of_any_batch_are_taken():
    batch = tl.asarray(np.stack([PLANES, PLANES[::-1]]))
    for case, (name, arguments, options) in CASES.items():
        found = getattr(F, name)(batch, *arguments, **options).numpy()
        alone = [getattr(F, name)(batch[number], *arguments, **options).numpy() for number in range(2)]
        assert np.array_equal(found, np.stack(alone)), case
    assert F.hflip(batch[0, 0]).shape == (24, 32)


def test_pictures_and_arrays_become_tensors():
    for image in (ARRAY, Image.fromarray(ARRAY)):
        found = transforms.ToTensor()(image)
        assert (found.dtype, found.shape) == (np.float32, (3, 24, 32))
        assert np.array_equal(found.numpy(), PLANES / np.float32(255))
    assert transforms.ToTensor()(np.full((2, 2), 300)).tolist() == [[[300, 300], [300, 300]]]
    assert transforms.PILToTensor()(Image.fromarray(ARRAY)).numpy().tolist() == PLANES.tolist()
    assert transforms.ToTensor()(Image.fromarray(ARRAY).convert("1")).numpy().max() == 1
    with pytest.raises(DTypeError, match="to_tensor: takes pictures of Pillow's and arrays, not tensors"):
        transforms.ToTensor()(tl.zeros((1, 2, 2)))


@pytest.mark.parametrize(("channels", "dtype", "mode"), [(1, "uint8", "L"), (1, "uint16", "I;16"), (1, "int32", "I"),
                                                         (1, "float32", "F"), (2, "uint8", "LA"), (3, "uint8", "RGB"),
                                                         (4, "uint8", "RGBA")])
def test_pictures_are_made_and_read_again(channels, dtype, mode):
    array = np.arange(12 * channels).reshape(3, 4, channels).astype(dtype)
    picture = transforms.ToPILImage()(array)
    assert (picture.mode, picture.size) == (mode, (4, 3))
    assert np.array_equal(as_array(picture), array)
    if dtype != "float32":
        assert np.array_equal(as_array(F.to_pil_image(tl.asarray(np.moveaxis(array, -1, 0).copy()))), array)
    assert np.array_equal(as_array(F.to_pil_image(F.to_tensor(picture))), array) or dtype == "float32"


@settings(max_examples=40)
@given(source=st.sampled_from(["uint8", "int16", "int32", "int64", "float32", "float64"]),
       target=st.sampled_from(["uint8", "int16", "int32", "float32", "float64"]))
def test_dtypes_scale_so_that_the_largest_stays_the_largest(source, target):
    def largest(dtype):
        return np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1

    image = tl.asarray(np.array([0, largest(source)], source))
    if source == "float32" and target == "int32":
        with pytest.raises(DTypeError, match="convert_image_dtype: float32 cannot tell the values of int32 apart"):
            transforms.ConvertImageDtype(target)(image)
        return
    found = transforms.ConvertImageDtype(target)(image)
    assert found.dtype == target
    bits = [np.iinfo(dtype).max.bit_length() for dtype in (source, target) if np.dtype(dtype).kind in "iu"]
    lost = 2.0 ** (bits[1] - bits[0]) - 1 if len(bits) == 2 and bits[1] > bits[0] else 0
    assert found.tolist() == pytest.approx([0, largest(target) - lost])


def test_normalising_is_a_line_and_may_rebind():
    x = tl.asarray(PLANES / np.float32(255))
    layer = transforms.Normalize([0.1, 0.2, 0.3], [0.5, 1.0, 2.0], inplace=True)
    expected = (x.numpy() - np.float32([0.1, 0.2, 0.3])[:, None, None]) / np.float32([0.5, 1, 2])[:, None, None]
    assert_close(transforms.Normalize([0.1, 0.2, 0.3], [0.5, 1.0, 2.0])(x).numpy(), expected)
    assert layer(x) is x
    assert_close(x.numpy(), expected)


class Rows:
    """Images of a dataset, each another, after a transform."""

    def __init__(self, transform):
        self.transform = transform

    def __getitem__(self, index):
        return self.transform(np.roll(ARRAY, index, 0))

    def __len__(self):
        return 10


CHANCE = {
    "crop": transforms.RandomCrop(24, padding=4), "flip": transforms.RandomHorizontalFlip(),
    "resized": transforms.RandomResizedCrop(16), "rotation": transforms.RandomRotation(30),
    "affine": transforms.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 10),
    "jitter": transforms.ColorJitter(0.4, 0.4, 0.4, 0.1), "blur": transforms.GaussianBlur(3),
    "choice": transforms.RandomChoice([transforms.RandomVerticalFlip(), transforms.RandomGrayscale(0.5)]),
    "order": transforms.RandomOrder([transforms.Pad(1), transforms.RandomRotation(90)]),
    "apply": transforms.RandomApply([transforms.RandomCrop((24, 32), 3)], 0.7),
    "erasing": transforms.Compose([transforms.ToTensor(), transforms.RandomErasing(value="random")]),
    "own": transforms.RandomCrop(24, padding=4, generator=7),
}


@pytest.mark.parametrize("transform", CHANCE.values(), ids=CHANCE)
def test_a_seed_gives_the_same_pictures_with_any_number_of_workers(transform):
    def passes(seed=3, **options):
        loader = DataLoader(Rows(transform), batch_size=4, shuffle=True, generator=seed, **options)
        return [np.concatenate([batch.numpy() for batch in loader]) for _ in range(2)]

    first, second = passes()
    for options in ({"prefetch_factor": 0}, {"num_workers": 1}, {"num_workers": 3},
                    {"num_workers": 2, "persistent_workers": True}):
        again = passes(**options)
        assert np.array_equal(first, again[0])
        assert np.array_equal(second, again[1])
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, passes(4)[0])


@pytest.mark.parametrize("transform", CHANCE.values(), ids=CHANCE)
def test_the_default_generator_decides_where_there_is_no_loader(transform):
    def draw():
        return [np.asarray(as_array(transform(ARRAY))) for _ in range(8)]

    tl.manual_seed(5)
    first = draw()
    tl.manual_seed(5)
    second = draw()
    if getattr(transform, "generator", None) is None:
        assert all(np.array_equal(a, b) for a, b in zip(first, second))
    assert not all(a.shape == first[0].shape and np.array_equal(a, first[0]) for a in first)


def test_a_generator_of_its_own_counts_and_a_seed_starts_one():
    generator = tl.Generator().manual_seed(4)
    by_generator = transforms.RandomCrop(4, generator=generator)
    by_seed = transforms.RandomCrop(4, generator=4)
    for _ in range(3):
        assert np.array_equal(by_generator(ARRAY), by_seed(ARRAY))


def test_crops_are_from_everywhere_alike():
    tl.manual_seed(0)
    image, crop = np.arange(12).reshape(3, 4), transforms.RandomCrop(2)
    corners = np.bincount([crop(image)[0, 0] for _ in range(1200)], minlength=12).reshape(3, 4)
    assert not corners[2].any() and not corners[:, 3].any()
    assert (abs(corners[:2, :3] - 200) < 5 * math.sqrt(200)).all()


def test_flips_are_as_likely_as_asked():
    tl.manual_seed(0)
    image = np.array([[0, 1], [2, 3]])
    for kind, other in ((transforms.RandomHorizontalFlip, 1), (transforms.RandomVerticalFlip, 2)):
        first = [kind(0.3)(image)[0, 0] for _ in range(1000)]
        assert {*first} == {0, other}
        assert abs(np.mean(np.array(first) == other) - 0.3) < 5 * math.sqrt(0.21 / 1000)
        assert [kind(p)(image)[0, 0] for p in (0.0, 1.0)] == [0, other]


def test_resized_crops_have_areas_and_ratios_of_their_intervals():
    tl.manual_seed(0)
    transform = transforms.RandomResizedCrop(10, scale=(0.2, 0.6), ratio=(0.5, 2.0))
    parts = np.array([transform._part(200, 300) for _ in range(300)])
    shares, ratios = parts[:, 2] * parts[:, 3] / 60_000, parts[:, 3] / parts[:, 2]
    assert 0.19 < shares.min() < 0.25 and 0.55 < shares.max() < 0.61
    assert 0.49 < ratios.min() < 0.6 and 1.8 < ratios.max() < 2.02
    assert (parts[:, :2] >= 0).all() and (parts[:, 0] + parts[:, 2] <= 200).all()
    assert transforms.RandomResizedCrop(4, scale=(1, 1), ratio=(3, 3))._part(20, 20) == (6, 0, 7, 20)  # the middle
    assert transform(ARRAY).shape == (10, 10, 3)


def test_erased_rectangles_are_of_their_share():
    tl.manual_seed(0)
    image, transform = tl.ones((3, 40, 50)), transforms.RandomErasing(1.0, (0.1, 0.3), (0.5, 2.0), [0.25, 0.5, 0.75])
    for _ in range(50):
        found = transform(image).numpy()
        rows, columns = np.nonzero(found[0] != 1)
        share = (np.ptp(rows) + 1) * (np.ptp(columns) + 1) / 2000
        assert share == (found[0] != 1).mean()
        assert 0.08 < share < 0.32
        assert [np.unique(plane).tolist() for plane in found] == [[0.25, 1], [0.5, 1], [0.75, 1]]
    assert transforms.RandomErasing(0.0)(image) is image
    noise = transforms.RandomErasing(1.0, (0.9, 0.9), (1.0, 1.0), "random")(tl.ones((1, 400, 400))).numpy()
    assert abs(noise[noise != 1].mean()) < 0.02 and abs(noise[noise != 1].std() - 1) < 0.02


def test_jitter_draws_from_its_intervals_in_any_order():
    tl.manual_seed(0)
    grey = np.full((1, 1, 3), 100, np.uint8)
    found = [transforms.ColorJitter(brightness=0.4)(grey)[0, 0, 0] for _ in range(200)]
    assert 59 <= min(found) < 64 and 136 < max(found) <= 140
    two = {tuple(transforms.ColorJitter((0.5, 0.5), (2, 2))(np.array([[[0] * 3, [200] * 3]], np.uint8))[0, :, 0])
           for _ in range(50)}
    assert len(two) == 2


def test_a_choice_is_by_its_probabilities():
    tl.manual_seed(0)
    choice = transforms.RandomChoice([transforms.Lambda(lambda _, number=number: number) for number in range(3)],
                                     [1, 0, 3])
    found = np.bincount([choice(None) for _ in range(1000)], minlength=3)
    assert found[1] == 0
    assert abs(found[2] - 750) < 5 * 14
    apply = transforms.RandomApply([transforms.Lambda(lambda x: x + 1)] * 2, 0.25)
    assert abs(np.mean([apply(0) for _ in range(1000)]) - 0.5) < 5 * 0.028


def test_an_image_that_is_too_small_is_padded_or_refused():
    assert transforms.RandomCrop(40, pad_if_needed=True)(ARRAY).shape == (40, 40, 3)
    with pytest.raises(ArgumentError, match="RandomCrop: 40x40 does not fit into an image of 24x32"):
        transforms.RandomCrop(40)(ARRAY)


def test_they_show_their_settings():
    text = repr(transforms.Compose([transforms.RandomCrop(32, 4), transforms.RandomApply([transforms.ToTensor()])]))
    assert text.splitlines() == [
        "Compose(", "    RandomCrop(size=(32, 32), padding=4, pad_if_needed=False, fill=0, padding_mode='constant')",
        "    RandomApply(", "        p=0.5", "        ToTensor()", "    )", ")"]


#: The parameters of torchvision's, and their defaults.
SIGNATURES = {
    "Compose": "(transforms)", "ToTensor": "()", "PILToTensor": "()", "ConvertImageDtype": "(dtype)",
    "ToPILImage": "(mode=None)", "Normalize": "(mean, std, inplace=False)",
    "Resize": "(size, interpolation='bilinear', max_size=None, antialias=True)", "CenterCrop": "(size)",
    "Pad": "(padding, fill=0, padding_mode='constant')", "Lambda": "(lambd)", "RandomApply": "(transforms, p=0.5)",
    "RandomChoice": "(transforms, p=None)", "RandomOrder": "(transforms)",
    "RandomCrop": "(size, padding=None, pad_if_needed=False, fill=0, padding_mode='constant')",
    "RandomHorizontalFlip": "(p=0.5)", "RandomVerticalFlip": "(p=0.5)",
    "RandomResizedCrop":
        "(size, scale=(0.08, 1.0), ratio=(0.75, 1.3333333333333333), interpolation='bilinear', antialias=True)",
    "ColorJitter": "(brightness=0, contrast=0, saturation=0, hue=0)",
    "RandomRotation": "(degrees, interpolation='nearest', expand=False, center=None, fill=0)",
    "RandomAffine":
        "(degrees, translate=None, scale=None, shear=None, interpolation='nearest', fill=0, center=None)",
    "Grayscale": "(num_output_channels=1)", "RandomGrayscale": "(p=0.1)",
    "RandomErasing": "(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False)",
    "GaussianBlur": "(kernel_size, sigma=(0.1, 2.0))",
}


@pytest.mark.parametrize(("name", "expected"), SIGNATURES.items())
def test_parameters_are_torchvisions(name, expected):
    found = []
    for parameter in signature(getattr(transforms, name)).parameters.values():
        default = getattr(parameter.default, "value", parameter.default)
        if parameter.name != "generator":
            found.append(parameter.name + ("" if default is parameter.empty else f"={default!r}"))
    assert f"({', '.join(found)})" == expected


MISTAKES = {
    "RandomCrop: size is 0, expected a positive integer or a pair of them": lambda: transforms.RandomCrop(0),
    "CenterCrop: size is (1, 2, 3), expected a positive integer or a pair of them":
        lambda: transforms.CenterCrop((1, 2, 3)),
    "pad: padding is (1, 2, 3), expected an integer, or 2 or 4 of them": lambda: transforms.Pad((1, 2, 3)),
    "Pad: padding_mode is 'wrap', expected one of constant, edge, reflect, symmetric":
        lambda: transforms.Pad(1, padding_mode="wrap"),
    "pad: fill is (1, 2), expected one number or 3, one a channel": lambda: transforms.Pad(1, (1, 2))(ARRAY),
    "RandomHorizontalFlip: p is 1.5, expected a probability, of 0 to 1": lambda: transforms.RandomHorizontalFlip(1.5),
    "Resize: interpolation is 'cubic', expected one of nearest, nearest-exact, bilinear, bicubic, box, hamming, "
    "lanczos": lambda: transforms.Resize(3, "cubic"),
    "resize: 'lanczos' is for pictures of Pillow's only": lambda: transforms.Resize(3, "lanczos")(ARRAY),
    "resize: max_size goes with one number for size, not with (3, 4)":
        lambda: transforms.Resize((3, 4), max_size=9),
    "resize: max_size is 3, expected more than the size 3": lambda: transforms.Resize(3, max_size=3),
    "RandomResizedCrop: scale is (0.5, 0.1), expected a pair of numbers in order from 0":
        lambda: transforms.RandomResizedCrop(3, (0.5, 0.1)),
    "RandomRotation: degrees is -1, expected a number of at least 0, or a pair":
        lambda: transforms.RandomRotation(-1),
    "rotate: interpolation is 'bicubic', expected one of nearest, bilinear":
        lambda: transforms.RandomRotation(9, "bicubic")(ARRAY),
    "RandomAffine: translate is (2, 0), expected two shares, of 0 to 1": lambda: transforms.RandomAffine(0, (2, 0)),
    "RandomAffine: scale is (0, 1), expected positive numbers": lambda: transforms.RandomAffine(0, scale=(0, 1)),
    "affine: scale is 0, expected a positive number": lambda: F.affine(ARRAY, 0, [0, 0], 0, 0),
    "ColorJitter: hue is (-0.6, 0.6), expected a pair of numbers in order from -0.5 to 0.5":
        lambda: transforms.ColorJitter(hue=0.6),
    "ColorJitter: contrast is -1, expected a number of at least 0, or a pair":
        lambda: transforms.ColorJitter(contrast=-1),
    "adjust_hue: hue_factor is 0.7, expected a number from -0.5 to 0.5": lambda: F.adjust_hue(ARRAY, 0.7),
    "adjust_brightness: brightness_factor is -1, expected a number from 0": lambda: F.adjust_brightness(ARRAY, -1),
    "adjust_contrast: takes images of 1 or 3 channels, this one has 2":
        lambda: F.adjust_contrast(ARRAY[..., :2], 1.0),
    "to_grayscale: num_output_channels is 2, expected 1 or 3": lambda: transforms.Grayscale(2)(ARRAY),
    "GaussianBlur: kernel_size is 4, expected a positive odd integer or a pair of them":
        lambda: transforms.GaussianBlur(4),
    "GaussianBlur: sigma is 0, expected a positive number or a pair of them": lambda: transforms.GaussianBlur(3, 0),
    "gaussian_blur: a kernel of 49 needs a side of more than 24, this one is 24":
        lambda: F.gaussian_blur(ARRAY, [3, 49]),
    "RandomErasing: value is 'noise', expected numbers or 'random'": lambda: transforms.RandomErasing(value="noise"),
    "RandomErasing: ratio is (0, 1), expected positive numbers": lambda: transforms.RandomErasing(ratio=(0, 1)),
    "RandomApply: takes a list of transforms, not <function as_array": lambda: transforms.RandomApply(as_array),
    "RandomChoice: p has 1 probabilities for 2 transforms": lambda: transforms.RandomChoice([abs, abs], [1]),
    "RandomChoice: there is nothing to choose": lambda: transforms.RandomChoice([]),
    "Lambda: lambd is 3, expected a function": lambda: transforms.Lambda(3),
    "normalize: std is [0], and one cannot divide by 0 in float32":
        lambda: transforms.Normalize([0], [0])(tl.ones((1, 2, 2))),
}


@pytest.mark.parametrize(("problem", "make"), MISTAKES.items())
def test_a_mistake_is_named(problem, make):
    with pytest.raises(ArgumentError) as error:
        make()
    assert str(error.value).splitlines()[0].startswith(problem)


OTHERS = {
    "normalize: takes floating tensors": (DTypeError, lambda: F.normalize(tl.asarray(PLANES), [0], [1])),
    "normalize: takes tensors, not ndarray": (DTypeError, lambda: F.normalize(ARRAY, [0], [1])),
    "normalize: takes [..., channels, height, width]": (ShapeError, lambda: F.normalize(tl.ones((2, 2)), [0], [1])),
    "normalize: mean has 2 numbers for 3 channels":
        (ShapeError, lambda: F.normalize(tl.ones((3, 2, 2)), [0, 0], [1])),
    "hflip: takes pictures of Pillow's, arrays and tensors, not str": (DTypeError, lambda: F.hflip("image")),
    "hflip: an array is [height, width] or [height, width, channels], this one has 1 dimensions":
        (ShapeError, lambda: F.hflip(np.zeros(3))),
    "hflip: an image has a height and a width": (ShapeError, lambda: F.hflip(tl.zeros(3))),
    "RandomErasing: takes tensors, not ndarray": (DTypeError, lambda: transforms.RandomErasing()(ARRAY)),
    "pil_to_tensor: takes pictures of Pillow's, not ndarray": (DTypeError, lambda: transforms.PILToTensor()(ARRAY)),
    "to_pil_image: a picture has 1 to 4 channels and no batch":
        (ShapeError, lambda: F.to_pil_image(tl.ones((5, 2, 2)))),
    "to_pil_image: no picture of mode 'L' has 3 channels of uint8": (ArgumentError, lambda: F.to_pil_image(ARRAY, "L")),
}


@pytest.mark.parametrize(("problem", "case"), OTHERS.items())
def test_another_kind_of_mistake_is_named(problem, case):
    kind, make = case
    with pytest.raises(kind) as error:
        make()
    assert str(error.value).splitlines()[0] == problem


def test_without_pillow_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(ImportError) as error:
        F.to_pil_image(ARRAY)
    assert str(error.value).splitlines()[0] == ("to_pil_image: reads or changes images by Pillow, which is not "
                                                "installed")
    assert str(error.value).splitlines()[-1] == "  fix: pip install pillow, or 'tensorlite[demo]'"
