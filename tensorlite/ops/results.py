"""The named tuples that functions with several results give.

They are by themselves, so that the type stub of `Tensor`, whose methods return them, needs nothing that needs it.
"""

from __future__ import annotations

from typing import NamedTuple

from tensorlite.tensor import Tensor


class UniqueAll(NamedTuple):
    """What `unique_all` gives."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: Tensor
    inverse_indices: Tensor


class TopK(NamedTuple):
    """What `topk` gives."""

    values: Tensor
    indices: Tensor


class Running(NamedTuple):
    """What `cummax` and `cummin` give."""

    values: Tensor
    indices: Tensor


class Chosen(NamedTuple):
    """What `kthvalue`, `median`, `nanmedian` and `mode` give along an axis."""

    values: Tensor
    indices: Tensor


class VarMean(NamedTuple):
    """What `var_mean` gives."""

    var: Tensor
    mean: Tensor


class StdMean(NamedTuple):
    """What `std_mean` gives."""

    std: Tensor
    mean: Tensor


class AMinMax(NamedTuple):
    """What `aminmax` gives."""

    min: Tensor
    max: Tensor


class Histogram(NamedTuple):
    """What `histogram` gives."""

    hist: Tensor
    bin_edges: Tensor


class Frexp(NamedTuple):
    """What `frexp` gives."""

    mantissa: Tensor
    exponent: Tensor
