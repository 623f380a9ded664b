"""Probability distributions, by the names of `torch.distributions`.

Parameters broadcast; draws are reparameterised where a family allows it (``rsample``), and come from the default
generator or from ``generator=``. `kl_divergence` has formulas for pairs of families, `transforms` make new ones of
old, `constraints` say what parameters and values must be.

>>> import tensorlite as tl
>>> normal = tl.distributions.Normal(tl.tensor([0.0, 1.0]), 1.0)
>>> normal.log_prob(tl.tensor([0.0, 1.0]))
tensor([-0.9189, -0.9189])
>>> normal.sample((3,)).shape
(3, 2)
"""

from tensorlite.distributions import constraints, kl_formulas, transforms
from tensorlite.distributions.bernoulli import Bernoulli, ContinuousBernoulli, Geometric
from tensorlite.distributions.beta import Beta, Dirichlet, Kumaraswamy
from tensorlite.distributions.categorical import Categorical, OneHotCategorical, OneHotCategoricalStraightThrough
from tensorlite.distributions.constraint_registry import ConstraintRegistry, biject_to, transform_to
from tensorlite.distributions.counts import Binomial, Multinomial, NegativeBinomial, Poisson
from tensorlite.distributions.distribution import Distribution
from tensorlite.distributions.exp_family import ExponentialFamily
from tensorlite.distributions.gamma import Chi2, Exponential, Gamma, InverseGamma
from tensorlite.distributions.generalized_pareto import GeneralizedPareto
from tensorlite.distributions.kl import kl_divergence, register_kl
from tensorlite.distributions.lkj_cholesky import LKJCholesky
from tensorlite.distributions.location_scale import Cauchy, Gumbel, HalfCauchy, Laplace
from tensorlite.distributions.logistic_normal import LogisticNormal
from tensorlite.distributions.mixture_same_family import MixtureSameFamily
from tensorlite.distributions.multivariate_normal import LowRankMultivariateNormal, MultivariateNormal
from tensorlite.distributions.normal import HalfNormal, LogNormal, Normal
from tensorlite.distributions.relaxed import (
    ExpRelaxedCategorical,
    LogitRelaxedBernoulli,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
)
from tensorlite.distributions.student_t import FisherSnedecor, StudentT
from tensorlite.distributions.transformed_distribution import Independent, TransformedDistribution
from tensorlite.distributions.transforms import *
from tensorlite.distributions.uniform import Uniform
from tensorlite.distributions.von_mises import VonMises
from tensorlite.distributions.weibull import Pareto, Weibull
from tensorlite.distributions.wishart import Wishart
