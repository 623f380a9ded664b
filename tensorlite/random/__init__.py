"""Random numbers: counter-based, so that a seed and a position give the same number everywhere.

`tl.rand`, `tl.randn`, `tl.poisson` and so on are PyTorch's functions. This module has NumPy's beside them, by the names
that methods of ``numpy.random.Generator`` have, with ``generator=`` for the stream to draw from.

>>> import tensorlite as tl
>>> tl.random.gamma(2.0, size=(3,)).shape
(3,)
"""

from tensorlite.random.basic import normal, rand, rand_like, randint, randint_like, randn, randn_like, randperm
from tensorlite.random.continuous import *
from tensorlite.random.counts import *
from tensorlite.random.discrete import bernoulli
from tensorlite.random.filling import (
    bernoulli_,
    cauchy_,
    exponential_,
    geometric_,
    log_normal_,
    normal_,
    random_,
    uniform_,
)
from tensorlite.random.generator import (
    Generator,
    default_generator,
    get_rng_state,
    manual_seed,
    philox,
    set_rng_state,
)
