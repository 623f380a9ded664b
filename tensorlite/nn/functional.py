"""Layers as functions: what the modules of `tensorlite.nn` call.

A function is named in the ``__all__`` of its family's file, and nowhere else.
"""

from tensorlite.ops.adaptive_pool import *
from tensorlite.ops.attention import *
from tensorlite.ops.avg_pool import *
from tensorlite.ops.conv import *
from tensorlite.ops.conv_dimensions import *
from tensorlite.ops.conv_transpose import *
from tensorlite.ops.distances import *
from tensorlite.ops.dropout import *
from tensorlite.ops.elementwise import sigmoid, tanh
from tensorlite.ops.embedding import *
from tensorlite.ops.embedding_bag import *
from tensorlite.ops.fold import *
from tensorlite.ops.fractional_pool import *
from tensorlite.ops.gates import *
from tensorlite.ops.grid import *
from tensorlite.ops.interpolate import *
from tensorlite.ops.linear import *
from tensorlite.ops.loss_classes import *
from tensorlite.ops.loss_ctc import *
from tensorlite.ops.loss_linear import *
from tensorlite.ops.loss_margins import *
from tensorlite.ops.loss_numbers import *
from tensorlite.ops.loss_probabilities import *
from tensorlite.ops.loss_rare import *
from tensorlite.ops.max_pool import *
from tensorlite.ops.max_unpool import *
from tensorlite.ops.multihead import *
from tensorlite.ops.norm import *
from tensorlite.ops.pad import *
from tensorlite.ops.piecewise import *
from tensorlite.ops.rectifiers import *
from tensorlite.ops.response_norm import *
from tensorlite.ops.rms_norm import *
from tensorlite.ops.scatter import one_hot
from tensorlite.ops.shuffle import *
from tensorlite.ops.smooth import *
from tensorlite.ops.softmax import *
from tensorlite.ops.stochastic_depth import *
