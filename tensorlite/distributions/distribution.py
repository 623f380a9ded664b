"""`Distribution`: what all of them have, by the names of `torch.distributions`."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions.constraints import Constraint
from tensorlite.random import Generator
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE, promote
from tensorlite.traced import is_traced

Shape = tuple[int, ...]


class Distribution:
    """A batch of distributions of one family: its parameters broadcast to ``batch_shape + event_shape``.

    A draw of ``sample_shape`` has the shape ``sample_shape + batch_shape + event_shape``, and ``log_prob`` of a value
    that broadcasts to it lacks ``event_shape``. With ``validate_args`` (the default) parameters and values are checked
    where their elements are known; in functions that are traced or mapped they are not.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    has_rsample: ClassVar[bool] = False
    has_enumerate_support: ClassVar[bool] = False
    _validates: ClassVar[bool] = True

    def __init__(self, batch_shape: Sequence[int] = (), event_shape: Sequence[int] = (),
                 validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = tuple(batch_shape), tuple(event_shape)
        self._validate_args = Distribution._validates if validate_args is None else validate_args
        if self._validate_args:
            for name, constraint in self.arg_constraints.items():
                if name in self.__dict__:
                    self._check(name, self.__dict__[name], constraint)

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Sets whether distributions made from now on check parameters and values.

        >>> import tensorlite as tl
        >>> tl.distributions.Distribution.set_default_validate_args(True)
        """
        Distribution._validates = bool(value)

    # --- shapes ---

    @property
    def batch_shape(self) -> Shape:
        """The shape over which parameters are batched."""
        return self._batch_shape

    @property
    def event_shape(self) -> Shape:
        """The shape of one draw."""
        return self._event_shape

    def _extended_shape(self, sample_shape: int | Sequence[int]) -> Shape:
        """The shape of a draw."""
        given = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        return given + self._batch_shape + self._event_shape

    def expand(self, batch_shape: Sequence[int]) -> Self:
        """The same distribution with its parameters broadcast to a larger batch shape.

        >>> import tensorlite as tl
        >>> tl.distributions.Normal(0.0, 1.0).expand((3,)).batch_shape
        (3,)
        """
        made, batch_shape = copy.copy(self), tuple(batch_shape)
        for name, constraint in self.arg_constraints.items():
            parameter = self.__dict__.get(name)
            if isinstance(parameter, Tensor):
                event = parameter.shape[parameter.ndim - constraint.event_dim:]
                made.__dict__[name] = tl.broadcast_to(parameter, batch_shape + event)
        made._batch_shape = batch_shape
        return made

    # --- what a family says ---

    @property
    def support(self) -> Constraint | None:
        """What its values fulfil."""
        return None

    @property
    def mean(self) -> Tensor:
        """The mean, NaN where there is none."""
        raise self._lacks("mean")

    @property
    def mode(self) -> Tensor:
        """The most likely value."""
        raise self._lacks("mode")

    @property
    def variance(self) -> Tensor:
        """The variance, NaN where there is none."""
        raise self._lacks("variance")

    @property
    def stddev(self) -> Tensor:
        """The standard deviation: the root of the variance."""
        return tl.sqrt(self.variance)

    def rsample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        """A draw through which derivatives go back to the parameters."""
        raise self._lacks("rsample")

    def sample(self, sample_shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
        """A draw, from ``generator`` or the default one."""
        with tl.no_grad():
            return self.rsample(sample_shape, generator=generator)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at ``value``."""
        raise self._lacks("log_prob")

    def prob(self, value: Tensor) -> Tensor:
        """The density, or the probability, at ``value``."""
        return tl.exp(self.log_prob(value))

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of no more than ``value``."""
        raise self._lacks("cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of `cdf`: the quantile of a probability."""
        raise self._lacks("icdf")

    def entropy(self) -> Tensor:
        """The entropy in nats: the mean of ``-log_prob``."""
        raise self._lacks("entropy")

    def perplexity(self) -> Tensor:
        """The exponential of the entropy."""
        return tl.exp(self.entropy())

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values along a new first axis, for each of the batch, or as ``[values, 1, ...]`` without ``expand``."""
        raise self._lacks("enumerate_support")

    # --- errors ---

    def _lacks(self, name: str) -> errors.TensorliteError:
        return errors.complaint(errors.ArgumentError, type(self).__name__, f"has no {name}")

    def _check(self, name: str, value: Any, constraint: Constraint) -> None:
        """Raises `ArgumentError` where a parameter or value breaks a constraint."""
        known = value.detach()
        if known.ndim < constraint.event_dim:
            raise errors.complaint(errors.ShapeError, type(self).__name__,
                                   f"{name} must be {constraint.says}, and have {constraint.event_dim} axes or more",
                                   {name: value})
        if is_traced(known):
            return
        good = constraint.check(known)
        if not is_traced(good) and not bool(good.array.all()):
            raise errors.complaint(errors.ArgumentError, type(self).__name__, f"{name} must be {constraint.says}",
                                   {name: value}, "pass validate_args=False to compute with it nevertheless")

    def _validate_sample(self, value: Any) -> None:
        """Raises where a value is no tensor, does not fit in shape, or is outside of the support."""
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise errors.complaint(errors.DTypeError, type(self).__name__,
                                   f"value must be a tensor, not {type(value).__name__}", {"value": value},
                                   "make it one: tl.tensor(...)")
        shape = self._batch_shape + self._event_shape
        first = value.ndim - len(self._event_shape)
        if first < 0 or value.shape[first:] != self._event_shape or any(
                1 not in (a, b) and a != b for a, b in zip(reversed(value.shape), reversed(shape), strict=False)):
            raise errors.complaint(errors.ShapeError, type(self).__name__,
                                   f"value must broadcast to batch and event shape {list(shape)}", {"value": value})
        if self.support is not None:
            self._check("value", value, self.support)

    def __repr__(self) -> str:
        shown = [f"{name}: {_shown(self.__dict__[name])}" for name in self.arg_constraints if name in self.__dict__]
        return f"{type(self).__name__}({', '.join(shown)})"


def _shown(parameter: Any) -> str:
    if isinstance(parameter, Tensor) and (parameter.ndim or is_traced(parameter)):
        return str(list(parameter.shape))
    return f"{parameter.item():g}" if isinstance(parameter, Tensor) else repr(parameter)


# --- helpers of families ------------------------------------------------------------------------------------------


def together(op: str, **parameters: Any) -> tuple[Tensor, ...]:
    """Numbers and tensors as floating tensors of one dtype and shape."""
    tensors = [p for p in parameters.values() if isinstance(p, Tensor) and p.dtype in DIFFERENTIABLE]
    dtype = tensors[0].dtype if tensors else tl.float32
    for other in tensors[1:]:
        dtype = promote(dtype, other.dtype)
    made = []
    for name, parameter in parameters.items():
        if not isinstance(parameter, Tensor):
            try:
                parameter = tl.asarray(parameter, dtype=dtype)
            except (TypeError, ValueError):
                raise errors.complaint(errors.DTypeError, op, f"{name} must be a number or a tensor, not "
                                       f"{type(parameter).__name__}", {name: parameter}) from None
        made.append(parameter.to(dtype))
    try:
        return tl.broadcast_tensors(*made) if len({p.shape for p in made}) > 1 else tuple(made)
    except errors.ShapeError:
        raise errors.complaint(errors.ShapeError, op, f"{' and '.join(parameters)} do not broadcast",
                               parameters) from None


def one_of(op: str, probs: Any, logits: Any) -> None:
    """Raises `ArgumentError` unless exactly one of the two is given."""
    if (probs is None) == (logits is None):
        raise errors.complaint(errors.ArgumentError, op, "exactly one of probs and logits must be given",
                               {"probs": probs, "logits": logits})


def sum_rightmost(x: Tensor, count: int) -> Tensor:
    """The sum over the last axes."""
    return x.sum(axis=tuple(range(x.ndim - count, x.ndim))) if count else x


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities that are neither 0 nor 1, by the dtype's epsilon."""
    epsilon = float(tl.finfo(probs.dtype).eps)
    return tl.clip(probs, epsilon, 1 - epsilon)


def logits_of(probs: Tensor, binary: bool = False) -> Tensor:
    """The logarithms of probabilities, or of odds where there are two outcomes."""
    clamped = clamp_probs(probs)
    return tl.log(clamped) - tl.log1p(-clamped) if binary else tl.log(clamped)


def probs_of(logits: Tensor, binary: bool = False) -> Tensor:
    """The probabilities of logits."""
    return tl.sigmoid(logits) if binary else tl.softmax(logits, axis=-1)


def full_like(x: Tensor, value: float) -> Tensor:
    """A constant in the shape and dtype of a parameter."""
    return tl.full(x.shape, value, dtype=x.dtype)


def open_unit(shape: Shape, like: Tensor, generator: Generator | None) -> Tensor:
    """Even numbers of (0, 1) in the dtype of a parameter, fine near 0."""
    return tl.random.uniform(size=shape, dtype=like.dtype, generator=generator)


def normal_numbers(shape: Shape, like: Tensor, generator: Generator | None) -> Tensor:
    """Normal numbers in the dtype of a parameter."""
    return tl.randn(shape, dtype=like.dtype, generator=generator)


EULER = 0.57721566490153286
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
