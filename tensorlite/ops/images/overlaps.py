"""Boxes in images: their forms, areas, and how much they have in common.

A box is four numbers along the last axis: its corners x1, y1, x2, y2 (``"xyxy"``), a corner, width and height
(``"xywh"``), or its centre, width and height (``"cxcywh"``). As in torchvision, float16 and bfloat16 become float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.ops.bounds import clip
from tensorlite.ops.elementwise import atan, logical_and, maximum, minimum, square
from tensorlite.ops.indexing.search import _nonzero
from tensorlite.ops.join import stack
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import FLOATS, INTEGERS, float32, int32

Numbers = tuple[Tensor, Tensor, Tensor, Tensor]

#: From each form to corners, and back.
_TO_CORNERS: dict[str, Callable[..., Sequence[Any]]] = {
    "xyxy": lambda x1, y1, x2, y2: (x1, y1, x2, y2),
    "xywh": lambda x, y, width, height: (x, y, x + width, y + height),
    "cxcywh": lambda x, y, width, height: (x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height),
}
_FROM_CORNERS: dict[str, Callable[..., Sequence[Any]]] = {
    "xyxy": lambda x1, y1, x2, y2: (x1, y1, x2, y2),
    "xywh": lambda x1, y1, x2, y2: (x1, y1, x2 - x1, y2 - y1),
    "cxcywh": lambda x1, y1, x2, y2: ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
}


# --- reading boxes ------------------------------------------------------------------------------------------------


def _numbers(op: str, name: str, boxes: Any) -> Numbers:
    """The four numbers of boxes, each a tensor of all boxes."""
    if not isinstance(boxes, Tensor):
        raise complaint(DTypeError, op, f"{name} must be a tensor, not {type(boxes).__name__}", {name: boxes},
                        "make it one: tl.asarray(...)")
    if not boxes.ndim or boxes.shape[-1] != 4:
        raise complaint(ShapeError, op, f"{name} must have the shape [..., 4]", {name: boxes})
    if boxes.dtype not in FLOATS and boxes.dtype not in INTEGERS:
        raise complaint(DTypeError, op, f"{name} must hold real numbers, not {boxes.dtype.name}", {name: boxes})
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def _form(op: str, name: str, form: str) -> str:
    if form not in _TO_CORNERS:
        raise complaint(ArgumentError, op, f"{name} must be {' or '.join(map(repr, _TO_CORNERS))}, not {form!r}")
    return form


def _wide(x: Tensor) -> Tensor:
    """Numbers in a dtype in which areas do not overflow early."""
    if x.dtype.itemsize > 2:
        return x
    return astype(x, float32 if x.dtype in FLOATS else int32, copy=False)


def _corners(op: str, name: str, boxes: Any, form: str = "xyxy") -> Numbers:
    x1, y1, x2, y2 = _TO_CORNERS[form](*map(_wide, _numbers(op, name, boxes)))
    return x1, y1, x2, y2


def _pairs(op: str, boxes1: Tensor, boxes2: Tensor, form: str = "xyxy") -> tuple[Numbers, Numbers]:
    """The corners of two sets of boxes, laid out to meet each with each."""
    first, second = _corners(op, "boxes1", boxes1, form), _corners(op, "boxes2", boxes2, form)
    if boxes1.ndim < 2 or boxes2.ndim < 2 or boxes1.shape[:-2] != boxes2.shape[:-2]:
        raise complaint(ShapeError, op, "boxes1 must be [..., n, 4] and boxes2 [..., m, 4]",
                        {"boxes1": boxes1, "boxes2": boxes2})
    (a, b, c, d), (e, f, g, h) = first, second
    return ((a[..., :, None], b[..., :, None], c[..., :, None], d[..., :, None]),
            (e[..., None, :], f[..., None, :], g[..., None, :], h[..., None, :]))


# --- forms and sizes ----------------------------------------------------------------------------------------------


@public(method=False)
def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes in another form: ``"xyxy"``, ``"xywh"`` or ``"cxcywh"``.

    boxes: [..., 4]. Raises `ArgumentError` for other forms.

    >>> import tensorlite as tl
    >>> tl.box_convert(tl.tensor([[1.0, 2.0, 4.0, 6.0]]), "xyxy", "cxcywh")
    tensor([[2.5, 4. , 3. , 4. ]])
    """
    before, after = _form("box_convert", "in_fmt", in_fmt), _form("box_convert", "out_fmt", out_fmt)
    numbers: Sequence[Any] = _numbers("box_convert", "boxes", boxes)
    if before == after:
        return stack(numbers, axis=-1)
    return stack(_FROM_CORNERS[after](*_TO_CORNERS[before](*numbers)), axis=-1)


def _area(corners: Numbers) -> Tensor:
    x1, y1, x2, y2 = corners
    return (x2 - x1) * (y2 - y1)


@public(method=False)
def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """The areas of boxes [..., 4].

    >>> import tensorlite as tl
    >>> tl.box_area(tl.tensor([[1.0, 2.0, 4.0, 6.0]]))
    tensor([12.])
    """
    form = _form("box_area", "fmt", fmt)
    if form != "xyxy":
        _, _, width, height = map(_wide, _numbers("box_area", "boxes", boxes))
        return width * height
    return _area(_corners("box_area", "boxes", boxes))


