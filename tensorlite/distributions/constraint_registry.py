"""Which transform makes what a constraint asks for out of any numbers: `biject_to`, with a way back, `transform_to`.

>>> import tensorlite as tl
>>> d = tl.distributions
>>> d.biject_to(d.Normal(0.0, 1.0).support)(tl.tensor(-1.0))
tensor(-1.)
>>> d.transform_to(d.constraints.greater_than(2.0))(tl.tensor(0.0))
tensor(3.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorlite.distributions import constraints
from tensorlite.distributions import transforms as t
from tensorlite.distributions.constraints import Constraint
from tensorlite.errors import ArgumentError, DTypeError, complaint

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]

Family = Callable[..., Constraint]
Factory = Callable[[Constraint], t.Transform]


class ConstraintRegistry:
    """A table from constraints, or functions that make them, to functions that make transforms of them.

    >>> import tensorlite as tl
    >>> d = tl.distributions
    >>> table = d.ConstraintRegistry("table")
    >>> @table.register(d.constraints.positive)
    ... def softplus(constraint):
    ...     return d.transforms.SoftplusTransform()
    >>> table(d.constraints.positive)
    SoftplusTransform()
    """

    def __init__(self, name: str = "ConstraintRegistry") -> None:
        self.name = name
        self._table: dict[Any, tuple[Any, Factory]] = {}

    def register(self, constraint: Constraint | Family, factory: Factory | None = None) -> Any:
        """Notes what makes the transform of a constraint, or of those that a function makes; or decorates that."""
        if not isinstance(constraint, Constraint) and not callable(constraint):
            raise complaint(DTypeError, self.name, "takes a constraint or a function that makes constraints, not "
                            f"{type(constraint).__name__}")
        if factory is None:
            return lambda made: self.register(constraint, made)
        self._table[_key(constraint)] = constraint, factory  # kept, as its identity is its key
        return factory

    def __call__(self, constraint: Constraint) -> t.Transform:
        """The transform of a constraint; raises `ArgumentError` where none is known."""
        if not isinstance(constraint, Constraint):
            raise complaint(DTypeError, self.name, f"takes a constraint, not {type(constraint).__name__}")
        found = self._table.get(_key(constraint)) or self._table.get(constraint.family)
        if found is None:
            raise complaint(ArgumentError, self.name, f"there is no transform to what is {constraint.says}", None,
                            f"name one: {self.name}.register(constraint, factory)")
        return found[1](constraint)


def _key(constraint: Constraint | Family) -> Any:
    """A constraint by its identity; one that a function made stands for itself alone."""
    return id(constraint) if isinstance(constraint, Constraint) else constraint


biject_to, transform_to = ConstraintRegistry("biject_to"), ConstraintRegistry("transform_to")


def _both(constraint: Constraint | Family, factory: Factory) -> None:
    biject_to.register(constraint, factory)
    transform_to.register(constraint, factory)


def _above(constraint: Constraint) -> t.Transform:
    return t.ComposeTransform([t.ExpTransform(), t.AffineTransform(constraint.arguments[0], 1)])


def _below(constraint: Constraint) -> t.Transform:
    return t.ComposeTransform([t.ExpTransform(), t.AffineTransform(constraint.arguments[0], -1)])


def _between(constraint: Constraint) -> t.Transform:
    low, high = constraint.arguments
    if all(isinstance(bound, int | float) for bound in (low, high)) and (low, high) == (0, 1):
        return t.SigmoidTransform()
    return t.ComposeTransform([t.SigmoidTransform(), t.AffineTransform(low, high - low)])


_both(constraints.real, lambda constraint: t.identity_transform)
_both(constraints.real_vector, lambda constraint: t.IndependentTransform(t.identity_transform, 1))
for _positive in (constraints.positive, constraints.nonnegative):
    _both(_positive, lambda constraint: t.ExpTransform())
_both(constraints.greater_than, _above)
_both(constraints.greater_than_eq, _above)
_both(constraints.less_than, _below)
_both(constraints.interval, _between)
_both(constraints.half_open_interval, _between)
biject_to.register(constraints.simplex, lambda constraint: t.StickBreakingTransform())
transform_to.register(constraints.simplex, lambda constraint: t.SoftmaxTransform())
_both(constraints.corr_cholesky, lambda constraint: t.CorrCholeskyTransform())
transform_to.register(constraints.lower_cholesky, lambda constraint: t.LowerCholeskyTransform())
transform_to.register(constraints.positive_definite, lambda constraint: t.PositiveDefiniteTransform())
transform_to.register(constraints.positive_semidefinite, lambda constraint: t.PositiveDefiniteTransform())


def _register_compounds(to: ConstraintRegistry) -> None:
    """Constraints that are made of others, by what the same table has for these."""
    to.register(constraints.independent, lambda constraint: t.IndependentTransform(
        to(constraint.arguments[0]), constraint.arguments[1]))
    to.register(constraints.cat, lambda constraint: t.CatTransform(
        [to(part) for part in constraint.arguments[0]], *constraint.arguments[1:]))
    to.register(constraints.stack, lambda constraint: t.StackTransform(
        [to(part) for part in constraint.arguments[0]], constraint.arguments[1]))


_register_compounds(biject_to)
_register_compounds(transform_to)
