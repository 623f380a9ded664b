"""`ExponentialFamily`: entropies and divergences by the derivative of a logarithm of normalizers."""

from __future__ import annotations

import tensorlite as tl
from tensorlite import errors
from tensorlite.distributions.distribution import Distribution, sum_rightmost
from tensorlite.distributions.kl import register_kl
from tensorlite.tensor import Tensor

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """A base of families with the density ``exp(t(x) . n - F(n) + k(x))`` of natural parameters ``n``.

    A family that derives from it says ``_natural_params``, a tuple of tensors; ``_log_normalizer(*n)``, which is ``F``;
    and ``_mean_carrier_measure``, the mean of ``k``. It has its entropy and its divergences by these (Nielsen and Nock,
    "Entropies and cross-entropies of exponential families", 2010).

    >>> import tensorlite as tl
    >>> class Waiting(tl.distributions.ExponentialFamily):
    ...     def __init__(self, rate):
    ...         self.rate = rate
    ...         super().__init__(rate.shape)
    ...     _natural_params = property(lambda self: (-self.rate,))
    ...     _mean_carrier_measure = 0
    ...     def _log_normalizer(self, n):
    ...         return -tl.log(-n)
    >>> Waiting(tl.tensor(1.0)).entropy()
    tensor(1.)
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise self._lacks("_natural_params")

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        raise self._lacks("_log_normalizer")

    @property
    def _mean_carrier_measure(self) -> Tensor | float:
        raise self._lacks("_mean_carrier_measure")

    def _means(self) -> tuple[Tensor, ...]:
        """The means of the sufficient statistics: the derivative of the normalizers' logarithm."""
        natural = self._natural_params
        slopes = tl.grad(lambda *n: self._log_normalizer(*n).sum(), argnums=tuple(range(len(natural))))
        return tuple(slopes(*natural))

    def entropy(self) -> Tensor:
        found = self._log_normalizer(*self._natural_params) - self._mean_carrier_measure
        for parameter, mean in zip(self._natural_params, self._means(), strict=True):
            found = found - sum_rightmost(parameter * mean, parameter.ndim - len(self.batch_shape))
        return found


@register_kl(ExponentialFamily, ExponentialFamily)
def _of_one_family(p: ExponentialFamily, q: ExponentialFamily) -> Tensor:
    """The divergence of Bregman between the natural parameters."""
    if type(p) is not type(q):
        raise errors.complaint(errors.ArgumentError, "kl_divergence",
                               f"there is no formula for {type(p).__name__} and {type(q).__name__}")
    found = q._log_normalizer(*q._natural_params) - p._log_normalizer(*p._natural_params)
    for ours, theirs, mean in zip(p._natural_params, q._natural_params, p._means(), strict=True):
        found = found - sum_rightmost((theirs - ours) * mean, mean.ndim - len(p.batch_shape))
    return found
