"""Layers of distances and similarities between vectors."""

from __future__ import annotations

from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.tensor import Tensor

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """The p-norms of the differences of vectors along the last axis; see `functional.pairwise_distance`.

    >>> import tensorlite as tl
    >>> tl.nn.PairwiseDistance()(tl.ones((5, 3)), tl.zeros((5, 3))).shape
    (5,)
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """The cosines of the angles between vectors along an axis; see `functional.cosine_similarity`.

    >>> import tensorlite as tl
    >>> tl.nn.CosineSimilarity()(tl.ones((5, 3)), tl.ones((5, 3))).shape
    (5,)
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