@public(method=False)
def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes without what lies outside an image of a size ``(height, width)``; boxes: [..., 4], corners.

    >>> import tensorlite as tl
    >>> tl.clip_boxes_to_image(tl.tensor([[-1.0, 2.0, 4.0, 6.0]]), (5, 3))
    tensor([[0., 2., 3., 5.]])
    """
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise complaint(DTypeError, "clip_boxes_to_image", f"size must be (height, width), not {size!r}")
    x1, y1, x2, y2 = _numbers("clip_boxes_to_image", "boxes", boxes)
    height, width = size
    return stack([clip(x1, 0, width), clip(y1, 0, height), clip(x2, 0, width), clip(y2, 0, height)], axis=-1)


@public(method=False)
def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """The positions of the boxes whose width and height are at least ``min_size``; boxes: [n, 4], corners.

    In jitted functions how many there are is only known when it runs, as for `nonzero`.

    >>> import tensorlite as tl
    >>> tl.remove_small_boxes(tl.tensor([[0.0, 0.0, 1.0, 5.0], [0.0, 0.0, 2.0, 5.0]]), 2)
    tensor([1])
    """
    x1, y1, x2, y2 = _numbers("remove_small_boxes", "boxes", boxes)
    if boxes.ndim != 2:
        raise complaint(ShapeError, "remove_small_boxes", "boxes must have the shape [n, 4]", {"boxes": boxes})
    (places,) = _nonzero(logical_and(x2 - x1 >= min_size, y2 - y1 >= min_size))
    return places


# --- what two boxes have in common --------------------------------------------------------------------------------


def _shared(a: Numbers, b: Numbers) -> tuple[Tensor, Tensor]:
    """The area that two boxes share, over that of both together, and the latter."""
    common = _positive(minimum(a[2], b[2]) - maximum(a[0], b[0])) * _positive(
        minimum(a[3], b[3]) - maximum(a[1], b[1]))
    union = _area(a) + _area(b) - common
    return common / union, union


def _positive(x: Tensor) -> Tensor:
    return clip(x, 0)


def _around(a: Numbers, b: Numbers) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box around two."""
    return (_positive(maximum(a[2], b[2]) - minimum(a[0], b[0])),
            _positive(maximum(a[3], b[3]) - minimum(a[1], b[1])))


@public(method=False)
def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """The share of two boxes that is common to both: their common area over that of both together (Jaccard's index).

    boxes1: [..., n, 4], boxes2: [..., m, 4]; the result: [..., n, m]. Two boxes without an area have NaN. Raises
    `ShapeError` and `DTypeError` for other tensors, `ArgumentError` for unknown forms ``fmt``.

    >>> import tensorlite as tl
    >>> tl.box_iou(tl.tensor([[0.0, 0.0, 2.0, 2.0]]), tl.tensor([[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]]))
    tensor([[0.3333, 0.    ]])
    """
    return _shared(*_pairs("box_iou", boxes1, boxes2, _form("box_iou", "fmt", fmt)))[0]


@public(method=False)
def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """`box_iou` less the share of the smallest box around both that neither covers.

    Of corners, as `box_iou` takes them. Rezatofighi et al., "Generalized intersection over union", 2019.

    >>> import tensorlite as tl
    >>> tl.generalized_box_iou(tl.tensor([[0.0, 0.0, 1.0, 1.0]]), tl.tensor([[3.0, 0.0, 4.0, 1.0]]))
    tensor([[-0.5]])
    """
    a, b = _pairs("generalized_box_iou", boxes1, boxes2)
    share, union = _shared(a, b)
    width, height = _around(a, b)
    return share - (width * height - union) / (width * height)


def _distant(a: Numbers, b: Numbers, eps: float) -> tuple[Tensor, Tensor]:
    """The shares of boxes less the distance of their centres, squared, and the shares alone."""
    share, _ = _shared(a, b)
    width, height = _around(a, b)
    across = square(width) + square(height) + eps
    apart = square((a[0] + a[2]) / 2 - (b[0] + b[2]) / 2) + square((a[1] + a[3]) / 2 - (b[1] + b[3]) / 2)
    return share - apart / across, share


@public(method=False)
def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """`box_iou` less the distance of the centres over the diagonal of the smallest box around both, both squared.

    Of corners, as `box_iou` takes them; ``eps`` is added to the squared diagonal. Zheng et al., "Distance-IoU loss",
    2020.

    >>> import tensorlite as tl
    >>> tl.distance_box_iou(tl.tensor([[0.0, 0.0, 1.0, 1.0]]), tl.tensor([[0.0, 0.0, 1.0, 1.0]]))
    tensor([[1.]])
    """
    return _distant(*_pairs("distance_box_iou", boxes1, boxes2), eps)[0]


@public(method=False)
def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """`distance_box_iou` less how much the boxes' ratios of width to height differ.

    That is ``alpha * v`` with ``v = 4 / pi**2 * (atan(w1 / h1) - atan(w2 / h2))**2`` and ``alpha = v / (1 - iou + v +
    eps)``, which counts as constant in derivatives. Zheng et al., "Distance-IoU loss", 2020.

    >>> import tensorlite as tl
    >>> tl.complete_box_iou(tl.tensor([[0.0, 0.0, 1.0, 1.0]]), tl.tensor([[0.0, 0.0, 1.0, 1.0]]))
    tensor([[1.]])
    """
    a, b = _pairs("complete_box_iou", boxes1, boxes2)
    distant, share = _distant(a, b, eps)
    ratios = [atan((x2 - x1) / (y2 - y1)) for x1, y1, x2, y2 in (a, b)]
    v = square(ratios[0] - ratios[1]) * (4 / math.pi**2)
    alpha = (v / (1 - share + v + eps)).detach()
    return distant - alpha * v
