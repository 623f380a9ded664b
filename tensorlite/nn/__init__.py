"""Layers, losses and the models made of them, in PyTorch's names, signatures, defaults and state dicts.

A layer is named in the ``__all__`` of its own file, and nowhere else.
"""

from tensorlite.nn import functional, init, utils
from tensorlite.nn.adaptive import *
from tensorlite.nn.attention import *
from tensorlite.nn.batchnorm import *
from tensorlite.nn.containers import *
from tensorlite.nn.conv import *
from tensorlite.nn.distance import *
from tensorlite.nn.dropout import *
from tensorlite.nn.lazy import *
from tensorlite.nn.linear import *
from tensorlite.nn.loss_classes import *
from tensorlite.nn.loss_ctc import *
from tensorlite.nn.loss_linear import *
from tensorlite.nn.loss_margins import *
from tensorlite.nn.loss_numbers import *
from tensorlite.nn.loss_probabilities import *
from tensorlite.nn.loss_rare import *
from tensorlite.nn.module import *
from tensorlite.nn.normalization import *
from tensorlite.nn.padding import *
from tensorlite.nn.parameter import *
from tensorlite.nn.piecewise import *
from tensorlite.nn.pooling import *
from tensorlite.nn.position import *
from tensorlite.nn.rearrange import *
from tensorlite.nn.rectifiers import *
from tensorlite.nn.regions import *
from tensorlite.nn.rnn import *
from tensorlite.nn.rnn_cells import *
from tensorlite.nn.smooth import *
from tensorlite.nn.softmax import *
from tensorlite.nn.sparse import *
from tensorlite.nn.stochastic_depth import *
from tensorlite.nn.transformer import *
from tensorlite.nn.uninitialized import *
from tensorlite.nn.upsampling import *
