"""A softmax over many classes whose rare ones are first looked for by their cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn.containers import ModuleList, Sequential
from tensorlite.nn.linear import Linear
from tensorlite.nn.module import Module
from tensorlite.ops.bounds import clip
from tensorlite.ops.elementwise import greater_equal, less, logical_and, where
from tensorlite.ops.indexing.scatter import gather
from tensorlite.ops.indexing.search import argmax
from tensorlite.ops.join import concat
from tensorlite.ops.reduce import mean
from tensorlite.ops.shape import reshape
from tensorlite.tensor import Tensor

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class ASMoutput(NamedTuple):
    """The log probability of each target, and the mean of their negatives."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log probabilities of many classes, the frequent ones first, those after ``cutoffs[0]`` in clusters.

    Joulin et al., "Efficient softmax approximation for GPUs", 2016. The head knows the classes before the first cutoff
    and the clusters; cluster ``i`` projects to ``in_features / div_value**(i + 1)`` features first. All clusters are
    computed for all samples, so that shapes do not depend on the targets. Called with input [batch, features] or
    [features] and integers [batch] or [], it gives ``output`` and ``loss``. Raises `ArgumentError` for cutoffs that do
    not rise within the classes, `IndexingError` for targets that are no class.

    >>> import tensorlite as tl
    >>> layer = tl.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10])
    >>> layer(tl.zeros((3, 8)), tl.tensor([0, 7, 19])).output.shape
    (3,)
    >>> layer.log_prob(tl.zeros((3, 8))).shape
    (3, 20)
    """

    def __init__(self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0,
                 head_bias: bool = False, device: str | None = None, dtype: Any = None) -> None:
        super().__init__()
        edges = list(cutoffs)
        if not edges or any(int(c) != c for c in edges) or edges[0] < 1 or edges[-1] > n_classes - 1 or any(
                low >= high for low, high in zip(edges, edges[1:], strict=False)):
            raise complaint(ArgumentError, "AdaptiveLogSoftmaxWithLoss",
                            f"cutoffs are integers that rise between 1 and {n_classes - 1}, not {edges}")
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*edges, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = edges[0], len(edges)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for number, (low, high) in enumerate(self._clusters()):
            hidden = int(in_features // div_value ** (number + 1))
            self.tail.append(Sequential(Linear(in_features, hidden, bias=False, device=device, dtype=dtype),
                                        Linear(hidden, high - low, bias=False, device=device, dtype=dtype)))

    def _clusters(self) -> list[tuple[int, int]]:
        """The first class of each cluster, and the one after its last."""
        return list(zip(self.cutoffs, self.cutoffs[1:], strict=False))

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> ASMoutput:
        if input_.ndim != target_.ndim + 1 or input_.shape[:-1] != target_.shape or input_.ndim not in (1, 2):
            raise complaint(ShapeError, "AdaptiveLogSoftmaxWithLoss",
                            "the input must be [batch, features] and the target [batch], or [features] and []",
                            {"input_": input_, "target_": target_})
        x, target = reshape(input_, (-1, input_.shape[-1])), reshape(target_, (-1, 1))
        place, total = target, None
        for number, ((low, high), layers) in enumerate(zip(self._clusters(), self.tail, strict=True)):
            inside = greater_equal(target, low)
            if high < self.n_classes:
                inside = logical_and(inside, less(target, high))
            place = where(inside, self.shortlist_size + number, place)
            last = None if high == self.n_classes else high - low - 1  # a target that is no class is found by gather
            within = gather(F.log_softmax(layers(x), 1), 1, clip(target - low, 0, last))
            part = where(inside, within, 0.0)
            total = part if total is None else total + part
        output = reshape(gather(F.log_softmax(self.head(x), 1), 1, place) + total, target_.shape)
        return ASMoutput(output, mean(-output))

    def log_prob(self, input: Tensor) -> Tensor:
        """The log probabilities of all classes: [batch, classes]."""
        head = F.log_softmax(self.head(input), 1)
        size = self.shortlist_size
        tails = [F.log_softmax(layers(input), 1) + head[:, size + number:size + number + 1]
                 for number, layers in enumerate(self.tail)]
        return concat([head[:, :size], *tails], axis=1)

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest class of each sample."""
        return argmax(self.log_prob(input), axis=1)
