"""Transforms of images for training, by torchvision's names, and in `functional` the functions that they are made of.

An image is a picture of Pillow's, an array [height, width] or [height, width, channels], or a tensor [..., channels,
height, width]; each comes back as what it was, but for the transforms that make tensors or pictures. What is drawn
comes from the transform's ``generator`` or the default one; within a `DataLoader` it depends on the loader's seed and
on the sample's place in the pass, so that a seed gives the same pictures with any number of workers.

>>> import numpy as np
>>> import tensorlite as tl
>>> from tensorlite.data import transforms
>>> prepare = transforms.Compose([
...     transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
...     transforms.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))])
>>> prepare(np.zeros((32, 32, 3), np.uint8)).shape
(3, 32, 32)
"""

from tensorlite.data.transforms import functional
from tensorlite.data.transforms.colour import ColorJitter, GaussianBlur, Grayscale, RandomGrayscale
from tensorlite.data.transforms.compose import Compose, Lambda, RandomApply, RandomChoice, RandomOrder
from tensorlite.data.transforms.convert import ConvertImageDtype, Normalize, PILToTensor, ToPILImage, ToTensor
from tensorlite.data.transforms.frame import (
    CenterCrop,
    Pad,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomVerticalFlip,
)
from tensorlite.data.transforms.transform import RandomTransform, Transform
from tensorlite.data.transforms.warp import (
    InterpolationMode,
    RandomAffine,
    RandomResizedCrop,
    RandomRotation,
    Resize,
)
