"""What is done to models from outside: gradients bounded, weights computed from others or pruned, layers fused."""

from tensorlite.nn.utils import parametrizations, parametrize, prune, rnn, stateless
from tensorlite.nn.utils.clip_grad import *
from tensorlite.nn.utils.convert_parameters import *
from tensorlite.nn.utils.fusion import *
from tensorlite.nn.utils.init import *
from tensorlite.nn.utils.spectral_norm import *
from tensorlite.nn.utils.weight_norm import *
