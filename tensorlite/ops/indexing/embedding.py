"""Looking vectors up in a table."""

from __future__ import annotations

import math
from typing import Any

from tensorlite.batch import leading
from tensorlite.declare import primitive, public
from tensorlite.dispatch import apply
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.modes import no_grad
from tensorlite.op import OPS, Sample
from tensorlite.ops.elementwise import abs, equal, greater, where
from tensorlite.ops.filled import ones
from tensorlite.ops.indexing.scatter import _add_rows, _take_rows
from tensorlite.ops.reduce import sum
from tensorlite.ops.shape import _reshape, reshape
from tensorlite.tensor import Tensor

__all__ = ["embedding"]


def check_table(op: str, input: Tensor, weight: Tensor, padding_idx: int | None, sparse: bool) -> int | None:
    """Raises for what is no table of vectors, or not there; returns the row of padding, counted from the front."""
    if sparse:
        raise complaint(ArgumentError, op, "the option sparse is not there: gradients are dense", {"sparse": sparse},
                        "leave sparse out")
    if input.dtype.kind not in "iu":
        raise complaint(DTypeError, op, f"index must hold integers, not {input.dtype.name}", {"input": input},
                        "cast it first: input.to(tl.int64)")
    if weight.ndim != 2:
        raise complaint(ShapeError, op, "the table must be [rows, features]", {"input": input, "weight": weight})
    count = len(weight)
    if padding_idx is None:
        return None
    if not -count <= padding_idx < count:
        raise complaint(ArgumentError, op, f"padding_idx {padding_idx} is no row of the table", {"weight": weight})
    return padding_idx % count


@no_grad()
def renormalize(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """Rebinds a table to one whose rows that are looked up are no longer than ``max_norm``."""
    places = reshape(input, -1)
    if not places.size:
        return
    rows = _take_rows(weight.detach(), places, axis=0)
    sizes = abs(rows)
    if math.isinf(norm_type):
        norms = apply(OPS["max"], sizes, axis=(1,), keepdims=True)
    else:
        norms = sum(sizes**norm_type, axis=1, keepdims=True) ** (1 / norm_type)
    weight[places] = where(greater(norms, max_norm), rows * (max_norm / (norms + 1e-7)), rows)


# The sample is empty: of others differences would not find what the rule says on purpose.
@primitive("opaque", type=lambda x, factor: x, meaning=lambda x, factor: x, batch=leading,
           vjp={"x": lambda g, factor: g * factor}, samples=[Sample((2, 0), (2, 1))])
def _scale_cotangent(xp: Any, x: Any, factor: Any) -> Any:
    """A tensor itself, whose cotangent is scaled."""
    return x.copy()


def looked_up(weight: Tensor, input: Tensor, padding: int | None, scale_grad_by_freq: bool) -> Tensor:
    """The rows that indices name; that of padding gets no derivative, others may get it over how often they occur."""
    rows = _take_rows(weight, input, axis=0)
    if scale_grad_by_freq:
        places = reshape(input, -1)
        counts = _add_rows(ones(places.shape, dtype=weight.dtype), places, axis=0, size=len(weight))
        rows = _scale_cotangent(rows, _reshape(1 / _take_rows(counts, input, axis=0), shape=(*input.shape, 1)))
    if padding is None:
        return rows
    return where(_reshape(equal(input, padding), shape=(*input.shape, 1)), rows.detach(), rows)


@public(method=False)
def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
              norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """The rows of a table that indices name: ``weight[input]``.

    input: integers of any shape; weight: [rows, features]. The row ``padding_idx`` gets no derivative; with
    ``scale_grad_by_freq`` that of a row is divided by how often it is looked up. ``max_norm`` rebinds the table to one
    whose rows that are looked up are no longer than that, by the norm ``norm_type``. Raises `IndexingError` for
    indices that the table does not have.

    >>> import tensorlite as tl
    >>> tl.embedding(tl.tensor([1, 0]), tl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    padding = check_table("embedding", input, weight, padding_idx, sparse)
    if max_norm is not None:
        renormalize(weight, input, max_norm, norm_type)
    return looked_up(weight, input, padding, scale_grad_by_freq)
