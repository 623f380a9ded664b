"""Layers that look things up."""

from __future__ import annotations

from typing import Any, Self

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.modes import no_grad
from tensorlite.nn import functional as F
from tensorlite.nn import init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.filled import empty
from tensorlite.tensor import Tensor

__all__ = ["Embedding"]


class Embedding(Module):
    """A table of vectors, looked up by integers; normal numbers at first, and zeros in the row ``padding_idx``.

    The row ``padding_idx`` gets no derivative.

    >>> import tensorlite as tl
    >>> tl.nn.Embedding(10, 3)(tl.tensor([[1, 2]])).shape
    (1, 2, 3)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: None = None,
                 norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
                 _weight: Tensor | None = None, _freeze: bool = False, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__()
        for name, value in (("max_norm", max_norm), ("scale_grad_by_freq", scale_grad_by_freq), ("sparse", sparse)):
            if value:
                raise complaint(ArgumentError, "Embedding", f"the option {name} is not there", {name: value},
                                f"leave {name} out")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise complaint(ArgumentError, "Embedding",
                            f"padding_idx {padding_idx} is no row of a table of {num_embeddings}")
        if _weight is not None and _weight.shape != (num_embeddings, embedding_dim):
            raise complaint(ShapeError, "Embedding", f"the table must be [{num_embeddings}, {embedding_dim}]",
                            {"_weight": _weight})
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        table = empty((num_embeddings, embedding_dim), dtype=dtype, device=device) if _weight is None else _weight
        self.weight = Parameter(table, requires_grad=not _freeze)
        if _weight is None:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Self:
        """A layer with a given table, which by default is not trained."""
        if embeddings.ndim != 2:
            raise complaint(ShapeError, "Embedding", "the table must be [rows, features]", {"embeddings": embeddings})
        rows, features = embeddings.shape
        return cls(rows, features, padding_idx, _weight=embeddings, _freeze=freeze)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
