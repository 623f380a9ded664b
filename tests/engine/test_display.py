"""What tensors look like as text, and in notebooks."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.display import image_of
from tensorlite.tensor_type import DTYPES

ROWS = np.arange(6).reshape(2, 3) - 2

BY_DTYPE = {
    "bool": "tensor([[ True,  True, False],\n        [ True,  True,  True]])",
    "int8": "tensor([[-2, -1,  0],\n        [ 1,  2,  3]], dtype=int8)",
    "int16": "tensor([[-2, -1,  0],\n        [ 1,  2,  3]], dtype=int16)",
    "int32": "tensor([[-2, -1,  0],\n        [ 1,  2,  3]], dtype=int32)",
    "int64": "tensor([[-2, -1,  0],\n        [ 1,  2,  3]])",
    "uint8": "tensor([[2, 1, 0],\n        [1, 2, 3]], dtype=uint8)",
    "uint16": "tensor([[2, 1, 0],\n        [1, 2, 3]], dtype=uint16)",
    "uint32": "tensor([[2, 1, 0],\n        [1, 2, 3]], dtype=uint32)",
    "uint64": "tensor([[2, 1, 0],\n        [1, 2, 3]], dtype=uint64)",
    "float16": "tensor([[-2., -1.,  0.],\n        [ 1.,  2.,  3.]], dtype=float16)",
    "bfloat16": "tensor([[-2., -1.,  0.],\n        [ 1.,  2.,  3.]], dtype=bfloat16)",
    "float32": "tensor([[-2., -1.,  0.],\n        [ 1.,  2.,  3.]])",
    "float64": "tensor([[-2., -1.,  0.],\n        [ 1.,  2.,  3.]], dtype=float64)",
    "complex64": "tensor([[-2.+0.j, -1.+0.j,  0.+0.j],\n        [ 1.+0.j,  2.+0.j,  3.+0.j]], dtype=complex64)",
    "complex128": "tensor([[-2.+0.j, -1.+0.j,  0.+0.j],\n        [ 1.+0.j,  2.+0.j,  3.+0.j]], dtype=complex128)",
}


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_every_dtype(dtype):
    array = np.abs(ROWS) if dtype.kind == "u" else ROWS
    x = tl.tensor(array.astype(dtype))
    assert repr(x) == str(x) == f"{x}" == BY_DTYPE[dtype.name]


SHAPES = [
    (lambda: tl.tensor(1.5), "tensor(1.5)"),
    (lambda: tl.tensor(True), "tensor(True)"),
    (lambda: tl.tensor(3, dtype=tl.int8), "tensor(3, dtype=int8)"),
    (lambda: tl.tensor([]), "tensor([], dtype=float32)"),
    (lambda: tl.zeros((2, 0, 3)), "tensor([], shape=(2, 0, 3), dtype=float32)"),
    (lambda: tl.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
    (lambda: tl.tensor([1.0], dtype=tl.float64, requires_grad=True) * 2,
     "tensor([2.], dtype=float64, requires_grad=True)"),
    (lambda: tl.full((3,), 1 / 3), "tensor([0.3333, 0.3333, 0.3333])"),
    (lambda: tl.tensor([np.nan, np.inf, -np.inf]), "tensor([ nan,  inf, -inf])"),
    (lambda: tl.tensor([123456.789, 0.001]), "tensor([1.2346e+05, 1.0000e-03])"),
    (lambda: tl.zeros((2, 1, 2)), "tensor([[[0., 0.]],\n\n        [[0., 0.]]])"),
    (lambda: tl.arange(2000), "tensor([   0,    1,    2, ..., 1997, 1998, 1999])"),
    (lambda: tl.zeros((300, 300)), "tensor([[0., 0., 0., ..., 0., 0., 0.],\n        [0., 0., 0., ..., 0., 0., 0.],\n"
     "        [0., 0., 0., ..., 0., 0., 0.],\n        ...,\n        [0., 0., 0., ..., 0., 0., 0.],\n"
     "        [0., 0., 0., ..., 0., 0., 0.],\n        [0., 0., 0., ..., 0., 0., 0.]])"),
]


@pytest.mark.parametrize(("make", "text"), SHAPES, ids=range(len(SHAPES)))
def test_shapes_and_values(make, text):
    assert repr(make()) == text


def test_numbers_are_formatted_as_numbers():
    assert f"{tl.tensor(3.14159):.3f} {tl.tensor([42]):>5d} {tl.tensor(0.5):.0%}" == "3.142    42 50%"
    assert f"{tl.tensor(2.5):}" == "tensor(2.5)"
    assert f"{tl.tensor([1, 2])!r:>20}" == "      tensor([1, 2])"


def test_types_are_short():
    assert str(tl.zeros((8, 3, 32, 32)).type) == "float32[8, 3, 32, 32]"
    assert str(tl.tensor(True).type) == "bool[]"
    assert repr(tl.tensor([1]).type) == "TensorType(dtype=dtype('int64'), shape=(1,), device='cpu')"


def test_printing_does_not_depend_on_what_is_recorded_nor_disturb_it():
    x = tl.tensor([2.0], requires_grad=True)
    y = x * x
    repr(y), y._repr_html_()
    y.backward()
    assert x.grad.tolist() == [4.0]


class Checker(HTMLParser):
    """Collects tags, which must be balanced, and the sources of pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.images, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes)["src"])
        elif tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3), (9, 9), (1, 9, 9), (3, 9, 9), (2, 3, 9, 9),
                                   (2, 2, 2, 2, 2)], ids=str)
