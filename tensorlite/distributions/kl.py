"""`kl_divergence` between distributions, by formulas that families register for pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorlite import errors
from tensorlite.distributions.distribution import Distribution
from tensorlite.tensor import Tensor

__all__ = ["kl_divergence", "register_kl"]

Formula = Callable[[Any, Any], Tensor]

#: The formulas by the two families.
REGISTRY: dict[tuple[type, type], Formula] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Formula], Formula]:
    """Registers the decorated function as `kl_divergence` of two families, and of those made from them.

    >>> import tensorlite as tl
    >>> class Mine(tl.distributions.Normal):
    ...     pass
    >>> @tl.distributions.register_kl(Mine, Mine)
    ... def nothing(p, q):
    ...     return tl.zeros_like(p.loc)
    >>> tl.distributions.kl_divergence(Mine(0.0, 1.0), Mine(1.0, 1.0))
    tensor(0.)
    """
    for given in (type_p, type_q):
        if not (isinstance(given, type) and issubclass(given, Distribution)):
            raise errors.complaint(errors.DTypeError, "register_kl", f"{given!r} is no family of distributions")

    def register(formula: Formula) -> Formula:
        REGISTRY[type_p, type_q] = formula
        return formula
    return register


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The mean under ``p`` of ``p.log_prob(x) - q.log_prob(x)``, in nats, of each of the batch.

    Raises `ArgumentError` for two families for which there is no formula.

    >>> import tensorlite as tl
    >>> d = tl.distributions
    >>> d.kl_divergence(d.Normal(0.0, 1.0), d.Normal(1.0, 1.0))
    tensor(0.5)
    """
    formula = _formula(type(p), type(q))
    if formula is None:
        raise errors.complaint(errors.ArgumentError, "kl_divergence",
                               f"there is no formula for {type(p).__name__} and {type(q).__name__}", None,
                               "register one: tl.distributions.register_kl(P, Q), or take the mean over a draw")
    return formula(p, q)


def _formula(p: type, q: type) -> Formula | None:
    """The formula of the nearest families: in the first argument, then in the second."""
    found = [(p.__mro__.index(a), q.__mro__.index(b), formula) for (a, b), formula in REGISTRY.items()
             if a in p.__mro__ and b in q.__mro__]
    return min(found, key=lambda row: row[:2])[2] if found else None
