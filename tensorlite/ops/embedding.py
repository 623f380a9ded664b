"""Looking vectors up in a table."""

from __future__ import annotations

from tensorlite.declare import public
from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.ops.elementwise import equal, where
from tensorlite.ops.scatter import _take_rows
from tensorlite.ops.shape import _reshape
from tensorlite.tensor import Tensor

__all__ = ["embedding"]


@public(method=False)
def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The rows of a table that indices name: ``weight[input]``.

    input: integers of any shape; weight: [rows, features]. The row ``padding_idx`` gets no derivative. Raises
    `IndexingError` for indices that the table does not have.

    >>> import tensorlite as tl
    >>> tl.embedding(tl.tensor([1, 0]), tl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    if weight.ndim != 2:
        raise complaint(ShapeError, "embedding", "the table must be [rows, features]",
                        {"input": input, "weight": weight})
    rows = _take_rows(weight, input, axis=0)
    if padding_idx is None:
        return rows
    count = len(weight)
    if not -count <= padding_idx < count:
        raise complaint(ArgumentError, "embedding", f"padding_idx {padding_idx} is no row of the table",
                        {"weight": weight})
    is_padding = _reshape(equal(input, padding_idx % count), shape=(*input.shape, 1))
    return where(is_padding, rows.detach(), rows)