def test_html_parses_and_says_type_device_and_elements(dtype, shape):
    x = tl.tensor((np.arange(int(np.prod(shape))) % 3).reshape(shape).astype(dtype))
    page = Checker(x._repr_html_())
    assert f"{dtype.name}[{', '.join(map(str, shape))}] on cpu: " in page.text
    assert page.text.endswith(repr(x))


@pytest.mark.parametrize(("values", "text"), [
    ([1.0, 2.0, 3.0], "min 1, max 3, mean 2, std 0.8165"),
    ([1.0, np.nan, np.inf], "min 1, max 1, mean 1, std 0, 2 not finite (1 NaN)"),
    ([np.nan, np.inf], "no finite elements (1 NaN)"),
    ([True, False, True], "2 of 3 true"),
    ([3 + 4j, 0], "modulus 0 to 5"),
    ([], "no elements"),
])
def test_statistics(values, text):
    assert f": {text}tensor(" in Checker(tl.tensor(values)._repr_html_()).text


def test_html_says_what_requires_gradients():
    assert "on cpu, requires gradients: " in Checker(tl.tensor([1.0], requires_grad=True)._repr_html_()).text


@pytest.mark.parametrize(("shape", "size"), [
    ((9, 12), (9, 12)), ((1, 9, 12), (9, 12)), ((3, 9, 12), (9, 12, 3)), ((9, 12, 3), (9, 12, 3)),
    ((4, 1, 9, 12), (9, 48)), ((4, 3, 9, 12), (9, 48, 3)), ((20, 1, 9, 12), (9, 96))], ids=str)
def test_image_shapes_have_a_picture(shape, size):
    x = tl.tensor(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    image = image_of(x)
    assert image.shape == size
    assert image.dtype == np.uint8
    assert (image.min(), image.max()) == (0, 255)


@pytest.mark.parametrize("shape", [(), (9,), (7, 9), (5000, 9), (2, 9, 9), (2, 2, 9, 9), (0, 9), (2, 2, 2, 9, 9)],
                         ids=str)
def test_other_shapes_have_none(shape):
    assert image_of(tl.zeros(shape)) is None


def test_pictures_of_odd_numbers():
    assert image_of(tl.full((9, 9), 3.0)).max() == 0
    assert image_of(tl.tensor(np.full((9, 9), np.nan))).max() == 0
    strange = np.zeros((9, 9))
    strange[0] = [np.nan, np.inf, -np.inf, 1, 2, 3, 4, 5, 6]
    assert image_of(tl.tensor(strange)).max() == 255
    assert image_of(tl.ones((9, 9), dtype=tl.complex64)) is None
    for dtype in (tl.bool, tl.uint8, tl.bfloat16, tl.int64):
        assert image_of(tl.tensor(np.eye(9).astype(dtype))).max() == 255
    huge = np.zeros((9, 9))
    huge[0, 0], huge[1, 1] = 1e308, -1e308
    assert image_of(tl.tensor(huge)).max() == 255
    assert image_of(tl.tensor(huge * 1e-320 * 1e-300)).max() in (0, 255)
    assert "min -1e+308, max 1e+308" in tl.tensor(huge)._repr_html_()


@pytest.mark.parametrize("shape", [(9, 12), (3, 9, 12), (4, 1, 9, 12)], ids=str)
def test_the_picture_in_the_page_decodes(shape):
    image_module = pytest.importorskip("PIL.Image", reason="pillow draws the pictures")
    x = tl.tensor(np.random.default_rng(0).random(shape))
    (source,) = Checker(x._repr_html_()).images
    kind, _, data = source.partition(",")
    assert kind == "data:image/png;base64"
    decoded = np.asarray(image_module.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(decoded, image_of(x))
