"""What transforms do, as functions of an image with everything given."""

from tensorlite.data.transforms.colour import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    gaussian_blur,
    rgb_to_grayscale,
    to_grayscale,
)
from tensorlite.data.transforms.convert import convert_image_dtype, normalize, pil_to_tensor, to_pil_image, to_tensor
from tensorlite.data.transforms.frame import center_crop, crop, erase, hflip, pad, vflip
from tensorlite.data.transforms.warp import InterpolationMode, affine, resize, resized_crop, rotate
