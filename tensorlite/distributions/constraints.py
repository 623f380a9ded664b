"""What parameters and values of distributions must be: conditions that are checked element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorlite as tl
from tensorlite.errors import ShapeError, complaint
from tensorlite.tensor import Tensor
from tensorlite.traced import is_traced


@dataclass(frozen=True)
class Constraint:
    """A condition, in words as in ``scale must be positive``, and which of the last axes it is about as a whole.

    One that a function here made has that function as its `family`, and what it was given as `arguments`.
    """

    says: str
    holds: Callable[[Tensor], Tensor] = field(repr=False)
    event_dim: int = 0
    is_discrete: bool = False
    family: Callable[..., Constraint] | None = field(default=None, repr=False, compare=False)
    arguments: tuple[Any, ...] = field(default=(), repr=False, compare=False)

    def check(self, value: Tensor) -> Tensor:
        """Whether each event fulfils it: bools in the shape of ``value`` without its last ``event_dim`` axes.

        >>> import tensorlite as tl
        >>> tl.distributions.constraints.positive.check(tl.tensor([1.0, -1.0]))
        tensor([ True, False])
        """
        return self.holds(value)

    def __repr__(self) -> str:
        return self.says


def _is_whole(x: Tensor) -> Tensor:
    return x == tl.floor(x)


def _both(a: Tensor, b: Tensor) -> Tensor:
    return tl.logical_and(a, b)


real = Constraint("real", lambda x: x == x)
real_vector = Constraint("a vector of real numbers", lambda x: (x == x).all(axis=-1), 1)
positive = Constraint("positive", lambda x: x > 0)
nonnegative = Constraint("0 or more", lambda x: x >= 0)
boolean = Constraint("0 or 1", lambda x: tl.logical_or(x == 0, x == 1), is_discrete=True)
nonnegative_integer = Constraint("an integer of 0 or more", lambda x: _both(_is_whole(x), x >= 0), is_discrete=True)
positive_integer = Constraint("an integer above 0", lambda x: _both(_is_whole(x), x >= 1), is_discrete=True)


def interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Numbers from one bound to the other, both included; bounds may be tensors."""
    return Constraint(f"between {_told(lower_bound)} and {_told(upper_bound)}",
                      lambda x: _both(x >= lower_bound, x <= upper_bound), 0, False, interval,
                      (lower_bound, upper_bound))


def half_open_interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Numbers from one bound to the other, the second excluded."""
    return Constraint(f"between {_told(lower_bound)} and below {_told(upper_bound)}",
                      lambda x: _both(x >= lower_bound, x < upper_bound), 0, False, half_open_interval,
                      (lower_bound, upper_bound))


def integer_interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Integers from one bound to the other, both included."""
    return Constraint(f"an integer between {_told(lower_bound)} and {_told(upper_bound)}",
                      lambda x: _both(_is_whole(x), _both(x >= lower_bound, x <= upper_bound)), is_discrete=True)


def greater_than(lower_bound: Any) -> Constraint:
    """Numbers above a bound."""
    return Constraint(f"above {_told(lower_bound)}", lambda x: x > lower_bound, 0, False, greater_than, (lower_bound,))


def greater_than_eq(lower_bound: Any) -> Constraint:
    """Numbers not below a bound."""
    return Constraint(f"at least {_told(lower_bound)}", lambda x: x >= lower_bound, 0, False, greater_than_eq,
                      (lower_bound,))


def less_than(upper_bound: Any) -> Constraint:
    """Numbers below a bound."""
    return Constraint(f"below {_told(upper_bound)}", lambda x: x < upper_bound, 0, False, less_than, (upper_bound,))


def _told(bound: Any) -> str:
    """A bound in words: a number where there is one."""
    if isinstance(bound, Tensor):
        return "its bound" if bound.ndim or is_traced(bound) else f"{bound.item():g}"
    return f"{bound:g}"


unit_interval = interval(0.0, 1.0)


def multinomial(total_count: int) -> Constraint:
    """Vectors of counts whose sum is ``total_count``."""
    return Constraint(f"a vector of counts with a sum of {total_count}",
                      lambda x: _both((x >= 0).all(axis=-1), x.sum(axis=-1) == total_count), 1, True)


