"""The methods of pruning: at random or by size, single elements or whole channels, or by a mask that is given."""

from __future__ import annotations

import numbers
from typing import Any

from tensorlite.errors import ArgumentError, DTypeError, complaint
from tensorlite.linalg import norm, vector_norm
from tensorlite.nn.module import Module
from tensorlite.nn.utils.pruning_base import BasePruningMethod, channel_axis
from tensorlite.ops.elementwise import abs, greater_equal
from tensorlite.ops.shape import astype, reshape
from tensorlite.ops.sort import argsort
from tensorlite.random import rand
from tensorlite.tensor import Tensor

__all__ = ["CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "RandomStructured", "RandomUnstructured"]

Amount = int | float


def _checked(method: str, amount: Amount) -> Amount:
    """How many are pruned: a fraction, or a count."""
    if not isinstance(amount, numbers.Real):
        raise complaint(DTypeError, method, f"amount must be an int or a float, not {type(amount).__name__}")
    if amount < 0 or (amount > 1 and not isinstance(amount, numbers.Integral)):
        raise complaint(ArgumentError, method, f"amount must be a fraction in [0, 1] or a count, not {amount}")
    return amount


def _count(method: BasePruningMethod, amount: Amount, size: int) -> int:
    """The number that is pruned of ``size``."""
    count = int(amount) if isinstance(amount, numbers.Integral) else round(amount * size)
    if count > size:
        raise complaint(ArgumentError, type(method).__name__, f"cannot prune {count} of {size}", None,
                        "choose a smaller amount, or a fraction")
    return count


def _order(n: Any) -> float:
    """The order of a norm of vectors: Frobenius' is 2."""
    if n == "fro":
        return 2.0
    if isinstance(n, numbers.Real):
        return float(n)
    raise complaint(ArgumentError, "LnStructured", f"n must be a number, 'fro' or 'nuc', not {n!r}")


def _without_least(scores: Tensor, count: int) -> Tensor:
    """Which of some scores are not among the ``count`` least."""
    flat = reshape(scores, (-1,))
    places = argsort(argsort(flat, stable=True), stable=True)  # the rank of each
    return reshape(greater_equal(places, count), scores.shape)


class Identity(BasePruningMethod):
    """Prunes nothing, and makes a parameter a pruned one."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """What was there before."""
        return default_mask

    @classmethod
    def apply(cls, module: Module, name: str) -> BasePruningMethod:  # type: ignore[override]
        """Makes a parameter of a module a pruned one."""
        return super().apply(module, name)


class RandomUnstructured(BasePruningMethod):
    """Prunes elements at random, ``amount`` of them: a fraction, or a count."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Amount) -> None:
        self.amount = _checked("RandomUnstructured", amount)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of before without elements drawn of all."""
        kept = _without_least(rand(t.shape), _count(self, self.amount, t.size))
        return default_mask * astype(kept, default_mask.dtype)

    @classmethod
    def apply(cls, module: Module, name: str, amount: Amount) -> BasePruningMethod:  # type: ignore[override]
        """Prunes a parameter of a module."""
        return super().apply(module, name, amount=amount)


class L1Unstructured(BasePruningMethod):
    """Prunes the ``amount`` of elements that are smallest in size: a fraction, or a count.

    Of elements of one size the first are pruned.
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Amount) -> None:
        self.amount = _checked("L1Unstructured", amount)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of before without the smallest elements."""
        kept = _without_least(abs(t), _count(self, self.amount, t.size))
        return default_mask * astype(kept, default_mask.dtype)

    @classmethod
    def apply(cls, module: Module, name: str, amount: Amount,  # type: ignore[override]
              importance_scores: Tensor | None = None) -> BasePruningMethod:
        """Prunes a parameter of a module, by the scores if they are given."""
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


class _Structured(BasePruningMethod):
    """Prunes channels: slices across the axis ``dim``."""

    PRUNING_TYPE = "structured"
    amount: Amount
    dim: int

    def scores(self, t: Tensor, axis: int) -> Tensor:
        """What the channels are ordered by."""
        raise complaint(ArgumentError, type(self).__name__, "the method has no scores")

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of before without the channels of least scores."""
        axis = channel_axis(self, t, self.dim)
        kept = _without_least(self.scores(t, axis), _count(self, self.amount, t.shape[axis]))
        rows = reshape(kept, tuple(n if i == axis else 1 for i, n in enumerate(t.shape)))
        return default_mask * astype(rows, default_mask.dtype)


class RandomStructured(_Structured):
    """Prunes channels along ``dim`` at random, ``amount`` of them: a fraction, or a count."""

    def __init__(self, amount: Amount, dim: int = -1) -> None:
        self.amount, self.dim = _checked("RandomStructured", amount), dim

    def scores(self, t: Tensor, axis: int) -> Tensor:
        """Any numbers."""
        return rand((t.shape[axis],))

    @classmethod
    def apply(cls, module: Module, name: str, amount: Amount,  # type: ignore[override]
              dim: int = -1) -> BasePruningMethod:
        """Prunes a parameter of a module."""
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(_Structured):
    """Prunes the ``amount`` of channels along ``dim`` that are smallest in the norm of order ``n``."""

    def __init__(self, amount: Amount, n: Any, dim: int = -1) -> None:
        self.amount, self.n, self.dim = _checked("LnStructured", amount), n, dim

    def scores(self, t: Tensor, axis: int) -> Tensor:
        """Their norms."""
        others = tuple(i for i in range(t.ndim) if i != axis)
        return norm(t, self.n, axis=others) if self.n == "nuc" else vector_norm(t, _order(self.n), axis=others)

    @classmethod
    def apply(cls, module: Module, name: str, amount: Amount, n: Any, dim: int,  # type: ignore[override]
              importance_scores: Tensor | None = None) -> BasePruningMethod:
        """Prunes a parameter of a module, by the scores if they are given."""
        return super().apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)


class CustomFromMask(BasePruningMethod):
    """Prunes what a mask of a parameter's shape says: its zeros."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The product of the masks."""
        return default_mask * astype(self.mask, default_mask.dtype)

    @classmethod
    def apply(cls, module: Module, name: str, mask: Tensor) -> BasePruningMethod:  # type: ignore[override]
        """Prunes a parameter of a module."""
        return super().apply(module, name, mask=mask)
