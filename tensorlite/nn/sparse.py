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

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """What layers with a table of vectors share."""

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, max_norm: float | None,
                 norm_type: float, scale_grad_by_freq: bool, sparse: bool, _weight: Tensor | None, _freeze: bool,
                 device: str | None, dtype: Any) -> None:
        super().__init__()
        kind = type(self).__name__
        if sparse:
            raise complaint(ArgumentError, kind, "the option sparse is not there: gradients are dense",
                            {"sparse": sparse}, "leave sparse out")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise complaint(ArgumentError, kind,
                            f"padding_idx {padding_idx} is no row of a table of {num_embeddings}")
        if _weight is not None and _weight.shape != (num_embeddings, embedding_dim):
            raise complaint(ShapeError, kind, f"the table must be [{num_embeddings}, {embedding_dim}]",
                            {"_weight": _weight})
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.sparse = sparse
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

    def _padding(self) -> str:
        return "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"

    def _options(self) -> str:
        shown = {"max_norm": self.max_norm,
                 "norm_type": self.norm_type if self.norm_type != 2 else None,
                 "scale_grad_by_freq": self.scale_grad_by_freq or None}
        return "".join(f", {name}={value!r}" for name, value in shown.items() if value is not None)


def _extents(op: str, embeddings: Tensor) -> tuple[int, int]:
    if embeddings.ndim != 2:
        raise complaint(ShapeError, op, "the table must be [rows, features]", {"embeddings": embeddings})
    rows, features = embeddings.shape
    return rows, features


class Embedding(_Table):
    """A table of vectors, looked up by integers; normal numbers at first, and zeros in the row ``padding_idx``.

    The row ``padding_idx`` gets no derivative. The options are those of `functional.embedding`.

    >>> import tensorlite as tl
    >>> tl.nn.Embedding(10, 3)(tl.tensor([[1, 2]])).shape
    (1, 2, 3)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
                 max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
                 sparse: bool = False, _weight: Tensor | None = None, _freeze: bool = False, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
                         _weight, _freeze, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
                           self.scale_grad_by_freq)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None,
                        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
                        sparse: bool = False) -> Self:
        """A layer with a given table, which by default is not trained."""
        return cls(*_extents(cls.__name__, embeddings), padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
                   _weight=embeddings, _freeze=freeze)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}{self._padding()}{self._options()}"


class EmbeddingBag(_Table):
    """The sum, mean or maximum of the vectors of each bag of integers; see `functional.embedding_bag`.

    >>> import tensorlite as tl
    >>> layer = tl.nn.EmbeddingBag(10, 3, mode="sum")
    >>> layer(tl.tensor([[1, 2], [3, 4]])).shape
    (2, 3)
    >>> layer(tl.tensor([1, 2, 3]), tl.tensor([0, 1])).shape
    (2, 3)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
                 scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
                 _weight: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
                         _weight, False, device, dtype)
        if mode not in ("sum", "mean", "max"):
            raise complaint(ArgumentError, "EmbeddingBag", f"mode must be 'sum', 'mean' or 'max', not {mode!r}")
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
                               self.mode, False, per_sample_weights, self.include_last_offset, self.padding_idx)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, max_norm: float | None = None,
                        norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
                        sparse: bool = False, include_last_offset: bool = False,
                        padding_idx: int | None = None) -> Self:
        """A layer with a given table, which by default is not trained."""
        layer = cls(*_extents(cls.__name__, embeddings), max_norm, norm_type, scale_grad_by_freq, mode, sparse,
                    embeddings, include_last_offset, padding_idx)
        layer.weight.requires_grad = not freeze
        return layer

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}{self._options()}, mode={self.mode!r}{self._padding()}"