def independent(base: Constraint, count: int) -> Constraint:
    """A constraint that an event of ``count`` more axes must fulfil everywhere."""
    def holds(x: Tensor) -> Tensor:
        found = base.check(x)
        return found.all(axis=tuple(range(-count, 0))) if count else found
    return Constraint(base.says, holds, base.event_dim + count, base.is_discrete, independent, (base, count))


def parts_of(x: Tensor, dim: int, lengths: Sequence[int]) -> list[Tensor]:
    """The parts of an axis, of some lengths."""
    if x.shape[dim] != sum(lengths):
        raise complaint(ShapeError, "constraints.cat", f"parts of {list(lengths)} make up another extent",
                        {"x": x, "dim": dim})
    return list(tl.split(x, list(lengths), dim))


def cat(cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None) -> Constraint:
    """Constraints of the parts of an axis, of these lengths: 1 each by default."""
    parts, sizes = list(cseq), [1] * len(cseq) if lengths is None else list(lengths)

    def holds(x: Tensor) -> Tensor:
        return tl.concat([part.check(own) for part, own in zip(parts, parts_of(x, dim, sizes), strict=True)], axis=dim)
    return _of_several(parts, holds, cat, (parts, dim, sizes))


def stack(cseq: Sequence[Constraint], dim: int = 0) -> Constraint:
    """Constraints of the slices across an axis, one each."""
    parts = list(cseq)

    def holds(x: Tensor) -> Tensor:
        return tl.stack([part.check(own) for part, own in zip(parts, tl.unstack(x, axis=dim), strict=True)], axis=dim)
    return _of_several(parts, holds, stack, (parts, dim))


def _of_several(parts: Sequence[Constraint], holds: Callable[[Tensor], Tensor], family: Callable[..., Constraint],
                arguments: tuple[Any, ...]) -> Constraint:
    says = ", then ".join(part.says for part in parts)
    return Constraint(says, holds, max((part.event_dim for part in parts), default=0),
                      any(part.is_discrete for part in parts), family, arguments)


def _is_simplex(x: Tensor) -> Tensor:
    return _both((x >= 0).all(axis=-1), tl.abs(x.sum(axis=-1) - 1) < 1e-6)


def _is_one_hot(x: Tensor) -> Tensor:
    return _both(tl.logical_or(x == 0, x == 1).all(axis=-1), x.sum(axis=-1) == 1)


def _matrix(condition: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: condition(x).all(axis=(-2, -1))


def _diagonal(x: Tensor) -> Tensor:
    return tl.diagonal(x, dim1=-2, dim2=-1)


def _is_symmetric(x: Tensor) -> Tensor:
    return tl.isclose(x, x.mT, atol=1e-6).all(axis=(-2, -1))


def _is_positive_definite(x: Tensor) -> Tensor:
    return _both(_is_symmetric(x), (tl.linalg.eigvalsh(x) > 0).all(axis=-1))


simplex = Constraint("a vector of shares with a sum of 1", _is_simplex, 1)
one_hot = Constraint("a vector of zeros and one 1", _is_one_hot, 1, True)
square = Constraint("a square matrix", lambda x: tl.full(x.shape[:-2], x.shape[-1] == x.shape[-2]), 2)
symmetric = Constraint("a symmetric matrix", _is_symmetric, 2)
lower_triangular = Constraint("a lower triangular matrix", _matrix(lambda x: tl.tril(x) == x), 2)
lower_cholesky = Constraint("a lower triangular matrix with a positive diagonal",
                            lambda x: _both(_matrix(lambda m: tl.tril(m) == m)(x), (_diagonal(x) > 0).all(axis=-1)), 2)
corr_cholesky = Constraint(
    "a lower triangular matrix with a positive diagonal and rows of length 1",
    lambda x: _both(lower_cholesky.check(x), (tl.abs((x * x).sum(axis=-1) - 1) < 10 * x.shape[-1] * float(
        tl.finfo(x.dtype).eps)).all(axis=-1)), 2)
positive_definite = Constraint("a positive definite matrix", _is_positive_definite, 2)
positive_semidefinite = Constraint(
    "a positive semidefinite matrix",
    lambda x: _both(_is_symmetric(x), (tl.linalg.eigvalsh(x) >= 0).all(axis=-1)), 2)
