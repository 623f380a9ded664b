"""How tensors show themselves: text as in PyTorch, and in notebooks type, statistics and a picture."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.interop import numpy
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, DEFAULT_INTEGER, bfloat16
from tensorlite.traced import is_traced


def _repr(self: Tensor) -> str:
    if is_traced(self):
        return f"tensor({self.type}, {getattr(self.array, 'note', 'traced')})"
    array = numpy(self)
    if array.dtype == bfloat16:
        array = array.astype(np.float32)
    text = np.array2string(array, separator=", ", prefix="tensor(", threshold=1000, edgeitems=3, precision=4)
    notes = []
    if self.size == 0 and self.shape != (0,):
        notes.append(f"shape={self.shape}")
    if self.device != "cpu":
        notes.append(f"device='{self.device}'")
    if self.dtype not in (DEFAULT_FLOAT, DEFAULT_INTEGER, np.dtype(bool)) or self.size == 0:
        notes.append(f"dtype={self.dtype.name}")
    if self.node is not None:
        notes.append("requires_grad=True")
    return f"tensor({', '.join([text, *notes])})"


def _format(self: Tensor, spec: str) -> str:
    if not spec:
        return repr(self)
    if self.size != 1:
        raise errors.complaint(errors.ArgumentError, "format", "only a tensor of one element takes a format",
                               {"x": self, "format": spec}, "format its elements: x.tolist()")
    return format(self.item(), spec)


def statistics(self: Tensor) -> str:
    """One line of what the elements are like: range, mean, deviation, and how many are not finite."""
    array = numpy(self)
    if array.size == 0:
        return "no elements"
    if array.dtype == bool:
        return f"{int(array.sum())} of {array.size} true"
    if array.dtype.kind == "c":
        return f"modulus {np.abs(array).min():.4g} to {np.abs(array).max():.4g}"
    values = array.astype(np.float64)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return f"no finite elements ({int(np.isnan(values).sum())} NaN)"
    with np.errstate(over="ignore", invalid="ignore"):
        text = f"min {finite.min():.4g}, max {finite.max():.4g}, mean {finite.mean():.4g}, std {finite.std():.4g}"
    lost = values.size - finite.size
    return f"{text}, <b>{lost} not finite</b> ({int(np.isnan(values).sum())} NaN)" if lost else text


def image_of(self: Tensor) -> np.ndarray | None:
    """The elements as an 8-bit picture, height by width (by 3), where the shape is that of a few images."""
    array = numpy(self)
    if array.dtype.kind == "c" or array.ndim not in (2, 3, 4) or not array.size:
        return None
    if array.ndim == 4 and array.shape[1] in (1, 3):
        array = np.concatenate(list(array[:8]), axis=2)
    if array.ndim == 3 and array.shape[0] in (1, 3):
        array = array.transpose(1, 2, 0)[..., 0] if array.shape[0] == 1 else array.transpose(1, 2, 0)
    is_image = array.ndim == 2 or array.ndim == 3 and array.shape[2] == 3
    if not is_image or not all(8 <= n <= 4096 for n in array.shape[:2]):
        return None
    values = np.nan_to_num(array.astype(np.float64), posinf=0, neginf=0)
    low, span = values.min() / 2, values.max() / 2 - values.min() / 2  # halves: the whole may overflow
    return ((values / 2 - low) / (span or 1) * 255).astype(np.uint8)


def _picture(self: Tensor) -> str:
    image = image_of(self)
    if image is None:
        return ""
    try:
        from PIL import Image
    except ImportError:
        return ""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    scale = max(1, 96 // image.shape[0])
    data = base64.b64encode(buffer.getvalue()).decode()
    return (f'<img src="data:image/png;base64,{data}" width="{image.shape[1] * scale}" '
            f'style="image-rendering:pixelated" alt="the elements as a picture">')


def _repr_html(self: Tensor) -> str:
    """What a notebook shows: type, device, statistics, a picture for image-shaped tensors, and the elements."""
    recorded = ", requires gradients" if self.node is not None else ""
    return (f"<div><code>{html.escape(str(self.type))}</code> on {html.escape(self.device)}{recorded}: "
            f"{statistics(self)}<br>{_picture(self)}<pre>{html.escape(_repr(self))}</pre></div>")


TENSOR_MEMBERS: dict[str, Any] = {
    "__repr__": _repr, "__str__": _repr, "__format__": _format, "_repr_html_": _repr_html,
}
